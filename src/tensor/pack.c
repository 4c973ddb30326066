/* pack.c: weights in the order that the kernels read them. */
#include <math.h>

#include "tensor/kernels.h"

void ga__pack_f32(float *packed, const float *w, size_t N, size_t K)
{
    for (size_t n = 0; n < N; n += GA_PANEL, packed += GA_PANEL * K) {
        size_t rows = N - n < GA_PANEL ? N - n : GA_PANEL;
        if (rows < GA_PANEL)
            memset(packed, 0, GA_PANEL * K * sizeof(*packed));
        for (size_t r = 0; r < rows; r++) {
            const float *row = w + (n + r) * K;
            for (size_t k = 0; k < K; k++)
                packed[k * GA_PANEL + r] = row[k];
        }
    }
}

void ga__pack_bf16(uint16_t *packed, const float *w, size_t N, size_t K)
{
    const size_t groups = (K + 1) / 2;
    memset(packed, 0,
           (N + GA_PANEL - 1) / GA_PANEL * GA_PANEL * groups * 2 *
               sizeof(*packed));
    for (size_t n = 0; n < N; n++) {
        uint16_t *row =
            packed + n / GA_PANEL * GA_PANEL * groups * 2 + n % GA_PANEL * 2;
        for (size_t k = 0; k < K; k++)
            row[k / 2 * GA_PANEL * 2 + k % 2] = ga__bf16(w[n * K + k]);
    }
}

/* One row to q = round(w / scale), at most `most`, with the scale that loses
 * least: cutting off the largest weights a little makes all the others finer.
 * Of fewer bits more is cut off. */
static float best_scale(const float *w, const float *factor, size_t K,
                        float most)
{
    enum { STEPS = 20 };
    const float step_size = most > 8 ? 0.01F : 0.03F;
    float largest = 0, best = 0, least = INFINITY;
    for (size_t k = 0; k < K; k++)
        largest = fmaxf(largest, fabsf(factor ? w[k] * factor[k] : w[k]));
    for (int step = 0; step < STEPS; step++) {
        float scale = largest * (1.0F - step_size * (float)step) / most;
        float inverse = scale > 0 ? 1.0F / scale : 0, error = 0;
        for (size_t k = 0; k < K; k++) {
            float x = factor ? w[k] * factor[k] : w[k];
            float q = rintf(x * inverse);
            q = q > most ? most : q < -most ? -most : q;
            error += (x - q * scale) * (x - q * scale);
        }
        if (error < least) {
            least = error;
            best = scale;
        }
    }
    return best;
}

bool ga__pack_int8(int8_t *packed, float *scale, float *sum, const float *w,
                   const float *factor, size_t N, size_t K)
{
    const size_t G = ga__number_group(GA_INT8), groups = (K + G - 1) / G;
    memset(packed, 0, (N + GA_PANEL - 1) / GA_PANEL * GA_PANEL * groups * G);
    for (size_t n = 0; n < N; n++) {
        const float *row = w + n * K;
        int8_t *panel = packed + n / GA_PANEL * GA_PANEL * groups * G;
        int32_t total = 0;
        for (size_t k = 0; k < K; k++) {
            if (!isfinite(factor ? row[k] * factor[k] : row[k]))
                return false;
        }
        scale[n] = best_scale(row, factor, K, 127);
        float inverse = scale[n] > 0 ? 1.0F / scale[n] : 0;
        for (size_t k = 0; k < K; k++) {
            float q = rintf((factor ? row[k] * factor[k] : row[k]) * inverse);
            int value = (int)(q > 127 ? 127 : q < -127 ? -127 : q);
            panel[(k / G * GA_PANEL + n % GA_PANEL) * G + k % G] =
                (int8_t)value;
            total += value;
        }
        sum[n] = scale[n] * (float)total;
    }
    return true;
}

/* Where the byte of row n is that holds number k. */
static size_t int4_byte(size_t K, size_t n, size_t k)
{
    const size_t G = GA_INT4_GROUP, groups = (K + G - 1) / G;
    return n / GA_PANEL * GA_PANEL * groups * 4 +
           (k / G * GA_PANEL + n % GA_PANEL) * 4 + k % 4;
}

bool ga__pack_int4(uint8_t *codes, float *scale, const float *w, size_t N,
                   size_t K)
{
    const size_t G = GA_INT4_GROUP, groups = (K + G - 1) / G;
    memset(codes, 0x88, (N + GA_PANEL - 1) / GA_PANEL * GA_PANEL * groups * 4);
    for (size_t n = 0; n < N; n++) {
        const float *row = w + n * K;
        for (size_t k = 0; k < K; k++) {
            if (!isfinite(row[k]))
                return false;
        }
        scale[n] = best_scale(row, NULL, K, 7);
        float inverse = scale[n] > 0 ? 1.0F / scale[n] : 0;
        for (size_t k = 0; k < K; k++) {
            float q = rintf(row[k] * inverse);
            unsigned code = (unsigned)(8 + (int)(q > 7 ? 7 : q < -7 ? -7 : q));
            uint8_t *byte = &codes[int4_byte(K, n, k)];
            unsigned both = k % G < 4 ? (*byte & 0xF0u) | code
                                      : (*byte & 0x0Fu) | code << 4;
            *byte = (uint8_t)both;
        }
    }
    return true;
}

float ga__int4_at(const uint8_t *codes, const float *scale, size_t K, size_t n,
                  size_t k)
{
    uint8_t byte = codes[int4_byte(K, n, k)];
    int code = k % GA_INT4_GROUP < 4 ? byte & 0x0F : byte >> 4;
    return scale[n] * (float)(code - 8);
}
