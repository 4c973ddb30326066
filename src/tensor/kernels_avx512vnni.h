/* kernels_avx512vnni.h: dot products of four bytes, behind
 * kernels_avx512.h. */
#ifndef GA_TENSOR_KERNELS_AVX512VNNI_H
#define GA_TENSOR_KERNELS_AVX512VNNI_H

#define INT8_ROWS 14

/* In assembly because GCC 12 copies the sums of the intrinsic from register to
 * register and then to the stack, which halves the speed. */
static inline ivec idot(ivec sum, ivec a, ivec w)
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(w));
    return sum;
}

#endif
