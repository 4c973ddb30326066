/* kernels.c: choosing a table of kernels, and the packing they share. */
#include "tensor/kernels_internal.h"

static const ga_kernels *avx2(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return &ga__kernels_avx2;
#endif
    return NULL;
}

static const ga_kernels *avx512(void)
{
#if defined(__x86_64__)
    if (avx2() && __builtin_cpu_supports("avx512f") &&
        __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq"))
        return &ga__kernels_avx512;
#endif
    return NULL;
}

const ga_kernels *ga__kernels(void)
{
    const ga_kernels *k = avx512();
    if (!k)
        k = avx2();
    return k ? k : &ga__kernels_ref;
}

const ga_kernels *ga__kernels_named(const char *name)
{
    if (strcmp(name, "ref") == 0)
        return &ga__kernels_ref;
    if (strcmp(name, "avx2") == 0)
        return avx2();
    if (strcmp(name, "avx512") == 0)
        return avx512();
    return NULL;
}

void ga__pack_rows(const ga_kernels *k, float *packed, const float *w,
                   size_t ld, size_t N, size_t K)
{
    const size_t panel = k->panel;
    for (size_t n = 0; n < N; n += panel, packed += panel * K) {
        size_t rows = N - n < panel ? N - n : panel;
        if (rows < panel)
            memset(packed, 0, panel * K * sizeof(*packed));
        for (size_t i = 0; i < K; i++) {
            const float *column = w + n * ld + i;
            for (size_t r = 0; r < rows; r++)
                packed[i * panel + r] = column[r * ld];
        }
    }
}

void ga__pack_columns(const ga_kernels *k, float *packed, const float *w,
                      size_t ld, size_t N, size_t K)
{
    const size_t panel = k->panel;
    for (size_t n = 0; n < N; n += panel) {
        size_t columns = N - n < panel ? N - n : panel;
        for (size_t i = 0; i < K; i++, packed += panel) {
            memcpy(packed, w + i * ld + n, columns * sizeof(*packed));
            memset(packed + columns, 0, (panel - columns) * sizeof(*packed));
        }
    }
}
