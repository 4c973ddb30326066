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
enum { FEED_ROWS = 256 };

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
    /* not in float32: the rows that a product takes */
    void *rounded; /* [T, H] or [min(T, FEED_ROWS), I] */
    float *scale;  /* [T], of int8 alone, and */
    float *low;    /* [T] */
} pass;

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Numbers from one row of K rounded ones to the next: whole cache lines. */
static size_t rounded_row(size_t K)
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
    const ga_number type = p->enc->weights.type;
    const bool int8 = type == GA_INT8;
    const size_t wide = p->T * rounded_row(H),
                 deep = feed * rounded_row(c->intermediate);
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
        {&p->rounded, type == GA_F32 ? 0 : ga__number_bytes(type),
         wide > deep ? wide : deep},
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
    const size_t at = id * H;
    if (w->type == GA_F32)
        memcpy(x, (const float *)w->words + at, H * sizeof(*x));
    for (size_t h = 0; h < H && w->type == GA_BF16; h++)
        x[h] = ga__bf16_float(((const uint16_t *)w->words)[at + h]);
    for (size_t h = 0; h < H && w->type == GA_INT8; h++)
        x[h] = w->word_scale[id] * (float)((const int8_t *)w->words)[at + h];
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
    const ga_kernels *k = p->kernels;
    ga_gemm g = {.type = p->enc->weights.type,
                 .M = M,
                 .N = l->N,
                 .K = l->K,
                 .a = a,
                 .lda = l->K,
                 .w = l->w,
                 .out = {.bias = l->bias,
                         .residual = residual,
                         .c = c,
                         .ldc = l->N,
                         .gelu = gelu},
                 .scale = p->scale,
                 .low = p->low,
                 .w_scale = l->scale,
                 .w_sum = l->sum};
    if (g.type != GA_F32) {
        g.a = p->rounded;
        g.lda = rounded_row(l->K);
    }
    if (g.type == GA_BF16)
        k->round_bf16(p->rounded, g.lda, a, l->K, M, l->K);
    if (g.type == GA_INT8)
        k->quantise(p->rounded, g.lda, p->scale, p->low, a, l->K, l->factor, M,
                    l->K);
    k->gemm(&g);
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
