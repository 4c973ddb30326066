/* surface_alike.c: all pairs of sets that have much in common. */
#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "library/surface.h"

typedef struct {
    uint64_t item;
    uint32_t set;
    uint32_t often; /* sets that hold the item */
} member;

typedef struct {
    member *m; /* [n] */
    size_t n;
    uint64_t *pair; /* i << 32 | j */
    size_t pairs, cap;
} search;

static int by_item(const void *a, const void *b)
{
    const member *x = a, *y = b;
    if (x->item != y->item)
        return x->item < y->item ? -1 : 1;
    return (x->set > y->set) - (x->set < y->set);
}

static int by_set_and_rarity(const void *a, const void *b)
{
    const member *x = a, *y = b;
    if (x->set != y->set)
        return x->set < y->set ? -1 : 1;
    if (x->often != y->often)
        return x->often < y->often ? -1 : 1;
    return (x->item > y->item) - (x->item < y->item);
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* The end of the run of members with the item of m[i]. */
static size_t run_end(const search *s, size_t i)
{
    size_t end = i + 1;
    while (end < s->n && s->m[end].item == s->m[i].item)
        end++;
    return end;
}

static ga_status list_members(search *s, const ga_surface_sets *sets,
                              ga_error *err)
{
    size_t n = sets->at[sets->count];
    if (sets->count > UINT32_MAX)
        return ga__fail(err, GA_LIMIT, "%zu sets", sets->count);
    s->m = ga__calloc(n, sizeof(*s->m));
    if (!s->m)
        return ga__fail_nomem(err, n * sizeof(*s->m));
    s->n = n;
    for (size_t i = 0; i < sets->count; i++) {
        for (size_t k = sets->at[i]; k < sets->at[i + 1]; k++)
            s->m[k] = (member){.item = sets->item[k], .set = (uint32_t)i};
    }
    qsort(s->m, s->n, sizeof(*s->m), by_item);
    for (size_t i = 0, end; i < s->n; i = end) {
        end = run_end(s, i);
        for (size_t k = i; k < end; k++)
            s->m[k].often = (uint32_t)(end - i);
    }
    return GA_OK;
}

/* Of a set of n items that shares J of the union with another, at least
 * ceil(J n) are shared, so the rarest n - ceil(J n) + 1 hold one of them. */
static void keep_prefixes(search *s, double least)
{
    size_t kept = 0;
    qsort(s->m, s->n, sizeof(*s->m), by_set_and_rarity);
    for (size_t i = 0, end; i < s->n; i = end) {
        for (end = i; end < s->n && s->m[end].set == s->m[i].set; end++)
            ;
        size_t n = end - i;
        size_t shared = (size_t)ceil(least * (double)n - 1e-9);
        for (size_t k = i; k < i + n - shared + 1 && k < end; k++)
            s->m[kept++] = s->m[k];
    }
    s->n = kept;
}

static ga_status list_pairs(search *s, ga_error *err)
{
    qsort(s->m, s->n, sizeof(*s->m), by_item);
    for (size_t i = 0, end; i < s->n; i = end) {
        end = run_end(s, i);
        size_t more = (end - i) * (end - i - 1) / 2;
        void *pair = s->pair;
        if (!ga__grow(&pair, &s->cap, s->pairs + more, sizeof(*s->pair)))
            return ga__fail_nomem(err, (s->pairs + more) * sizeof(*s->pair));
        s->pair = pair;
        for (size_t a = i; a < end; a++) {
            for (size_t b = a + 1; b < end; b++)
                s->pair[s->pairs++] = (uint64_t)s->m[a].set << 32 | s->m[b].set;
        }
    }
    if (s->pairs > 0)
        qsort(s->pair, s->pairs, sizeof(*s->pair), by_number);
    return GA_OK;
}

ga_status ga__surface_alike(const ga_surface_sets *sets, double least,
                            ga_surface_pair_fn fn, void *arg, ga_error *err)
{
    search s = {0};
    ga_status rc = list_members(&s, sets, err);
    if (!rc) {
        keep_prefixes(&s, least);
        rc = list_pairs(&s, err);
    }
    for (size_t p = 0; p < s.pairs && !rc; p++) {
        if (p > 0 && s.pair[p] == s.pair[p - 1])
            continue;
        size_t i = (size_t)(s.pair[p] >> 32), j = s.pair[p] & UINT32_MAX;
        size_t ni = sets->at[i + 1] - sets->at[i];
        size_t nj = sets->at[j + 1] - sets->at[j];
        size_t shared = ga__surface_shared(sets->item + sets->at[i], ni,
                                           sets->item + sets->at[j], nj);
        double jaccard = (double)shared / (double)(ni + nj - shared);
        if (jaccard >= least)
            rc = fn(arg, i, j, jaccard, err);
    }
    free(s.pair);
    free(s.m);
    return rc;
}

typedef struct {
    uint64_t number;
    size_t index;
} keyed;

static int by_number_and_index(const void *a, const void *b)
{
    const keyed *x = a, *y = b;
    if (x->number != y->number)
        return x->number < y->number ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

ga_status ga__surface_same(const uint64_t *numbers, size_t n,
                           ga_surface_pair_fn fn, void *arg, ga_error *err)
{
    ga_status rc = GA_OK;
    keyed *k = ga__calloc(n, sizeof(*k));
    if (!k)
        return ga__fail_nomem(err, n * sizeof(*k));
    for (size_t i = 0; i < n; i++)
        k[i] = (keyed){numbers[i], i};
    qsort(k, n, sizeof(*k), by_number_and_index);
    for (size_t i = 1; i < n && !rc; i++) {
        if (k[i].number == k[i - 1].number)
            rc = fn(arg, k[i - 1].index, k[i].index, 1, err);
    }
    free(k);
    return rc;
}
