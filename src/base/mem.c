/* mem.c: allocation with checked sizes. */
#include "base/mem.h"

#include <stdlib.h>

enum { CACHE_LINE = 64 };

void *ga__calloc(size_t n, size_t size)
{
    return calloc(n ? n : 1, size ? size : 1);
}

void *ga__realloc(void *old, size_t n, size_t size)
{
    size_t bytes;
    if (!ga__mul_size(n, size, &bytes))
        return NULL;
    return realloc(old, bytes ? bytes : 1);
}

void *ga__alloc_aligned(size_t n, size_t size)
{
    size_t bytes;
    if (!ga__mul_size(n, size, &bytes) ||
        !ga__add_size(bytes, CACHE_LINE - 1, &bytes))
        return NULL;
    bytes &= ~(size_t)(CACHE_LINE - 1);
    return aligned_alloc(CACHE_LINE, bytes ? bytes : CACHE_LINE);
}

char *ga__strndup(const char *text, size_t len)
{
    size_t bytes;
    if (!ga__add_size(len, 1, &bytes))
        return NULL;
    char *copy = malloc(bytes);
    if (!copy)
        return NULL;
    if (len)
        memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

bool ga__grow(void **items, size_t *cap, size_t n, size_t size)
{
    if (n <= *cap)
        return true;
    size_t want = *cap ? *cap : 8;
    while (want < n) {
        if (!ga__mul_size(want, 2, &want))
            return false;
    }
    void *grown = ga__realloc(*items, want, size);
    if (!grown)
        return false;
    *items = grown;
    *cap = want;
    return true;
}
