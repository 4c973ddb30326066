/* test_base.c: memory runs out at every allocation of the base, one after
 * another, and threads cannot be started. */
#define _GNU_SOURCE /* RTLD_NEXT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/json.h"
#include "base/threads.h"
#include "fault/fault.h"

#define STR(literal) ((ga_str){"" literal, sizeof(literal) - 1})

enum { ENOUGH = 1000 };

static void test_json(void **state)
{
    (void)state;
    const ga_str text =
        STR("[1,2,[3,{\"a\":\"b\\n\"}],4,5,6,7,8,9,10,11,12,13,14,15,16,17]");
    ga_json doc = GA_JSON_INIT; /* keeps its memory from failure to failure */
    long n = 0;
    for (;; n++) {
        ga_error err = {""};
        assert_true(n < ENOUGH);
        fault_arm(n, false);
        ga_status rc = ga__json_parse(&doc, text, &err);
        if (!fault_disarm()) {
            assert_int_equal(rc, GA_OK);
            break;
        }
        assert_int_equal(rc, GA_NOMEM);
        assert_int_equal(doc.count, 0);
        assert_memory_equal(err.msg, "out of memory", 13);
        ga__json_free(&doc);
    }
    assert_true(n > 1);
    assert_int_equal(doc.nodes[0].count, 17);
    ga__json_free(&doc);
}

/* A document that failed serves the next text. */
static void test_json_after_a_failure(void **state)
{
    (void)state;
    ga_json doc = GA_JSON_INIT;
    assert_int_equal(ga__json_parse(&doc, STR("[1]"), NULL), GA_OK);
    fault_arm(0, false);
    ga_status rc = ga__json_parse(&doc, STR("[1,2,3,4,5,6,7,8,9]"), NULL);
    assert_true(fault_disarm());
    assert_int_equal(rc, GA_NOMEM);
    assert_int_equal(doc.count, 0);
    assert_int_equal(ga__json_parse(&doc, STR("[1,2,3,4,5,6,7,8,9]"), NULL),
                     GA_OK);
    assert_int_equal(doc.count, 10);
    ga__json_free(&doc);
}

/* Every way to append, at the growth that fails: the content stays. */
static ga_status append(ga_buf *b, int way)
{
    switch (way) {
    case 0:
        return ga__buf_append(b, "0123456789", 10, NULL);
    case 1:
        return ga__buf_str(b, "0123456789", NULL);
    case 2:
        return ga__buf_printf(b, NULL, "%d", 1234567890);
    default:
        return ga__buf_json(b, STR("01\n3\"567"), NULL);
    }
}

static void test_buf(void **state)
{
    (void)state;
    for (int way = 0; way < 4; way++) {
        ga_buf b;
        size_t failures = 0;
        ga__buf_init(&b, 1 << 20);
        while (b.len < 1000) {
            char before[1100] = "";
            size_t len = b.len;
            memcpy(before, len ? b.ptr : "", len);
            fault_arm(0, false);
            ga_status rc = append(&b, way);
            if (!fault_disarm()) {
                assert_int_equal(rc, GA_OK);
                assert_true(b.len > len);
                continue;
            }
            failures++;
            assert_int_equal(rc, GA_NOMEM);
            assert_int_equal(b.len, len);
            if (len)
                assert_string_equal(b.ptr, before);
            assert_int_equal(append(&b, way), GA_OK);
        }
        assert_in_range(failures, 2, 20);
        ga__buf_free(&b);
    }
}

/* The escapes of one call: a failure behind the first of them takes them all
 * back. */
static void test_buf_json_is_all_or_nothing(void **state)
{
    (void)state;
    const ga_str text = STR("aaaaaa\x01\x02\x03\x04\x05\x06\x07\x01"
                            "\x02\x03\x04\x05\x06\x07");
    long n = 0;
    for (;; n++) {
        ga_buf b;
        ga__buf_init(&b, 1000);
        assert_int_equal(ga__buf_str(&b, "front", NULL), GA_OK);
        assert_true(n < ENOUGH);
        fault_arm(n, false);
        ga_status rc = ga__buf_json(&b, text, NULL);
        bool hit = fault_disarm();
        assert_int_equal(rc, hit ? GA_NOMEM : GA_OK);
        if (hit)
            assert_string_equal(b.ptr, "front");
        ga__buf_free(&b);
        if (!hit)
            break;
    }
    assert_true(n > 1);
}

static void test_detach(void **state)
{
    (void)state;
    ga_buf b;
    ga__buf_init(&b, 10);
    fault_arm(0, false);
    char *none = ga__buf_detach(&b);
    assert_true(fault_disarm());
    assert_null(none);
    assert_int_equal(ga__buf_str(&b, "abc", NULL), GA_OK);
    fault_arm(0, false);
    char *text = ga__buf_detach(&b); /* needs no memory */
    assert_false(fault_disarm());
    assert_string_equal(text, "abc");
    free(text);
}

static void test_arena(void **state)
{
    (void)state;
    ga_arena a = GA_ARENA_INIT;
    fault_arm(0, false);
    assert_null(ga__arena_alloc(&a, 10, 1));
    assert_true(fault_disarm());
    assert_int_equal(a.total, 0);
    char *first = ga__arena_alloc(&a, 50000, 1);
    assert_non_null(first);
    memset(first, 1, 50000);
    size_t total = a.total;
    fault_arm(0, false);
    assert_null(ga__arena_alloc(&a, 50000, 1));
    assert_true(fault_disarm());
    assert_int_equal(a.total, total);
    assert_int_equal(first[49999], 1);
    assert_non_null(ga__arena_alloc(&a, 50000, 1));
    /* no memory for one block of the whole size: the newest stays in use */
    fault_arm(0, false);
    ga__arena_reset(&a);
    assert_true(fault_disarm());
    char *again = ga__arena_alloc(&a, 50000, 1);
    assert_non_null(again);
    memset(again, 2, 50000);
    for (int round = 0; round < 5; round++) {
        ga__arena_reset(&a);
        assert_non_null(ga__arena_alloc(&a, 50000, 1));
        assert_non_null(ga__arena_alloc(&a, 50000, 1));
    }
    ga__arena_free(&a);
}

static long threads_left = -1; /* that can be started; -1: all */

/* In front of the C library's. */
int pthread_create(pthread_t *out, const pthread_attr_t *attributes,
                   void *(*start)(void *), void *arg)
{
    union {
        void *object;
        int (*call)(pthread_t *, const pthread_attr_t *, void *(*)(void *),
                    void *);
    } real = {dlsym(RTLD_NEXT, "pthread_create")};
    if (threads_left == 0)
        return EAGAIN;
    if (threads_left > 0)
        threads_left--;
    return real.call(out, attributes, start, arg);
}

static void test_pool(void **state)
{
    (void)state;
    ga_pool *pool = (ga_pool *)&pool;
    fault_arm(0, false);
    ga_status rc = ga__pool_new(3, &pool, NULL);
    assert_true(fault_disarm());
    assert_int_equal(rc, GA_NOMEM);
    assert_null(pool);
    for (long n = 0; n < 4; n++) {
        ga_error err = {""};
        threads_left = n;
        rc = ga__pool_new(5, &pool, &err);
        threads_left = -1;
        assert_int_equal(rc, GA_NOMEM);
        assert_null(pool);
        char expected[64];
        snprintf(expected, sizeof(expected), "cannot start thread %ld of 5",
                 n + 1);
        assert_string_equal(err.msg, expected);
    }
    threads_left = 4;
    assert_int_equal(ga__pool_new(5, &pool, NULL), GA_OK);
    threads_left = -1;
    ga__pool_free(pool);
}

static size_t count_files(const char *path)
{
    size_t n = 0;
    DIR *d = opendir(path);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static char folder[32];
static size_t strangers; /* files outside the folder that were to be removed */

/* In front of the C library's: a name that was never written must not be taken
 * for one. */
int unlink(const char *path)
{
    size_t n = strlen(folder);
    if (n == 0 || strncmp(path, folder, n) != 0) {
        strangers++;
        errno = ENOENT;
        return -1;
    }
    return unlinkat(AT_FDCWD, path, 0);
}

static void test_files(void **state)
{
    (void)state;
    char path[64];
    strcpy(folder, "/tmp/guidealign-fault-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/f", folder);
    long n = 0;
    for (;; n++) {
        ga_atomic_file f;
        ga_error err = {""};
        assert_true(n < ENOUGH);
        fault_arm(n, false);
        ga_status rc = ga__atomic_open(path, &f, &err);
        if (!rc) {
            fputs("text", f.stream);
            rc = ga__atomic_commit(&f, &err);
        }
        bool hit = fault_disarm();
        assert_int_equal(rc, hit ? GA_NOMEM : GA_OK);
        assert_null(f.stream);
        assert_true(count_files(folder) <= 1); /* the file, nothing beside it */
        if (!hit)
            break;
    }
    assert_true(n >= 2);
    char *bytes = NULL;
    size_t len;
    fault_arm(0, false);
    ga_status rc = ga__file_read(path, 100, &bytes, &len, NULL);
    assert_true(fault_disarm());
    assert_int_equal(rc, GA_NOMEM);
    assert_null(bytes);
    fault_arm(0, false);
    assert_null(ga__path_join("a", "b"));
    assert_true(fault_disarm());
    unlink(path);
    assert_int_equal(rmdir(folder), 0); /* nothing is left in it */
    assert_int_equal(strangers, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_json_after_a_failure),
        cmocka_unit_test(test_buf),
        cmocka_unit_test(test_buf_json_is_all_or_nothing),
        cmocka_unit_test(test_detach),
        cmocka_unit_test(test_arena),
        cmocka_unit_test(test_pool),
        cmocka_unit_test(test_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
