/* pairs_against.c: pairs must share no words in a row with a benchmark. */
#include <stdlib.h>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/limits.h"
#include "train/pairs_check_internal.h"

/* Strings of a benchmark up to this long are names and labels, no prompts. */
enum { LEAST_BYTES = 21 };

static const ga_str nowhere = {NULL, 0};

/* A sequence of words, or a whole prompt, of the pairs. */
typedef struct {
    uint64_t hash;
    uint32_t pair;
} entry;

typedef struct {
    ga_pairs_checker *c;
    entry *table; /* by hash */
    size_t n;
    uint8_t *met; /* [pairs] */
    const char *path;
    size_t line;
    ga_arena arena; /* of one string */
} search;

static int by_hash(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return (x->pair > y->pair) - (x->pair < y->pair);
}

static ga_status build(search *s)
{
    const ga_pairs_checker *c = s->c;
    size_t n = 0, W = c->o->bench_words;
    for (size_t i = 0; i < c->pairs->count; i++)
        n += 1 + (c->prompt[i].count >= W ? c->prompt[i].count - W + 1 : 0);
    s->table = ga__calloc(n, sizeof(*s->table));
    s->met = ga__calloc(c->pairs->count, 1);
    if (!s->table || !s->met)
        return ga__fail_nomem(c->err, n * sizeof(*s->table));
    for (size_t i = 0; i < c->pairs->count; i++) {
        const ga_surface *p = &c->prompt[i];
        s->table[s->n++] =
            (entry){ga__surface_sequence(p, 0, p->count), (uint32_t)i};
        for (size_t w = 0; w + W <= p->count; w++)
            s->table[s->n++] =
                (entry){ga__surface_sequence(p, w, W), (uint32_t)i};
    }
    qsort(s->table, s->n, sizeof(*s->table), by_hash);
    return GA_OK;
}

/* Note every pair that has this sequence, once a pair. */
static ga_status look_up(search *s, uint64_t hash)
{
    size_t low = 0, n = s->n;
    ga_status rc = GA_OK;
    while (n > 0) {
        size_t half = n / 2;
        if (s->table[low + half].hash < hash) {
            low += half + 1;
            n -= half + 1;
        } else {
            n = half;
        }
    }
    for (; low < s->n && s->table[low].hash == hash && !rc; low++) {
        uint32_t pair = s->table[low].pair;
        if (s->met[pair])
            continue;
        s->met[pair] = 1;
        rc = ga__pairs_note(
            s->c, GA_PAIRS_benchmark_overlap, &s->c->pairs->items[pair],
            nowhere, "shares words in a row with %s:%zu", s->path, s->line);
    }
    return rc;
}

static ga_status compare_string(search *s, ga_str text)
{
    ga_surface words;
    size_t W = s->c->o->bench_words;
    if (text.len < LEAST_BYTES)
        return GA_OK;
    ga__arena_reset(&s->arena);
    ga_status rc = ga__surface_of(&words, text, &s->arena, s->c->err);
    s->c->report->against_strings++;
    if (!rc)
        rc = look_up(s, ga__surface_sequence(&words, 0, words.count));
    for (size_t w = 0; w + W <= words.count && !rc; w++)
        rc = look_up(s, ga__surface_sequence(&words, w, W));
    return rc;
}

/* Every string of a line, wherever it stands in it. */
static ga_status compare_line(search *s, const ga_json *doc, ga_buf *text)
{
    ga_status rc = GA_OK;
    for (uint32_t v = 0; v < doc->count && !rc; v++) {
        if (ga__json_type(doc, v) != GA_JSON_STRING)
            continue;
        ga__buf_clear(text);
        rc = ga__json_string(doc, v, text, s->c->err);
        if (!rc)
            rc = compare_string(s, (ga_str){text->ptr, text->len});
    }
    return rc;
}

static ga_status compare_file(search *s, const char *path)
{
    ga_map map = GA_MAP_INIT;
    ga_json doc = GA_JSON_INIT;
    ga_buf text;
    ga__buf_init(&text, GA_MAX_LINE_BYTES);
    s->path = path;
    s->line = 0;
    ga_status rc = ga__map_open(path, &map, s->c->err);
    ga_str line;
    for (size_t at = 0; !rc && ga__map_line(&map, &at, &line);) {
        s->line++;
        if (line.len == 0)
            continue;
        rc = ga__json_parse(&doc, line, s->c->err);
        if (!rc)
            rc = compare_line(s, &doc, &text);
        if (rc)
            ga__error_prefix(s->c->err, "%s:%zu", path, s->line);
    }
    ga__buf_free(&text);
    ga__json_free(&doc);
    ga__map_close(&map);
    return rc;
}

ga_status ga__pairs_check_against(ga_pairs_checker *c)
{
    search s = {.c = c};
    ga_status rc = build(&s);
    for (size_t i = 0; i < c->o->against_count && !rc; i++)
        rc = compare_file(&s, c->o->against[i]);
    ga__arena_free(&s.arena);
    free(s.met);
    free(s.table);
    return rc;
}
