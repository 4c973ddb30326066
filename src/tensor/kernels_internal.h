/* kernels_internal.h: the tables that kernels.c chooses from. */
#ifndef GA_TENSOR_KERNELS_INTERNAL_H
#define GA_TENSOR_KERNELS_INTERNAL_H

#include "tensor/kernels.h"

extern const ga_kernels ga__kernels_ref;
extern const ga_kernels ga__kernels_avx2;
extern const ga_kernels ga__kernels_avx512;

#endif
