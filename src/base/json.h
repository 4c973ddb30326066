/* json.h: strict JSON (RFC 8259) with the place of every value.
 *
 * For what the core reads: model configurations, tensor headers, guideline
 * records of a pack, request bodies.  A body is spliced, not rewritten, so
 * each value knows where it stands in the text; and since a guard must not
 * read a body differently from the server behind it, nothing beyond the
 * standard is accepted: no trailing bytes, no lone surrogate, no ill-formed
 * UTF-8, no number like 01. */
#ifndef GA_BASE_JSON_H
#define GA_BASE_JSON_H

#include "base/buf.h"

typedef enum {
    GA_JSON_NULL,
    GA_JSON_FALSE,
    GA_JSON_TRUE,
    GA_JSON_NUMBER,
    GA_JSON_STRING,
    GA_JSON_ARRAY,
    GA_JSON_OBJECT
} ga_json_type;

/* Nodes stand in the order of the text.  An object's members are a string
 * node, the key, and behind it the value's nodes. */
typedef struct {
    size_t start, end; /* text[start, end); quotes and brackets included */
    uint32_t next;     /* index behind the last node of this value */
    uint32_t count;    /* elements of an array, members of an object */
    uint8_t type;      /* ga_json_type */
    bool escaped;      /* a string with a backslash in it */
} ga_json_node;

typedef struct {
    ga_str text; /* borrowed from the caller of ga__json_parse */
    ga_json_node *nodes;
    size_t count, cap;
} ga_json;

#define GA_JSON_INIT ((ga_json){0})
#define GA_JSON_NONE 0u /* the root is no member of anything */

/* Parse the whole text.  Node 0 is the root.  On failure GA_FORMAT with the
 * offset, or GA_NOMEM; the document is empty but keeps its memory, so that one
 * document serves many texts. */
ga_status ga__json_parse(ga_json *doc, ga_str text, ga_error *err);
void ga__json_free(ga_json *doc);

/* The first element or key of a container, and the node behind a value; walk
 * with: for (n = first(doc, v); n < doc->nodes[v].next; n = next(doc, n)). */
static inline uint32_t ga__json_first(uint32_t container)
{
    return container + 1;
}

static inline uint32_t ga__json_next(const ga_json *doc, uint32_t node)
{
    return doc->nodes[node].next;
}

static inline ga_json_type ga__json_type(const ga_json *doc, uint32_t node)
{
    return (ga_json_type)doc->nodes[node].type;
}

/* The value of a member, compared after unescaping; GA_JSON_NONE when there is
 * none or `object` is no object.  Of duplicate keys the last one counts, as in
 * most readers. */
uint32_t ga__json_get(const ga_json *doc, uint32_t object, const char *key);

/* Does the string node, unescaped, equal `text`? */
bool ga__json_is(const ga_json *doc, uint32_t node, const char *text);

/* Append the unescaped bytes of a string node: all of them or, on failure,
 * none. */
ga_status ga__json_string(const ga_json *doc, uint32_t node, ga_buf *out,
                          ga_error *err);

/* The bytes between the quotes of a string node, still escaped. */
ga_str ga__json_raw(const ga_json *doc, uint32_t node);

/* A number node as a finite double, or as an integer of 0 to max; false when
 * it is no such number. */
bool ga__json_double(const ga_json *doc, uint32_t node, double *out);
bool ga__json_uint(const ga_json *doc, uint32_t node, uint64_t max,
                   uint64_t *out);

#endif
