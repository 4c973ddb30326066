/* risk_head.h: is a prompt risky, and how?  A logistic regression for "unsafe"
 * and for each risk type, on the embedding that is computed anyway. */
#ifndef GA_PACK_RISK_HEAD_H
#define GA_PACK_RISK_HEAD_H

#include "base/guideline.h"
#include "base/mem.h"
#include "tensor/kernels.h"

enum { GA_RISK_OUTPUTS = 1 + GA_RISK_COUNT };

/* N prompts of H dimensions.  labels: bit 0 unsafe, bit 1 + i risk type i. */
typedef struct {
    size_t N, H;
    const float *prompts;   /* [N, H], unit rows */
    const uint32_t *labels; /* [N] */
    const uint32_t *group; /* [N], prompts of one group are held out together */
} ga_risk_input;

typedef struct {
    size_t prompts, unsafe;
    double auroc;        /* of "unsafe" on held-out groups */
    double recall;       /* of unsafe prompts, held out, at the threshold */
    double false_alarms; /* of harmless ones, there */
} ga_risk_report;

/* head: [GA_RISK_OUTPUTS, H + 1], each row with its bias last.  A type that no
 * prompt has, or every one, is given the constant estimate that says so.
 * *risky: the estimate from which on a prompt counts as risky, so that 80 % of
 * the held-out unsafe prompts do.  GA_NOMEM. */
ga_status ga__risk_fit(const ga_kernels *kernels, const ga_risk_input *in,
                       float *head, float *risky, ga_risk_report *report,
                       ga_error *err);

#endif
