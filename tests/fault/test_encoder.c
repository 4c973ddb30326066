/* test_encoder.c: memory runs out at every allocation of opening and embedding,
 * one after another, until the call gets through. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "encoder/encoder_internal.h"
#include "fault/fault.h"
#include "tiny_bert.h"

enum { H = TINY_HIDDEN, B = 3, ENOUGH = 10000 };

static const ga_str texts[B] = {
    {"the cat sat on the mat.", 23}, {"", 0}, {"a quick brown fox", 17}};

/* Opening answers GA_NOMEM and leaves nothing behind (a leak is the
 * sanitizer's to find), until it works. */
static void test_open(void **state)
{
    char dir[64];
    (void)state;
    tiny_folder(&(tiny_options){0}, dir);
    for (int turn = 0; turn < 6; turn++) {
        ga_precision precision = (ga_precision)(turn / 2);
        for (long n = 0;; n++) {
            ga_encoder *enc = NULL;
            ga_error err = {""};
            assert_true(n < ENOUGH);
            fault_arm(n, turn % 2 != 0);
            ga_status rc = ga_encoder_open_as(dir, precision, &enc, &err);
            if (!fault_disarm()) {
                assert_int_equal(rc, GA_OK);
                assert_true(n > 10);
                ga_encoder_close(enc);
                break;
            }
            assert_int_equal(rc, GA_NOMEM);
            assert_null(enc);
            assert_non_null(strstr(err.msg, "out of memory"));
        }
    }
    tiny_remove(dir);
}

static void test_scratch(void **state)
{
    (void)state;
    for (long n = 0;; n++) {
        ga_scratch *s = NULL;
        assert_true(n < ENOUGH);
        fault_arm(n, false);
        ga_status rc = ga_scratch_new(1, &s, NULL);
        if (!fault_disarm()) {
            assert_int_equal(rc, GA_OK);
            ga_scratch_free(s);
            break;
        }
        assert_int_equal(rc, GA_NOMEM);
        assert_null(s);
    }
}

/* After a failure the same scratch gives the same vectors as ever. */
static void test_embed(void **state)
{
    char dir[64];
    float wanted[B * H], out[B * H];
    ga_encoder *enc = NULL;
    ga_scratch *s = NULL;
    long failures = 0;
    (void)state;
    tiny_folder(&(tiny_options){0}, dir);
    assert_int_equal(ga_encoder_open(dir, &enc, NULL), GA_OK);
    tiny_remove(dir);
    assert_int_equal(ga_scratch_new(1, &s, NULL), GA_OK);
    assert_int_equal(ga_encoder_embed(enc, s, texts, B, wanted, NULL), GA_OK);
    ga_scratch_free(s);
    for (long n = 0;; n++) {
        ga_error err = {""};
        assert_true(n < ENOUGH);
        assert_int_equal(ga_scratch_new(1, &s, NULL), GA_OK);
        fault_arm(n, false);
        ga_status rc = ga_encoder_embed(enc, s, texts, B, out, &err);
        bool failed = fault_disarm();
        /* a buffer that could not be joined with another may stay in two */
        assert_int_equal(rc, failed && rc ? GA_NOMEM : GA_OK);
        assert_int_equal(ga_encoder_embed(enc, s, texts, B, out, &err), GA_OK);
        assert_memory_equal(out, wanted, sizeof(wanted));
        ga_scratch_free(s);
        if (!failed)
            break;
        failures += rc != GA_OK;
    }
    assert_true(failures > 2);
    ga_encoder_close(enc);
}

/* Once its buffers have grown, a call allocates nothing. */
static void test_steady_state(void **state)
{
    char dir[64];
    float out[B * H];
    ga_encoder *enc = NULL;
    ga_scratch *s = NULL;
    (void)state;
    tiny_folder(&(tiny_options){0}, dir);
    assert_int_equal(ga_encoder_open(dir, &enc, NULL), GA_OK);
    tiny_remove(dir);
    assert_int_equal(ga_scratch_new(1, &s, NULL), GA_OK);
    for (int i = 0; i < 3; i++)
        assert_int_equal(ga_encoder_embed(enc, s, texts, B, out, NULL), GA_OK);
    fault_arm(0, true);
    ga_status rc = ga_encoder_embed(enc, s, texts, B, out, NULL);
    assert_false(fault_disarm());
    assert_int_equal(rc, GA_OK);
    ga_scratch_free(s);
    ga_encoder_close(enc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open),
        cmocka_unit_test(test_scratch),
        cmocka_unit_test(test_embed),
        cmocka_unit_test(test_steady_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
