/* published.h: a model as it is published, row by row in a safetensors file.
 *
 * The tensors of a BERT are found under the names that different programs give
 * them, and checked, before memory for what is made of them is taken: nothing
 * is allocated by the word of a file that does not hold the data. */
#ifndef GA_ENCODER_PUBLISHED_H
#define GA_ENCODER_PUBLISHED_H

#include "encoder/config.h"
#include "encoder/safetensors.h"

/* The tensors of a linear layer, or the three of query, key and value. */
typedef struct {
    size_t parts, N, K; /* [N / parts, K] each */
    const ga_tensor *weight[3], *bias[3];
} ga_published_linear;

typedef struct {
    const ga_tensor *gamma, *beta;
} ga_published_norm;

typedef struct {
    ga_published_linear qkv, out, up, down;
    ga_published_norm attention_norm, output_norm;
} ga_published_layer;

typedef struct {
    ga_safetensors file;
    const ga_tensor *words, *positions, *types;
    ga_published_norm norm;
    ga_published_layer *layers; /* [L] */
} ga_published;

/* The bytes are borrowed.  Errors: GA_FORMAT a tensor is missing or has another
 * shape; GA_UNSUPPORTED another type; GA_NOMEM.  On failure there is nothing to
 * close. */
ga_status ga__published_open(const ga_encoder_config *config,
                             ga_str safetensors, ga_published *out,
                             ga_error *err);
void ga__published_close(ga_published *published);

#endif
