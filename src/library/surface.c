/* surface.c: texts compared by their surface, as sequences of words. */
#include "library/surface.h"

#include <stdlib.h>
#include <utf8proc.h>

#include "base/error.h"
#include "base/utf8.h"

/* ---- words ---- */

typedef enum { PARTS, JOINS, LETTER, ALONE } class;

static class class_of(uint32_t c)
{
    if (c == GA_UTF8_INVALID)
        return PARTS;
    if (c == '\'' || c == 0x2018 || c == 0x2019 || c == '`' || c == 0xB4)
        return JOINS;
    if ((c >= 0x0E00 && c < 0x0E80) || (c >= 0x3041 && c < 0x3100) ||
        (c >= 0x3400 && c < 0xA000) || (c >= 0x20000 && c < 0x30000))
        return ALONE;
    switch (utf8proc_category((utf8proc_int32_t)c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
        return LETTER;
    default:
        return PARTS;
    }
}

/* The finaliser of SplitMix64 (Steele et al., 2014): every bit of the result
 * hangs on every bit of x. */
static uint64_t mix(uint64_t x)
{
    x ^= x >> 30;
    x *= 0xBF58476D1CE4E5B9u;
    x ^= x >> 27;
    x *= 0x94D049BB133111EBu;
    return x ^ x >> 31;
}

static uint64_t fold(uint64_t hash, uint64_t with)
{
    return mix(hash + 0x9E3779B97F4A7C15u + with);
}

ga_status ga__surface_of(ga_surface *out, ga_str text, ga_arena *arena,
                         ga_error *err)
{
    *out = (ga_surface){0};
    if (text.len >= UINT32_MAX)
        return ga__fail(err, GA_LIMIT, "a text of %zu bytes", text.len);
    size_t most = text.len / 2 + 1; /* a word and what parts it are two bytes */
    out->hash = ga__arena_alloc(arena, most, sizeof(*out->hash));
    out->start = ga__arena_alloc(arena, most, sizeof(*out->start));
    out->end = ga__arena_alloc(arena, most, sizeof(*out->end));
    if (!out->hash || !out->start || !out->end)
        return ga__fail_nomem(err, most * 16);
    bool open = false;
    for (size_t pos = 0; pos < text.len;) {
        size_t from = pos;
        uint32_t c = ga__utf8_next(text, &pos);
        class k = class_of(c);
        if (k == ALONE || (k == LETTER && !open)) {
            out->hash[out->count] = 0;
            out->start[out->count++] = (uint32_t)from;
        }
        if (k == ALONE || k == LETTER) {
            uint64_t *hash = &out->hash[out->count - 1];
            *hash = fold(*hash, (uint32_t)utf8proc_tolower((int32_t)c));
            out->end[out->count - 1] = (uint32_t)pos;
        }
        open = k == LETTER || (k == JOINS && open);
    }
    return GA_OK;
}

uint64_t ga__surface_sequence(const ga_surface *s, size_t at, size_t n)
{
    uint64_t h = n;
    for (size_t i = 0; i < n; i++)
        h = fold(h, s->hash[at + i]);
    return h;
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Sort and drop what stands twice. */
static size_t distinct(uint64_t *x, size_t n)
{
    size_t kept = 0;
    qsort(x, n, sizeof(*x), by_number);
    for (size_t i = 0; i < n; i++) {
        if (kept == 0 || x[i] != x[kept - 1])
            x[kept++] = x[i];
    }
    return kept;
}

size_t ga__surface_sequences(const ga_surface *s, size_t n, uint64_t *out)
{
    if (n == 0 || s->count < n)
        return 0;
    size_t all = s->count - n + 1;
    for (size_t i = 0; i < all; i++)
        out[i] = ga__surface_sequence(s, i, n);
    return distinct(out, all);
}

size_t ga__surface_shared(const uint64_t *a, size_t na, const uint64_t *b,
                          size_t nb)
{
    size_t shared = 0;
    for (size_t i = 0, j = 0; i < na && j < nb;) {
        shared += a[i] == b[j];
        size_t next = i + (a[i] <= b[j]);
        j += b[j] <= a[i];
        i = next;
    }
    return shared;
}

ga_str ga__surface_common(ga_str text, const ga_surface *a, const ga_surface *b,
                          size_t n)
{
    for (size_t i = 0; i + n <= a->count; i++) {
        for (size_t j = 0; j + n <= b->count; j++) {
            if (memcmp(a->hash + i, b->hash + j, n * sizeof(*a->hash)) == 0)
                return (ga_str){text.ptr + a->start[i],
                                a->end[i + n - 1] - a->start[i]};
        }
    }
    return (ga_str){NULL, 0};
}

/* ---- the longest common subsequence ---- */

static size_t find(const uint64_t *x, size_t n, uint64_t wanted)
{
    size_t low = 0;
    while (n > 0) {
        size_t half = n / 2;
        if (x[low + half] < wanted) {
            low += half + 1;
            n -= half + 1;
        } else {
            n = half;
        }
    }
    return low;
}

ga_status ga__lcs_prepare(ga_lcs *l, const ga_surface *a, ga_arena *arena,
                          ga_error *err)
{
    *l = (ga_lcs){.rows = (a->count + 63) / 64, .count = a->count};
    l->word = ga__arena_alloc(arena, a->count, sizeof(*l->word));
    if (!l->word)
        return ga__fail_nomem(err, a->count * sizeof(*l->word));
    if (a->count > 0)
        memcpy(l->word, a->hash, a->count * sizeof(*l->word));
    l->distinct = distinct(l->word, a->count);
    l->where = ga__arena_alloc(arena, l->distinct * l->rows, sizeof(*l->where));
    l->state = ga__arena_alloc(arena, l->rows, sizeof(*l->state));
    if (!l->where || !l->state)
        return ga__fail_nomem(err, l->distinct * l->rows * sizeof(*l->where));
    memset(l->where, 0, l->distinct * l->rows * sizeof(*l->where));
    for (size_t i = 0; i < a->count; i++) {
        size_t w = find(l->word, l->distinct, a->hash[i]);
        l->where[w * l->rows + i / 64] |= (uint64_t)1 << i % 64;
    }
    return GA_OK;
}

/* A bit of the state is 0 where the subsequence grows by that word of a. */
size_t ga__lcs_length(ga_lcs *l, const ga_surface *b)
{
    size_t length = 0;
    for (size_t r = 0; r < l->rows; r++)
        l->state[r] = ~(uint64_t)0;
    for (size_t j = 0; j < b->count; j++) {
        size_t w = find(l->word, l->distinct, b->hash[j]);
        if (w == l->distinct || l->word[w] != b->hash[j])
            continue;
        const uint64_t *match = l->where + w * l->rows;
        unsigned carry = 0;
        for (size_t r = 0; r < l->rows; r++) {
            uint64_t v = l->state[r], u = v & match[r], sum;
            unsigned over = __builtin_add_overflow(v, u, &sum);
            over |= __builtin_add_overflow(sum, (uint64_t)carry, &sum);
            carry = over;
            l->state[r] = sum | (v & ~match[r]);
        }
    }
    for (size_t r = 0; r < l->rows; r++) {
        size_t bits = l->count - r * 64;
        uint64_t used = bits < 64 ? ((uint64_t)1 << bits) - 1 : ~(uint64_t)0;
        length += (size_t)__builtin_popcountll(~l->state[r] & used);
    }
    return length;
}

double ga__lcs_rouge(ga_lcs *l, const ga_surface *b)
{
    size_t sum = l->count + b->count;
    return sum ? 2.0 * (double)ga__lcs_length(l, b) / (double)sum : 0;
}
