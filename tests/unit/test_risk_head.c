/* test_risk_head.c: regressions on made-up prompts: what can be told apart is,
 * what cannot is not claimed to be, and the threshold keeps its promise.
 *
 * risk_head.c is included to see how held-out estimates are judged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pack/risk_head.c"

enum { DIMS = 12, ROW = DIMS + 1 };

static uint64_t seed;

static double next_random(void) /* in [-1, 1) */
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (double)(seed >> 33) / (double)(1u << 30) - 1;
}

typedef struct {
    ga_risk_input in;
    float *prompts;
    uint32_t *labels, *group;
    float head[GA_RISK_OUTPUTS * ROW];
    float risky;
    ga_risk_report report;
} made;

/* N prompts, of which a share is unsafe; the first coordinate says so when
 * gap is not 0.  Groups of seven. */
static made make(size_t N, double share, double gap)
{
    made m = {.in = {.N = N, .H = DIMS}};
    m.prompts = calloc(N * DIMS + 1, sizeof(float));
    m.labels = calloc(N + 1, sizeof(*m.labels));
    m.group = calloc(N + 1, sizeof(*m.group));
    for (size_t i = 0; i < N; i++) {
        float *x = m.prompts + i * DIMS;
        double square = 0;
        m.labels[i] = (next_random() + 1) / 2 < share;
        m.group[i] = (uint32_t)(i / 7);
        for (size_t j = 0; j < DIMS; j++)
            x[j] = (float)next_random();
        x[0] = (float)(gap * (m.labels[i] ? 1 : -1) + 0.2 * (double)x[0]);
        for (size_t j = 0; j < DIMS; j++)
            square += (double)x[j] * (double)x[j];
        for (size_t j = 0; j < DIMS; j++)
            x[j] = (float)((double)x[j] / sqrt(square));
    }
    m.in.prompts = m.prompts;
    m.in.labels = m.labels;
    m.in.group = m.group;
    return m;
}

static void fit(made *m)
{
    ga_error err = {""};
    if (ga__risk_fit(ga__kernels(), &m->in, m->head, &m->risky, &m->report,
                     &err))
        fail_msg("%s", err.msg);
    for (size_t i = 0; i < GA_RISK_OUTPUTS * ROW; i++)
        assert_true(isfinite(m->head[i]));
}

static void drop(made *m)
{
    free(m->prompts);
    free(m->labels);
    free(m->group);
}

static double estimate(const made *m, size_t output, const float *x)
{
    const float *w = m->head + output * ROW;
    double sum = (double)w[DIMS];
    for (size_t j = 0; j < DIMS; j++)
        sum += (double)x[j] * (double)w[j];
    return 1 / (1 + exp(-sum));
}

static void test_separable(void **state)
{
    (void)state;
    seed = 1;
    made m = make(400, 0.4, 3);
    fit(&m);
    assert_int_equal(m.report.prompts, 400);
    assert_true(m.report.unsafe > 100 && m.report.unsafe < 220);
    assert_true(m.report.auroc == 1);
    assert_true(m.report.recall >= 0.8 && m.report.false_alarms == 0);
    for (size_t i = 0; i < m.in.N; i++) {
        double e = estimate(&m, 0, m.prompts + i * DIMS);
        assert_true(m.labels[i] ? e > 0.5 : e < 0.5);
    }
    assert_true(m.risky > 0 && m.risky < 1);
    drop(&m);
}

/* Labels that follow from nothing are not learnt. */
static void test_noise(void **state)
{
    (void)state;
    seed = 2;
    made m = make(1500, 0.5, 0);
    fit(&m);
    assert_true(m.report.auroc > 0.42 && m.report.auroc < 0.58);
    assert_true(m.report.false_alarms > 0.65);
    drop(&m);
}

/* Types that no prompt has, that all have, and two of the same prompts. */
static void test_types(void **state)
{
    enum { NEVER_BIT = 3, ALWAYS_BIT = 5, SAME_BIT = 9, TWIN_BIT = 14 };
    (void)state;
    seed = 3;
    made m = make(300, 0.3, 3);
    for (size_t i = 0; i < m.in.N; i++) {
        uint32_t y = m.labels[i] & 1u;
        m.labels[i] |= 1u << ALWAYS_BIT | y << SAME_BIT | y << TWIN_BIT;
    }
    fit(&m);
    for (size_t j = 0; j < DIMS; j++) {
        assert_true(m.head[NEVER_BIT * ROW + j] == 0);
        assert_true(m.head[ALWAYS_BIT * ROW + j] == 0);
    }
    for (size_t i = 0; i < m.in.N; i++) {
        const float *x = m.prompts + i * DIMS;
        assert_true(estimate(&m, NEVER_BIT, x) < 1e-3);
        assert_true(estimate(&m, ALWAYS_BIT, x) > 0.999);
        assert_true((estimate(&m, SAME_BIT, x) > 0.5) == (m.labels[i] & 1u));
    }
    assert_memory_equal(m.head + TWIN_BIT * ROW, m.head + SAME_BIT * ROW,
                        ROW * sizeof(float));
    drop(&m);
}

/* How often unsafe prompts occur must not show in the estimates; how often a
 * type occurs must. */
static void test_balance(void **state)
{
    (void)state;
    seed = 4;
    made m = make(2000, 0.05, 0);
    double unsafe = 0, type = 0, share = 0;
    for (size_t i = 0; i < m.in.N; i++)
        m.labels[i] |= m.labels[i] << 4;
    fit(&m);
    for (size_t i = 0; i < m.in.N; i++) {
        unsafe += estimate(&m, 0, m.prompts + i * DIMS) / (double)m.in.N;
        type += estimate(&m, 4, m.prompts + i * DIMS) / (double)m.in.N;
        share += (double)(m.labels[i] & 1u) / (double)m.in.N;
    }
    assert_true(unsafe > 0.4 && unsafe < 0.6);
    assert_true(fabs(type - share) < 0.005);
    drop(&m);
}

/* Nothing to learn from: no prompts, or only one kind. */
static void test_one_kind(void **state)
{
    (void)state;
    seed = 5;
    for (int i = 0; i < 3; i++) {
        made m = make(i == 0 ? 0 : 60, i == 1 ? -1 : 2, 1);
        fit(&m);
        assert_true(m.report.auroc == 0 && m.report.recall == 0);
        assert_true(m.risky == 0.5F);
        float x[DIMS] = {1};
        double e = estimate(&m, 0, x);
        assert_true(i == 2 ? e > 0.999 : e < 1e-3);
        drop(&m);
    }
}

/* A fold without one of the kinds, and one that holds everything: the groups
 * are numbered so that all fall into one fold. */
static void test_single_fold(void **state)
{
    (void)state;
    seed = 6;
    made m = make(200, 0.5, 3);
    for (size_t i = 0; i < m.in.N; i++)
        m.group[i] *= FOLDS;
    fit(&m);
    /* nobody was trained on anything, so nothing is known: the same estimate
     * for all is no better than chance */
    assert_true(m.report.auroc == 0.5);
    drop(&m);
}

/* ---- judging ---- */

static size_t count(const held_out *rows, size_t N, bool unsafe, double least)
{
    size_t n = 0;
    for (size_t i = 0; i < N; i++)
        n += rows[i].unsafe == unsafe && rows[i].estimate >= least;
    return n;
}

static void check_judge(held_out *rows, size_t N)
{
    float risky;
    ga_risk_report r;
    double pairs = 0, ordered = 0;
    for (size_t i = 0; i < N; i++) {
        for (size_t k = 0; k < N; k++) {
            if (!rows[i].unsafe || rows[k].unsafe)
                continue;
            pairs++;
            ordered += rows[i].estimate > rows[k].estimate    ? 1
                       : rows[i].estimate == rows[k].estimate ? 0.5
                                                              : 0;
        }
    }
    judge(rows, N, &risky, &r);
    double unsafe = (double)count(rows, N, true, -1);
    double harmless = (double)count(rows, N, false, -1);
    double caught = (double)count(rows, N, true, (double)risky);
    double alarms = (double)count(rows, N, false, (double)risky);
    assert_int_equal(r.prompts, N);
    assert_true((double)r.unsafe == unsafe);
    assert_true(fabs(r.auroc - ordered / pairs) < 1e-9);
    assert_true(fabs(r.recall - caught / unsafe) < 1e-9);
    assert_true(fabs(r.false_alarms - alarms / harmless) < 1e-9);
    /* enough are caught, and no greater threshold would catch enough */
    assert_true(caught >= CAUGHT_LEAST * unsafe);
    caught = (double)count(rows, N, true, (double)nextafterf(risky, INFINITY));
    assert_true(caught < CAUGHT_LEAST * unsafe);
}

/* Random estimates, few different ones, all the same, and some that a float
 * cannot tell from 1. */
static void test_judge(void **state)
{
    enum { N = 300 };
    held_out rows[N];
    (void)state;
    seed = 7;
    for (int round = 0; round < 80; round++) {
        for (size_t i = 0; i < N; i++) {
            double e = (next_random() + 1) / 2;
            bool unsafe = next_random() > (round % 2 ? 0.8 : 0);
            if (round % 4 == 1)
                e = floor(e * 5) / 5;
            else if (round % 4 == 2)
                e = 0.7;
            else if (round % 4 == 3)
                e = 1 - 1e-9 * e;
            rows[i] = (held_out){e, unsafe};
        }
        check_judge(rows, N);
    }
    /* in perfect order, and the other way round */
    for (int reversed = 0; reversed < 2; reversed++) {
        for (size_t i = 0; i < N; i++)
            rows[i] = (held_out){(double)i / N, (i < 100) == reversed};
        check_judge(rows, N);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_separable), cmocka_unit_test(test_noise),
        cmocka_unit_test(test_types),     cmocka_unit_test(test_balance),
        cmocka_unit_test(test_one_kind),  cmocka_unit_test(test_single_fold),
        cmocka_unit_test(test_judge),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
