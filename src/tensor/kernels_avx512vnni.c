/* kernels_avx512vnni.c: AVX-512 with dot products of four bytes (VNNI). */
#include "tensor/kernels_avx512.h"

#define INT8_ROWS 14

/* In assembly because GCC 12 copies the sums of the intrinsic from register to
 * register and then to the stack, which halves the speed. */
static inline ivec idot(ivec sum, ivec a, ivec w)
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(w));
    return sum;
}

#define GA_KERNELS ga__kernels_avx512vnni
#define GA_KERNELS_NAME "avx512vnni"
#include "tensor/kernels_simd.h"
