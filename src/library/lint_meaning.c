/* lint_meaning.c: what can be told of a library by an encoder's vectors.
 *
 * A guideline is compared by the mean of its triggers, less the mean of all
 * triggers; a trigger never counts for its own guideline when it is the one
 * that is looked up.
 *
 * Notation: G guidelines, N triggers, H dimensions, n triggers of one. */
#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "index/index.h"
#include "library/lint_internal.h"
#include "pack/render.h"

enum {
    BATCH = 256,
    TOGETHER = 6, /* guidelines that a prompt gets at most */
    OFTEN = 3,    /* two fire together: on one in so many of their triggers */
};

typedef struct {
    ga_linter *l;
    const ga_kernels *kernels;
    size_t H, N;
    float *text;     /* [G, H], unit rows */
    float *trigger;  /* [N, H], unit rows, the mean taken off */
    float *mean;     /* [G, H]: sum over the guideline's triggers */
    uint32_t *owner; /* [N] */
    float *score;    /* [G] */
    uint64_t *pair;  /* a trigger's guideline and another that it fires */
    size_t pairs, cap;
    uint32_t *ahead; /* [G, G]: triggers of g that find h before g */
} vectors;

static ga_status embed(vectors *v, const ga_encoder *enc, ga_scratch *s,
                       const ga_str *text, size_t n, float *out)
{
    ga_status rc = GA_OK;
    for (size_t at = 0; at < n && !rc; at += BATCH) {
        size_t b = n - at < BATCH ? n - at : BATCH;
        rc = ga_encoder_embed(enc, s, text + at, b, out + at * v->H, v->l->err);
    }
    return rc;
}

static ga_status embed_all(vectors *v, const ga_encoder *enc, ga_scratch *s)
{
    const ga_linter *l = v->l;
    size_t most = l->G > v->N ? l->G : v->N, at = 0;
    ga_str *list = ga__calloc(most, sizeof(*list));
    if (!list)
        return ga__fail_nomem(l->err, most * sizeof(*list));
    for (size_t g = 0; g < l->G; g++)
        list[g] = l->g[g].text;
    ga_status rc = embed(v, enc, s, list, l->G, v->text);
    for (size_t g = 0; g < l->G; g++) {
        for (size_t i = 0; i < l->g[g].triggers.count; i++, at++) {
            list[at] = l->g[g].triggers.items[i];
            v->owner[at] = (uint32_t)g;
        }
    }
    if (!rc)
        rc = embed(v, enc, s, list, v->N, v->trigger);
    free(list);
    return rc;
}

static void unit(float *x, size_t H)
{
    double sum = 0;
    for (size_t h = 0; h < H; h++)
        sum += (double)x[h] * (double)x[h];
    float scale = sum > 0 ? (float)(1 / sqrt(sum)) : 0;
    for (size_t h = 0; h < H; h++)
        x[h] *= scale;
}

/* What all prompts have in common says nothing about any of them. */
static void centre(vectors *v)
{
    float *all = v->score; /* scratch of [max(G, H)] */
    memset(all, 0, v->H * sizeof(*all));
    for (size_t i = 0; i < v->N; i++)
        v->kernels->axpy(all, 1.0F / (float)v->N, v->trigger + i * v->H, v->H);
    for (size_t i = 0; i < v->N; i++) {
        float *x = v->trigger + i * v->H;
        v->kernels->axpy(x, -1, all, v->H);
        unit(x, v->H);
        v->kernels->axpy(v->mean + v->owner[i] * v->H, 1, x, v->H);
    }
}

/* Scores of one trigger with all guidelines, itself left out of its own. */
static void score_trigger(vectors *v, size_t i)
{
    const ga_linter *l = v->l;
    const float *x = v->trigger + i * v->H;
    v->kernels->dot_rows(v->score, v->mean, l->G, x, v->H);
    for (size_t g = 0; g < l->G; g++) {
        bool own = g == v->owner[i];
        float n = (float)l->g[g].triggers.count - (own ? 1.0F : 0.0F);
        v->score[g] = n > 0 ? (v->score[g] - (own ? 1.0F : 0.0F)) / n : -1;
    }
}

static ga_status count_trigger(vectors *v, size_t i)
{
    uint32_t top[TOGETHER];
    const ga_linter *l = v->l;
    score_trigger(v, i);
    for (size_t g = 0; g < l->G; g++)
        v->ahead[v->owner[i] * l->G + g] += v->score[g] > v->score[v->owner[i]];
    size_t n = ga__index_top(v->score, l->G, TOGETHER, NULL, NULL, top);
    void *pair = v->pair;
    if (!ga__grow(&pair, &v->cap, v->pairs + n, sizeof(*v->pair)))
        return ga__fail_nomem(l->err, (v->pairs + n) * sizeof(*v->pair));
    v->pair = pair;
    uint64_t own = v->owner[i];
    for (size_t a = 0; a < n; a++) {
        uint64_t other = top[a];
        if (other != own)
            v->pair[v->pairs++] =
                own < other ? own << 32 | other : other << 32 | own;
    }
    return GA_OK;
}

/* ---- findings ---- */

static ga_status check_meaning(vectors *v)
{
    ga_linter *l = v->l;
    ga_status rc = GA_OK;
    for (size_t b = 1; b < l->G && !rc; b++) {
        v->kernels->dot_rows(v->score, v->text, b, v->text + b * v->H, v->H);
        for (size_t a = 0; a < b && !rc; a++) {
            if ((double)v->score[a] >= l->o->same_meaning)
                rc = ga__lint_add(l, GA_LINT_same_meaning, b, a,
                                  "means about the same as '%.*s' (cosine "
                                  "%.2f): keep one or make them part",
                                  (int)l->g[a].id.len, l->g[a].id.ptr,
                                  (double)v->score[a]);
        }
    }
    return rc;
}

/* Two that most triggers of either confuse: a retriever cannot tell them
 * apart, and perhaps nobody can. */
static ga_status check_confusable(vectors *v)
{
    ga_linter *l = v->l;
    ga_status rc = GA_OK;
    for (size_t b = 1; b < l->G; b++) {
        for (size_t a = 0; a < b && !rc; a++) {
            size_t ab = v->ahead[a * l->G + b], ba = v->ahead[b * l->G + a];
            size_t na = l->g[a].triggers.count, nb = l->g[b].triggers.count;
            if (2 * ab < na || 2 * ba < nb || na == 0 || nb == 0)
                continue;
            rc = ga__lint_add(l, GA_LINT_confusable, b, a,
                              "%zu of its %zu triggers find '%.*s' before it "
                              "and %zu of %zu the other way round",
                              ba, nb, (int)l->g[a].id.len, l->g[a].id.ptr, ab,
                              na);
        }
    }
    return rc;
}

/* Words that ask for opposite things. */
static const struct {
    const char *left, *right;
} opposites[] = {
    {"brief", "detailed"},    {"short", "detailed"},   {"brief", "thorough"},
    {"concise", "thorough"},  {"short", "exhaustive"}, {"formal", "casual"},
    {"formal", "playful"},    {"bullets", "prose"},    {"list", "prose"},
    {"decline", "encourage"}, {"refuse", "help"},      {"neutral", "opinion"},
    {"literal", "idiomatic"}, {"simple", "technical"},
};
enum { OPPOSITES = sizeof(opposites) / sizeof(*opposites) };

static bool has_word(ga_linter *l, size_t g, const char *word, ga_status *rc)
{
    ga_surface w;
    *rc = ga__surface_of(&w, ga__str(word), &l->arena, l->err);
    for (size_t i = 0; !*rc && i < l->text[g].count; i++) {
        if (l->text[g].hash[i] == w.hash[0])
            return true;
    }
    return false;
}

static ga_status report_conflict(vectors *v, size_t a, size_t b, size_t prompts)
{
    ga_linter *l = v->l;
    ga_guideline_kind ka = l->g[a].kind, kb = l->g[b].kind;
    ga_status rc = GA_OK;
    ga_str id = l->g[a].id;
    if ((ka == GA_GUIDELINE_PERMIT && kb == GA_GUIDELINE_SAFETY) ||
        (kb == GA_GUIDELINE_PERMIT && ka == GA_GUIDELINE_SAFETY))
        return ga__lint_add(
            l, GA_LINT_conflict, b, a,
            "%s and '%.*s' %s on %zu of their triggers "
            "together: let the texts say where one ends",
            kb == GA_GUIDELINE_PERMIT ? "permits" : "guards", (int)id.len,
            id.ptr, ka == GA_GUIDELINE_PERMIT ? "permits" : "guards", prompts);
    for (size_t i = 0; i < OPPOSITES && !rc; i++) {
        for (int turn = 0; turn < 2 && !rc; turn++) {
            const char *mine = turn ? opposites[i].left : opposites[i].right;
            const char *its = turn ? opposites[i].right : opposites[i].left;
            if (has_word(l, b, mine, &rc) && !rc && has_word(l, a, its, &rc))
                return ga__lint_add(
                    l, GA_LINT_conflict, b, a,
                    "says \"%s\" where '%.*s' says \"%s\", and "
                    "they fire together on %zu of their triggers",
                    mine, (int)id.len, id.ptr, its, prompts);
        }
    }
    return rc;
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static ga_status check_conflicts(vectors *v)
{
    ga_status rc = GA_OK;
    if (v->pairs > 0)
        qsort(v->pair, v->pairs, sizeof(*v->pair), by_number);
    for (size_t i = 0, end; i < v->pairs && !rc; i = end) {
        for (end = i; end < v->pairs && v->pair[end] == v->pair[i]; end++)
            ;
        size_t a = (size_t)(v->pair[i] >> 32), b = v->pair[i] & UINT32_MAX;
        size_t all = v->l->g[a].triggers.count + v->l->g[b].triggers.count;
        if (OFTEN * (end - i) >= all)
            rc = report_conflict(v, a, b, end - i);
    }
    return rc;
}

ga_status ga__lint_meaning(ga_linter *l, const ga_encoder *enc, ga_scratch *s)
{
    vectors v = {
        .l = l, .kernels = ga__kernels(), .H = ga_encoder_dim(enc), .N = 0};
    for (size_t g = 0; g < l->G; g++)
        v.N += l->g[g].triggers.count;
    size_t row = v.H * sizeof(float), cells;
    v.text = ga__calloc(l->G, row);
    v.mean = ga__calloc(l->G, row);
    v.trigger = ga__calloc(v.N, row);
    v.owner = ga__calloc(v.N, sizeof(*v.owner));
    v.score = ga__calloc(l->G > v.H ? l->G : v.H, sizeof(*v.score));
    v.ahead = ga__mul_size(l->G, l->G, &cells)
                  ? ga__calloc(cells, sizeof(*v.ahead))
                  : NULL;
    ga_status rc = GA_OK;
    if (!v.text || !v.mean || !v.trigger || !v.owner || !v.score || !v.ahead)
        rc = ga__fail_nomem(l->err, (v.N + l->G) * row);
    if (!rc)
        rc = embed_all(&v, enc, s);
    if (!rc && v.N > 0)
        centre(&v);
    for (size_t i = 0; i < v.N && !rc; i++)
        rc = count_trigger(&v, i);
    if (!rc)
        rc = check_meaning(&v);
    if (!rc)
        rc = check_confusable(&v);
    if (!rc)
        rc = check_conflicts(&v);
    free(v.ahead);
    free(v.pair);
    free(v.score);
    free(v.owner);
    free(v.trigger);
    free(v.mean);
    free(v.text);
    return rc;
}
