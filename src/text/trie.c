/* trie.c: the longest key that a text begins with. */
#include "text/trie.h"

#include <stdlib.h>

#include "base/error.h"

#define NO_VALUE UINT32_MAX
#define NO_NODE 0u /* the root is nobody's child */

/* Children stand side by side and sorted, their labels in ga_trie.labels. */
struct ga_trie_node {
    uint32_t edge; /* offset of the bytes between the parent and this node */
    uint32_t first;
    uint32_t value; /* of the key that ends here, or NO_VALUE */
    uint16_t edge_len;
    uint16_t children;
};

/* The entries below a node, while it is built: all agree in the first `depth`
 * bytes. */
typedef struct {
    uint32_t lo, hi;
    uint32_t depth;
} span;

typedef struct {
    ga_trie *t;
    const ga_trie_entry *entries;
    span *spans; /* one a node */
} builder;

static int compare(const void *a, const void *b)
{
    const ga_trie_entry *x = a, *y = b;
    int order = memcmp(x->key, y->key, x->len < y->len ? x->len : y->len);
    if (order)
        return order;
    if (x->len != y->len)
        return x->len < y->len ? -1 : 1;
    return (x->value > y->value) - (x->value < y->value);
}

static unsigned char byte_at(const builder *b, uint32_t entry, uint32_t depth)
{
    return (unsigned char)b->entries[entry].key[depth];
}

/* The first `depth` bytes of both entries are equal: how many more? */
static uint32_t common_prefix(const builder *b, uint32_t x, uint32_t y,
                              uint32_t depth)
{
    uint32_t n = b->entries[x].len;
    if (b->entries[y].len < n)
        n = b->entries[y].len;
    while (depth < n && byte_at(b, x, depth) == byte_at(b, y, depth))
        depth++;
    return depth;
}

static void add_node(builder *b, span s, uint32_t parent_depth)
{
    ga_trie *t = b->t;
    const char *edge = b->entries[s.lo].key + parent_depth;
    t->nodes[t->count] =
        (struct ga_trie_node){.edge = (uint32_t)(edge - t->base),
                              .edge_len = (uint16_t)(s.depth - parent_depth),
                              .value = NO_VALUE};
    t->labels[t->count] = (uint8_t)edge[0];
    b->spans[t->count] = s;
    t->count++;
}

/* Give the node its value and children.  The entries are sorted, so those that
 * end here come first, the largest value last, and what the first and the last
 * of a group have in common all of it has. */
static void expand(builder *b, size_t index)
{
    struct ga_trie_node *node = &b->t->nodes[index];
    span s = b->spans[index];
    uint32_t lo = s.lo;
    for (; lo < s.hi && b->entries[lo].len == s.depth; lo++)
        node->value = b->entries[lo].value;
    node->first = (uint32_t)b->t->count;
    while (lo < s.hi) {
        uint32_t hi = lo + 1;
        while (hi < s.hi && byte_at(b, hi, s.depth) == byte_at(b, lo, s.depth))
            hi++;
        uint32_t depth = common_prefix(b, lo, hi - 1, s.depth);
        add_node(b, (span){lo, hi, depth}, s.depth);
        node->children++;
        lo = hi;
    }
}

ga_status ga__trie_build(ga_trie *t, const char *base, ga_trie_entry *entries,
                         size_t n, ga_error *err)
{
    *t = GA_TRIE_INIT;
    t->base = base;
    ga_status rc = GA_OK;
    qsort(entries, n, sizeof(*entries), compare);
    /* Every node but the root ends a key or has two children.  Pages behind the
     * last node are never touched. */
    size_t most = 2 * n + 1;
    builder b = {t, entries, ga__calloc(most, sizeof(*b.spans))};
    t->nodes = ga__calloc(most, sizeof(*t->nodes));
    t->labels = ga__calloc(most, 1);
    if (!b.spans || !t->nodes || !t->labels) {
        rc = ga__fail_nomem(err, most * sizeof(*t->nodes));
        goto out;
    }
    t->nodes[0].value = NO_VALUE;
    b.spans[0] = (span){0, (uint32_t)n, 0};
    t->count = 1;
    for (size_t i = 0; i < t->count; i++)
        expand(&b, i);
    for (uint32_t i = 0; i < t->nodes[0].children; i++)
        t->root[t->labels[t->nodes[0].first + i]] = t->nodes[0].first + i;
out:
    free(b.spans);
    if (rc)
        ga__trie_free(t);
    return rc;
}

void ga__trie_free(ga_trie *t)
{
    free(t->nodes);
    free(t->labels);
    *t = GA_TRIE_INIT;
}

static uint32_t find_child(const ga_trie *t, const struct ga_trie_node *node,
                           uint8_t label)
{
    const uint8_t *labels = t->labels + node->first;
    if (node->children > 16) {
        const uint8_t *at = memchr(labels, label, node->children);
        return at ? node->first + (uint32_t)(at - labels) : NO_NODE;
    }
    for (uint32_t i = 0; i < node->children; i++) {
        if (labels[i] == label)
            return node->first + i;
    }
    return NO_NODE;
}

bool ga__trie_longest(const ga_trie *t, const char *text, size_t len,
                      uint32_t *value, size_t *matched)
{
    bool found = false;
    size_t pos = 0;
    uint32_t index = t->root[(uint8_t)text[0]];
    while (index != NO_NODE) {
        const struct ga_trie_node *node = &t->nodes[index];
        const char *edge = t->base + node->edge;
        if (node->edge_len > len - pos)
            break;
        size_t i = 1; /* the label led here */
        while (i < node->edge_len && edge[i] == text[pos + i])
            i++;
        if (i < node->edge_len)
            break;
        pos += i;
        if (node->value != NO_VALUE) {
            *value = node->value;
            *matched = pos;
            found = true;
        }
        if (pos == len)
            break;
        index = find_child(t, node, (uint8_t)text[pos]);
    }
    return found;
}
