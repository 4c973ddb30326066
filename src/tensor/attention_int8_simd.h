/* attention_int8_simd.h: one head of a long text in 8 bits, in terms of the
 * vectors of kernels_simd.h, which includes it.
 *
 * Both of attention's products are those of gemm: queries with keys, then
 * weights with values.  Queries keep the range of each row, keys have a scale
 * for each token, values one for each column.  The weights e^(score - largest),
 * divided by their own sum in the end, have 16 bits in two bytes, a product
 * each: in steps of 1/255 many small ones, which together count, would be 0. */
#ifndef GA_TENSOR_ATTENTION_INT8_SIMD_H
#define GA_TENSOR_ATTENTION_INT8_SIMD_H

enum { WIDEST = 256 }; /* of a head's D; models have 32 or 64 */

typedef struct {
    uint8_t *q;             /* [T, wide] */
    int8_t *k, *v;          /* packed: [T, D] and [D, T] */
    uint8_t *upper, *lower; /* [INT8_ROWS, columns]: weights of some */
    float *q_scale, *q_low; /* [T] */
    float *k_scale, *k_sum; /* [T] */
    float *v_scale, *v_sum; /* [D] */
    float *scores;          /* [INT8_ROWS, columns] */
    float *w_scale, *w_low; /* [INT8_ROWS] */
    size_t wide, columns;
} ga_attention_bytes;

INLINE size_t up_to(size_t n, size_t to)
{
    return (n + to - 1) / to * to;
}

/* The parts of the scratch, each on a cache line. */
static ga_attention_bytes lay_out(const ga_attention *a)
{
    ga_attention_bytes b = {.wide = up_to(a->D, 64),
                            .columns = up_to(a->T, 64)};
    const size_t rows = b.columns, wide = b.wide;
    float *at = (float *)(((uintptr_t)a->scratch + 63) & ~(uintptr_t)63);
    b.q = (uint8_t *)at, at += rows * wide / 4;
    b.k = (int8_t *)at, at += rows * wide / 4;
    b.v = (int8_t *)at, at += rows * wide / 4;
    b.q_scale = at, at += rows;
    b.q_low = at, at += rows;
    b.k_scale = at, at += rows;
    b.k_sum = at, at += rows;
    b.v_scale = at, at += wide;
    b.v_sum = at, at += wide;
    b.scores = at, at += INT8_ROWS * rows;
    b.upper = (uint8_t *)at, at += INT8_ROWS * rows / 4;
    b.lower = (uint8_t *)at, at += INT8_ROWS * rows / 4;
    b.w_scale = at, at += INT8_ROWS;
    b.w_low = at;
    return b;
}

/* Keys [T, D] with a scale each, as weights [T, D]. */
static void pack_keys(const ga_attention *a, const ga_attention_bytes *b)
{
    const size_t D = a->D, groups = (D + GROUP - 1) / GROUP;
    for (size_t t = 0; t < a->T; t += GA_PANEL) {
        uint32_t *panel = (uint32_t *)(void *)b->k + t * groups;
        const size_t n = a->T - t < GA_PANEL ? a->T - t : GA_PANEL;
        uint8_t some[GA_PANEL][WIDEST];
        if (n < GA_PANEL)
            memset(panel, 0, groups * GA_PANEL * sizeof(*panel));
        for (size_t i = 0; i < n; i++) {
            const float *k = a->k + (t + i) * a->ld;
            vec most = vset(0.0f), total = vset(0.0f);
            for (size_t d = 0; d < D; d += VL) {
                vec x = load_upto(k + d, D - d);
                most = vmax(most, vmax(x, vsub(vset(0.0f), x)));
            }
            const float scale = vlargest(most) / 127.0f;
            const vec inverse = vset(scale > 1e-30f ? 1.0f / scale : 0);
            for (size_t d = 0; d < D; d += VL) {
                vec x = vround(vmul(load_upto(k + d, D - d), inverse));
                total = vadd(total, x);
                vbytes_n(&some[i][d], x, VL);
            }
            b->k_scale[t + i] = scale;
            b->k_sum[t + i] = scale * vsum(total);
        }
        transpose(panel, GA_PANEL, (const uint32_t *)(const void *)some,
                  sizeof(*some) / GROUP, n, groups);
    }
}

/* Values [T, D] with a scale for each column, as weights [D, T]. */
static void pack_values(const ga_attention *a, const ga_attention_bytes *b)
{
    const size_t D = a->D, groups = (a->T + GROUP - 1) / GROUP;
    for (size_t d = 0; d < D; d += VL) {
        uint8_t *to = (uint8_t *)b->v + d / GA_PANEL * groups * LINE +
                      d % GA_PANEL * GROUP;
        vec most = vset(0.0f);
        for (size_t t = 0; t < a->T; t++) {
            vec x = load_upto(a->v + t * a->ld + d, D - d);
            most = vmax(most, vmax(x, vsub(vset(0.0f), x)));
        }
        /* a column of zeros has a scale that is as good as any */
        const vec scale = vmax(vmul(most, vset(1.0f / 127.0f)), vset(1e-30f));
        const vec inverse = vdiv(vset(1.0f), scale);
        store_upto(b->v_scale + d, scale, up_to(D, VL) - d);
        store_upto(b->v_sum + d, vset(0.0f), up_to(D, VL) - d);
        for (size_t g = 0; g < groups; g++, to += LINE) {
            ivec four = izero();
            foreach (j, GROUP) {
                const size_t t = g * GROUP + j;
                if (t < a->T) {
                    vec x = load_upto(a->v + t * a->ld + d, D - d);
                    ivec byte = ibyte(iround(vmul(x, inverse)));
                    four = ior(four, ileft(byte, 8 * (unsigned)j));
                }
            }
            istore(to, four);
        }
    }
}

/* The scores of `rows` queries: as gemm's tiles, but D is so short that what is
 * done to the sums costs more than making them, so it is done in registers.
 * Scores behind the last key are anything. */
INLINE void score_bytes(const ga_attention_bytes *b, size_t i, size_t T,
                        size_t D, const size_t rows)
{
    const size_t groups = (D + GROUP - 1) / GROUP;
    const char *k = (const char *)b->k;
    const uint8_t *q = b->q + i * b->wide;
    for (size_t t = 0; t < T; t += STRIP) {
        ivec sum[INT8_ROWS][NV];
        foreach (r, rows)
            foreach (v, NV)
                sum[r][v] = izero();
        for (size_t g = 0; g < groups; g++, k += LINE) {
            ivec key[NV];
            foreach (v, NV)
                key[v] = iload(k + v * VL * GROUP);
            foreach (r, rows) {
                ivec x = ifour(q + r * b->wide + g * GROUP);
                foreach (v, NV)
                    sum[r][v] = idot(sum[r][v], x, key[v]);
            }
        }
        foreach (v, NV) {
            vec scale = vload(b->k_scale + t + v * VL);
            vec total = vload(b->k_sum + t + v * VL);
            foreach (r, rows) {
                vec x = vmul(ifloat(sum[r][v]), vset(b->q_scale[i + r]));
                x = vfma(x, scale, vmul(total, vset(b->q_low[i + r])));
                vstore(b->scores + r * b->columns + t + v * VL, x);
            }
        }
    }
}

/* 65535 2^x for x <= 0, off by 0.01 %, as a whole number. */
INLINE ivec iexp2_16bit(vec x)
{
    x = vmax(x, vset(-30.0f)); /* 0 */
    vec n = vround(x), f = vsub(x, n);
    vec p = vset(65535 * 5.5171670e-2f);
    p = vfma(p, f, vset(65535 * 2.4261113e-1f));
    p = vfma(p, f, vset(65535 * 6.9326099e-1f));
    p = vfma(p, f, vset(65535 * 9.9992807e-1f));
    return iround(vtimes2i(p, n));
}

/* A row of scores, on the scale of base 2, to weights: their upper bytes and
 * their lower ones.  Returns their sum. */
INLINE float soften_row(const float *x, uint8_t *upper, uint8_t *lower,
                        size_t T)
{
    const vec none = vset(-INFINITY);
    vec largest = none, sum = vset(0.0f);
    for (size_t t = 0; t < T; t += VL)
        largest = vmax(largest, load_or(x + t, T - t, none));
    const vec max = vset(vlargest(largest));
    for (size_t t = 0; t < T; t += VL) {
        ivec e = iexp2_16bit(vsub(load_or(x + t, T - t, none), max));
        sum = vadd(sum, ifloat(e));
        ibytes(upper + t, iright8(e));
        ibytes(lower + t, e);
    }
    return vsum(sum);
}

/* out = (or +=) the values of `rows` queries by one byte of their weights. */
static void mix_bytes(const ga_attention *a, const ga_attention_bytes *b,
                      size_t i, size_t rows, const uint8_t *w, bool more)
{
    float *out = a->out + i * a->ldo;
    const ga_gemm g = {
        .type = GA_INT8,
        .M = rows,
        .N = a->D,
        .K = a->T,
        .a = w,
        .lda = b->columns,
        .w = b->v,
        .out = {.residual = more ? out : NULL, .c = out, .ldc = a->ldo},
        .scale = b->w_scale,
        .low = b->w_low,
        .w_scale = b->v_scale,
        .w_sum = b->v_sum};
    gemm(&g);
}

static void attention_int8(const ga_attention *a)
{
    const float log2_e = 1.44269504f;
    const ga_attention_bytes b = lay_out(a);
    const size_t T = a->T, D = a->D;
    if (D > WIDEST) {
        attention(a);
        return;
    }
    pack_keys(a, &b);
    pack_values(a, &b);
    quantise(b.q, b.wide, b.q_scale, b.q_low, a->q, a->ld, NULL, T, D);
    for (size_t t = 0; t < T; t++) {
        b.q_scale[t] *= a->scale * log2_e;
        b.q_low[t] *= a->scale * log2_e;
    }
    for (size_t i = 0, rows; i < T; i += rows) {
        rows = next_rows(T, i, INT8_ROWS);
#define TILE_OF(n) score_bytes(&b, i, T, D, (n) <= INT8_ROWS ? (n) : INT8_ROWS)
        BY_ROWS(rows)
#undef TILE_OF
        for (size_t r = 0; r < rows; r++) {
            const size_t at = r * b.columns;
            float sum =
                soften_row(b.scores + at, b.upper + at, b.lower + at, T);
            b.w_scale[r] = 256.0f / sum;
            b.w_low[r] = 0;
        }
        mix_bytes(a, &b, i, rows, b.upper, false);
        for (size_t r = 0; r < rows; r++)
            b.w_scale[r] /= 256.0f;
        mix_bytes(a, &b, i, rows, b.lower, true);
    }
}

#endif
