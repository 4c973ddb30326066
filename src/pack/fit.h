/* fit.h: a vector and a bias for each guideline, from the prompts it is for.
 *
 * Text similarity follows the topic; which guideline applies follows the
 * behaviour wanted.  So a guideline is compared by the prompts that trigger it
 * rather than by its text: by the discriminant of classes that share one
 * covariance, in closed form (linear discriminant analysis, Fisher 1936, with
 * the shrinkage of Ledoit and Wolf's kind towards a multiple of the identity).
 *
 * Notation: G guidelines, N triggers, H dimensions, n triggers of one
 * guideline, x a trigger, t the embedding of a guideline's text. */
#ifndef GA_PACK_FIT_H
#define GA_PACK_FIT_H

#include "base/mem.h"
#include "pack/format.h"
#include "tensor/kernels.h"

typedef struct {
    size_t G, H, N;
    const float *text;     /* [G, H], unit rows */
    const float *triggers; /* [N, H], unit rows */
    const uint32_t *owner; /* [N], ascending: the guideline of a trigger */
    const uint8_t *kind;   /* [G], ga_guideline_kind */
    float text_weight;     /* the text counts as so many triggers */
    float shrinkage;       /* 0: the covariance as it is, 1: a sphere */
} ga_fit_input;

/* How the fit does on triggers it was not fitted to: each is left out of its
 * own guideline in turn. */
typedef struct {
    size_t triggers;
    double recall_at_1, recall_at_6, mrr;
    double precision, recall; /* of what passes the thresholds */
    double guarded;           /* share of quality triggers that get a
                                 safety guideline */
} ga_fit_report;

typedef struct {
    float *vectors; /* [G, H] */
    float *biases;  /* [G] */
    float *z;       /* [N, H], the inverse covariance times each trigger */
    double scatter; /* weight of one trigger's outer product in it */
} ga_fit;

/* Fill in a fit whose arrays are the caller's.  The covariance is scaled to a
 * mean variance of 1, so that scores do not depend on the encoder's spread.
 * GA_NOMEM; GA_INVAL when the covariance cannot be inverted, which a shrinkage
 * above 0 rules out. */
ga_status ga__fit_vectors(const ga_kernels *kernels, const ga_fit_input *in,
                          ga_fit *fit, ga_error *err);

/* Subtract the mean score over the library from every score.  A score says
 * little by itself, since long prompts score higher everywhere; how much it
 * stands out says more: average precision over left-out triggers of the starter
 * library 0.091 instead of 0.057.  The mean is linear in the prompt, so it goes
 * into vectors and biases and costs nothing in serving.  Over few guidelines it
 * is the mean of nothing much, so only a share of it counts, G / (G + 8). */
double ga__fit_centring(size_t G);
ga_status ga__fit_centre(const ga_fit_input *in, ga_fit *fit, ga_error *err);

/* Turn centred scores into estimates and choose the thresholds, by the scores
 * that each trigger gets when it is left out.  Without enough triggers (fewer
 * than GA_FIT_LEAST) the constants measured for retrieval by text alone are
 * used and the report counts none.  fit is as ga__fit_vectors left it, not yet
 * centred. */
enum { GA_FIT_LEAST = 200 };
ga_status ga__fit_calibrate(const ga_kernels *kernels, const ga_fit_input *in,
                            const ga_fit *fit, ga_pack_calibration *out,
                            ga_fit_report *report, ga_error *err);

#endif
