/* backward_simd.h: what only training needs, in terms of the vectors of
 * kernels_simd.h, which includes it. */
#ifndef GA_TENSOR_BACKWARD_SIMD_H
#define GA_TENSOR_BACKWARD_SIMD_H

static void gelu(float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i += VL)
        store_upto(y + i, vgelu(load_upto(x + i, n - i)), n - i);
}

/* With Phi and phi of the normal distribution GELU is x Phi(x), its derivative
 * Phi(x) + x phi(x). */
static void gelu_backward(float *dx, const float *x, const float *dy, size_t n)
{
    for (size_t i = 0; i < n; i += VL) {
        vec z = load_upto(x + i, n - i);
        vec phi = vexp(vmul(vmul(z, z), vset(-0.5f)));
        vec slope = vfma(vmul(z, vset(0.398942280f)), phi, vnormal(z));
        store_upto(dx + i, vmul(load_upto(dy + i, n - i), slope), n - i);
    }
}

/* With y = gamma z + beta, z = (x - mean) / deviation and g = gamma dy
 *     dx = (g - mean(g) - z mean(g z)) / deviation */
static void layer_norm_backward(float *dx, float *x, const float *dy,
                                const float *gamma, float eps, size_t rows,
                                size_t H)
{
    for (size_t r = 0; r < rows; r++, x += H, dx += H, dy += H) {
        vec sum = vset(0.0f), squares = vset(0.0f);
        for (size_t i = 0; i < H; i += VL)
            sum = vadd(sum, load_upto(x + i, H - i));
        vec mean = vset(vsum(sum) / (float)H);
        for (size_t i = 0; i < H; i += VL) {
            vec d = vsub(load_or(x + i, H - i, mean), mean);
            squares = vfma(d, d, squares);
        }
        vec scale = vset(1.0f / sqrtf(vsum(squares) / (float)H + eps));
        vec all = vset(0.0f), along = vset(0.0f);
        for (size_t i = 0; i < H; i += VL) {
            vec z = vmul(vsub(load_or(x + i, H - i, mean), mean), scale);
            vec g = vmul(load_upto(dy + i, H - i), load_upto(gamma + i, H - i));
            store_upto(x + i, z, H - i);
            all = vadd(all, g);
            along = vfma(g, z, along);
        }
        vec mean_all = vset(vsum(all) / (float)H);
        vec mean_along = vset(-vsum(along) / (float)H);
        for (size_t i = 0; i < H; i += VL) {
            vec g = vmul(load_upto(dy + i, H - i), load_upto(gamma + i, H - i));
            g = vfma(load_upto(x + i, H - i), mean_along, vsub(g, mean_all));
            store_upto(dx + i, vmul(g, scale), H - i);
        }
    }
}

static void add_columns(float *out, const float *x, const float *y, size_t ld,
                        size_t rows, size_t n)
{
    for (size_t i = 0; i < n; i += VL) {
        vec sum = load_upto(out + i, n - i);
        for (size_t r = 0; r < rows; r++) {
            vec a = load_upto(x + r * ld + i, n - i);
            sum = y ? vfma(a, load_upto(y + r * ld + i, n - i), sum)
                    : vadd(sum, a);
        }
        store_upto(out + i, sum, n - i);
    }
}

/* Of scores S, weights P = softmax(scale S) and output O = P V
 *     dV = P^T dO, dP = dO V^T, dS = scale P (dP - rowsum(dP P)),
 *     dQ = dS K, dK = dS^T Q */
INLINE void score_gradients(const ga_attention *a, size_t i, const float *keys,
                            size_t columns, float *ds, const size_t rows)
{
    score_all(a->out + i * a->ldo, a->ldo, a->D, 1, keys, columns, a->T, ds,
              rows);
    for (size_t r = 0; r < rows; r++, ds += columns) {
        const float *p = a->weights + (i + r) * a->T;
        vec sum = vset(0.0f);
        for (size_t t = 0; t < a->T; t += VL)
            sum = vfma(load_upto(ds + t, a->T - t), load_upto(p + t, a->T - t),
                       sum);
        const vec mean = vset(vsum(sum)), scale = vset(a->scale);
        for (size_t t = 0; t < a->T; t += VL) {
            vec d = vsub(load_upto(ds + t, a->T - t), mean);
            d = vmul(vmul(d, load_upto(p + t, a->T - t)), scale);
            store_upto(ds + t, d, a->T - t);
        }
    }
}

INLINE void head_gradients(const ga_attention_backward *b, size_t i,
                           size_t columns, const float *ds, const size_t rows)
{
    const ga_attention *a = &b->of;
    const size_t at = i * a->ld;
    mix_all(b->dq + at, a->ld, a->k, a->ld, a->T, a->D, ds + i * columns,
            columns, 1, NULL, rows);
    mix_all(b->dk + at, a->ld, a->q, a->ld, a->T, a->D, ds + i, 1, columns,
            NULL, rows);
    mix_all(b->dv + at, a->ld, a->out, a->ldo, a->T, a->D, a->weights + i, 1,
            a->T, NULL, rows);
}

static void attention_backward(const ga_attention_backward *b)
{
    const ga_attention *a = &b->of;
    const size_t align = GA_ATTENTION_ALIGN;
    const size_t columns = (a->T + align - 1) / align * align;
    float *keys = b->scratch, *ds = keys + columns * a->D;
    transpose_keys(keys, columns, a->v, a->ld, a->T, a->D);
    for (size_t i = 0, rows; i < a->T; i += rows) {
        rows = next_rows(a->T, i, HEAD_ROWS);
#define TILE_OF(n)                                                             \
    score_gradients(a, i, keys, columns, ds + i * columns,                     \
                    (n) <= HEAD_ROWS ? (n) : HEAD_ROWS)
        BY_HEAD_ROWS(rows)
#undef TILE_OF
    }
    for (size_t i = 0, rows; i < a->T; i += rows) {
        rows = next_rows(a->T, i, HEAD_ROWS);
#define TILE_OF(n)                                                             \
    head_gradients(b, i, columns, ds, (n) <= HEAD_ROWS ? (n) : HEAD_ROWS)
        BY_HEAD_ROWS(rows)
#undef TILE_OF
    }
}

/* Numbers are only moved, so that their bits may stand for anything. */
static void transpose(uint32_t *out, size_t ldo, const uint32_t *x, size_t ld,
                      size_t rows, size_t columns)
{
    const float *from = (const float *)(const void *)x;
    float *to = (float *)(void *)out;
    for (size_t i = 0; i < rows; i += VL) {
        for (size_t j = 0; j < columns; j += VL) {
            vec block[VL];
            foreach (r, VL)
                block[r] = i + r < rows
                               ? load_upto(from + (i + r) * ld + j, columns - j)
                               : vset(0.0f);
            vtranspose(block);
            foreach (r, VL) {
                if (j + r < columns)
                    store_upto(to + (j + r) * ldo + i, block[r], rows - i);
            }
        }
    }
}

static void pair_bf16(uint32_t *q, size_t ldq, const float *x, size_t ld,
                      size_t rows, size_t n)
{
    for (size_t r = 0; r < rows; r += 2, q += ldq, x += 2 * ld) {
        const bool both = r + 1 < rows;
        for (size_t i = 0; i < n; i += VL) {
            vec low = load_upto(x + i, n - i);
            vec high = both ? load_upto(x + ld + i, n - i) : vset(0.0f);
            vec pair =
                as_vec(ior(iright16(bf16_bits(low)), iupper(bf16_bits(high))));
            store_upto((float *)(void *)q + i, pair, n - i);
        }
    }
}

static void adamw(const ga_adamw *a, float *w, const float *gradient,
                  float *first, float *second, size_t n)
{
    const vec clip = vset(a->clip), beta1 = vset(a->beta1),
              beta2 = vset(a->beta2), rest1 = vset(1 - a->beta1),
              rest2 = vset(1 - a->beta2), eps = vset(a->epsilon),
              kept = vset(1 - a->rate * a->decay),
              step = vset(-a->rate / a->correction1),
              spread = vset(1 / sqrtf(a->correction2));
    for (size_t i = 0; i < n; i += VL) {
        const size_t left = n - i;
        vec g = vmul(load_upto(gradient + i, left), clip);
        vec m = vfma(load_upto(first + i, left), beta1, vmul(g, rest1));
        vec v =
            vfma(load_upto(second + i, left), beta2, vmul(vmul(g, g), rest2));
        vec size = vfma(vsqrt(v), spread, eps);
        vec x = vmul(load_upto(w + i, left), kept);
        store_upto(first + i, m, left);
        store_upto(second + i, v, left);
        store_upto(w + i, vfma(step, vdiv(m, size), x), left);
    }
}

#endif
