/* sha256.c: SHA-256 as FIPS 180-4 states it.  Packs are verified when they are
 * opened, so the SHA extensions of the CPU are used where there are any. */
#include "base/sha256.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* fractional parts of the cube roots of the first 64 primes */
static const uint32_t K[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1,
    0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
    0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
    0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
    0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
    0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
    0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
    0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
    0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t rotr(uint32_t x, unsigned n)
{
    return x >> n | x << (32 - n);
}

static void compress_plain(uint32_t state[8], const uint8_t *p, size_t blocks)
{
    while (blocks-- > 0) {
        uint32_t w[64], s[8];
        for (int i = 0; i < 16; i++, p += 4)
            w[i] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
                   (uint32_t)p[2] << 8 | p[3];
        for (int i = 16; i < 64; i++) {
            uint32_t a = w[i - 15], b = w[i - 2];
            w[i] = w[i - 16] + w[i - 7] + (rotr(a, 7) ^ rotr(a, 18) ^ a >> 3) +
                   (rotr(b, 17) ^ rotr(b, 19) ^ b >> 10);
        }
        memcpy(s, state, sizeof(s));
        for (int i = 0; i < 64; i++) {
            uint32_t e = s[4], a = s[0];
            uint32_t t1 = s[7] + (rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25)) +
                          ((e & s[5]) ^ (~e & s[6])) + K[i] + w[i];
            uint32_t t2 = (rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22)) +
                          ((a & s[1]) ^ (a & s[2]) ^ (s[1] & s[2]));
            memmove(s + 1, s, 7 * sizeof(*s));
            s[4] += t1;
            s[0] = t1 + t2;
        }
        for (int i = 0; i < 8; i++)
            state[i] += s[i];
    }
}

#if defined(__x86_64__)
/* Four rounds at a time: sha256rnds2 does two, and msg1/msg2 extend the
 * schedule.  The instruction wants the state as ABEF and CDGH. */
__attribute__((target("sha,sse4.1"))) static void
compress_sha_ni(uint32_t state[8], const uint8_t *p, size_t blocks)
{
    const __m128i swap =
        _mm_set_epi64x(0x0c0d0e0f08090a0bLL, 0x0405060700010203LL);
    __m128i lo = _mm_loadu_si128((const __m128i *)(const void *)state);
    __m128i hi = _mm_loadu_si128((const __m128i *)(const void *)(state + 4));
    lo = _mm_shuffle_epi32(lo, 0xB1); /* CDAB */
    hi = _mm_shuffle_epi32(hi, 0x1B); /* EFGH */
    __m128i abef = _mm_alignr_epi8(lo, hi, 8);
    __m128i cdgh = _mm_blend_epi16(hi, lo, 0xF0);
    for (; blocks-- > 0; p += 64) {
        __m128i w[4], abef0 = abef, cdgh0 = cdgh;
        for (int i = 0; i < 4; i++)
            w[i] = _mm_shuffle_epi8(
                _mm_loadu_si128((const __m128i *)(const void *)(p + 16 * i)),
                swap);
        for (int i = 0; i < 16; i++) {
            __m128i m = w[i & 3];
            __m128i k = _mm_loadu_si128(
                (const __m128i *)(const void *)(K + 4 * (size_t)i));
            __m128i mk = _mm_add_epi32(m, k);
            cdgh = _mm_sha256rnds2_epu32(cdgh, abef, mk);
            mk = _mm_shuffle_epi32(mk, 0x0E);
            abef = _mm_sha256rnds2_epu32(abef, cdgh, mk);
            if (i < 12) { /* w[i+4] from w[i], w[i+1], w[i+2], w[i+3] */
                __m128i t = _mm_sha256msg1_epu32(m, w[(i + 1) & 3]);
                t = _mm_add_epi32(
                    t, _mm_alignr_epi8(w[(i + 3) & 3], w[(i + 2) & 3], 4));
                w[i & 3] = _mm_sha256msg2_epu32(t, w[(i + 3) & 3]);
            }
        }
        abef = _mm_add_epi32(abef, abef0);
        cdgh = _mm_add_epi32(cdgh, cdgh0);
    }
    lo = _mm_shuffle_epi32(abef, 0x1B); /* FEBA */
    hi = _mm_shuffle_epi32(cdgh, 0xB1); /* DCHG */
    _mm_storeu_si128((__m128i *)(void *)state, _mm_blend_epi16(lo, hi, 0xF0));
    _mm_storeu_si128((__m128i *)(void *)(state + 4),
                     _mm_alignr_epi8(hi, lo, 8));
}

static bool have_sha_ni(void)
{
    /* CPUID leaf 7, EBX bit 29; __builtin_cpu_supports of older compilers does
     * not know the name */
    uint32_t a = 7, b = 0, c = 0, d = 0;
    if (__builtin_cpu_supports("sse4.1") && __builtin_cpu_supports("ssse3"))
        __asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    return (b >> 29 & 1u) != 0;
}
#endif

static void compress(uint32_t state[8], const uint8_t *p, size_t blocks)
{
#if defined(__x86_64__)
    if (have_sha_ni()) {
        compress_sha_ni(state, p, blocks);
        return;
    }
#endif
    compress_plain(state, p, blocks);
}

void ga__sha256_init(ga_sha256 *h)
{
    /* fractional parts of the square roots of the first 8 primes */
    static const uint32_t start[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372,
                                      0xa54ff53a, 0x510e527f, 0x9b05688c,
                                      0x1f83d9ab, 0x5be0cd19};
    memcpy(h->state, start, sizeof(start));
    h->bytes = 0;
}

void ga__sha256_update(ga_sha256 *h, const void *bytes, size_t len)
{
    const uint8_t *p = bytes;
    size_t fill = h->bytes % 64;
    if (len == 0) /* bytes may be NULL, which memcpy must not see */
        return;
    h->bytes += len;
    if (fill) {
        size_t n = 64 - fill < len ? 64 - fill : len;
        memcpy(h->block + fill, p, n);
        p += n;
        len -= n;
        if (fill + n < 64)
            return;
        compress(h->state, h->block, 1);
    }
    if (len >= 64)
        compress(h->state, p, len / 64);
    if (len % 64)
        memcpy(h->block, p + len / 64 * 64, len % 64);
}

void ga__sha256_final(ga_sha256 *h, uint8_t digest[32])
{
    uint64_t bits = h->bytes * 8;
    uint8_t tail[72] = {0x80};
    size_t fill = h->bytes % 64;
    size_t pad = (fill < 56 ? 56 : 120) - fill;
    for (int i = 0; i < 8; i++)
        tail[pad + (size_t)i] = (uint8_t)(bits >> (56 - 8 * i));
    ga__sha256_update(h, tail, pad + 8);
    for (size_t i = 0; i < 32; i++)
        digest[i] = (uint8_t)(h->state[i / 4] >> (24 - 8 * (i % 4)));
}

void ga__sha256_of(const void *bytes, size_t len, uint8_t digest[32])
{
    ga_sha256 h;
    ga__sha256_init(&h);
    ga__sha256_update(&h, bytes, len);
    ga__sha256_final(&h, digest);
}

void ga__hex(const uint8_t *digest, size_t n, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[digest[i] >> 4];
        out[2 * i + 1] = digits[digest[i] & 15];
    }
    out[2 * n] = '\0';
}
