/* net_internal.h: the parameters of a net and the shape of a pass through it.
 *
 * Shapes: T tokens of all texts, H hidden, I intermediate, L layers. */
#ifndef GA_TRAIN_NET_INTERNAL_H
#define GA_TRAIN_NET_INTERNAL_H

#include "base/arena.h"
#include "train/net.h"

/* y = x W^T + b, W [N, K] and b [N] at these offsets; packed for the product
 * with x and, transposed, for that with the gradient of y. */
typedef struct {
    size_t N, K, weight, bias;
    void *ahead, *back;
} ga_net_linear;

typedef struct {
    size_t gamma, beta;
} ga_net_norm;

typedef struct {
    ga_net_linear qkv, out, up, down;
    ga_net_norm attention_norm, output_norm;
} ga_net_layer;

/* What a layer keeps for its backward pass. */
typedef struct {
    float *x;     /* [T, H], what goes in */
    float *qkv;   /* [T, 3H] */
    float *soft;  /* [heads, T_i, T_i] of each text */
    float *mixed; /* [T, H] */
    float *s1;    /* [T, H], in front of the attention's norm */
    float *x1;    /* [T, H], behind it */
    float *u;     /* [T, I], in front of GELU */
    float *s2;    /* [T, H], in front of the output's norm */
} ga_net_kept;

/* One pass, shared by all threads. */
typedef struct {
    ga_net *net;
    size_t T, longest;
    bool learn;
    float *out;        /* [texts, H] */
    float *length;     /* [texts], of the pooled vector */
    float *embedded;   /* [T, H], in front of the embeddings' norm */
    ga_net_kept *kept; /* [L], all the same unless something is learnt */
    float *x;          /* [T, H], what the last layer makes */
    size_t *soft_at;   /* [texts] */
    size_t *row;       /* [texts], first row of each text */
    /* work: */
    float *wide;         /* [T, I] */
    void *rounded;       /* [CHUNK, widest] */
    void *turned;        /* [widest, CHUNK], a gradient transposed */
    void *pairs;         /* the same on its way there */
    void *packed;        /* [widest, CHUNK], an input as weights */
    float *dx, *dy, *dz; /* [T, H] */
    float *dwide;        /* [T, I] */
    float *dqkv;         /* [T, 3H] */
    float *scratch;      /* of attention, for each member */
    size_t scratch_size;
    const float *dout; /* [texts, H] */
} ga_net_pass;

struct ga_net {
    ga_net_options options;
    const ga_kernels *k;
    ga_pool *pool;
    ga_barrier barrier;
    ga_encoder *encoder;
    ga_encoder_config config;
    size_t count;                             /* parameters, all together */
    float *value, *gradient, *first, *second; /* [count] */
    ga_parameter *parameters;
    size_t parameter_count;
    size_t words, positions, types; /* offsets */
    ga_net_norm embedding_norm;
    ga_net_layer *layers;
    /* word embeddings that had a gradient: only these are stepped */
    bool *active;        /* [V] */
    double *owed;        /* [V]: the others' decay up to their last settling */
    double decay_so_far; /* logarithm of the product of all steps' decay */
    uint32_t *touched;   /* [V] words of this step's batches */
    bool *is_touched;    /* [V] */
    size_t touched_count;
    uint64_t steps;
    uint64_t passes;    /* that learnt: each drops other elements */
    ga_net_batch batch; /* of the last pass, the arena's */
    ga_arena arena;
    ga_net_pass pass;
};

/* Part `member` of n things shared by all threads. */
typedef struct {
    size_t first, end;
} ga_net_range;

static inline ga_net_range ga__net_share(const ga_net *net, size_t member,
                                         size_t n)
{
    const unsigned threads = net->barrier.threads;
    return (ga_net_range){n * member / threads, n * (member + 1) / threads};
}

static inline void ga__net_wait(ga_net *net)
{
    ga__barrier_wait(&net->barrier);
}

/* c [M, N] = x [M, K] W^T + b (+ residual). */
void ga__net_linear(ga_net_pass *p, size_t member, const ga_net_linear *l,
                    const float *x, float *c, const float *residual);

/* From dy [T, N], the gradient of a linear layer's output, and its input x
 * [T, K]: dx [T, K] (+ residual), unless it is NULL, and the gradients of
 * weight and bias, which are added. */
void ga__net_linear_backward(ga_net_pass *p, size_t member,
                             const ga_net_linear *l, const float *dy,
                             const float *x, float *dx, const float *residual);

/* Pack the weights as they are now. */
void ga__net_pack(ga_net *net, size_t member);

/* Bytes of one packed matrix [N, K]. */
size_t ga__net_packed_bytes(const ga_net *net, size_t N, size_t K);

/* The batch's words are about to be read, and may have gradients. */
void ga__net_touch(ga_net *net, const ga_net_batch *batch);

enum { GA_NET_CHUNK = 1024 }; /* rows of a backward product at a time */

/* y = x with a share of it set to 0 and the rest scaled up; the same elements
 * each time for one site of one step. */
void ga__net_dropout(const ga_net *net, uint64_t site, size_t at, float *x,
                     size_t n);

#endif
