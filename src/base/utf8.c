/* utf8.c: validation and decoding of UTF-8 (RFC 3629). */
#include "base/utf8.h"

static bool is_tail(unsigned char c)
{
    return (c & 0xC0u) == 0x80u;
}

uint32_t ga__utf8_next(ga_str s, size_t *pos)
{
    const unsigned char *p = (const unsigned char *)s.ptr + *pos;
    size_t left = s.len - *pos;
    unsigned char c = p[0];
    *pos += 1;
    if (c < 0x80)
        return c;
    if (c >= 0xC2 && c <= 0xDF && left > 1 && is_tail(p[1])) {
        *pos += 1;
        return (uint32_t)(c & 0x1Fu) << 6 | (p[1] & 0x3Fu);
    }
    if ((c & 0xF0u) == 0xE0u && left > 2 && is_tail(p[1]) && is_tail(p[2])) {
        uint32_t out = (uint32_t)(c & 0x0Fu) << 12 |
                       (uint32_t)(p[1] & 0x3Fu) << 6 | (p[2] & 0x3Fu);
        if (out < 0x800 || (out >= 0xD800 && out <= 0xDFFF))
            return GA_UTF8_INVALID;
        *pos += 2;
        return out;
    }
    if ((c & 0xF8u) == 0xF0u && left > 3 && is_tail(p[1]) && is_tail(p[2]) &&
        is_tail(p[3])) {
        uint32_t out = (uint32_t)(c & 0x07u) << 18 |
                       (uint32_t)(p[1] & 0x3Fu) << 12 |
                       (uint32_t)(p[2] & 0x3Fu) << 6 | (p[3] & 0x3Fu);
        if (out < 0x10000 || out > 0x10FFFF)
            return GA_UTF8_INVALID;
        *pos += 3;
        return out;
    }
    return GA_UTF8_INVALID;
}

size_t ga__utf8_put(char out[4], uint32_t c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xC0u | c >> 6);
        out[1] = (char)(0x80u | (c & 0x3Fu));
        return 2;
    }
    if (c < 0x10000) {
        if (c >= 0xD800 && c <= 0xDFFF)
            return 0;
        out[0] = (char)(0xE0u | c >> 12);
        out[1] = (char)(0x80u | (c >> 6 & 0x3Fu));
        out[2] = (char)(0x80u | (c & 0x3Fu));
        return 3;
    }
    if (c > 0x10FFFF)
        return 0;
    out[0] = (char)(0xF0u | c >> 18);
    out[1] = (char)(0x80u | (c >> 12 & 0x3Fu));
    out[2] = (char)(0x80u | (c >> 6 & 0x3Fu));
    out[3] = (char)(0x80u | (c & 0x3Fu));
    return 4;
}

size_t ga__utf8_invalid_at(ga_str s)
{
    size_t pos = 0;
    while (pos < s.len) {
        size_t at = pos;
        if ((unsigned char)s.ptr[pos] < 0x80)
            pos++;
        else if (ga__utf8_next(s, &pos) == GA_UTF8_INVALID)
            return at;
    }
    return s.len;
}

size_t ga__utf8_prefix(ga_str s, size_t max)
{
    if (s.len <= max)
        return s.len;
    while (max > 0 && is_tail((unsigned char)s.ptr[max]))
        max--;
    return max;
}

size_t ga__utf8_suffix(ga_str s, size_t max)
{
    if (s.len <= max)
        return s.len;
    size_t at = s.len - max;
    while (at < s.len && is_tail((unsigned char)s.ptr[at]))
        at++;
    return s.len - at;
}
