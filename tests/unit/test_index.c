/* test_index.c: exact search against a full sort, scores against the obvious
 * loop, near-duplicates against reachability in a graph. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "index/index.h"

static uint64_t seed;

static uint32_t next_random(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33);
}

static float next_float(void)
{
    return (float)next_random() / (float)(1u << 30) - 1;
}

static const char *const tables[] = {"ref", "avx2", "avx512"};
enum { TABLES = sizeof(tables) / sizeof(*tables) };

/* ---- top k ---- */

typedef struct {
    float score;
    uint32_t index;
} ranked;

static int best_first(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    return x->index < y->index ? -1 : 1;
}

static bool keep_marked(const void *arg, size_t g)
{
    const bool *marks = arg;
    return marks[g];
}

/* ga__index_top against a sort of all; what lies behind the result is not
 * written. */
static void check_top(const float *scores, size_t G, size_t k,
                      const bool *marks)
{
    ranked *all = calloc(G + 1, sizeof(*all));
    uint32_t *out = malloc((k + 1) * sizeof(*out));
    size_t n = 0;
    for (size_t g = 0; g < G; g++) {
        if (!marks || marks[g])
            all[n++] = (ranked){scores[g], (uint32_t)g};
    }
    qsort(all, n, sizeof(*all), best_first);
    for (size_t i = 0; i <= k; i++)
        out[i] = UINT32_MAX;
    size_t found =
        ga__index_top(scores, G, k, marks ? keep_marked : NULL, marks, out);
    assert_int_equal(found, n < k ? n : k);
    for (size_t i = 0; i < found; i++)
        assert_int_equal(out[i], all[i].index);
    for (size_t i = found; i <= k; i++)
        assert_int_equal(out[i], UINT32_MAX);
    free(out);
    free(all);
}

static void test_top_against_sort(void **state)
{
    static const size_t sizes[] = {0,  1,  2,   3,   5,   7,   16,
                                   31, 97, 256, 257, 511, 1000};
    static const size_t ks[] = {0, 1, 2, 3, 6, 24, 31, 255, 1000, 1500};
    (void)state;
    seed = 1;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        size_t G = sizes[i];
        float *scores = calloc(G + 1, sizeof(*scores));
        bool *marks = calloc(G + 1, sizeof(*marks));
        /* 0: nearly all different; 1: mostly ties; 2: all equal */
        for (int ties = 0; ties < 3; ties++) {
            for (size_t g = 0; g < G; g++) {
                scores[g] = ties == 0   ? next_float()
                            : ties == 1 ? (float)(next_random() % 4) - 1
                                        : 0.5F;
                marks[g] = next_random() % 3 == 0;
            }
            for (size_t j = 0; j < sizeof(ks) / sizeof(*ks); j++) {
                check_top(scores, G, ks[j], NULL);
                check_top(scores, G, ks[j], marks);
            }
            check_top(scores, G, G, NULL);
        }
        free(marks);
        free(scores);
    }
}

/* The order in which scores come must not matter: the worst cases of a heap. */
static void test_top_sorted_input(void **state)
{
    enum { G = 300 };
    float scores[G];
    (void)state;
    for (int direction = 0; direction < 2; direction++) {
        for (size_t g = 0; g < G; g++)
            scores[g] = (float)(direction ? g : G - g);
        for (size_t k = 0; k <= G + 1; k += 7)
            check_top(scores, G, k, NULL);
    }
}

static void test_top_keeps_none(void **state)
{
    const float scores[3] = {3, 2, 1};
    const bool marks[3] = {false};
    uint32_t out[3] = {7, 7, 7};
    (void)state;
    assert_int_equal(ga__index_top(scores, 3, 3, keep_marked, marks, out), 0);
    assert_int_equal(out[0], 7);
    /* infinities are scores like others */
    const float odd[4] = {-INFINITY, INFINITY, 0, -INFINITY};
    check_top(odd, 4, 3, NULL);
}

/* ---- scores ---- */

static void check_scores(const ga_kernels *kernels, size_t G, size_t H,
                         size_t V)
{
    float *vectors = calloc(G * H + 1, sizeof(*vectors));
    float *queries = calloc(V * H + 1, sizeof(*queries));
    float *biases = calloc(G + 1, sizeof(*biases));
    float *scores = calloc(G + 1, sizeof(*scores));
    for (size_t i = 0; i < G * H; i++)
        vectors[i] = next_float();
    for (size_t i = 0; i < V * H; i++)
        queries[i] = next_float();
    for (size_t i = 0; i < G; i++)
        biases[i] = 10 * next_float();
    scores[G] = 4711;
    ga__index_scores(kernels, vectors, biases, G, H, queries, V, scores);
    for (size_t g = 0; g < G; g++) {
        double best = -INFINITY;
        for (size_t v = 0; v < V; v++) {
            double sum = 0;
            for (size_t j = 0; j < H; j++)
                sum += (double)vectors[g * H + j] * (double)queries[v * H + j];
            best = sum > best ? sum : best;
        }
        best += (double)biases[g];
        assert_true(fabs((double)scores[g] - best) < 1e-4);
    }
    assert_true(scores[G] == 4711); /* nothing behind the last */
    free(scores);
    free(biases);
    free(queries);
    free(vectors);
}

static void test_scores(void **state)
{
    static const size_t sizes[] = {0, 1, 3, 255, 256, 257, 513};
    static const size_t dims[] = {1, 7, 24, 65};
    (void)state;
    seed = 2;
    for (size_t t = 0; t < TABLES; t++) {
        const ga_kernels *kernels = ga__kernels_named(tables[t]);
        if (!kernels)
            continue; /* the CPU lacks it */
        for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
            for (size_t j = 0; j < sizeof(dims) / sizeof(*dims); j++) {
                for (size_t V = 1; V <= 4; V++)
                    check_scores(kernels, sizes[i], dims[j], V);
            }
        }
    }
}

/* One more view never lowers a score, and the same view again changes none. */
static void test_scores_more_views(void **state)
{
    enum { G = 300, H = 33 };
    static float vectors[G * H], biases[G], queries[3 * H];
    static float one[G], two[G], same[G];
    const ga_kernels *kernels = ga__kernels();
    size_t raised = 0;
    (void)state;
    seed = 3;
    for (size_t i = 0; i < G * H; i++)
        vectors[i] = next_float();
    for (size_t i = 0; i < H; i++) {
        queries[i] = queries[2 * H + i] = next_float();
        queries[H + i] = next_float();
    }
    ga__index_scores(kernels, vectors, biases, G, H, queries, 1, one);
    ga__index_scores(kernels, vectors, biases, G, H, queries, 2, two);
    ga__index_scores(kernels, vectors, biases, G, H, queries, 3, same);
    for (size_t g = 0; g < G; g++) {
        assert_true(two[g] >= one[g]);
        raised += two[g] > one[g];
        assert_true(same[g] == two[g]);
    }
    assert_true(raised > 0);
}

/* ---- cosine ---- */

/* ---- codes ---- */

static bool keep_third(const void *arg, size_t g)
{
    (void)arg;
    return g % 3 == 0;
}

/* The k best by codes and of all scores are the same, with the same bits: of
 * random vectors, of some that lie close, of lengths that differ by far. */
static void check_codes(const ga_kernels *kernels, size_t G, size_t H, size_t V,
                        size_t k, float least, bool third)
{
    size_t bytes;
    assert_true(ga__index_code_bytes(G, H, &bytes));
    float *vectors = ga__alloc_aligned(G * H, sizeof(*vectors));
    float *biases = ga__alloc_aligned(G, sizeof(*biases));
    float *rows = ga__alloc_aligned(3 * G, sizeof(*rows));
    float *queries = ga__alloc_aligned(V * H, sizeof(*queries));
    float *all = ga__alloc_aligned(G, sizeof(*all));
    float *few = ga__alloc_aligned(G, sizeof(*few));
    uint8_t *codes = ga__alloc_aligned(bytes, 1);
    uint32_t wanted[64], got[64];
    for (size_t g = 0; g < G; g++) {
        float size = g % 7 == 0 ? 40 : 1;
        for (size_t h = 0; h < H; h++)
            vectors[g * H + h] = g % 5 == 4 ? vectors[(g - 1) * H + h] * 1.001F
                                            : size * next_float();
        biases[g] = next_float();
    }
    for (size_t i = 0; i < V * H; i++)
        queries[i] = next_float() / 8;
    assert_true(ga__index_encode(vectors, biases, G, H, codes, rows));
    const ga_index ix = {.G = G,
                         .H = H,
                         .vectors = vectors,
                         .biases = biases,
                         .codes = codes,
                         .scale = rows,
                         .error = rows + G,
                         .norm = rows + 2 * G};
    void *scratch = ga__alloc_aligned(ga__index_scratch(&ix, V), 1);
    bool (*keep)(const void *, size_t) = third ? keep_third : NULL;
    ga__index_scores(kernels, vectors, biases, G, H, queries, V, all);
    ga__index_best_scores(kernels, &ix, queries, V, k, least, keep, NULL,
                          scratch, few);
    size_t out = 0;
    for (size_t g = 0; g < G; g++) {
        out += few[g] == -INFINITY;
        assert_true(few[g] == -INFINITY || few[g] == all[g]);
        if (all[g] < least)
            all[g] = -INFINITY; /* need not be scored, but may */
        if (few[g] < least)
            few[g] = -INFINITY;
    }
    size_t n = ga__index_top(all, G, k, keep, NULL, wanted);
    assert_int_equal(ga__index_top(few, G, k, keep, NULL, got), n);
    for (size_t i = 0; i < n; i++)
        assert_true(all[wanted[i]] == few[got[i]] &&
                    (wanted[i] == got[i] || all[wanted[i]] == -INFINITY));
    if (G >= 1000 && !third)
        assert_true(out > G / 2); /* else the codes are of no use */
    free(scratch);
    free(codes);
    free(few);
    free(all);
    free(queries);
    free(rows);
    free(biases);
    free(vectors);
}

static void test_codes_miss_nothing(void **state)
{
    static const size_t Hs[] = {1, 7, 8, 24, 100, 384};
    (void)state;
    for (const char *const *name = ga__kernels_names; *name; name++) {
        const ga_kernels *kernels = ga__kernels_named(*name);
        if (!kernels)
            continue;
        for (size_t i = 0; i < sizeof(Hs) / sizeof(*Hs); i++) {
            for (size_t G = 1; G < 80; G += 13)
                check_codes(kernels, G, Hs[i], 1 + G % 3, 5, -INFINITY, G % 2);
        }
        check_codes(kernels, 3000, 384, 1, 24, -INFINITY, false);
        check_codes(kernels, 3000, 384, 3, 24, -INFINITY, false);
        check_codes(kernels, 3000, 100, 2, 24, 0.5F, true);
        check_codes(kernels, 2000, 64, 2, 0, 3, false); /* only `least` */
        check_codes(kernels, 500, 64, 1, 60, -INFINITY, true);
    }
}

static void test_codes_refused(void **state)
{
    float vectors[16] = {1, 2, NAN}, biases[2] = {0}, rows[6];
    size_t bytes;
    (void)state;
    assert_true(ga__index_code_bytes(2, 8, &bytes));
    assert_int_equal(bytes, 32 * 4);
    uint8_t *codes = malloc(bytes);
    assert_false(ga__index_encode(vectors, biases, 2, 8, codes, rows));
    vectors[2] = 3;
    assert_true(ga__index_encode(vectors, biases, 2, 8, codes, rows));
    assert_true(rows[1] == 0 && rows[5] == 0); /* a zero vector */
    biases[0] = INFINITY;
    assert_false(ga__index_encode(vectors, biases, 2, 8, codes, rows));
    assert_false(ga__index_code_bytes(SIZE_MAX, 8, &bytes));
    free(codes);
}

static void test_cosine(void **state)
{
    enum { H = 24 };
    const ga_kernels *kernels = ga__kernels();
    float zero[H] = {0}, a[H], b[H], minus[H];
    (void)state;
    seed = 4;
    for (size_t i = 0; i < H; i++) {
        a[i] = next_float();
        b[i] = 3 * a[i];
        minus[i] = -a[i];
    }
    assert_true(ga__index_cosine(kernels, zero, a, H) == 0);
    assert_true(ga__index_cosine(kernels, a, zero, H) == 0);
    assert_true(ga__index_cosine(kernels, zero, zero, H) == 0);
    assert_true(fabsf(ga__index_cosine(kernels, a, a, H) - 1) < 1e-6F);
    assert_true(fabsf(ga__index_cosine(kernels, a, b, H) - 1) < 1e-6F);
    assert_true(fabsf(ga__index_cosine(kernels, a, minus, H) + 1) < 1e-6F);
    float x[2] = {1, 0}, y[2] = {0, 5};
    assert_true(ga__index_cosine(kernels, x, y, 2) == 0);
}

/* The lengths of the vectors do not matter, however small or great. */
static void test_cosine_scale(void **state)
{
    const ga_kernels *kernels = ga__kernels();
    static const float scales[] = {1e-15F, 1e-8F, 1, 1e8F, 1e15F};
    (void)state;
    for (size_t i = 0; i < sizeof(scales) / sizeof(*scales); i++) {
        for (size_t j = 0; j < sizeof(scales) / sizeof(*scales); j++) {
            float a[2] = {3 * scales[i], 4 * scales[i]};
            float b[2] = {4 * scales[j], 3 * scales[j]};
            float c = ga__index_cosine(kernels, a, b, 2);
            assert_true(fabsf(c - 0.96F) < 1e-5F);
        }
    }
}

/* ---- near-duplicates ---- */

/* The smallest number reachable from g, by brute force. */
static void check_clusters(const float *vectors, size_t G, size_t H,
                           float least)
{
    const ga_kernels *kernels = ga__kernels();
    uint32_t *cluster = calloc(G + 1, sizeof(*cluster));
    uint32_t *wanted = calloc(G + 1, sizeof(*wanted));
    cluster[G] = 4711;
    for (size_t g = 0; g < G; g++)
        wanted[g] = (uint32_t)g;
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t g = 0; g < G; g++) {
            for (size_t h = 0; h < G; h++) {
                if (wanted[h] >= wanted[g] ||
                    ga__index_cosine(kernels, vectors + g * H, vectors + h * H,
                                     H) < least)
                    continue;
                wanted[g] = wanted[h];
                changed = true;
            }
        }
    }
    ga__index_clusters(kernels, vectors, G, H, least, cluster);
    for (size_t g = 0; g < G; g++)
        assert_int_equal(cluster[g], wanted[g]);
    assert_int_equal(cluster[G], 4711);
    free(wanted);
    free(cluster);
}

static void test_clusters_transitive(void **state)
{
    enum { G = 12 };
    float vectors[G * 2];
    uint32_t cluster[G];
    (void)state;
    /* a fan: neighbours are 10 degrees apart (cosine 0.985), ends 110 */
    for (size_t g = 0; g < G; g++) {
        double angle = (double)g * 10 * 3.14159265358979 / 180;
        vectors[2 * g] = (float)cos(angle);
        vectors[2 * g + 1] = (float)sin(angle);
    }
    ga__index_clusters(ga__kernels(), vectors, G, 2, 0.98F, cluster);
    for (size_t g = 0; g < G; g++)
        assert_int_equal(cluster[g], 0); /* through others in between */
    ga__index_clusters(ga__kernels(), vectors, G, 2, 0.99F, cluster);
    for (size_t g = 0; g < G; g++)
        assert_int_equal(cluster[g], g); /* none is that near */
    /* the links come in an order that joins groups from the back */
    float mixed[G * 2];
    static const size_t order[G] = {11, 3, 0, 7, 9, 1, 5, 2, 10, 8, 6, 4};
    for (size_t g = 0; g < G; g++) {
        mixed[2 * g] = vectors[2 * order[g]];
        mixed[2 * g + 1] = vectors[2 * order[g] + 1];
    }
    check_clusters(mixed, G, 2, 0.98F);
}

static void test_clusters_random(void **state)
{
    enum { H = 3, MOST = 60 };
    float vectors[MOST * H];
    (void)state;
    seed = 5;
    for (int round = 0; round < 40; round++) {
        size_t G = next_random() % (MOST + 1);
        for (size_t i = 0; i < G * H; i++)
            vectors[i] = next_float();
        check_clusters(vectors, G, H, 0.9F + 0.1F * next_float());
    }
    /* zero vectors are like nothing, not even each other */
    float zeros[3 * H] = {0};
    uint32_t cluster[3];
    ga__index_clusters(ga__kernels(), zeros, 3, H, 0.5F, cluster);
    for (size_t g = 0; g < 3; g++)
        assert_int_equal(cluster[g], g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_top_against_sort),
        cmocka_unit_test(test_top_sorted_input),
        cmocka_unit_test(test_top_keeps_none),
        cmocka_unit_test(test_scores),
        cmocka_unit_test(test_scores_more_views),
        cmocka_unit_test(test_codes_miss_nothing),
        cmocka_unit_test(test_codes_refused),
        cmocka_unit_test(test_cosine),
        cmocka_unit_test(test_cosine_scale),
        cmocka_unit_test(test_clusters_transitive),
        cmocka_unit_test(test_clusters_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
