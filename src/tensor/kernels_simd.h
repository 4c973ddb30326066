/* kernels_simd.h: the kernels in terms of one vector type.
 *
 * Text that a file for each instruction set includes once it has defined what
 * follows, so that all of them run the same algorithms:
 * - VL: floats in a vector
 * - F32_ROWS, BF16_ROWS, INT8_ROWS: rows of a gemm tile, up to 14 and the first
 *   the largest, and HEAD_ROWS, queries of an attention tile: what the
 *   registers hold
 * - vec, vset, vload, vstore, vadd, vsub, vmul, vdiv, vsqrt, vmin, vmax, vround
 * - vfma(a, b, c): a b + c
 * - vload_n(p, n, rest), vstore_n(p, x, n): the first n < VL floats; the other
 *   lanes are those of `rest`
 * - vexp2i(n): 2^n of whole numbers
 * - vsum, vlargest, vsmallest; vtranspose(r) of VL vectors
 * - ivec: VL 32-bit integers; izero, iload, ifloat, ior
 * - ifour(p): four bytes in all lanes
 * - ilow, ihigh: the lower and the upper half of each byte
 * - idot(sum, a, w): sum + the dot product of four unsigned and four signed
 *   bytes in each lane, exact
 * - vbytes_n(p, x, n): the first n numbers of x, whole and 0 to 255, as bytes
 * - bf16_bits(x): bfloat16 in the upper half of each lane, the lower is not
 *   zero; iupper, which makes it so, and iright16, which moves it down
 * - bdot(sum, a, w): sum + the product of the upper bfloat16 of each lane, then
 *   + that of the lower, each fused
 * - vbf16_n(p, x, n): the first n numbers of x as bfloat16
 * - as_vec, as_ivec: the same bits as the other type
 * - opaque(x): x is now anything, as far as the compiler knows
 * - GA_KERNELS, GA_KERNELS_NAME: the table and its name
 *
 * With INT8_ATTENTION, for attention_int8_simd.h:
 * - iround(x), istore(p, i), ileft(i, n), iright8(i): as they say
 * - ibyte(i): the lowest byte of each lane; ibytes(p, i): all of them, stored
 * - vtimes2i(p, n): p 2^n */
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

/* Vectors that a tile is wide, and its columns: a panel or half of one. */
enum { NV = 2, STRIP = NV * VL };

/* Activations of a group of k, and weights of it: bytes. */
enum { GROUP = 4, LINE = GA_PANEL * GROUP };

/* Weights are read once for a handful of rows when a single text is encoded;
 * they then come from far away, and this far ahead the loads are hidden. */
enum { PREFETCH = 16 * LINE };

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

/* erf(x / sqrt 2) / 2.  With u the square of x mapped to [-1, 1] it is x P(u)
 * up to `most`; P [n] is the minimax polynomial (coefficients: own fit).  No
 * division and no branch, and around 0 nothing cancels. */
INLINE vec half_erf(vec x, const float *P, const size_t n, const float most)
{
    vec z = vmin(vmax(x, vset(-most)), vset(most));
    vec u = vfma(vmul(z, z), vset(2.0f / (most * most)), vset(-1.0f));
    vec p = vset(P[0]);
    foreach (i, n - 1)
        p = vfma(p, u, vset(P[i + 1]));
    return vmin(vmax(vmul(z, p), vset(-0.5f)), vset(0.5f));
}

/* The error is below 2^-22 |x| in what follows: at 5.6 the error function
 * reaches 1 in float32. */
INLINE vec vhalf_erf(vec x)
{
    static const float P[] = {
        -3.602648503e-4f, 8.815718465e-4f, -5.319981719e-4f, 6.769427564e-4f,
        -2.987921238e-3f, 5.492823198e-3f, -7.463485934e-3f, 1.088237762e-2f,
        -1.577969454e-2f, 2.097453736e-2f, -2.630785480e-2f, 3.196499497e-2f,
        -3.834577277e-2f, 4.698114842e-2f, -6.305128336e-2f, 1.262595952e-1f,
    };
    return half_erf(x, P, sizeof(P) / sizeof(*P), 5.6f);
}

/* x/2 (1 + erf(x / sqrt 2)) */
INLINE vec vgelu(vec x)
{
    return vfma(x, vhalf_erf(x), vmul(x, vset(0.5f)));
}

/* The normal distribution's share below x. */
INLINE vec vnormal(vec x)
{
    return vadd(vhalf_erf(x), vset(0.5f));
}

/* For what is rounded to 8 bits next, in steps of a hundredth and more: off by
 * 0.00005 at most and a third cheaper. */
INLINE vec vgelu_coarse(vec x)
{
    static const float P[] = {
        2.19664475e-3f,  -5.81759145e-3f, 8.10461213e-3f,
        -1.36753624e-2f, 2.50049667e-2f,  -3.89556318e-2f,
        5.58144461e-2f,  -8.14820367e-2f, 1.67856146e-1f,
    };
    return vfma(x, half_erf(x, P, sizeof(P) / sizeof(*P), 4.2f),
                vmul(x, vset(0.5f)));
}

/* What the sums x of columns j and up of row i still lack to be elements of c;
 * `left` of them are there. */
INLINE void finish(const ga_epilogue *e, size_t i, size_t j, size_t left, vec x,
                   vec bias, const bool coarse)
{
    size_t at = i * e->ldc + j;
    x = vadd(x, bias);
    if (e->gelu)
        x = coarse ? vgelu_coarse(x) : vgelu(x);
    if (e->residual)
        x = vadd(x, load_upto(e->residual + at, left));
    store_upto(e->c + at, x, left);
}

INLINE vec bias_of(const ga_epilogue *e, size_t j, size_t left)
{
    return e->bias ? load_upto(e->bias + j, left) : vset(0.0f);
}

/* ---- products ---- */

INLINE vec multiply_add(const ga_number type, vec sum, ivec a, ivec w)
{
    if (type == GA_F32)
        return vfma(as_vec(a), as_vec(w), sum);
    if (type == GA_BF16)
        return bdot(sum, a, w);
    return as_vec(idot(as_ivec(sum), a, w));
}

/* Columns j and up of rows i and up, from their sums [rows, STRIP]. */
INLINE void finish_tile(const ga_gemm *g, const ga_number type, size_t i,
                        size_t j, const float *sums, size_t rows)
{
    for (size_t v = 0; v < NV && j + v * VL < g->N; v++) {
        size_t column = j + v * VL, left = g->N - column;
        vec bias = bias_of(&g->out, column, left);
        vec w_scale = vset(0.0f), w_sum = vset(0.0f);
        if (type == GA_INT8) {
            w_scale = load_upto(g->w_scale + column, left);
            w_sum = load_upto(g->w_sum + column, left);
        }
        for (size_t r = 0; r < rows; r++) {
            vec x = vload(sums + r * STRIP + v * VL);
            if (type == GA_INT8) {
                x = vmul(ifloat(as_ivec(x)), vset(g->scale[i + r]));
                x = vfma(x, w_scale, vmul(vset(g->low[i + r]), w_sum));
            }
            finish(&g->out, i + r, column, left, x, bias, type == GA_INT8);
        }
    }
}

/* Rows i and up of one strip.  `type` and `rows` are known when compiling: the
 * sums stay in registers for all of K. */
INLINE void tile(const ga_gemm *g, const ga_number type, size_t i, size_t j,
                 const size_t rows)
{
    const size_t per = ga__number_group(type), groups = (g->K + per - 1) / per;
    const size_t lda = g->lda / per * GROUP;
    const char *w = (const char *)g->w + j / GA_PANEL * groups * LINE +
                    j % GA_PANEL * GROUP;
    /* one pointer for three rows: there are not enough registers for all */
    const char *a[(F32_ROWS + 2) / 3];
    vec sum[F32_ROWS][NV];
    foreach (q, (rows + 2) / 3)
        a[q] = (const char *)g->a + (i + 3 * q) * lda;
    foreach (r, rows)
        foreach (v, NV)
            sum[r][v] = vset(0.0f); /* the bits of a whole 0, too */
    for (size_t k = 0; k < groups; k++, w += LINE) {
        ivec b[NV];
        foreach (v, NV) {
            b[v] = iload(w + v * VL * GROUP);
            /* an address, not a pointer: it may lie behind the weights */
            __builtin_prefetch(
                (const void *)((uintptr_t)(w + v * VL * GROUP) + PREFETCH));
        }
        foreach (r, rows) {
            ivec x = ifour(a[r / 3] + r % 3 * lda);
            foreach (v, NV)
                sum[r][v] = multiply_add(type, sum[r][v], x, b[v]);
        }
        foreach (q, (rows + 2) / 3)
            a[q] += GROUP;
    }
    float sums[F32_ROWS * STRIP];
    foreach (r, rows)
        foreach (v, NV)
            vstore(sums + r * STRIP + v * VL, sum[r][v]);
    finish_tile(g, type, i, j, sums, rows);
}

#define TILE(n)                                                                \
    case n:                                                                    \
        TILE_OF(n);                                                            \
        break

/* TILE_OF(n) for the rows that there are, n known when compiling. */
#if VL > 8
#define TILES_ABOVE_6                                                          \
    TILE(7);                                                                   \
    TILE(8);                                                                   \
    TILE(9);                                                                   \
    TILE(10);                                                                  \
    TILE(11);                                                                  \
    TILE(12);                                                                  \
    TILE(13);                                                                  \
    TILE(14);
#else
#define TILES_ABOVE_6
#endif
#define BY_ROWS(rows)                                                          \
    switch (rows) {                                                            \
        TILE(1);                                                               \
        TILE(2);                                                               \
        TILE(3);                                                               \
        TILE(4);                                                               \
        TILE(5);                                                               \
        TILE(6);                                                               \
        TILES_ABOVE_6                                                          \
    }

INLINE void run_tile(const ga_gemm *g, const ga_number type, size_t i, size_t j,
                     size_t rows)
{
#define TILE_OF(n) tile(g, type, i, j, (n) <= F32_ROWS ? (n) : F32_ROWS)
    BY_ROWS(rows)
#undef TILE_OF
}

/* Tiles as equal as they get, 15 rows being 8 and 7 and not 14 and 1: how many
 * of the M - i rows left are in the next one. */
static size_t next_rows(size_t M, size_t i, size_t most)
{
    size_t tiles = (M - i + most - 1) / most;
    return (M - i + tiles - 1) / tiles;
}

/* Activations of a block of rows stay in the L1 cache while the weights, which
 * the processor reads ahead, stream past from the L2 cache.  Of floats not even
 * one tile's would stay there: their block fills a good part of the L2 cache,
 * and each strip of weights is used for all of it. */
INLINE void gemm_of(const ga_gemm *g, const ga_number type,
                    const size_t tile_rows)
{
    enum { L1_BYTES = 24 << 10, L2_BYTES = 768 << 10 };
    size_t row = g->K * GROUP / ga__number_group(type) + 1;
    size_t tiles = (type == GA_F32 ? L2_BYTES : L1_BYTES) / (tile_rows * row);
    size_t most = (tiles > 1 ? tiles : 1) * tile_rows;
    for (size_t first = 0, block; first < g->M; first += block) {
        block = next_rows(g->M, first, most);
        for (size_t j = 0; j < g->N; j += STRIP) {
            for (size_t i = first, rows; i < first + block; i += rows) {
                rows = next_rows(first + block, i, tile_rows);
                run_tile(g, type, i, j, rows);
            }
        }
    }
}

static void gemm(const ga_gemm *g)
{
    if (g->type == GA_F32)
        gemm_of(g, GA_F32, F32_ROWS);
    else if (g->type == GA_BF16)
        gemm_of(g, GA_BF16, BF16_ROWS);
    else
        gemm_of(g, GA_INT8, INT8_ROWS);
}

/* ---- quantisation ---- */

INLINE vec scaled(const float *x, const float *factor, size_t k, size_t left,
                  vec rest)
{
    vec y = load_or(x + k, left, rest);
    return factor ? vmul(y, load_or(factor + k, left, vset(1.0f))) : y;
}

static void quantise(uint8_t *q, size_t ldq, float *scale, float *low,
                     const float *x, size_t ld, const float *factor,
                     size_t rows, size_t K)
{
    for (size_t r = 0; r < rows; r++, x += ld, q += ldq) {
        vec least = vset(INFINITY), most = vset(-INFINITY);
        for (size_t k = 0; k < K; k += VL) {
            least = vmin(scaled(x, factor, k, K - k, vset(INFINITY)), least);
            most = vmax(scaled(x, factor, k, K - k, vset(-INFINITY)), most);
        }
        const float bottom = vsmallest(least), range = vlargest(most) - bottom;
        const vec shift = vset(bottom),
                  inverse = vset(range > 0 ? 255.0f / range : 0);
        scale[r] = range / 255.0f;
        low[r] = bottom;
        for (size_t k = 0; k < K; k += VL) {
            vec y = vsub(scaled(x, factor, k, K - k, shift), shift);
            y = vmin(vround(vmul(y, inverse)), vset(255.0f));
            vbytes_n(q + k, vmax(y, vset(0.0f)), K - k < VL ? K - k : VL);
        }
        for (size_t k = K; k % GROUP != 0; k++)
            q[k] = 0;
    }
}

static void round_bf16(uint16_t *q, size_t ldq, const float *x, size_t ld,
                       size_t rows, size_t K)
{
    for (size_t r = 0; r < rows; r++, x += ld, q += ldq) {
        for (size_t k = 0; k < K; k += VL)
            vbf16_n(q + k, load_upto(x + k, K - k), K - k < VL ? K - k : VL);
        if (K % 2)
            q[K] = 0;
    }
}

/* ---- scan ---- */

/* Codes stream past once, so what counts is bytes: two numbers in each.  Their
 * halves are the unsigned side of the dot product and the query the signed one;
 * the 8 that is too much in every code is taken off at the end. */
static void scan(const ga_scan *s)
{
    const size_t groups = (s->K + GA_INT4_GROUP - 1) / GA_INT4_GROUP;
    int32_t query_sum = 0;
    for (size_t k = 0; k < s->K; k++)
        query_sum += s->query[k];
    const vec factor = vset(s->query_scale),
              excess = vset(8.0f * (float)query_sum);
    for (size_t n = 0; n < s->N; n += STRIP) {
        ivec low[NV], high[NV];
        const uint8_t *code =
            s->codes + n / GA_PANEL * GA_PANEL * groups * 4 + n % GA_PANEL * 4;
        foreach (v, NV)
            low[v] = high[v] = izero();
        for (size_t g = 0; g < groups; g++, code += GA_PANEL * 4) {
            const uint8_t *q = (const uint8_t *)s->query + g * GA_INT4_GROUP;
            ivec q_low = ifour(q), q_high = ifour(q + 4);
            foreach (v, NV) {
                ivec c = iload(code + v * VL * 4);
                __builtin_prefetch(
                    (const void *)((uintptr_t)(code + v * VL * 4) + PREFETCH));
                low[v] = idot(low[v], ilow(c), q_low);
                high[v] = idot(high[v], ihigh(c), q_high);
            }
        }
        for (size_t v = 0; v < NV && n + v * VL < s->N; v++) {
            size_t at = n + v * VL, left = s->N - at;
            vec sum = vadd(ifloat(low[v]), ifloat(high[v]));
            sum = vmul(vsub(sum, excess), factor);
            sum = vfma(load_upto(s->scale + at, left), sum,
                       load_upto(s->bias + at, left));
            store_upto(s->out + at, sum, left);
        }
    }
}

/* ---- attention ---- */

/* keys[d, t] = k[t, d] of [T, D], zero for columns behind T: then the products
 * of one query with VL keys are lanes of one vector. */
static void transpose_keys(float *keys, size_t columns, const float *k,
                           size_t ld, size_t T, size_t D)
{
    for (size_t t = 0; t < T; t += VL) {
        for (size_t d = 0; d < D; d += VL) {
            const float *from = k + t * ld + d;
            vec block[VL];
            foreach (i, VL)
                block[i] =
                    t + i < T ? load_upto(from + i * ld, D - d) : vset(0.0f);
            vtranspose(block);
            foreach (i, VL) {
                if (d + i < D)
                    vstore(keys + (d + i) * columns + t, block[i]);
            }
        }
    }
}

/* The products of `rows` queries q [rows, D] with `n` vectors of keys, times
 * the scale. */
INLINE void score(const float *q, size_t ld, size_t D, float scale,
                  const float *keys, size_t columns, float *scores,
                  const size_t rows, const size_t n)
{
    vec sum[HEAD_ROWS][NV];
    foreach (r, rows)
        foreach (v, n)
            sum[r][v] = vset(0.0f);
    for (size_t d = 0; d < D; d++, keys += columns) {
        vec k[NV];
        foreach (v, n)
            k[v] = vload(keys + v * VL);
        foreach (r, rows)
            foreach (v, n)
                sum[r][v] = vfma(vset(q[r * ld + d]), k[v], sum[r][v]);
    }
    foreach (r, rows)
        foreach (v, n)
            vstore(scores + r * columns + v * VL, vmul(sum[r][v], vset(scale)));
}

/* All keys. */
INLINE void score_all(const float *q, size_t ld, size_t D, float scale,
                      const float *keys, size_t columns, size_t T,
                      float *scores, const size_t rows)
{
    size_t t = 0;
    for (; t + VL < T; t += NV * VL)
        score(q, ld, D, scale, keys + t, columns, scores + t, rows, NV);
    if (t < T)
        score(q, ld, D, scale, keys + t, columns, scores + t, rows, 1);
}

/* Each of `rows` rows [T] to its softmax, and what it must be divided by. */
INLINE void soften(float *x, size_t columns, size_t T, float *inverse,
                   const size_t rows)
{
    /* lanes behind the row: their e^-87 vanish beside the largest, e^0 */
    const vec none = vset(-INFINITY);
    for (size_t r = 0; r < rows; r++, x += columns) {
        vec largest = none, sum = vset(0.0f);
        for (size_t t = 0; t < T; t += VL)
            largest = vmax(largest, load_or(x + t, T - t, none));
        const vec max = vset(vlargest(largest));
        for (size_t t = 0; t < T; t += VL) {
            vec e = vexp(vsub(load_or(x + t, T - t, none), max));
            store_upto(x + t, e, T - t);
            sum = vadd(sum, e);
        }
        inverse[r] = 1.0f / vsum(sum);
    }
}

/* Sums of the rows of v [T, D], weighted: of query r and row t by
 * w[r * step + t * next].  n vectors of columns from d on. */
INLINE void mix(float *out, size_t ldo, const float *v, size_t ld, size_t T,
                size_t D, size_t d, const float *w, size_t step, size_t next,
                const float *factor, const size_t rows, const size_t n)
{
    vec sum[HEAD_ROWS][NV];
    size_t left = D - d;
    foreach (r, rows)
        foreach (c, n)
            sum[r][c] = vset(0.0f);
    for (size_t t = 0; t < T; t++, v += ld, w += next) {
        vec value[NV];
        foreach (c, n)
            value[c] = c + 1 < n || left >= n * VL
                           ? vload(v + d + c * VL)
                           : load_upto(v + d + c * VL, left - c * VL);
        foreach (r, rows)
            foreach (c, n)
                sum[r][c] = vfma(vset(w[r * step]), value[c], sum[r][c]);
    }
    foreach (r, rows)
        foreach (c, n)
            store_upto(out + r * ldo + d + c * VL,
                       factor ? vmul(sum[r][c], vset(factor[r])) : sum[r][c],
                       left - c * VL);
}

/* All columns. */
INLINE void mix_all(float *out, size_t ldo, const float *v, size_t ld, size_t T,
                    size_t D, const float *w, size_t step, size_t next,
                    const float *factor, const size_t rows)
{
    size_t d = 0;
    for (; d + VL < D; d += NV * VL)
        mix(out, ldo, v, ld, T, D, d, w, step, next, factor, rows, NV);
    if (d < D)
        mix(out, ldo, v, ld, T, D, d, w, step, next, factor, rows, 1);
}

INLINE void attend(const ga_attention *a, size_t i, const float *keys,
                   size_t columns, float *scores, const size_t rows)
{
    float inverse[HEAD_ROWS];
    score_all(a->q + i * a->ld, a->ld, a->D, a->scale, keys, columns, a->T,
              scores, rows);
    soften(scores, columns, a->T, inverse, rows);
    mix_all(a->out + i * a->ldo, a->ldo, a->v, a->ld, a->T, a->D, scores,
            columns, 1, inverse, rows);
    for (size_t r = 0; r < rows && a->weights; r++) {
        for (size_t t = 0; t < a->T; t += VL)
            store_upto(a->weights + (i + r) * a->T + t,
                       vmul(load_upto(scores + r * columns + t, a->T - t),
                            vset(inverse[r])),
                       a->T - t);
    }
}

/* The same for queries. */
#define BY_HEAD_ROWS(rows)                                                     \
    switch (rows) {                                                            \
        TILE(1);                                                               \
        TILE(2);                                                               \
        TILE(3);                                                               \
        TILE(4);                                                               \
        HEAD_TILES_ABOVE_4                                                     \
    }
#if HEAD_ROWS > 4
#define HEAD_TILES_ABOVE_4                                                     \
    TILE(5);                                                                   \
    TILE(6);                                                                   \
    TILE(7);                                                                   \
    TILE(8);
#else
#define HEAD_TILES_ABOVE_4
#endif

static void attention(const ga_attention *a)
{
    const size_t align = GA_ATTENTION_ALIGN;
    const size_t columns = (a->T + align - 1) / align * align;
    float *keys = a->scratch, *scores = keys + columns * a->D;
    transpose_keys(keys, columns, a->k, a->ld, a->T, a->D);
    for (size_t i = 0, rows; i < a->T; i += rows) {
        rows = next_rows(a->T, i, HEAD_ROWS);
#define TILE_OF(n)                                                             \
    attend(a, i, keys, columns, scores, (n) <= HEAD_ROWS ? (n) : HEAD_ROWS)
        BY_HEAD_ROWS(rows)
#undef TILE_OF
    }
}

/* ---- rows and vectors ---- */

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

#include "tensor/backward_simd.h"

#ifdef INT8_ATTENTION
#include "tensor/attention_int8_simd.h"
#endif

/* ---- the most that can be done ---- */

enum { WORK = 10 }; /* sums that wait for nothing but themselves */

INLINE double work_of(const ga_number type, size_t turns)
{
    static const uint8_t bytes[GROUP] = {3};
    vec sum[WORK];
    ivec a = ifour(bytes), b = izero();
    foreach (i, WORK)
        sum[i] = vset(0.0f);
    for (size_t t = 0; t < turns; t++) {
        foreach (i, WORK) {
            sum[i] = multiply_add(type, sum[i], a, b);
            opaque(sum[i]); /* else equal sums are made once */
        }
    }
    volatile float sink = 0;
    foreach (i, WORK)
        sink = sink + vsum(sum[i]);
    return 2.0 * (double)ga__number_group(type) * WORK * VL * (double)turns;
}

static double work(ga_number type, size_t turns)
{
    if (type == GA_F32)
        return work_of(GA_F32, turns);
    return type == GA_BF16 ? work_of(GA_BF16, turns) : work_of(GA_INT8, turns);
}

const ga_kernels GA_KERNELS = {
    .name = GA_KERNELS_NAME,
    .gemm = gemm,
    .quantise = quantise,
    .round_bf16 = round_bf16,
    .scan = scan,
    .attention = attention,
#ifdef INT8_ATTENTION
    .attention_int8 = attention_int8,
#else
    .attention_int8 = attention,
#endif
    .layer_norm = layer_norm,
    .dot = dot,
    .dot_rows = dot_rows,
    .axpy = axpy,
    .gelu = gelu,
    .gelu_backward = gelu_backward,
    .layer_norm_backward = layer_norm_backward,
    .add_columns = add_columns,
    .attention_backward = attention_backward,
    .transpose = transpose,
    .pair_bf16 = pair_bf16,
    .adamw = adamw,
    .work = work,
};

#endif
