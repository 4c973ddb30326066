/* kernels_avx512bf16.c: AVX-512 with dot products of two bfloat16 and of four
 * bytes (BF16 and VNNI). */
#define BF16_ROWS 14

#include "tensor/kernels_avx512.h"
#include "tensor/kernels_avx512vnni.h"

static inline vec bdot(vec sum, ivec a, ivec w)
{
    __asm__("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(a), "v"(w));
    return sum;
}

#define GA_KERNELS ga__kernels_avx512bf16
#define GA_KERNELS_NAME "avx512bf16"
#include "tensor/kernels_simd.h"
