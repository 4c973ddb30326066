/* pairs_check.c: labels, splits and statistics of pairs. */
#include "train/pairs_check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/limits.h"
#include "train/pairs_check_internal.h"

static const struct {
    const char *name;
    bool is_error;
} checks[] = {
#define GA_PAIRS_CHECK_ROW(name, is_error) {#name, is_error},
    GA_PAIRS_CHECK_MAP(GA_PAIRS_CHECK_ROW)
#undef GA_PAIRS_CHECK_ROW
};

const char *ga__pairs_check_name(ga_pairs_check check)
{
    return checks[check].name;
}

bool ga__pairs_check_is_error(ga_pairs_check check)
{
    return checks[check].is_error;
}

void ga__pairs_check_options_init(ga_pairs_check_options *options)
{
    *options = (ga_pairs_check_options){
        .leak = 0.4, .rouge = 0.7, .own_words = 4, .bench_words = 8};
}

static char *keep(ga_pairs_checker *c, const char *text)
{
    size_t n = strlen(text) + 1;
    char *copy = ga__arena_alloc(&c->report->arena, n, 1);
    if (copy)
        memcpy(copy, text, n);
    return copy;
}

ga_status ga__pairs_note(ga_pairs_checker *c, ga_pairs_check check,
                         const ga_pair *pair, ga_str where, const char *format,
                         ...)
{
    char message[512], place[512];
    ga_pairs_report *r = c->report;
    void *items = r->items;
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    if (pair)
        snprintf(place, sizeof(place), "%s:%zu", pair->file, pair->line);
    else
        snprintf(place, sizeof(place), "%.*s", (int)where.len, where.ptr);
    r->by_check[check]++;
    if (!ga__grow(&items, &r->cap, r->count + 1, sizeof(*r->items)))
        return ga__fail_nomem(c->err, r->count * sizeof(*r->items));
    r->items = items;
    ga_pairs_finding *f = &r->items[r->count];
    *f = (ga_pairs_finding){check, keep(c, place), keep(c, message)};
    if (!f->where || !f->message)
        return ga__fail_nomem(c->err, sizeof(message));
    r->count++;
    return GA_OK;
}

static const ga_str nowhere = {NULL, 0};

void ga__pairs_report_free(ga_pairs_report *report)
{
    free(report->items);
    ga__arena_free(&report->arena);
    *report = GA_PAIRS_REPORT_INIT;
}

/* ---- guidelines by id ---- */

static int by_id(const void *a, const void *b)
{
    return ga__str_compare((*(const ga_guideline *const *)a)->id,
                           (*(const ga_guideline *const *)b)->id);
}

size_t ga__pairs_guideline(const ga_pairs_checker *c, ga_str id)
{
    const ga_guideline key = {.id = id}, *wanted = &key;
    const ga_guideline **found =
        c->G ? bsearch(&wanted, c->by_id, c->G, sizeof(*c->by_id), by_id)
             : NULL;
    return found ? (size_t)(*found - c->g) : c->G;
}

/* ---- labels ---- */

static bool holds(ga_str_list list, ga_str id)
{
    for (size_t i = 0; i < list.count; i++) {
        if (ga__str_equal(list.items[i], id))
            return true;
    }
    return false;
}

static ga_status check_ids(ga_pairs_checker *c, const ga_pair *p, uint8_t *used)
{
    ga_status rc = GA_OK;
    bool safety = false;
    for (size_t i = 0; i < p->positives.count && !rc; i++) {
        ga_str id = p->positives.items[i];
        size_t g = ga__pairs_guideline(c, id);
        if (g == c->G) {
            rc = ga__pairs_note(c, GA_PAIRS_unknown_guideline, p, nowhere,
                                "no guideline '%.*s'", (int)id.len, id.ptr);
            continue;
        }
        used[g] = 1;
        safety |= c->g[g].kind != GA_GUIDELINE_QUALITY;
        if (holds(p->negatives, id))
            rc = ga__pairs_note(c, GA_PAIRS_contradiction, p, nowhere,
                                "'%.*s' is positive and negative", (int)id.len,
                                id.ptr);
    }
    for (size_t i = 0; i < p->negatives.count && !rc; i++) {
        ga_str id = p->negatives.items[i];
        if (ga__pairs_guideline(c, id) == c->G)
            rc = ga__pairs_note(c, GA_PAIRS_unknown_guideline, p, nowhere,
                                "no guideline '%.*s'", (int)id.len, id.ptr);
    }
    bool ordinary = ga__str_is(p->kind, "ordinary");
    if (!rc && ordinary && safety)
        rc = ga__pairs_note(c, GA_PAIRS_no_positive, p, nowhere,
                            "an ordinary prompt with a safety guideline");
    if (!rc && p->positives.count == 0 &&
        (p->kind.len == 0 || ga__str_is(p->kind, "pair")))
        rc = ga__pairs_note(c, GA_PAIRS_no_positive, p, nowhere,
                            "a pair without a positive");
    return rc;
}

/* The share of the prompt's words that its first positive has too, and
 * whether there are many in a row. */
static ga_status check_overlap(ga_pairs_checker *c, size_t i, double *overlap)
{
    const ga_pair *p = &c->pairs->items[i];
    const ga_surface *prompt = &c->prompt[i];
    ga_status rc = GA_OK;
    *overlap = 0;
    for (size_t k = 0; k < p->positives.count && !rc; k++) {
        size_t g = ga__pairs_guideline(c, p->positives.items[k]);
        if (g == c->G)
            continue;
        ga_str both =
            ga__surface_common(p->prompt, prompt, &c->text[g], c->o->own_words);
        if (both.len > 0)
            rc = ga__pairs_note(c, GA_PAIRS_guideline_words, p, nowhere,
                                "has words of '%.*s': \"%.*s\"",
                                (int)c->g[g].id.len, c->g[g].id.ptr,
                                (int)both.len, both.ptr);
        for (size_t w = 0; k == 0 && w < prompt->count; w++) {
            size_t at = 0;
            while (at < c->text[g].count &&
                   c->text[g].hash[at] != prompt->hash[w])
                at++;
            *overlap += at < c->text[g].count;
        }
    }
    if (prompt->count > 0)
        *overlap /= (double)prompt->count;
    return rc;
}

/* ---- splits ---- */

typedef struct {
    ga_str cluster;
    const ga_pair *pair;
} clustered;

static int by_cluster(const void *a, const void *b)
{
    const clustered *x = a, *y = b;
    int c = ga__str_compare(x->cluster, y->cluster);
    return c ? c : ga__str_compare(x->pair->split, y->pair->split);
}

static ga_status check_clusters(ga_pairs_checker *c)
{
    size_t n = 0;
    ga_status rc = GA_OK;
    clustered *list = ga__calloc(c->pairs->count, sizeof(*list));
    if (!list)
        return ga__fail_nomem(c->err, c->pairs->count * sizeof(*list));
    for (size_t i = 0; i < c->pairs->count; i++) {
        const ga_pair *p = &c->pairs->items[i];
        if (p->cluster.len > 0)
            list[n++] = (clustered){p->cluster, p};
    }
    qsort(list, n, sizeof(*list), by_cluster);
    for (size_t i = 1; i < n && !rc; i++) {
        const ga_pair *a = list[i - 1].pair, *b = list[i].pair;
        if (ga__str_equal(a->cluster, b->cluster) &&
            !ga__str_equal(a->split, b->split))
            rc = ga__pairs_note(c, GA_PAIRS_cluster_leak, b, nowhere,
                                "cluster '%.*s' is in split '%.*s' and, at "
                                "%s:%zu, in '%.*s'",
                                (int)b->cluster.len, b->cluster.ptr,
                                (int)b->split.len, b->split.ptr, a->file,
                                a->line, (int)a->split.len, a->split.ptr);
    }
    free(list);
    return rc;
}

/* No held-out guideline may stand in a pair that is trained or tuned on. */
static ga_status check_held_out(ga_pairs_checker *c, const uint8_t *held_out)
{
    ga_status rc = GA_OK;
    for (size_t i = 0; i < c->pairs->count; i++) {
        const ga_pair *p = &c->pairs->items[i];
        if (!ga__pair_trains(p) && !ga__str_is(p->split, "dev"))
            continue;
        for (int turn = 0; turn < 2; turn++) {
            ga_str_list ids = turn ? p->negatives : p->positives;
            for (size_t k = 0; k < ids.count && !rc; k++) {
                size_t g = ga__pairs_guideline(c, ids.items[k]);
                if (g < c->G && held_out[g])
                    rc = ga__pairs_note(
                        c, GA_PAIRS_guideline_leak, p, nowhere,
                        "'%.*s' is held out and must not be trained on",
                        (int)ids.items[k].len, ids.items[k].ptr);
            }
        }
    }
    return rc;
}

typedef struct {
    ga_pairs_checker *c;
    uint8_t *held_out;
} marker;

static ga_status mark_held_out(void *arg, ga_str id, ga_error *err)
{
    const marker *m = arg;
    size_t g = ga__pairs_guideline(m->c, id);
    if (g == m->c->G)
        return ga__fail(err, GA_NOTFOUND, "no guideline '%.*s'",
                        (int)(id.len < 128 ? id.len : 128), id.ptr);
    m->held_out[g] = 1;
    return GA_OK;
}

static ga_status check_splits(ga_pairs_checker *c)
{
    uint8_t *held_out = ga__calloc(c->G, 1);
    if (!held_out)
        return ga__fail_nomem(c->err, c->G);
    ga_status rc = GA_OK;
    if (c->o->held_out)
        rc = ga__held_out_read(c->o->held_out, mark_held_out,
                               &(marker){c, held_out}, c->err);
    if (!rc)
        rc = check_held_out(c, held_out);
    free(held_out);
    return rc ? rc : check_clusters(c);
}

/* ---- statistics ---- */

static void count_value(ga_pairs_counts *counts, ga_str name)
{
    size_t i = 0;
    while (i < counts->count && !ga__str_equal(counts->items[i].name, name))
        i++;
    if (i == counts->count) {
        if (i == GA_PAIRS_VALUES)
            return; /* so many are no longer worth a table */
        counts->items[counts->count++].name = name;
    }
    counts->items[i].count++;
}

static void count_pair(ga_pairs_report *r, const ga_pair *p, size_t words)
{
    r->pairs++;
    r->unsafe += p->unsafe;
    r->positives += p->positives.count;
    r->long_prompts += words > 20;
    r->words += (double)words;
    for (size_t i = 0; i < p->positives.count; i++)
        r->grades[p->grades[i]]++;
    for (size_t i = 0; i < p->risks.count; i++) {
        size_t risk = ga__risk_find(p->risks.items[i]);
        if (risk < GA_RISK_COUNT)
            r->risks[risk]++;
    }
    count_value(&r->split, p->split);
    count_value(&r->kind, p->kind);
    count_value(&r->form, p->form);
    count_value(&r->lang, p->lang);
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Of all 3-word sequences of all prompts, how many are different ones? */
static ga_status count_distinct(ga_pairs_checker *c)
{
    size_t n = 0, kinds = 0;
    for (size_t i = 0; i < c->pairs->count; i++)
        n += c->prompt[i].count >= 3 ? c->prompt[i].count - 2 : 0;
    uint64_t *all = ga__calloc(n, sizeof(*all)), *at = all;
    if (!all)
        return ga__fail_nomem(c->err, n * sizeof(*all));
    for (size_t i = 0; i < c->pairs->count; i++) {
        for (size_t w = 0; w + 3 <= c->prompt[i].count; w++)
            *at++ = ga__surface_sequence(&c->prompt[i], w, 3);
    }
    qsort(all, n, sizeof(*all), by_number);
    for (size_t i = 0; i < n; i++)
        kinds += i == 0 || all[i] != all[i - 1];
    c->report->distinct3 = n ? (double)kinds / (double)n : 0;
    free(all);
    return GA_OK;
}

/* ---- all of it ---- */

static ga_status prepare(ga_pairs_checker *c)
{
    ga_status rc = GA_OK;
    c->prompt = ga__calloc(c->pairs->count, sizeof(*c->prompt));
    c->text = ga__calloc(c->G, sizeof(*c->text));
    c->by_id = ga__calloc(c->G, sizeof(*c->by_id));
    if (!c->prompt || !c->text || !c->by_id)
        return ga__fail_nomem(c->err, c->pairs->count * sizeof(*c->prompt));
    for (size_t g = 0; g < c->G && !rc; g++) {
        c->by_id[g] = &c->g[g];
        rc = ga__surface_of(&c->text[g], c->g[g].text, &c->arena, c->err);
    }
    qsort(c->by_id, c->G, sizeof(*c->by_id), by_id);
    for (size_t i = 0; i < c->pairs->count && !rc; i++)
        rc = ga__surface_of(&c->prompt[i], c->pairs->items[i].prompt, &c->arena,
                            c->err);
    return rc;
}

static ga_status check_labels(ga_pairs_checker *c)
{
    ga_status rc = GA_OK;
    ga_pairs_report *r = c->report;
    uint8_t *used = ga__calloc(c->G, 1);
    if (!used)
        return ga__fail_nomem(c->err, c->G);
    for (size_t i = 0; i < c->pairs->count && !rc; i++) {
        double overlap = 0;
        rc = check_ids(c, &c->pairs->items[i], used);
        if (!rc)
            rc = check_overlap(c, i, &overlap);
        r->guideline_overlap += overlap;
        count_pair(r, &c->pairs->items[i], c->prompt[i].count);
    }
    double n = r->pairs ? (double)r->pairs : 1;
    r->guideline_overlap /= n;
    r->words /= n;
    for (size_t g = 0; g < c->G && !rc; g++) {
        if (!used[g])
            rc = ga__pairs_note(c, GA_PAIRS_unused_guideline, NULL, c->g[g].id,
                                "no pair has it as a positive");
    }
    free(used);
    return rc;
}

ga_status ga__pairs_check(const ga_pair_set *pairs, const ga_guideline *g,
                          size_t guidelines,
                          const ga_pairs_check_options *options,
                          ga_pairs_report *out, ga_error *err)
{
    ga_pairs_checker c = {.pairs = pairs,
                          .g = g,
                          .G = guidelines,
                          .o = options,
                          .report = out,
                          .err = err};
    ga_status rc = prepare(&c);
    if (!rc)
        rc = check_labels(&c);
    if (!rc)
        rc = count_distinct(&c);
    if (!rc)
        rc = check_splits(&c);
    if (!rc)
        rc = ga__pairs_check_alike(&c);
    if (!rc && options->against_count > 0)
        rc = ga__pairs_check_against(&c);
    ga__arena_free(&c.arena);
    free(c.by_id);
    free(c.text);
    free(c.prompt);
    return rc;
}
