/* net.h: an encoder that learns: BERT with float32 parameters, its gradients
 * and the moments of AdamW.
 *
 * Everything is computed in an order that depends on the batch alone, so that
 * any number of threads trains the same model bit by bit. */
#ifndef GA_TRAIN_NET_H
#define GA_TRAIN_NET_H

#include "base/threads.h"
#include "encoder/config.h"
#include "encoder/encoder.h"
#include "tensor/kernels.h"

typedef struct {
    ga_number type; /* of products: GA_F32 or GA_BF16; sums are float32 */
    size_t frozen;  /* 1: the embeddings, 1 + n: and n layers */
    float dropout;  /* share of the hidden states, 0 to below 1 */
    uint64_t seed;
    const ga_kernels *kernels; /* NULL: the best ones */
} ga_net_options;

/* Texts that go through the net together, as tokens. */
typedef struct {
    const uint32_t *const *ids; /* [texts], each [lengths[i]] */
    const size_t *lengths;      /* [texts] */
    size_t texts;
} ga_net_batch;

/* One tensor of the published model. */
typedef struct {
    char name[96];
    size_t rows, columns; /* columns 0: a vector */
    size_t at, count;     /* in values and gradients */
} ga_parameter;

typedef struct ga_net ga_net;

/* Load a model folder; the pool is borrowed.  Errors as ga_encoder_open. */
ga_status ga__net_open(const char *dir, const ga_net_options *options,
                       ga_pool *pool, ga_net **out, ga_error *err);
void ga__net_close(ga_net *net);

/* The encoder it started from: for tokens and sizes. */
const ga_encoder *ga__net_encoder(const ga_net *net);

/* out [texts, H]: a vector of length 1 for each text.  With `learn` what
 * ga__net_backward needs is kept, and dropout is on. */
ga_status ga__net_forward(ga_net *net, const ga_net_batch *batch, bool learn,
                          float *out, ga_error *err);

/* Add to the gradients what dout [texts, H], the gradient of the last learning
 * forward's result, makes of them. */
ga_status ga__net_backward(ga_net *net, const float *dout, ga_error *err);

/* Length of all gradients together. */
double ga__net_gradient_norm(ga_net *net);

/* One step against the gradients, which become zero.  a->correction1 and 2 are
 * filled in. */
void ga__net_step(ga_net *net, ga_adamw *a);

const ga_net_options *ga__net_options(const ga_net *net);

/* The tensors, in the order of their offsets, and where their numbers are. */
const ga_parameter *ga__net_parameters(const ga_net *net, size_t *count);
float *ga__net_values(ga_net *net);
float *ga__net_gradients(ga_net *net);

/* Values were changed from outside: use them from now on. */
void ga__net_repack(ga_net *net);

/* A word's embedding that never had a gradient is not touched by a step; what
 * decay it owes is made good here, before values are read. */
void ga__net_settle(ga_net *net);

#endif
