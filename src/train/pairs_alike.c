/* pairs_alike.c: prompts that are too much like others to count twice, or to
 * be measured by. */
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "train/pairs_check_internal.h"

enum { SEQUENCE = 3 };

static const ga_str nowhere = {NULL, 0};

/* The prompts of the pairs and, behind them, the examples of the guidelines. */
typedef struct {
    ga_pairs_checker *c;
    size_t P, n;     /* P prompts of n texts */
    uint64_t *whole; /* [n], a text as one number */
    size_t *owner;   /* [n], the guideline of an example */
    uint64_t *item;
    size_t *at; /* [n + 1] */
} texts;

static void add(texts *t, const ga_surface *s, size_t owner)
{
    size_t i = t->n++;
    t->whole[i] = ga__surface_sequence(s, 0, s->count);
    t->owner[i] = owner;
    t->at[i + 1] =
        t->at[i] + ga__surface_sequences(s, SEQUENCE, t->item + t->at[i]);
}

static size_t count_examples(const ga_guideline *g, size_t *bytes)
{
    for (size_t i = 0; i < g->triggers.count; i++)
        *bytes += g->triggers.items[i].len;
    for (size_t i = 0; i < g->non_triggers.count; i++)
        *bytes += g->non_triggers.items[i].len;
    return g->triggers.count + g->non_triggers.count;
}

static ga_status gather(texts *t)
{
    ga_pairs_checker *c = t->c;
    size_t P = c->pairs->count, n = P, items = 0;
    ga_status rc = GA_OK;
    for (size_t i = 0; i < P; i++)
        items += c->prompt[i].count;
    for (size_t g = 0; g < c->G; g++)
        n += count_examples(&c->g[g], &items); /* a word has a byte */
    t->P = P;
    t->whole = ga__calloc(n, sizeof(*t->whole));
    t->owner = ga__calloc(n, sizeof(*t->owner));
    t->item = ga__calloc(items, sizeof(*t->item));
    t->at = ga__calloc(n + 1, sizeof(*t->at));
    if (!t->whole || !t->owner || !t->item || !t->at)
        return ga__fail_nomem(c->err, items * sizeof(*t->item));
    for (size_t i = 0; i < P; i++)
        add(t, &c->prompt[i], SIZE_MAX);
    for (size_t g = 0; g < c->G && !rc; g++) {
        for (int near = 0; near < 2; near++) {
            ga_str_list list = near ? c->g[g].non_triggers : c->g[g].triggers;
            for (size_t i = 0; i < list.count && !rc; i++) {
                ga_surface s;
                rc = ga__surface_of(&s, list.items[i], &c->arena, c->err);
                if (!rc)
                    add(t, &s, g);
            }
        }
    }
    return rc;
}

/* Which text it is, for a message. */
static void name_text(const texts *t, size_t i, char out[256])
{
    const ga_pairs_checker *c = t->c;
    if (i < t->P)
        snprintf(out, 256, "%s:%zu", c->pairs->items[i].file,
                 c->pairs->items[i].line);
    else
        snprintf(out, 256, "an example of '%.*s'",
                 (int)c->g[t->owner[i]].id.len, c->g[t->owner[i]].id.ptr);
}

static bool held_out(const texts *t, size_t i)
{
    return i < t->P && !ga__pair_trains(&t->c->pairs->items[i]);
}

/* i < j */
static ga_status report_alike(void *arg, size_t i, size_t j, double jaccard,
                              ga_error *err)
{
    const texts *t = arg;
    (void)err; /* the checker has it */
    bool leaks = held_out(t, i) != held_out(t, j);
    size_t mine = held_out(t, i) ? i : j, its = mine == i ? j : i;
    char name[256];
    if (!leaks || t->whole[i] == t->whole[j])
        return GA_OK; /* those are found as the same */
    name_text(t, its, name);
    return ga__pairs_note(t->c, GA_PAIRS_prompt_leak, &t->c->pairs->items[mine],
                          nowhere,
                          "is held out and shares %.0f %% of its words with %s",
                          100 * jaccard, name);
}

static ga_status report_same(void *arg, size_t i, size_t j, double jaccard,
                             ga_error *err)
{
    const texts *t = arg;
    char name[256];
    (void)jaccard;
    (void)err;
    if (i >= t->P) /* two examples: the library's business */
        return GA_OK;
    name_text(t, j, name);
    return ga__pairs_note(t->c, GA_PAIRS_same_prompt, &t->c->pairs->items[i],
                          nowhere, "the prompt is also %s", name);
}

/* ---- within a type ---- */

typedef struct {
    ga_str type; /* the first risk or topic of the first positive */
    size_t index;
} typed;

static ga_str type_of(const ga_pairs_checker *c, const ga_pair *p)
{
    for (size_t i = 0; i < p->positives.count; i++) {
        size_t g = ga__pairs_guideline(c, p->positives.items[i]);
        if (g < c->G && c->g[g].risks.count > 0)
            return c->g[g].risks.items[0];
        if (g < c->G && c->g[g].topics.count > 0)
            return c->g[g].topics.items[0];
    }
    return p->kind;
}

static int by_type(const void *a, const void *b)
{
    const typed *x = a, *y = b;
    int c = ga__str_compare(x->type, y->type);
    return c ? c : (x->index > y->index) - (x->index < y->index);
}

/* All pairs of list[from, to), which are of one type. */
static ga_status compare_type(ga_pairs_checker *c, const typed *list,
                              size_t from, size_t to)
{
    ga_arena arena = GA_ARENA_INIT;
    ga_status rc = GA_OK;
    for (size_t i = from; i < to && !rc; i++) {
        const ga_surface *a = &c->prompt[list[i].index];
        ga_lcs lcs;
        ga__arena_reset(&arena);
        rc = ga__lcs_prepare(&lcs, a, &arena, c->err);
        for (size_t j = i + 1; j < to && !rc; j++) {
            const ga_surface *b = &c->prompt[list[j].index];
            size_t less = a->count < b->count ? a->count : b->count;
            double most =
                2.0 * (double)less / (double)(a->count + b->count + 1);
            if (most <= c->o->rouge)
                continue; /* their lengths alone keep them apart */
            double rouge = ga__lcs_rouge(&lcs, b);
            const ga_pair *other = &c->pairs->items[list[j].index];
            if (rouge > c->o->rouge)
                rc = ga__pairs_note(c, GA_PAIRS_similar_prompt,
                                    &c->pairs->items[list[i].index], nowhere,
                                    "ROUGE-L %.2f to %s:%zu, of type '%.*s'",
                                    rouge, other->file, other->line,
                                    (int)list[i].type.len, list[i].type.ptr);
        }
    }
    ga__arena_free(&arena);
    return rc;
}

static ga_status check_types(ga_pairs_checker *c)
{
    size_t n = c->pairs->count;
    ga_status rc = GA_OK;
    typed *list = ga__calloc(n, sizeof(*list));
    if (!list)
        return ga__fail_nomem(c->err, n * sizeof(*list));
    for (size_t i = 0; i < n; i++)
        list[i] = (typed){type_of(c, &c->pairs->items[i]), i};
    qsort(list, n, sizeof(*list), by_type);
    for (size_t from = 0, to; from < n && !rc; from = to) {
        for (to = from; to < n && ga__str_equal(list[to].type, list[from].type);
             to++)
            ;
        rc = compare_type(c, list, from, to);
    }
    free(list);
    return rc;
}

ga_status ga__pairs_check_alike(ga_pairs_checker *c)
{
    texts t = {.c = c};
    ga_status rc = gather(&t);
    const ga_surface_sets sets = {t.item, t.at, t.n};
    if (!rc)
        rc = ga__surface_same(t.whole, t.n, report_same, &t, c->err);
    if (!rc)
        rc = ga__surface_alike(&sets, c->o->leak, report_alike, &t, c->err);
    free(t.at);
    free(t.item);
    free(t.owner);
    free(t.whole);
    return rc ? rc : check_types(c);
}
