/* kernels.c: choosing a table of kernels. */
#include "tensor/kernels_internal.h"

const char *const ga__kernels_names[] = {"ref",        "avx2",       "avx512",
                                         "avx512vnni", "avx512bf16", NULL};

static size_t rounded_up(size_t n, size_t to)
{
    return (n + to - 1) / to * to;
}

/* Attention keeps the keys of a head transposed and the scores of a few
 * queries, both filled up to whole vectors; in 8 bits the queries with a scale
 * and a low each, keys and values packed with a scale and a sum, and a few
 * queries' scores and weights, all at whole cache lines. */
size_t ga__attention_scratch(size_t T, size_t D)
{
    const size_t rows = rounded_up(T, 64), wide = rounded_up(D, 64);
    size_t f32 = rounded_up(T, GA_ATTENTION_ALIGN) * (D + GA_ATTENTION_ROWS);
    size_t int8 = rows * wide / 4 * 3 + 4 * rows + 3 * wide +
                  GA_ATTENTION_INT8_ROWS * (rows + rows / 2 + 2) + 256;
    return f32 > int8 || T < GA_ATTENTION_INT8 ? f32 : int8;
}

/* Backwards the values are what is transposed, and the gradients of all scores
 * are kept. */
size_t ga__attention_backward_scratch(size_t T, size_t D)
{
    size_t columns =
        (T + GA_ATTENTION_ALIGN - 1) / GA_ATTENTION_ALIGN * GA_ATTENTION_ALIGN;
    return columns * (D + T);
}

#if defined(__x86_64__)

#include <cpuid.h>

static bool supports(const char *name)
{
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (strcmp(name, "avx2") == 0)
        return avx2;
    bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                  __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512vl") &&
                  __builtin_cpu_supports("avx512dq");
    if (strcmp(name, "avx512") == 0)
        return avx512;
    bool vnni = avx512 && __builtin_cpu_supports("avx512vnni");
    if (strcmp(name, "avx512vnni") == 0)
        return vnni;
    return vnni && __builtin_cpu_supports("avx512bf16");
}

/* Intel's cores that have AMX do vdpbf16ps in two cycles, as long as four of
 * the f32 products that it stands for (measured: 87 and 152 Gop/s). */
static bool bf16_is_slow(void)
{
    unsigned a, b, c, d = 0;
    return __builtin_cpu_is("intel") &&
           __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d >> 22 & 1) != 0;
}

static const ga_kernels *const tables[] = {
    &ga__kernels_avx512bf16, &ga__kernels_avx512vnni, &ga__kernels_avx512,
    &ga__kernels_avx2};

const ga_kernels *ga__kernels(void)
{
    for (size_t i = 0; i < sizeof(tables) / sizeof(*tables); i++) {
        if (tables[i] == &ga__kernels_avx512bf16 && bf16_is_slow())
            continue;
        if (supports(tables[i]->name))
            return tables[i];
    }
    return &ga__kernels_ref;
}

const ga_kernels *ga__kernels_named(const char *name)
{
    for (size_t i = 0; i < sizeof(tables) / sizeof(*tables); i++) {
        if (strcmp(name, tables[i]->name) == 0)
            return supports(name) ? tables[i] : NULL;
    }
    return strcmp(name, "ref") == 0 ? &ga__kernels_ref : NULL;
}

#else

const ga_kernels *ga__kernels(void)
{
    return &ga__kernels_ref;
}

const ga_kernels *ga__kernels_named(const char *name)
{
    return strcmp(name, "ref") == 0 ? &ga__kernels_ref : NULL;
}

#endif
