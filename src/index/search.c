/* search.c: exact search.  A library of tens of thousands of guidelines is
 * scanned faster than an approximate index is walked, and nothing is missed. */
#include "index/index.h"

#include <math.h>

void ga__index_scores(const ga_kernels *kernels, const float *vectors,
                      const float *biases, size_t G, size_t H,
                      const float *queries, size_t V, float *scores)
{
    enum { BLOCK = 256 }; /* rows that stay in the cache for all views */
    float products[BLOCK];
    for (size_t g = 0; g < G; g += BLOCK) {
        size_t n = G - g < BLOCK ? G - g : BLOCK;
        const float *rows = vectors + g * H;
        kernels->dot_rows(scores + g, rows, n, queries, H);
        for (size_t v = 1; v < V; v++) {
            kernels->dot_rows(products, rows, n, queries + v * H, H);
            for (size_t i = 0; i < n; i++)
                scores[g + i] =
                    products[i] > scores[g + i] ? products[i] : scores[g + i];
        }
        for (size_t i = 0; i < n; i++)
            scores[g + i] += biases[g + i];
    }
}

/* Is a worse than b, as a result? */
static bool worse(const float *scores, uint32_t a, uint32_t b)
{
    return scores[a] < scores[b] || (scores[a] == scores[b] && a > b);
}

/* The heap has its worst result on top, so that one comparison tells whether
 * another belongs into it. */
static void sift_down(const float *scores, uint32_t *heap, size_t n, size_t i)
{
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= n)
            return;
        if (child + 1 < n && worse(scores, heap[child + 1], heap[child]))
            child++;
        if (!worse(scores, heap[child], heap[i]))
            return;
        uint32_t t = heap[i];
        heap[i] = heap[child];
        heap[child] = t;
        i = child;
    }
}

/* From g on, the first block that holds a score above `least`, or G. */
static size_t skip_blocks(const float *scores, size_t G, size_t g, float least)
{
    enum { BLOCK = 32 };
    for (; g + BLOCK <= G; g += BLOCK) {
        int above = 0; /* not a branch each: this is done in vectors */
        for (size_t i = 0; i < BLOCK; i++)
            above |= scores[g + i] > least;
        if (above)
            break;
    }
    return g;
}

size_t ga__index_top(const float *scores, size_t G, size_t k,
                     bool (*keep)(const void *arg, size_t g), const void *arg,
                     uint32_t *out)
{
    size_t n = 0;
    for (size_t g = 0; g < G && k > 0; g++) {
        if (n == k && g % 32 == 0)
            g = skip_blocks(scores, G, g, scores[out[0]]);
        /* an equal one that comes later is worse */
        if (g >= G || (n == k && !(scores[g] > scores[out[0]])))
            continue;
        if (keep && !keep(arg, g))
            continue;
        if (n < k) {
            out[n++] = (uint32_t)g;
            for (size_t i = n / 2; n == k && i-- > 0;)
                sift_down(scores, out, n, i);
        } else {
            out[0] = (uint32_t)g;
            sift_down(scores, out, n, 0);
        }
    }
    if (n < k) {
        for (size_t i = n / 2; i-- > 0;)
            sift_down(scores, out, n, i);
    }
    for (size_t left = n; left > 1; left--) { /* worst to the back */
        uint32_t t = out[0];
        out[0] = out[left - 1];
        out[left - 1] = t;
        sift_down(scores, out, left - 1, 0);
    }
    return n;
}

float ga__index_cosine(const ga_kernels *kernels, const float *a,
                       const float *b, size_t H)
{
    /* in double: the product of two small squares would be zero as a float */
    double aa = (double)kernels->dot(a, a, H);
    double bb = (double)kernels->dot(b, b, H);
    if (aa <= 0 || bb <= 0)
        return 0;
    return (float)((double)kernels->dot(a, b, H) / sqrt(aa * bb));
}

static uint32_t root_of(const uint32_t *cluster, uint32_t g)
{
    while (cluster[g] != g)
        g = cluster[g];
    return g;
}

void ga__index_clusters(const ga_kernels *kernels, const float *vectors,
                        size_t G, size_t H, float least, uint32_t *cluster)
{
    for (size_t g = 0; g < G; g++)
        cluster[g] = (uint32_t)g;
    for (size_t g = 1; g < G; g++) {
        for (size_t h = 0; h < g; h++) {
            if (ga__index_cosine(kernels, vectors + g * H, vectors + h * H, H) <
                least)
                continue;
            uint32_t a = root_of(cluster, (uint32_t)g);
            uint32_t b = root_of(cluster, (uint32_t)h);
            cluster[a > b ? a : b] = a > b ? b : a;
        }
    }
    for (size_t g = 0; g < G; g++)
        cluster[g] = root_of(cluster, (uint32_t)g);
}
