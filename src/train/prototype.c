/* prototype.c: the loss of prototype training and its gradient. */
#include "train/prototype.h"

#include <math.h>

/* What each row counts. */
static float weight_of(float text_weight, size_t row, size_t count)
{
    const float total = text_weight + (float)(count - 1);
    return (row == 0 ? text_weight : 1.0F) / total;
}

/* The weighted mean [H] and its length. */
static float mean_of(const float *rows, size_t count, size_t H,
                     float text_weight, float *out)
{
    double squares = 0;
    memset(out, 0, H * sizeof(*out));
    for (size_t r = 0; r < count; r++) {
        const float w = weight_of(text_weight, r, count);
        for (size_t h = 0; h < H; h++)
            out[h] += w * rows[r * H + h];
    }
    for (size_t h = 0; h < H; h++)
        squares += (double)out[h] * (double)out[h];
    return (float)fmax(sqrt(squares), 1e-12);
}

void ga__prototype_of(const float *rows, size_t count, size_t H,
                      float text_weight, float *out)
{
    const float length = mean_of(rows, count, H, text_weight, out);
    for (size_t h = 0; h < H; h++)
        out[h] /= length;
}

size_t ga__prototype_scratch(const ga_prototype_batch *b)
{
    return b->prototypes * (2 * b->H + 2);
}

/* The gradient of a prototype to the rows it is made of:
 * dm = (dc - c (c . dc)) / |m|, and each row's share of it. */
static void share_gradient(const ga_kernels *k, const ga_prototype_batch *b,
                           size_t p, const float *c, float *dc, float length,
                           float *dz)
{
    const ga_prototype *of = &b->of[p];
    const float along = k->dot(c, dc, b->H);
    k->axpy(dc, -along, c, b->H);
    for (size_t r = 0; r < of->count; r++)
        k->axpy(dz + (of->first + r) * b->H,
                weight_of(b->text_weight, r, of->count) / length, dc, b->H);
}

double ga__prototype_loss(const ga_kernels *k, const ga_prototype_batch *b,
                          float *scratch, float *dz, double *right)
{
    const size_t P = b->prototypes, H = b->H;
    float *c = scratch, *dc = c + P * H;         /* [P, H] each */
    float *length = dc + P * H, *s = length + P; /* [P] each */
    double loss = 0, total = 0;
    size_t rows = b->queries, hits = 0;
    for (size_t p = 0; p < P; p++) {
        const ga_prototype *of = &b->of[p];
        length[p] = mean_of(b->z + of->first * H, of->count, H, b->text_weight,
                            c + p * H);
        for (size_t h = 0; h < H; h++)
            c[p * H + h] /= length[p];
        if (of->first + of->count > rows)
            rows = of->first + of->count;
    }
    memset(dc, 0, P * H * sizeof(*dc));
    memset(dz, 0, rows * H * sizeof(*dz));
    for (size_t q = 0; q < b->queries; q++)
        total += (double)b->weight[q];
    for (size_t q = 0; q < b->queries; q++) {
        const float *z = b->z + q * H;
        const bool *masked = b->masked + q * P;
        const size_t wanted = b->wanted[q];
        float most = -INFINITY;
        double sum = 0;
        k->dot_rows(s, c, P, z, H);
        for (size_t p = 0; p < P; p++) {
            s[p] = masked[p] && p != wanted ? -INFINITY : b->scale * s[p];
            most = s[p] > most ? s[p] : most;
        }
        for (size_t p = 0; p < P; p++)
            sum += exp((double)(s[p] - most));
        hits += s[wanted] >= most;
        const double share = (double)b->weight[q] / total;
        loss += share * (log(sum) - (double)(s[wanted] - most));
        for (size_t p = 0; p < P; p++) {
            double d = exp((double)(s[p] - most)) / sum - (p == wanted);
            float step = (float)(d * share * (double)b->scale);
            if (step == 0)
                continue;
            k->axpy(dz + q * H, step, c + p * H, H);
            k->axpy(dc + p * H, step, z, H);
        }
    }
    for (size_t p = 0; p < P; p++)
        share_gradient(k, b, p, c + p * H, dc + p * H, length[p], dz);
    *right = b->queries ? (double)hits / (double)b->queries : 0;
    return loss;
}
