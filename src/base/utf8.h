/* utf8.h: validation and decoding of UTF-8 (RFC 3629). */
#ifndef GA_BASE_UTF8_H
#define GA_BASE_UTF8_H

#include "base/mem.h"

#define GA_UTF8_INVALID 0xFFFFFFFFu

/* Decode the character at s[*pos] and move *pos behind it.  An ill-formed
 * sequence (overlong, surrogate, above U+10FFFF, cut off) gives
 * GA_UTF8_INVALID and moves by one byte.  *pos must be below s.len. */
uint32_t ga__utf8_next(ga_str s, size_t *pos);

/* Write `c` as UTF-8 and return its length, 1 to 4; 0 when it is no Unicode
 * scalar value. */
size_t ga__utf8_put(char out[4], uint32_t c);

/* Offset of the first ill-formed byte, s.len when there is none. */
size_t ga__utf8_invalid_at(ga_str s);

/* The longest prefix of at most `max` bytes that ends between characters, and
 * the longest suffix of that kind.  s must be valid. */
size_t ga__utf8_prefix(ga_str s, size_t max);
size_t ga__utf8_suffix(ga_str s, size_t max);

#endif
