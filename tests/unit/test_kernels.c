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

#include "emulate_bf16.h"
#include "tensor/kernels_internal.h"

/* Calls check for every table that this machine runs or can emulate. */
static void each_isa(void (*check)(const ga_kernels *k))
{
    for (const char *const *name = ga__kernels_names; *name; name++) {
        const ga_kernels *k = ga__kernels_named(*name);
        if (!k && strcmp(*name, "avx512bf16") == 0 && emulate_bf16())
            k = &ga__kernels_avx512bf16;
        if (k)
            check(k);
        else
            print_message("no %s on this machine\n", *name);
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
    ga_number type;
    size_t M, N, K;
    bool bias, residual, gelu;
} gemm_case;

static void check_gemm(const ga_kernels *k, const gemm_case *t)
{
    const size_t lda = t->K + 3, ldc = t->N + 5;
    size_t packed = 0;
    assert_true(ga__packed_size(t->N, t->K, 2, &packed));
    const size_t lda16 = (t->K + 5) / 2 * 2;
    uint16_t *a16 = ga__alloc_aligned(t->M * lda16, sizeof(*a16));
    float *a = noise(t->M * lda), *w = noise(t->N * t->K);
    float *bias = noise(t->N), *residual = noise(t->M * ldc);
    float *p = ga__alloc_aligned(packed, sizeof(*p));
    float *c = ga__alloc_aligned(t->M * ldc, sizeof(*c));
    for (size_t i = 0; i < t->M * ldc; i++)
        c[i] = 1e30f; /* what stands between rows must stay */
    if (t->type == GA_BF16) {
        for (size_t i = 0; i < t->M * lda; i++)
            a[i] = ga__bf16_float(ga__bf16(a[i]));
        for (size_t i = 0; i < t->N * t->K; i++)
            w[i] = ga__bf16_float(ga__bf16(w[i]));
        k->round_bf16(a16, lda16, a, lda, t->M, t->K);
        ga__pack_bf16((uint16_t *)p, w, t->N, t->K);
    } else {
        ga__pack_f32(p, w, t->N, t->K);
    }
    k->gemm(&(ga_gemm){.type = t->type,
                       .M = t->M,
                       .N = t->N,
                       .K = t->K,
                       .a = t->type == GA_BF16 ? (void *)a16 : (void *)a,
                       .lda = t->type == GA_BF16 ? lda16 : lda,
                       .w = p,
                       .out = {.bias = t->bias ? bias : NULL,
                               .residual = t->residual ? residual : NULL,
                               .c = c,
                               .ldc = ldc,
                               .gelu = t->gelu}});
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
    free(a16);
    free(a);
    free(w);
    free(bias);
    free(residual);
    free(p);
    free(c);
}

static void check_gemms(const ga_kernels *k, ga_number type)
{
    static const size_t Ns[] = {1, 7, 8, 15, 16, 31, 32, 33, 64, 97};
    static const size_t Ks[] = {1, 2, 31, 64, 129};
    for (size_t M = 1; M <= 30; M++) /* every height of a tile */
        check_gemm(k, &(gemm_case){type, M, 33, 17, true, false, false});
    for (size_t n = 0; n < sizeof(Ns) / sizeof(*Ns); n++)
        for (size_t i = 0; i < sizeof(Ks) / sizeof(*Ks); i++)
            for (int flags = 0; flags < 8; flags++)
                check_gemm(k, &(gemm_case){type, 13, Ns[n], Ks[i], flags & 1,
                                           flags & 2, flags & 4});
    check_gemm(k, &(gemm_case){type, 70, 96, 1536, true, true, false});
}

static void check_f32(const ga_kernels *k)
{
    check_gemms(k, GA_F32);
}

static void check_bf16(const ga_kernels *k)
{
    check_gemms(k, GA_BF16);
}

static void test_gemm(void **state)
{
    (void)state;
    each_isa(check_f32);
    each_isa(check_bf16);
}

/* The nearest, of two the even one; and the same in every instruction set. */
static void check_round_bf16(const ga_kernels *k)
{
    static const struct {
        float x, wanted;
    } known[] = {
        {1, 1},
        {-0.0f, -0.0f},
        {0x1.01p0f, 0x1.00p0f},      /* half of a step: to even, down */
        {0x1.03p0f, 0x1.04p0f},      /* and up */
        {0x1.010002p0f, 0x1.02p0f},  /* a little more than half */
        {0x1.fffffep127f, INFINITY}, /* past the largest */
        {-INFINITY, -INFINITY},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
        uint16_t q[2];
        k->round_bf16(q, 2, &known[i].x, 1, 1, 1);
        float got = ga__bf16_float(q[0]);
        assert_memory_equal(&got, &known[i].wanted, sizeof(got));
        assert_int_equal(q[1], 0);
    }
    for (size_t K = 1; K <= 50; K++) {
        const size_t ldq = (K + 1) / 2 * 2 + 2;
        float *x = noise(2 * K);
        uint16_t *q = ga__alloc_aligned(2 * ldq, sizeof(*q));
        memset(q, 0xEE, 2 * ldq * sizeof(*q));
        k->round_bf16(q, ldq, x, K, 2, K);
        for (size_t i = 0; i < 2 * ldq; i++) {
            size_t r = i / ldq, c = i % ldq;
            assert_int_equal(q[i], c < K         ? ga__bf16(x[r * K + c])
                                   : c < ldq - 2 ? 0
                                                 : 0xEEEE);
        }
        free(x);
        free(q);
    }
}

/* Two fused products one after the other are what vdpbf16ps does: the same bits
 * with and without it. */
static void test_bf16_bits(void **state)
{
    enum { M = 17, N = 40, K = 70 };
    const ga_kernels *plain = ga__kernels_named("avx512");
    (void)state;
    if (!plain || !(ga__kernels_named("avx512bf16") || emulate_bf16()))
        skip();
    float *x = noise(M * K), *w = noise(N * K), *one = noise(M * N),
          *other = noise(M * N);
    uint16_t *a = ga__alloc_aligned(M * K, sizeof(*a)),
             *p = ga__alloc_aligned(64 * K, sizeof(*p));
    plain->round_bf16(a, K, x, K, M, K);
    ga__pack_bf16(p, w, N, K);
    ga_gemm g = {.type = GA_BF16,
                 .M = M,
                 .N = N,
                 .K = K,
                 .a = a,
                 .lda = K,
                 .w = p,
                 .out = {.c = one, .ldc = N}};
    plain->gemm(&g);
    g.out.c = other;
    ga__kernels_avx512bf16.gemm(&g);
    assert_memory_equal(one, other, M * N * sizeof(*one));
    free(x);
    free(w);
    free(one);
    free(other);
    free(a);
    free(p);
}

static void test_round_bf16(void **state)
{
    (void)state;
    each_isa(check_round_bf16);
}

/* ---- 8 bits ---- */

typedef struct {
    size_t M, N, K, lda;
    float *x, *factor, *w, *scale, *low, *w_scale, *w_sum;
    uint8_t *a;
    int8_t *packed;
} int8_case;

/* Activations x [M, K] with a factor, weights w [N, K] with its inverse. */
static void int8_open(int8_case *t, size_t M, size_t N, size_t K)
{
    size_t n = 0;
    assert_true(ga__packed_size(N, K, 4, &n));
    *t = (int8_case){.M = M, .N = N, .K = K, .lda = (K + 7) / 4 * 4};
    t->x = noise(M * K);
    t->factor = noise(K);
    t->w = noise(N * K);
    t->scale = noise(M);
    t->low = noise(M);
    t->w_scale = noise(N);
    t->w_sum = noise(N);
    t->a = ga__alloc_aligned(M * t->lda, 1);
    t->packed = ga__alloc_aligned(n, 1);
    assert_true(t->a && t->packed);
    memset(t->a, 0xEE, M * t->lda);
    float *inverse = noise(K);
    for (size_t k = 0; k < K; k++) {
        t->factor[k] = 1.5F + t->factor[k];
        inverse[k] = 1 / t->factor[k];
    }
    assert_true(
        ga__pack_int8(t->packed, t->w_scale, t->w_sum, t->w, inverse, N, K));
    free(inverse);
}

static void int8_close(int8_case *t)
{
    free(t->x);
    free(t->factor);
    free(t->w);
    free(t->scale);
    free(t->low);
    free(t->w_scale);
    free(t->w_sum);
    free(t->a);
    free(t->packed);
}

/* Element n, k of the packed weights. */
static int packed_at(const int8_case *t, size_t n, size_t k)
{
    size_t groups = (t->K + 3) / 4;
    return t
        ->packed[n / 32 * 32 * groups * 4 + k / 4 * 128 + n % 32 * 4 + k % 4];
}

static ga_gemm int8_product(const int8_case *t, ga_epilogue out)
{
    ga_gemm g = {.type = GA_INT8,
                 .M = t->M,
                 .N = t->N,
                 .K = t->K,
                 .a = t->a,
                 .lda = t->lda,
                 .scale = t->scale,
                 .low = t->low,
                 .w = t->packed,
                 .w_scale = t->w_scale,
                 .w_sum = t->w_sum,
                 .out = out};
    return g;
}

static void check_int8_case(const ga_kernels *k, size_t M, size_t N, size_t K,
                            bool gelu)
{
    int8_case t;
    int8_open(&t, M, N, K);
    float *c = noise(M * N), *bias = noise(N), *residual = noise(M * N);
    k->quantise(t.a, t.lda, t.scale, t.low, t.x, K, t.factor, M, K);
    ga_gemm g = int8_product(&t, (ga_epilogue){.bias = bias,
                                               .residual = residual,
                                               .c = c,
                                               .ldc = N,
                                               .gelu = gelu});
    k->gemm(&g);
    for (size_t i = 0; i < M; i++) {
        const uint8_t *a = t.a + i * t.lda;
        for (size_t j = 0; j < N; j++) {
            double exact = 0, real = 0;
            long dot = 0, sum = 0;
            for (size_t n = 0; n < K; n++) {
                dot += a[n] * packed_at(&t, j, n);
                sum += packed_at(&t, j, n);
                real += (double)t.x[i * K + n] * (double)t.w[j * K + n];
            }
            /* what the 8-bit numbers stand for, exactly */
            exact = (double)t.w_scale[j] * ((double)t.scale[i] * (double)dot +
                                            (double)t.low[i] * (double)sum);
            /* and that is near the product it stands for */
            assert_near(exact, real, 0.03 * sqrt((double)K) + 0.02, "int8");
            exact += (double)bias[j];
            if (gelu)
                exact = exact_gelu(exact);
            assert_near((double)c[i * N + j],
                        exact + (double)residual[i * N + j],
                        2e-6 * (double)(K + 10) + (gelu ? 6e-5 : 0), k->name);
        }
        assert_true(a[(K + 3) / 4 * 4] == 0xEE);
    }
    free(c);
    free(bias);
    free(residual);
    int8_close(&t);
}

/* The largest sums there are must not overflow on their way. */
static void check_int8_extremes(const ga_kernels *k)
{
    enum { M = 3, N = 33, K = 1537 };
    int8_case t;
    int8_open(&t, M, N, K);
    float *c = noise(M * N);
    for (int sign = -1; sign <= 1; sign += 2) {
        for (size_t i = 0; i < M * t.lda; i++)
            t.a[i] = i % t.lda < K ? 255 : 0;
        for (size_t i = 0; i < M; i++) {
            t.scale[i] = 1;
            t.low[i] = 0;
        }
        for (size_t i = 0; i < N * K; i++)
            t.w[i] = (float)sign;
        ga__pack_int8(t.packed, t.w_scale, t.w_sum, t.w, NULL, N, K);
        for (size_t j = 0; j < N; j++)
            t.w_scale[j] = 1;
        ga_gemm g = int8_product(&t, (ga_epilogue){.c = c, .ldc = N});
        k->gemm(&g);
        for (size_t i = 0; i < M * N; i++)
            assert_true(c[i] == (float)(sign * 255 * 127 * K));
    }
    free(c);
    int8_close(&t);
}

/* The scalar kernel is the oracle: the same bytes, scales and lows. */
static void check_quantise(const ga_kernels *k)
{
    const ga_kernels *ref = ga__kernels_named("ref");
    for (size_t K = 1; K <= 70; K++) {
        int8_case a, b;
        int8_open(&a, 2, 1, K);
        int8_open(&b, 2, 1, K);
        for (int factor = 0; factor < 2; factor++) {
            const float *f = factor ? a.factor : NULL;
            k->quantise(a.a, a.lda, a.scale, a.low, a.x, K, f, 2, K);
            ref->quantise(b.a, b.lda, b.scale, b.low, a.x, K, f, 2, K);
            assert_memory_equal(a.a, b.a, 2 * a.lda);
            assert_memory_equal(a.scale, b.scale, 2 * sizeof(float));
            assert_memory_equal(a.low, b.low, 2 * sizeof(float));
        }
        for (size_t i = 0; i < K; i++)
            a.x[i] = 0.25F; /* a constant row has no range */
        k->quantise(a.a, a.lda, a.scale, a.low, a.x, K, NULL, 1, K);
        assert_true(a.scale[0] == 0 && a.low[0] == 0.25F && a.a[0] == 0);
        int8_close(&a);
        int8_close(&b);
    }
}

static void check_int8(const ga_kernels *k)
{
    static const size_t Ns[] = {1, 16, 31, 33, 97};
    static const size_t Ks[] = {1, 3, 4, 31, 129};
    for (size_t M = 1; M <= 30; M++)
        check_int8_case(k, M, 33, 18, false);
    for (size_t n = 0; n < sizeof(Ns) / sizeof(*Ns); n++)
        for (size_t i = 0; i < sizeof(Ks) / sizeof(*Ks); i++)
            check_int8_case(k, 13, Ns[n], Ks[i], i % 2);
    check_int8_case(k, 150, 64, 1536, true); /* several blocks of rows */
    check_int8_extremes(k);
    check_quantise(k);
}

static void test_int8(void **state)
{
    (void)state;
    each_isa(check_int8);
}

/* A row's result does not depend on the rows around it. */
static void check_rows_alone(const ga_kernels *k)
{
    enum { M = 161, N = 70, K = 53 };
    size_t packed = 0;
    int8_case t;
    assert_true(ga__packed_size(N, K, 1, &packed));
    int8_open(&t, M, N, K);
    float *p = ga__alloc_aligned(packed, sizeof(*p));
    float *all = noise(M * N), *one = noise(N), *bias = noise(N);
    float *all8 = noise(M * N), *one8 = noise(N);
    ga_gemm g = {.M = M,
                 .N = N,
                 .K = K,
                 .a = t.x,
                 .lda = K,
                 .w = p,
                 .out = {.bias = bias, .c = all, .ldc = N, .gelu = true}};
    ga_gemm g8 = int8_product(&t, g.out);
    g8.out.c = all8;
    uint16_t *p16 = ga__alloc_aligned(packed + N * 64, sizeof(*p16));
    uint16_t *a16 = ga__alloc_aligned(M * (K + 1), sizeof(*a16));
    float *all16 = noise(M * N), *one16 = noise(N);
    ga_gemm g16 = g;
    g16.type = GA_BF16;
    g16.a = a16;
    g16.lda = K + 1;
    g16.w = p16;
    g16.out.c = all16;
    ga__pack_bf16(p16, t.w, N, K);
    k->round_bf16(a16, K + 1, t.x, K, M, K);
    k->gemm(&g16);
    ga__pack_f32(p, t.w, N, K);
    k->gemm(&g);
    k->layer_norm(all, bias, bias, 1e-5f, M, N);
    k->quantise(t.a, t.lda, t.scale, t.low, t.x, K, t.factor, M, K);
    k->gemm(&g8);
    g.M = g8.M = g16.M = 1;
    g16.out.c = one16;
    g.out.c = one;
    g8.out.c = one8;
    for (size_t i = 0; i < M; i++) {
        g.a = t.x + i * K;
        k->gemm(&g);
        k->layer_norm(one, bias, bias, 1e-5f, 1, N);
        k->quantise(t.a, t.lda, t.scale, t.low, g.a, K, t.factor, 1, K);
        k->gemm(&g8);
        assert_memory_equal(one, all + i * N, N * sizeof(*one));
        assert_memory_equal(one8, all8 + i * N, N * sizeof(*one8));
        g16.a = a16 + i * (K + 1);
        k->gemm(&g16);
        assert_memory_equal(one16, all16 + i * N, N * sizeof(*one16));
    }
    free(p16);
    free(a16);
    free(all16);
    free(one16);
    free(bias);
    free(p);
    free(all);
    free(one);
    free(all8);
    free(one8);
    int8_close(&t);
}

static void test_rows_alone(void **state)
{
    (void)state;
    each_isa(check_rows_alone);
}

/* Where the elements of a packed matrix lie, and what fills it up. */
static void test_pack(void **state)
{
    enum { N = 37, K = 11 };
    size_t n = 0;
    (void)state;
    assert_true(ga__packed_size(N, K, 1, &n));
    assert_int_equal(n, 64 * K);
    float *w = noise(N * K), *p = noise(n);
    ga__pack_f32(p, w, N, K);
    for (size_t i = 0; i < 64; i++)
        for (size_t k = 0; k < K; k++)
            assert_true(p[i / 32 * 32 * K + k * 32 + i % 32] ==
                        (i < N ? w[i * K + k] : 0));
    assert_true(ga__packed_size(N, K, 4, &n));
    assert_int_equal(n, 64 * 12);
    uint16_t *p16 = malloc(64 * 12 * sizeof(*p16));
    ga__pack_bf16(p16, w, N, K);
    for (size_t i = 0; i < 64; i++)
        for (size_t k = 0; k < 12; k++)
            assert_int_equal(
                p16[i / 32 * 32 * 12 + k / 2 * 64 + i % 32 * 2 + k % 2],
                i < N && k < K ? ga__bf16(w[i * K + k]) : 0);
    free(p16);
    assert_false(ga__packed_size(SIZE_MAX, 1, 1, &n));
    assert_false(ga__packed_size(64, SIZE_MAX / 8, 1, &n));
    assert_false(ga__packed_size(1, SIZE_MAX, 4, &n));
    w[17] = INFINITY;
    int8_t *p8 = malloc(64 * 12);
    float scale[N], sum[N];
    assert_false(ga__pack_int8(p8, scale, sum, w, NULL, N, K));
    w[17] = NAN;
    assert_false(ga__pack_int8(p8, scale, sum, w, NULL, N, K));
    memset(w, 0, N * K * sizeof(*w));
    assert_true(ga__pack_int8(p8, scale, sum, w, NULL, N, K));
    assert_true(scale[3] == 0 && sum[3] == 0 && p8[5] == 0);
    free(p8);
    free(w);
    free(p);
}

/* GELU through a product with 1: below 2^-22 |x| off, and exactly x or 0 far
 * from 0, so that an outlier comes through unharmed. */
static void check_gelu(const ga_kernels *k)
{
    enum { COUNT = 200001 };
    size_t packed = 0;
    assert_true(ga__packed_size(1, 1, 1, &packed));
    float *x = noise(COUNT), *y = noise(COUNT);
    float *p = ga__alloc_aligned(packed, sizeof(*p));
    const float one = 1;
    for (size_t i = 0; i < COUNT; i++)
        x[i] = ((float)i - COUNT / 2) * 1e-4f;
    x[0] = 1e30f;
    x[1] = -1e30f;
    x[2] = 1e-30f;
    ga__pack_f32(p, &one, 1, 1);
    k->gemm(&(ga_gemm){.M = COUNT,
                       .N = 1,
                       .K = 1,
                       .a = x,
                       .lda = 1,
                       .w = p,
                       .out = {.c = y, .ldc = 1, .gelu = true}});
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

/* ---- attention ---- */

/* Of two scores 0 and x the parts are as 1 to e^x: 3 ulp.  Below -87 the part
 * is as good as nothing. */
static void check_exp(const ga_kernels *k)
{
    /* the values are 1 and 0, 0 and 1: the output is the two weights */
    float qkv[2][6] = {{1, 0, 0, 0, 1, 0}, {1, 0, 0, 0, 0, 1}}, out[2][2];
    float *scratch = noise(ga__attention_scratch(2, 2));
    const ga_attention a = {.T = 2,
                            .D = 2,
                            .q = qkv[0],
                            .k = qkv[0] + 2,
                            .v = qkv[0] + 4,
                            .ld = 6,
                            .scale = 1,
                            .out = out[0],
                            .ldo = 2,
                            .scratch = scratch};
    for (int i = 0; i < 87000; i++) {
        qkv[1][2] = (float)i * -1e-3f;
        k->attention(&a);
        assert_near((double)out[0][1] / (double)out[0][0] /
                        exp((double)qkv[1][2]),
                    1, 4 * 0x1p-23, k->name);
    }
    qkv[1][2] = -1e30f;
    k->attention(&a);
    assert_true(out[0][0] == 1.0f && out[0][1] < 1e-36f);
    free(scratch);
}

static void check_head(const ga_kernels *k, size_t T, size_t D, bool int8)
{
    void (*const attention)(const ga_attention *) =
        int8 ? k->attention_int8 : k->attention;
    const float scale = int8 ? 1 / sqrtf((float)D) : 3;
    const size_t ld = 3 * D + 1, ldo = D + 2;
    float *x = noise(T * ld), *out = noise(T * ldo), *weights = noise(T);
    float *scratch = noise(ga__attention_scratch(T, D));
    for (size_t i = 0; i < T; i++)
        out[i * ldo + D] = 7; /* what stands between rows must stay */
    attention(&(ga_attention){.T = T,
                              .D = D,
                              .q = x,
                              .k = x + D,
                              .v = x + 2 * D,
                              .ld = ld,
                              .scale = scale,
                              .out = out,
                              .ldo = ldo,
                              .scratch = scratch});
    for (size_t i = 0; i < T; i++) {
        double sum = 0;
        for (size_t t = 0; t < T; t++) {
            double dot = 0;
            for (size_t d = 0; d < D; d++)
                dot += (double)x[i * ld + d] * (double)x[t * ld + D + d];
            weights[t] = (float)exp((double)scale * dot);
            sum += exp((double)scale * dot);
        }
        for (size_t d = 0; d < D; d++) {
            double mixed = 0;
            for (size_t t = 0; t < T; t++)
                mixed += (double)weights[t] * (double)x[t * ld + 2 * D + d];
            assert_near((double)out[i * ldo + d], mixed / sum,
                        int8 ? 0.01 : 2e-5, k->name);
        }
        assert_true(out[i * ldo + D] == 7);
    }
    free(x);
    free(out);
    free(weights);
    free(scratch);
}

static void check_attention(const ga_kernels *k)
{
    static const size_t Ds[] = {1, 8, 15, 16, 17, 32, 33, 64};
    for (size_t T = 1; T <= 40; T++)
        check_head(k, T, 8, false);
    for (size_t i = 0; i < sizeof(Ds) / sizeof(*Ds); i++)
        check_head(k, 19, Ds[i], false);
    check_head(k, 130, 32, false);
    for (size_t T = GA_ATTENTION_INT8; T < GA_ATTENTION_INT8 + 34; T++)
        check_head(k, T, T % 3 == 0 ? 32 : 24, true);
    for (size_t i = 0; i < sizeof(Ds) / sizeof(*Ds); i++)
        check_head(k, 131, Ds[i], true);
    check_head(k, 512, 64, true);
    check_head(k, 65, 300, true);
    check_exp(k);
}

static void test_attention(void **state)
{
    (void)state;
    each_isa(check_attention);
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
        cmocka_unit_test(test_attention),  cmocka_unit_test(test_int8),
        cmocka_unit_test(test_layer_norm), cmocka_unit_test(test_dot),
        cmocka_unit_test(test_round_bf16), cmocka_unit_test(test_bf16_bits),
        cmocka_unit_test(test_axpy),       cmocka_unit_test(test_choice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
