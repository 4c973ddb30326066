/* json.c: strict JSON with the place of every value. */
#include "base/json.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/utf8.h"

typedef struct {
    ga_json *doc;
    const char *s;
    size_t len, pos;
    ga_error *err;
} reader;

static ga_status fail(reader *r, const char *what)
{
    return ga__fail(r->err, GA_FORMAT, "malformed JSON at byte %zu: %s", r->pos,
                    what);
}

static void skip_space(reader *r)
{
    while (r->pos < r->len && (r->s[r->pos] == ' ' || r->s[r->pos] == '\t' ||
                               r->s[r->pos] == '\n' || r->s[r->pos] == '\r'))
        r->pos++;
}

static bool at(const reader *r, char c)
{
    return r->pos < r->len && r->s[r->pos] == c;
}

static bool at_digit(const reader *r)
{
    return r->pos < r->len && r->s[r->pos] >= '0' && r->s[r->pos] <= '9';
}

/* Start a node at the current position; its end and next are set by close. */
static ga_status open_node(reader *r, ga_json_type type, uint32_t *index)
{
    ga_json *doc = r->doc;
    void *nodes = doc->nodes;
    if (doc->count >= UINT32_MAX - 1 ||
        !ga__grow(&nodes, &doc->cap, doc->count + 1, sizeof(*doc->nodes)))
        return ga__fail_nomem(r->err, doc->count * sizeof(*doc->nodes));
    doc->nodes = nodes;
    *index = (uint32_t)doc->count++;
    doc->nodes[*index] = (ga_json_node){.start = r->pos, .type = (uint8_t)type};
    return GA_OK;
}

static void close_node(reader *r, uint32_t index)
{
    r->doc->nodes[index].end = r->pos;
    r->doc->nodes[index].next = (uint32_t)r->doc->count;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Four hexadecimal digits at p, or -1. */
static int32_t hex4(const char *p, size_t left)
{
    int32_t v = 0;
    if (left < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int d = hex_digit(p[i]);
        if (d < 0)
            return -1;
        v = v << 4 | d;
    }
    return v;
}

/* The character of the \u escape whose digits start at s[*pos], moving behind
 * it and behind the second half of a pair; GA_UTF8_INVALID when it is none. */
static uint32_t unicode_escape(const char *s, size_t len, size_t *pos)
{
    int32_t hi = hex4(s + *pos, len - *pos);
    if (hi < 0 || (hi >= 0xDC00 && hi <= 0xDFFF))
        return GA_UTF8_INVALID;
    *pos += 4;
    if (hi < 0xD800 || hi > 0xDBFF)
        return (uint32_t)hi;
    if (len - *pos < 6 || s[*pos] != '\\' || s[*pos + 1] != 'u')
        return GA_UTF8_INVALID;
    int32_t lo = hex4(s + *pos + 2, 4);
    if (lo < 0xDC00 || lo > 0xDFFF)
        return GA_UTF8_INVALID;
    *pos += 6;
    return 0x10000u + ((uint32_t)(hi - 0xD800) << 10 | (uint32_t)(lo - 0xDC00));
}

/* The byte that a one-letter escape stands for, or -1. */
static int simple_escape(char c)
{
    switch (c) {
    case '"':
    case '\\':
    case '/':
        return c;
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return -1;
    }
}

static ga_status read_escape(reader *r)
{
    r->pos++; /* the backslash */
    if (at(r, 'u')) {
        size_t pos = r->pos + 1;
        if (unicode_escape(r->s, r->len, &pos) == GA_UTF8_INVALID)
            return fail(r, "bad \\u escape");
        r->pos = pos;
        return GA_OK;
    }
    if (r->pos >= r->len || simple_escape(r->s[r->pos]) < 0)
        return fail(r, "bad escape");
    r->pos++;
    return GA_OK;
}

static ga_status read_string(reader *r)
{
    uint32_t node;
    ga_status rc = open_node(r, GA_JSON_STRING, &node);
    if (rc)
        return rc;
    r->pos++;
    for (;;) {
        if (r->pos >= r->len)
            return fail(r, "string without an end");
        unsigned char c = (unsigned char)r->s[r->pos];
        if (c == '"')
            break;
        if (c < 0x20)
            return fail(r, "control character in a string");
        if (c == '\\') {
            r->doc->nodes[node].escaped = true;
            rc = read_escape(r);
            if (rc)
                return rc;
        } else if (c < 0x80) {
            r->pos++;
        } else {
            size_t pos = r->pos;
            if (ga__utf8_next(r->doc->text, &pos) == GA_UTF8_INVALID)
                return fail(r, "invalid UTF-8");
            r->pos = pos;
        }
    }
    r->pos++;
    close_node(r, node);
    return GA_OK;
}

static ga_status read_number(reader *r)
{
    uint32_t node;
    ga_status rc = open_node(r, GA_JSON_NUMBER, &node);
    if (rc)
        return rc;
    if (at(r, '-'))
        r->pos++;
    if (!at_digit(r))
        return fail(r, "not a value");
    if (at(r, '0'))
        r->pos++;
    else
        while (at_digit(r))
            r->pos++;
    if (at(r, '.')) {
        r->pos++;
        if (!at_digit(r))
            return fail(r, "digit expected behind the point");
        while (at_digit(r))
            r->pos++;
    }
    if (at(r, 'e') || at(r, 'E')) {
        r->pos++;
        if (at(r, '+') || at(r, '-'))
            r->pos++;
        if (!at_digit(r))
            return fail(r, "digit expected in the exponent");
        while (at_digit(r))
            r->pos++;
    }
    close_node(r, node);
    return GA_OK;
}

static ga_status read_literal(reader *r, const char *word, ga_json_type type)
{
    uint32_t node;
    size_t n = strlen(word);
    if (r->len - r->pos < n || memcmp(r->s + r->pos, word, n) != 0)
        return fail(r, "not a value");
    ga_status rc = open_node(r, type, &node);
    if (rc)
        return rc;
    r->pos += n;
    close_node(r, node);
    return GA_OK;
}

static ga_status read_value(reader *r, unsigned depth);

/* Elements up to the closing bracket; in an object each with its key. */
static ga_status read_container(reader *r, unsigned depth, bool object)
{
    const char close = object ? '}' : ']';
    uint32_t node;
    if (depth >= GA_MAX_JSON_DEPTH)
        return ga__fail(r->err, GA_LIMIT,
                        "JSON at byte %zu is nested deeper than %u", r->pos,
                        GA_MAX_JSON_DEPTH);
    ga_status rc = open_node(r, object ? GA_JSON_OBJECT : GA_JSON_ARRAY, &node);
    if (rc)
        return rc;
    r->pos++;
    skip_space(r);
    while (!at(r, close)) {
        if (r->doc->nodes[node].count > 0) {
            if (!at(r, ','))
                return fail(r, object ? "',' or '}' expected"
                                      : "',' or ']' expected");
            r->pos++;
            skip_space(r);
        }
        if (object) {
            if (!at(r, '"'))
                return fail(r, "key expected");
            rc = read_string(r);
            if (rc)
                return rc;
            skip_space(r);
            if (!at(r, ':'))
                return fail(r, "':' expected");
            r->pos++;
        }
        rc = read_value(r, depth + 1);
        if (rc)
            return rc;
        r->doc->nodes[node].count++;
        skip_space(r);
    }
    r->pos++;
    close_node(r, node);
    return GA_OK;
}

static ga_status read_value(reader *r, unsigned depth)
{
    skip_space(r);
    if (r->pos >= r->len)
        return fail(r, "value expected");
    switch (r->s[r->pos]) {
    case '{':
        return read_container(r, depth, true);
    case '[':
        return read_container(r, depth, false);
    case '"':
        return read_string(r);
    case 't':
        return read_literal(r, "true", GA_JSON_TRUE);
    case 'f':
        return read_literal(r, "false", GA_JSON_FALSE);
    case 'n':
        return read_literal(r, "null", GA_JSON_NULL);
    default:
        return read_number(r);
    }
}

ga_status ga__json_parse(ga_json *doc, ga_str text, ga_error *err)
{
    reader r = {doc, text.ptr, text.len, 0, err};
    doc->text = text;
    doc->count = 0;
    ga_status rc = read_value(&r, 0);
    if (!rc) {
        skip_space(&r);
        if (r.pos < r.len)
            rc = fail(&r, "bytes behind the value");
    }
    if (rc)
        doc->count = 0;
    return rc;
}

void ga__json_free(ga_json *doc)
{
    free(doc->nodes);
    *doc = GA_JSON_INIT;
}

ga_str ga__json_raw(const ga_json *doc, uint32_t node)
{
    const ga_json_node *n = &doc->nodes[node];
    ga_str raw = {doc->text.ptr + n->start + 1, n->end - n->start - 2};
    return raw;
}

/* The next character of an escaped string, as UTF-8 in out. */
static size_t next_unescaped(ga_str raw, size_t *pos, char out[4])
{
    char c = raw.ptr[*pos];
    if (c != '\\') {
        *pos += 1;
        out[0] = c;
        return 1;
    }
    c = raw.ptr[*pos + 1];
    *pos += 2;
    if (c == 'u')
        return ga__utf8_put(out, unicode_escape(raw.ptr, raw.len, pos));
    out[0] = (char)simple_escape(c);
    return 1;
}

bool ga__json_is(const ga_json *doc, uint32_t node, const char *text)
{
    if (doc->nodes[node].type != GA_JSON_STRING)
        return false;
    ga_str raw = ga__json_raw(doc, node);
    size_t len = strlen(text);
    if (!doc->nodes[node].escaped)
        return raw.len == len && memcmp(raw.ptr, text, len) == 0;
    size_t pos = 0, done = 0;
    while (pos < raw.len) {
        char c[4];
        size_t n = next_unescaped(raw, &pos, c);
        if (len - done < n || memcmp(text + done, c, n) != 0)
            return false;
        done += n;
    }
    return done == len;
}

uint32_t ga__json_get(const ga_json *doc, uint32_t object, const char *key)
{
    uint32_t found = GA_JSON_NONE;
    if (doc->nodes[object].type != GA_JSON_OBJECT)
        return GA_JSON_NONE;
    for (uint32_t k = ga__json_first(object); k < doc->nodes[object].next;
         k = ga__json_next(doc, k + 1)) {
        if (ga__json_is(doc, k, key))
            found = k + 1;
    }
    return found;
}

ga_status ga__json_string(const ga_json *doc, uint32_t node, ga_buf *out,
                          ga_error *err)
{
    if (doc->nodes[node].type != GA_JSON_STRING)
        return ga__fail(err, GA_FORMAT, "string expected at byte %zu",
                        doc->nodes[node].start);
    ga_str raw = ga__json_raw(doc, node);
    if (!doc->nodes[node].escaped)
        return ga__buf_append(out, raw.ptr, raw.len, err);
    ga_status rc = GA_OK;
    size_t pos = 0, before = out->len;
    while (pos < raw.len && !rc) {
        char c[4];
        size_t n = next_unescaped(raw, &pos, c);
        rc = ga__buf_append(out, c, n, err);
    }
    if (rc && out->ptr) {
        out->len = before;
        out->ptr[before] = '\0';
    }
    return rc;
}

/* strtod with a point, whatever locale the host has set. */
static bool parse_double(const char *text, double *out)
{
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!c)
        return false;
    locale_t old = uselocale(c);
    *out = strtod(text, NULL);
    uselocale(old);
    freelocale(c);
    return isfinite(*out);
}

bool ga__json_double(const ga_json *doc, uint32_t node, double *out)
{
    const ga_json_node *n = &doc->nodes[node];
    char copy[64]; /* strtod wants a NUL; longer numbers carry no more value */
    size_t len = n->end - n->start;
    if (n->type != GA_JSON_NUMBER || len >= sizeof(copy))
        return false;
    memcpy(copy, doc->text.ptr + n->start, len);
    copy[len] = '\0';
    return parse_double(copy, out);
}

bool ga__json_uint(const ga_json *doc, uint32_t node, uint64_t max,
                   uint64_t *out)
{
    const ga_json_node *n = &doc->nodes[node];
    uint64_t v = 0;
    if (n->type != GA_JSON_NUMBER)
        return false;
    for (size_t i = n->start; i < n->end; i++) {
        char c = doc->text.ptr[i];
        if (c < '0' || c > '9' || __builtin_mul_overflow(v, (uint64_t)10, &v) ||
            __builtin_add_overflow(v, (uint64_t)(c - '0'), &v))
            return false;
    }
    *out = v;
    return v <= max;
}
