/* emulate_bf16.h: run vdpbf16ps where the CPU does not know it.
 *
 * The kernels for AVX-512 BF16 are to be tested on machines without it too.
 * There the instruction is illegal, the kernel sends SIGILL, and the handler
 * does its work in the registers that the signal frame holds: slow, and the
 * machine code under test is the real one.  Register operands only, 512 bits,
 * no mask: the form that the kernels use.
 *
 * Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume
 * 1, chapter 13 (XSAVE), volume 2, 2.7 (EVEX) and VDPBF16PS. */
#ifndef GA_TESTS_EMULATE_BF16_H
#define GA_TESTS_EMULATE_BF16_H

#if defined(__x86_64__) && defined(__linux__)

#include <cpuid.h>
#include <math.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

/* Where the parts of the vector registers lie in an XSAVE area. */
enum { LEGACY_XMM = 160, HEADER = 512 };
enum { RIP = 16 }; /* of gregs; only _GNU_SOURCE names it */
enum { XMM = 1, YMM_HIGH = 2, ZMM_HIGH = 6, ZMM_16 = 7 };

typedef struct {
    unsigned component;
    unsigned first; /* register */
    size_t bytes;   /* of each */
} emulate_part;

static uint8_t *emulate_place(uint8_t *area, unsigned component)
{
    uint32_t a, b, c, d;
    __cpuid_count(0xD, component, a, b, c, d);
    return area + (component == XMM ? LEGACY_XMM : b);
}

/* Copy register n out of the area, or into it.  A part that is zero in all
 * registers is not stored, which a bit of the header says. */
static void emulate_zmm(uint8_t *area, unsigned n, void *zmm, bool write)
{
    static const emulate_part low[] = {
        {XMM, 0, 16}, {YMM_HIGH, 0, 16}, {ZMM_HIGH, 0, 32}};
    static const emulate_part high[] = {{ZMM_16, 16, 64}};
    const emulate_part *part = n < 16 ? low : high;
    uint8_t *out = zmm;
    uint64_t stored;
    memcpy(&stored, area + HEADER, sizeof(stored));
    for (size_t done = 0; done < 64; done += part->bytes, part++) {
        uint64_t bit = UINT64_C(1) << part->component;
        uint8_t *place = emulate_place(area, part->component);
        uint8_t *at = place + (n - part->first) * part->bytes;
        if (!(stored & bit))
            memset(place, 0, 16 * part->bytes);
        if (write) {
            memcpy(at, out + done, part->bytes);
            stored |= bit;
        } else {
            memcpy(out + done, at, part->bytes);
        }
    }
    memcpy(area + HEADER, &stored, sizeof(stored));
}

static float emulate_half(uint32_t pair, unsigned shift)
{
    uint32_t bits = pair >> shift << 16;
    float x;
    memcpy(&x, &bits, sizeof(x));
    return fpclassify(x) == FP_SUBNORMAL ? 0 : x;
}

static void emulate_illegal(int signal_number, siginfo_t *info, void *context)
{
    ucontext_t *u = context;
    uint8_t *area = (uint8_t *)u->uc_mcontext.fpregs;
    const uint8_t *code = (const uint8_t *)u->uc_mcontext.gregs[RIP];
    uint32_t a[16], w[16];
    float sum[16];
    (void)info;
    if (code[0] != 0x62 || (code[1] & 0x0F) != 2 || (code[2] & 0x87) != 0x06 ||
        code[3] >> 5 != 2 || (code[3] & 7) != 0 || code[4] != 0x52 ||
        code[5] >> 6 != 3) { /* another instruction: it is illegal indeed */
        signal(signal_number, SIG_DFL);
        return;
    }
    unsigned p0 = code[1] ^ 0xF0u, p1 = code[2] ^ 0x78u, p2 = code[3] ^ 0x08u;
    unsigned to = (code[5] >> 3 & 7) | (p0 >> 7 & 1) << 3 | (p0 >> 4 & 1) << 4;
    unsigned second = (code[5] & 7) | (p0 >> 5 & 1) << 3 | (p0 >> 6 & 1) << 4;
    unsigned first = (p1 >> 3 & 15) | (p2 >> 3 & 1) << 4;
    emulate_zmm(area, to, sum, false);
    emulate_zmm(area, first, a, false);
    emulate_zmm(area, second, w, false);
    for (int i = 0; i < 16; i++) {
        sum[i] = fmaf(emulate_half(a[i], 16), emulate_half(w[i], 16), sum[i]);
        sum[i] = fmaf(emulate_half(a[i] << 16, 16),
                      emulate_half(w[i] << 16, 16), sum[i]);
    }
    emulate_zmm(area, to, sum, true);
    u->uc_mcontext.gregs[RIP] += 6;
}

/* From now on; false where the CPU lacks the rest of AVX-512, too. */
static bool emulate_bf16(void)
{
    struct sigaction action = {.sa_sigaction = emulate_illegal,
                               .sa_flags = SA_SIGINFO};
    return __builtin_cpu_supports("avx512vnni") &&
           sigaction(SIGILL, &action, NULL) == 0;
}

#else

static bool emulate_bf16(void)
{
    return false;
}

#endif

#endif
