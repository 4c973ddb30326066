/* kernels_avx2.c: eight floats at a time (AVX2 and FMA). */
#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#define VL 8
#define F32_ROWS 6  /* 12 sums, 2 of weights, 1 of activations: 15 of 16 */
#define BF16_ROWS 4 /* 8 sums, 4 of weights, 2 of activations: 14 of 16 */
#define INT8_ROWS 4 /* 8 sums, 4 of weights, 2 of activations, 1: 15 of 16 */
#define HEAD_ROWS 4 /* 8 sums */

typedef __m256 vec;
typedef __m256i ivec;

#define vset _mm256_set1_ps
#define vload _mm256_loadu_ps
#define vstore _mm256_storeu_ps
#define vadd _mm256_add_ps
#define vsub _mm256_sub_ps
#define vmul _mm256_mul_ps
#define vdiv _mm256_div_ps
#define vsqrt _mm256_sqrt_ps
#define vmin _mm256_min_ps
#define vmax _mm256_max_ps
#define vfma _mm256_fmadd_ps

static inline __m256i first(size_t n)
{
    __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), lane);
}

static inline vec vload_n(const float *p, size_t n, vec rest)
{
    __m256i mask = first(n);
    return _mm256_blendv_ps(rest, _mm256_maskload_ps(p, mask),
                            _mm256_castsi256_ps(mask));
}

static inline void vstore_n(float *p, vec x, size_t n)
{
    _mm256_maskstore_ps(p, first(n), x);
}

static inline vec vround(vec x)
{
    return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/* n is put into the exponent; vexp keeps it above -127. */
static inline vec vexp2i(vec n)
{
    __m256i e = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
    return _mm256_castsi256_ps(_mm256_slli_epi32(e, 23));
}

static inline float vsum(vec x)
{
    __m128 s =
        _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

static inline float vlargest(vec x)
{
    __m128 s =
        _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}

static inline float vsmallest(vec x)
{
    return -vlargest(_mm256_sub_ps(_mm256_setzero_ps(), x));
}

/* r[i][j] becomes r[j][i]: pairs of floats, pairs of pairs, then halves. */
static inline __attribute__((always_inline)) void vtranspose(vec r[VL])
{
    vec t[VL];
#pragma GCC unroll 8
    for (int i = 0; i < VL; i += 2) {
        t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
#pragma GCC unroll 8
    for (int i = 0; i < VL; i += 4) {
        r[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
        r[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xEE);
        r[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
        r[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xEE);
    }
#pragma GCC unroll 8
    for (int i = 0; i < 4; i++) {
        t[i] = _mm256_permute2f128_ps(r[i], r[i + 4], 0x20);
        t[i + 4] = _mm256_permute2f128_ps(r[i], r[i + 4], 0x31);
    }
#pragma GCC unroll 8
    for (int i = 0; i < VL; i++)
        r[i] = t[i];
}

#define opaque(x) __asm__ volatile("" : "+x"(x))
#define izero _mm256_setzero_si256
#define ifloat _mm256_cvtepi32_ps
#define ior _mm256_or_si256
#define as_vec _mm256_castsi256_ps
#define as_ivec _mm256_castps_si256

static inline ivec iload(const void *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}

static inline ivec ilow(ivec x)
{
    return _mm256_and_si256(x, _mm256_set1_epi8(0x0F));
}

static inline ivec ihigh(ivec x)
{
    return ilow(_mm256_srli_epi16(x, 4));
}

static inline ivec ifour(const void *p)
{
    int32_t four;
    memcpy(&four, p, sizeof(four));
    return _mm256_set1_epi32(four);
}

/* Even and odd bytes apart, as 16-bit numbers: their products in pairs cannot
 * overflow, which those of vpmaddubsw can. */
static inline ivec idot(ivec sum, ivec a, ivec w)
{
    const ivec low = _mm256_set1_epi16(0xFF);
    ivec even =
        _mm256_madd_epi16(_mm256_and_si256(a, low),
                          _mm256_srai_epi16(_mm256_slli_epi16(w, 8), 8));
    ivec odd =
        _mm256_madd_epi16(_mm256_srli_epi16(a, 8), _mm256_srai_epi16(w, 8));
    return _mm256_add_epi32(sum, _mm256_add_epi32(even, odd));
}

static inline void vbytes_n(uint8_t *p, vec x, size_t n)
{
    __m256i i = _mm256_cvtps_epi32(x);
    __m128i words = _mm_packus_epi32(_mm256_castsi256_si128(i),
                                     _mm256_extracti128_si256(i, 1));
    uint8_t bytes[16];
    _mm_storeu_si128((__m128i *)(void *)bytes, _mm_packus_epi16(words, words));
    memcpy(p, bytes, n);
}

static inline ivec iupper(ivec x)
{
    return _mm256_and_si256(x, _mm256_set1_epi32((int)0xFFFF0000));
}

static inline ivec iright16(ivec x)
{
    return _mm256_srli_epi32(x, 16);
}

static inline ivec bf16_bits(vec x)
{
    ivec u = as_ivec(x);
    ivec even = _mm256_and_si256(iright16(u), _mm256_set1_epi32(1));
    u = _mm256_add_epi32(u, _mm256_set1_epi32(0x7FFF));
    return _mm256_add_epi32(u, even);
}

static inline void vbf16_n(uint16_t *p, vec x, size_t n)
{
    ivec u = iright16(bf16_bits(x));
    __m128i words = _mm_packus_epi32(_mm256_castsi256_si128(u),
                                     _mm256_extracti128_si256(u, 1));
    uint16_t all[8];
    _mm_storeu_si128((__m128i *)(void *)all, words);
    memcpy(p, all, n * sizeof(*all));
}

static inline vec bdot(vec sum, ivec a, ivec w)
{
    sum = vfma(as_vec(iupper(a)), as_vec(iupper(w)), sum);
    return vfma(as_vec(_mm256_slli_epi32(a, 16)),
                as_vec(_mm256_slli_epi32(w, 16)), sum);
}

#define GA_KERNELS ga__kernels_avx2
#define GA_KERNELS_NAME "avx2"
#include "tensor/kernels_simd.h"
