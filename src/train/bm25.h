/* bm25.h: the classic of search by words (Robertson and Zaragoza, 2009), as a
 * baseline and to find hard negatives: what shares words with a prompt. */
#ifndef GA_TRAIN_BM25_H
#define GA_TRAIN_BM25_H

#include "base/mem.h"

typedef struct ga_bm25 ga_bm25;

/* Index n documents.  k1 is 1.2 and b 0.75. */
ga_status ga__bm25_new(const ga_str *documents, size_t n, ga_bm25 **out,
                       ga_error *err);
void ga__bm25_free(ga_bm25 *index);

/* scores[i] of document i, all of them; 0 where no word is shared.  Not for
 * two threads at once. */
ga_status ga__bm25_scores(ga_bm25 *index, ga_str query, float *scores,
                          ga_error *err);

#endif
