/* evaluate.c: rankings of a pack's guidelines, measured. */
#include "train/evaluate.h"

#include <stdlib.h>

#include "base/error.h"
#include "guidealign/guide.h"
#include "index/index.h"
#include "pack/pack.h"
#include "pack/render.h"
#include "train/bm25.h"

typedef struct {
    const ga_evaluation *e;
    size_t G, H;
    ga_decision *decision;
    ga_bm25 *bm25;
    float *text;    /* [G, H], of the guidelines */
    float *query;   /* [H] */
    float *scores;  /* [G] by guideline */
    float *ordered; /* [G] by rank */
    double *estimates;
    uint32_t *order; /* [G] */
    uint8_t *grade;  /* [G] */
    ga_error *err;
} evaluator;

bool ga__ranker_find(const char *name, ga_ranker *out)
{
    static const char *const names[] = {"pack", "text", "bm25"};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        if (strcmp(name, names[i]) == 0) {
            *out = (ga_ranker)i;
            return true;
        }
    }
    return false;
}

/* The guidelines as they are rendered: what text and BM25 compare with. */
static ga_status index_texts(evaluator *v)
{
    ga_buf all;
    size_t *end = ga__calloc(v->G + 1, sizeof(*end));
    ga_str *text = ga__calloc(v->G, sizeof(*text));
    ga_status rc = GA_OK;
    ga__buf_init(&all, SIZE_MAX / 2);
    if (!end || !text)
        rc = ga__fail_nomem(v->err, v->G * sizeof(*text));
    for (size_t g = 0; g < v->G && !rc; g++) {
        ga_guideline_view view;
        rc = ga_pack_guideline(v->e->pack, g, &view, v->err);
        if (!rc)
            rc = ga__render_guideline(view.title, view.text, &all, v->err);
        end[g + 1] = all.len;
    }
    for (size_t g = 0; g < v->G && !rc; g++)
        text[g] = (ga_str){all.ptr + end[g], end[g + 1] - end[g]};
    if (!rc && v->e->ranker == GA_RANKER_BM25)
        rc = ga__bm25_new(text, v->G, &v->bm25, v->err);
    for (size_t g = 0; g < v->G && !rc && v->e->ranker == GA_RANKER_TEXT; g++)
        rc = ga_encoder_embed(ga_pack_encoder(v->e->pack), v->e->scratch,
                              &text[g], 1, v->text + g * v->H, v->err);
    ga__buf_free(&all);
    free(text);
    free(end);
    return rc;
}

static ga_status rank(evaluator *v, ga_str prompt)
{
    const ga_evaluation *e = v->e;
    ga_status rc = GA_OK;
    if (e->ranker == GA_RANKER_PACK) {
        const ga_message m = {GA_ROLE_USER, prompt};
        rc = ga_rank(e->pack, e->scratch, &m, 1, v->order, v->estimates,
                     v->decision, v->err);
        for (size_t i = 0; i < v->G && !rc; i++)
            v->ordered[i] = (float)v->estimates[i];
        return rc;
    }
    if (e->ranker == GA_RANKER_BM25) {
        rc = ga__bm25_scores(v->bm25, prompt, v->scores, v->err);
    } else {
        rc = ga_encoder_embed(ga_pack_encoder(e->pack), e->scratch, &prompt, 1,
                              v->query, v->err);
        if (!rc)
            ga__kernels()->dot_rows(v->scores, v->text, v->G, v->query, v->H);
    }
    if (!rc)
        ga__index_top(v->scores, v->G, v->G, NULL, NULL, v->order);
    for (size_t i = 0; i < v->G && !rc; i++)
        v->ordered[i] = v->scores[v->order[i]];
    return rc;
}

static ga_status measure(evaluator *v, const ga_pair *p, ga_metrics *out)
{
    ga_status rc = rank(v, p->prompt);
    if (rc) {
        ga__error_prefix(v->err, "%s:%zu", p->file, p->line);
        return rc;
    }
    memset(v->grade, 0, v->G);
    for (size_t i = 0; i < p->positives.count; i++) {
        size_t g = ga__pack_find(v->e->pack, p->positives.items[i]);
        if (g != SIZE_MAX)
            v->grade[g] = p->grades[i];
    }
    ga__metrics_add(out, v->order, v->grade, v->G, v->e->k);
    return v->e->ranked
               ? v->e->ranked(v->e->arg, p, v->order, v->ordered, v->err)
               : GA_OK;
}

ga_status ga__evaluate(const ga_evaluation *e, const ga_pair_set *pairs,
                       ga_str split, ga_metrics *out, ga_error *err)
{
    evaluator v = {.e = e,
                   .G = ga_pack_count(e->pack),
                   .H = ga_encoder_dim(ga_pack_encoder(e->pack)),
                   .err = err};
    *out = (ga_metrics){0};
    v.text = ga__calloc(v.G, v.H * sizeof(*v.text));
    v.query = ga__calloc(v.H, sizeof(*v.query));
    v.scores = ga__calloc(v.G, sizeof(*v.scores));
    v.ordered = ga__calloc(v.G, sizeof(*v.ordered));
    v.estimates = ga__calloc(v.G, sizeof(*v.estimates));
    v.order = ga__calloc(v.G, sizeof(*v.order));
    v.grade = ga__calloc(v.G, 1);
    ga_status rc = ga_decision_new(&v.decision, err);
    if (!rc && (!v.text || !v.query || !v.scores || !v.ordered ||
                !v.estimates || !v.order || !v.grade))
        rc = ga__fail_nomem(err, v.G * v.H * sizeof(*v.text));
    if (!rc && e->ranker != GA_RANKER_PACK)
        rc = index_texts(&v);
    for (size_t i = 0; i < pairs->count && !rc; i++) {
        if (split.len == 0 || ga__str_equal(pairs->items[i].split, split))
            rc = measure(&v, &pairs->items[i], out);
    }
    ga__metrics_finish(out);
    ga__bm25_free(v.bm25);
    ga_decision_free(v.decision);
    free(v.grade);
    free(v.order);
    free(v.estimates);
    free(v.ordered);
    free(v.scores);
    free(v.query);
    free(v.text);
    return rc;
}
