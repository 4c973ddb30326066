/* fit.c: a vector and a bias for each guideline, in closed form. */
#include "pack/fit.h"

#include <math.h>
#include <stdlib.h>

#include "base/error.h"

/* The mean of the triggers of guideline g with the text among them, [H], in
 * the place of its vector.  first and n say where its triggers are. */
static void prototype(const ga_fit_input *in, size_t g, size_t first, size_t n,
                      float *out)
{
    double w = n > 0 ? (double)in->text_weight : 1;
    for (size_t j = 0; j < in->H; j++) {
        double sum = w * (double)in->text[g * in->H + j];
        for (size_t i = first; i < first + n; i++)
            sum += (double)in->triggers[i * in->H + j];
        out[j] = (float)(sum / (w + (double)n));
    }
}

/* Number of triggers of guideline g, which start at `first`. */
static size_t count_triggers(const ga_fit_input *in, size_t g, size_t first)
{
    size_t n = 0;
    while (first + n < in->N && in->owner[first + n] == g)
        n++;
    return n;
}

/* Add the outer products of one guideline's triggers around their mean to the
 * lower triangle of cov [H, H]. */
static void add_scatter(const ga_fit_input *in, size_t first, size_t n,
                        double *cov, double *mean, double *diff)
{
    size_t H = in->H;
    for (size_t j = 0; j < H; j++) {
        mean[j] = 0;
        for (size_t i = first; i < first + n; i++)
            mean[j] += (double)in->triggers[i * H + j] / (double)n;
    }
    for (size_t i = first; i < first + n; i++) {
        for (size_t j = 0; j < H; j++)
            diff[j] = (double)in->triggers[i * H + j] - mean[j];
        for (size_t a = 0; a < H; a++) {
            for (size_t b = 0; b <= a; b++)
                cov[a * H + b] += diff[a] * diff[b];
        }
    }
}

/* The covariance inside the classes, shrunk and divided by its mean variance
 * so that its scale does not depend on the encoder; a sphere when there are
 * too few triggers to say more.  cov: [H, H], lower triangle. */
static void covariance(const ga_fit_input *in, double *cov, double *scratch,
                       double *scatter)
{
    size_t H = in->H, freedom = 0;
    double trace = 0;
    memset(cov, 0, H * H * sizeof(*cov));
    for (size_t g = 0, first = 0; g < in->G; g++) {
        size_t n = count_triggers(in, g, first);
        if (n >= 2) {
            add_scatter(in, first, n, cov, scratch, scratch + H);
            freedom += n - 1;
        }
        first += n;
    }
    for (size_t j = 0; j < H; j++)
        trace += cov[j * H + j];
    double keep = 0, scale = 0;
    /* triggers that are all alike differ by rounding only */
    if (freedom >= GA_FIT_LEAST / 2 && trace > 1e-9 * (double)freedom) {
        keep = 1 - (double)in->shrinkage;
        scale = (double)H / trace;
    }
    *scatter = keep * scale;
    for (size_t a = 0; a < H; a++) {
        for (size_t b = 0; b < a; b++)
            cov[a * H + b] *= *scatter;
        cov[a * H + a] = *scatter * cov[a * H + a] + (1 - keep);
    }
}

/* In place: cov = L L^T, the lower triangle becomes L. */
static bool cholesky(double *cov, size_t H)
{
    for (size_t a = 0; a < H; a++) {
        for (size_t b = 0; b <= a; b++) {
            double sum = cov[a * H + b];
            for (size_t k = 0; k < b; k++)
                sum -= cov[a * H + k] * cov[b * H + k];
            if (a != b)
                cov[a * H + b] = sum / cov[b * H + b];
            else if (sum > 0)
                cov[a * H + a] = sqrt(sum);
            else
                return false;
        }
    }
    return true;
}

/* out = (L L^T)^-1 x; tmp: [H].  out may be x. */
static void solve(const double *L, size_t H, const float *x, float *out,
                  double *tmp)
{
    for (size_t a = 0; a < H; a++) {
        double sum = (double)x[a];
        for (size_t k = 0; k < a; k++)
            sum -= L[a * H + k] * tmp[k];
        tmp[a] = sum / L[a * H + a];
    }
    for (size_t a = H; a-- > 0;) {
        tmp[a] /= L[a * H + a];
        for (size_t k = 0; k < a; k++)
            tmp[k] -= L[a * H + k] * tmp[a];
    }
    for (size_t a = 0; a < H; a++)
        out[a] = (float)tmp[a];
}

ga_status ga__fit_vectors(const ga_kernels *kernels, const ga_fit_input *in,
                          ga_fit *fit, ga_error *err)
{
    size_t H = in->H;
    double *cov = ga__calloc(H, H * sizeof(*cov));
    double *tmp = ga__calloc(3 * H, sizeof(*tmp));
    float *m = ga__calloc(H, sizeof(*m));
    ga_status rc = GA_OK;
    if (!cov || !tmp || !m) {
        rc = ga__fail_nomem(err, H * H * sizeof(*cov));
        goto out;
    }
    covariance(in, cov, tmp, &fit->scatter);
    if (!cholesky(cov, H)) {
        rc = ga__fail(err, GA_INVAL,
                      "the covariance of the triggers cannot be inverted");
        goto out;
    }
    for (size_t g = 0, first = 0; g < in->G; g++) {
        float *w = fit->vectors + g * H;
        size_t n = count_triggers(in, g, first);
        prototype(in, g, first, n, m);
        solve(cov, H, m, w, tmp);
        fit->biases[g] = -0.5F * kernels->dot(m, w, H);
        first += n;
    }
    for (size_t i = 0; i < in->N; i++)
        solve(cov, H, in->triggers + i * H, fit->z + i * H, tmp);
out:
    free(m);
    free(tmp);
    free(cov);
    return rc;
}

double ga__fit_centring(size_t G)
{
    enum { FEW = 8 };
    return (double)G / (double)(G + FEW);
}

ga_status ga__fit_centre(const ga_fit_input *in, ga_fit *fit, ga_error *err)
{
    size_t H = in->H;
    double share = ga__fit_centring(in->G), bias = 0;
    double *mean = ga__calloc(H, sizeof(*mean));
    if (!mean)
        return ga__fail_nomem(err, H * sizeof(*mean));
    for (size_t g = 0; g < in->G; g++) {
        for (size_t j = 0; j < H; j++)
            mean[j] += (double)fit->vectors[g * H + j] / (double)in->G;
        bias += (double)fit->biases[g] / (double)in->G;
    }
    for (size_t g = 0; g < in->G; g++) {
        for (size_t j = 0; j < H; j++)
            fit->vectors[g * H + j] -= (float)(share * mean[j]);
        fit->biases[g] -= (float)(share * bias);
    }
    free(mean);
    return GA_OK;
}
