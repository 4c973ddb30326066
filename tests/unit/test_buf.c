/* test_buf.c: buffers at their cap, and what a failure leaves behind. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "base/buf.h"

#define STR(literal) ((ga_str){"" literal, sizeof(literal) - 1})

static void check(const ga_buf *b, ga_str expected)
{
    assert_int_equal(b->len, expected.len);
    assert_non_null(b->ptr);
    assert_memory_equal(b->ptr, expected.ptr, expected.len);
    assert_int_equal(b->ptr[b->len], '\0');
    assert_true(b->cap > b->len);
}

static void test_append(void **state)
{
    (void)state;
    ga_buf b;
    ga__buf_init(&b, 100);
    assert_int_equal(ga__buf_append(&b, "a\0b", 3, NULL), GA_OK);
    assert_int_equal(ga__buf_str(&b, "cd", NULL), GA_OK);
    assert_int_equal(ga__buf_printf(&b, NULL, "%03d", 7), GA_OK);
    assert_int_equal(ga__buf_append(&b, NULL, 0, NULL), GA_OK);
    check(&b, STR("a\0bcd007"));
    ga__buf_free(&b);
}

static void test_nothing_is_a_string(void **state)
{
    (void)state;
    ga_buf b;
    ga__buf_init(&b, 0);
    assert_int_equal(ga__buf_append(&b, NULL, 0, NULL), GA_OK);
    check(&b, STR(""));
    assert_int_equal(ga__buf_append(&b, "x", 1, NULL), GA_LIMIT);
    check(&b, STR(""));
    ga__buf_free(&b);
}

static void test_cap_is_exact(void **state)
{
    (void)state;
    ga_buf b;
    ga_error err = {""};
    ga__buf_init(&b, 5);
    assert_int_equal(ga__buf_append(&b, "12345", 5, &err), GA_OK);
    assert_int_equal(ga__buf_append(&b, "6", 1, &err), GA_LIMIT);
    assert_string_equal(err.msg, "over the limit of 5 bytes");
    assert_int_equal(ga__buf_append(&b, "", 0, &err), GA_OK);
    check(&b, STR("12345"));
    ga__buf_free(&b);
}

static void test_failures_change_nothing(void **state)
{
    (void)state;
    ga_buf b;
    ga__buf_init(&b, 8);
    ga__buf_str(&b, "1234", NULL);
    assert_int_equal(ga__buf_append(&b, "56789", 5, NULL), GA_LIMIT);
    assert_int_equal(ga__buf_append(&b, "x", SIZE_MAX, NULL), GA_LIMIT);
    assert_int_equal(ga__buf_append(&b, "x", SIZE_MAX - 4, NULL), GA_LIMIT);
    assert_int_equal(ga__buf_str(&b, "56789", NULL), GA_LIMIT);
    assert_int_equal(ga__buf_printf(&b, NULL, "%s", "56789"), GA_LIMIT);
    /* escapes that begin within the limit and end past it */
    assert_int_equal(ga__buf_json(&b, STR("ab\x01"), NULL), GA_LIMIT);
    assert_int_equal(ga__buf_json(&b, STR("abc\n"), NULL), GA_LIMIT);
    assert_int_equal(ga__buf_json(&b, STR("a\"b\"c"), NULL), GA_LIMIT);
    check(&b, STR("1234"));
    assert_int_equal(ga__buf_append(&b, "5678", 4, NULL), GA_OK);
    check(&b, STR("12345678"));
    ga__buf_free(&b);
}

/* No maximum is no licence to wrap around. */
static void test_unlimited(void **state)
{
    (void)state;
    ga_buf b;
    ga__buf_init(&b, SIZE_MAX);
    assert_int_not_equal(ga__buf_append(&b, "", SIZE_MAX, NULL), GA_OK);
    assert_int_equal(b.len, 0);
    ga__buf_str(&b, "12", NULL);
    assert_int_not_equal(ga__buf_append(&b, "", SIZE_MAX - 2, NULL), GA_OK);
    check(&b, STR("12"));
    ga__buf_free(&b);
}

static void test_clear_keeps_the_memory(void **state)
{
    (void)state;
    ga_buf b;
    ga__buf_init(&b, 100);
    ga__buf_clear(&b);
    assert_null(b.ptr);
    ga__buf_str(&b, "a text of some length", NULL);
    const char *ptr = b.ptr;
    ga__buf_clear(&b);
    check(&b, STR(""));
    ga__buf_str(&b, "another text as long", NULL);
    assert_ptr_equal(b.ptr, ptr);
    ga__buf_free(&b);
}

static void test_free_keeps_the_maximum(void **state)
{
    (void)state;
    ga_buf b;
    ga__buf_init(&b, 3);
    ga__buf_str(&b, "abc", NULL);
    ga__buf_free(&b);
    ga__buf_free(&b);
    assert_null(b.ptr);
    assert_int_equal(ga__buf_str(&b, "abcd", NULL), GA_LIMIT);
    assert_int_equal(ga__buf_str(&b, "abc", NULL), GA_OK);
    ga__buf_free(&b);
}

static void test_detach(void **state)
{
    (void)state;
    ga_buf b;
    ga__buf_init(&b, 10);
    char *empty = ga__buf_detach(&b);
    assert_string_equal(empty, "");
    ga__buf_str(&b, "abc", NULL);
    char *text = ga__buf_detach(&b);
    assert_string_equal(text, "abc");
    assert_null(b.ptr);
    assert_int_equal(b.len, 0);
    assert_int_equal(ga__buf_str(&b, "0123456789", NULL), GA_OK);
    assert_int_equal(ga__buf_str(&b, "x", NULL), GA_LIMIT);
    assert_string_equal(text, "abc"); /* no longer the buffer's */
    free(empty);
    free(text);
    ga__buf_free(&b);
}

static void test_json_escapes(void **state)
{
    (void)state;
    const struct {
        ga_str text, escaped;
    } cases[] = {
        {STR("plain"), STR("plain")},
        {STR("\""), STR("\\\"")},
        {STR("\\"), STR("\\\\")},
        {STR("a\"b\\c"), STR("a\\\"b\\\\c")},
        {STR("\n"), STR("\\n")},
        {STR("\t\r"), STR("\\u0009\\u000d")},
        {STR("\0x\x1f"), STR("\\u0000x\\u001f")},
        {STR("\x7f/"), STR("\x7f/")},
        {STR("\xC3\xA9\xF0\x9F\x98\x80"), STR("\xC3\xA9\xF0\x9F\x98\x80")},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        ga_buf b;
        ga__buf_init(&b, 100);
        assert_int_equal(ga__buf_json(&b, cases[i].text, NULL), GA_OK);
        check(&b, cases[i].escaped);
        ga__buf_free(&b);
    }
}

static void test_json_of_nothing(void **state)
{
    (void)state;
    ga_buf b;
    ga__buf_init(&b, 10);
    assert_int_equal(ga__buf_json(&b, STR(""), NULL), GA_OK);
    assert_int_equal(ga__buf_json(&b, (ga_str){NULL, 0}, NULL), GA_OK);
    assert_int_equal(b.len, 0);
    ga__buf_str(&b, "ab", NULL);
    assert_int_equal(ga__buf_json(&b, (ga_str){NULL, 0}, NULL), GA_OK);
    check(&b, STR("ab"));
    ga__buf_free(&b);
}

static void test_json_fits_exactly(void **state)
{
    (void)state;
    ga_buf b;
    ga__buf_init(&b, 14);
    assert_int_equal(ga__buf_json(&b, STR("\x01\x02\n"), NULL), GA_OK);
    check(&b, STR("\\u0001\\u0002\\n"));
    ga__buf_free(&b);
    ga__buf_init(&b, 13);
    assert_int_equal(ga__buf_json(&b, STR("\x01\x02\n"), NULL), GA_LIMIT);
    assert_int_equal(b.len, 0);
    ga__buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_append),
        cmocka_unit_test(test_nothing_is_a_string),
        cmocka_unit_test(test_cap_is_exact),
        cmocka_unit_test(test_failures_change_nothing),
        cmocka_unit_test(test_unlimited),
        cmocka_unit_test(test_clear_keeps_the_memory),
        cmocka_unit_test(test_free_keeps_the_maximum),
        cmocka_unit_test(test_detach),
        cmocka_unit_test(test_json_escapes),
        cmocka_unit_test(test_json_of_nothing),
        cmocka_unit_test(test_json_fits_exactly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
