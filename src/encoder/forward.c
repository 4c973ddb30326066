/* forward.c: the BERT encoder (Devlin et al., 2019) over a group of texts.
 *
 * The texts of a group stand one behind the other without padding, so that
 * every matrix product has only rows that count.  Attention is the one place
 * where texts are told apart. */
#include <math.h>

#include "base/error.h"
#include "encoder/encoder_internal.h"

/* Rows that the feed-forward works on at a time: enough for the weights to be
 * worth loading, few enough to stay in the L2 cache. */
enum { FEED_ROWS = 128 };

typedef struct {
    const ga_encoder *enc;
    const ga_kernels *kernels;
    const ga_token_group *group;
    size_t T;
    float *x;       /* [T, H], the hidden states */
    float *qkv;     /* [T, 3H] */
    float *mixed;   /* [T, H], the heads' outputs side by side */
    float *feed;    /* [min(T, FEED_ROWS), I] */
    float *scratch; /* of attention */
    /* in 8 bits: the rows that a product takes */
    uint8_t *q8;  /* [T, H] or [min(T, FEED_ROWS), I] */
    float *scale; /* [T] */
    float *low;   /* [T] */
} pass;

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Bytes of a row of K numbers in 8 bits. */
static size_t row_bytes(size_t K)
{
    return (K + 63) / 64 * 64;
}

static ga_status allocate(pass *p, ga_arena *arena, ga_error *err)
{
    const ga_encoder_config *c = &p->enc->config;
    const size_t H = c->hidden;
    size_t longest = 0;
    for (size_t i = 0; i < p->group->texts; i++) {
        size_t n = p->group->lengths[i];
        longest = n > longest ? n : longest;
        p->T += n;
    }
    const size_t feed = smaller(p->T, FEED_ROWS);
    const bool int8 = p->enc->weights.precision == GA_PRECISION_INT8;
    const size_t wide = p->T * row_bytes(H),
                 deep = feed * row_bytes(c->intermediate);
    const struct {
        void *out;
        size_t rows, row;
    } wanted[] = {
        {&p->x, p->T, H * sizeof(float)},
        {&p->qkv, p->T, 3 * H * sizeof(float)},
        {&p->mixed, p->T, H * sizeof(float)},
        {&p->feed, feed, c->intermediate * sizeof(float)},
        {&p->scratch, ga__attention_scratch(longest, H / c->heads),
         sizeof(float)},
        {&p->q8, int8 ? 1 : 0, wide > deep ? wide : deep},
        {&p->scale, int8 ? p->T : 0, sizeof(float)},
        {&p->low, int8 ? p->T : 0, sizeof(float)},
    };
    for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++) {
        void *at = ga__arena_alloc(arena, wanted[i].rows, wanted[i].row);
        if (!at)
            return ga__fail_nomem(err, p->T * c->intermediate * sizeof(float));
        memcpy(wanted[i].out, &at, sizeof(at));
    }
    return GA_OK;
}

/* x = the embedding of a word. */
static void embed_word(const ga_weights *w, uint32_t id, size_t H, float *x)
{
    if (!w->words8) {
        memcpy(x, w->words + id * H, H * sizeof(*x));
        return;
    }
    const int8_t *row = w->words8 + id * H;
    for (size_t h = 0; h < H; h++)
        x[h] = w->word_scale[id] * (float)row[h];
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
            embed_word(w, p->group->ids[i][t], H, x);
            p->kernels->axpy(x, 1.0f, w->positions + t * H, H);
        }
    }
    p->kernels->layer_norm(p->x, w->embedding_norm.gamma,
                           w->embedding_norm.beta, c->norm_eps, p->T, H);
}

/* c [M, N] = a [M, K] W^T + b, through GELU or plus the residual; the residual
 * may be c itself. */
static void linear(const pass *p, const ga_linear *l, const float *a, size_t M,
                   float *c, const float *residual, bool gelu)
{
    const ga_epilogue out = {.bias = l->bias,
                             .residual = residual,
                             .c = c,
                             .ldc = l->N,
                             .gelu = gelu};
    if (l->w) {
        p->kernels->gemm(&(ga_gemm){.M = M,
                                    .N = l->N,
                                    .K = l->K,
                                    .a = a,
                                    .lda = l->K,
                                    .w = l->w,
                                    .out = out});
        return;
    }
    const size_t lda = row_bytes(l->K);
    p->kernels->quantise(p->q8, lda, p->scale, p->low, a, l->K, l->factor, M,
                         l->K);
    p->kernels->gemm_int8(&(ga_gemm_int8){.M = M,
                                          .N = l->N,
                                          .K = l->K,
                                          .a = p->q8,
                                          .lda = lda,
                                          .scale = p->scale,
                                          .low = p->low,
                                          .w = l->w8,
                                          .w_scale = l->scale,
                                          .w_sum = l->sum,
                                          .out = out});
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
        for (size_t h = 0; h < c->heads; h++) {
            const float *q = p->qkv + first * 3 * H + h * D;
            p->kernels->attention(
                &(ga_attention){.T = T,
                                .D = D,
                                .q = q,
                                .k = q + H,
                                .v = q + 2 * H,
                                .ld = 3 * H,
                                .scale = 1.0f / sqrtf((float)D),
                                .out = p->mixed + first * H + h * D,
                                .ldo = H,
                                .scratch = p->scratch});
        }
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
