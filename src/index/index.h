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
