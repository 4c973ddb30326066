/* guide.c: from a conversation to the guidelines it needs.
 *
 * views -> embeddings -> scores -> candidates above the threshold -> few that
 * fit, differ and stay within the budget. */
#include "guide/guide_internal.h"

#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "index/index.h"
#include "pack/pack.h"
#include "pack/score.h"

/* From so many guidelines on, most are ruled out by their codes before any is
 * scored: below, scoring them all is as quick. */
enum { MANY = 4096 };

/* What one call works with; all arrays lie in the decision's arena. */
typedef struct {
    const ga_pack_view *pack;
    const ga_kernels *kernels;
    const ga_guide_options *options; /* NULL when ranking */
    ga_decision *d;
    float *queries; /* [V, H] */
    float *scores;  /* [G], raw; -INFINITY where none can matter */
} call;

ga_status ga_decision_new(ga_decision **out, ga_error *err)
{
    *out = ga__calloc(1, sizeof(**out));
    if (!*out)
        return ga__fail_nomem(err, sizeof(**out));
    (*out)->state = GA_DECISION_SKIPPED;
    return GA_OK;
}

void ga_decision_free(ga_decision *d)
{
    if (!d)
        return;
    ga__arena_free(&d->arena);
    ga__buf_free(&d->text);
    free(d);
}

static ga_status check_messages(const ga_message *messages, size_t n,
                                ga_error *err)
{
    if (n > 0 && !messages)
        return ga__fail(err, GA_INVAL, "messages are NULL");
    if (n > GA_MAX_MESSAGES)
        return ga__fail(err, GA_LIMIT, "%zu messages, the limit is %u", n,
                        GA_MAX_MESSAGES);
    for (size_t i = 0; i < n; i++) {
        ga_str text = messages[i].text;
        if (text.len > GA_MAX_TEXT_BYTES)
            return ga__fail(err, GA_LIMIT,
                            "message %zu has %zu bytes, the limit is %u", i,
                            text.len, GA_MAX_TEXT_BYTES);
        if (text.len > 0 && !text.ptr)
            return ga__fail(err, GA_INVAL, "message %zu is NULL", i);
        size_t bad = ga__utf8_invalid_at(text);
        if (bad < text.len)
            return ga__fail(err, GA_INVAL,
                            "message %zu is invalid UTF-8 at byte %zu", i, bad);
    }
    return GA_OK;
}

/* The risk head: a logistic regression a type, on the riskiest view. */
static void score_risks(call *c)
{
    const ga_pack_view *p = c->pack;
    for (size_t r = 0; r <= GA_RISK_COUNT; r++) {
        const float *w = p->risk_head + r * (p->dim + 1);
        float best = -INFINITY;
        for (size_t v = 0; v < c->d->view_count; v++) {
            float s = c->kernels->dot(c->queries + v * p->dim, w, p->dim);
            best = s > best ? s : best;
        }
        double risk = ga__logistic((double)(best + w[p->dim]));
        if (r == 0)
            c->d->unsafe = risk;
        else
            c->d->risks[r - 1] = risk;
    }
}

/* Nothing of an earlier call, nor of one that failed, is left. */
static void forget(ga_decision *d)
{
    d->state = GA_DECISION_SKIPPED;
    d->candidates = NULL;
    d->chosen = d->count = 0;
    d->unsafe = 0;
    memset(d->risks, 0, sizeof(d->risks));
    d->tokens = 0;
    d->microseconds = 0;
}

/* Does one of the request's scopes stand in the row's list of lines? */
static bool scope_fits(const call *c, const ga_pack_row *row)
{
    if (row->scope_len == 0)
        return true;
    const char *p = c->pack->strings + row->scope_at, *end = p + row->scope_len;
    while (p < end) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        ga_str name = {p, (size_t)((newline ? newline : end) - p)};
        for (size_t i = 0; i < c->options->scope_count; i++) {
            if (ga__str_equal(name, c->options->scopes[i]))
                return true;
        }
        p = newline ? newline + 1 : end;
    }
    return false;
}

static bool is_pinned(const call *c, size_t g)
{
    for (size_t i = 0; i < c->options->pinned_count; i++) {
        const ga_pack_row *row = &c->pack->rows[g];
        ga_str id = {c->pack->strings + row->id_at, row->id_len};
        if (ga__str_equal(id, c->options->pinned[i]))
            return true;
    }
    return false;
}

/* May it be chosen if its score is high enough? */
static bool is_offered(const void *arg, size_t g)
{
    const call *c = arg;
    return scope_fits(c, &c->pack->rows[g]) && !is_pinned(c, g);
}

/* The least estimate that a guideline of this kind is a candidate with. */
static double least_estimate(const call *c, ga_guideline_kind kind)
{
    const ga_pack_calibration *cal = &c->pack->calibration;
    if (c->options->threshold >= 0)
        return c->options->threshold;
    return kind == GA_GUIDELINE_QUALITY ? (double)cal->threshold
                                        : (double)cal->safety_threshold;
}

/* The raw score below which no estimate reaches the least; a little less, so
 * that rounding rules nothing out. */
static float least_raw(const call *c)
{
    const ga_pack_calibration *cal = &c->pack->calibration;
    double p = fmin(least_estimate(c, GA_GUIDELINE_QUALITY),
                    least_estimate(c, GA_GUIDELINE_SAFETY));
    if (!(p > 0) || !(p < 1) || !(cal->scale > 0))
        return -INFINITY;
    double raw = (log(p / (1 - p)) - (double)cal->offset) / (double)cal->scale;
    return (float)(raw - 1e-3 * (1 + fabs(raw)));
}

static ga_status score_guidelines(call *c, ga_error *err)
{
    const ga_pack_view *p = c->pack;
    size_t V = c->d->view_count;
    if (!c->options || p->count < MANY) {
        ga__index_scores(c->kernels, p->vectors, p->biases, p->count, p->dim,
                         c->queries, V, c->scores);
        return GA_OK;
    }
    size_t bytes = ga__index_scratch(&p->index, V);
    void *scratch = ga__arena_alloc(&c->d->arena, bytes, 1);
    if (!scratch)
        return ga__fail_nomem(err, bytes);
    /* with a threshold for each kind, the best few may not reach theirs and
     * must not rule out others that do */
    size_t k = c->options->threshold >= 0 ? GA__CANDIDATES : 0;
    ga__index_best_scores(c->kernels, &p->index, c->queries, V, k, least_raw(c),
                          is_offered, c, scratch, c->scores);
    return GA_OK;
}

/* Everything up to the scores; leaves the state SKIPPED without a query. */
static ga_status score_conversation(call *c, const ga_pack *pack, ga_scratch *s,
                                    const ga_message *messages, size_t n,
                                    ga_error *err)
{
    ga_decision *d = c->d;
    forget(d);
    ga__arena_reset(&d->arena);
    ga_status rc = check_messages(messages, n, err);
    if (!rc)
        rc = ga__guide_views(messages, n, d, err);
    if (rc || d->view_count == 0)
        return rc;
    size_t H = c->pack->dim, G = c->pack->count;
    c->queries =
        ga__arena_alloc(&d->arena, d->view_count * H, sizeof(*c->queries));
    c->scores = ga__arena_alloc(&d->arena, G, sizeof(*c->scores));
    if (!c->queries || !c->scores)
        return ga__fail_nomem(err, G * sizeof(*c->scores));
    rc = ga_encoder_embed(ga_pack_encoder(pack), s, d->views, d->view_count,
                          c->queries, err);
    if (rc)
        return rc;
    rc = score_guidelines(c, err);
    if (rc)
        return rc;
    score_risks(c);
    d->state = GA_DECISION_NONE;
    return GA_OK;
}

static bool may_be_candidate(const void *arg, size_t g)
{
    const call *c = arg;
    return ga__pack_score(&c->pack->calibration, c->scores[g]) >=
               least_estimate(c, c->pack->rows[g].kind) &&
           is_offered(c, g);
}

static bool is_candidate(const ga_decision *d, size_t g)
{
    for (size_t i = 0; i < d->count; i++) {
        if (d->candidates[i].index == g)
            return true;
    }
    return false;
}

/* Pinned guidelines first, in the order given, then the best others; the pinned
 * ones alone where there is no query to score by. */
static ga_status find_candidates(call *c, const ga_pack *pack, ga_error *err)
{
    ga_decision *d = c->d;
    size_t pinned = c->options->pinned_count;
    uint32_t best[GA__CANDIDATES];
    if (pinned > GA_MAX_K)
        return ga__fail(err, GA_INVAL, "%zu pinned guidelines, the limit is %u",
                        pinned, GA_MAX_K);
    d->candidates = ga__arena_alloc(&d->arena, pinned + GA__CANDIDATES,
                                    sizeof(*d->candidates));
    if (!d->candidates)
        return ga__fail_nomem(err, GA__CANDIDATES * sizeof(*d->candidates));
    for (size_t i = 0; i < pinned; i++) {
        ga_str id = c->options->pinned[i];
        size_t g = ga__pack_find(pack, id);
        if (g == SIZE_MAX) {
            ga_str shown = {id.ptr, ga__utf8_invalid_at(id)};
            return ga__fail(
                err, GA_NOTFOUND, "the pack has no guideline '%.*s' to pin",
                (int)ga__utf8_prefix(shown, GA_MAX_ID_BYTES), shown.ptr);
        }
        if (!is_candidate(d, g)) /* pinned twice is pinned */
            d->candidates[d->count++] =
                (ga_candidate){.index = g, .pinned = true};
    }
    if (!c->scores)
        return GA_OK;
    size_t n = ga__index_top(c->scores, c->pack->count, GA__CANDIDATES,
                             may_be_candidate, c, best);
    for (size_t i = 0; i < n; i++)
        d->candidates[d->count++] = (ga_candidate){.index = best[i]};
    for (size_t i = 0; i < d->count; i++) {
        size_t g = d->candidates[i].index;
        float raw = c->scores[g];
        if (d->candidates[i].pinned) /* it may have been ruled out */
            ga__index_scores(c->kernels, c->pack->vectors + g * c->pack->dim,
                             c->pack->biases + g, 1, c->pack->dim, c->queries,
                             d->view_count, &raw);
        d->candidates[i].score = ga__pack_score(&c->pack->calibration, raw);
    }
    return GA_OK;
}

/* How like the guidelines chosen so far one is, 0 to 1. */
static double likeness(const call *c, size_t g)
{
    const ga_pack_view *p = c->pack;
    float most = 0;
    for (size_t i = 0; i < c->d->chosen; i++) {
        size_t other = c->d->candidates[i].index;
        float cosine = ga__index_cosine(c->kernels, p->vectors + g * p->dim,
                                        p->vectors + other * p->dim, p->dim);
        most = cosine > most ? cosine : most;
    }
    return (double)most;
}

/* Marginal relevance (Carbonell and Goldstein, 1998) of a candidate.  Among
 * equals the one that matters more goes first. */
static double relevance(const call *c, const ga_candidate *candidate)
{
    double diversity = c->options->diversity;
    double priority = c->pack->rows[candidate->index].priority;
    return (1 - diversity) * candidate->score -
           diversity * likeness(c, candidate->index) + 0.01 * (priority - 5);
}

static ga_verdict judge(const call *c, const ga_candidate *candidate)
{
    const ga_decision *d = c->d;
    const ga_pack_row *row = &c->pack->rows[candidate->index];
    if (row->kind == GA_GUIDELINE_PERMIT &&
        d->unsafe >= (double)c->pack->calibration.risky)
        return GA_DROPPED_RISK;
    for (size_t i = 0; i < d->chosen; i++) {
        if (c->pack->rows[d->candidates[i].index].cluster == row->cluster)
            return GA_DROPPED_DUPLICATE;
    }
    if (d->chosen >= c->options->k)
        return GA_DROPPED_COUNT;
    if (d->tokens + row->tokens > c->options->budget)
        return GA_DROPPED_BUDGET;
    return GA_CHOSEN;
}

/* Move candidate i to the end of the chosen ones, keeping the others' order. */
static void choose(ga_decision *d, size_t i)
{
    ga_candidate chosen = d->candidates[i];
    memmove(&d->candidates[d->chosen + 1], &d->candidates[d->chosen],
            (i - d->chosen) * sizeof(chosen));
    d->candidates[d->chosen++] = chosen;
}

static void select_few(call *c)
{
    ga_decision *d = c->d;
    bool judged[GA_MAX_K + GA__CANDIDATES] = {false};
    for (size_t i = 0; i < d->count && d->candidates[i].pinned; i++) {
        d->tokens += c->pack->rows[d->candidates[i].index].tokens;
        choose(d, i);
    }
    for (size_t left = d->count - d->chosen; left > 0; left--) {
        size_t best = d->count;
        double most = -INFINITY;
        for (size_t i = d->chosen; i < d->count; i++) {
            double r = judged[i] ? -INFINITY : relevance(c, &d->candidates[i]);
            if (r > most) {
                most = r;
                best = i;
            }
        }
        ga_candidate *candidate = &d->candidates[best];
        candidate->verdict = judge(c, candidate);
        judged[best] = true;
        if (candidate->verdict == GA_CHOSEN) {
            d->tokens += c->pack->rows[candidate->index].tokens;
            /* the flags move with the candidates */
            memmove(&judged[d->chosen + 1], &judged[d->chosen],
                    (best - d->chosen) * sizeof(*judged));
            judged[d->chosen] = true;
            choose(d, best);
        }
    }
    if (d->chosen > 0)
        d->state = GA_DECISION_GUIDED;
}

ga_status ga_guide(const ga_pack *pack, ga_scratch *s,
                   const ga_message *messages, size_t n,
                   const ga_guide_options *options, ga_decision *decision,
                   ga_error *err)
{
    if (!pack || !s || !options || !decision)
        return ga__fail(err, GA_INVAL, "ga_guide: NULL argument");
    uint64_t start = ga__now_ns();
    call c = {.pack = ga__pack_view(pack),
              .kernels = ga__kernels(),
              .options = options,
              .d = decision};
    ga_status rc = ga__guide_check_options(options, err);
    if (!rc)
        rc = score_conversation(&c, pack, s, messages, n, err);
    if (!rc)
        rc = find_candidates(&c, pack, err);
    if (rc) {
        forget(decision);
        return rc;
    }
    select_few(&c);
    decision->microseconds = (ga__now_ns() - start) / 1000;
    return GA_OK;
}

ga_status ga_rank(const ga_pack *pack, ga_scratch *s,
                  const ga_message *messages, size_t n, uint32_t *order,
                  double *scores, ga_decision *decision, ga_error *err)
{
    if (!pack || !s || !order || !scores || !decision)
        return ga__fail(err, GA_INVAL, "ga_rank: NULL argument");
    uint64_t start = ga__now_ns();
    call c = {
        .pack = ga__pack_view(pack), .kernels = ga__kernels(), .d = decision};
    ga_status rc = score_conversation(&c, pack, s, messages, n, err);
    if (rc) {
        forget(decision);
        return rc;
    }
    size_t G = c.pack->count;
    if (!c.scores) { /* skipped */
        for (size_t g = 0; g < G; g++) {
            order[g] = (uint32_t)g;
            scores[g] = 0;
        }
    } else {
        ga__index_top(c.scores, G, G, NULL, NULL, order);
        for (size_t g = 0; g < G; g++)
            scores[g] =
                ga__pack_score(&c.pack->calibration, c.scores[order[g]]);
    }
    decision->microseconds = (ga__now_ns() - start) / 1000;
    return GA_OK;
}

ga_decision_state ga_decision_get_state(const ga_decision *d)
{
    return d->state;
}

const ga_candidate *ga_decision_candidates(const ga_decision *d, size_t *chosen,
                                           size_t *count)
{
    if (chosen)
        *chosen = d->chosen;
    if (count)
        *count = d->count;
    return d->candidates;
}

double ga_decision_unsafe(const ga_decision *d)
{
    return d->unsafe;
}

double ga_decision_risk(const ga_decision *d, size_t i)
{
    return i < GA_RISK_COUNT ? d->risks[i] : 0;
}

uint32_t ga_decision_tokens(const ga_decision *d)
{
    return d->tokens;
}

uint64_t ga_decision_microseconds(const ga_decision *d)
{
    return d->microseconds;
}
