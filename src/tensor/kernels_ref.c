/* kernels_ref.c: every kernel written down plainly.
 *
 * The oracle of the others in tests, and what runs where no other does; the
 * loops over the columns of a panel are ones that any compiler vectorises. */
#include <math.h>

#include "tensor/kernels_internal.h"

static float gelu(float x)
{
    return 0.5f * x * (1.0f + erff(x * 0.707106781f));
}

/* Store element [i, j] of a product. */
static void finish(const ga_epilogue *e, size_t i, size_t j, float x)
{
    if (e->bias)
        x += e->bias[j];
    if (e->gelu)
        x = gelu(x);
    if (e->residual)
        x += e->residual[i * e->ldc + j];
    e->c[i * e->ldc + j] = x;
}

/* Each number with its own column of a packed panel, [K, GA_PANEL]. */
static void gemm_f32(const ga_gemm *g)
{
    for (size_t j = 0; j < g->N; j += GA_PANEL) {
        const float *panel = (const float *)g->w + j * g->K;
        size_t columns = g->N - j < GA_PANEL ? g->N - j : GA_PANEL;
        for (size_t i = 0; i < g->M; i++) {
            const float *a = (const float *)g->a + i * g->lda;
            float sum[GA_PANEL] = {0};
            for (size_t k = 0; k < g->K; k++)
                for (size_t p = 0; p < GA_PANEL; p++)
                    sum[p] += a[k] * panel[k * GA_PANEL + p];
            for (size_t p = 0; p < columns; p++)
                finish(&g->out, i, j + p, sum[p]);
        }
    }
}

static void gemm_bf16(const ga_gemm *g)
{
    const size_t groups = (g->K + 1) / 2;
    for (size_t j = 0; j < g->N; j++) {
        const uint16_t *w = (const uint16_t *)g->w +
                            j / GA_PANEL * GA_PANEL * groups * 2 +
                            j % GA_PANEL * 2;
        for (size_t i = 0; i < g->M; i++) {
            const uint16_t *a = (const uint16_t *)g->a + i * g->lda;
            float sum = 0;
            for (size_t k = 0; k < g->K; k++)
                sum += ga__bf16_float(a[k]) *
                       ga__bf16_float(w[k / 2 * GA_PANEL * 2 + k % 2]);
            finish(&g->out, i, j, sum);
        }
    }
}

static void gemm_int8(const ga_gemm *g)
{
    const size_t G = ga__number_group(GA_INT8), groups = (g->K + G - 1) / G;
    for (size_t j = 0; j < g->N; j++) {
        const int8_t *w = (const int8_t *)g->w +
                          j / GA_PANEL * GA_PANEL * groups * G +
                          j % GA_PANEL * G; /* every GA_PANEL * G */
        for (size_t i = 0; i < g->M; i++) {
            const uint8_t *a = (const uint8_t *)g->a + i * g->lda;
            int32_t sum = 0;
            for (size_t k = 0; k < groups * G; k++)
                sum += a[k] * w[k / G * GA_PANEL * G + k % G];
            finish(&g->out, i, j,
                   g->scale[i] * (float)sum * g->w_scale[j] +
                       g->low[i] * g->w_sum[j]);
        }
    }
}

static void gemm(const ga_gemm *g)
{
    if (g->type == GA_F32)
        gemm_f32(g);
    else if (g->type == GA_BF16)
        gemm_bf16(g);
    else
        gemm_int8(g);
}

static void round_bf16(uint16_t *q, size_t ldq, const float *x, size_t ld,
                       size_t rows, size_t K)
{
    for (size_t r = 0; r < rows; r++, x += ld, q += ldq) {
        for (size_t k = 0; k < K; k++)
            q[k] = ga__bf16(x[k]);
        if (K % 2)
            q[K] = 0;
    }
}

static void quantise(uint8_t *q, size_t ldq, float *scale, float *low,
                     const float *x, size_t ld, const float *factor,
                     size_t rows, size_t K)
{
    for (size_t r = 0; r < rows; r++, x += ld, q += ldq) {
        float least = INFINITY, most = -INFINITY;
        for (size_t k = 0; k < K; k++) {
            float y = factor ? x[k] * factor[k] : x[k];
            least = y < least ? y : least;
            most = y > most ? y : most;
        }
        float inverse = most > least ? 255.0f / (most - least) : 0;
        scale[r] = (most - least) / 255.0f;
        low[r] = least;
        for (size_t k = 0; k < K; k++) {
            float y = factor ? x[k] * factor[k] : x[k];
            float n = rintf((y - least) * inverse);
            q[k] = (uint8_t)(n > 255 ? 255 : n < 0 ? 0 : n);
        }
        for (size_t k = K; k % 4 != 0; k++)
            q[k] = 0;
    }
}

static void scan(const ga_scan *s)
{
    const size_t G = GA_INT4_GROUP, groups = (s->K + G - 1) / G;
    for (size_t n = 0; n < s->N; n++) {
        const uint8_t *code =
            s->codes + (n / GA_PANEL * groups * GA_PANEL + n % GA_PANEL) * 4;
        int32_t sum = 0;
        for (size_t g = 0; g < groups; g++, code += GA_PANEL * 4) {
            const int8_t *q = s->query + g * G;
            for (size_t i = 0; i < 4; i++)
                sum += ((code[i] & 0x0F) - 8) * q[i] +
                       ((code[i] >> 4) - 8) * q[i + 4];
        }
        s->out[n] = s->scale[n] * (s->query_scale * (float)sum) + s->bias[n];
    }
}

/* Each row of x [rows, n] to softmax(scale * row), in place. */
static void softmax(float *x, float scale, size_t n)
{
    float max = scale * x[0], sum = 0;
    for (size_t i = 0; i < n; i++) {
        x[i] *= scale;
        max = x[i] > max ? x[i] : max;
    }
    for (size_t i = 0; i < n; i++) {
        x[i] = expf(x[i] - max);
        sum += x[i];
    }
    for (size_t i = 0; i < n; i++)
        x[i] /= sum;
}

static float dot(const float *a, const float *b, size_t n)
{
    float sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

static void attention(const ga_attention *a)
{
    float *weights = a->scratch; /* [T] */
    for (size_t i = 0; i < a->T; i++) {
        float *out = a->out + i * a->ldo;
        for (size_t t = 0; t < a->T; t++)
            weights[t] = dot(a->q + i * a->ld, a->k + t * a->ld, a->D);
        softmax(weights, a->scale, a->T);
        if (a->weights)
            memcpy(a->weights + i * a->T, weights, a->T * sizeof(*weights));
        memset(out, 0, a->D * sizeof(*out));
        for (size_t t = 0; t < a->T; t++)
            for (size_t d = 0; d < a->D; d++)
                out[d] += weights[t] * a->v[t * a->ld + d];
    }
}

static void layer_norm(float *x, const float *gamma, const float *beta,
                       float eps, size_t rows, size_t H)
{
    for (size_t r = 0; r < rows; r++, x += H) {
        float sum = 0, squares = 0;
        for (size_t i = 0; i < H; i++)
            sum += x[i];
        float mean = sum / (float)H;
        for (size_t i = 0; i < H; i++)
            squares += (x[i] - mean) * (x[i] - mean);
        float scale = 1.0f / sqrtf(squares / (float)H + eps);
        for (size_t i = 0; i < H; i++)
            x[i] = (x[i] - mean) * scale * gamma[i] + beta[i];
    }
}

static void dot_rows(float *out, const float *rows, size_t count,
                     const float *x, size_t n)
{
    for (size_t r = 0; r < count; r++)
        out[r] = dot(rows + r * n, x, n);
}

static void axpy(float *y, float a, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] += a * x[i];
}

static void gelu_all(float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = gelu(x[i]);
}

static void gelu_backward(float *dx, const float *x, const float *dy, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float below = 0.5f * (1.0f + erff(x[i] * 0.707106781f));
        float density = 0.398942280f * expf(-0.5f * x[i] * x[i]);
        dx[i] = dy[i] * (below + x[i] * density);
    }
}

static void layer_norm_backward(float *dx, float *x, const float *dy,
                                const float *gamma, float eps, size_t rows,
                                size_t H)
{
    for (size_t r = 0; r < rows; r++, x += H, dx += H, dy += H) {
        float sum = 0, squares = 0, all = 0, along = 0;
        for (size_t i = 0; i < H; i++)
            sum += x[i];
        float mean = sum / (float)H;
        for (size_t i = 0; i < H; i++)
            squares += (x[i] - mean) * (x[i] - mean);
        float scale = 1.0f / sqrtf(squares / (float)H + eps);
        for (size_t i = 0; i < H; i++) {
            x[i] = (x[i] - mean) * scale;
            all += dy[i] * gamma[i];
            along += dy[i] * gamma[i] * x[i];
        }
        for (size_t i = 0; i < H; i++)
            dx[i] = scale * (dy[i] * gamma[i] - all / (float)H -
                             x[i] * (along / (float)H));
    }
}

static void add_columns(float *out, const float *x, const float *y, size_t ld,
                        size_t rows, size_t n)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < n; i++)
            out[i] += x[r * ld + i] * (y ? y[r * ld + i] : 1);
}

static void attention_backward(const ga_attention_backward *b)
{
    const ga_attention *a = &b->of;
    float *ds = b->scratch; /* [T] */
    for (size_t i = 0; i < a->T; i++) {
        memset(b->dq + i * a->ld, 0, a->D * sizeof(float));
        memset(b->dk + i * a->ld, 0, a->D * sizeof(float));
        memset(b->dv + i * a->ld, 0, a->D * sizeof(float));
    }
    for (size_t i = 0; i < a->T; i++) {
        const float *p = a->weights + i * a->T, *dout = a->out + i * a->ldo;
        float mean = 0;
        for (size_t t = 0; t < a->T; t++) {
            ds[t] = dot(dout, a->v + t * a->ld, a->D);
            mean += ds[t] * p[t];
        }
        for (size_t t = 0; t < a->T; t++) {
            float d = a->scale * p[t] * (ds[t] - mean);
            for (size_t c = 0; c < a->D; c++) {
                b->dq[i * a->ld + c] += d * a->k[t * a->ld + c];
                b->dk[t * a->ld + c] += d * a->q[i * a->ld + c];
                b->dv[t * a->ld + c] += p[t] * dout[c];
            }
        }
    }
}

static void transpose(uint32_t *out, size_t ldo, const uint32_t *x, size_t ld,
                      size_t rows, size_t columns)
{
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++)
            out[j * ldo + i] = x[i * ld + j];
}

static void pair_bf16(uint32_t *q, size_t ldq, const float *x, size_t ld,
                      size_t rows, size_t n)
{
    for (size_t r = 0; r < rows; r += 2, q += ldq, x += 2 * ld) {
        for (size_t i = 0; i < n; i++) {
            uint32_t high = r + 1 < rows ? ga__bf16(x[ld + i]) : 0;
            q[i] = ga__bf16(x[i]) | high << 16;
        }
    }
}

static void adamw(const ga_adamw *a, float *w, const float *gradient,
                  float *first, float *second, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float g = gradient[i] * a->clip;
        first[i] = a->beta1 * first[i] + (1 - a->beta1) * g;
        second[i] = a->beta2 * second[i] + (1 - a->beta2) * g * g;
        float size = sqrtf(second[i] / a->correction2) + a->epsilon;
        w[i] = w[i] * (1 - a->rate * a->decay) -
               a->rate / a->correction1 * first[i] / size;
    }
}

static double work(ga_number type, size_t turns)
{
    volatile float sum = 0;
    volatile int32_t whole = 0;
    for (size_t i = 0; i < turns && type != GA_INT8; i++)
        sum = sum * 0.5f + 1.0f;
    for (size_t i = 0; i < turns && type == GA_INT8; i++)
        whole = whole + 3 * (int32_t)(i & 127);
    return 2.0 * (double)turns;
}

const ga_kernels ga__kernels_ref = {
    .name = "ref",
    .gemm = gemm,
    .quantise = quantise,
    .round_bf16 = round_bf16,
    .scan = scan,
    .attention = attention,
    .attention_int8 = attention,
    .layer_norm = layer_norm,
    .dot = dot,
    .dot_rows = dot_rows,
    .axpy = axpy,
    .gelu = gelu_all,
    .gelu_backward = gelu_backward,
    .layer_norm_backward = layer_norm_backward,
    .add_columns = add_columns,
    .attention_backward = attention_backward,
    .transpose = transpose,
    .pair_bf16 = pair_bf16,
    .adamw = adamw,
    .work = work,
};
