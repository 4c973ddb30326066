/* index.h: exact search over the vectors of a library, and the choice of few
 * that differ from each other.
 *
 * Knows vectors and numbers; what they stand for is src/guide's business.
 * Notation: G vectors of H dimensions, V query views. */
#ifndef GA_INDEX_INDEX_H
#define GA_INDEX_INDEX_H

#include "base/mem.h"
#include "tensor/kernels.h"

/* scores[g] = max over views of queries[v] . vectors[g], plus biases[g].
 * queries: [V, H], V at least 1; vectors: [G, H]; biases, scores: [G]. */
void ga__index_scores(const ga_kernels *kernels, const float *vectors,
                      const float *biases, size_t G, size_t H,
                      const float *queries, size_t V, float *scores);

/* Vectors and the same in 4 bits, by which nearly all of them are ruled out: an
 * eighth of the bytes, and the processor's dot product of bytes. */
typedef struct {
    size_t G, H;
    const float *vectors; /* [G, H] */
    const float *biases;  /* [G] */
    const uint8_t *codes; /* [G, H], packed as ga_scan says */
    const float *scale;   /* [G], of the codes */
    const float *error;   /* [G], the length of what they lost, and a little */
    const float *norm;    /* [G], their own length */
} ga_index;

/* Bytes of the codes; false when that overflows. */
bool ga__index_code_bytes(size_t G, size_t H, size_t *bytes);

/* Make codes and scale, error and norm, [3, G] together.  False when a number
 * is not finite. */
bool ga__index_encode(const float *vectors, const float *biases, size_t G,
                      size_t H, uint8_t *codes, float *rows);

/* The exact score of every vector that may be among the k best of those that
 * `keep` takes (all, when it is NULL) and that reach `least`; -INFINITY for the
 * others.  By the inequality of Cauchy and Schwarz a score by codes is off by
 * at most the length of what the vector lost times the query's, and the other
 * way round, so nothing is missed.  The scores have the bits of
 * ga__index_scores.
 * k: above GA_INDEX_MOST only `least` rules out; scratch: ga__index_scratch(ix,
 * V) bytes, on a cache line. */
enum { GA_INDEX_MOST = 256 };
size_t ga__index_scratch(const ga_index *ix, size_t V);
void ga__index_best_scores(const ga_kernels *kernels, const ga_index *ix,
                           const float *queries, size_t V, size_t k,
                           float least, bool (*keep)(const void *arg, size_t g),
                           const void *arg, void *scratch, float *scores);

/* The k best of G scores, best first and the smaller index first among equals;
 * `keep`, when there is one, must be true of a candidate.  Returns how many
 * were written to out [k].  O(G + k log k) for k much smaller than G. */
size_t ga__index_top(const float *scores, size_t G, size_t k,
                     bool (*keep)(const void *arg, size_t g), const void *arg,
                     uint32_t *out);

/* Cosine of two vectors of H dimensions; 0 when one of them is zero. */
float ga__index_cosine(const ga_kernels *kernels, const float *a,
                       const float *b, size_t H);

/* Label near-duplicates: cluster[g] is the first vector whose cosine with g is
 * at least `least`, through others in between: g itself when there is none.
 * O(G * G * H). */
void ga__index_clusters(const ga_kernels *kernels, const float *vectors,
                        size_t G, size_t H, float least, uint32_t *cluster);

#endif
