/* risk_head.c: logistic regressions by Nesterov's accelerated gradient.
 *
 * Rows are unit vectors, so the loss is smooth with a constant of at most one
 * quarter of two (the bias counts as one more coordinate), and a fixed step
 * needs no search. */
#include "pack/risk_head.h"

#include <math.h>
#include <stdlib.h>

#include "base/error.h"

enum { STEPS = 400, FOLDS = 5 };

static const double WEIGHT_DECAY = 3e-4;
static const double FALSE_ALARMS = 0.02;
static const float NEVER = -10; /* bias of a type that no prompt has */

static double logistic(double x)
{
    return 1 / (1 + exp(-x));
}

/* One output over the prompts outside `fold` (FOLDS: over all).  Both classes
 * weigh the same, so that the estimate does not depend on how many prompts of
 * each kind a library happens to have.  w: [H + 1]; v, grad: [H + 1]. */
static void fit_output(const ga_kernels *kernels, const ga_risk_input *in,
                       unsigned bit, unsigned fold, float *w, float *v,
                       double *grad)
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
    const double rate = 1 / (0.5 + WEIGHT_DECAY);
    double momentum = 1;
    for (int step = 0; step < STEPS; step++) {
        memset(grad, 0, (H + 1) * sizeof(*grad));
        for (size_t i = 0; i < in->N; i++) {
            if (in->group[i] % FOLDS == fold)
                continue;
            const float *x = in->prompts + i * H;
            unsigned y = in->labels[i] >> bit & 1u;
            double q = logistic((double)kernels->dot(x, v, H) + (double)v[H]);
            double r = (q - y) * 0.5 / (double)count[y];
            for (size_t j = 0; j < H; j++)
                grad[j] += r * (double)x[j];
            grad[H] += r;
        }
        double next = (1 + sqrt(1 + 4 * momentum * momentum)) / 2;
        double carry = (momentum - 1) / next;
        for (size_t j = 0; j <= H; j++) {
            double decay = j < H ? WEIGHT_DECAY * (double)v[j] : 0;
            double to = (double)v[j] - rate * (grad[j] + decay);
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

/* AUROC as the share of (unsafe, harmless) pairs in the right order; ties are
 * broken by the sort, which is fair enough for estimates of this precision. */
static void judge(held_out *rows, size_t N, float *risky, ga_risk_report *r)
{
    size_t unsafe = 0, ordered = 0, harmless = 0;
    qsort(rows, N, sizeof(*rows), descending);
    for (size_t i = 0; i < N; i++) {
        unsafe += rows[i].unsafe;
        ordered += rows[i].unsafe ? 0 : unsafe;
    }
    harmless = N - unsafe;
    *r = (ga_risk_report){.prompts = N, .unsafe = unsafe};
    *risky = 0.5F;
    if (unsafe == 0 || harmless == 0)
        return;
    r->auroc = (double)ordered / ((double)unsafe * (double)harmless);
    size_t allowed = (size_t)(FALSE_ALARMS * (double)harmless), seen = 0;
    size_t i = 0;
    while (i < N && (rows[i].unsafe || seen++ < allowed))
        i++;
    for (size_t k = 0; k < i; k++)
        r->recall += rows[k].unsafe;
    r->recall /= (double)unsafe;
    *risky = i > 0 ? (float)rows[i - 1].estimate : 1;
}

ga_status ga__risk_fit(const ga_kernels *kernels, const ga_risk_input *in,
                       float *head, float *risky, ga_risk_report *report,
                       ga_error *err)
{
    size_t H = in->H;
    float *v = ga__calloc(2 * (H + 1), sizeof(*v));
    double *grad = ga__calloc(H + 1, sizeof(*grad));
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
            rows[i] = (held_out){logistic(s + (double)w[H]),
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
