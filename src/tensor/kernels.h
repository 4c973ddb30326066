/* kernels.h: the inner loops, one table of functions for each instruction set.
 *
 * Knows numbers only: no models, no files, no threads.
 *
 * Every element of a result is computed in one order that depends on its own
 * row (and on K, T or the length of that row) and on nothing else: not on how
 * many rows there are, where in a tile it falls, or which thread does it.  That
 * is what lets the encoder promise the same bits for any batch.
 *
 * Arrays are row-major, float32 unless said otherwise, written [rows,
 * columns]; a leading dimension (ld) is the distance of two rows in elements.
 *
 * Weights are packed once into an order that all instruction sets read, so
 * that packed weights can lie in a file: a matrix [N, K] is a row of panels,
 * each of GA_PANEL rows, stored by groups of neighbouring k, as many as fill
 * four bytes, and filled up with zeros:
 *     float32   [N / 32, K, 32]
 *     bfloat16  [N / 32, K / 2, 32, 2]
 *     int8      [N / 32, K / 4, 32, 4]
 * A product then reads weights strictly forward, and four bytes of activations
 * meet 128 bytes of weights whatever they hold. */
#ifndef GA_TENSOR_KERNELS_H
#define GA_TENSOR_KERNELS_H

#include "base/mem.h"

enum { GA_PANEL = 32, GA_INT4_GROUP = 8, GA_ATTENTION_INT8 = 64 };

/* What the factors of a product are; its sums are float32, or exact in 32 bits
 * for int8.  A bfloat16 is the upper half of a float32, rounded to even. */
typedef enum { GA_F32, GA_BF16, GA_INT8 } ga_number;

/* Neighbouring k that stand together: 1, 2, 4.  Four bytes. */
static inline size_t ga__number_group(ga_number type)
{
    return (size_t)1 << type;
}

static inline size_t ga__number_bytes(ga_number type)
{
    return 4 / ga__number_group(type);
}

/* What is done to a product before it is stored: + bias, then GELU, then
 * + residual, where they are asked for. */
typedef struct {
    const float *bias;     /* [N], or NULL */
    const float *residual; /* [M, N], rows ldc apart, or NULL; may be c */
    float *c;              /* [M, N]; must not overlap a */
    size_t ldc;
    bool gelu; /* x/2 (1 + erf(x / sqrt 2)) of Hendrycks and Gimpel, 2016 */
} ga_epilogue;

/* c = a w^T.  For int8 x = scale * q + low for a row of activations, so that
 * the whole range of a row is used wherever it lies, and w = scale * q for a
 * row of weights:
 *     sum_k x w = scale_w (scale_x sum_k q_x q_w + low_x sum_k q_w)
 * The first sum is exact up to K = 66,000. */
typedef struct {
    ga_number type; /* of a and w; activations in int8 are unsigned */
    size_t M, N, K;
    const void *a; /* [M, K], rows zero up to a multiple of the group */
    size_t lda;    /* a multiple of the group */
    const void *w; /* [N, K], packed */
    ga_epilogue out;
    /* of int8 alone */
    const float *scale, *low; /* [M] */
    const float *w_scale;     /* [N] */
    const float *w_sum;       /* [N]: w_scale times the sum of the row */
} ga_gemm;

/* Products of one vector with many in 4 bits, to find the few that matter.
 * A number is scale * (code - 8), codes 0 to 15; eight numbers of a row are
 * four bytes, the first four in their lower halves: [N / 32, K / 8, 32, 4]
 * out[n] = scale[n] * query_scale * sum_k (code[n, k] - 8) query[k] + bias[n]
 */
typedef struct {
    size_t N, K;
    const uint8_t *codes; /* [N, K], packed, code 8 where it is filled up */
    const float *scale;   /* [N] */
    const float *bias;    /* [N] */
    const int8_t *query;  /* [K], zero up to a multiple of 8 */
    float query_scale;
    float *out; /* [N] */
} ga_scan;

/* One head of one text: softmax(Q K^T scale) V (Vaswani et al., 2017). */
typedef struct {
    size_t T, D;
    const float *q, *k, *v; /* [T, D] each */
    size_t ld;
    float scale;
    float *out; /* [T, D] */
    size_t ldo;
    float *scratch; /* [ga__attention_scratch(T, D)] */
    float *weights; /* [T, T], the softmax, where training asks for it */
} ga_attention;

/* What the head's output owes to queries, keys and values, whose gradients lie
 * as they themselves do. */
typedef struct {
    ga_attention of;     /* out: the gradient of the output; weights: as kept */
    float *dq, *dk, *dv; /* [T, D], rows of.ld apart */
    float *scratch;      /* [ga__attention_backward_scratch(T, D)] */
} ga_attention_backward;

/* One step of AdamW (Loshchilov and Hutter, 2019). */
typedef struct {
    float rate, beta1, beta2, epsilon, decay;
    float correction1, correction2; /* 1 - beta^step */
    float clip;                     /* what gradients are multiplied by */
} ga_adamw;

typedef struct {
    const char *name; /* "ref", "avx2", "avx512", "avx512vnni", "avx512bf16" */

    void (*gemm)(const ga_gemm *g);

    /* Rows of x [rows, K], each times `factor` [K] where there is one, to 8
     * bits: q, scale and low as above.  ldq is at least K rounded up to 4, and
     * rows are filled up with zeros to there. */
    void (*quantise)(uint8_t *q, size_t ldq, float *scale, float *low,
                     const float *x, size_t ld, const float *factor,
                     size_t rows, size_t K);

    /* Rows of x [rows, K] to bfloat16, filled up with a zero to an even K. */
    void (*round_bf16)(uint16_t *q, size_t ldq, const float *x, size_t ld,
                       size_t rows, size_t K);

    void (*scan)(const ga_scan *s);

    void (*attention)(const ga_attention *a);

    /* The same with queries, keys, values and weights in 8 bits where that is
     * faster, for texts of GA_ATTENTION_INT8 tokens and more. */
    void (*attention_int8)(const ga_attention *a);

    /* Each row of x [rows, H] to mean 0 and variance 1, times gamma [H], plus
     * beta [H]; in place (Ba et al., 2016). */
    void (*layer_norm)(float *x, const float *gamma, const float *beta,
                       float eps, size_t rows, size_t H);

    float (*dot)(const float *a, const float *b, size_t n);

    /* out[i] = the bits of dot(rows[i, :], x), for rows [count, n]. */
    void (*dot_rows)(float *out, const float *rows, size_t count,
                     const float *x, size_t n);

    /* y += a * x */
    void (*axpy)(float *y, float a, const float *x, size_t n);

    /* ---- for training ---- */

    /* y = GELU(x), and dx = dy GELU'(x); dx may be dy. */
    void (*gelu)(float *y, const float *x, size_t n);
    void (*gelu_backward)(float *dx, const float *x, const float *dy, size_t n);

    /* Of layer_norm: x is what went in and becomes what it is before gamma and
     * beta; dx [rows, H] from dy, and may be it. */
    void (*layer_norm_backward)(float *dx, float *x, const float *dy,
                                const float *gamma, float eps, size_t rows,
                                size_t H);

    /* out[n] += the sums of x's columns, times y's elements where there is y;
     * rows [rows, n], ld apart. */
    void (*add_columns)(float *out, const float *x, const float *y, size_t ld,
                        size_t rows, size_t n);

    void (*attention_backward)(const ga_attention_backward *a);

    /* out[j, i] = x[i, j] for x [rows, columns], of any 32 bits. */
    void (*transpose)(uint32_t *out, size_t ldo, const uint32_t *x, size_t ld,
                      size_t rows, size_t columns);

    /* Pairs of rows of x [rows, n] to bfloat16, side by side: q [rows / 2, n],
     * the first of a pair in the lower half; a last row alone with zeros. */
    void (*pair_bf16)(uint32_t *q, size_t ldq, const float *x, size_t ld,
                      size_t rows, size_t n);

    void (*adamw)(const ga_adamw *a, float *w, const float *gradient,
                  float *first, float *second, size_t n);

    /* Multiply and add in registers alone, `turns` times over, and return how
     * many operations that were: what a product can be measured by. */
    double (*work)(ga_number type, size_t turns);
} ga_kernels;

/* The fastest table that this CPU runs; static and constant. */
const ga_kernels *ga__kernels(void);

/* One of them by name; NULL when there is none or this CPU lacks it. */
const ga_kernels *ga__kernels_named(const char *name);

/* The names of all of them, slowest first, then NULL. */
extern const char *const ga__kernels_names[];

/* Elements of a packed matrix [N, K] whose k stand in groups of `group`; false
 * when that overflows. */
static inline bool ga__packed_size(size_t N, size_t K, size_t group,
                                   size_t *elements)
{
    size_t rows, columns;
    if (!ga__add_size(N, GA_PANEL - 1, &rows) ||
        !ga__add_size(K, group - 1, &columns))
        return false;
    return ga__mul_size(rows - rows % GA_PANEL, columns - columns % group,
                        elements);
}

/* The bfloat16 nearest to x, of two the even one.  A number past the largest
 * becomes infinity; a NaN must be one that arithmetic makes. */
static inline uint16_t ga__bf16(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof(u));
    return (uint16_t)((u + 0x7FFF + (u >> 16 & 1)) >> 16);
}

static inline float ga__bf16_float(uint16_t x)
{
    uint32_t u = (uint32_t)x << 16;
    float f;
    memcpy(&f, &u, sizeof(f));
    return f;
}

/* Pack w [N, K]. */
void ga__pack_f32(float *packed, const float *w, size_t N, size_t K);
void ga__pack_bf16(uint16_t *packed, const float *w, size_t N, size_t K);

/* Floats that the attention of T tokens needs to work with. */
size_t ga__attention_scratch(size_t T, size_t D);
size_t ga__attention_backward_scratch(size_t T, size_t D);

/* Quantise and pack w [N, K] for a scan: scale [N], and codes of
 * ga__packed_size(N, K, GA_INT4_GROUP) / 2 bytes.  False when a number is not
 * finite. */
bool ga__pack_int4(uint8_t *codes, float *scale, const float *w, size_t N,
                   size_t K);

/* The number that code k of row n stands for. */
float ga__int4_at(const uint8_t *codes, const float *scale, size_t K, size_t n,
                  size_t k);

/* Quantise and pack w [N, K], each row times `factor` [K] where there is one.
 * scale, sum: [N].  False when a weight is not finite. */
bool ga__pack_int8(int8_t *packed, float *scale, float *sum, const float *w,
                   const float *factor, size_t N, size_t K);

#endif
