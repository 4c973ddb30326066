/* kernels_avx512vnni.c: AVX-512 with dot products of four bytes (VNNI). */
#include "tensor/kernels_avx512.h"
#include "tensor/kernels_avx512vnni.h"

#define GA_KERNELS ga__kernels_avx512vnni
#define GA_KERNELS_NAME "avx512vnni"
#include "tensor/kernels_simd.h"
