/* encoder_internal.h: the model in memory and what a caller works with.
 *
 * Shapes: T tokens, H hidden, L layers, I intermediate, V vocabulary,
 * P positions; a linear layer is y = x W^T + b with W [N, K]. */
#ifndef GA_ENCODER_ENCODER_INTERNAL_H
#define GA_ENCODER_ENCODER_INTERNAL_H

#include "base/arena.h"
#include "base/file.h"
#include "base/threads.h"
#include "encoder/config.h"
#include "encoder/encoder.h"
#include "encoder/safetensors.h"
#include "tensor/kernels.h"
#include "text/wordpiece.h"

typedef struct {
    size_t N, K;
    const void *w;     /* [N, K], packed */
    const float *bias; /* [N] */
    /* of int8 alone */
    const float *scale;  /* [N] */
    const float *sum;    /* [N], see ga_gemm */
    const float *factor; /* [K], what activations are multiplied by; or NULL */
} ga_linear;

typedef struct {
    const float *gamma, *beta; /* [H] */
} ga_norm;

typedef struct {
    ga_linear qkv;          /* [3H, H]: query, key and value in one */
    ga_linear out;          /* [H, H] */
    ga_norm attention_norm; /* behind the attention's residual */
    ga_linear up;           /* [I, H], its output through GELU */
    ga_linear down;         /* [H, I] */
    ga_norm output_norm;    /* behind the feed-forward's residual */
} ga_layer;

/* Everything forward needs, in a prepared file; immutable. */
typedef struct {
    const ga_kernels *kernels;
    ga_precision precision;
    ga_number type;          /* of words and weights */
    const void *words;       /* [V, H] */
    const float *word_scale; /* [V], of int8 alone */
    const float *positions;  /* [P, H], the embedding of token type 0 added */
    ga_norm embedding_norm;
    ga_layer *layers; /* [L] */
} ga_weights;

struct ga_encoder {
    ga_encoder_config config;
    ga_weights weights;
    ga_wordpiece *wordpiece;
    ga_encoder_image image;
    /* the image's bytes, as far as they are the encoder's own */
    ga_buf config_bytes;
    char *vocab_bytes;
    char *prepared;
};

/* Find all tensors of a prepared file, checking names, types, shapes and
 * alignment.  The bytes are borrowed.  On failure there is nothing to free. */
ga_status ga__weights_open(const ga_encoder_config *config, ga_str prepared,
                           const ga_kernels *kernels, ga_weights *out,
                           ga_error *err);
void ga__weights_close(ga_weights *weights);

/* Is it a prepared file, and not a model as it is published? */
ga_status ga__weights_prepared(ga_str safetensors, bool *prepared,
                               ga_error *err);

/* What to call the parts of an image in messages. */
typedef struct {
    const char *config, *vocab, *weights;
} ga_image_names;

/* Fill an encoder, zeroed but for what the image borrows from it.  Weights that
 * are not prepared yet are, in `precision`.  On failure it is still to be
 * closed. */
ga_status ga__encoder_load(ga_encoder *enc, const ga_encoder_image *image,
                           const ga_image_names *names, ga_precision precision,
                           const ga_kernels *kernels, ga_error *err);

/* Texts that go through the model together. */
typedef struct {
    const uint32_t *const *ids; /* [texts], each [lengths[i]] */
    const size_t *lengths;      /* [texts] */
    size_t texts;
} ga_token_group;

/* The last hidden states [T, H] of a group, its texts one behind the other;
 * *hidden is the arena's.  With a pool all its threads work on the group. */
ga_status ga__forward(const ga_encoder *enc, const ga_token_group *group,
                      ga_arena *arena, ga_pool *pool, float **hidden,
                      ga_error *err);

/* One thread's part of a scratch. */
typedef struct {
    ga_arena tokens;  /* ids of the texts at work */
    ga_arena forward; /* activations of one group */
    ga_wordpiece_scratch *wordpiece;
    uint64_t truncated;
    ga_status status; /* of the first text that failed here, and its number */
    size_t failed;
    ga_error error;
} ga_worker;

struct ga_scratch {
    ga_pool *pool;
    ga_arena arena; /* what all threads share in a call */
    unsigned threads;
    ga_worker workers[];
};

#endif
