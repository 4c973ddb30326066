/* safetensors.h: the tensors of a safetensors file, checked and not copied.
 *
 * Source: the format of github.com/huggingface/safetensors: eight bytes with
 * the length of a JSON header, the header, and the data it points into.
 * Knows nothing of what the tensors are for. */
#ifndef GA_ENCODER_SAFETENSORS_H
#define GA_ENCODER_SAFETENSORS_H

#include "base/mem.h"

/* X(name, bytes of an element) */
#define GA_DTYPE_MAP(X)                                                        \
    X(F32, 4)                                                                  \
    X(F16, 2)                                                                  \
    X(BF16, 2)                                                                 \
    X(F64, 8)                                                                  \
    X(I64, 8)                                                                  \
    X(I32, 4)                                                                  \
    X(I16, 2)                                                                  \
    X(I8, 1)                                                                   \
    X(U64, 8)                                                                  \
    X(U32, 4)                                                                  \
    X(U16, 2)                                                                  \
    X(U8, 1)                                                                   \
    X(BOOL, 1)                                                                 \
    X(F8_E4M3, 1)                                                              \
    X(F8_E5M2, 1)

typedef enum {
#define GA_DTYPE_ENUM(name, bytes) GA_DTYPE_##name,
    GA_DTYPE_MAP(GA_DTYPE_ENUM)
#undef GA_DTYPE_ENUM
        GA_DTYPE_COUNT
} ga_dtype;

enum { GA_MAX_RANK = 8 };

typedef struct {
    ga_str name; /* borrowed from the file */
    ga_dtype dtype;
    size_t rank;
    uint64_t shape[GA_MAX_RANK];
    uint64_t start, end; /* in the data */
    const uint8_t *data; /* little-endian, aligned to nothing */
} ga_tensor;

typedef struct {
    ga_tensor *tensors; /* in the order of their names */
    size_t count;
} ga_safetensors;

#define GA_SAFETENSORS_INIT ((ga_safetensors){0})

/* Read the header of a whole file in memory and check every tensor: a known
 * type, a size that is shape times type, inside the file, no overlap, no name
 * twice.  The bytes are borrowed and must outlive it.
 * Errors: GA_FORMAT, GA_UNSUPPORTED an unknown type, GA_LIMIT, GA_NOMEM; they
 * name the tensor.  On failure there is nothing to free. */
ga_status ga__safetensors_open(ga_str file, ga_safetensors *out, ga_error *err);
void ga__safetensors_close(ga_safetensors *st);

/* NULL when there is none. */
const ga_tensor *ga__safetensors_find(const ga_safetensors *st,
                                      const char *name);

/* Of one element; and "F32". */
size_t ga__dtype_bytes(ga_dtype dtype);
const char *ga__dtype_name(ga_dtype dtype);

/* "F32 [30522, 384]" for messages, cut where it does not fit. */
void ga__tensor_describe(const ga_tensor *t, char *out, size_t cap);

/* Elements first to first + count of an F32, F16 or BF16 tensor as float32,
 * and whether it is one. */
bool ga__tensor_is_float(const ga_tensor *t);
void ga__tensor_floats(const ga_tensor *t, size_t first, size_t count,
                       float *out);

#endif
