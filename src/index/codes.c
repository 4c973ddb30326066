/* codes.c: exact scores of the few vectors that can be among the best.
 *
 * With v' and q' what the codes stand for, a score by codes differs by
 *     v . q - v' . q' = (v - v') . q + v' . (q - q')
 * and so by at most |v - v'| |q| + |v'| |q - q'|.  What is known of the vectors
 * stands beside them, what is known of the query is worked out once. */
#include <math.h>
#include <stdlib.h>

#include "index/index.h"

enum { LINE = 64, AHEAD = 2, BLOCK = 32 };

/* What the rounding of a sum of H products in float32 can amount to, for a
 * query of length 1. */
static float slack_of(size_t H)
{
    return fmaxf(1e-5F, 6e-8F * (float)H);
}

bool ga__index_code_bytes(size_t G, size_t H, size_t *bytes)
{
    bool fits = ga__packed_size(G, H, GA_INT4_GROUP, bytes);
    *bytes /= 2;
    return fits;
}

bool ga__index_encode(const float *vectors, const float *biases, size_t G,
                      size_t H, uint8_t *codes, float *rows)
{
    float *scale = rows, *error = rows + G, *norm = rows + 2 * G;
    if (!ga__pack_int4(codes, scale, vectors, G, H))
        return false;
    for (size_t g = 0; g < G; g++) {
        double lost = 0, own = 0;
        for (size_t h = 0; h < H; h++) {
            double code = (double)ga__int4_at(codes, scale, H, g, h);
            double rest = (double)vectors[g * H + h] - code;
            lost += rest * rest;
            own += code * code;
        }
        norm[g] = (float)sqrt(own);
        error[g] =
            (float)sqrt(lost) + slack_of(H) * (norm[g] + fabsf(biases[g]));
        if (!isfinite(error[g]))
            return false;
    }
    return true;
}

static size_t lines(size_t bytes)
{
    return (bytes + LINE - 1) / LINE * LINE;
}

size_t ga__index_scratch(const ga_index *ix, size_t V)
{
    return lines(ix->H) + (V > 1 ? 3 : 2) * lines(ix->G * sizeof(float));
}

/* A query in 8 bits: its scale, its length and that of what it lost. */
typedef struct {
    float scale, length, lost;
} code;

static code encode_query(const float *query, size_t H, int8_t *out)
{
    double length = 0, lost = 0;
    float most = 0;
    for (size_t h = 0; h < H; h++)
        most = fmaxf(most, fabsf(query[h]));
    const float scale = most / 127.0F, inverse = most > 0 ? 127.0F / most : 0;
    memset(out, 0, lines(H));
    for (size_t h = 0; h < H; h++) {
        float q = rintf(query[h] * inverse);
        double rest = (double)query[h] - (double)scale * (double)q;
        out[h] = (int8_t)q;
        length += (double)query[h] * (double)query[h];
        lost += rest * rest;
    }
    /* the slack of an error is one of a query of length 1 at least */
    code c = {scale, fmaxf((float)sqrt(length) * (1 + slack_of(H)), 1),
              (float)sqrt(lost) * (1 + slack_of(H))};
    return c;
}

static float exact(const ga_kernels *kernels, const ga_index *ix,
                   const float *queries, size_t V, size_t g)
{
    const float *row = ix->vectors + g * ix->H;
    float best = kernels->dot(row, queries, ix->H);
    for (size_t v = 1; v < V; v++) {
        float x = kernels->dot(row, queries + v * ix->H, ix->H);
        best = x > best ? x : best;
    }
    return best + ix->biases[g];
}

static int descending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x < y) - (x > y);
}

/* A score that k vectors have or exceed: the k-th exact one of the best few by
 * codes.  -INFINITY when there are no k. */
static float kth_of_some(const ga_kernels *kernels, const ga_index *ix,
                         const float *queries, size_t V, size_t k,
                         bool (*keep)(const void *arg, size_t g),
                         const void *arg, const float *approx)
{
    enum { WIDER = 4 };
    uint32_t top[WIDER * GA_INDEX_MOST];
    float scores[WIDER * GA_INDEX_MOST];
    if (k == 0 || k > GA_INDEX_MOST)
        return -INFINITY;
    size_t n = ga__index_top(approx, ix->G, WIDER * k, keep, arg, top);
    for (size_t i = 0; i < n; i++)
        scores[i] = exact(kernels, ix, queries, V, top[i]);
    if (n < k)
        return -INFINITY;
    qsort(scores, n, sizeof(*scores), descending);
    return scores[k - 1];
}

void ga__index_best_scores(const ga_kernels *kernels, const ga_index *ix,
                           const float *queries, size_t V, size_t k,
                           float least, bool (*keep)(const void *arg, size_t g),
                           const void *arg, void *scratch, float *scores)
{
    const size_t G = ix->G, H = ix->H;
    int8_t *query = scratch;
    float *approx = (void *)((char *)scratch + lines(H)); /* [G] */
    uint32_t *left = (void *)((char *)approx + lines(G * sizeof(float)));
    float *other = (void *)((char *)left + lines(G * sizeof(*left)));
    code most = {0, 0, 0};
    for (size_t v = 0; v < V; v++) {
        code c = encode_query(queries + v * H, H, query);
        kernels->scan(&(ga_scan){.N = G,
                                 .K = H,
                                 .codes = ix->codes,
                                 .scale = ix->scale,
                                 .bias = ix->biases,
                                 .query = query,
                                 .query_scale = c.scale,
                                 .out = v ? other : approx});
        for (size_t g = 0; v > 0 && g < G; g++)
            approx[g] = other[g] > approx[g] ? other[g] : approx[g];
        most.length = fmaxf(most.length, c.length);
        most.lost = fmaxf(most.lost, c.lost);
    }
    /* what has k others surely above it is out */
    float kth = kth_of_some(kernels, ix, queries, V, k, keep, arg, approx);
    least = kth > least ? kth : least;
    size_t n = 0;
    for (size_t g = 0; g < G; g += BLOCK) {
        const size_t end = g + BLOCK < G ? g + BLOCK : G;
        int any = 0;
        for (size_t i = g; i < end; i++) {
            approx[i] += ix->error[i] * most.length + ix->norm[i] * most.lost;
            any |= approx[i] >= least;
            scores[i] = -INFINITY;
        }
        for (size_t i = g; i < end && any; i++) {
            left[n] = (uint32_t)i;
            n += approx[i] >= least;
        }
    }
    for (size_t i = 0; i < n; i++) {
        /* rows lie far apart: the next ones are asked for in time */
        const size_t ahead = left[i + AHEAD < n ? i + AHEAD : n - 1];
        for (size_t h = 0; h < H; h += LINE / sizeof(float))
            __builtin_prefetch(ix->vectors + ahead * H + h);
        scores[left[i]] = exact(kernels, ix, queries, V, left[i]);
    }
}
