/* evaluate.h: how well the guidelines of a pack are found for prompts whose
 * guidelines are known. */
#ifndef GA_TRAIN_EVALUATE_H
#define GA_TRAIN_EVALUATE_H

#include "guidealign/pack.h"

#include "train/metrics.h"
#include "train/pairs.h"

typedef enum {
    GA_RANKER_PACK, /* as serving ranks: by the fitted vectors */
    GA_RANKER_TEXT, /* by the cosine of prompt and guideline text */
    GA_RANKER_BM25  /* by the words they share */
} ga_ranker;

bool ga__ranker_find(const char *name, ga_ranker *out);

typedef struct {
    const ga_pack *pack;
    ga_scratch *scratch;
    ga_ranker ranker;
    size_t k;
    /* Called with each prompt's ranking, best first; may be NULL. */
    ga_status (*ranked)(void *arg, const ga_pair *pair, const uint32_t *order,
                        const float *scores, ga_error *err);
    void *arg;
} ga_evaluation;

/* Rank the pack for each pair whose split is `split` (all when empty).
 * Positives that the pack lacks do not count, so that a pack of few guidelines
 * is measured by what it could have found.
 * Errors: GA_NOMEM, or the encoder's with the pair's file and line. */
ga_status ga__evaluate(const ga_evaluation *e, const ga_pair_set *pairs,
                       ga_str split, ga_metrics *out, ga_error *err);

#endif
