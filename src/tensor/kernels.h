/* kernels.h: the inner loops, one table of functions for each instruction set.
 *
 * Knows numbers only: no models, no files, no threads.
 *
 * Every element of a result is computed in one order that depends on its own
 * row (and on K, T or the length of that row) and on nothing else: not on how
 * many rows there are, where in a tile it falls, or which thread does it.  That
 * is what lets the encoder promise the same bits for any batch.
 *
 * Arrays are row-major float32, written [rows, columns]; a leading dimension
 * (ld) is the distance of two rows in floats. */
#ifndef GA_TENSOR_KERNELS_H
#define GA_TENSOR_KERNELS_H

#include "base/mem.h"

/* c = a w^T + bias, then GELU, then + residual, where they are asked for. */
typedef struct {
    size_t M, N, K;
    const float *a; /* [M, K] */
    size_t lda;
    const float *w;        /* [N, K], packed; see ga__pack_rows */
    const float *bias;     /* [N], or NULL */
    const float *residual; /* [M, N], rows ldc apart, or NULL; may be c */
    float *c;              /* [M, N]; must not overlap a */
    size_t ldc;
    bool gelu; /* x/2 (1 + erf(x / sqrt 2)) of Hendrycks and Gimpel, 2016 */
} ga_gemm;

typedef struct {
    const char *name; /* "ref", "avx2", "avx512" */
    size_t panel;     /* columns of c that the gemm computes together */

    void (*gemm)(const ga_gemm *g);

    /* Each row of x [rows, H] to mean 0 and variance 1, times gamma [H], plus
     * beta [H]; in place (Ba et al., 2016). */
    void (*layer_norm)(float *x, const float *gamma, const float *beta,
                       float eps, size_t rows, size_t H);

    /* Each row of x [rows, n] to softmax(scale * row), in place; n > 0. */
    void (*softmax)(float *x, size_t ld, float scale, size_t rows, size_t n);

    float (*dot)(const float *a, const float *b, size_t n);

    /* out[i] = the bits of dot(rows[i, :], x), for rows [count, n]. */
    void (*dot_rows)(float *out, const float *rows, size_t count,
                     const float *x, size_t n);

    /* y += a * x */
    void (*axpy)(float *y, float a, const float *x, size_t n);
} ga_kernels;

/* The fastest table that this CPU runs; static and constant. */
const ga_kernels *ga__kernels(void);

/* One of them by name; NULL when there is none or this CPU lacks it. */
const ga_kernels *ga__kernels_named(const char *name);

/* Packed, a matrix [N, K] is a row of panels: panel p holds the K columns of
 * rows p * panel and up, as [K, panel], filled up with zeros.  The gemm then
 * reads weights strictly forward, `panel` outputs at a time. */
static inline bool ga__packed_size(const ga_kernels *k, size_t N, size_t K,
                                   size_t *floats)
{
    size_t columns;
    if (!ga__add_size(N, k->panel - 1, &columns))
        return false;
    return ga__mul_size(columns - columns % k->panel, K, floats);
}

/* Pack w [N, K], or w [K, N] whose columns are the rows to be packed. */
void ga__pack_rows(const ga_kernels *k, float *packed, const float *w,
                   size_t ld, size_t N, size_t K);
void ga__pack_columns(const ga_kernels *k, float *packed, const float *w,
                      size_t ld, size_t N, size_t K);

#endif
