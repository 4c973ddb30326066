/* calibrate.c: what a raw score means.
 *
 * Each trigger x is scored against all guidelines as if it had not been there,
 * in closed form.  With n triggers of mean u in its class, a text that counts
 * t, the covariance M and d = x - u:
 *
 *     M without x           M - s d d^T, s = scatter n / (n - 1)
 *     its inverse           M^-1 + b (M^-1 d)(M^-1 d)^T, b = s / (1 - s d.M^-1
 * d) (Sherman and Morrison, 1950) prototype without x   p m - q x, p = (n + t)
 * / (n + t - 1), q = p / (n + t)
 *
 * so every score follows from dot products with the vectors and the z.
 *
 * A trigger counts as wrong for every guideline but its own.  That is too
 * strict, since several may apply, so estimates err on the low side. */
#include "pack/fit.h"

#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/guideline.h"
#include "pack/score.h"

enum {
    MOST_PAIRS = 4 << 20, /* triggers are sampled to stay below */
    NEWTON_STEPS = 30
};

/* Ordinary prompts that may get a safety guideline. */
static const double GUARDED_MOST = 0.05;

/* Measured with all-MiniLM-L6-v2 on the starter library without its triggers,
 * which were the queries: raw scores are cosines less one half, centred. */
static const ga_pack_calibration text_only = {.scale = 15.4F,
                                              .offset = -5.67F,
                                              .threshold = 0.05F,
                                              .safety_threshold = 0.17F};

typedef struct {
    size_t S;       /* sampled triggers */
    size_t *sample; /* [S] */
    float *scores;  /* [S, G] */
} pairs;

/* What leaving trigger i out takes: see the head of this file. */
typedef struct {
    const float *x;
    float *d, *u; /* [H], d = x - mean, u = M^-1 d */
    double b, xu, p, q;
    double xz;  /* x M^-1 x, corrected */
    bool alone; /* nothing else is known of its guideline */
} leave_out;

static void leave_out_trigger(const ga_kernels *kernels, const ga_fit_input *in,
                              const ga_fit *fit, size_t i, size_t first,
                              size_t n, leave_out *l)
{
    size_t H = in->H;
    const float *z = fit->z + i * H;
    double rest = (double)n - 1 + (double)in->text_weight;
    l->x = in->triggers + i * H;
    for (size_t j = 0; j < H; j++) {
        double mean = 0, mean_z = 0;
        for (size_t k = first; k < first + n; k++) {
            mean += (double)in->triggers[k * H + j] / (double)n;
            mean_z += (double)fit->z[k * H + j] / (double)n;
        }
        l->d[j] = (float)((double)l->x[j] - mean);
        l->u[j] = (float)((double)z[j] - mean_z);
    }
    double s = n > 1 ? fit->scatter * (double)n / ((double)n - 1) : 0;
    l->b = s / (1 - s * (double)kernels->dot(l->d, l->u, H));
    l->xu = (double)kernels->dot(l->x, l->u, H);
    l->xz = (double)kernels->dot(l->x, z, H) + l->b * l->xu * l->xu;
    l->alone = rest <= 0;
    l->p = l->alone ? 0 : (rest + 1) / rest;
    l->q = l->alone ? 0 : 1 / rest;
}

static float score_left_out(const ga_kernels *kernels, const ga_fit_input *in,
                            const ga_fit *fit, const leave_out *l, size_t g,
                            bool own)
{
    const float *w = fit->vectors + g * in->H;
    double dw = (double)kernels->dot(l->d, w, in->H);
    double xw = (double)kernels->dot(l->x, w, in->H) + l->b * l->xu * dw;
    double mw = -2 * (double)fit->biases[g] + l->b * dw * dw;
    if (!own)
        return (float)(xw - 0.5 * mw);
    return (float)(l->p * xw - l->q * l->xz -
                   0.5 * (l->p * l->p * mw - 2 * l->p * l->q * xw +
                          l->q * l->q * l->xz));
}

static void centre(float *row, size_t G)
{
    double mean = 0;
    for (size_t g = 0; g < G; g++)
        mean += (double)row[g] / (double)G;
    for (size_t g = 0; g < G; g++)
        row[g] -= (float)(ga__fit_centring(G) * mean);
}

static ga_status score_pairs(const ga_kernels *kernels, const ga_fit_input *in,
                             const ga_fit *fit, pairs *p, ga_error *err)
{
    size_t step = 1 + in->N / (1 + MOST_PAIRS / in->G);
    float *tmp = ga__calloc(2 * in->H, sizeof(*tmp));
    leave_out l = {.d = tmp, .u = tmp + in->H};
    p->S = 0;
    p->sample = ga__calloc(in->N / step + 1, sizeof(*p->sample));
    p->scores = ga__calloc(in->N / step + 1, in->G * sizeof(*p->scores));
    if (!p->sample || !p->scores || !tmp) {
        free(tmp);
        return ga__fail_nomem(err, in->N / step * in->G * sizeof(float));
    }
    for (size_t g = 0, first = 0, n; g < in->G; g++, first += n) {
        for (n = 0; first + n < in->N && in->owner[first + n] == g;)
            n++;
        for (size_t i = first; i < first + n; i++) {
            if (i % step)
                continue;
            leave_out_trigger(kernels, in, fit, i, first, n, &l);
            float *row = p->scores + p->S * in->G;
            for (size_t h = 0; h < in->G && !l.alone; h++)
                row[h] = score_left_out(kernels, in, fit, &l, h, h == g);
            centre(row, in->G);
            p->sample[p->S] = i;
            p->S += !l.alone;
        }
    }
    free(tmp);
    return GA_OK;
}

/* Logistic regression of "is its own guideline" on the raw score (Platt,
 * 1999), by Newton's method on the two parameters. */
static void fit_logistic(const ga_fit_input *in, const pairs *p,
                         ga_pack_calibration *out)
{
    double a = 1, b = -log((double)in->G);
    for (int step = 0; step < NEWTON_STEPS; step++) {
        double ga = 0, gb = 0, haa = 1e-6, hab = 0, hbb = 1e-6;
        for (size_t s = 0; s < p->S; s++) {
            size_t own = in->owner[p->sample[s]];
            for (size_t g = 0; g < in->G; g++) {
                double x = (double)p->scores[s * in->G + g];
                double q = ga__logistic(a * x + b);
                double r = (g == own) - q, h = q * (1 - q);
                ga += r * x;
                gb += r;
                haa += h * x * x;
                hab += h * x;
                hbb += h;
            }
        }
        double det = haa * hbb - hab * hab;
        double da = (hbb * ga - hab * gb) / det;
        double db = (haa * gb - hab * ga) / det;
        /* far from the optimum the curvature is flat and a full step leaps */
        double most = fmax(fabs(da), fabs(db)) / 5;
        double damp = most > 1 ? 1 / most : 1;
        a += damp * da;
        b += damp * db;
        if (fabs(da) < 1e-6 && fabs(db) < 1e-6)
            break;
    }
    out->scale = (float)a;
    out->offset = (float)b;
}

static int descending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

static bool is_quality(const ga_fit_input *in, size_t g)
{
    return in->kind[g] == GA_GUIDELINE_QUALITY;
}

/* The threshold with the best F0.5 of "passes" against "is its own", over the
 * guidelines that are quality ones or not.  Precision weighs more than recall:
 * a guideline that does not fit makes an answer worse. */
static float best_threshold(const ga_fit_input *in, const pairs *p,
                            const ga_pack_calibration *c, bool quality)
{
    double best = -1, threshold = 0.5;
    for (int percent = 2; percent < 90; percent++) {
        double t = percent / 100.0;
        size_t right = 0, passed = 0, all = 0;
        for (size_t s = 0; s < p->S; s++) {
            size_t own = in->owner[p->sample[s]];
            for (size_t g = 0; g < in->G; g++) {
                if (is_quality(in, g) != quality)
                    continue;
                bool passes = ga__pack_score(c, p->scores[s * in->G + g]) >= t;
                passed += passes;
                all += g == own;
                right += passes && g == own;
            }
        }
        double f =
            1.25 * (double)right / ((double)passed + 0.25 * (double)all + 1);
        if (f > best) {
            best = f;
            threshold = t;
        }
    }
    return (float)threshold;
}

/* The least threshold at which at most GUARDED_MOST of the quality triggers
 * get a safety guideline; 0 when the library has no quality triggers. */
static ga_status guarding_threshold(const ga_fit_input *in, const pairs *p,
                                    const ga_pack_calibration *c, float *out,
                                    ga_error *err)
{
    double *most = ga__calloc(p->S, sizeof(*most));
    size_t n = 0;
    if (!most)
        return ga__fail_nomem(err, p->S * sizeof(*most));
    for (size_t s = 0; s < p->S; s++) {
        if (!is_quality(in, in->owner[p->sample[s]]))
            continue;
        for (size_t g = 0; g < in->G; g++) {
            double e = is_quality(in, g)
                           ? 0
                           : ga__pack_score(c, p->scores[s * in->G + g]);
            most[n] = e > most[n] ? e : most[n];
        }
        n++;
    }
    qsort(most, n, sizeof(*most), descending);
    *out = n ? (float)most[(size_t)(GUARDED_MOST * (double)n)] : 0;
    *out = nextafterf(*out, 1);
    free(most);
    return GA_OK;
}

/* Rank, precision and recall with the thresholds as they are. */
static void make_report(const ga_fit_input *in, const pairs *p,
                        const ga_pack_calibration *c, ga_fit_report *r)
{
    size_t passed = 0, right = 0, ordinary = 0, guarded = 0;
    *r = (ga_fit_report){.triggers = p->S};
    for (size_t s = 0; s < p->S; s++) {
        const float *row = p->scores + s * in->G;
        size_t own = in->owner[p->sample[s]], rank = 1;
        bool any_safety = false;
        for (size_t g = 0; g < in->G; g++) {
            bool quality = is_quality(in, g);
            bool passes =
                ga__pack_score(c, row[g]) >=
                (double)(quality ? c->threshold : c->safety_threshold);
            rank += row[g] > row[own];
            passed += passes;
            right += passes && g == own;
            any_safety |= passes && !quality;
        }
        r->recall_at_1 += rank <= 1;
        r->recall_at_6 += rank <= 6;
        r->mrr += 1 / (double)rank;
        if (is_quality(in, own)) {
            ordinary++;
            guarded += any_safety;
        }
    }
    double S = (double)(p->S ? p->S : 1);
    r->recall_at_1 /= S;
    r->recall_at_6 /= S;
    r->mrr /= S;
    r->recall = (double)right / S;
    r->precision = passed ? (double)right / (double)passed : 0;
    r->guarded = ordinary ? (double)guarded / (double)ordinary : 0;
}

ga_status ga__fit_calibrate(const ga_kernels *kernels, const ga_fit_input *in,
                            const ga_fit *fit, ga_pack_calibration *out,
                            ga_fit_report *report, ga_error *err)
{
    float least = 0;
    pairs p = {0};
    *report = (ga_fit_report){0};
    *out = text_only;
    if (in->N < GA_FIT_LEAST || in->G < 2)
        return GA_OK;
    ga_status rc = score_pairs(kernels, in, fit, &p, err);
    if (rc || p.S == 0)
        goto out;
    fit_logistic(in, &p, out);
    out->threshold = best_threshold(in, &p, out, true);
    out->safety_threshold = best_threshold(in, &p, out, false);
    rc = guarding_threshold(in, &p, out, &least, err);
    if (rc)
        goto out;
    if (out->safety_threshold < least)
        out->safety_threshold = least;
    make_report(in, &p, out, report);
out:
    free(p.scores);
    free(p.sample);
    return rc;
}
