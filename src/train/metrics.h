/* metrics.h: how good a ranking of guidelines is (Manning et al., 2008,
 * chapter 8; Järvelin and Kekäläinen, 2002, for nDCG). */
#ifndef GA_TRAIN_METRICS_H
#define GA_TRAIN_METRICS_H

#include "base/mem.h"

typedef struct {
    size_t prompts;
    double hit;    /* share with a guideline graded 2 or 3 among the first k */
    double recall; /* of those graded 2 or 3, the share among the first k */
    double ndcg;   /* at k, gains 2^grade - 1 */
    double mrr;    /* 1 / rank of the first graded 2 or 3 */
} ga_metrics;

/* Add one prompt to the sums.  order: G guidelines, best first; grade: [G], 0
 * for what does not apply.  A prompt whose best grade is 1 is measured by
 * those; one without any is left out.  Returns whether it counted. */
bool ga__metrics_add(ga_metrics *m, const uint32_t *order, const uint8_t *grade,
                     size_t G, size_t k);

/* From sums to means. */
void ga__metrics_finish(ga_metrics *m);

#endif
