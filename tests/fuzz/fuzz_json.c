/* fuzz_json.c: any bytes as JSON.
 *
 * What is accepted must be what jansson accepts, with the same content; its
 * nodes must lie in each other, and each slice must be JSON by itself.  jansson
 * differs by intent only in depth, numbers it cannot hold, and keys with a
 * NUL. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <jansson.h>

#include "base/json.h"
#include "base/utf8.h"

enum { MOST_SLICES = 200, MOST_STRING = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static ga_buf unescaped(const ga_json *doc, uint32_t node)
{
    ga_buf b;
    ga__buf_init(&b, MOST_STRING);
    require(ga__json_string(doc, node, &b, NULL) == GA_OK);
    require(ga__utf8_invalid_at((ga_str){b.ptr, b.len}) == b.len);
    return b;
}

/* A string as it is read, written and read again. */
static void check_string(const ga_json *doc, uint32_t node)
{
    ga_buf plain = unescaped(doc, node), text;
    ga_json again = GA_JSON_INIT;
    ga__buf_init(&text, 6 * MOST_STRING + 2);
    require(ga__buf_str(&text, "\"", NULL) == GA_OK);
    require(ga__buf_json(&text, (ga_str){plain.ptr, plain.len}, NULL) == GA_OK);
    require(ga__buf_str(&text, "\"", NULL) == GA_OK);
    require(ga__json_parse(&again, (ga_str){text.ptr, text.len}, NULL) ==
            GA_OK);
    require(again.count == 1);
    ga_buf same = unescaped(&again, 0);
    require(same.len == plain.len &&
            memcmp(same.ptr, plain.ptr, plain.len) == 0);
    bool has_nul = memchr(plain.ptr, '\0', plain.len) != NULL;
    require(ga__json_is(doc, node, plain.ptr) == !has_nul);
    require(ga__json_is(&again, 0, plain.ptr) == !has_nul);
    ga_str raw = ga__json_raw(doc, node);
    if (!doc->nodes[node].escaped)
        require(ga__str_equal(raw, (ga_str){plain.ptr, plain.len}));
    ga__buf_free(&same);
    ga__json_free(&again);
    ga__buf_free(&text);
    ga__buf_free(&plain);
}

/* Nodes follow each other in the text and lie inside their container. */
static void check_nesting(const ga_json *doc, uint32_t container)
{
    const ga_json_node *c = &doc->nodes[container];
    size_t at = c->start + 1;
    uint32_t n = ga__json_first(container), seen = 0;
    require(doc->text.ptr[c->start] == (c->type == GA_JSON_OBJECT ? '{' : '['));
    require(doc->text.ptr[c->end - 1] ==
            (c->type == GA_JSON_OBJECT ? '}' : ']'));
    while (n < c->next) {
        if (c->type == GA_JSON_OBJECT) {
            require(ga__json_type(doc, n) == GA_JSON_STRING);
            require(doc->nodes[n].start >= at && doc->nodes[n].next == n + 1);
            at = doc->nodes[n].end;
            n++;
            require(n < c->next);
        }
        require(doc->nodes[n].start >= at);
        at = doc->nodes[n].end;
        n = ga__json_next(doc, n);
        seen++;
    }
    require(n == c->next && at < c->end && seen == c->count);
}

static void check_node(const ga_json *doc, uint32_t node)
{
    const ga_json_node *n = &doc->nodes[node];
    require(n->start < n->end && n->end <= doc->text.len);
    require(n->next > node && n->next <= doc->count);
    if (n->type == GA_JSON_ARRAY || n->type == GA_JSON_OBJECT)
        check_nesting(doc, node);
    else
        require(n->next == node + 1 && n->count == 0);
    if (n->type == GA_JSON_STRING)
        check_string(doc, node);
    uint64_t u;
    double d;
    bool is_uint = ga__json_uint(doc, node, UINT64_MAX, &u);
    bool is_double = ga__json_double(doc, node, &d);
    require((!is_uint && !is_double) || n->type == GA_JSON_NUMBER);
    if (is_uint && is_double)
        require(d == (double)u);
}

/* The slice of a node is the same value by itself. */
static void check_slice(const ga_json *doc, uint32_t node)
{
    const ga_json_node *n = &doc->nodes[node];
    ga_json alone = GA_JSON_INIT;
    ga_str slice = {doc->text.ptr + n->start, n->end - n->start};
    require(ga__json_parse(&alone, slice, NULL) == GA_OK);
    require(alone.count == n->next - node);
    for (uint32_t i = 0; i < alone.count; i++) {
        const ga_json_node *a = &alone.nodes[i], *b = &doc->nodes[node + i];
        require(a->type == b->type && a->count == b->count &&
                a->escaped == b->escaped && a->next + node == b->next &&
                a->start + n->start == b->start && a->end + n->start == b->end);
    }
    ga__json_free(&alone);
}

static void compare(const ga_json *doc, uint32_t node, const json_t *other);

static void compare_members(const ga_json *doc, uint32_t object,
                            const json_t *other)
{
    size_t distinct = 0;
    for (uint32_t k = ga__json_first(object); k < doc->nodes[object].next;
         k = ga__json_next(doc, k + 1)) {
        ga_buf key = unescaped(doc, k);
        uint32_t last = ga__json_get(doc, object, key.ptr);
        require(last >= k + 1 && last < doc->nodes[object].next);
        require(ga__json_is(doc, last - 1, key.ptr));
        if (last == k + 1) { /* of duplicates the last one counts */
            distinct++;
            compare(doc, last, json_object_get(other, key.ptr));
        }
        ga__buf_free(&key);
    }
    require(distinct == json_object_size(other));
}

static void compare(const ga_json *doc, uint32_t node, const json_t *other)
{
    static const ga_json_type types[] = {
        [JSON_OBJECT] = GA_JSON_OBJECT, [JSON_ARRAY] = GA_JSON_ARRAY,
        [JSON_STRING] = GA_JSON_STRING, [JSON_INTEGER] = GA_JSON_NUMBER,
        [JSON_REAL] = GA_JSON_NUMBER,   [JSON_TRUE] = GA_JSON_TRUE,
        [JSON_FALSE] = GA_JSON_FALSE,   [JSON_NULL] = GA_JSON_NULL};
    require(other && ga__json_type(doc, node) == types[json_typeof(other)]);
    if (json_is_object(other)) {
        compare_members(doc, node, other);
    } else if (json_is_array(other)) {
        size_t i = 0;
        for (uint32_t n = ga__json_first(node); n < doc->nodes[node].next;
             n = ga__json_next(doc, n))
            compare(doc, n, json_array_get(other, i++));
        require(i == json_array_size(other));
    } else if (json_is_string(other)) {
        ga_buf plain = unescaped(doc, node);
        require(plain.len == json_string_length(other) &&
                memcmp(plain.ptr, json_string_value(other), plain.len) == 0);
        ga__buf_free(&plain);
    } else if (json_is_number(other)) {
        double d;
        if (ga__json_double(doc, node, &d))
            require(d == json_number_value(other));
    }
}

static void check_against_jansson(const ga_json *doc, ga_status rc, ga_str text)
{
    json_error_t why;
    json_t *other =
        json_loadb(text.ptr, text.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &why);
    if (other) {
        /* jansson takes a NUL between tokens for the end */
        require(rc == GA_OK || rc == GA_LIMIT ||
                memchr(text.ptr, '\0', text.len) != NULL);
        if (rc == GA_OK)
            compare(doc, 0, other);
    } else if (rc == GA_OK) {
        enum json_error_code code = json_error_code(&why);
        require(code == json_error_numeric_overflow ||
                code == json_error_null_byte_in_key);
    }
    json_decref(other);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static ga_json doc; /* one document serves many texts */
    ga_json fresh = GA_JSON_INIT;
    ga_error err = {""};
    char *copy = malloc(size ? size : 1); /* a read past the end is seen */
    require(copy != NULL);
    if (size)
        memcpy(copy, data, size);
    ga_str text = {copy, size};
    ga_status rc = ga__json_parse(&doc, text, &err);
    require(rc == GA_OK || rc == GA_FORMAT || rc == GA_LIMIT);
    require((rc == GA_OK) == (err.msg[0] == '\0'));
    require((rc == GA_OK) == (doc.count > 0));
    require(ga__json_parse(&fresh, text, NULL) == rc);
    require(fresh.count == doc.count);
    if (rc == GA_OK) {
        require(ga__utf8_invalid_at(text) == text.len);
        require(doc.nodes[0].next == doc.count);
        for (uint32_t i = 0; i < doc.count; i++) {
            check_node(&doc, i);
            if (i < MOST_SLICES)
                check_slice(&doc, i);
        }
    }
    check_against_jansson(&doc, rc, text);
    ga__json_free(&fresh);
    free(copy);
    return 0;
}
