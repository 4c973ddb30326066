/* test_fit.c: vectors against a naive fit in double, scores of left-out
 * triggers against really fitting without them, thresholds against what they
 * promise.
 *
 * calibrate.c is included to see the scores it calibrates by. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pack/calibrate.c"

static uint64_t seed;

static double next_random(void) /* in [-1, 1) */
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (double)(seed >> 33) / (double)(1u << 30) - 1;
}

/* ---- made-up libraries ---- */

typedef struct {
    ga_fit_input in;
    ga_fit fit;
    float *text, *triggers;
    uint32_t *owner;
    uint8_t *kind;
} made;

static void unit(float *v, size_t H)
{
    double square = 0;
    for (size_t j = 0; j < H; j++)
        square += (double)v[j] * (double)v[j];
    for (size_t j = 0; j < H; j++)
        v[j] = (float)((double)v[j] / sqrt(square));
}

/* G guidelines around random centres; counts[g % many] triggers each, which
 * `spread` takes away from their centre.  Every third is a quality one. */
static made make(size_t G, size_t H, const size_t *counts, size_t many,
                 double spread, float text_weight, float shrinkage)
{
    made m = {.in = {.G = G, .H = H}};
    size_t at = 0;
    for (size_t g = 0; g < G; g++)
        m.in.N += counts[g % many];
    m.text = calloc(G * H, sizeof(float));
    m.triggers = calloc(m.in.N * H + 1, sizeof(float));
    m.owner = calloc(m.in.N + 1, sizeof(*m.owner));
    m.kind = calloc(G, 1);
    m.fit.vectors = calloc(G * H, sizeof(float));
    m.fit.biases = calloc(G, sizeof(float));
    m.fit.z = calloc(m.in.N * H + 1, sizeof(float));
    for (size_t g = 0; g < G; g++) {
        float *text = m.text + g * H;
        m.kind[g] = g % 3 == 1 ? GA_GUIDELINE_QUALITY
                    : g % 3    ? GA_GUIDELINE_PERMIT
                               : GA_GUIDELINE_SAFETY;
        for (size_t j = 0; j < H; j++)
            text[j] = (float)next_random();
        unit(text, H);
        for (size_t i = 0; i < counts[g % many]; i++, at++) {
            float *x = m.triggers + at * H;
            m.owner[at] = (uint32_t)g;
            for (size_t j = 0; j < H; j++) /* not the same in every direction */
                x[j] =
                    text[j] + (float)(spread * next_random() / (1 + (double)j));
            unit(x, H);
        }
    }
    m.in.text = m.text;
    m.in.triggers = m.triggers;
    m.in.owner = m.owner;
    m.in.kind = m.kind;
    m.in.text_weight = text_weight;
    m.in.shrinkage = shrinkage;
    return m;
}

static void drop(made *m)
{
    free(m->text);
    free(m->triggers);
    free(m->owner);
    free(m->kind);
    free(m->fit.vectors);
    free(m->fit.biases);
    free(m->fit.z);
}

static void fit(made *m)
{
    ga_error err = {""};
    if (ga__fit_vectors(ga__kernels(), &m->in, &m->fit, &err))
        fail_msg("%s", err.msg);
}

/* ---- the naive twin ---- */

/* Outer products of all triggers but `without` around the means of their
 * guidelines, and how many degrees of freedom there are. */
static size_t naive_scatter(const ga_fit_input *in, size_t without, double *S)
{
    size_t H = in->H, freedom = 0;
    memset(S, 0, H * H * sizeof(*S));
    for (size_t g = 0; g < in->G; g++) {
        double mean[32] = {0};
        size_t n = 0;
        for (size_t i = 0; i < in->N; i++) {
            if (in->owner[i] != g || i == without)
                continue;
            n++;
            for (size_t j = 0; j < H; j++)
                mean[j] += (double)in->triggers[i * H + j];
        }
        for (size_t i = 0; i < in->N; i++) {
            if (in->owner[i] != g || i == without)
                continue;
            for (size_t a = 0; a < H; a++) {
                for (size_t b = 0; b < H; b++)
                    S[a * H + b] +=
                        ((double)in->triggers[i * H + a] -
                         mean[a] / (double)n) *
                        ((double)in->triggers[i * H + b] - mean[b] / (double)n);
            }
        }
        freedom += n > 1 ? n - 1 : 0;
    }
    return freedom;
}

static void naive_prototype(const ga_fit_input *in, size_t g, size_t without,
                            double *out)
{
    size_t n = 0;
    for (size_t i = 0; i < in->N; i++)
        n += in->owner[i] == g && i != without;
    double w = n ? (double)in->text_weight : 1;
    for (size_t j = 0; j < in->H; j++) {
        out[j] = w * (double)in->text[g * in->H + j];
        for (size_t i = 0; i < in->N; i++) {
            if (in->owner[i] == g && i != without)
                out[j] += (double)in->triggers[i * in->H + j];
        }
        out[j] /= w + (double)n;
    }
}

/* Gauss and Jordan with pivots; M is destroyed. */
static void naive_inverse(double *M, size_t H, double *out)
{
    for (size_t i = 0; i < H * H; i++)
        out[i] = i % (H + 1) == 0;
    for (size_t c = 0; c < H; c++) {
        size_t pivot = c;
        for (size_t r = c; r < H; r++)
            pivot = fabs(M[r * H + c]) > fabs(M[pivot * H + c]) ? r : pivot;
        for (size_t k = 0; k < H; k++) {
            double t = M[c * H + k], u = out[c * H + k];
            M[c * H + k] = M[pivot * H + k];
            M[pivot * H + k] = t;
            out[c * H + k] = out[pivot * H + k];
            out[pivot * H + k] = u;
        }
        double d = M[c * H + c];
        assert_true(fabs(d) > 1e-12);
        for (size_t k = 0; k < H; k++) {
            M[c * H + k] /= d;
            out[c * H + k] /= d;
        }
        for (size_t r = 0; r < H; r++) {
            double f = M[r * H + c];
            for (size_t k = 0; r != c && k < H; k++) {
                M[r * H + k] -= f * M[c * H + k];
                out[r * H + k] -= f * out[c * H + k];
            }
        }
    }
}

/* The inverse of `scatter` times the outer products, plus `rest` I. */
static void naive_precision(const ga_fit_input *in, size_t without,
                            double scatter, double rest, double *P)
{
    double M[32 * 32];
    naive_scatter(in, without, M);
    for (size_t i = 0; i < in->H * in->H; i++)
        M[i] = scatter * M[i] + (i % (in->H + 1) == 0 ? rest : 0);
    naive_inverse(M, in->H, P);
}

/* x P m - m P m / 2 */
static double naive_score(const double *P, size_t H, const float *x,
                          const double *m)
{
    double sum = 0;
    for (size_t a = 0; a < H; a++) {
        for (size_t b = 0; b < H; b++)
            sum += ((double)x[a] - m[a] / 2) * P[a * H + b] * m[b];
    }
    return sum;
}

static void check_fit(const made *m)
{
    const ga_fit_input *in = &m->in;
    const size_t H = in->H;
    double S[32 * 32], P[32 * 32], mean[32], trace = 0;
    double keep = 1 - (double)in->shrinkage;
    size_t freedom = naive_scatter(in, SIZE_MAX, S);
    for (size_t j = 0; j < H; j++)
        trace += S[j * H + j];
    if (freedom < GA_FIT_LEAST / 2)
        keep = 0;
    double scatter = keep > 0 ? keep * (double)H / trace : 0;
    assert_true(fabs(m->fit.scatter - scatter) <= 1e-9 * (1 + scatter));
    naive_precision(in, SIZE_MAX, scatter, 1 - keep, P);
    for (size_t g = 0; g < in->G; g++) {
        double bias = 0;
        naive_prototype(in, g, SIZE_MAX, mean);
        for (size_t a = 0; a < H; a++) {
            double w = 0;
            for (size_t b = 0; b < H; b++)
                w += P[a * H + b] * mean[b];
            bias -= w * mean[a] / 2;
            assert_true(fabs((double)m->fit.vectors[g * H + a] - w) <
                        1e-5 * (1 + fabs(w)));
        }
        assert_true(fabs((double)m->fit.biases[g] - bias) <
                    1e-5 * (1 + fabs(bias)));
    }
    for (size_t i = 0; i < in->N; i++) {
        for (size_t a = 0; a < H; a++) {
            double z = 0;
            for (size_t b = 0; b < H; b++)
                z += P[a * H + b] * (double)in->triggers[i * H + b];
            assert_true(fabs((double)m->fit.z[i * H + a] - z) <
                        1e-5 * (1 + fabs(z)));
        }
    }
}

static const size_t uneven[] = {40, 0, 1, 2, 31, 3, 57, 29};
enum { UNEVEN = sizeof(uneven) / sizeof(*uneven) };

static void test_vectors(void **state)
{
    static const float weights[] = {2, 0, 0.5F}, shrinkages[] = {0.9F, 0.3F, 1};
    (void)state;
    seed = 1;
    for (size_t w = 0; w < 3; w++) {
        for (size_t k = 0; k < 3; k++) {
            made m =
                make(16, 9, uneven, UNEVEN, 0.7, weights[w], shrinkages[k]);
            fit(&m);
            check_fit(&m);
            drop(&m);
        }
    }
}

/* Few triggers or none say nothing of a covariance: then it is a sphere. */
static void test_vectors_of_few(void **state)
{
    static const size_t none[] = {0}, few[] = {3, 0, 5};
    (void)state;
    seed = 2;
    made m = make(5, 7, none, 1, 0.5, 2, 0.9F);
    fit(&m);
    check_fit(&m);
    for (size_t i = 0; i < 5 * 7; i++)
        assert_true(fabsf(m.fit.vectors[i] - m.text[i]) < 1e-6F);
    for (size_t g = 0; g < 5; g++)
        assert_true(fabsf(m.fit.biases[g] + 0.5F) < 1e-6F);
    drop(&m);
    m = make(9, 7, few, 3, 0.5, 2, 0.9F);
    fit(&m);
    assert_true(m.fit.scatter == 0);
    check_fit(&m);
    drop(&m);
}

/* Triggers in a plane have a covariance that only shrinkage makes regular. */
static void test_singular(void **state)
{
    static const size_t many[] = {60};
    ga_error err = {""};
    (void)state;
    seed = 3;
    made m = make(4, 6, many, 1, 0.5, 2, 0);
    for (size_t i = 0; i < m.in.N; i++)
        m.triggers[i * 6 + 5] = 0;
    assert_int_equal(ga__fit_vectors(ga__kernels(), &m.in, &m.fit, &err),
                     GA_INVAL);
    assert_non_null(strstr(err.msg, "covariance"));
    m.in.shrinkage = 0.1F;
    fit(&m);
    check_fit(&m);
    drop(&m);
    /* all triggers of a guideline alike: no scatter at all */
    m = make(4, 6, many, 1, 0, 2, 0.9F);
    fit(&m);
    for (size_t i = 0; i < 4 * 6; i++)
        assert_true(fabsf(m.fit.vectors[i] - m.text[i]) < 1e-4F);
    drop(&m);
}

/* ---- centring ---- */

/* The same as subtracting the mean score from the scores. */
static void test_centring(void **state)
{
    enum { G = 16, DIMS = 9 };
    double before[G], mean = 0;
    float x[DIMS];
    (void)state;
    seed = 4;
    made m = make(G, DIMS, uneven, UNEVEN, 0.7, 2, 0.9F);
    fit(&m);
    for (size_t j = 0; j < DIMS; j++)
        x[j] = (float)next_random();
    for (int after = 0; after < 2; after++) {
        for (size_t g = 0; g < G; g++) {
            double sum = (double)m.fit.biases[g];
            for (size_t j = 0; j < DIMS; j++)
                sum += (double)x[j] * (double)m.fit.vectors[g * DIMS + j];
            if (after)
                assert_true(fabs(sum - (before[g] -
                                        ga__fit_centring(G) * mean)) < 1e-5);
            else
                before[g] = sum;
        }
        for (size_t g = 0; g < G && !after; g++)
            mean += before[g] / G;
        if (!after)
            assert_int_equal(ga__fit_centre(&m.in, &m.fit, NULL), GA_OK);
    }
    assert_true(fabs(mean) > 1e-3);
    drop(&m);
    for (size_t n = 1; n < 100; n++)
        assert_true(ga__fit_centring(n) < ga__fit_centring(n + 1));
    assert_true(ga__fit_centring(1) > 0 && ga__fit_centring(1u << 24) <= 1);
}

/* ---- left-out scores ---- */

static pairs score(const made *m)
{
    pairs p = {0};
    ga_error err = {""};
    if (score_pairs(ga__kernels(), &m->in, &m->fit, &p, &err))
        fail_msg("%s", err.msg);
    return p;
}

static void free_pairs(pairs *p)
{
    free(p->sample);
    free(p->scores);
}

/* Every left-out trigger's row against a fit of all the others: the covariance
 * keeps its scale, which one trigger hardly changes. */
static size_t check_left_out(const made *m)
{
    const ga_fit_input *in = &m->in;
    const size_t H = in->H;
    double share = ga__fit_centring(in->G), keep;
    double P[32 * 32], mean[32], row[64];
    pairs p = score(m);
    keep = m->fit.scatter > 0 ? 1 - (double)in->shrinkage : 0;
    for (size_t s = 0; s < p.S; s++) {
        size_t i = p.sample[s];
        double sum = 0;
        naive_precision(in, i, m->fit.scatter, 1 - keep, P);
        for (size_t g = 0; g < in->G; g++) {
            naive_prototype(in, g, i, mean);
            row[g] = naive_score(P, H, in->triggers + i * H, mean);
            sum += row[g] / (double)in->G;
        }
        for (size_t g = 0; g < in->G; g++) {
            double got = (double)p.scores[s * in->G + g];
            double wanted = row[g] - share * sum;
            if (!(fabs(got - wanted) < 1e-4 * (1 + fabs(wanted))))
                fail_msg("trigger %zu, guideline %zu: %g instead of %g", i, g,
                         got, wanted);
        }
    }
    size_t S = p.S;
    free_pairs(&p);
    return S;
}

static void test_left_out(void **state)
{
    static const float shrinkages[] = {0.9F, 0.5F, 1};
    (void)state;
    seed = 5;
    for (size_t k = 0; k < 3; k++) {
        made m = make(16, 6, uneven, UNEVEN, 0.8, 2, shrinkages[k]);
        fit(&m);
        assert_int_equal(check_left_out(&m), m.in.N);
        drop(&m);
    }
    /* the text may count for nothing: a single trigger then leaves nothing
     * behind and is not asked */
    made m = make(16, 6, uneven, UNEVEN, 0.8, 0, 0.9F);
    fit(&m);
    assert_int_equal(check_left_out(&m), m.in.N - 2);
    drop(&m);
}

/* Of too many triggers a sample is taken, in their order. */
static void test_sample(void **state)
{
    static const size_t counts[] = {3};
    enum { G = 1800, DIMS = 2 };
    (void)state;
    seed = 6;
    made m = make(G, DIMS, counts, 1, 0.5, 2, 0.9F);
    fit(&m);
    pairs p = score(&m);
    assert_true(p.S * G <= MOST_PAIRS + G);
    assert_true(p.S * G > MOST_PAIRS / 4);
    for (size_t s = 1; s < p.S; s++)
        assert_true(p.sample[s] > p.sample[s - 1]);
    assert_true(p.sample[p.S - 1] < m.in.N);
    free_pairs(&p);
    drop(&m);
}

/* ---- thresholds ---- */

/* The report and the promise of the thresholds, counted once more. */
static void check_calibration(const made *m, const ga_pack_calibration *c,
                              const ga_fit_report *r)
{
    const ga_fit_input *in = &m->in;
    pairs p = score(m);
    size_t first = 0, six = 0, passed = 0, right = 0, ordinary = 0, guarded = 0;
    double mrr = 0;
    for (size_t s = 0; s < p.S; s++) {
        size_t own = in->owner[p.sample[s]], rank = 1;
        bool any = false;
        for (size_t g = 0; g < in->G; g++) {
            double raw = (double)p.scores[s * in->G + g];
            double e =
                1 / (1 + exp(-((double)c->scale * raw + (double)c->offset)));
            bool quality = in->kind[g] == GA_GUIDELINE_QUALITY;
            bool pass =
                e >= (double)(quality ? c->threshold : c->safety_threshold);
            rank += p.scores[s * in->G + g] > p.scores[s * in->G + own];
            passed += pass;
            right += pass && g == own;
            any |= pass && !quality;
        }
        first += rank == 1;
        six += rank <= 6;
        mrr += 1 / (double)rank;
        ordinary += in->kind[own] == GA_GUIDELINE_QUALITY;
        guarded += in->kind[own] == GA_GUIDELINE_QUALITY && any;
    }
    double S = (double)p.S;
    assert_int_equal(r->triggers, p.S);
    assert_true(fabs(r->recall_at_1 - (double)first / S) < 1e-9);
    assert_true(fabs(r->recall_at_6 - (double)six / S) < 1e-9);
    assert_true(fabs(r->mrr - mrr / S) < 1e-9);
    assert_true(fabs(r->recall - (double)right / S) < 1e-9);
    assert_true(fabs(r->precision -
                     (passed ? (double)right / (double)passed : 0)) < 1e-9);
    double share = ordinary ? (double)guarded / (double)ordinary : 0;
    assert_true(fabs(r->guarded - share) < 1e-9);
    if (ordinary)
        assert_true(share <= GUARDED_MOST + 1 / (double)ordinary);
    free_pairs(&p);
}

/* Overlapping and separate guidelines, many and few quality ones. */
static void test_thresholds(void **state)
{
    static const double spreads[] = {0.1, 0.5, 1, 3};
    static const size_t counts[][2] = {{20, 20}, {40, 3}, {3, 60}};
    (void)state;
    seed = 7;
    for (size_t i = 0; i < 4; i++) {
        for (size_t k = 0; k < 3; k++) {
            made m = make(15, 8, counts[k], 2, spreads[i], 2, 0.9F);
            ga_pack_calibration c;
            ga_fit_report r;
            ga_error err = {""};
            fit(&m);
            assert_int_equal(
                ga__fit_calibrate(ga__kernels(), &m.in, &m.fit, &c, &r, &err),
                GA_OK);
            assert_true(isfinite(c.scale) && isfinite(c.offset));
            assert_true(c.scale > 0);
            assert_true(c.threshold > 0 && c.threshold < 1);
            assert_true(c.safety_threshold > 0 && c.safety_threshold <= 1);
            check_calibration(&m, &c, &r);
            drop(&m);
        }
    }
}

/* Guidelines that are easily told apart are told apart. */
static void test_separable(void **state)
{
    static const size_t counts[] = {20};
    ga_pack_calibration c;
    ga_fit_report r;
    (void)state;
    seed = 8;
    made m = make(12, 24, counts, 1, 0.05, 2, 0.9F);
    fit(&m);
    assert_int_equal(
        ga__fit_calibrate(ga__kernels(), &m.in, &m.fit, &c, &r, NULL), GA_OK);
    assert_true(r.recall_at_1 == 1 && r.recall_at_6 == 1 && r.mrr == 1);
    assert_true(r.recall > 0.99 && r.precision > 0.99);
    assert_true(r.guarded == 0);
    drop(&m);
}

/* The same prompts for a safety guideline and a quality one: no threshold tells
 * them apart, and the promise holds all the same. */
static void test_inseparable(void **state)
{
    enum { DIMS = 5, EACH = 60 };
    static const size_t counts[] = {EACH};
    ga_pack_calibration c;
    ga_fit_report r;
    (void)state;
    seed = 9;
    made m = make(4, DIMS, counts, 1, 0.3, 2, 0.9F);
    memcpy(m.triggers + EACH * DIMS, m.triggers,
           EACH * DIMS * sizeof(*m.triggers));
    memcpy(m.text + DIMS, m.text, DIMS * sizeof(*m.text));
    fit(&m);
    assert_int_equal(
        ga__fit_calibrate(ga__kernels(), &m.in, &m.fit, &c, &r, NULL), GA_OK);
    check_calibration(&m, &c, &r);
    assert_true(r.guarded <= GUARDED_MOST);
    drop(&m);
}

/* What there is too little of is not calibrated by. */
static void test_too_few(void **state)
{
    static const size_t few[] = {19}, one[] = {300}, single[] = {1};
    ga_pack_calibration c;
    ga_fit_report r;
    (void)state;
    seed = 10;
    for (int i = 0; i < 3; i++) {
        /* 190 triggers; one guideline; nothing left when one is left out */
        made m = i == 0   ? make(10, 4, few, 1, 0.5, 2, 0.9F)
                 : i == 1 ? make(1, 4, one, 1, 0.5, 2, 0.9F)
                          : make(250, 4, single, 1, 0.5, 0, 0.9F);
        fit(&m);
        memset(&r, 0xFF, sizeof(r));
        assert_int_equal(
            ga__fit_calibrate(ga__kernels(), &m.in, &m.fit, &c, &r, NULL),
            GA_OK);
        assert_memory_equal(&c, &text_only, sizeof(c));
        assert_int_equal(r.triggers, 0);
        assert_true(r.recall_at_1 == 0 && r.guarded == 0);
        drop(&m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_vectors_of_few),
        cmocka_unit_test(test_singular),
        cmocka_unit_test(test_centring),
        cmocka_unit_test(test_left_out),
        cmocka_unit_test(test_sample),
        cmocka_unit_test(test_thresholds),
        cmocka_unit_test(test_separable),
        cmocka_unit_test(test_inseparable),
        cmocka_unit_test(test_too_few),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
