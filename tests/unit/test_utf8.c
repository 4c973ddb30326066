/* test_utf8.c: what is UTF-8, what is not, and where it may be cut. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/utf8.h"

#define STR(literal) ((ga_str){"" literal, sizeof(literal) - 1})

/* Encoded by the table of RFC 3629, section 3, written out once more. */
static size_t encode(unsigned char out[4], uint32_t c)
{
    if (c < 0x80)
        return (out[0] = (unsigned char)c, 1);
    if (c < 0x800) {
        out[0] = (unsigned char)(192 + c / 64);
        out[1] = (unsigned char)(128 + c % 64);
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (unsigned char)(224 + c / 4096);
        out[1] = (unsigned char)(128 + c / 64 % 64);
        out[2] = (unsigned char)(128 + c % 64);
        return 3;
    }
    out[0] = (unsigned char)(240 + c / 262144);
    out[1] = (unsigned char)(128 + c / 4096 % 64);
    out[2] = (unsigned char)(128 + c / 64 % 64);
    out[3] = (unsigned char)(128 + c % 64);
    return 4;
}

static void test_every_character(void **state)
{
    (void)state;
    for (uint32_t c = 0; c < 0x110000; c++) {
        unsigned char expected[4];
        char put[4];
        size_t n = encode(expected, c), pos = 0;
        bool surrogate = c >= 0xD800 && c <= 0xDFFF;
        ga_str s = {(const char *)expected, n};
        size_t got = ga__utf8_put(put, c);
        uint32_t back = ga__utf8_next(s, &pos);
        /* one comparison, not cmocka's: this loop is a million long */
        bool right = surrogate ? got == 0 && back == GA_UTF8_INVALID && pos == 1
                               : got == n && memcmp(put, expected, n) == 0 &&
                                     back == c && pos == n &&
                                     ga__utf8_invalid_at(s) == n;
        if (!right)
            fail_msg("U+%04X", c);
    }
    char put[4];
    assert_int_equal(ga__utf8_put(put, 0x110000), 0);
    assert_int_equal(ga__utf8_put(put, GA_UTF8_INVALID), 0);
}

static void test_ill_formed(void **state)
{
    (void)state;
    const struct {
        ga_str text;
        size_t at;
    } cases[] = {
        {STR("\x80"), 0},                     /* a tail alone */
        {STR("ab\xBF"), 2},                   /* */
        {STR("\xC0\x80"), 0},                 /* overlong NUL */
        {STR("\xC1\xBF"), 0},                 /* overlong U+007F */
        {STR("\xE0\x80\x80"), 0},             /* overlong */
        {STR("\xE0\x9F\xBF"), 0},             /* overlong U+07FF */
        {STR("\xF0\x80\x80\x80"), 0},         /* overlong */
        {STR("\xF0\x8F\xBF\xBF"), 0},         /* overlong U+FFFF */
        {STR("\xED\xA0\x80"), 0},             /* U+D800 */
        {STR("\xED\xBF\xBF"), 0},             /* U+DFFF */
        {STR("\xED\xA0\xBD\xED\xB8\x80"), 0}, /* CESU-8 pair */
        {STR("\xF4\x90\x80\x80"), 0},         /* U+110000 */
        {STR("\xF5\x80\x80\x80"), 0},         /* */
        {STR("\xF8\x88\x80\x80\x80"), 0},     /* five bytes */
        {STR("\xFC\x84\x80\x80\x80\x80"), 0},
        {STR("\xFE"), 0},
        {STR("\xFF"), 0},
        {STR("a\xC3"), 1},         /* cut off */
        {STR("a\xE2\x82"), 1},     /* */
        {STR("a\xF0\x9F\x98"), 1}, /* */
        {STR("\xC3x"), 0},         /* the tail is another character */
        {STR("\xE2x\x82\xAC"), 0}, /* */
        {STR("\xE2\x82x"), 0},     /* */
        {STR("\xF0\x9F\x98x"), 0}, /* */
        {STR("\xC3\xC3\xA9"), 0},  /* a head where a tail should be */
        {STR("\xC3\xA9\xC3\xA9\xA9"), 4},
        {STR("x\0\xFF"), 2}, /* a NUL hides nothing */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        size_t at = ga__utf8_invalid_at(cases[i].text), pos = at;
        assert_int_equal(at, cases[i].at);
        assert_int_equal(ga__utf8_next(cases[i].text, &pos), GA_UTF8_INVALID);
        assert_int_equal(pos, at + 1);
    }
}

static void test_well_formed(void **state)
{
    (void)state;
    const ga_str cases[] = {
        {NULL, 0},
        STR(""),
        STR("a\0b"),
        STR("\x7F\xC2\x80\xDF\xBF"),
        STR("\xE0\xA0\x80\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBF"),
        STR("\xF0\x90\x80\x80\xF4\x8F\xBF\xBF"),
        STR("\xEF\xBB\xBF"), /* a BOM is a character */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        assert_int_equal(ga__utf8_invalid_at(cases[i]), cases[i].len);
}

/* The bytes behind the end belong to somebody else, valid or not. */
static void test_the_end_is_the_end(void **state)
{
    (void)state;
    static const char euro[] = "\xE2\x82\xAC";
    for (size_t n = 1; n < 3; n++)
        assert_int_equal(ga__utf8_invalid_at((ga_str){euro, n}), 0);
    assert_int_equal(ga__utf8_invalid_at((ga_str){euro, 3}), 3);
}

static void test_prefix_and_suffix(void **state)
{
    (void)state;
    /* a, e with acute, euro, face, b: they start at 0, 1, 3, 6, 10 */
    const ga_str s = STR("a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"
                         "b");
    static const size_t prefix[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11};
    static const size_t suffix[] = {0, 1, 1, 1, 1, 5, 5, 5, 8, 8, 10, 11};
    for (size_t max = 0; max < 12; max++) {
        assert_int_equal(ga__utf8_prefix(s, max), prefix[max]);
        assert_int_equal(ga__utf8_suffix(s, max), suffix[max]);
    }
    assert_int_equal(ga__utf8_prefix(s, SIZE_MAX), s.len);
    assert_int_equal(ga__utf8_suffix(s, SIZE_MAX), s.len);
    ga_str empty = {NULL, 0};
    assert_int_equal(ga__utf8_prefix(empty, 0), 0);
    assert_int_equal(ga__utf8_suffix(empty, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_character),
        cmocka_unit_test(test_ill_formed),
        cmocka_unit_test(test_well_formed),
        cmocka_unit_test(test_the_end_is_the_end),
        cmocka_unit_test(test_prefix_and_suffix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
