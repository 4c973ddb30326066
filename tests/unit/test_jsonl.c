/* test_jsonl.c: lines of a file, good and bad. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/limits.h"
#include "library/jsonl.h"

/* What came in: the ids, one behind another. */
typedef struct {
    char ids[256];
    size_t count;
    ga_status answer; /* to a record called "no" */
} taken;

static ga_status take(void *arg, const ga_record *record, ga_error *err)
{
    taken *t = arg;
    if (t->answer && ga__str_is(record->guideline.id, "no"))
        return ga__fail(err, t->answer, "not that one");
    size_t used = strlen(t->ids);
    snprintf(t->ids + used, sizeof(t->ids) - used, "%.*s ",
             (int)record->guideline.id.len, record->guideline.id.ptr);
    t->count++;
    return GA_OK;
}

static FILE *stream_of(const char *bytes, size_t len)
{
    FILE *f = tmpfile();
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, len, f), len);
    rewind(f);
    return f;
}

static ga_status read_bytes(ga_jsonl *j, const char *name, const char *bytes,
                            size_t len, taken *t, ga_error *err)
{
    FILE *f = stream_of(bytes, len);
    ga_status rc = ga__jsonl_read(j, f, name, take, t, err);
    fclose(f);
    return rc;
}

static void read_text(ga_jsonl *j, const char *name, const char *text, taken *t)
{
    ga_error err = {""};
    if (read_bytes(j, name, text, strlen(text), t, &err) != GA_OK)
        fail_msg("%s", err.msg);
}

#define REC(id) "{\"id\":\"" id "\",\"text\":\"x\"}"

static void test_good(void **state)
{
    static const char *const texts[] = {
        "",
        "\n \n\t\r\n\n",
        REC("a") "\n" REC("b") "\n",
        REC("a") "\n" REC("b"),
        "\xEF\xBB\xBF" REC("a") "\r\n\r\n  " REC("b") "  \r\n",
        "\xEF\xBB\xBF\n" REC("a") "\n\n\n" REC("b") "\r",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        ga_jsonl j = GA_JSONL_INIT;
        taken t = {.count = 0};
        read_text(&j, "f", texts[i], &t);
        assert_string_equal(t.ids, i < 2 ? "" : "a b ");
        assert_int_equal(j.lines, i < 2 ? 0 : 2);
        assert_int_equal(j.rejected, 0);
        ga__jsonl_free(&j);
    }
}

static void test_errors_are_named(void **state)
{
    ga_jsonl j = GA_JSONL_INIT;
    taken t = {.count = 0, .answer = GA_EXISTS};
    (void)state;
    read_text(&j, "library.jsonl",
              REC("a") "\n\n{\"title\":\"t\"}\n{\n" REC("b") "\n" REC(
                  "a") "\n" REC("no") "\n\xEF\xBB\xBF" REC("c") "\n" REC("d"),
              &t);
    assert_string_equal(t.ids, "a b d ");
    assert_int_equal(j.lines, 8);
    assert_int_equal(j.rejected, 5);
    assert_int_equal(j.error_count, 5);
    static const char *const messages[] = {
        "library.jsonl:3: \"text\" is missing",
        "library.jsonl:4: malformed JSON at byte 1: key expected",
        "library.jsonl:6: id 'a' stands in library.jsonl:1 already",
        "library.jsonl:7: not that one",
        "library.jsonl:8: malformed JSON at byte 0: not a value",
    };
    for (size_t i = 0; i < 5; i++)
        assert_string_equal(j.errors[i].message, messages[i]);
    assert_string_equal(j.errors[2].file, "library.jsonl");
    assert_int_equal(j.errors[2].line, 6);
    ga__jsonl_free(&j);
}

static void test_duplicates_across_files(void **state)
{
    ga_jsonl j = GA_JSONL_INIT;
    taken t = {.count = 0};
    char name[] = "one.jsonl"; /* goes away before the other is read */
    (void)state;
    read_text(&j, name, REC("a") "\n" REC("b"), &t);
    memset(name, 'X', sizeof(name) - 1);
    read_text(&j, "two.jsonl", REC("c") "\n" REC("b") "\n", &t);
    assert_string_equal(t.ids, "a b c ");
    assert_int_equal(j.rejected, 1);
    assert_string_equal(j.errors[0].message,
                        "two.jsonl:2: id 'b' stands in one.jsonl:2 already");
    ga__jsonl_free(&j);
}

/* No id, and none needed to tell two apart: the same text is the same one. */
static void test_duplicates_of_derived_ids(void **state)
{
    ga_jsonl j = GA_JSONL_INIT;
    taken t = {.count = 0};
    (void)state;
    read_text(&j, "f",
              "{\"text\":\"Be kind\"}\n{\"text\":\"Be fair\"}\n"
              "{\"text\":\"Be kind\"}\n",
              &t);
    assert_int_equal(t.count, 2);
    assert_string_equal(j.errors[0].message,
                        "f:3: id 'be-kind-3470ac92' stands in f:1 already");
    ga__jsonl_free(&j);
}

static void test_many(void **state)
{
    enum { MANY = 5000 };
    ga_jsonl j = GA_JSONL_INIT;
    taken t = {.count = 0};
    ga_buf text;
    (void)state;
    ga__buf_init(&text, SIZE_MAX / 2);
    for (int i = 0; i < MANY; i++)
        ga__buf_printf(&text, NULL, "{\"id\":\"%d\",\"text\":\"x\"}\n", i);
    for (int i = 0; i < 30; i++)
        ga__buf_printf(&text, NULL, "{\"id\":\"%d\",\"text\":\"y\"}\n", i * 9);
    read_text(&j, "f", text.ptr, &t);
    assert_int_equal(t.count, MANY);
    assert_int_equal(j.rejected, 30);
    assert_int_equal(j.error_count, GA_JSONL_ERRORS);
    assert_string_equal(j.errors[1].message,
                        "f:5002: id '9' stands in f:10 already");
    ga__buf_free(&text);
    ga__jsonl_free(&j);
}

/* A line as long as may be is read, one byte more is named and read past. */
static void test_long_lines(void **state)
{
    (void)state;
    for (size_t over = 0; over < 2; over++) {
        const size_t n = GA_MAX_LINE_BYTES + over;
        const char *record = REC("long"), *behind = "\n" REC("next") "\n";
        char *text = malloc(n + strlen(behind));
        ga_jsonl j = GA_JSONL_INIT;
        taken t = {.count = 0};
        ga_error err = {""};
        assert_non_null(text);
        memset(text, ' ', n);
        memcpy(text, record, strlen(record));
        memcpy(text + n, behind, strlen(behind));
        assert_int_equal(
            read_bytes(&j, "f", text, n + strlen(behind), &t, &err), GA_OK);
        assert_string_equal(t.ids, over ? "next " : "long next ");
        if (over)
            assert_string_equal(j.errors[0].message,
                                "f:1: line over 8388608 bytes");
        ga__jsonl_free(&j);
        free(text);
    }
}

static void test_nul_bytes(void **state)
{
    static const char bytes[] = REC("a") "\0\n{\"text\":\"a\0b\"}\n" REC("b");
    ga_jsonl j = GA_JSONL_INIT;
    taken t = {.count = 0};
    ga_error err = {""};
    (void)state;
    assert_int_equal(read_bytes(&j, "f", bytes, sizeof(bytes) - 1, &t, &err),
                     GA_OK);
    assert_string_equal(t.ids, "b ");
    assert_int_equal(j.rejected, 2);
    ga__jsonl_free(&j);
}

static void test_what_ends_the_reading(void **state)
{
    ga_jsonl j = GA_JSONL_INIT;
    taken t = {.count = 0, .answer = GA_IO};
    ga_error err = {""};
    const char *text = REC("a") "\n" REC("no") "\n" REC("b");
    (void)state;
    assert_int_equal(read_bytes(&j, "f", text, strlen(text), &t, &err), GA_IO);
    assert_string_equal(err.msg, "not that one");
    assert_string_equal(t.ids, "a ");
    FILE *folder = fopen("/", "rb");
    assert_non_null(folder);
    assert_int_equal(ga__jsonl_read(&j, folder, "/", take, &t, &err), GA_IO);
    assert_string_equal(err.msg, "cannot read '/': Is a directory");
    fclose(folder);
    ga__jsonl_free(&j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_errors_are_named),
        cmocka_unit_test(test_duplicates_across_files),
        cmocka_unit_test(test_duplicates_of_derived_ids),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_nul_bytes),
        cmocka_unit_test(test_what_ends_the_reading),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
