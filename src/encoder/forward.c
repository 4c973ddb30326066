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
    float *scratch; /* of attention, for each member */
    size_t scratch_size;
    /* not in float32: the rows that a product takes */
    void *rounded; /* [T, H] or [min(T, FEED_ROWS), I] */
    float *scale;  /* [T], of int8 alone, and */
    float *low;    /* [T] */
    unsigned members;
    ga_barrier *barrier;
} pass;

/* What one of the threads does of n things. */
typedef struct {
    size_t first, end;
} range;

static range share(const pass *p, size_t member, size_t n)
{
    return (range){n * member / p->members, n * (member + 1) / p->members};
}

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
    p->scratch_size = ga__attention_scratch(longest, H / c->heads);
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
        {&p->scratch, p->members * p->scratch_size, sizeof(float)},
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

/* Rows of x [T, H] normalised. */
static void norm(const pass *p, size_t member, const ga_norm *n)
{
    const size_t H = p->enc->config.hidden;
    const range rows = share(p, member, p->T);
    p->kernels->layer_norm(p->x + rows.first * H, n->gamma, n->beta,
                           p->enc->config.norm_eps, rows.end - rows.first, H);
    ga__barrier_wait(p->barrier);
}

/* The sum of the embeddings of word, position and token type 0, normalised. */
static void embed(const pass *p, size_t member)
{
    const ga_weights *w = &p->enc->weights;
    const size_t H = p->enc->config.hidden;
    const range rows = share(p, member, p->T);
    size_t row = 0;
    for (size_t i = 0; i < p->group->texts; i++) {
        for (size_t t = 0; t < p->group->lengths[i]; t++, row++) {
            if (row < rows.first || row >= rows.end)
                continue;
            embed_word(w, p->group->ids[i][t], H, p->x + row * H);
            p->kernels->axpy(p->x + row * H, 1.0f, w->positions + t * H, H);
        }
    }
    norm(p, member, &w->embedding_norm); /* of the same rows */
}

/* Rows of a [M, K] to what a product takes. */
static void round_rows(const pass *p, size_t member, const ga_linear *l,
                       const float *a, size_t M, size_t lda)
{
    const range rows = share(p, member, M);
    const size_t n = rows.end - rows.first;
    const float *from = a + rows.first * l->K;
    if (p->enc->weights.type == GA_BF16)
        p->kernels->round_bf16((uint16_t *)p->rounded + rows.first * lda, lda,
                               from, l->K, n, l->K);
    else
        p->kernels->quantise((uint8_t *)p->rounded + rows.first * lda, lda,
                             p->scale + rows.first, p->low + rows.first, from,
                             l->K, l->factor, n, l->K);
    ga__barrier_wait(p->barrier);
}

/* c [M, N] = a [M, K] W^T + b, through GELU or plus the residual; the residual
 * may be c itself. */
static void linear(const pass *p, size_t member, const ga_linear *l,
                   const float *a, size_t M, float *c, const float *residual,
                   bool gelu)
{
    const ga_number type = p->enc->weights.type;
    const size_t group = ga__number_group(type);
    const range panels = share(p, member, (l->N + GA_PANEL - 1) / GA_PANEL);
    const size_t j = panels.first * GA_PANEL;
    const size_t panel =
        (l->K + group - 1) / group * GA_PANEL * group * ga__number_bytes(type);
    ga_gemm g = {.type = type,
                 .M = M,
                 .N = smaller(l->N, panels.end * GA_PANEL) - j,
                 .K = l->K,
                 .a = a,
                 .lda = l->K,
                 .w = (const char *)l->w + panels.first * panel,
                 .out = {.bias = l->bias + j,
                         .residual = residual ? residual + j : NULL,
                         .c = c + j,
                         .ldc = l->N,
                         .gelu = gelu},
                 .scale = p->scale,
                 .low = p->low};
    if (type != GA_F32) {
        g.a = p->rounded;
        g.lda = rounded_row(l->K);
        round_rows(p, member, l, a, M, g.lda);
    }
    if (type == GA_INT8) {
        g.w_scale = l->scale + j;
        g.w_sum = l->sum + j;
    }
    p->kernels->gemm(&g);
    ga__barrier_wait(p->barrier);
}

/* The heads of all texts, one text after the other. */
static void attend(const pass *p, size_t member)
{
    const ga_encoder_config *c = &p->enc->config;
    const size_t H = c->hidden, D = H / c->heads;
    size_t first = 0; /* row of the text */
    for (size_t i = 0; i < p->group->texts; i++) {
        const size_t T = p->group->lengths[i];
        for (size_t h = 0; h < c->heads; h++) {
            const float *q = p->qkv + first * 3 * H + h * D;
            if ((i * c->heads + h) % p->members != member)
                continue; /* in turns, since texts differ in length */
            const ga_attention a = {.T = T,
                                    .D = D,
                                    .q = q,
                                    .k = q + H,
                                    .v = q + 2 * H,
                                    .ld = 3 * H,
                                    .scale = 1.0f / sqrtf((float)D),
                                    .out = p->mixed + first * H + h * D,
                                    .ldo = H,
                                    .scratch =
                                        p->scratch + member * p->scratch_size};
            if (p->enc->weights.type == GA_INT8 && T >= GA_ATTENTION_INT8)
                p->kernels->attention_int8(&a);
            else
                p->kernels->attention(&a);
        }
        first += T;
    }
    ga__barrier_wait(p->barrier);
}

/* x = LayerNorm(x + Attention(x)) */
static void attention(const pass *p, size_t member, const ga_layer *layer)
{
    linear(p, member, &layer->qkv, p->x, p->T, p->qkv, NULL, false);
    attend(p, member);
    linear(p, member, &layer->out, p->mixed, p->T, p->x, p->x, false);
    norm(p, member, &layer->attention_norm);
}

/* x = LayerNorm(x + W2 GELU(W1 x)) */
static void feed_forward(const pass *p, size_t member, const ga_layer *layer)
{
    for (size_t t = 0; t < p->T; t += FEED_ROWS) {
        size_t rows = smaller(p->T - t, FEED_ROWS);
        float *x = p->x + t * p->enc->config.hidden; /* [rows, H] */
        linear(p, member, &layer->up, x, rows, p->feed, NULL, true);
        linear(p, member, &layer->down, p->feed, rows, x, x, false);
    }
    norm(p, member, &layer->output_norm);
}

static void all_layers(void *arg, size_t member, unsigned thread)
{
    const pass *p = arg;
    (void)thread;
    embed(p, member);
    for (size_t i = 0; i < p->enc->config.layers; i++) {
        attention(p, member, &p->enc->weights.layers[i]);
        feed_forward(p, member, &p->enc->weights.layers[i]);
    }
}

ga_status ga__forward(const ga_encoder *enc, const ga_token_group *group,
                      ga_arena *arena, ga_pool *pool, float **hidden,
                      ga_error *err)
{
    ga_barrier barrier;
    pass p = {.enc = enc,
              .kernels = enc->weights.kernels,
              .group = group,
              .members = pool ? ga__pool_threads(pool) : 1,
              .barrier = &barrier};
    ga__barrier_init(&barrier, p.members);
    ga_status rc = allocate(&p, arena, err);
    if (rc)
        return rc;
    if (pool)
        ga__pool_run(pool, p.members, all_layers, &p);
    else
        all_layers(&p, 0, 0);
    *hidden = p.x;
    return GA_OK;
}
