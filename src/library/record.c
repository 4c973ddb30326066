/* record.c: one JSON object becomes a guideline. */
#include "library/record.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/sha256.h"
#include "base/utf8.h"
#include "library/record_internal.h"

/* X(key, kind of value): the keys, in the order they are written. */
#define FIELD_MAP(X)                                                           \
    X(id, STRING)                                                              \
    X(title, STRING)                                                           \
    X(text, STRING)                                                            \
    X(kind, KIND)                                                              \
    X(risks, LIST)                                                             \
    X(topics, LIST)                                                            \
    X(priority, PRIORITY)                                                      \
    X(scope, LIST)                                                             \
    X(triggers, LIST)                                                          \
    X(non_triggers, LIST)                                                      \
    X(status, STATUS)                                                          \
    X(source, SOURCE)

enum {
#define FIELD_ENUM(name, type) FIELD_##name,
    FIELD_MAP(FIELD_ENUM)
#undef FIELD_ENUM
        FIELDS
};

static const char *const field_names[] = {
#define FIELD_NAME(name, type) #name,
    FIELD_MAP(FIELD_NAME)
#undef FIELD_NAME
};

/* The strings of a record are as many bytes as its JSON at most, so there is
 * one block for them and one for the lists. */
typedef struct {
    const ga_json *doc;
    ga_guideline *out;
    uint32_t values[FIELDS]; /* GA_JSON_NONE: not given */
    char *bytes;
    size_t used;
    ga_str *strs;
    size_t strs_used;
    ga_buf scratch;
    ga_error *err;
} reader;

/* Which field a key is; FIELDS when it is none. */
static size_t find_field(const ga_json *doc, uint32_t key)
{
    size_t i = 0;
    while (i < FIELDS && !ga__json_is(doc, key, field_names[i]))
        i++;
    return i;
}

static ga_status find_values(reader *r)
{
    const ga_json *doc = r->doc;
    for (uint32_t k = ga__json_first(0); k < doc->nodes[0].next;
         k = ga__json_next(doc, k + 1)) {
        size_t field = find_field(doc, k);
        char name[GA_QUOTED_BYTES];
        if (field == FIELDS) {
            ga__buf_clear(&r->scratch);
            ga_status rc = ga__json_string(doc, k, &r->scratch, r->err);
            if (rc)
                return rc;
            ga_str key = {r->scratch.ptr, r->scratch.len};
            return ga__fail(r->err, GA_FORMAT, "unknown key '%s'",
                            ga__quoted(key, name));
        }
        if (r->values[field] != GA_JSON_NONE)
            return ga__fail(r->err, GA_FORMAT, "key '%s' stands twice",
                            field_names[field]);
        r->values[field] = k + 1;
    }
    return GA_OK;
}

static ga_status copy_string(reader *r, uint32_t node, ga_str *out)
{
    ga_str raw = ga__json_raw(r->doc, node);
    if (r->doc->nodes[node].escaped) {
        ga__buf_clear(&r->scratch);
        ga_status rc = ga__json_string(r->doc, node, &r->scratch, r->err);
        if (rc)
            return rc;
        raw = (ga_str){r->scratch.ptr, r->scratch.len};
    }
    *out = (ga_str){r->bytes + r->used, raw.len};
    if (raw.len)
        memcpy(r->bytes + r->used, raw.ptr, raw.len);
    r->used += raw.len;
    return GA_OK;
}

static ga_status read_string(reader *r, size_t field, ga_str *out)
{
    uint32_t node = r->values[field];
    if (node == GA_JSON_NONE)
        return GA_OK;
    if (ga__json_type(r->doc, node) != GA_JSON_STRING)
        return ga__fail(r->err, GA_FORMAT, "\"%s\" must be a string",
                        field_names[field]);
    return copy_string(r, node, out);
}

static ga_status read_list(reader *r, size_t field, ga_str_list *out)
{
    const ga_json *doc = r->doc;
    uint32_t node = r->values[field];
    if (node == GA_JSON_NONE)
        return GA_OK;
    if (ga__json_type(doc, node) != GA_JSON_ARRAY)
        return ga__fail(r->err, GA_FORMAT, "\"%s\" must be a list of strings",
                        field_names[field]);
    out->items = r->strs + r->strs_used;
    for (uint32_t v = ga__json_first(node); v < doc->nodes[node].next;
         v = ga__json_next(doc, v)) {
        if (ga__json_type(doc, v) != GA_JSON_STRING)
            return ga__fail(r->err, GA_FORMAT,
                            "\"%s\" item %zu must be a string",
                            field_names[field], out->count + 1);
        ga_status rc = copy_string(r, v, &r->strs[r->strs_used]);
        if (rc)
            return rc;
        r->strs_used++;
        out->count++;
    }
    return GA_OK;
}

static ga_status read_kind(reader *r)
{
    ga_str name = {NULL, 0};
    char quoted[GA_QUOTED_BYTES];
    r->out->kind =
        r->out->risks.count > 0 ? GA_GUIDELINE_SAFETY : GA_GUIDELINE_QUALITY;
    ga_status rc = read_string(r, FIELD_kind, &name);
    if (rc || r->values[FIELD_kind] == GA_JSON_NONE ||
        ga__kind_find(name, &r->out->kind))
        return rc;
    return ga__fail(r->err, GA_INVAL,
                    "\"kind\" must be safety, permit or quality, not '%s'",
                    ga__quoted(name, quoted));
}

static ga_status read_status(reader *r)
{
    ga_str name = {NULL, 0};
    char quoted[GA_QUOTED_BYTES];
    r->out->status = GA_STATUS_DRAFT;
    ga_status rc = read_string(r, FIELD_status, &name);
    if (rc || r->values[FIELD_status] == GA_JSON_NONE ||
        ga__guideline_status_find(name, &r->out->status))
        return rc;
    return ga__fail(r->err, GA_INVAL,
                    "\"status\" must be draft, approved or retired, not '%s'",
                    ga__quoted(name, quoted));
}

static ga_status read_priority(reader *r)
{
    uint64_t value = 5;
    uint32_t node = r->values[FIELD_priority];
    if (node != GA_JSON_NONE && !ga__json_uint(r->doc, node, 9, &value))
        return ga__fail(r->err, GA_FORMAT,
                        "\"priority\" must be a whole number from 0 to 9");
    r->out->priority = (unsigned)value;
    return GA_OK;
}

static ga_status read_source(reader *r)
{
    uint32_t node = r->values[FIELD_source];
    if (node == GA_JSON_NONE)
        return GA_OK;
    ga__buf_clear(&r->scratch);
    ga_status rc = ga__source_json(r->doc, node, &r->scratch, r->err);
    if (rc)
        return rc;
    /* its escapes may have grown, so it may not fit into what is left */
    r->out->source = (ga_str){NULL, r->scratch.len};
    return GA_OK;
}

static ga_status read_fields(reader *r)
{
    ga_guideline *g = r->out;
    ga_status rc;
    if (r->values[FIELD_text] == GA_JSON_NONE)
        return ga__fail(r->err, GA_FORMAT, "\"text\" is missing");
    (void)((rc = read_string(r, FIELD_id, &g->id)) ||
           (rc = read_string(r, FIELD_title, &g->title)) ||
           (rc = read_string(r, FIELD_text, &g->text)) ||
           (rc = read_list(r, FIELD_risks, &g->risks)) ||
           (rc = read_list(r, FIELD_topics, &g->topics)) ||
           (rc = read_list(r, FIELD_scope, &g->scope)) ||
           (rc = read_list(r, FIELD_triggers, &g->triggers)) ||
           (rc = read_list(r, FIELD_non_triggers, &g->non_triggers)) ||
           (rc = read_kind(r)) || (rc = read_status(r)) ||
           (rc = read_priority(r)) || (rc = read_source(r)));
    return rc;
}

/* An id when there is none, and the source behind all other strings. */
static ga_status finish(reader *r, ga_arena *arena)
{
    ga_guideline *g = r->out;
    bool derive = r->values[FIELD_id] == GA_JSON_NONE;
    if (g->source.len > 0) {
        char *copy = ga__arena_alloc(arena, g->source.len, 1);
        if (!copy)
            return ga__fail_nomem(r->err, g->source.len);
        memcpy(copy, r->scratch.ptr, g->source.len);
        g->source.ptr = copy;
    }
    if (derive) {
        char *id = ga__arena_alloc(arena, GA_DERIVED_ID_SIZE, 1);
        if (!id)
            return ga__fail_nomem(r->err, GA_DERIVED_ID_SIZE);
        ga__guideline_derive_id(g->title, g->text, id);
        g->id = ga__str(id);
    }
    return ga__guideline_check_fields(g, true, r->err);
}

/* Elements of all lists of the record: at most as many strings to keep. */
static size_t count_elements(const ga_json *doc)
{
    size_t n = 0;
    for (uint32_t k = ga__json_first(0); k < doc->nodes[0].next;
         k = ga__json_next(doc, k + 1)) {
        if (ga__json_type(doc, k + 1) == GA_JSON_ARRAY)
            n += doc->nodes[k + 1].count;
    }
    return n;
}

ga_status ga__guideline_parse(ga_str json, ga_json *doc, ga_arena *arena,
                              ga_guideline *out, bool *status_given,
                              ga_error *err)
{
    reader r = {.doc = doc, .out = out, .err = err};
    memset(out, 0, sizeof(*out));
    if (json.len > GA_MAX_LINE_BYTES)
        return ga__fail(err, GA_LIMIT, "record over %u bytes",
                        GA_MAX_LINE_BYTES);
    ga_status rc = ga__json_parse(doc, json, err);
    if (rc)
        return rc;
    if (ga__json_type(doc, 0) != GA_JSON_OBJECT)
        return ga__fail(err, GA_FORMAT, "a JSON object is expected");
    r.bytes = ga__arena_alloc(arena, json.len, 1);
    r.strs = ga__arena_alloc(arena, count_elements(doc), sizeof(*r.strs));
    if (!r.bytes || !r.strs)
        return ga__fail_nomem(err, json.len);
    ga__buf_init(&r.scratch, GA_MAX_LINE_BYTES);
    rc = find_values(&r);
    if (!rc)
        rc = read_fields(&r);
    if (!rc)
        rc = finish(&r, arena);
    if (!rc && status_given)
        *status_given = r.values[FIELD_status] != GA_JSON_NONE;
    if (rc)
        memset(out, 0, sizeof(*out));
    ga__buf_free(&r.scratch);
    return rc;
}

ga_status ga__record_parse(ga_record *r, ga_str json, ga_error *err)
{
    r->status_given = false;
    ga__arena_reset(&r->arena);
    ga_status rc = ga__guideline_parse(json, &r->doc, &r->arena, &r->guideline,
                                       &r->status_given, err);
    r->doc.text = (ga_str){NULL, 0}; /* the caller's, and gone soon */
    return rc;
}

void ga__record_free(ga_record *r)
{
    ga__json_free(&r->doc);
    ga__arena_free(&r->arena);
    *r = GA_RECORD_INIT;
}

/* Letters and digits in lower case, a hyphen for whatever stands between them,
 * at most `max` bytes and no word cut off if there is another before it. */
static size_t slug(ga_str text, char *out, size_t max)
{
    size_t n = 0, words_end = 0, i = 0;
    for (; i < text.len && n < max; i++) {
        char c = text.ptr[i];
        if (c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        bool keep = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (!keep && (n == 0 || out[n - 1] == '-'))
            continue;
        if (!keep)
            words_end = n;
        out[n++] = keep ? c : '-';
    }
    bool cut = i < text.len;
    if (cut && words_end > 0)
        n = words_end;
    while (n > 0 && out[n - 1] == '-')
        n--;
    return n;
}

void ga__guideline_derive_id(ga_str title, ga_str text,
                             char out[GA_DERIVED_ID_SIZE])
{
    enum { WORDS = 51, HASH = 4 };
    uint8_t digest[32];
    size_t n = slug(title.len > 0 ? title : text, out, WORDS);
    if (n == 0) { /* no word of it can be written in ASCII */
        n = (size_t)snprintf(out, GA_DERIVED_ID_SIZE, "guideline");
    }
    out[n++] = '-';
    ga__sha256_of(text.ptr, text.len, digest);
    ga__hex(digest, HASH, out + n);
}
