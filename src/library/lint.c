/* lint.c: what can be told of a library by its words alone. */
#include "library/lint.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "library/lint_internal.h"

enum { SEQUENCE = 3 }; /* words that make texts alike when shared */

static const struct {
    const char *name;
    ga_lint_level level;
} checks[] = {
#define GA_LINT_ROW(name, level) {#name, GA_LINT_##level},
    GA_LINT_MAP(GA_LINT_ROW)
#undef GA_LINT_ROW
};

const char *ga__lint_name(ga_lint_check check)
{
    return checks[check].name;
}

ga_lint_level ga__lint_level(ga_lint_check check)
{
    return checks[check].level;
}

void ga__lint_options_init(ga_lint_options *options)
{
    *options = (ga_lint_options){
        .least_words = 5,
        .most_words = 80,
        .least_triggers = 8,
        .own_words = 4,
        .similar = 0.4,
        .same_meaning = 0.9,
    };
}

ga_status ga__lint_add(ga_linter *l, ga_lint_check check, size_t guideline,
                       size_t other, const char *format, ...)
{
    char message[1024];
    ga_lint_report *r = l->report;
    void *items = r->items;
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    size_t n = strlen(message) + 1;
    char *kept = ga__arena_alloc(&r->arena, n, 1);
    if (!kept || !ga__grow(&items, &r->cap, r->count + 1, sizeof(*r->items)))
        return ga__fail_nomem(l->err, n);
    memcpy(kept, message, n);
    r->items = items;
    r->items[r->count++] = (ga_lint_finding){check, guideline, other, kept};
    return GA_OK;
}

void ga__lint_free(ga_lint_report *report)
{
    free(report->items);
    ga__arena_free(&report->arena);
    *report = GA_LINT_REPORT_INIT;
}

/* ---- one guideline ---- */

/* Phrases that sound like guidance and leave the answer as it was. */
static const char *const empty_phrases[] = {
    "be careful",        "be respectful",
    "be mindful",        "be sensitive",
    "be appropriate",    "be helpful",
    "be honest",         "be ethical",
    "be polite",         "be professional",
    "be responsible",    "be accurate",
    "be clear",          "be safe",
    "be aware",          "use caution",
    "exercise caution",  "with caution",
    "handle with care",  "with care",
    "use good judgment", "use judgment",
    "use common sense",  "best practices",
    "follow the law",    "obey the law",
    "follow the rules",  "as appropriate",
    "when appropriate",  "if appropriate",
    "where appropriate", "appropriately",
    "as needed",         "when necessary",
    "if necessary",      "responsibly",
    "respectfully",      "ensure safety",
    "act ethically",     "high quality",
    "good answer",       "in a safe manner",
    "avoid harm",        "avoid harmful content",
    "harmful content",   "inappropriate content",
    "offensive content",
};
enum { EMPTY_PHRASES = sizeof(empty_phrases) / sizeof(*empty_phrases) };

/* Words of the text that stand in such a phrase; *which is the first. */
static ga_status count_empty(ga_linter *l, size_t g, size_t *words,
                             const char **which)
{
    const ga_surface *text = &l->text[g];
    *words = 0;
    for (size_t p = 0; p < EMPTY_PHRASES; p++) {
        ga_surface phrase;
        ga_status rc = ga__surface_of(&phrase, ga__str(empty_phrases[p]),
                                      &l->arena, l->err);
        if (rc)
            return rc;
        for (size_t i = 0; i + phrase.count <= text->count; i++) {
            if (memcmp(text->hash + i, phrase.hash,
                       phrase.count * sizeof(*phrase.hash)) != 0)
                continue;
            if (*words == 0)
                *which = empty_phrases[p];
            *words += phrase.count;
        }
    }
    *words = *words < text->count ? *words : text->count;
    return GA_OK;
}

static ga_status check_text(ga_linter *l, size_t g)
{
    const ga_guideline *in = &l->g[g];
    size_t n = l->text[g].count, empty;
    const char *which = "";
    ga_status rc = count_empty(l, g, &empty, &which);
    if (!rc && in->title.len == 0)
        rc = ga__lint_add(l, GA_LINT_no_title, g, GA_LINT_NONE,
                          "has no title: a few words that name it");
    if (!rc && n < l->o->least_words)
        rc = ga__lint_add(l, GA_LINT_short_text, g, GA_LINT_NONE,
                          "the text has %zu words: say what a good answer does "
                          "and when",
                          n);
    if (!rc && n > l->o->most_words)
        rc = ga__lint_add(l, GA_LINT_long_text, g, GA_LINT_NONE,
                          "the text has %zu words, over %zu: models follow "
                          "short guidelines better, so split it",
                          n, l->o->most_words);
    /* a phrase is harmless in a text that goes on to say something */
    if (!rc && empty > 0 && (4 * empty >= n || n < 10))
        rc = ga__lint_add(l, GA_LINT_vague, g, GA_LINT_NONE,
                          "\"%s\" says little and the text not much more: name "
                          "what to offer, ask, warn of or leave out",
                          which);
    return rc;
}

static ga_status check_examples(ga_linter *l, size_t g)
{
    const ga_guideline *in = &l->g[g];
    ga_status rc = GA_OK;
    if (in->triggers.count < l->o->least_triggers)
        rc = ga__lint_add(l, GA_LINT_few_triggers, g, GA_LINT_NONE,
                          "has %zu trigger prompts, fewer than %zu: it is "
                          "found by these rather than by its text",
                          in->triggers.count, l->o->least_triggers);
    if (!rc && in->non_triggers.count == 0)
        rc = ga__lint_add(l, GA_LINT_no_near_miss, g, GA_LINT_NONE,
                          "has no near miss: a prompt that looks like a case "
                          "for it and is none");
    for (size_t i = 0; i < in->triggers.count && !rc; i++) {
        ga_surface trigger;
        rc = ga__surface_of(&trigger, in->triggers.items[i], &l->arena, l->err);
        if (rc)
            break;
        ga_str both = ga__surface_common(in->text, &l->text[g], &trigger,
                                         l->o->own_words);
        if (both.len > 0)
            rc = ga__lint_add(l, GA_LINT_own_words, g, GA_LINT_NONE,
                              "trigger %zu repeats the text, \"%.*s\": users "
                              "do not know it",
                              i + 1, (int)both.len, both.ptr);
    }
    return rc;
}

/* ---- pairs ---- */

/* The texts or the prompts of the whole library, to be compared. */
typedef struct {
    ga_linter *l;
    ga_lint_check same, similar;
    const char *what;
    size_t *owner;   /* [count], the guideline */
    size_t *place;   /* [count], of its triggers and then its near misses */
    uint64_t *whole; /* [count], the text as one number */
    uint64_t *item;
    size_t *at; /* [count + 1] */
    size_t count;
} comparison;

static void take(comparison *c, const ga_surface *s, size_t owner, size_t place)
{
    size_t i = c->count++;
    c->owner[i] = owner;
    c->place[i] = place;
    c->whole[i] = ga__surface_sequence(s, 0, s->count);
    c->at[i + 1] =
        c->at[i] + ga__surface_sequences(s, SEQUENCE, c->item + c->at[i]);
}

static ga_status report_pair(void *arg, size_t i, size_t j, double jaccard,
                             ga_error *err)
{
    const comparison *c = arg;
    (void)err; /* the linter has it */
    const ga_guideline *other = &c->l->g[c->owner[i]];
    if (c->whole[i] == c->whole[j])
        return GA_OK; /* found already */
    if (c->similar == GA_LINT_similar_text)
        return ga__lint_add(c->l, c->similar, c->owner[j], c->owner[i],
                            "shares %.0f %% of its words with '%.*s': keep one",
                            100 * jaccard, (int)other->id.len, other->id.ptr);
    return ga__lint_add(c->l, c->similar, c->owner[j], c->owner[i],
                        "prompt %zu shares %.0f %% of its words with prompt "
                        "%zu of '%.*s': let them differ",
                        c->place[j] + 1, 100 * jaccard, c->place[i] + 1,
                        (int)other->id.len, other->id.ptr);
}

/* Also finds those too short for a sequence. */
static ga_status report_same(void *arg, size_t i, size_t j, double jaccard,
                             ga_error *err)
{
    const comparison *c = arg;
    ga_str id = c->l->g[c->owner[i]].id;
    (void)jaccard;
    (void)err; /* the linter has it */
    return ga__lint_add(c->l, c->same, c->owner[j], c->owner[i],
                        "%s stands word for word in '%.*s' too: remove one",
                        c->what, (int)id.len, id.ptr);
}

static ga_status compare(comparison *c)
{
    const ga_surface_sets sets = {c->item, c->at, c->count};
    ga_status rc =
        ga__surface_same(c->whole, c->count, report_same, c, c->l->err);
    return rc ? rc
              : ga__surface_alike(&sets, c->l->o->similar, report_pair, c,
                                  c->l->err);
}

static ga_status check_texts(ga_linter *l, comparison *c)
{
    for (size_t g = 0; g < l->G; g++)
        take(c, &l->text[g], g, 0);
    return compare(c);
}

static ga_status check_prompts(ga_linter *l, comparison *c)
{
    ga_status rc = GA_OK;
    for (size_t g = 0; g < l->G; g++) {
        size_t place = 0;
        for (int near = 0; near < 2; near++) {
            const ga_str_list *list =
                near ? &l->g[g].non_triggers : &l->g[g].triggers;
            for (size_t i = 0; i < list->count && !rc; i++) {
                ga_surface s;
                rc = ga__surface_of(&s, list->items[i], &l->arena, l->err);
                if (!rc)
                    take(c, &s, g, place++);
            }
        }
    }
    return rc ? rc : compare(c);
}

/* Room for all texts or all prompts, and the comparison. */
static ga_status run_comparison(ga_linter *l, bool prompts)
{
    size_t n = 0, bytes = 0;
    for (size_t g = 0; g < l->G; g++) {
        const ga_guideline *in = &l->g[g];
        n += prompts ? in->triggers.count + in->non_triggers.count : 1;
        bytes += prompts ? 0 : in->text.len;
        for (size_t i = 0; prompts && i < in->triggers.count; i++)
            bytes += in->triggers.items[i].len;
        for (size_t i = 0; prompts && i < in->non_triggers.count; i++)
            bytes += in->non_triggers.items[i].len;
    }
    comparison c = {
        .l = l,
        .same = prompts ? GA_LINT_same_prompt : GA_LINT_same_text,
        .similar = prompts ? GA_LINT_similar_prompt : GA_LINT_similar_text,
        .what = prompts ? "a prompt" : "the text",
        .owner = ga__calloc(n, sizeof(*c.owner)),
        .place = ga__calloc(n, sizeof(*c.place)),
        .whole = ga__calloc(n, sizeof(*c.whole)),
        .item = ga__calloc(bytes + n, sizeof(*c.item)), /* a word has a byte */
        .at = ga__calloc(n + 1, sizeof(*c.at)),
    };
    ga_status rc = GA_OK;
    if (!c.owner || !c.place || !c.whole || !c.item || !c.at)
        rc = ga__fail_nomem(l->err, bytes * sizeof(*c.item));
    else
        rc = prompts ? check_prompts(l, &c) : check_texts(l, &c);
    free(c.at);
    free(c.item);
    free(c.whole);
    free(c.place);
    free(c.owner);
    return rc;
}

/* ---- all of it ---- */

static int by_guideline(const void *a, const void *b)
{
    const ga_lint_finding *x = a, *y = b;
    if (x->guideline != y->guideline)
        return x->guideline < y->guideline ? -1 : 1;
    if (x->check != y->check)
        return x->check < y->check ? -1 : 1;
    int c = (x->other > y->other) - (x->other < y->other);
    return c ? c : strcmp(x->message, y->message);
}

ga_status ga__lint(const ga_guideline *guidelines, size_t n,
                   const ga_encoder *enc, ga_scratch *s,
                   const ga_lint_options *options, ga_lint_report *out,
                   ga_error *err)
{
    ga_status rc = GA_OK;
    ga_linter l = {.g = guidelines,
                   .G = n,
                   .o = options,
                   .report = out,
                   .err = err,
                   .text = ga__calloc(n, sizeof(*l.text))};
    if (!l.text)
        return ga__fail_nomem(err, n * sizeof(*l.text));
    for (size_t g = 0; g < n && !rc; g++) {
        rc = ga__surface_of(&l.text[g], guidelines[g].text, &l.arena, err);
        if (!rc)
            rc = check_text(&l, g);
        if (!rc)
            rc = check_examples(&l, g);
    }
    if (!rc)
        rc = run_comparison(&l, false);
    if (!rc)
        rc = run_comparison(&l, true);
    if (!rc && enc && n > 0)
        rc = ga__lint_meaning(&l, enc, s);
    if (!rc && out->count > 0)
        qsort(out->items, out->count, sizeof(*out->items), by_guideline);
    ga__arena_free(&l.arena);
    free(l.text);
    return rc;
}
