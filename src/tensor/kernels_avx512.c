/* kernels_avx512.c: AVX-512 without dot products of bytes. */
#include "tensor/kernels_avx512.h"

#define INT8_ROWS                                                              \
    12 /* 24 sums, 4 of weights, 2 of activations, 1: 31 of 32                 \
        */

/* Even and odd bytes apart, as 16-bit numbers: their products in pairs cannot
 * overflow, which those of vpmaddubsw can. */
static inline ivec idot(ivec sum, ivec a, ivec w)
{
    const ivec low = _mm512_set1_epi16(0xFF);
    ivec even =
        _mm512_madd_epi16(_mm512_and_si512(a, low),
                          _mm512_srai_epi16(_mm512_slli_epi16(w, 8), 8));
    ivec odd =
        _mm512_madd_epi16(_mm512_srli_epi16(a, 8), _mm512_srai_epi16(w, 8));
    return _mm512_add_epi32(sum, _mm512_add_epi32(even, odd));
}

#define GA_KERNELS ga__kernels_avx512
#define GA_KERNELS_NAME "avx512"
#include "tensor/kernels_simd.h"
