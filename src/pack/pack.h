/* pack.h: what other parts read from an open pack. */
#ifndef GA_PACK_PACK_H
#define GA_PACK_PACK_H

#include "guidealign/pack.h"

#include "base/guideline.h"
#include "index/index.h"
#include "pack/format.h"

/* Everything is borrowed from the mapping.  G guidelines, H dimensions. */
typedef struct {
    size_t count;            /* G */
    size_t dim;              /* H */
    const ga_pack_row *rows; /* [G] */
    const char *strings;
    const float *vectors;   /* [G, H] */
    const float *biases;    /* [G] */
    ga_index index;         /* the same, and in 4 bits */
    const float *risk_head; /* [1 + GA_RISK_COUNT, H + 1], "unsafe" first,
                               each with its bias last */
    ga_pack_calibration calibration;
    ga_str heading; /* the line above the guidelines */
} ga_pack_view;

const ga_pack_view *ga__pack_view(const ga_pack *pack);

/* Index of the guideline with this id; SIZE_MAX when there is none. */
size_t ga__pack_find(const ga_pack *pack, ga_str id);

#endif
