/* kernels_ref.c: every kernel written down plainly.
 *
 * The oracle of the others in tests, and what runs where no other does; the
 * loops over the columns of a panel are ones that any compiler vectorises. */
#include <math.h>

#include "tensor/kernels_internal.h"

enum { PANEL = 8 };

static float gelu(float x)
{
    return 0.5f * x * (1.0f + erff(x * 0.707106781f));
}

static float epilogue(const ga_gemm *g, size_t i, size_t j, float x)
{
    if (g->bias)
        x += g->bias[j];
    if (g->gelu)
        x = gelu(x);
    if (g->residual)
        x += g->residual[i * g->ldc + j];
    return x;
}

static void gemm(const ga_gemm *g)
{
    for (size_t j = 0; j < g->N; j += PANEL) {
        const float *panel = g->w + j * g->K; /* [K, PANEL] */
        size_t columns = g->N - j < PANEL ? g->N - j : PANEL;
        for (size_t i = 0; i < g->M; i++) {
            const float *a = g->a + i * g->lda;
            float sum[PANEL] = {0};
            for (size_t k = 0; k < g->K; k++)
                for (size_t p = 0; p < PANEL; p++)
                    sum[p] += a[k] * panel[k * PANEL + p];
            for (size_t p = 0; p < columns; p++)
                g->c[i * g->ldc + j + p] = epilogue(g, i, j + p, sum[p]);
        }
    }
}

static void layer_norm(float *x, const float *gamma, const float *beta,
                       float eps, size_t rows, size_t H)
{
    for (size_t r = 0; r < rows; r++, x += H) {
        float sum = 0, squares = 0;
        for (size_t i = 0; i < H; i++)
            sum += x[i];
        float mean = sum / (float)H;
        for (size_t i = 0; i < H; i++)
            squares += (x[i] - mean) * (x[i] - mean);
        float scale = 1.0f / sqrtf(squares / (float)H + eps);
        for (size_t i = 0; i < H; i++)
            x[i] = (x[i] - mean) * scale * gamma[i] + beta[i];
    }
}

static void softmax(float *x, size_t ld, float scale, size_t rows, size_t n)
{
    for (size_t r = 0; r < rows; r++, x += ld) {
        float max = scale * x[0], sum = 0;
        for (size_t i = 0; i < n; i++) {
            x[i] *= scale;
            max = x[i] > max ? x[i] : max;
        }
        for (size_t i = 0; i < n; i++) {
            x[i] = expf(x[i] - max);
            sum += x[i];
        }
        for (size_t i = 0; i < n; i++)
            x[i] /= sum;
    }
}

static float dot(const float *a, const float *b, size_t n)
{
    float sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

static void dot_rows(float *out, const float *rows, size_t count,
                     const float *x, size_t n)
{
    for (size_t r = 0; r < count; r++)
        out[r] = dot(rows + r * n, x, n);
}

static void axpy(float *y, float a, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] += a * x[i];
}

const ga_kernels ga__kernels_ref = {
    .name = "ref",
    .panel = PANEL,
    .gemm = gemm,
    .layer_norm = layer_norm,
    .softmax = softmax,
    .dot = dot,
    .dot_rows = dot_rows,
    .axpy = axpy,
};
