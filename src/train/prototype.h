/* prototype.h: the loss of prototype training.
 *
 * A guideline's vector is made as serving makes it, from prompts that it is for
 * and from its text; a prompt is to be nearer to the guideline it needs than to
 * any other of the batch (InfoNCE: van den Oord et al., 2018; prototypes: Snell
 * et al., 2017).  What the prompt is known to need as well, and what says the
 * same as what it needs, is no wrong answer and left out of the sum. */
#ifndef GA_TRAIN_PROTOTYPE_H
#define GA_TRAIN_PROTOTYPE_H

#include "tensor/kernels.h"

/* Rows of vectors that belong together: a text and its supports. */
typedef struct {
    uint32_t first, count; /* rows; the text stands first */
} ga_prototype;

typedef struct {
    size_t H, queries, prototypes;
    const float *z;         /* [rows, H], unit: queries first */
    const ga_prototype *of; /* [prototypes] */
    const uint32_t *wanted; /* [queries], a prototype */
    const bool *masked;     /* [queries, prototypes]: no wrong answer */
    const float *weight;    /* [queries], of a query in the loss */
    float text_weight;      /* the text counts as so many supports */
    float scale;            /* of cosines: 1 / temperature */
} ga_prototype_batch;

/* Floats of working memory. */
size_t ga__prototype_scratch(const ga_prototype_batch *b);

/* The mean loss over the weights, and its gradient dz [rows, H], overwritten.
 * *right: the share of queries whose wanted prototype is the nearest. */
double ga__prototype_loss(const ga_kernels *k, const ga_prototype_batch *b,
                          float *scratch, float *dz, double *right);

/* out [H], unit: the prototype of `count` unit rows, the text first. */
void ga__prototype_of(const float *rows, size_t count, size_t H,
                      float text_weight, float *out);

#endif
