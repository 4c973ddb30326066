/* safetensors.c: reading the header of a safetensors file. */
#include "encoder/safetensors.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/utf8.h"

enum { PREFIX = 8, NAME_SHOWN = 128 }; /* bytes */

static const struct {
    const char *name;
    unsigned bytes;
} dtypes[] = {
#define GA_DTYPE_ROW(name, bytes) {#name, bytes},
    GA_DTYPE_MAP(GA_DTYPE_ROW)
#undef GA_DTYPE_ROW
};

typedef struct {
    ga_json header;
    ga_str data;
    ga_safetensors *st;
    ga_error *err;
} reader;

static uint64_t little_endian(const char *p, unsigned bytes)
{
    uint64_t v = 0;
    for (unsigned i = bytes; i-- > 0;)
        v = v << 8 | (unsigned char)p[i];
    return v;
}

/* A failure that names the tensor. */
static ga_status fail(const reader *r, ga_status status, const ga_tensor *t,
                      const char *what)
{
    size_t shown = ga__utf8_prefix(t->name, NAME_SHOWN);
    return ga__fail(r->err, status, "tensor '%.*s': %s", (int)shown,
                    t->name.ptr, what);
}

static ga_status read_dtype(const reader *r, uint32_t value, ga_tensor *t)
{
    const ga_json *doc = &r->header;
    uint32_t node = ga__json_get(doc, value, "dtype");
    if (node == GA_JSON_NONE || ga__json_type(doc, node) != GA_JSON_STRING)
        return fail(r, GA_FORMAT, t, "\"dtype\" is missing");
    for (unsigned d = 0; d < GA_DTYPE_COUNT; d++) {
        if (ga__json_is(doc, node, dtypes[d].name)) {
            t->dtype = (ga_dtype)d;
            return GA_OK;
        }
    }
    return fail(r, GA_UNSUPPORTED, t, "\"dtype\" is of an unknown type");
}

/* The shape, and the number of bytes that it takes. */
static ga_status read_shape(const reader *r, uint32_t value, ga_tensor *t,
                            uint64_t *bytes)
{
    const ga_json *doc = &r->header;
    uint32_t node = ga__json_get(doc, value, "shape");
    if (node == GA_JSON_NONE || ga__json_type(doc, node) != GA_JSON_ARRAY)
        return fail(r, GA_FORMAT, t, "\"shape\" is missing");
    if (doc->nodes[node].count > GA_MAX_RANK)
        return fail(r, GA_UNSUPPORTED, t,
                    "\"shape\" has more than 8 dimensions");
    *bytes = dtypes[t->dtype].bytes;
    for (uint32_t n = ga__json_first(node); n < doc->nodes[node].next;
         n = ga__json_next(doc, n)) {
        uint64_t *dim = &t->shape[t->rank++];
        if (!ga__json_uint(doc, n, UINT64_MAX, dim))
            return fail(r, GA_FORMAT, t,
                        "\"shape\" holds something that is no size");
        if (__builtin_mul_overflow(*bytes, *dim, bytes))
            return fail(r, GA_FORMAT, t, "\"shape\" overflows");
    }
    return GA_OK;
}

static ga_status read_offsets(const reader *r, uint32_t value, ga_tensor *t)
{
    const ga_json *doc = &r->header;
    uint32_t node = ga__json_get(doc, value, "data_offsets");
    if (node == GA_JSON_NONE || ga__json_type(doc, node) != GA_JSON_ARRAY ||
        doc->nodes[node].count != 2)
        return fail(r, GA_FORMAT, t, "\"data_offsets\" is missing");
    uint32_t first = ga__json_first(node);
    if (!ga__json_uint(doc, first, UINT64_MAX, &t->start) ||
        !ga__json_uint(doc, ga__json_next(doc, first), UINT64_MAX, &t->end) ||
        t->start > t->end)
        return fail(r, GA_FORMAT, t, "\"data_offsets\" are no range");
    if (t->end > r->data.len)
        return fail(r, GA_FORMAT, t,
                    "the data ends behind the end of the file");
    return GA_OK;
}

static ga_status read_tensor(const reader *r, uint32_t key, ga_tensor *t)
{
    uint64_t bytes = 0;
    *t = (ga_tensor){.name = ga__json_raw(&r->header, key)};
    if (r->header.nodes[key].escaped) /* or a name could be there twice */
        return fail(r, GA_UNSUPPORTED, t, "an escape in the name");
    ga_status rc = read_dtype(r, key + 1, t);
    if (!rc)
        rc = read_shape(r, key + 1, t, &bytes);
    if (!rc)
        rc = read_offsets(r, key + 1, t);
    if (!rc && bytes != t->end - t->start) {
        char what[96];
        snprintf(what, sizeof(what),
                 "the shape needs %" PRIu64 " bytes, the data has %" PRIu64,
                 bytes, t->end - t->start);
        rc = fail(r, GA_FORMAT, t, what);
    }
    if (!rc)
        t->data = (const uint8_t *)r->data.ptr + t->start;
    return rc;
}

static int by_place(const void *a, const void *b)
{
    const ga_tensor *x = a, *y = b;
    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

static int by_name(const void *a, const void *b)
{
    const ga_str *x = &((const ga_tensor *)a)->name;
    const ga_str *y = &((const ga_tensor *)b)->name;
    size_t n = x->len < y->len ? x->len : y->len;
    int c = n ? memcmp(x->ptr, y->ptr, n) : 0;
    if (c)
        return c;
    return x->len < y->len ? -1 : x->len > y->len;
}

static ga_status check_overlap(const reader *r)
{
    const ga_tensor *t = r->st->tensors;
    uint64_t taken = 0; /* bytes from the start that some tensor has */
    qsort(r->st->tensors, r->st->count, sizeof(*t), by_place);
    for (; t < r->st->tensors + r->st->count; t++) {
        if (t->start == t->end)
            continue;
        if (t->start < taken)
            return fail(r, GA_FORMAT, t, "its data overlaps another tensor's");
        taken = t->end;
    }
    return GA_OK;
}

/* Leaves the tensors in the order of their names. */
static ga_status check_names(const reader *r)
{
    const ga_tensor *t = r->st->tensors;
    qsort(r->st->tensors, r->st->count, sizeof(*t), by_name);
    for (size_t i = 1; i < r->st->count; i++) {
        if (by_name(&t[i - 1], &t[i]) == 0)
            return fail(r, GA_FORMAT, &t[i], "is there twice");
    }
    return GA_OK;
}

static ga_status read_tensors(const reader *r)
{
    const ga_json *doc = &r->header;
    ga_status rc = GA_OK;
    if (doc->nodes[0].type != GA_JSON_OBJECT)
        return ga__fail(r->err, GA_FORMAT, "the header is no JSON object");
    if (doc->nodes[0].count > GA_MAX_TENSORS)
        return ga__fail(r->err, GA_LIMIT, "%u tensors, the limit is %u",
                        doc->nodes[0].count, GA_MAX_TENSORS);
    r->st->tensors = ga__calloc(doc->nodes[0].count, sizeof(ga_tensor));
    if (!r->st->tensors)
        return ga__fail_nomem(r->err, doc->nodes[0].count * sizeof(ga_tensor));
    for (uint32_t k = ga__json_first(0); k < doc->nodes[0].next && !rc;
         k = ga__json_next(doc, k + 1)) {
        if (!ga__json_is(doc, k, "__metadata__"))
            rc = read_tensor(r, k, &r->st->tensors[r->st->count++]);
    }
    return rc;
}

ga_status ga__safetensors_open(ga_str file, ga_safetensors *out, ga_error *err)
{
    reader r = {.st = out, .err = err};
    *out = GA_SAFETENSORS_INIT;
    if (file.len < PREFIX)
        return ga__fail(err, GA_FORMAT, "%zu bytes are no safetensors file",
                        file.len);
    uint64_t header_len = little_endian(file.ptr, PREFIX);
    if (header_len > file.len - PREFIX)
        return ga__fail(err, GA_FORMAT,
                        "no safetensors file, or cut off: a header of %" PRIu64
                        " bytes in a file of %zu",
                        header_len, file.len);
    if (header_len > GA_MAX_TENSOR_HEADER)
        return ga__fail(err, GA_LIMIT,
                        "a header of %" PRIu64 " bytes, the limit is %u",
                        header_len, GA_MAX_TENSOR_HEADER);
    ga_str header = {file.ptr + PREFIX, (size_t)header_len};
    r.data.ptr = header.ptr + header.len;
    r.data.len = file.len - PREFIX - header.len;
    ga_status rc = ga__json_parse(&r.header, header, err);
    if (rc)
        ga__error_prefix(err, "header");
    if (!rc)
        rc = read_tensors(&r);
    if (!rc)
        rc = check_overlap(&r);
    if (!rc)
        rc = check_names(&r);
    ga__json_free(&r.header);
    if (rc)
        ga__safetensors_close(out);
    return rc;
}

void ga__safetensors_close(ga_safetensors *st)
{
    free(st->tensors);
    *st = GA_SAFETENSORS_INIT;
}

const ga_tensor *ga__safetensors_find(const ga_safetensors *st,
                                      const char *name)
{
    ga_tensor wanted = {.name = ga__str(name)};
    if (st->count == 0)
        return NULL;
    return bsearch(&wanted, st->tensors, st->count, sizeof(wanted), by_name);
}

size_t ga__dtype_bytes(ga_dtype dtype)
{
    return dtypes[dtype].bytes;
}

const char *ga__dtype_name(ga_dtype dtype)
{
    return dtypes[dtype].name;
}

void ga__tensor_describe(const ga_tensor *t, char *out, size_t cap)
{
    int n = snprintf(out, cap, "%s [", dtypes[t->dtype].name);
    for (size_t i = 0; i < t->rank && n > 0 && (size_t)n < cap; i++) {
        int more = snprintf(out + n, cap - (size_t)n, "%s%" PRIu64,
                            i ? ", " : "", t->shape[i]);
        n = more < 0 ? more : n + more;
    }
    if (n > 0 && (size_t)n < cap)
        snprintf(out + n, cap - (size_t)n, "]");
}

bool ga__tensor_is_float(const ga_tensor *t)
{
    return t->dtype == GA_DTYPE_F32 || t->dtype == GA_DTYPE_F16 ||
           t->dtype == GA_DTYPE_BF16;
}

static float from_bits(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof(f));
    return f;
}

/* IEEE 754 binary16: sign, five bits of exponent (bias 15), ten of fraction. */
static float from_half(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16;
    uint32_t exponent = h >> 10 & 0x1Fu, fraction = h & 0x3FFu;
    if (exponent == 0) {
        float f = (float)fraction * 0x1p-24f;
        return sign ? -f : f;
    }
    if (exponent == 0x1Fu)
        return from_bits(sign | 0x7F800000u | fraction << 13);
    return from_bits(sign | (exponent + 112) << 23 | fraction << 13);
}

void ga__tensor_floats(const ga_tensor *t, size_t first, size_t count,
                       float *out)
{
    const unsigned bytes = dtypes[t->dtype].bytes;
    const char *p = (const char *)t->data + first * bytes;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    if (t->dtype == GA_DTYPE_F32) {
        memcpy(out, p, count * sizeof(*out));
        return;
    }
#endif
    for (size_t i = 0; i < count; i++, p += bytes) {
        uint32_t bits = (uint32_t)little_endian(p, bytes);
        out[i] = t->dtype == GA_DTYPE_F16    ? from_half((uint16_t)bits)
                 : t->dtype == GA_DTYPE_BF16 ? from_bits(bits << 16)
                                             : from_bits(bits);
    }
}
