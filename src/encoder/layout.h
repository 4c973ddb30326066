/* layout.h: what weights look like when they are ready to be used.
 *
 * A model as it is published has its weights row by row, and in float32.  They
 * are prepared once: query, key and value in one matrix, packed for the
 * kernels, in the precision that is wanted, the token type's embedding added
 * to the positions'.  The result is a safetensors file with names of our own
 * whose tensors all begin at a multiple of 64 bytes, so that a pack that holds
 * it is mapped and used as it is.
 *
 * Names: embeddings.words, .words.scale, .positions, .norm.gamma, .norm.beta;
 * layer.<i>. followed by qkv, out, up, down with .weight, .bias and in int8
 * .scale, .sum, .factor; norm1 and norm2 with .gamma, .beta. */
#ifndef GA_ENCODER_LAYOUT_H
#define GA_ENCODER_LAYOUT_H

#include "encoder/config.h"
#include "encoder/encoder_internal.h"

/* Where forward finds one tensor. */
typedef struct {
    char name[64];
    ga_dtype dtype;
    size_t rank;
    uint64_t shape[4];
    const void **place; /* in a ga_weights */
} ga_slot;

/* Call visit with every tensor of a prepared model, in the order they stand
 * in; ends with the first failure.  out->layers must have room for all. */
ga_status ga__layout_walk(const ga_encoder_config *config,
                          ga_precision precision, ga_weights *out,
                          ga_status (*visit)(void *arg, const ga_slot *slot),
                          void *arg);

/* Bytes of a slot's data. */
size_t ga__slot_bytes(const ga_slot *slot);

/* Prepare the weights of a published model: *out is a prepared file, *bytes
 * long, on a cache line; the caller frees it.
 * Errors: GA_FORMAT a tensor is missing, has another shape, or is not finite;
 * GA_UNSUPPORTED another type; GA_NOMEM. */
ga_status ga__prepare(const ga_encoder_config *config, ga_str safetensors,
                      ga_precision precision, char **out, size_t *bytes,
                      ga_error *err);

#endif
