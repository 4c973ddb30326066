/* writer.h: making a pack from the guidelines of a library. */
#ifndef GA_PACK_WRITER_H
#define GA_PACK_WRITER_H

#include "guidealign/encoder.h"

#include "base/guideline.h"
#include "pack/fit.h"
#include "pack/risk_head.h"

typedef struct {
    float text_weight;   /* see ga_fit_input; 2 */
    float shrinkage;     /* 0.9 */
    float duplicate;     /* cosine from which on two say the same; 0.95 */
    const char *heading; /* the line above the guidelines */
    /* Called now and then with what was encoded of how much; false cancels. */
    bool (*progress)(void *arg, size_t done, size_t total);
    void *progress_arg;
} ga_pack_options;

typedef struct {
    size_t guidelines, triggers, duplicates;
    ga_fit_report fit;
    ga_risk_report risk;
    ga_pack_calibration calibration;
    uint64_t bytes;
    char id[13];
} ga_pack_report;

void ga__pack_options_init(ga_pack_options *options);

/* Fit, calibrate and write `path` with the approved ones of n guidelines.  The
 * file appears whole or not at all, and the same input gives the same bytes.
 *
 * Cost:   one encoding of every text and trigger, and G * G * H for the
 *         near-duplicates.
 * Errors: GA_INVAL no approved guideline, or two with one id; GA_LIMIT;
 *         GA_IO; GA_CANCELED; GA_NOMEM. */
ga_status ga__pack_write(const char *path, const ga_guideline *guidelines,
                         size_t n, const ga_encoder *enc, ga_scratch *s,
                         const ga_pack_options *options, ga_pack_report *report,
                         ga_error *err);

#endif
