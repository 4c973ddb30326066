/* kernels_internal.h: the tables that kernels.c chooses from, and what they
 * agree upon. */
#ifndef GA_TENSOR_KERNELS_INTERNAL_H
#define GA_TENSOR_KERNELS_INTERNAL_H

#include "tensor/kernels.h"

enum {
    GA_ATTENTION_ALIGN = 16, /* floats: the longest vector */
    GA_ATTENTION_ROWS = 8,   /* queries at a time, at most */
    GA_ATTENTION_INT8_ROWS = 14
};

extern const ga_kernels ga__kernels_ref;
extern const ga_kernels ga__kernels_avx2;
extern const ga_kernels ga__kernels_avx512;
extern const ga_kernels ga__kernels_avx512vnni;
extern const ga_kernels ga__kernels_avx512bf16;

#endif
