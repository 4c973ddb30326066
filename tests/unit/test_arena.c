/* test_arena.c: aligned, apart from each other, and steady after a while. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "base/arena.h"

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

static void test_aligned_and_apart(void **state)
{
    (void)state;
    enum { COUNT = 400 };
    ga_arena a = GA_ARENA_INIT;
    struct {
        unsigned char *ptr;
        size_t n;
    } got[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        got[i].n = i * 37 % 1500;
        got[i].ptr = ga__arena_alloc(&a, got[i].n, 1);
        assert_non_null(got[i].ptr);
        assert_int_equal((uintptr_t)got[i].ptr % 64, 0);
        memset(got[i].ptr, (int)(i % 256), got[i].n);
    }
    for (size_t i = 0; i < COUNT; i++)
        for (size_t j = 0; j < got[i].n; j++)
            if (got[i].ptr[j] != i % 256)
                fail_msg("allocation %zu was written over", i);
    ga__arena_free(&a);
}

static void test_large_ones_get_their_block(void **state)
{
    (void)state;
    ga_arena a = GA_ARENA_INIT;
    float *small = ga__arena_alloc(&a, 3, sizeof(float));
    float *large = ga__arena_alloc(&a, 1 << 20, sizeof(float));
    assert_non_null(small);
    assert_non_null(large);
    small[0] = small[2] = 1;
    large[0] = large[(1 << 20) - 1] = 2;
    assert_true(small[0] == 1 && small[2] == 1);
    ga__arena_free(&a);
}

static void test_sizes_that_overflow(void **state)
{
    (void)state;
    ga_arena a = GA_ARENA_INIT;
    assert_null(ga__arena_alloc(&a, SIZE_MAX / 2 + 1, 2));
    assert_null(ga__arena_alloc(&a, SIZE_MAX, 1));
    assert_null(ga__arena_alloc(&a, SIZE_MAX - 63, 1));
    assert_null(ga__arena_alloc(&a, SIZE_MAX / 2, 1));
    assert_int_equal(a.total, 0);
    char *p = ga__arena_alloc(&a, 10, 1); /* still usable */
    assert_non_null(p);
    size_t total = a.total;
    assert_null(ga__arena_alloc(&a, SIZE_MAX / 2, 1));
    assert_int_equal(a.total, total);
    memset(p, 1, 10);
    assert_non_null(ga__arena_alloc(&a, 10, 1));
    ga__arena_free(&a);
}

static void test_reset_of_nothing(void **state)
{
    (void)state;
    ga_arena a = GA_ARENA_INIT;
    ga__arena_reset(&a);
    assert_null(a.head);
    ga__arena_free(&a);
    ga__arena_free(&a);
    assert_int_equal(a.total, 0);
}

/* The same calls again: the third round and all after it use the block that
 * the second one left. */
static void test_steady_state(void **state)
{
    (void)state;
    ga_arena a = GA_ARENA_INIT;
    const void *block = NULL;
    size_t total = 0;
    for (int round = 0; round < 50; round++) {
        ga__arena_reset(&a);
        for (size_t i = 1; i <= 60; i++)
            assert_non_null(ga__arena_alloc(&a, i * 131, 16));
        if (round == 1) {
            block = a.head;
            total = a.total;
        } else if (round > 1) {
            assert_ptr_equal(a.head, block);
            assert_int_equal(a.total, total);
        }
    }
    ga__arena_free(&a);
}

static void test_reset_keeps_capacity(void **state)
{
    (void)state;
    ga_arena a = GA_ARENA_INIT;
    for (int i = 0; i < 10; i++)
        assert_non_null(ga__arena_alloc(&a, 50000, 1));
    size_t total = a.total;
    assert_true(total >= 500000);
    ga__arena_reset(&a);
    assert_int_equal(a.total, total);
    const void *block = a.head;
    char *whole = ga__arena_alloc(&a, 500000, 1); /* in one piece now */
    assert_non_null(whole);
    assert_ptr_equal(a.head, block);
    memset(whole, 1, 500000);
    ga__arena_free(&a);
    assert_null(a.head);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_aligned_and_apart),
        cmocka_unit_test(test_large_ones_get_their_block),
        cmocka_unit_test(test_sizes_that_overflow),
        cmocka_unit_test(test_reset_of_nothing),
        cmocka_unit_test(test_steady_state),
        cmocka_unit_test(test_reset_keeps_capacity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
