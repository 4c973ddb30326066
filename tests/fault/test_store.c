/* test_store.c: memory runs out at every allocation of reading records and of
 * changing and reading a library, one after another, until the call gets
 * through.  SQLite gets its memory from here too.  Whatever fails: the answer
 * is GA_NOMEM, and the library is what it was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <malloc.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"
#include "fault/fault.h"
#include "library/jsonl.h"
#include "library/load.h"
#include "library/store.h"

enum { ENOUGH = 100000 };

#define STR(literal) ((ga_str){"" literal, sizeof(literal) - 1})
#define RECORD                                                                 \
    "{\"title\":\"A \\\"title\\\"\",\"text\":\"one\\ntwo\",\"risks\":["        \
    "\"insult\"],\"triggers\":[\"a\\u00e9\",\"b\"],\"source\":{\"a\":"         \
    "[\"\\n\"]}}"

/* ---- what fails ---- */

static char path[64], lines[64];

typedef ga_status (*work_fn)(ga_error *err);

static ga_status parse(ga_error *err)
{
    ga_record r = GA_RECORD_INIT;
    ga_buf out;
    ga__buf_init(&out, 4096);
    ga_status rc = ga__record_parse(&r, STR(RECORD), err);
    if (!rc)
        rc = ga__guideline_check(&r.guideline, err);
    if (!rc)
        rc = ga__guideline_json_pretty(&r.guideline, &out, err);
    ga__buf_free(&out);
    ga__record_free(&r);
    return rc;
}

static ga_status ignore_record(void *arg, const ga_record *r, ga_error *err)
{
    (void)arg;
    (void)r;
    (void)err;
    return GA_OK;
}

static FILE *input;

static ga_status read_lines(ga_error *err)
{
    ga_jsonl j = GA_JSONL_INIT;
    rewind(input);
    ga_status rc = ga__jsonl_read(&j, input, "f", ignore_record, NULL, err);
    if (!rc)
        assert_int_equal(j.rejected, 1);
    ga__jsonl_free(&j);
    return rc;
}

static ga_status open_and_close(ga_error *err)
{
    ga_store *s = NULL;
    ga_status rc = ga__store_open(path, GA_STORE_CREATE, &s, err);
    assert_true((rc == GA_OK) == (s != NULL));
    ga__store_close(s);
    return rc;
}

static ga_status put(ga_store *s, const char *id, const char *text,
                     ga_error *err)
{
    const ga_put_options options = {.mode = GA_PUT_REPLACE};
    const ga_guideline g = {.id = ga__str(id),
                            .text = ga__str(text),
                            .source = STR("{\"created\":\"now\"}")};
    ga_put_result result;
    return ga__store_put(s, &g, &options, &result, err);
}

static const ga_change change = {{"me", 2}, {"test", 4}, {"", 0}};

/* A change of two records, one of them new each time. */
static const char *new_text = "one";
static bool committed;

static ga_status change_it(ga_error *err)
{
    ga_store *s = NULL;
    uint64_t version = 0;
    committed = false;
    ga_status rc = ga__store_open(path, GA_STORE_WRITE, &s, err);
    if (!rc)
        rc = ga__store_begin(s, &change, err);
    if (!rc)
        rc = put(s, "a", new_text, err);
    if (!rc)
        rc = put(s, "b", new_text, err);
    if (!rc)
        rc = ga__store_commit(s, &version, err);
    committed = version > 0;
    ga__store_close(s);
    return rc;
}

static ga_status roll_back(ga_error *err)
{
    ga_store *s = NULL;
    uint64_t version = 0;
    size_t count = 0;
    committed = false;
    ga_status rc = ga__store_open(path, GA_STORE_WRITE, &s, err);
    if (!rc)
        rc = ga__store_begin(s, &change, err);
    if (!rc)
        rc = ga__store_rollback(s, 1, &count, err);
    if (!rc)
        rc = ga__store_commit(s, &version, err);
    committed = version > 0;
    ga__store_close(s);
    return rc;
}

static ga_status switch_status(ga_error *err)
{
    static bool approved;
    ga_store *s = NULL;
    uint64_t version = 0;
    bool changed = false;
    committed = false;
    ga_status rc = ga__store_open(path, GA_STORE_WRITE, &s, err);
    if (!rc)
        rc = ga__store_begin(s, &change, err);
    if (!rc)
        rc = ga__store_set_status(
            s, STR("c"), approved ? GA_STATUS_RETIRED : GA_STATUS_APPROVED,
            &changed, err);
    if (!rc)
        rc = ga__store_commit(s, &version, err);
    committed = version > 0;
    approved = committed ? !approved : approved;
    ga__store_close(s);
    return rc;
}

static ga_status ignore_row(void *arg, const ga_store_row *row, ga_error *err)
{
    (void)arg;
    (void)row;
    (void)err;
    return GA_OK;
}

static ga_status ignore_version(void *arg, const ga_store_version *v,
                                ga_error *err)
{
    (void)arg;
    (void)v;
    (void)err;
    return GA_OK;
}

static ga_status ignore_difference(void *arg, ga_str id,
                                   const ga_record *before,
                                   const ga_record *after, ga_error *err)
{
    (void)arg;
    (void)id;
    (void)before;
    (void)after;
    (void)err;
    return GA_OK;
}

static ga_status read_all(ga_error *err)
{
    ga_store *s = NULL;
    ga_record r = GA_RECORD_INIT;
    ga_status rc = ga__store_open(path, GA_STORE_READ, &s, err);
    if (!rc)
        rc = ga__store_list(s, 1, NULL, ignore_row, NULL, err);
    if (!rc)
        rc = ga__store_get(s, STR("c"), GA_STORE_HEAD, &r, NULL, err);
    if (!rc)
        rc = ga__store_history(s, STR(""), ignore_version, NULL, err);
    if (!rc)
        rc = ga__store_history(s, STR("c"), ignore_version, NULL, err);
    if (!rc)
        rc = ga__store_diff(s, 0, 1, ignore_difference, NULL, err);
    ga__record_free(&r);
    ga__store_close(s);
    return rc;
}

static ga_status load(ga_error *err)
{
    const char *paths[] = {path, lines};
    ga_guideline_set set;
    ga_status rc = ga__guidelines_load(paths, 2, NULL, &set, err);
    assert_true((rc == GA_OK) == (set.count > 0));
    ga__guidelines_free(&set);
    return rc;
}

/* ---- failing it ---- */

static ga_status add_row(void *arg, const ga_store_row *row, ga_error *err)
{
    char *text = arg;
    size_t n = strlen(text);
    (void)err;
    snprintf(text + n, 256 - n, "%.*s=%.*s ", (int)row->guideline->id.len,
             row->guideline->id.ptr, (int)row->guideline->text.len,
             row->guideline->text.ptr);
    return GA_OK;
}

/* The library as it is, with memory: "3: a=one b=one ". */
static void state_of(char out[256])
{
    ga_store *s = NULL;
    ga_error err = {""};
    uint64_t head = 0;
    if (ga__store_open(path, GA_STORE_READ, &s, &err) ||
        ga__store_head(s, &head, &err))
        fail_msg("%s", err.msg);
    snprintf(out, 256, "%d: ", (int)head);
    if (ga__store_list(s, GA_STORE_HEAD, NULL, add_row, out, &err))
        fail_msg("%s", err.msg);
    ga__store_close(s);
}

/* Let the nth allocation fail, for all n; answers how many there are. */
static long fail_each(work_fn work, bool stays, bool changes)
{
    for (long n = 0;; n++) {
        ga_error err = {""};
        char before[256], after[256];
        assert_true(n < ENOUGH);
        if (changes)
            state_of(before);
        fault_arm(n, stays);
        ga_status rc = work(&err);
        if (!fault_disarm()) {
            if (rc != GA_OK)
                fail_msg("%s", err.msg);
            return n;
        }
        /* SQLite does without some of what it asks for */
        if (rc != GA_OK && rc != GA_NOMEM)
            fail_msg("allocation %ld: %d, %s", n, (int)rc, err.msg);
        if (rc == GA_NOMEM)
            assert_non_null(strstr(err.msg, "out of memory"));
        if (!changes)
            continue;
        state_of(after);
        assert_true(committed == (rc == GA_OK));
        if (!committed)
            assert_string_equal(after, before);
        else if (work == roll_back) /* something to roll back again */
            assert_int_equal(change_it(&err), GA_OK);
        else
            new_text = strcmp(new_text, "one") ? "one" : "two";
    }
}

static void test_records(void **state)
{
    (void)state;
    for (int stays = 0; stays < 2; stays++) {
        assert_true(fail_each(parse, stays, false) > 5);
        assert_true(fail_each(read_lines, stays, false) > 8);
    }
}

static void test_creating(void **state)
{
    (void)state;
    for (int stays = 0; stays < 2; stays++) {
        unlink(path);
        assert_true(fail_each(open_and_close, stays, false) > 50);
        assert_true(fail_each(open_and_close, stays, false) > 50);
    }
}

/* A library with a, b and c in version 1. */
static void make_library(void)
{
    ga_store *s = NULL;
    ga_error err = {""};
    uint64_t version = 0;
    unlink(path);
    if (ga__store_open(path, GA_STORE_CREATE, &s, &err) ||
        ga__store_begin(s, &change, &err) || put(s, "a", "zero", &err) ||
        put(s, "b", "zero", &err) || put(s, "c", "zero", &err) ||
        ga__store_commit(s, &version, &err))
        fail_msg("%s", err.msg);
    ga__store_close(s);
}

static void test_changing(void **state)
{
    (void)state;
    for (int stays = 0; stays < 2; stays++) {
        char now[256];
        make_library();
        assert_true(fail_each(change_it, stays, true) > 100);
        assert_true(fail_each(switch_status, stays, true) > 100);
        state_of(now);
        assert_non_null(strstr(now, "c=zero"));
    }
}

static void test_rolling_back(void **state)
{
    (void)state;
    for (int stays = 0; stays < 2; stays++) {
        ga_error err = {""};
        make_library();
        assert_int_equal(change_it(&err), GA_OK);
        assert_true(fail_each(roll_back, stays, true) > 100);
    }
}

static void test_reading(void **state)
{
    (void)state;
    make_library();
    for (int stays = 0; stays < 2; stays++) {
        assert_true(fail_each(read_all, stays, false) > 100);
        assert_true(fail_each(load, stays, false) > 100);
    }
}

/* ---- SQLite's memory ---- */

static void *sqlite_malloc(int n)
{
    return malloc((size_t)n);
}

static void *sqlite_realloc(void *old, int n)
{
    return realloc(old, (size_t)n);
}

static int sqlite_size(void *p)
{
    return (int)malloc_usable_size(p);
}

static int sqlite_round(int n)
{
    return (n + 7) & ~7;
}

static int sqlite_start(void *arg)
{
    (void)arg;
    return SQLITE_OK;
}

static void sqlite_stop(void *arg)
{
    (void)arg;
}

static int setup(void **state)
{
    static char folder[] = "/tmp/ga-fault-XXXXXX";
    static const sqlite3_mem_methods methods = {
        sqlite_malloc, free,         sqlite_realloc, sqlite_size,
        sqlite_round,  sqlite_start, sqlite_stop,    NULL};
    if (sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) != SQLITE_OK ||
        sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0) != SQLITE_OK ||
        sqlite3_initialize() != SQLITE_OK || !mkdtemp(folder))
        return -1;
    *state = folder;
    snprintf(path, sizeof(path), "%s/x.db", folder);
    snprintf(lines, sizeof(lines), "%s/x.jsonl", folder);
    FILE *f = fopen(lines, "wb");
    if (!f)
        return -1;
    fputs(RECORD "\n", f);
    fclose(f);
    input = tmpfile();
    if (!input)
        return -1;
    fputs(RECORD "\n" RECORD "\n{\"text\":\"x\"}\n", input);
    return 0;
}

static int teardown(void **state)
{
    unlink(path);
    unlink(lines);
    rmdir(*state);
    fclose(input);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records),  cmocka_unit_test(test_creating),
        cmocka_unit_test(test_changing), cmocka_unit_test(test_rolling_back),
        cmocka_unit_test(test_reading),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
