/* test_guide.c: memory runs out at every allocation from opening a pack to the
 * composed conversation, and while a pack is written, one after another, until
 * the call gets through.  A leak is the sanitizer's to find. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fault/fault.h"
#include "guidealign/guidealign.h"
#include "tiny_pack.h"

enum { ENOUGH = 10000 };

static const ga_message messages[] = {
    {GA_ROLE_SYSTEM, TINY_S("we is in it")},
    {GA_ROLE_USER, TINY_S("run, dog, run")},
    {GA_ROLE_ASSISTANT, TINY_S("the lazy dog")},
    {GA_ROLE_USER, TINY_S("is the cat on the mat?")}};
enum { MESSAGES = sizeof(messages) / sizeof(*messages) };

static ga_pack *open_pack(void)
{
    size_t len;
    unsigned char *bytes = tiny_pack_bytes(&len);
    ga_pack *pack = NULL;
    assert_int_equal(tiny_pack_open(bytes, len, &pack, NULL), GA_OK);
    free(bytes);
    return pack;
}

static ga_guide_options all(void)
{
    static const ga_str pin = TINY_S("you");
    ga_guide_options o;
    ga_guide_options_init(&o);
    o.threshold = 0;
    o.pinned = &pin;
    o.pinned_count = 1;
    return o;
}

/* rc is what it has to be when an allocation failed or none did. */
static void check_status(ga_status rc, bool failed, const ga_error *err)
{
    assert_int_equal(rc, failed ? GA_NOMEM : GA_OK);
    if (failed)
        assert_non_null(strstr(err->msg, "out of memory"));
}

static void test_pack_open(void **state)
{
    char path[96];
    (void)state;
    tiny_pack_path(path);
    assert_int_equal(tiny_pack_write(path, tiny_guidelines, TINY_GUIDELINES, 1,
                                     NULL, NULL, NULL),
                     GA_OK);
    for (int stays = 0; stays < 2; stays++) {
        bool failed = true;
        long n = 0;
        for (; failed; n++) {
            ga_pack *pack = NULL;
            ga_error err = {""};
            assert_true(n < ENOUGH);
            fault_arm(n, stays);
            ga_status rc = ga_pack_open(path, &pack, &err);
            failed = fault_disarm();
            check_status(rc, failed, &err);
            assert_int_equal(pack == NULL, failed);
            ga_pack_close(pack);
        }
        assert_true(n > 5);
    }
    assert_true(tiny_pack_remove(path));
}

static void test_new(void **state)
{
    bool failed = true;
    (void)state;
    for (long n = 0; failed; n++) {
        ga_decision *d = NULL;
        ga_error err = {""};
        assert_true(n < ENOUGH);
        fault_arm(n, false);
        ga_status rc = ga_decision_new(&d, &err);
        failed = fault_disarm();
        check_status(rc, failed, &err);
        assert_int_equal(d == NULL, failed);
        ga_decision_free(d);
    }
    failed = true;
    for (long n = 0; failed; n++) {
        ga_scratch *s = NULL;
        ga_error err = {""};
        assert_true(n < ENOUGH);
        fault_arm(n, false);
        ga_status rc = ga_scratch_new(2, &s, &err);
        failed = fault_disarm();
        check_status(rc, failed, &err);
        assert_int_equal(s == NULL, failed);
        ga_scratch_free(s);
    }
}

/* The result of a call, to compare with another's. */
typedef struct {
    ga_candidate candidates[16];
    size_t chosen, count;
    double unsafe;
} answer;

static answer read_answer(const ga_decision *d)
{
    answer a = {.unsafe = ga_decision_unsafe(d)};
    const ga_candidate *c = ga_decision_candidates(d, &a.chosen, &a.count);
    assert_true(a.count <= 16);
    for (size_t i = 0; i < a.count; i++) {
        a.candidates[i].index = c[i].index; /* and not the padding */
        a.candidates[i].score = c[i].score;
        a.candidates[i].verdict = c[i].verdict;
        a.candidates[i].pinned = c[i].pinned;
    }
    return a;
}

/* With new handles each time, so that every buffer has to grow; after the
 * failure the same ones answer as ever. */
static void test_guide(void **state)
{
    ga_pack *pack = open_pack();
    ga_guide_options o = all();
    answer wanted = {.chosen = 0};
    long failures = 0;
    bool failed = true;
    (void)state;
    for (long n = -1; failed; n++) {
        ga_scratch *s = NULL;
        ga_decision *d = NULL;
        ga_error err = {""};
        assert_true(n < ENOUGH);
        assert_int_equal(ga_scratch_new(1, &s, NULL), GA_OK);
        assert_int_equal(ga_decision_new(&d, NULL), GA_OK);
        if (n >= 0)
            fault_arm(n, n % 2);
        ga_status rc = ga_guide(pack, s, messages, MESSAGES, &o, d, &err);
        failed = fault_disarm() || n < 0;
        /* a buffer that could not be joined with another may stay in two */
        if (n >= 0)
            check_status(rc, failed && rc, &err);
        failures += rc != GA_OK;
        if (rc) {
            answer nothing = read_answer(d);
            assert_true(nothing.count == 0 && nothing.unsafe == 0);
            assert_int_equal(ga_decision_get_state(d), GA_DECISION_SKIPPED);
        }
        assert_int_equal(ga_guide(pack, s, messages, MESSAGES, &o, d, NULL),
                         GA_OK);
        answer got = read_answer(d);
        if (n < 0)
            wanted = got;
        assert_memory_equal(&got, &wanted, sizeof(got));
        ga_decision_free(d);
        ga_scratch_free(s);
    }
    assert_true(wanted.chosen > 0);
    assert_true(failures > 4);
    ga_pack_close(pack);
}

static void test_rank(void **state)
{
    ga_pack *pack = open_pack();
    uint32_t order[TINY_APPROVED];
    double scores[TINY_APPROVED];
    long failures = 0;
    bool failed = true;
    (void)state;
    for (long n = 0; failed; n++) {
        ga_scratch *s = NULL;
        ga_decision *d = NULL;
        ga_error err = {""};
        assert_true(n < ENOUGH);
        assert_int_equal(ga_scratch_new(1, &s, NULL), GA_OK);
        assert_int_equal(ga_decision_new(&d, NULL), GA_OK);
        fault_arm(n, true);
        ga_status rc =
            ga_rank(pack, s, messages, MESSAGES, order, scores, d, &err);
        failed = fault_disarm();
        check_status(rc, failed && rc, &err);
        failures += rc != GA_OK;
        ga_decision_free(d);
        ga_scratch_free(s);
    }
    assert_true(failures > 4);
    ga_pack_close(pack);
}

static void test_compose(void **state)
{
    ga_pack *pack = open_pack();
    ga_guide_options o = all();
    ga_scratch *s = NULL;
    ga_decision *d = NULL;
    (void)state;
    assert_int_equal(ga_scratch_new(1, &s, NULL), GA_OK);
    assert_int_equal(ga_decision_new(&d, NULL), GA_OK);
    assert_int_equal(ga_guide(pack, s, messages, MESSAGES, &o, d, NULL), GA_OK);
    for (int position = 0; position < 4; position++) {
        bool failed = true;
        long n = 0;
        for (; failed; n++) {
            ga_composed *c = NULL;
            ga_error err = {""};
            assert_true(n < ENOUGH);
            fault_arm(n, n % 2);
            ga_status rc = ga_compose(pack, d, messages, MESSAGES,
                                      (ga_position)position, &c, &err);
            failed = fault_disarm();
            check_status(rc, failed, &err);
            assert_int_equal(c == NULL, failed);
            ga_composed_free(c);
        }
        assert_true(n > 3);
    }
    ga_decision_free(d);
    ga_scratch_free(s);
    ga_pack_close(pack);
}

/* Once its buffers have grown, a call allocates nothing. */
static void test_steady_state(void **state)
{
    ga_pack *pack = open_pack();
    ga_guide_options o = all();
    ga_scratch *s = NULL;
    ga_decision *d = NULL;
    (void)state;
    assert_int_equal(ga_scratch_new(1, &s, NULL), GA_OK);
    assert_int_equal(ga_decision_new(&d, NULL), GA_OK);
    for (int i = 0; i < 3; i++)
        assert_int_equal(ga_guide(pack, s, messages, MESSAGES, &o, d, NULL),
                         GA_OK);
    fault_arm(0, true);
    ga_status rc = ga_guide(pack, s, messages, MESSAGES, &o, d, NULL);
    assert_false(fault_disarm());
    assert_int_equal(rc, GA_OK);
    ga_decision_free(d);
    ga_scratch_free(s);
    ga_pack_close(pack);
}

/* Either the whole pack is there or nothing, and no temporary file. */
static void test_pack_write(void **state)
{
    char dir[64], path[96];
    ga_encoder *enc = NULL;
    ga_pack_options o;
    long failures = 0;
    bool failed = true;
    (void)state;
    ga__pack_options_init(&o);
    tiny_folder(&(tiny_options){0}, dir);
    assert_int_equal(ga_encoder_open(dir, &enc, NULL), GA_OK);
    tiny_remove(dir);
    for (long n = 0; failed; n++) {
        ga_scratch *s = NULL;
        ga_pack_report report;
        ga_error err = {""};
        assert_true(n < ENOUGH);
        assert_int_equal(ga_scratch_new(1, &s, NULL), GA_OK);
        tiny_pack_path(path);
        fault_arm(n, n % 2);
        ga_status rc = ga__pack_write(path, tiny_guidelines, TINY_GUIDELINES,
                                      enc, s, &o, &report, &err);
        failed = fault_disarm();
        check_status(rc, failed && rc, &err);
        /* what cannot be synced once it has its name stays there, complete */
        if (access(path, F_OK) == 0) {
            ga_pack *pack = NULL;
            assert_int_equal(ga_pack_open(path, &pack, NULL), GA_OK);
            ga_pack_close(pack);
        } else {
            assert_int_equal(rc, GA_NOMEM);
        }
        failures += rc != GA_OK;
        assert_true(tiny_pack_remove(path));
        ga_scratch_free(s);
    }
    assert_true(failures > 20);
    ga_encoder_close(enc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pack_open),  cmocka_unit_test(test_new),
        cmocka_unit_test(test_guide),      cmocka_unit_test(test_rank),
        cmocka_unit_test(test_compose),    cmocka_unit_test(test_steady_state),
        cmocka_unit_test(test_pack_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
