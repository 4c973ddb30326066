/* record_json.c: a guideline becomes JSON, always the same bytes. */
#include <stdio.h>

#include "base/error.h"
#include "base/limits.h"
#include "library/record_internal.h"

/* What stands between the tokens. */
typedef struct {
    const char *open, *between, *close;     /* of the object */
    const char *colon;                      /* behind a key */
    const char *item, *items_between, *end; /* of a list */
    const char *last;
} layout;

static const layout compact = {"{", ",", "}", ":", "[", ",", "]", ""};
static const layout pretty = {"{\n  ",   ",\n  ",   "\n}",   ": ",
                              "[\n    ", ",\n    ", "\n  ]", "\n"};

typedef struct {
    const layout *l;
    ga_buf *out;
    ga_error *err;
    ga_status rc; /* the first failure; what follows does nothing */
    bool first;
} writer;

static void put(writer *w, const char *text)
{
    if (!w->rc)
        w->rc = ga__buf_str(w->out, text, w->err);
}

static void put_string(writer *w, ga_str text)
{
    put(w, "\"");
    if (!w->rc && text.len > 0)
        w->rc = ga__buf_json(w->out, text, w->err);
    put(w, "\"");
}

static void put_key(writer *w, const char *key)
{
    put(w, w->first ? w->l->open : w->l->between);
    w->first = false;
    put_string(w, ga__str(key));
    put(w, w->l->colon);
}

static void put_text(writer *w, const char *key, ga_str text)
{
    put_key(w, key);
    put_string(w, text);
}

static void put_list(writer *w, const char *key, ga_str_list list)
{
    put_key(w, key);
    if (list.count == 0)
        put(w, "[]");
    for (size_t i = 0; i < list.count; i++) {
        put(w, i == 0 ? w->l->item : w->l->items_between);
        put_string(w, list.items[i]);
    }
    if (list.count > 0)
        put(w, w->l->end);
}

static ga_status write_guideline(const ga_guideline *g, const layout *l,
                                 ga_buf *out, ga_error *err)
{
    writer w = {l, out, err, GA_OK, true};
    const char priority[] = {(char)('0' + g->priority), '\0'};
    size_t before = out->len;
    put_text(&w, "id", g->id);
    put_text(&w, "title", g->title);
    put_text(&w, "text", g->text);
    put_text(&w, "kind", ga__str(ga__kind_name(g->kind)));
    put_list(&w, "risks", g->risks);
    put_list(&w, "topics", g->topics);
    put_key(&w, "priority");
    put(&w, priority);
    put_list(&w, "scope", g->scope);
    put_list(&w, "triggers", g->triggers);
    put_list(&w, "non_triggers", g->non_triggers);
    put_text(&w, "status", ga__str(ga__guideline_status_name(g->status)));
    put_key(&w, "source");
    if (!w.rc && g->source.len > 0)
        w.rc = ga__buf_append(out, g->source.ptr, g->source.len, err);
    else
        put(&w, "{}");
    put(&w, l->close);
    put(&w, l->last);
    if (w.rc && out->ptr) {
        out->len = before;
        out->ptr[before] = '\0';
    }
    return w.rc;
}

ga_status ga__guideline_json(const ga_guideline *g, ga_buf *out, ga_error *err)
{
    return write_guideline(g, &compact, out, err);
}

ga_status ga__guideline_json_pretty(const ga_guideline *g, ga_buf *out,
                                    ga_error *err)
{
    return write_guideline(g, &pretty, out, err);
}

/* ---- source ---- */

typedef struct {
    const ga_json *doc;
    ga_buf *out;
    ga_buf text; /* of one string, unescaped */
    unsigned depth;
    ga_error *err;
} source_writer;

static ga_status put_source_string(source_writer *w, uint32_t node)
{
    ga_str raw = ga__json_raw(w->doc, node);
    ga_status rc;
    ga__buf_clear(&w->text);
    if (w->doc->nodes[node].escaped) {
        rc = ga__json_string(w->doc, node, &w->text, w->err);
        if (rc)
            return rc;
        raw = (ga_str){w->text.ptr, w->text.len};
    }
    if (raw.len && memchr(raw.ptr, '\0', raw.len))
        return ga__fail(w->err, GA_INVAL, "\"source\" has a NUL character");
    (void)((rc = ga__buf_str(w->out, "\"", w->err)) ||
           (rc = ga__buf_json(w->out, raw, w->err)) ||
           (rc = ga__buf_str(w->out, "\"", w->err)));
    return rc;
}

/* A key that stands twice means two things to two readers. */
static ga_status check_members(source_writer *w, uint32_t node)
{
    const ga_json *doc = w->doc;
    if (doc->nodes[node].count > GA_MAX_SOURCE_MEMBERS)
        return ga__fail(w->err, GA_LIMIT,
                        "\"source\" has an object of %u members, the limit is "
                        "%u",
                        doc->nodes[node].count, GA_MAX_SOURCE_MEMBERS);
    for (uint32_t k = ga__json_first(node); k < doc->nodes[node].next;
         k = ga__json_next(doc, k + 1)) {
        char quoted[GA_QUOTED_BYTES];
        ga__buf_clear(&w->text);
        ga_status rc = ga__json_string(doc, k, &w->text, w->err);
        if (rc)
            return rc;
        /* the last of a name counts: another one than this is its double */
        if (!memchr(w->text.ptr, '\0', w->text.len) &&
            ga__json_get(doc, node, w->text.ptr) != k + 1)
            return ga__fail(
                w->err, GA_FORMAT, "key '%s' of \"source\" stands twice",
                ga__quoted((ga_str){w->text.ptr, w->text.len}, quoted));
    }
    return GA_OK;
}

static ga_status put_source_value(source_writer *w, uint32_t node);

static ga_status put_source_container(source_writer *w, uint32_t node,
                                      bool object)
{
    const ga_json *doc = w->doc;
    if (w->depth == GA_MAX_SOURCE_DEPTH)
        return ga__fail(w->err, GA_LIMIT, "\"source\" is nested deeper than %u",
                        GA_MAX_SOURCE_DEPTH);
    w->depth++;
    ga_status rc = object ? check_members(w, node) : GA_OK;
    if (!rc)
        rc = ga__buf_str(w->out, object ? "{" : "[", w->err);
    for (uint32_t v = ga__json_first(node); v < doc->nodes[node].next && !rc;
         v = ga__json_next(doc, v)) {
        if (v != ga__json_first(node))
            rc = ga__buf_str(w->out, ",", w->err);
        if (!rc && object) {
            (void)((rc = put_source_string(w, v)) ||
                   (rc = ga__buf_str(w->out, ":", w->err)));
            v++;
        }
        if (!rc)
            rc = put_source_value(w, v);
    }
    w->depth--;
    return rc ? rc : ga__buf_str(w->out, object ? "}" : "]", w->err);
}

static ga_status put_source_value(source_writer *w, uint32_t node)
{
    const ga_json_node *n = &w->doc->nodes[node];
    switch (ga__json_type(w->doc, node)) {
    case GA_JSON_STRING:
        return put_source_string(w, node);
    case GA_JSON_ARRAY:
        return put_source_container(w, node, false);
    case GA_JSON_OBJECT:
        return put_source_container(w, node, true);
    case GA_JSON_NULL:
    case GA_JSON_FALSE:
    case GA_JSON_TRUE:
    case GA_JSON_NUMBER:
        break;
    }
    return ga__buf_append(w->out, w->doc->text.ptr + n->start,
                          n->end - n->start, w->err);
}

/* The keys that the format gives a meaning are strings. */
static ga_status check_known(const ga_json *doc, uint32_t node, ga_error *err)
{
    static const char *const known[] = {"prompt", "model", "template",
                                        "created"};
    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
        uint32_t value = ga__json_get(doc, node, known[i]);
        if (value != GA_JSON_NONE &&
            ga__json_type(doc, value) != GA_JSON_STRING)
            return ga__fail(err, GA_FORMAT,
                            "\"%s\" of \"source\" must be a string", known[i]);
    }
    return GA_OK;
}

ga_status ga__source_json(const ga_json *doc, uint32_t node, ga_buf *out,
                          ga_error *err)
{
    source_writer w = {.doc = doc, .out = out, .err = err};
    const ga_json_node *n = &doc->nodes[node];
    if (n->type != GA_JSON_OBJECT)
        return ga__fail(err, GA_FORMAT, "\"source\" must be an object");
    if (n->count == 0)
        return GA_OK;
    ga__buf_init(&w.text, GA_MAX_LINE_BYTES);
    ga_status rc = check_known(doc, node, err);
    if (!rc)
        rc = put_source_container(&w, node, true);
    ga__buf_free(&w.text);
    return rc;
}
