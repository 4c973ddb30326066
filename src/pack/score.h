/* score.h: from a raw score to an estimate.  What calibrates and what serves
 * must not differ here. */
#ifndef GA_PACK_SCORE_H
#define GA_PACK_SCORE_H

#include <math.h>

#include "pack/format.h"

static inline double ga__logistic(double x)
{
    return 1 / (1 + exp(-x));
}

/* Estimate, 0 to 1, that a guideline with this raw score applies. */
static inline double ga__pack_score(const ga_pack_calibration *c, float raw)
{
    return ga__logistic((double)c->scale * (double)raw + (double)c->offset);
}

#endif
