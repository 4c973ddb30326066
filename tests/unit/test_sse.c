/* test_sse.c: the events of a stream, however its bytes arrive. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "llm/sse.h"

#define STR(literal) ((ga_str){"" literal, sizeof(literal) - 1})

/* Events as "<length>:<bytes>;", so that nothing is hidden by a separator. */
typedef struct {
    ga_buf seen;
    size_t count, fail_at;
} sink;

static ga_status on_event(void *arg, ga_str data)
{
    sink *s = arg;
    if (++s->count == s->fail_at)
        return GA_CANCELED;
    ga__buf_printf(&s->seen, NULL, "%zu:", data.len);
    ga__buf_append(&s->seen, data.ptr, data.len, NULL);
    return ga__buf_str(&s->seen, ";", NULL);
}

/* Feed the text in pieces of `step` bytes. */
static ga_status feed(ga_str text, size_t step, size_t max, sink *out)
{
    ga_sse s;
    ga_status rc = GA_OK;
    ga__sse_init(&s, max);
    ga__buf_init(&out->seen, 1 << 20);
    for (size_t at = 0; at < text.len && !rc; at += step) {
        size_t n = step < text.len - at ? step : text.len - at;
        ga_str piece = {text.ptr + at, n};
        rc = ga__sse_feed(&s, piece, on_event, out, NULL);
    }
    ga__sse_free(&s);
    return rc;
}

static void check(ga_str text, const char *expected)
{
    for (size_t step = 1; step <= text.len + 1; step++) {
        sink out = {.count = 0};
        assert_int_equal(feed(text, step, 1000, &out), GA_OK);
        assert_string_equal(out.seen.ptr ? out.seen.ptr : "", expected);
        ga__buf_free(&out.seen);
    }
}

static void test_events(void **state)
{
    (void)state;
    check(STR("data: a\n\n"), "1:a;");
    check(STR("data:a\n\ndata: b\n\n"), "1:a;1:b;");
    check(STR("data:  a \n\n"), "3: a ;"); /* one space is taken off */
    check(STR("data: a\ndata: b\n\n"), "3:a\nb;");
    check(STR("data: a\ndata:\ndata: b\n\n"), "4:a\n\nb;");
    check(STR("data: [DONE]\n\n"), "6:[DONE];");
}

static void test_nul(void **state)
{
    (void)state;
    sink out = {.count = 0};
    assert_int_equal(feed(STR("data: a\0b\n\n"), 3, 100, &out), GA_OK);
    assert_int_equal(out.seen.len, 6);
    assert_memory_equal(out.seen.ptr, "3:a\0b;", 6);
    ga__buf_free(&out.seen);
}

static void test_line_ends(void **state)
{
    (void)state;
    check(STR("data: a\r\n\r\ndata: b\r\n\r\n"), "1:a;1:b;");
    check(STR("data: a\r\rdata: b\r\r"), "1:a;1:b;");
    check(STR("data: a\n\r\ndata: b\r\n\n"), "1:a;1:b;");
    check(STR("data: a\r\ndata: b\r\n\r\n"), "3:a\nb;");
    check(STR("data: a\n\n\n\n\ndata: b\n\n"), "1:a;1:b;");
    check(STR("\r\n\r\n\rdata: a\r\r\n"), "1:a;");
}

static void test_what_is_no_data(void **state)
{
    (void)state;
    check(STR(""), "");
    check(STR("\n\n\n"), "");
    check(STR(": comment\n\n"), "");
    check(STR(":\n\ndata: a\n\n"), "1:a;");
    check(STR("event: x\nid: 1\nretry: 10\n\n"), "");
    check(STR("event: x\ndata: a\nid: 1\n\n"), "1:a;");
    check(STR("dat: a\n\ndatas: b\n\nDATA: c\n\n data: d\n\n"), "");
    check(STR("data: : colon\n\n"), "7:: colon;");
}

/* Without the empty line an event has not happened. */
static void test_unfinished(void **state)
{
    (void)state;
    check(STR("data: a"), "");
    check(STR("data: a\n"), "");
    check(STR("data: a\n\ndata: b\n"), "1:a;");
}

/* By the standard an empty field counts, with or without its colon. */
static void test_empty_data(void **state)
{
    (void)state;
    check(STR("data:\n\n"), "0:;");
    check(STR("data: \n\n"), "0:;");
    check(STR("data\n\n"), "0:;");
    check(STR("data\ndata\n\n"), "1:\n;");
}

static void test_byte_order_mark(void **state)
{
    (void)state;
    check(STR("\xEF\xBB\xBF"
              "data: a\n\ndata: b\n\n"),
          "1:a;1:b;");
    check(STR("\xEF\xBB\xBF\n\ndata: a\n\n"), "1:a;");
    /* only at the very start */
    check(STR("data: a\n\n\xEF\xBB\xBF"
              "data: b\n\n"),
          "1:a;");
    check(STR("\n\xEF\xBB\xBF"
              "data: b\n\n"),
          "");
}

static void test_caps(void **state)
{
    (void)state;
    for (size_t step = 1; step < 40; step += 6) {
        sink out = {.count = 0};
        /* a line of 8 bytes fits, one of 9 does not */
        assert_int_equal(feed(STR("data:abc\n\n"), step, 8, &out), GA_OK);
        assert_string_equal(out.seen.ptr, "3:abc;");
        ga__buf_free(&out.seen);
        assert_int_equal(feed(STR("data:abcd\n\n"), step, 8, &out), GA_LIMIT);
        ga__buf_free(&out.seen);
        assert_int_equal(feed(STR("never a line's end"), step, 8, &out),
                         GA_LIMIT);
        ga__buf_free(&out.seen);
        /* each line is short, the event is not */
        assert_int_equal(
            feed(STR("data:abc\ndata:abc\ndata:abc\n\n"), step, 8, &out),
            GA_LIMIT);
        ga__buf_free(&out.seen);
        /* and what was handed out does not count */
        assert_int_equal(
            feed(STR("data:abc\n\ndata:abc\n\ndata:abc\n\n"), step, 8, &out),
            GA_OK);
        ga__buf_free(&out.seen);
    }
}

static void test_a_status_ends_it(void **state)
{
    (void)state;
    for (size_t step = 1; step < 40; step++) {
        sink out = {.fail_at = 2};
        assert_int_equal(
            feed(STR("data: a\n\ndata: b\n\ndata: c\n\n"), step, 100, &out),
            GA_CANCELED);
        assert_int_equal(out.count, 2);
        assert_string_equal(out.seen.ptr, "1:a;");
        ga__buf_free(&out.seen);
    }
}

/* In steady state nothing is allocated: the buffers stay what they are. */
static void test_memory_is_reused(void **state)
{
    (void)state;
    ga_sse s;
    sink out = {.count = 0};
    const char *line = NULL, *data = NULL;
    ga__sse_init(&s, 1000);
    ga__buf_init(&out.seen, 1 << 20);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(
            ga__sse_feed(&s, STR("data: 12345\n\n"), on_event, &out, NULL),
            GA_OK);
        if (i == 0) {
            line = s.line.ptr;
            data = s.data.ptr;
        }
        assert_ptr_equal(s.line.ptr, line);
        assert_ptr_equal(s.data.ptr, data);
    }
    assert_int_equal(out.count, 1000);
    ga__buf_free(&out.seen);
    ga__sse_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_nul),
        cmocka_unit_test(test_line_ends),
        cmocka_unit_test(test_what_is_no_data),
        cmocka_unit_test(test_unfinished),
        cmocka_unit_test(test_empty_data),
        cmocka_unit_test(test_byte_order_mark),
        cmocka_unit_test(test_caps),
        cmocka_unit_test(test_a_status_ends_it),
        cmocka_unit_test(test_memory_is_reused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
