/* kernels_simd.h: the kernels in terms of one vector type.
 *
 * Text that kernels_avx2.c and kernels_avx512.c include once they have defined
 *     VL                     floats in a vector
 *     ROWS                   rows of a gemm tile, 6 or 14: what registers hold
 *     vec, vset, vload, vstore, vload_n(p, n, rest), vstore_n(p, x, n) (the
 *     first n < VL floats; the other lanes are those of `rest`), vadd, vsub,
 *     vmul, vmin, vmax, vfma (a b + c), vround, vexp2i (2^n of a vector of
 *     whole numbers), vsum, vlargest
 *     GA_KERNELS, GA_KERNELS_NAME   the table and its name
 * so that both instruction sets run the same algorithm. */
#ifndef GA_TENSOR_KERNELS_SIMD_H
#define GA_TENSOR_KERNELS_SIMD_H

#include <math.h>

#include "tensor/kernels_internal.h"

#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

/* A loop of few turns, known when compiling, that is unrolled completely: only
 * so do arrays of vectors become registers. */
#define foreach(i, n) UNROLL for (size_t i = 0; i < (n); i++)

#define INLINE static inline __attribute__((always_inline))

enum { NV = 2, PANEL = NV * VL }; /* vectors and columns of a panel */

/* Weights are read once for a handful of rows when a single text is encoded;
 * they then come from far away, and this far ahead the loads are hidden. */
enum { PREFETCH = 16 * PANEL * sizeof(float) }; /* bytes */

/* The first n floats of a vector; n >= VL means all of them. */
INLINE vec load_or(const float *p, size_t n, vec rest)
{
    return n >= VL ? vload(p) : vload_n(p, n, rest);
}

INLINE vec load_upto(const float *p, size_t n)
{
    return load_or(p, n, vset(0.0f));
}

INLINE void store_upto(float *p, vec x, size_t n)
{
    if (n >= VL)
        vstore(p, x);
    else
        vstore_n(p, x, n);
}

/* e^x for x <= 0, to 2 ulp; e^-87 below -87.  2^n e^r with |r| <= ln(2)/2, ln 2
 * in two parts so that r is exact, and a minimax polynomial in r. */
INLINE vec vexp(vec x)
{
    x = vmax(x, vset(-87.0f));
    vec n = vround(vmul(x, vset(1.44269504f)));
    vec r = vfma(n, vset(-0.693145752f), x);
    r = vfma(n, vset(-1.42860677e-6f), r);
    vec p = vset(1.381315989e-3f);
    p = vfma(p, r, vset(8.369410411e-3f));
    p = vfma(p, r, vset(4.166845605e-2f));
    p = vfma(p, r, vset(1.666651517e-1f));
    p = vfma(p, r, vset(4.999999404e-1f));
    p = vfma(vmul(r, r), p, vadd(r, vset(1.0f)));
    return vmul(p, vexp2i(n));
}

/* x/2 (1 + erf(x / sqrt 2)), the error below 2^-22 |x|.  With u the square of
 * x mapped to [-1, 1], erf(x / sqrt 2) / 2 = x P(u) up to 5.6, where it reaches
 * 1/2 in float32; P is the minimax polynomial (coefficients: own fit).  No
 * division and no branch, and around 0 nothing cancels. */
INLINE vec vgelu(vec x)
{
    static const float P[] = {
        -3.602648503e-4f, 8.815718465e-4f, -5.319981719e-4f, 6.769427564e-4f,
        -2.987921238e-3f, 5.492823198e-3f, -7.463485934e-3f, 1.088237762e-2f,
        -1.577969454e-2f, 2.097453736e-2f, -2.630785480e-2f, 3.196499497e-2f,
        -3.834577277e-2f, 4.698114842e-2f, -6.305128336e-2f, 1.262595952e-1f,
    };
    vec z = vmin(vmax(x, vset(-5.6f)), vset(5.6f));
    vec u = vfma(vmul(z, z), vset(2.0f / (5.6f * 5.6f)), vset(-1.0f));
    vec p = vset(P[0]);
    foreach (i, sizeof(P) / sizeof(*P) - 1)
        p = vfma(p, u, vset(P[i + 1]));
    vec half_erf = vmin(vmax(vmul(z, p), vset(-0.5f)), vset(0.5f));
    return vfma(x, half_erf, vmul(x, vset(0.5f)));
}

/* Bias, activation and residual of the rows i and up of one panel: what the
 * sums [rows, PANEL] still lack to be elements of c. */
static void finish(const ga_gemm *g, const float *sums, size_t i, size_t j,
                   size_t rows)
{
    for (size_t v = 0; v < NV && j + v * VL < g->N; v++) {
        size_t column = j + v * VL, left = g->N - column;
        vec bias = g->bias ? load_upto(g->bias + column, left) : vset(0.0f);
        for (size_t r = 0; r < rows; r++) {
            size_t at = (i + r) * g->ldc + column;
            vec x = vadd(vload(sums + r * PANEL + v * VL), bias);
            if (g->gelu)
                x = vgelu(x);
            if (g->residual)
                x = vadd(x, load_upto(g->residual + at, left));
            store_upto(g->c + at, x, left);
        }
    }
}

/* Rows i and up of one panel, `rows` known when compiling: the sums stay in
 * registers for all of K. */
INLINE void tile(const ga_gemm *g, size_t i, size_t j, const size_t rows)
{
    const float *w = g->w + j * g->K; /* [K, PANEL] */
    const size_t lda = g->lda;
    /* one pointer for three rows: there are not enough registers for all */
    const float *a[(ROWS + 2) / 3];
    vec sum[ROWS][NV];
    float sums[ROWS * PANEL];
    foreach (q, (rows + 2) / 3)
        a[q] = g->a + (i + 3 * q) * lda;
    foreach (r, rows)
        foreach (v, NV)
            sum[r][v] = vset(0.0f);
    for (size_t k = 0; k < g->K; k++, w += PANEL) {
        vec b[NV];
        foreach (v, NV) {
            b[v] = vload(w + v * VL);
            /* an address, not a pointer: it may lie behind the weights */
            __builtin_prefetch(
                (const void *)((uintptr_t)(w + v * VL) + PREFETCH));
        }
        foreach (r, rows) {
            vec x = vset(a[r / 3][r % 3 * lda]);
            foreach (v, NV)
                sum[r][v] = vfma(x, b[v], sum[r][v]);
        }
        foreach (q, (rows + 2) / 3)
            a[q]++;
    }
    foreach (r, rows)
        foreach (v, NV)
            vstore(sums + r * PANEL + v * VL, sum[r][v]);
    finish(g, sums, i, j, rows);
}

#define TILE(n)                                                                \
    case n:                                                                    \
        tile(g, i, j, n);                                                      \
        break

static void run_tile(const ga_gemm *g, size_t i, size_t j, size_t rows)
{
    switch (rows) {
        TILE(1);
        TILE(2);
        TILE(3);
        TILE(4);
        TILE(5);
        TILE(6);
#if ROWS > 6
        TILE(7);
        TILE(8);
        TILE(9);
        TILE(10);
        TILE(11);
        TILE(12);
        TILE(13);
        TILE(14);
#endif
    }
}

static void gemm(const ga_gemm *g)
{
    const size_t tiles = (g->M + ROWS - 1) / ROWS;
    for (size_t j = 0; j < g->N; j += PANEL) {
        /* tiles as equal as they get: 15 rows are 8 and 7, not 14 and 1 */
        for (size_t t = 0, i = 0; t < tiles; t++) {
            size_t rows = (g->M - i + tiles - t - 1) / (tiles - t);
            run_tile(g, i, j, rows);
            i += rows;
        }
    }
}

static void layer_norm(float *x, const float *gamma, const float *beta,
                       float eps, size_t rows, size_t H)
{
    for (size_t r = 0; r < rows; r++, x += H) {
        vec sum = vset(0.0f), squares = vset(0.0f);
        for (size_t i = 0; i < H; i += VL)
            sum = vadd(sum, load_upto(x + i, H - i));
        vec mean = vset(vsum(sum) / (float)H);
        for (size_t i = 0; i < H; i += VL) {
            vec d = vsub(load_or(x + i, H - i, mean), mean);
            squares = vfma(d, d, squares);
        }
        vec scale = vset(1.0f / sqrtf(vsum(squares) / (float)H + eps));
        for (size_t i = 0; i < H; i += VL) {
            size_t left = H - i;
            vec y = vmul(vsub(load_upto(x + i, left), mean), scale);
            y = vfma(y, load_upto(gamma + i, left), load_upto(beta + i, left));
            store_upto(x + i, y, left);
        }
    }
}

static void softmax(float *x, size_t ld, float scale, size_t rows, size_t n)
{
    /* lanes behind the row: their e^-87 vanish beside the largest, e^0 */
    const vec none = vset(-INFINITY), factor = vset(scale);
    for (size_t r = 0; r < rows; r++, x += ld) {
        vec largest = none, sum = vset(0.0f);
        for (size_t i = 0; i < n; i += VL)
            largest = vmax(largest, vmul(load_or(x + i, n - i, none), factor));
        const vec max = vset(vlargest(largest));
        for (size_t i = 0; i < n; i += VL) {
            vec e = vmul(load_or(x + i, n - i, none), factor);
            e = vexp(vsub(e, max));
            store_upto(x + i, e, n - i);
            sum = vadd(sum, e);
        }
        const vec inverse = vset(1.0f / vsum(sum));
        for (size_t i = 0; i < n; i += VL)
            store_upto(x + i, vmul(load_upto(x + i, n - i), inverse), n - i);
    }
}

/* Two sums for each row, so that the additions do not wait for each other;
 * `rows` is known when compiling. */
INLINE void dots(float *out, const float *a, const float *x, size_t n,
                 const size_t rows)
{
    vec sum[4][2];
    size_t i = 0;
    foreach (r, rows)
        sum[r][0] = sum[r][1] = vset(0.0f);
    for (; i + 2 * VL <= n; i += 2 * VL) {
        vec x0 = vload(x + i), x1 = vload(x + i + VL);
        foreach (r, rows) {
            sum[r][0] = vfma(vload(a + r * n + i), x0, sum[r][0]);
            sum[r][1] = vfma(vload(a + r * n + i + VL), x1, sum[r][1]);
        }
    }
    for (; i < n; i += VL) {
        vec x0 = load_upto(x + i, n - i);
        foreach (r, rows)
            sum[r][0] = vfma(load_upto(a + r * n + i, n - i), x0, sum[r][0]);
    }
    foreach (r, rows)
        out[r] = vsum(vadd(sum[r][0], sum[r][1]));
}

static float dot(const float *a, const float *b, size_t n)
{
    float out;
    dots(&out, a, b, n, 1);
    return out;
}

static void dot_rows(float *out, const float *rows, size_t count,
                     const float *x, size_t n)
{
    size_t r = 0;
    for (; r + 4 <= count; r += 4)
        dots(out + r, rows + r * n, x, n, 4);
    for (; r < count; r++)
        dots(out + r, rows + r * n, x, n, 1);
}

static void axpy(float *y, float a, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i += VL) {
        size_t left = n - i;
        vec s = vfma(vset(a), load_upto(x + i, left), load_upto(y + i, left));
        store_upto(y + i, s, left);
    }
}

const ga_kernels GA_KERNELS = {
    .name = GA_KERNELS_NAME,
    .panel = PANEL,
    .gemm = gemm,
    .layer_norm = layer_norm,
    .softmax = softmax,
    .dot = dot,
    .dot_rows = dot_rows,
    .axpy = axpy,
};

#endif
