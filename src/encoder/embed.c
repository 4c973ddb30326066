/* embed.c: many texts to vectors, shared out over threads.
 *
 * Texts are taken in waves.  In each, first the tokens are made, which tells
 * how long the texts are; then groups of about equal numbers of tokens go
 * through the model.  How texts fall into waves, groups and threads is free:
 * no vector depends on it. */
#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/limits.h"
#include "encoder/encoder_internal.h"

enum {
    WAVE = 2048,       /* texts: bounds the memory for tokens */
    PIECE = 16,        /* texts that a thread makes tokens of at a time */
    GROUP_TOKENS = 512 /* activations of that many stay in the L2 cache */
};

/* One embed call's wave. */
typedef struct {
    const ga_encoder *enc;
    ga_scratch *scratch;
    const ga_str *texts; /* [count] */
    size_t first;        /* number of texts[0] in the call */
    size_t count;
    float *out;           /* [count, H] */
    const uint32_t **ids; /* [count] */
    size_t *lengths;      /* [count] */
    size_t *groups;       /* first text of each group, and count */
    size_t group_count;
} wave;

ga_status ga_scratch_new(unsigned threads, ga_scratch **out, ga_error *err)
{
    *out = NULL;
    if (threads == 0 || threads > GA_MAX_THREADS)
        return ga__fail(err, GA_INVAL, "%u threads: 1 to %u are possible",
                        threads, GA_MAX_THREADS);
    size_t bytes = sizeof(ga_scratch) + threads * sizeof(ga_worker);
    ga_scratch *s = ga__calloc(1, bytes);
    if (!s)
        return ga__fail_nomem(err, bytes);
    s->threads = threads;
    ga_status rc = ga__pool_new(threads, &s->pool, err);
    for (unsigned i = 0; i < threads && !rc; i++) {
        s->workers[i].wordpiece = ga__wordpiece_scratch_new();
        if (!s->workers[i].wordpiece)
            rc = ga__fail_nomem(err, sizeof(ga_worker));
    }
    if (rc) {
        ga_scratch_free(s);
        return rc;
    }
    *out = s;
    return GA_OK;
}

void ga_scratch_free(ga_scratch *s)
{
    if (!s)
        return;
    ga__pool_free(s->pool);
    for (unsigned i = 0; i < s->threads; i++) {
        ga__arena_free(&s->workers[i].tokens);
        ga__arena_free(&s->workers[i].forward);
        ga__wordpiece_scratch_free(s->workers[i].wordpiece);
    }
    ga__arena_free(&s->arena);
    free(s);
}

uint64_t ga_scratch_truncated(const ga_scratch *s)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < s->threads; i++)
        n += s->workers[i].truncated;
    return n;
}

/* Text i of the wave failed.  Only the first is kept, so that the answer does
 * not depend on which thread came first. */
static void note_failure(const wave *v, ga_worker *w, size_t i,
                         ga_status status, ga_error *error)
{
    if (w->status && w->failed <= v->first + i)
        return;
    ga__error_prefix(error, "text %zu", v->first + i);
    w->status = status;
    w->failed = v->first + i;
    w->error = *error;
}

static ga_status first_failure(const ga_scratch *s, ga_error *err)
{
    const ga_worker *first = NULL;
    for (unsigned i = 0; i < s->threads; i++) {
        const ga_worker *w = &s->workers[i];
        if (w->status && (!first || w->failed < first->failed))
            first = w;
    }
    if (!first)
        return GA_OK;
    if (err)
        *err = first->error;
    return first->status;
}

static ga_status tokenize(const ga_encoder *enc, ga_worker *w, ga_str text,
                          const uint32_t **ids, size_t *n, ga_error *err)
{
    bool truncated;
    if (!text.ptr && text.len > 0)
        return ga__fail(err, GA_INVAL, "no text, but %zu bytes of it",
                        text.len);
    if (text.len > GA_MAX_TEXT_BYTES)
        return ga__fail(err, GA_LIMIT, "%zu bytes, the limit is %u", text.len,
                        GA_MAX_TEXT_BYTES);
    ga_status rc =
        ga__wordpiece_encode(enc->wordpiece, w->wordpiece, text,
                             enc->config.max_tokens, ids, n, &truncated, err);
    if (!rc && truncated)
        w->truncated++;
    return rc;
}

static void tokenize_piece(void *arg, size_t piece, unsigned thread)
{
    wave *v = arg;
    ga_worker *w = &v->scratch->workers[thread];
    size_t end =
        (piece + 1) * PIECE < v->count ? (piece + 1) * PIECE : v->count;
    for (size_t i = piece * PIECE; i < end; i++) {
        ga_error error;
        const uint32_t *ids;
        ga_status rc =
            tokenize(v->enc, w, v->texts[i], &ids, &v->lengths[i], &error);
        uint32_t *kept = NULL;
        if (!rc) {
            kept = ga__arena_alloc(&w->tokens, v->lengths[i], sizeof(*ids));
            if (!kept)
                rc = ga__fail_nomem(&error, v->lengths[i] * sizeof(*ids));
        }
        if (rc) {
            note_failure(v, w, i, rc, &error);
            continue;
        }
        memcpy(kept, ids, v->lengths[i] * sizeof(*ids));
        v->ids[i] = kept;
    }
}

/* Cut the wave into groups of about equal numbers of tokens, a multiple of the
 * threads many where there are texts for it. */
static void make_groups(wave *v)
{
    const size_t threads = v->scratch->threads;
    size_t total = 0, tokens = 0;
    for (size_t i = 0; i < v->count; i++)
        total += v->lengths[i];
    size_t wanted = (total + GROUP_TOKENS - 1) / GROUP_TOKENS;
    wanted = (wanted + threads - 1) / threads * threads;
    size_t budget = (total + wanted - 1) / wanted;
    v->group_count = 0;
    for (size_t i = 0; i < v->count; i++) {
        /* cut where it comes closer to the budget */
        if (i == 0 || tokens + v->lengths[i] / 2 >= budget) {
            v->groups[v->group_count++] = i;
            tokens = 0;
        }
        tokens += v->lengths[i];
    }
    v->groups[v->group_count] = v->count;
}

/* hidden [T, H] to a vector [H] of length 1. */
static ga_status pool(const ga_encoder *enc, const float *hidden, size_t T,
                      float *out, ga_error *err)
{
    const size_t H = enc->config.hidden;
    double squares = 0;
    memset(out, 0, H * sizeof(*out));
    if (enc->config.pooling == GA_POOLING_CLS)
        T = 1; /* [CLS] stands first */
    for (size_t t = 0; t < T; t++)
        enc->weights.kernels->axpy(out, 1.0f / (float)T, hidden + t * H, H);
    for (size_t i = 0; i < H; i++)
        squares += (double)out[i] * (double)out[i];
    if (!isfinite(squares))
        return ga__fail(err, GA_FORMAT,
                        "its vector is not finite: the model's weights are "
                        "damaged");
    /* the zero vector stays what it is, as in torch's normalize */
    const double norm = sqrt(squares),
                 scale = 1.0 / (norm > 1e-12 ? norm : 1e-12);
    for (size_t i = 0; i < H; i++)
        out[i] = (float)(out[i] * scale);
    return GA_OK;
}

/* One group by one thread or, with a pool, by all. */
static void forward_group(wave *v, size_t g, ga_worker *w, ga_pool *threads)
{
    const size_t H = v->enc->config.hidden;
    const size_t first = v->groups[g];
    const ga_token_group group = {.ids = v->ids + first,
                                  .lengths = v->lengths + first,
                                  .texts = v->groups[g + 1] - first};
    size_t i = 0;
    float *hidden = NULL;
    ga_error error;
    ga__arena_reset(&w->forward);
    ga_status rc =
        ga__forward(v->enc, &group, &w->forward, threads, &hidden, &error);
    for (; i < group.texts && !rc; i++) {
        rc = pool(v->enc, hidden, group.lengths[i], v->out + (first + i) * H,
                  &error);
        hidden += group.lengths[i] * H;
    }
    if (rc)
        note_failure(v, w, first + (i ? i - 1 : 0), rc, &error);
}

static void embed_group(void *arg, size_t piece, unsigned thread)
{
    wave *v = arg;
    forward_group(v, piece, &v->scratch->workers[thread], NULL);
}

/* A group for each thread is best, since they need not wait for each other.
 * Where there are fewer groups all threads work on each. */
static void embed_groups(wave *v)
{
    ga_scratch *s = v->scratch;
    if (v->group_count >= s->threads) {
        ga__pool_run(s->pool, v->group_count, embed_group, v);
        return;
    }
    for (size_t g = 0; g < v->group_count; g++)
        forward_group(v, g, &s->workers[0], s->pool);
}

static ga_status embed_wave(wave *v, ga_error *err)
{
    ga_scratch *s = v->scratch;
    ga__arena_reset(&s->arena);
    for (unsigned i = 0; i < s->threads; i++) {
        ga__arena_reset(&s->workers[i].tokens);
        s->workers[i].status = GA_OK;
    }
    v->ids = ga__arena_alloc(&s->arena, v->count, sizeof(*v->ids));
    v->lengths = ga__arena_alloc(&s->arena, v->count, sizeof(*v->lengths));
    v->groups = ga__arena_alloc(&s->arena, v->count + 1, sizeof(*v->groups));
    if (!v->ids || !v->lengths || !v->groups)
        return ga__fail_nomem(err, v->count * 3 * sizeof(size_t));
    ga__pool_run(s->pool, (v->count + PIECE - 1) / PIECE, tokenize_piece, v);
    ga_status rc = first_failure(s, err);
    if (rc)
        return rc;
    make_groups(v);
    embed_groups(v);
    return first_failure(s, err);
}

ga_status ga_encoder_embed(const ga_encoder *enc, ga_scratch *s,
                           const ga_str *text, size_t B, float *out,
                           ga_error *err)
{
    ga_status rc = GA_OK;
    if (!enc || !s || (B > 0 && (!text || !out)))
        return ga__fail(err, GA_INVAL, "NULL instead of %s",
                        !enc    ? "an encoder"
                        : !s    ? "a scratch"
                        : !text ? "texts"
                                : "room for the vectors");
    if (B > GA_MAX_BATCH)
        return ga__fail(err, GA_LIMIT, "%zu texts, the limit is %u", B,
                        GA_MAX_BATCH);
    for (size_t i = 0; i < B && !rc; i += WAVE) {
        wave v = {.enc = enc,
                  .scratch = s,
                  .texts = text + i,
                  .first = i,
                  .count = B - i < WAVE ? B - i : WAVE,
                  .out = out + i * enc->config.hidden};
        rc = embed_wave(&v, err);
    }
    return rc;
}

ga_status ga_encoder_tokenize(const ga_encoder *enc, ga_scratch *s, ga_str text,
                              uint32_t *ids, size_t cap, size_t *n,
                              ga_error *err)
{
    const uint32_t *all;
    if (!enc || !s || !n || (!ids && cap > 0))
        return ga__fail(err, GA_INVAL, "NULL instead of %s",
                        !enc ? "an encoder"
                        : !s ? "a scratch"
                             : "room for the tokens");
    ga_status rc = tokenize(enc, &s->workers[0], text, &all, n, err);
    if (!rc && cap > 0)
        memcpy(ids, all, (*n < cap ? *n : cap) * sizeof(*ids));
    return rc;
}
