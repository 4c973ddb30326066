/* test_surface.c: words, shared sequences, and the longest common
 * subsequence. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "library/surface.h"

#define STR(literal) ((ga_str){"" literal, sizeof(literal) - 1})

static ga_arena arena;

static ga_surface words(ga_str text)
{
    ga_surface s;
    assert_int_equal(ga__surface_of(&s, text, &arena, NULL), GA_OK);
    return s;
}

static int teardown(void **state)
{
    (void)state;
    ga__arena_free(&arena);
    return 0;
}

/* Two texts with the same words, whatever is between and however written. */
static void assert_same(ga_str a, ga_str b)
{
    ga_surface x = words(a), y = words(b);
    assert_int_equal(x.count, y.count);
    assert_memory_equal(x.hash, y.hash, x.count * sizeof(*x.hash));
}

static void test_words(void **state)
{
    (void)state;
    assert_same(STR("Don't STOP, now!"), STR("dont   stop now"));
    assert_same(STR("Don\xE2\x80\x99t"), STR("dont"));
    assert_same(STR("\xC3\x89T\xC3\x89"), STR("\xC3\xA9t\xC3\xA9")); /* été */
    assert_int_equal(words(STR("one2 three")).count, 2);
    assert_int_equal(words(STR("")).count, 0);
    assert_int_equal(words(STR(" ,;\n")).count, 0);
    assert_int_equal(words(STR("a\0b")).count, 2);
    /* four Han characters are four words */
    assert_int_equal(
        words(STR("\xE4\xBD\xA0\xE5\xA5\xBD\xE4\xB8\x96\xE7\x95\x8C")).count,
        4);
    /* ill-formed bytes part words and are none */
    assert_int_equal(words(STR("ab\xFF"
                               "cd"))
                         .count,
                     2);
    ga_surface s = words(STR("the cat, sat"));
    assert_int_equal(s.start[1], 4);
    assert_int_equal(s.end[1], 7);
    assert_int_not_equal(s.hash[0], s.hash[1]);
}

static void test_sequences(void **state)
{
    uint64_t a[16], b[16];
    (void)state;
    ga_surface x = words(STR("a b c a b c d")), y = words(STR("b c d e"));
    size_t na = ga__surface_sequences(&x, 3, a);
    size_t nb = ga__surface_sequences(&y, 3, b);
    assert_int_equal(na, 4); /* abc stands twice */
    assert_int_equal(nb, 2);
    assert_int_equal(ga__surface_shared(a, na, b, nb), 1);
    assert_int_equal(ga__surface_shared(a, na, a, na), 4);
    assert_int_equal(ga__surface_sequences(&y, 5, b), 0);
    ga_str text = STR("A b, C a b c D");
    ga_surface z = words(text);
    ga_str both = ga__surface_common(text, &z, &y, 3);
    assert_int_equal(both.len, 5);
    assert_memory_equal(both.ptr, "b c D", 5);
    assert_int_equal(ga__surface_common(text, &z, &y, 4).len, 0);
}

/* The textbook recurrence. */
static size_t plain_lcs(const ga_surface *a, const ga_surface *b)
{
    size_t *row = calloc(b->count + 1, sizeof(*row));
    for (size_t i = 0; i < a->count; i++) {
        size_t diagonal = 0;
        for (size_t j = 0; j < b->count; j++) {
            size_t up = row[j + 1];
            if (a->hash[i] == b->hash[j])
                row[j + 1] = diagonal + 1;
            else if (row[j] > up)
                row[j + 1] = row[j];
            diagonal = up;
        }
    }
    size_t length = row[b->count];
    free(row);
    return length;
}

/* Random texts of few words, across the border of 64. */
static void test_lcs(void **state)
{
    static const size_t lengths[] = {0, 1, 5, 63, 64, 65, 127, 128, 200};
    enum { N = sizeof(lengths) / sizeof(*lengths) };
    uint32_t seed = 7;
    (void)state;
    for (size_t i = 0; i < N * N; i++) {
        char text[2][512];
        ga_surface s[2];
        for (int t = 0; t < 2; t++) {
            size_t n = t ? lengths[i / N] : lengths[i % N];
            for (size_t w = 0; w < n; w++) {
                seed = seed * 1664525u + 1013904223u;
                text[t][2 * w] = (char)('a' + (seed >> 16) % 7);
                text[t][2 * w + 1] = ' ';
            }
            s[t] = words((ga_str){text[t], 2 * n});
        }
        ga_lcs l;
        assert_int_equal(ga__lcs_prepare(&l, &s[0], &arena, NULL), GA_OK);
        size_t length = ga__lcs_length(&l, &s[1]);
        assert_int_equal(length, plain_lcs(&s[0], &s[1]));
        size_t sum = s[0].count + s[1].count;
        assert_true(fabs(ga__lcs_rouge(&l, &s[1]) -
                         (sum ? 2.0 * (double)length / (double)sum : 0)) <
                    1e-12);
    }
}

/* ---- alike sets ---- */

typedef struct {
    size_t count;
    double found[40][40];
} pairs;

static ga_status note(void *arg, size_t i, size_t j, double jaccard,
                      ga_error *err)
{
    pairs *p = arg;
    (void)err;
    assert_true(i < j && j < 40);
    assert_true(p->found[i][j] == 0); /* each once */
    p->found[i][j] = jaccard;
    p->count++;
    return GA_OK;
}

/* Against all pairs, one by one, at several thresholds. */
static void test_alike(void **state)
{
    enum { SETS = 40 };
    uint64_t item[SETS * 20];
    size_t at[SETS + 1] = {0};
    uint32_t seed = 3;
    (void)state;
    for (size_t i = 0; i < SETS; i++) {
        at[i + 1] = at[i];
        for (uint64_t x = 0; x < 20; x++) { /* ascending, some of 20 */
            seed = seed * 1664525u + 1013904223u;
            if ((seed >> 24) % 3 == i % 3)
                item[at[i + 1]++] = x * x;
        }
    }
    const ga_surface_sets sets = {item, at, SETS};
    for (int percent = 10; percent <= 100; percent += 15) {
        double least = percent / 100.0;
        pairs p = {0};
        size_t wanted = 0;
        assert_int_equal(ga__surface_alike(&sets, least, note, &p, NULL),
                         GA_OK);
        for (size_t i = 0; i < SETS; i++) {
            for (size_t j = i + 1; j < SETS; j++) {
                size_t ni = at[i + 1] - at[i], nj = at[j + 1] - at[j];
                size_t both =
                    ga__surface_shared(item + at[i], ni, item + at[j], nj);
                double jaccard = (double)both / (double)(ni + nj - both);
                if (jaccard < least)
                    continue;
                wanted++;
                assert_true(p.found[i][j] == jaccard);
            }
        }
        assert_int_equal(p.count, wanted);
    }
}

static ga_status stop(void *arg, size_t i, size_t j, double jaccard,
                      ga_error *err)
{
    (void)i;
    (void)j;
    (void)jaccard;
    (void)err;
    ++*(int *)arg;
    return GA_CANCELED;
}

static void test_alike_stops(void **state)
{
    static const uint64_t item[] = {1, 2, 1, 2, 1, 2};
    static const size_t at[] = {0, 2, 4, 6}, none[] = {0};
    const ga_surface_sets sets = {item, at, 3}, empty = {item, none, 0};
    int calls = 0;
    (void)state;
    assert_int_equal(ga__surface_alike(&sets, 0.5, stop, &calls, NULL),
                     GA_CANCELED);
    assert_int_equal(calls, 1);
    assert_int_equal(ga__surface_alike(&empty, 0.5, stop, &calls, NULL), GA_OK);
    assert_int_equal(calls, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_words, teardown),
        cmocka_unit_test_teardown(test_sequences, teardown),
        cmocka_unit_test_teardown(test_lcs, teardown),
        cmocka_unit_test_teardown(test_alike, teardown),
        cmocka_unit_test_teardown(test_alike_stops, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
