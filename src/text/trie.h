/* trie.h: the longest key that a text begins with.
 *
 * A radix tree in three flat arrays: a node costs 17 bytes and there are at
 * most two a key, however long the keys are, so a vocabulary within the limits
 * cannot make it large.  A look-up reads each byte of the text once. */
#ifndef GA_TEXT_TRIE_H
#define GA_TEXT_TRIE_H

#include "base/mem.h"

typedef struct {
    const char *key; /* within the 4 GiB behind `base` */
    uint32_t len;    /* 1 to GA_MAX_TOKEN_BYTES */
    uint32_t value;
} ga_trie_entry;

typedef struct {
    const char *base; /* the keys' bytes; borrowed */
    struct ga_trie_node *nodes;
    uint8_t *labels; /* first byte of the edge that leads to each node */
    size_t count;
    uint32_t root[256]; /* children of the root by their label */
} ga_trie;

#define GA_TRIE_INIT ((ga_trie){0})

/* Build from n entries, which are sorted in place.  Of equal keys the one with
 * the largest value counts.  `base` has to live as long as the trie. */
ga_status ga__trie_build(ga_trie *t, const char *base, ga_trie_entry *entries,
                         size_t n, ga_error *err);
void ga__trie_free(ga_trie *t);

/* The value and length of the longest key that text[0, len) begins with;
 * false when there is none.  len must be above 0. */
bool ga__trie_longest(const ga_trie *t, const char *text, size_t len,
                      uint32_t *value, size_t *matched);

#endif
