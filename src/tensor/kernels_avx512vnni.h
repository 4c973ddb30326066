/* kernels_avx512vnni.h: dot products of four bytes, behind
 * kernels_avx512.h. */
#ifndef GA_TENSOR_KERNELS_AVX512VNNI_H
#define GA_TENSOR_KERNELS_AVX512VNNI_H

#define INT8_ROWS 14
#define INT8_ATTENTION /* without such dot products floats are as fast */

/* In assembly because GCC 12 copies the sums of the intrinsic from register to
 * register and then to the stack, which halves the speed. */
static inline ivec idot(ivec sum, ivec a, ivec w)
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(w));
    return sum;
}

/* For attention_int8_simd.h. */
#define iround _mm512_cvtps_epi32
#define ileft(x, n) _mm512_slli_epi32(x, n)
#define istore(p, x) _mm512_storeu_si512(p, x)
#define iright8(x) _mm512_srli_epi32(x, 8)
#define vtimes2i _mm512_scalef_ps /* p 2^n */

static inline void ibytes(uint8_t *p, ivec x)
{
    _mm_storeu_si128((__m128i *)(void *)p, _mm512_cvtepi32_epi8(x));
}

static inline ivec ibyte(ivec x)
{
    return _mm512_and_si512(x, _mm512_set1_epi32(0xFF));
}

#endif
