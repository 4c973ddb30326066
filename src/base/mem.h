/* mem.h: allocation with checked sizes.
 *
 * Plain malloc underneath, so that tests can fail the nth allocation by
 * wrapping it at link time and sanitizers see every byte. */
#ifndef GA_BASE_MEM_H
#define GA_BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "guidealign/status.h"

/* *out = a * b, or false when that does not fit. */
static inline bool ga__mul_size(size_t a, size_t b, size_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

/* *out = a + b, or false when that does not fit. */
static inline bool ga__add_size(size_t a, size_t b, size_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}

/* n zeroed elements; NULL when there is no memory or n * size overflows.
 * n = 0 gives a pointer that may be freed. */
void *ga__calloc(size_t n, size_t size);

/* Make room for n elements, keeping the old ones.  On failure NULL, and the
 * old block is still the caller's. */
void *ga__realloc(void *old, size_t n, size_t size);

/* n elements aligned to a cache line, not zeroed; free() releases it. */
void *ga__alloc_aligned(size_t n, size_t size);

/* A NUL-terminated copy, for bytes that have to reach a C string API. */
char *ga__strndup(const char *text, size_t len);

/* Grow a vector: after success *items holds at least n elements of `size`
 * bytes and *cap says how many.  On failure nothing changes. */
bool ga__grow(void **items, size_t *cap, size_t n, size_t size);

/* The ga_str of a C string, and comparison with one. */
static inline ga_str ga__str(const char *text)
{
    ga_str s = {text, text ? strlen(text) : 0};
    return s;
}

static inline bool ga__str_equal(ga_str a, ga_str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* The order of two strings, by their bytes: below, at or above 0. */
static inline int ga__str_compare(ga_str a, ga_str b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int c = n ? memcmp(a.ptr, b.ptr, n) : 0;
    return c ? c : (a.len > b.len) - (a.len < b.len);
}

static inline bool ga__str_is(ga_str a, const char *text)
{
    return ga__str_equal(a, ga__str(text));
}

#endif
