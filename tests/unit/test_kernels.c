/* test_kernels.c: every instruction set against plain double arithmetic and
 * against the reference kernels, at sizes that are no multiple of anything.
 *
 * Tolerances: a sum of K products of numbers up to 1 may be off by K units in
 * the last place of K; what is tighter is said where it is checked. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tensor/kernels.h"

static const char *const names[] = {"ref", "avx2", "avx512"};
enum { ISAS = sizeof(names) / sizeof(*names) };

/* Calls check for every table that this machine runs. */
static void each_isa(void (*check)(const ga_kernels *k))
{
    for (int i = 0; i < ISAS; i++) {
        const ga_kernels *k = ga__kernels_named(names[i]);
        if (k)
            check(k);
        else
            print_message("no %s on this machine\n", names[i]);
    }
}

/* Floats from -1 to 1; the same ones in every run. */
static float *noise(size_t n)
{
    static uint32_t state = 1;
    float *x = ga__alloc_aligned(n + 1, sizeof(*x));
    for (size_t i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u;
        x[i] = (float)(state >> 8) / 8388608.0f - 1.0f;
    }
    return x;
}

static double exact_gelu(double x)
{
    return 0.5 * x * (1 + erf(x / sqrt(2.0)));
}

static void assert_near(double got, double wanted, double tolerance,
                        const char *what)
{
    if (!(fabs(got - wanted) <= tolerance))
        fail_msg("%s: %.9g instead of %.9g, off by %.3g, %.3g allowed", what,
                 got, wanted, fabs(got - wanted), tolerance);
}

typedef struct {
    size_t M, N, K;
    bool bias, residual, gelu;
} gemm_case;

static void check_gemm(const ga_kernels *k, const gemm_case *t)
{
    const size_t lda = t->K + 3, ldc = t->N + 5;
    size_t packed = 0;
    assert_true(ga__packed_size(k, t->N, t->K, &packed));
    float *a = noise(t->M * lda), *w = noise(t->N * t->K);
    float *bias = noise(t->N), *residual = noise(t->M * ldc);
    float *p = ga__alloc_aligned(packed, sizeof(*p));
    float *c = ga__alloc_aligned(t->M * ldc, sizeof(*c));
    for (size_t i = 0; i < t->M * ldc; i++)
        c[i] = 1e30f; /* what stands between rows must stay */
    ga__pack_rows(k, p, w, t->K, t->N, t->K);
    k->gemm(&(ga_gemm){.M = t->M,
                       .N = t->N,
                       .K = t->K,
                       .a = a,
                       .lda = lda,
                       .w = p,
                       .bias = t->bias ? bias : NULL,
                       .residual = t->residual ? residual : NULL,
                       .c = c,
                       .ldc = ldc,
                       .gelu = t->gelu});
    for (size_t i = 0; i < t->M; i++) {
        for (size_t j = 0; j < ldc; j++) {
            if (j >= t->N) {
                assert_true(c[i * ldc + j] == 1e30f);
                continue;
            }
            double sum = 0;
            for (size_t n = 0; n < t->K; n++)
                sum += (double)a[i * lda + n] * (double)w[j * t->K + n];
            if (t->bias)
                sum += (double)bias[j];
            if (t->gelu)
                sum = exact_gelu(sum);
            if (t->residual)
                sum += (double)residual[i * ldc + j];
            assert_near((double)c[i * ldc + j], sum,
                        1e-6 + 1.2e-7 * (double)t->K, k->name);
        }
    }
    free(a);
    free(w);
    free(bias);
    free(residual);
    free(p);
    free(c);
}

static void check_gemms(const ga_kernels *k)
{
    static const size_t Ns[] = {1, 7, 8, 15, 16, 31, 32, 33, 64, 97};
    static const size_t Ks[] = {1, 2, 31, 64, 129};
    for (size_t M = 1; M <= 30; M++) /* every height of a tile */
        check_gemm(k, &(gemm_case){M, 33, 17, true, false, false});
    for (size_t n = 0; n < sizeof(Ns) / sizeof(*Ns); n++)
        for (size_t i = 0; i < sizeof(Ks) / sizeof(*Ks); i++)
            for (int flags = 0; flags < 8; flags++)
                check_gemm(k, &(gemm_case){13, Ns[n], Ks[i], flags & 1,
                                           flags & 2, flags & 4});
    check_gemm(k, &(gemm_case){70, 384, 1536, true, true, false});
}

static void test_gemm(void **state)
{
    (void)state;
    each_isa(check_gemms);
}

/* A row's result does not depend on the rows around it. */
static void check_rows_alone(const ga_kernels *k)
{
    enum { M = 61, N = 70, K = 53 };
    size_t packed = 0;
    assert_true(ga__packed_size(k, N, K, &packed));
    float *a = noise(M * K), *w = noise(N * K), *bias = noise(N);
    float *p = ga__alloc_aligned(packed, sizeof(*p));
    float *all = noise(M * N), *one = noise(N);
    ga_gemm g = {.M = M,
                 .N = N,
                 .K = K,
                 .a = a,
                 .lda = K,
                 .w = p,
                 .bias = bias,
                 .c = all,
                 .ldc = N,
                 .gelu = true};
    ga__pack_rows(k, p, w, K, N, K);
    k->gemm(&g);
    k->softmax(all, N, 3.0f, M, N);
    k->layer_norm(all, bias, bias, 1e-5f, M, N);
    for (size_t i = 0; i < M; i++) {
        g.M = 1;
        g.a = a + i * K;
        g.c = one;
        k->gemm(&g);
        k->softmax(one, N, 3.0f, 1, N);
        k->layer_norm(one, bias, bias, 1e-5f, 1, N);
        assert_memory_equal(one, all + i * N, N * sizeof(*one));
    }
    free(a);
    free(w);
    free(bias);
    free(p);
    free(all);
    free(one);
}

static void test_rows_alone(void **state)
{
    (void)state;
    each_isa(check_rows_alone);
}

static void check_pack(const ga_kernels *k)
{
    enum { N = 37, K = 11 };
    size_t n = 0;
    assert_true(ga__packed_size(k, N, K, &n));
    assert_true(n % k->panel == 0 && n >= N * K);
    float *w = noise(N * K), *turned = noise(N * K);
    float *a = ga__alloc_aligned(n, sizeof(*a));
    float *b = ga__alloc_aligned(n, sizeof(*b));
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < K; j++)
            turned[j * N + i] = w[i * K + j];
    ga__pack_rows(k, a, w, K, N, K);
    ga__pack_columns(k, b, turned, N, N, K);
    assert_memory_equal(a, b, n * sizeof(*a));
    assert_false(ga__packed_size(k, SIZE_MAX, 1, &n));
    assert_false(ga__packed_size(k, 64, SIZE_MAX / 8, &n));
    free(w);
    free(turned);
    free(a);
    free(b);
}

static void test_pack(void **state)
{
    (void)state;
    each_isa(check_pack);
}

/* GELU through a product with 1: below 2^-22 |x| off, and exactly x or 0 far
 * from 0, so that an outlier comes through unharmed. */
static void check_gelu(const ga_kernels *k)
{
    enum { COUNT = 200001 };
    size_t packed = 0;
    assert_true(ga__packed_size(k, 1, 1, &packed));
    float *x = noise(COUNT), *y = noise(COUNT);
    float *p = ga__alloc_aligned(packed, sizeof(*p));
    const float one = 1;
    for (size_t i = 0; i < COUNT; i++)
        x[i] = ((float)i - COUNT / 2) * 1e-4f;
    x[0] = 1e30f;
    x[1] = -1e30f;
    x[2] = 1e-30f;
    ga__pack_rows(k, p, &one, 1, 1, 1);
    k->gemm(&(ga_gemm){.M = COUNT,
                       .N = 1,
                       .K = 1,
                       .a = x,
                       .lda = 1,
                       .w = p,
                       .c = y,
                       .ldc = 1,
                       .gelu = true});
    for (size_t i = 0; i < COUNT; i++)
        assert_near((double)y[i], exact_gelu((double)x[i]),
                    fabs((double)x[i]) * 0x1p-22, k->name);
    assert_true(y[0] == 1e30f && y[1] == 0.0f);
    free(x);
    free(y);
    free(p);
}

static void test_gelu(void **state)
{
    (void)state;
    each_isa(check_gelu);
}

/* Of two scores 0 and x the parts are as 1 to e^x: 3 ulp.  Below -87 the part
 * is as good as nothing. */
static void check_exp(const ga_kernels *k)
{
    for (int i = 0; i < 87000; i++) {
        float x = (float)i * -1e-3f, row[2] = {0, x};
        k->softmax(row, 2, 1.0f, 1, 2);
        assert_near((double)row[1] / (double)row[0] / exp((double)x), 1,
                    3 * 0x1p-23, k->name);
    }
    float far[3] = {-1e30f, 5, -200};
    k->softmax(far, 3, 1.0f, 1, 3);
    assert_true(far[1] == 1.0f && far[0] < 1e-36f && far[2] < 1e-36f);
}

static void test_exp(void **state)
{
    (void)state;
    each_isa(check_exp);
}

static void check_softmax(const ga_kernels *k)
{
    for (size_t n = 1; n <= 70; n++) {
        const size_t ld = n + 3;
        float *x = noise(3 * ld), *y = noise(3 * ld);
        memcpy(y, x, 3 * ld * sizeof(*y));
        k->softmax(y, ld, 5.0f, 3, n);
        for (size_t r = 0; r < 3; r++) {
            double sum = 0;
            for (size_t i = 0; i < n; i++)
                sum += exp(5 * (double)x[r * ld + i]);
            for (size_t i = 0; i < n; i++)
                assert_near((double)y[r * ld + i],
                            exp(5 * (double)x[r * ld + i]) / sum, 1e-6,
                            k->name);
            assert_memory_equal(y + r * ld + n, x + r * ld + n, 12);
        }
        free(x);
        free(y);
    }
}

static void test_softmax(void **state)
{
    (void)state;
    each_isa(check_softmax);
}

static void check_layer_norm(const ga_kernels *k)
{
    for (size_t H = 1; H <= 70; H++) {
        float *x = noise(2 * H), *y = noise(2 * H);
        float *gamma = noise(H), *beta = noise(H);
        for (size_t i = 0; i < 2 * H; i++)
            x[i] += 10; /* a mean that is not small beside the rest */
        memcpy(y, x, 2 * H * sizeof(*y));
        k->layer_norm(y, gamma, beta, 1e-5f, 2, H);
        for (size_t r = 0; r < 2; r++) {
            double mean = 0, variance = 0;
            for (size_t i = 0; i < H; i++)
                mean += (double)x[r * H + i] / (double)H;
            for (size_t i = 0; i < H; i++)
                variance += pow((double)x[r * H + i] - mean, 2) / (double)H;
            for (size_t i = 0; i < H; i++)
                assert_near((double)y[r * H + i],
                            ((double)x[r * H + i] - mean) /
                                    sqrt(variance + 1e-5) * (double)gamma[i] +
                                (double)beta[i],
                            2e-4, k->name);
        }
        free(x);
        free(y);
        free(gamma);
        free(beta);
    }
}

/* A constant row has no variance; it becomes beta and nothing else. */
static void check_constant_row(const ga_kernels *k)
{
    float x[19], gamma[19], beta[19];
    for (int i = 0; i < 19; i++) {
        x[i] = 0.5f;
        gamma[i] = 2;
        beta[i] = (float)i;
    }
    k->layer_norm(x, gamma, beta, 1e-12f, 1, 19);
    assert_memory_equal(x, beta, sizeof(x));
}

static void test_layer_norm(void **state)
{
    (void)state;
    each_isa(check_layer_norm);
    each_isa(check_constant_row);
}

static void check_dot(const ga_kernels *k)
{
    for (size_t n = 0; n <= 100; n++) {
        enum { ROWS = 7 };
        float *rows = noise(ROWS * n), *x = noise(n), out[ROWS];
        k->dot_rows(out, rows, ROWS, x, n);
        for (size_t r = 0; r < ROWS; r++) {
            double sum = 0;
            float one = k->dot(rows + r * n, x, n);
            for (size_t i = 0; i < n; i++)
                sum += (double)rows[r * n + i] * (double)x[i];
            assert_near((double)out[r], sum, 1e-6 + 1.2e-7 * (double)n,
                        k->name);
            assert_memory_equal(&one, &out[r], sizeof(one));
        }
        free(rows);
        free(x);
    }
}

static void test_dot(void **state)
{
    (void)state;
    each_isa(check_dot);
}

static void check_axpy(const ga_kernels *k)
{
    for (size_t n = 0; n <= 50; n++) {
        float *x = noise(n), *y = noise(n + 1), *z = noise(n + 1);
        memcpy(z, y, (n + 1) * sizeof(*z));
        k->axpy(z, 0.3f, x, n);
        for (size_t i = 0; i < n; i++)
            assert_near((double)z[i], (double)y[i] + 0.3 * (double)x[i], 1e-6,
                        k->name);
        assert_memory_equal(z + n, y + n, sizeof(*z));
        free(x);
        free(y);
        free(z);
    }
}

static void test_axpy(void **state)
{
    (void)state;
    each_isa(check_axpy);
}

static void test_choice(void **state)
{
    (void)state;
    assert_non_null(ga__kernels());
    assert_ptr_equal(ga__kernels_named(ga__kernels()->name), ga__kernels());
    assert_null(ga__kernels_named("sse9"));
    assert_non_null(ga__kernels_named("ref"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gemm),       cmocka_unit_test(test_rows_alone),
        cmocka_unit_test(test_pack),       cmocka_unit_test(test_gelu),
        cmocka_unit_test(test_exp),        cmocka_unit_test(test_softmax),
        cmocka_unit_test(test_layer_norm), cmocka_unit_test(test_dot),
        cmocka_unit_test(test_axpy),       cmocka_unit_test(test_choice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
