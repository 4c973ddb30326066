/* risk_head.c: logistic regressions by Nesterov's accelerated gradient.
 *
 * Rows are unit vectors, so the loss is smooth with a constant of at most one
 * quarter of two (the bias counts as one more coordinate), and a fixed step
 * needs no search. */
#include "pack/risk_head.h"

#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "pack/score.h"

enum { STEPS = 400, FOLDS = 5 };

static const double WEIGHT_DECAY = 3e-4;
/* Unsafe prompts that must count as risky: a permit withheld costs little, one
 * given to a dangerous prompt may cost much. */
static const double CAUGHT_LEAST = 0.8;
static const float NEVER = -10; /* bias of a type that no prompt has */

/* One output over the prompts outside `fold` (FOLDS: over all).  For "unsafe"
 * both classes weigh the same, so that the estimate does not depend on how many
 * prompts of each kind a library happens to have; a type is as rare as it is.
 * w: [H + 1]; v, grad: [H + 1]. */
static void fit_output(const ga_kernels *kernels, const ga_risk_input *in,
                       unsigned bit, unsigned fold, float *w, float *v,
                       float *grad)
{
    size_t H = in->H, count[2] = {0, 0};
    memset(w, 0, (H + 1) * sizeof(*w));
    memset(v, 0, (H + 1) * sizeof(*v));
    for (size_t i = 0; i < in->N; i++) {
        if (in->group[i] % FOLDS != fold)
            count[in->labels[i] >> bit & 1u]++;
    }
    if (count[0] == 0 || count[1] == 0) {
        w[H] = count[1] ? -NEVER : NEVER;
        return;
    }
    double all = (double)(count[0] + count[1]);
    double weight[2] = {1 / all, 1 / all};
    if (bit == 0) {
        weight[0] = 0.5 / (double)count[0];
        weight[1] = 0.5 / (double)count[1];
    }
    const double rate = 1 / (0.5 + WEIGHT_DECAY);
    double momentum = 1;
    for (int step = 0; step < STEPS; step++) {
        memset(grad, 0, (H + 1) * sizeof(*grad));
        for (size_t i = 0; i < in->N; i++) {
            if (in->group[i] % FOLDS == fold)
                continue;
            const float *x = in->prompts + i * H;
            unsigned y = in->labels[i] >> bit & 1u;
            double q =
                ga__logistic((double)kernels->dot(x, v, H) + (double)v[H]);
            float r = (float)((q - y) * weight[y]);
            kernels->axpy(grad, r, x, H);
            grad[H] += r;
        }
        double next = (1 + sqrt(1 + 4 * momentum * momentum)) / 2;
        double carry = (momentum - 1) / next;
        for (size_t j = 0; j <= H; j++) {
            double decay = j < H ? WEIGHT_DECAY * (double)v[j] : 0;
            double to = (double)v[j] - rate * ((double)grad[j] + decay);
            v[j] = (float)(to + carry * (to - (double)w[j]));
            w[j] = (float)to;
        }
        momentum = next;
    }
}

typedef struct {
    double estimate;
    bool unsafe;
} held_out;

static int descending(const void *a, const void *b)
{
    double x = ((const held_out *)a)->estimate;
    double y = ((const held_out *)b)->estimate;
    return (x < y) - (x > y);
}

/* The greatest float that is not above a double: thresholds are floats. */
static float float_below(double x)
{
    float f = (float)x;
    return (double)f > x ? nextafterf(f, -INFINITY) : f;
}

/* AUROC as the share of (unsafe, harmless) pairs in the right order, in which
 * equal estimates count half (Mann and Whitney, 1947). */
static void judge(held_out *rows, size_t N, float *risky, ga_risk_report *r)
{
    size_t unsafe = 0, harmless = 0;
    double ordered = 0;
    qsort(rows, N, sizeof(*rows), descending);
    for (size_t i = 0, end; i < N; i = end) {
        size_t alike = 0;
        for (end = i; end < N && rows[end].estimate == rows[i].estimate; end++)
            alike += rows[end].unsafe;
        ordered +=
            (double)(end - i - alike) * ((double)unsafe + 0.5 * (double)alike);
        unsafe += alike;
        harmless += end - i - alike;
    }
    *r = (ga_risk_report){.prompts = N, .unsafe = unsafe};
    *risky = 0.5F;
    if (unsafe == 0 || harmless == 0)
        return;
    r->auroc = ordered / ((double)unsafe * (double)harmless);
    size_t wanted = (size_t)ceil(CAUGHT_LEAST * (double)unsafe);
    size_t i = 0, caught = 0, alarms = 0;
    while ((caught += rows[i].unsafe) < wanted)
        i++;
    *risky = float_below(rows[i].estimate);
    caught = 0;
    for (i = 0; i < N && rows[i].estimate >= (double)*risky; i++) {
        caught += rows[i].unsafe;
        alarms += !rows[i].unsafe;
    }
    r->recall = (double)caught / (double)unsafe;
    r->false_alarms = (double)alarms / (double)harmless;
}

ga_status ga__risk_fit(const ga_kernels *kernels, const ga_risk_input *in,
                       float *head, float *risky, ga_risk_report *report,
                       ga_error *err)
{
    size_t H = in->H;
    float *v = ga__calloc(2 * (H + 1), sizeof(*v));
    float *grad = ga__calloc(H + 1, sizeof(*grad));
    held_out *rows = ga__calloc(in->N, sizeof(*rows));
    ga_status rc = GA_OK;
    if (!v || !grad || !rows) {
        rc = ga__fail_nomem(err, in->N * sizeof(*rows));
        goto out;
    }
    float *w = v + H + 1;
    for (unsigned fold = 0; fold < FOLDS; fold++) {
        fit_output(kernels, in, 0, fold, w, v, grad);
        for (size_t i = 0; i < in->N; i++) {
            if (in->group[i] % FOLDS != fold)
                continue;
            double s = (double)kernels->dot(in->prompts + i * H, w, H);
            rows[i] = (held_out){ga__logistic(s + (double)w[H]),
                                 (in->labels[i] & 1u) != 0};
        }
    }
    judge(rows, in->N, risky, report);
    for (unsigned bit = 0; bit < GA_RISK_OUTPUTS; bit++)
        fit_output(kernels, in, bit, FOLDS, head + bit * (H + 1), v, grad);
out:
    free(rows);
    free(grad);
    free(v);
    return rc;
}
