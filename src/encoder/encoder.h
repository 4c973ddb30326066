/* encoder.h: what other parts of the core need of the encoder beyond the
 * public header: opening a model from memory instead of from a folder. */
#ifndef GA_ENCODER_ENCODER_H
#define GA_ENCODER_ENCODER_H

#include "guidealign/encoder.h"

#include "base/mem.h"
#include "tensor/kernels.h"

/* The bytes of a model.  config is one JSON object that holds what the files
 * of a model folder said (see docs/formats.md); weights is a safetensors file
 * as published, or a prepared one (see layout.h), which must be 64-byte
 * aligned.  All are borrowed and must outlive the encoder. */
typedef struct {
    ga_str config;
    ga_str vocab;
    ga_str weights;
} ga_encoder_image;

ga_status ga__encoder_open_image(const ga_encoder_image *image,
                                 ga_encoder **out, ga_error *err);

/* What kernels call it. */
ga_number ga__precision_number(ga_precision precision);

/* Multiplications and additions of the linear layers for one token: twice their
 * weights. */
double ga__encoder_ops(const ga_encoder *enc);

/* The image of an open encoder, its weights prepared, borrowed from it: what a
 * pack stores. */
void ga__encoder_image(const ga_encoder *enc, ga_encoder_image *out);

#endif
