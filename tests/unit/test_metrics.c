/* test_metrics.c: ranking metrics worked out by hand, and BM25. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "train/bm25.h"
#include "train/metrics.h"

#define STR(literal) ((ga_str){"" literal, sizeof(literal) - 1})

static void near(double got, double wanted)
{
    if (fabs(got - wanted) > 1e-9)
        fail_msg("%.12g instead of %.12g", got, wanted);
}

static void test_by_hand(void **state)
{
    /* five guidelines, two of them needed: at ranks 2 and 5; one helps, at 1 */
    static const uint32_t order[] = {4, 1, 0, 3, 2};
    static const uint8_t grade[] = {0, 3, 2, 0, 1};
    ga_metrics m = {0};
    (void)state;
    assert_true(ga__metrics_add(&m, order, grade, 5, 3));
    near(m.hit, 1);
    near(m.recall, 0.5);
    near(m.mrr, 0.5);
    double dcg = 1 / log2(2) + 7 / log2(3);
    double best = 7 / log2(2) + 3 / log2(3) + 1 / log2(4);
    near(m.ndcg, dcg / best);
    /* with k = 1 there is no hit, and the rank is found all the same */
    assert_true(ga__metrics_add(&m, order, grade, 5, 1));
    near(m.hit, 1);
    near(m.mrr, 1);
    ga__metrics_finish(&m);
    assert_int_equal(m.prompts, 2);
    near(m.hit, 0.5);
    near(m.recall, 0.25);
    near(m.mrr, 0.5);
}

static void test_grades(void **state)
{
    static const uint32_t order[] = {0, 1, 2};
    static const uint8_t none[] = {0, 0, 0}, helps[] = {0, 0, 1};
    ga_metrics m = {0};
    (void)state;
    assert_false(ga__metrics_add(&m, order, none, 3, 6));
    assert_int_equal(m.prompts, 0);
    /* where nothing more is known, what helps is what is looked for */
    assert_true(ga__metrics_add(&m, order, helps, 3, 6));
    near(m.hit, 1);
    near(m.mrr, 1.0 / 3);
    ga_metrics empty = {0};
    ga__metrics_finish(&empty);
    near(empty.ndcg, 0);
}

static void test_bm25(void **state)
{
    static const ga_str documents[] = {
        {"the cat sat on the mat", 22},
        {"the dog sat", 11},
        {"birds sing", 10},
        {"", 0},
    };
    float scores[4];
    ga_bm25 *index = NULL;
    (void)state;
    assert_int_equal(ga__bm25_new(documents, 4, &index, NULL), GA_OK);
    assert_int_equal(ga__bm25_scores(index, STR("The CAT?"), scores, NULL),
                     GA_OK);
    /* by the formula: lengths 6, 3, 2, 0, mean 11/4 */
    double mean = 11 / 4.0, norm = 1.2 * (0.25 + 0.75 * 6 / mean);
    double the = log(1 + (4 - 2 + 0.5) / 2.5), cat = log(1 + 3.5 / 1.5);
    double wanted = the * 2 * 2.2 / (2 + norm) + cat * 2.2 / (1 + norm);
    assert_true(fabs((double)scores[0] - wanted) < 1e-6);
    assert_true(scores[1] > 0 && scores[1] < scores[0]);
    assert_true(scores[2] == 0 && scores[3] == 0);
    assert_int_equal(ga__bm25_scores(index, STR(""), scores, NULL), GA_OK);
    assert_true(scores[0] == 0);
    ga__bm25_free(index);
    ga__bm25_free(NULL);
    assert_int_equal(ga__bm25_new(NULL, 0, &index, NULL), GA_OK);
    assert_int_equal(ga__bm25_scores(index, STR("cat"), scores, NULL), GA_OK);
    ga__bm25_free(index);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_hand),
        cmocka_unit_test(test_grades),
        cmocka_unit_test(test_bm25),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
