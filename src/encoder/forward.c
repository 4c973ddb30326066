/* forward.c: the BERT encoder (Devlin et al., 2019) over a group of texts.
 *
 * The texts of a group stand one behind the other without padding, so that
 * every matrix product has only rows that count.  Attention is the one place
 * where texts are told apart. */
#include <math.h>

#include "base/error.h"
#include "encoder/encoder_internal.h"

enum {
    /* rows that attention or the feed-forward work on at a time: enough for
     * the weights to be worth loading, few enough to stay in the L2 cache */
    QUERY_ROWS = 64,
    FEED_ROWS = 256,
    SCORE_ALIGN = 16 /* floats */
};

typedef struct {
    const ga_encoder *enc;
    const ga_kernels *kernels;
    const ga_token_group *group;
    size_t T;
    float *x;      /* [T, H], the hidden states */
    float *qkv;    /* [T, 3H] */
    float *mixed;  /* [T, H], the heads' outputs side by side */
    float *feed;   /* [min(T, FEED_ROWS), I] */
    float *keys;   /* [longest, H / heads], packed */
    float *values; /* [H / heads, longest], packed */
    float *scores; /* [QUERY_ROWS, longest] */
    size_t score_ld;
} pass;

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static ga_status allocate(pass *p, ga_arena *arena, ga_error *err)
{
    const ga_encoder_config *c = &p->enc->config;
    const size_t H = c->hidden, D = H / c->heads;
    size_t longest = 0, keys, values;
    for (size_t i = 0; i < p->group->texts; i++) {
        size_t n = p->group->lengths[i];
        longest = n > longest ? n : longest;
        p->T += n;
    }
    p->score_ld = (longest + SCORE_ALIGN - 1) / SCORE_ALIGN * SCORE_ALIGN;
    if (!ga__packed_size(p->kernels, longest, D, &keys) ||
        !ga__packed_size(p->kernels, D, longest, &values))
        return ga__fail_nomem(err, SIZE_MAX);
    const struct {
        float **out;
        size_t rows, columns;
    } wanted[] = {
        {&p->x, p->T, H},
        {&p->qkv, p->T, 3 * H},
        {&p->mixed, p->T, H},
        {&p->feed, smaller(p->T, FEED_ROWS), c->intermediate},
        {&p->keys, keys, 1},
        {&p->values, values, 1},
        {&p->scores, QUERY_ROWS, p->score_ld},
    };
    for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++) {
        size_t n;
        *wanted[i].out = NULL;
        if (ga__mul_size(wanted[i].rows, wanted[i].columns, &n))
            *wanted[i].out = ga__arena_alloc(arena, n, sizeof(float));
        if (!*wanted[i].out)
            return ga__fail_nomem(err, p->T * c->intermediate * sizeof(float));
    }
    return GA_OK;
}

/* The sum of the embeddings of word, position and token type 0, normalised. */
static void embed(const pass *p)
{
    const ga_weights *w = &p->enc->weights;
    const ga_encoder_config *c = &p->enc->config;
    const size_t H = c->hidden;
    float *x = p->x;
    for (size_t i = 0; i < p->group->texts; i++) {
        for (size_t t = 0; t < p->group->lengths[i]; t++, x += H) {
            ga__tensor_floats(&w->words, p->group->ids[i][t] * H, H, x);
            p->kernels->axpy(x, 1.0f, w->positions + t * H, H);
        }
    }
    p->kernels->layer_norm(p->x, w->embedding_norm.gamma,
                           w->embedding_norm.beta, c->norm_eps, p->T, H);
}

/* One head of one text: softmax(Q K^T / sqrt(D)) V.  qkv and mixed point at
 * the head's first column in the text's first row. */
static void attend(const pass *p, const float *qkv, size_t T, float *mixed)
{
    const ga_kernels *k = p->kernels;
    const size_t H = p->enc->config.hidden, D = H / p->enc->config.heads;
    const float scale = 1.0f / sqrtf((float)D);
    ga__pack_rows(k, p->keys, qkv + H, 3 * H, T, D);
    ga__pack_columns(k, p->values, qkv + 2 * H, 3 * H, D, T);
    for (size_t q = 0; q < T; q += QUERY_ROWS) {
        size_t rows = smaller(T - q, QUERY_ROWS);
        k->gemm(&(ga_gemm){.M = rows,
                           .N = T,
                           .K = D,
                           .a = qkv + q * 3 * H, /* [rows, D] */
                           .lda = 3 * H,
                           .w = p->keys,
                           .c = p->scores, /* [rows, T] */
                           .ldc = p->score_ld});
        k->softmax(p->scores, p->score_ld, scale, rows, T);
        k->gemm(&(ga_gemm){.M = rows,
                           .N = D,
                           .K = T,
                           .a = p->scores,
                           .lda = p->score_ld,
                           .w = p->values,
                           .c = mixed + q * H, /* [rows, D] */
                           .ldc = H});
    }
}

/* c [M, N] = a [M, K] W^T + b, through GELU or plus the residual; the residual
 * may be c itself. */
static void linear(const pass *p, const ga_linear *l, const float *a, size_t M,
                   float *c, const float *residual, bool gelu)
{
    p->kernels->gemm(&(ga_gemm){.M = M,
                                .N = l->N,
                                .K = l->K,
                                .a = a,
                                .lda = l->K,
                                .w = l->w,
                                .bias = l->bias,
                                .residual = residual,
                                .c = c,
                                .ldc = l->N,
                                .gelu = gelu});
}

/* x = LayerNorm(x + Attention(x)) */
static void attention(const pass *p, const ga_layer *layer)
{
    const ga_encoder_config *c = &p->enc->config;
    const size_t H = c->hidden, D = H / c->heads;
    size_t first = 0; /* row of the text */
    linear(p, &layer->qkv, p->x, p->T, p->qkv, NULL, false);
    for (size_t i = 0; i < p->group->texts; i++) {
        size_t T = p->group->lengths[i];
        for (size_t h = 0; h < c->heads; h++)
            attend(p, p->qkv + first * 3 * H + h * D, T,
                   p->mixed + first * H + h * D);
        first += T;
    }
    linear(p, &layer->out, p->mixed, p->T, p->x, p->x, false);
    p->kernels->layer_norm(p->x, layer->attention_norm.gamma,
                           layer->attention_norm.beta, c->norm_eps, p->T, H);
}

/* x = LayerNorm(x + W2 GELU(W1 x)) */
static void feed_forward(const pass *p, const ga_layer *layer)
{
    const ga_encoder_config *c = &p->enc->config;
    for (size_t t = 0; t < p->T; t += FEED_ROWS) {
        size_t rows = smaller(p->T - t, FEED_ROWS);
        float *x = p->x + t * c->hidden; /* [rows, H] */
        linear(p, &layer->up, x, rows, p->feed, NULL, true);
        linear(p, &layer->down, p->feed, rows, x, x, false);
    }
    p->kernels->layer_norm(p->x, layer->output_norm.gamma,
                           layer->output_norm.beta, c->norm_eps, p->T,
                           c->hidden);
}

ga_status ga__forward(const ga_encoder *enc, const ga_token_group *group,
                      ga_arena *arena, float **hidden, ga_error *err)
{
    pass p = {.enc = enc, .kernels = enc->weights.kernels, .group = group};
    ga_status rc = allocate(&p, arena, err);
    if (rc)
        return rc;
    embed(&p);
    for (size_t i = 0; i < enc->config.layers; i++) {
        attention(&p, &enc->weights.layers[i]);
        feed_forward(&p, &enc->weights.layers[i]);
    }
    *hidden = p.x;
    return GA_OK;
}
