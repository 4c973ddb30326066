/* test_base.c: messages, sizes that overflow, and the names of a record. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/guideline.h"
#include "base/mem.h"
#include "base/utf8.h"

/* Sizes that no machine has are asked for: under sanitizers, too, the answer is
 * NULL. */
const char *__asan_default_options(void);
const char *__tsan_default_options(void);

const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

const char *__tsan_default_options(void)
{
    return "allocator_may_return_null=1";
}

static void test_every_status_has_a_text(void **state)
{
    (void)state;
#define CHECK(name, number, text)                                              \
    assert_int_equal(GA_##name, number);                                       \
    assert_string_equal(ga_status_text(GA_##name), text);
    GA_STATUS_MAP(CHECK)
#undef CHECK
    assert_string_equal(ga_status_text((ga_status)99), "unknown status");
}

static void test_fail_returns_its_status(void **state)
{
    (void)state;
    ga_error err;
    assert_int_equal(ga__fail(&err, GA_INVAL, "'%s' is %d", "x", 7), GA_INVAL);
    assert_string_equal(err.msg, "'x' is 7");
    assert_int_equal(ga__fail(NULL, GA_LIMIT, "nobody listens"), GA_LIMIT);
    assert_int_equal(ga__fail_nomem(&err, 12), GA_NOMEM);
    assert_string_equal(err.msg, "out of memory for 12 bytes");
    assert_int_equal(ga__fail_nomem(NULL, 12), GA_NOMEM);
}

/* Characters of 1 to 4 bytes, at every distance from the end of the room. */
static void test_messages_are_cut_between_characters(void **state)
{
    (void)state;
    static const char *const characters[] = {"x", "\xC3\xA9", "\xE2\x82\xAC",
                                             "\xF0\x9F\x98\x80"};
    ga_error err;
    char text[sizeof(err.msg) + 16];
    for (size_t c = 0; c < 4; c++) {
        size_t width = strlen(characters[c]);
        for (size_t front = 0; front < 8; front++) {
            size_t n = front;
            memset(text, '.', front);
            while (n + width < sizeof(text)) {
                memcpy(text + n, characters[c], width);
                n += width;
            }
            text[n] = '\0';
            ga__fail(&err, GA_INVAL, "%s", text);
            ga_str cut = ga__str(err.msg);
            assert_int_equal(ga__utf8_invalid_at(cut), cut.len);
            size_t fit = (sizeof(err.msg) - 1 - front) / width * width + front;
            assert_int_equal(cut.len, fit);
            assert_memory_equal(cut.ptr, text, fit);
        }
    }
}

/* What just fits is not touched, whatever it ends with. */
static void test_messages_that_fit_are_kept(void **state)
{
    (void)state;
    ga_error err;
    char text[sizeof(err.msg)];
    memset(text, '.', sizeof(text));
    memcpy(text + sizeof(text) - 3, "\xC3\xA9", 3);
    ga__fail(&err, GA_INVAL, "%s", text);
    assert_string_equal(err.msg, text);
}

static void test_fail_errno(void **state)
{
    (void)state;
    ga_error err;
    errno = ENOENT;
    assert_int_equal(ga__fail_errno(&err, "cannot open '%s'", "f"), GA_IO);
    assert_string_equal(err.msg, "cannot open 'f': No such file or directory");
    assert_int_equal(errno, ENOENT);
    errno = ENOMEM;
    assert_int_equal(ga__fail_errno(&err, "no"), GA_NOMEM);
    errno = EACCES;
    assert_int_equal(ga__fail_errno(NULL, "no"), GA_IO);
    errno = 12345;
    ga__fail_errno(&err, "no");
    assert_memory_equal(err.msg, "no: ", 4);
    assert_non_null(strstr(err.msg, "12345"));
}

static void test_fail_errno_with_a_long_name(void **state)
{
    (void)state;
    ga_error err;
    char name[2 * sizeof(err.msg)];
    for (size_t length = sizeof(err.msg) - 40; length < sizeof(name);
         length += length < sizeof(err.msg) ? 1 : 97) {
        memset(name, 'n', length);
        name[length] = '\0';
        errno = ENOENT;
        ga__fail_errno(&err, "%s", name);
        assert_true(memchr(err.msg, '\0', sizeof(err.msg)) != NULL);
        size_t kept = length < sizeof(err.msg) ? length : sizeof(err.msg) - 1;
        assert_memory_equal(err.msg, name, kept);
    }
}

static void test_prefix(void **state)
{
    (void)state;
    ga_error err;
    ga__fail(&err, GA_INVAL, "\"text\" is missing");
    ga__error_prefix(&err, "%s:%d", "library.jsonl", 17);
    assert_string_equal(err.msg, "library.jsonl:17: \"text\" is missing");
    ga__error_prefix(NULL, "nobody");
    /* a prefix that takes all the room leaves a message, and a valid one */
    char text[2 * sizeof(err.msg)];
    for (size_t i = 0; i + 2 < sizeof(text); i += 2)
        memcpy(text + i, "\xC3\xA9", 3);
    ga__error_prefix(&err, "%s", text);
    ga_str cut = ga__str(err.msg);
    assert_int_equal(ga__utf8_invalid_at(cut), cut.len);
    assert_in_range(cut.len, sizeof(err.msg) - 4, sizeof(err.msg) - 1);
}

static void test_checked_sizes(void **state)
{
    (void)state;
    size_t out;
    assert_true(ga__mul_size(SIZE_MAX / 2, 2, &out));
    assert_int_equal(out, SIZE_MAX - 1);
    assert_false(ga__mul_size(SIZE_MAX / 2 + 1, 2, &out));
    assert_true(ga__add_size(SIZE_MAX - 1, 1, &out));
    assert_false(ga__add_size(SIZE_MAX, 1, &out));
}

static void test_allocations_that_overflow(void **state)
{
    (void)state;
    const size_t half = SIZE_MAX / 2 + 1;
    assert_null(ga__calloc(half, 2));
    assert_null(ga__realloc(NULL, half, 2));
    assert_null(ga__alloc_aligned(half, 2));
    assert_null(ga__alloc_aligned(SIZE_MAX - 8, 1));
    assert_null(ga__strndup("x", SIZE_MAX));
    void *items = NULL;
    size_t cap = 0;
    assert_false(ga__grow(&items, &cap, half + 1, 1));
    assert_false(ga__grow(&items, &cap, half, 4));
    assert_null(items);
    assert_int_equal(cap, 0);
}

static void test_allocations_of_nothing(void **state)
{
    (void)state;
    void *a = ga__calloc(0, 8), *b = ga__realloc(NULL, 0, 8);
    void *c = ga__alloc_aligned(0, 8);
    char *d = ga__strndup(NULL, 0);
    assert_non_null(a);
    assert_non_null(b);
    assert_non_null(c);
    assert_string_equal(d, "");
    free(a);
    free(b);
    free(c);
    free(d);
}

static void test_aligned(void **state)
{
    (void)state;
    for (size_t n = 1; n < 300; n += 7) {
        char *p = ga__alloc_aligned(n, 1);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 64, 0);
        memset(p, 1, n);
        free(p);
    }
}

static void test_grow_keeps_the_content(void **state)
{
    (void)state;
    void *items = NULL;
    size_t cap = 0, moves = 0;
    for (uint32_t i = 0; i < 10000; i++) {
        size_t before = cap;
        assert_true(ga__grow(&items, &cap, i + 1, sizeof(uint32_t)));
        assert_true(cap > i);
        moves += cap != before;
        ((uint32_t *)items)[i] = i;
    }
    for (uint32_t i = 0; i < 10000; i++)
        assert_int_equal(((uint32_t *)items)[i], i);
    assert_in_range(moves, 1, 16); /* doubling, not one by one */
    free(items);
}

static void test_strings(void **state)
{
    (void)state;
    assert_int_equal(ga__str(NULL).len, 0);
    assert_true(ga__str_equal(ga__str(NULL), ga__str("")));
    assert_true(ga__str_is((ga_str){"abc", 2}, "ab"));
    assert_false(ga__str_is((ga_str){"abc", 2}, "abc"));
    assert_false(ga__str_is((ga_str){"a\0b", 3}, "a"));
    char *copy = ga__strndup("a\0b", 3);
    assert_memory_equal(copy, "a\0b\0", 4);
    free(copy);
}

static void test_risk_names(void **state)
{
    (void)state;
    assert_int_equal(GA_RISK_COUNT, 14);
    for (size_t i = 0; i < GA_RISK_COUNT; i++)
        assert_int_equal(ga__risk_find(ga__str(ga__risk_name(i))), i);
    assert_null(ga__risk_name(GA_RISK_COUNT));
    assert_null(ga__risk_name(SIZE_MAX));
    static const char *const not_risks[] = {"", "insul", "insults", "Insult",
                                            "insult\n"};
    for (size_t i = 0; i < sizeof(not_risks) / sizeof(*not_risks); i++)
        assert_int_equal(ga__risk_find(ga__str(not_risks[i])), GA_RISK_COUNT);
}

static void test_kind_and_status_names(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        ga_guideline_kind kind;
        ga_guideline_status status;
        assert_true(
            ga__kind_find(ga__str(ga__kind_name((ga_guideline_kind)i)), &kind));
        assert_int_equal(kind, i);
        assert_true(ga__guideline_status_find(
            ga__str(ga__guideline_status_name((ga_guideline_status)i)),
            &status));
        assert_int_equal(status, i);
    }
    ga_guideline_kind kind = GA_GUIDELINE_PERMIT;
    ga_guideline_status status = GA_STATUS_RETIRED;
    assert_false(ga__kind_find(ga__str("rule"), &kind));
    assert_false(ga__guideline_status_find(ga__str(""), &status));
    assert_int_equal(kind, GA_GUIDELINE_PERMIT); /* left alone */
    assert_int_equal(status, GA_STATUS_RETIRED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_status_has_a_text),
        cmocka_unit_test(test_fail_returns_its_status),
        cmocka_unit_test(test_messages_are_cut_between_characters),
        cmocka_unit_test(test_messages_that_fit_are_kept),
        cmocka_unit_test(test_fail_errno),
        cmocka_unit_test(test_fail_errno_with_a_long_name),
        cmocka_unit_test(test_prefix),
        cmocka_unit_test(test_checked_sizes),
        cmocka_unit_test(test_allocations_that_overflow),
        cmocka_unit_test(test_allocations_of_nothing),
        cmocka_unit_test(test_aligned),
        cmocka_unit_test(test_grow_keeps_the_content),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_risk_names),
        cmocka_unit_test(test_kind_and_status_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
