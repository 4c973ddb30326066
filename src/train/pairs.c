/* pairs.c: reading prompts with the guidelines that apply to them. */
#include "train/pairs.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/limits.h"

/* X(key): the strings, which are read alike. */
#define STRING_MAP(X)                                                          \
    X(id)                                                                      \
    X(prompt)                                                                  \
    X(kind)                                                                    \
    X(form)                                                                    \
    X(lang)                                                                    \
    X(cluster)                                                                 \
    X(split)

#define LIST_MAP(X)                                                            \
    X(positives)                                                               \
    X(negatives)                                                               \
    X(risks)

typedef struct {
    ga_json doc;
    ga_buf scratch;
    ga_arena *arena;
    ga_error *err;
} reader;

static ga_status read_string(reader *r, const char *key, uint32_t node,
                             ga_str *out)
{
    if (ga__json_type(&r->doc, node) != GA_JSON_STRING)
        return ga__fail(r->err, GA_FORMAT, "\"%s\" must be a string", key);
    ga__buf_clear(&r->scratch);
    ga_status rc = ga__json_string(&r->doc, node, &r->scratch, r->err);
    if (rc)
        return rc;
    char *copy = ga__arena_alloc(r->arena, r->scratch.len + 1, 1);
    if (!copy)
        return ga__fail_nomem(r->err, r->scratch.len + 1);
    if (r->scratch.len > 0)
        memcpy(copy, r->scratch.ptr, r->scratch.len);
    copy[r->scratch.len] = '\0';
    *out = (ga_str){copy, r->scratch.len};
    return GA_OK;
}

static ga_status read_list(reader *r, const char *key, uint32_t node,
                           ga_str_list *out)
{
    const ga_json *doc = &r->doc;
    if (ga__json_type(doc, node) != GA_JSON_ARRAY)
        return ga__fail(r->err, GA_FORMAT, "\"%s\" must be a list of strings",
                        key);
    size_t n = doc->nodes[node].count;
    ga_str *items = ga__arena_alloc(r->arena, n, sizeof(*items));
    if (!items)
        return ga__fail_nomem(r->err, n * sizeof(*items));
    *out = (ga_str_list){items, 0};
    for (uint32_t v = ga__json_first(node); v < doc->nodes[node].next;
         v = ga__json_next(doc, v)) {
        ga_status rc = read_string(r, key, v, &items[out->count]);
        if (rc)
            return rc;
        out->count++;
    }
    return GA_OK;
}

/* One for each positive; `node` is GA_JSON_NONE when none were given. */
static ga_status read_grades(reader *r, uint32_t node, ga_pair *p)
{
    const ga_json *doc = &r->doc;
    size_t n = p->positives.count, i = 0;
    uint8_t *grades = ga__arena_alloc(r->arena, n, 1);
    if (!grades)
        return ga__fail_nomem(r->err, n);
    if (n > 0)
        memset(grades, 3, n);
    p->grades = grades;
    if (node == GA_JSON_NONE)
        return GA_OK;
    if (ga__json_type(doc, node) != GA_JSON_ARRAY ||
        doc->nodes[node].count != n)
        return ga__fail(r->err, GA_FORMAT,
                        "\"grades\" must be a list with a grade for each of "
                        "the %zu positives",
                        n);
    for (uint32_t v = ga__json_first(node); v < doc->nodes[node].next;
         v = ga__json_next(doc, v)) {
        uint64_t grade;
        if (!ga__json_uint(doc, v, 3, &grade) || grade == 0)
            return ga__fail(r->err, GA_INVAL, "a grade is 1, 2 or 3");
        grades[i++] = (uint8_t)grade;
    }
    return GA_OK;
}

static ga_status read_member(reader *r, uint32_t key, ga_pair *p,
                             uint32_t *grades)
{
    const ga_json *doc = &r->doc;
    uint32_t value = key + 1;
#define READ(name, type)                                                       \
    if (ga__json_is(doc, key, #name))                                          \
        return read_##type(r, #name, value, &p->name);
#define READ_STRING(name) READ(name, string)
#define READ_LIST(name) READ(name, list)
    STRING_MAP(READ_STRING)
    LIST_MAP(READ_LIST)
#undef READ_LIST
#undef READ_STRING
#undef READ
    if (ga__json_is(doc, key, "grades")) {
        *grades = value;
        return GA_OK;
    }
    if (ga__json_is(doc, key, "unsafe")) {
        ga_json_type type = ga__json_type(doc, value);
        if (type != GA_JSON_TRUE && type != GA_JSON_FALSE)
            return ga__fail(r->err, GA_FORMAT,
                            "\"unsafe\" must be true or false");
        p->unsafe = type == GA_JSON_TRUE;
        return GA_OK;
    }
    ga_str raw = ga__json_raw(doc, key);
    return ga__fail(r->err, GA_FORMAT, "unknown key \"%.*s\"",
                    (int)(raw.len < 64 ? raw.len : 64), raw.ptr);
}

static ga_status read_pair(reader *r, ga_str line, ga_pair *p)
{
    uint32_t grades = GA_JSON_NONE;
    ga_status rc = ga__json_parse(&r->doc, line, r->err);
    if (rc)
        return rc;
    if (ga__json_type(&r->doc, 0) != GA_JSON_OBJECT)
        return ga__fail(r->err, GA_FORMAT, "a pair must be a JSON object");
    for (uint32_t k = ga__json_first(0); k < r->doc.nodes[0].next && !rc;
         k = ga__json_next(&r->doc, k + 1))
        rc = read_member(r, k, p, &grades);
    if (!rc && p->prompt.len == 0)
        rc = ga__fail(r->err, GA_FORMAT, "\"prompt\" is missing");
    for (size_t i = 0; i < p->risks.count && !rc; i++) {
        ga_str risk = p->risks.items[i];
        if (ga__risk_find(risk) == GA_RISK_COUNT)
            rc = ga__fail(r->err, GA_INVAL, "'%.*s' is none of the risk types",
                          (int)(risk.len < 64 ? risk.len : 64), risk.ptr);
    }
    return rc ? rc : read_grades(r, grades, p);
}

ga_status ga__pairs_read(const char *path, ga_pair_set *out, ga_error *err)
{
    ga_map map = GA_MAP_INIT;
    reader r = {.arena = &out->arena, .err = err};
    size_t number = 0, name_size = strlen(path) + 1;
    ga__buf_init(&r.scratch, GA_MAX_LINE_BYTES);
    ga_status rc = ga__map_open(path, &map, err);
    if (rc)
        return rc;
    char *name = ga__arena_alloc(&out->arena, name_size, 1);
    if (name)
        memcpy(name, path, name_size);
    else
        rc = ga__fail_nomem(err, name_size);
    ga_str line;
    for (size_t at = 0; !rc && ga__map_line(&map, &at, &line);) {
        number++;
        if (line.len == 0)
            continue;
        void *items = out->items;
        if (!ga__grow(&items, &out->cap, out->count + 1, sizeof(*out->items))) {
            rc = ga__fail_nomem(err, out->count * sizeof(*out->items));
            break;
        }
        out->items = items;
        out->items[out->count] = (ga_pair){.file = name, .line = number};
        rc = line.len > GA_MAX_LINE_BYTES
                 ? ga__fail(err, GA_LIMIT, "line over %u bytes",
                            GA_MAX_LINE_BYTES)
                 : read_pair(&r, line, &out->items[out->count]);
        if (rc)
            ga__error_prefix(err, "%s:%zu", path, number);
        else
            out->count++;
    }
    ga__map_close(&map);
    ga__json_free(&r.doc);
    ga__buf_free(&r.scratch);
    return rc;
}

void ga__pairs_free(ga_pair_set *set)
{
    free(set->items);
    ga__arena_free(&set->arena);
    *set = GA_PAIR_SET_INIT;
}

static ga_status read_id(ga_json *doc, ga_str line, ga_buf *id, ga_error *err)
{
    ga_status rc = ga__json_parse(doc, line, err);
    if (rc)
        return rc;
    uint32_t node = ga__json_get(doc, 0, "id");
    if (node == GA_JSON_NONE || ga__json_type(doc, node) != GA_JSON_STRING)
        return ga__fail(err, GA_FORMAT, "\"id\" is missing");
    ga__buf_clear(id);
    return ga__json_string(doc, node, id, err);
}

ga_status ga__held_out_read(const char *path,
                            ga_status (*visit)(void *arg, ga_str id,
                                               ga_error *err),
                            void *arg, ga_error *err)
{
    ga_map map = GA_MAP_INIT;
    ga_json doc = GA_JSON_INIT;
    ga_buf id;
    ga__buf_init(&id, GA_MAX_LINE_BYTES);
    ga_status rc = ga__map_open(path, &map, err);
    size_t number = 0;
    ga_str line;
    for (size_t at = 0; !rc && ga__map_line(&map, &at, &line);) {
        number++;
        if (line.len == 0)
            continue;
        rc = read_id(&doc, line, &id, err);
        if (!rc)
            rc = visit(arg, (ga_str){id.ptr, id.len}, err);
        if (rc)
            ga__error_prefix(err, "%s:%zu", path, number);
    }
    ga__buf_free(&id);
    ga__json_free(&doc);
    ga__map_close(&map);
    return rc;
}

bool ga__pair_trains(const ga_pair *p)
{
    return p->split.len == 0 || ga__str_is(p->split, "train");
}
