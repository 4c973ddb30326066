/* kernels_avx512.h: sixteen floats at a time, for kernels_simd.h (AVX-512 F,
 * BW, VL, DQ). */
#ifndef GA_TENSOR_KERNELS_AVX512_H
#define GA_TENSOR_KERNELS_AVX512_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#define VL 16
#define F32_ROWS 14 /* 28 sums, 2 of weights, 1 of activations: 31 of 32 */
#define HEAD_ROWS 8 /* 16 sums */

typedef __m512 vec;
typedef __m512i ivec;

#define vset _mm512_set1_ps
#define vload _mm512_loadu_ps
#define vstore _mm512_storeu_ps
#define vadd _mm512_add_ps
#define vsub _mm512_sub_ps
#define vmul _mm512_mul_ps
#define vdiv _mm512_div_ps
#define vsqrt _mm512_sqrt_ps
#define vmin _mm512_min_ps
#define vmax _mm512_max_ps
#define vfma _mm512_fmadd_ps
#define vsum _mm512_reduce_add_ps
#define vlargest _mm512_reduce_max_ps
#define vsmallest _mm512_reduce_min_ps
#define opaque(x) __asm__ volatile("" : "+v"(x))
#define izero _mm512_setzero_si512
#define iload _mm512_loadu_si512
#define ifloat _mm512_cvtepi32_ps
#define ior _mm512_or_si512
#define as_vec _mm512_castsi512_ps
#define as_ivec _mm512_castps_si512

static inline __mmask16 first(size_t n)
{
    return (__mmask16)((1u << n) - 1);
}

static inline vec vload_n(const float *p, size_t n, vec rest)
{
    return _mm512_mask_loadu_ps(rest, first(n), p);
}

static inline void vstore_n(float *p, vec x, size_t n)
{
    _mm512_mask_storeu_ps(p, first(n), x);
}

static inline vec vround(vec x)
{
    return _mm512_roundscale_ps(x,
                                _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

static inline vec vexp2i(vec n)
{
    return _mm512_scalef_ps(vset(1.0f), n);
}

/* r[i][j] becomes r[j][i]: pairs of floats, pairs of doubles, then quarters of
 * a vector twice. */
static inline __attribute__((always_inline)) void vtranspose(vec r[VL])
{
    vec t[VL];
#pragma GCC unroll 16
    for (int i = 0; i < VL; i += 2) {
        t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
    }
#pragma GCC unroll 16
    for (int i = 0; i < VL; i += 4) {
        __m512d a = _mm512_castps_pd(t[i]), b = _mm512_castps_pd(t[i + 1]);
        __m512d c = _mm512_castps_pd(t[i + 2]), d = _mm512_castps_pd(t[i + 3]);
        r[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, c));
        r[i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, c));
        r[i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(b, d));
        r[i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(b, d));
    }
#pragma GCC unroll 16
    for (int i = 0; i < 4; i++) {
        t[i] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0xDD);
        t[i + 8] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0x88);
        t[i + 12] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0xDD);
    }
#pragma GCC unroll 16
    for (int i = 0; i < 8; i++) {
        r[i] = _mm512_shuffle_f32x4(t[i], t[i + 8], 0x88);
        r[i + 8] = _mm512_shuffle_f32x4(t[i], t[i + 8], 0xDD);
    }
}

static inline ivec ilow(ivec x)
{
    return _mm512_and_si512(x, _mm512_set1_epi8(0x0F));
}

static inline ivec ihigh(ivec x)
{
    return ilow(_mm512_srli_epi16(x, 4));
}

static inline ivec ifour(const void *p)
{
    int32_t four;
    memcpy(&four, p, sizeof(four));
    return _mm512_set1_epi32(four);
}

static inline void vbytes_n(uint8_t *p, vec x, size_t n)
{
    _mm_mask_storeu_epi8(p, (__mmask16)((1u << n) - 1),
                         _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(x)));
}

static inline ivec iupper(ivec x)
{
    return _mm512_and_si512(x, _mm512_set1_epi32((int)0xFFFF0000));
}

static inline ivec iright16(ivec x)
{
    return _mm512_srli_epi32(x, 16);
}

static inline ivec bf16_bits(vec x)
{
    ivec u = as_ivec(x);
    ivec even = _mm512_and_si512(iright16(u), _mm512_set1_epi32(1));
    u = _mm512_add_epi32(u, _mm512_set1_epi32(0x7FFF));
    return _mm512_add_epi32(u, even);
}

static inline void vbf16_n(uint16_t *p, vec x, size_t n)
{
    _mm256_mask_storeu_epi16(p, (__mmask16)((1u << n) - 1),
                             _mm512_cvtepi32_epi16(iright16(bf16_bits(x))));
}

#ifndef BF16_ROWS
#define BF16_ROWS 12 /* 24 sums, 4 of weights, 2 of activations */

static inline vec bdot(vec sum, ivec a, ivec w)
{
    sum = vfma(as_vec(iupper(a)), as_vec(iupper(w)), sum);
    return vfma(as_vec(_mm512_slli_epi32(a, 16)),
                as_vec(_mm512_slli_epi32(w, 16)), sum);
}
#endif

#endif
