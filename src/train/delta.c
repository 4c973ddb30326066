/* delta.c: what training changed, in 8 bits. */
#include "train/delta.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"
#include "base/sha256.h"
#include "encoder/safetensors.h"

/* The model that the differences belong to: the hash of all its values. */
enum { BASE = 32 };
static const char base_name[] = "base";

static void hash_values(const float *values, const ga_parameter *p,
                        size_t count, uint8_t digest[BASE])
{
    ga__sha256_of(values,
                  (p[count - 1].at + p[count - 1].count) * sizeof(*values),
                  digest);
}

/* ---- writing ---- */

typedef struct {
    const float *value, *from;
    ga_buf header;
    size_t at; /* in the data */
    FILE *out; /* NULL while the header is made */
    int8_t *q; /* a matrix in 8 bits */
    float *scale;
    ga_error *err;
} writer;

static bool differs(const writer *w, const ga_parameter *p)
{
    return memcmp(w->value + p->at, w->from + p->at,
                  p->count * sizeof(float)) != 0;
}

static ga_status describe(writer *w, const char *name, const char *more,
                          const char *dtype, const char *shape, size_t bytes)
{
    ga_status rc = ga__buf_printf(
        &w->header, w->err,
        "%s\"%s%s\":{\"dtype\":\"%s\",\"shape\":[%s],\"data_offsets\":[%zu,"
        "%zu]}",
        w->at ? "," : "", name, more, dtype, shape, w->at, w->at + bytes);
    w->at += bytes;
    return rc;
}

static ga_status describe_tensor(writer *w, const ga_parameter *p)
{
    char rows[32], matrix[64];
    snprintf(rows, sizeof(rows), "%zu", p->rows);
    snprintf(matrix, sizeof(matrix), "%zu,%zu", p->rows, p->columns);
    if (!p->columns)
        return describe(w, p->name, "", "F32", rows, p->count * sizeof(float));
    ga_status rc = describe(w, p->name, "", "I8", matrix, p->count);
    return rc ? rc
              : describe(w, p->name, ".scale", "F32", rows,
                         p->rows * sizeof(float));
}

/* The tensor's numbers to the file: the differences of a vector, or those of a
 * matrix rounded. */
static void write_tensor(writer *w, const ga_parameter *p)
{
    const float *value = w->value + p->at, *from = w->from + p->at;
    for (size_t i = 0; !p->columns && i < p->count; i++) {
        float d = value[i] - from[i];
        (void)fwrite(&d, sizeof(d), 1, w->out);
    }
    if (!p->columns)
        return;
    for (size_t r = 0; r < p->rows; r++) {
        const float *a = value + r * p->columns, *b = from + r * p->columns;
        float most = 0;
        for (size_t c = 0; c < p->columns; c++)
            most = fmaxf(most, fabsf(a[c] - b[c]));
        w->scale[r] = most / 127.0F;
        for (size_t c = 0; c < p->columns; c++)
            w->q[r * p->columns + c] =
                (int8_t)(w->scale[r] > 0 ? rintf((a[c] - b[c]) / w->scale[r])
                                         : 0);
    }
    (void)fwrite(w->q, 1, p->count, w->out);
    (void)fwrite(w->scale, sizeof(*w->scale), p->rows, w->out);
}

static ga_status write_all(writer *w, const ga_parameter *p, size_t count)
{
    uint8_t base[BASE];
    ga_status rc = ga__buf_printf(&w->header, w->err, "{");
    if (!rc)
        rc = describe(w, base_name, "", "U8", "32", BASE);
    for (size_t i = 0; i < count && !rc; i++) {
        if (differs(w, &p[i]))
            rc = describe_tensor(w, &p[i]);
    }
    if (!rc)
        rc = ga__buf_printf(&w->header, w->err, "}");
    while (!rc && w->header.len % 8)
        rc = ga__buf_printf(&w->header, w->err, " ");
    if (rc)
        return rc;
    uint64_t length = w->header.len; /* machines are little-endian here */
    (void)fwrite(&length, sizeof(length), 1, w->out);
    (void)fwrite(w->header.ptr, 1, w->header.len, w->out);
    hash_values(w->from, p, count, base);
    (void)fwrite(base, 1, sizeof(base), w->out);
    for (size_t i = 0; i < count; i++) {
        if (differs(w, &p[i]))
            write_tensor(w, &p[i]);
    }
    return GA_OK;
}

ga_status ga__delta_write(ga_net *net, const float *from, const char *path,
                          ga_error *err)
{
    size_t count, most = 0, rows = 0;
    const ga_parameter *p = ga__net_parameters(net, &count);
    ga_atomic_file f = GA_ATOMIC_FILE_INIT;
    for (size_t i = 0; i < count; i++) {
        most = p[i].count > most ? p[i].count : most;
        rows = p[i].rows > rows ? p[i].rows : rows;
    }
    ga__net_settle(net);
    writer w = {.value = ga__net_values(net),
                .from = from,
                .q = ga__calloc(most, 1),
                .scale = ga__calloc(rows, sizeof(float)),
                .err = err};
    ga__buf_init(&w.header, SIZE_MAX / 2);
    ga_status rc = w.q && w.scale ? ga__atomic_open(path, &f, err)
                                  : ga__fail_nomem(err, most);
    if (!rc) {
        w.out = f.stream;
        rc = write_all(&w, p, count);
        if (!rc)
            rc = ga__atomic_commit(&f, err);
        ga__atomic_abort(&f);
    }
    ga__buf_free(&w.header);
    free(w.q);
    free(w.scale);
    return rc;
}

/* ---- applying ---- */

/* The parameter that a tensor changes; NULL when there is none of its name and
 * shape. */
static const ga_parameter *changed_by(const ga_tensor *t, const ga_parameter *p,
                                      size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strlen(p[i].name) != t->name.len ||
            memcmp(p[i].name, t->name.ptr, t->name.len) != 0)
            continue;
        bool matrix = p[i].columns > 0;
        bool fits = t->dtype == (matrix ? GA_DTYPE_I8 : GA_DTYPE_F32) &&
                    t->rank == (matrix ? 2 : 1) && t->shape[0] == p[i].rows &&
                    (!matrix || t->shape[1] == p[i].columns);
        return fits ? &p[i] : NULL;
    }
    return NULL;
}

/* A matrix' scales; NULL when they are not there. */
static const ga_tensor *scales_of(const ga_safetensors *st, const ga_tensor *t)
{
    char name[128];
    snprintf(name, sizeof(name), "%.*s.scale", (int)t->name.len, t->name.ptr);
    const ga_tensor *scale = ga__safetensors_find(st, name);
    bool fits = scale && scale->dtype == GA_DTYPE_F32 && scale->rank == 1 &&
                scale->shape[0] == t->shape[0];
    return fits ? scale : NULL;
}

static bool is_scale(const ga_tensor *t)
{
    static const char end[] = ".scale";
    const size_t n = sizeof(end) - 1;
    return t->name.len > n &&
           memcmp(t->name.ptr + t->name.len - n, end, n) == 0;
}

static void add(float *value, const ga_parameter *p, const ga_tensor *t,
                const ga_tensor *scale)
{
    for (size_t i = 0; i < p->count; i++) {
        float x;
        if (!scale) {
            ga__tensor_floats(t, i, 1, &x);
        } else {
            int8_t q;
            ga__tensor_floats(scale, i / p->columns, 1, &x);
            memcpy(&q, t->data + i, 1);
            x *= (float)q;
        }
        value[p->at + i] += x;
    }
}

static bool is_base(const ga_tensor *t)
{
    return t->name.len == strlen(base_name) &&
           memcmp(t->name.ptr, base_name, t->name.len) == 0;
}

static ga_status check_base(ga_net *net, const ga_safetensors *st,
                            ga_error *err)
{
    size_t count;
    uint8_t digest[BASE];
    const ga_parameter *p = ga__net_parameters(net, &count);
    const ga_tensor *base = ga__safetensors_find(st, base_name);
    hash_values(ga__net_values(net), p, count, digest);
    if (!base || base->dtype != GA_DTYPE_U8 || base->rank != 1 ||
        base->shape[0] != BASE || memcmp(base->data, digest, BASE) != 0)
        return ga__fail(err, GA_FORMAT,
                        "it does not belong to this model but to another one");
    return GA_OK;
}

static bool all_finite(const ga_tensor *t)
{
    for (size_t i = 0; i < t->shape[0]; i++) {
        float x;
        ga__tensor_floats(t, i, 1, &x);
        if (!isfinite(x))
            return false;
    }
    return true;
}

/* With `apply` false only whether everything fits. */
static ga_status walk(ga_net *net, const ga_safetensors *st, bool apply,
                      ga_error *err)
{
    size_t count;
    const ga_parameter *p = ga__net_parameters(net, &count);
    for (size_t i = 0; i < st->count; i++) {
        const ga_tensor *t = &st->tensors[i];
        if (is_scale(t) || is_base(t))
            continue;
        const ga_parameter *q = changed_by(t, p, count);
        const ga_tensor *scale = q && q->columns ? scales_of(st, t) : NULL;
        if (!q || (q->columns && !scale))
            return ga__fail(
                err, GA_FORMAT, "tensor '%.*s' does not belong to this model",
                (int)(t->name.len < 96 ? t->name.len : 96), t->name.ptr);
        if (!all_finite(scale ? scale : t))
            return ga__fail(err, GA_FORMAT, "tensor '%.*s' is not finite",
                            (int)(t->name.len < 96 ? t->name.len : 96),
                            t->name.ptr);
        if (apply)
            add(ga__net_values(net), q, t, scale);
    }
    return GA_OK;
}

ga_status ga__delta_apply(ga_net *net, const char *path, ga_error *err)
{
    ga_map map = GA_MAP_INIT;
    ga_safetensors st = GA_SAFETENSORS_INIT;
    ga_status rc = ga__map_open(path, &map, err);
    if (rc)
        return rc;
    rc = ga__safetensors_open((ga_str){(const char *)map.ptr, map.len}, &st,
                              err);
    if (!rc) {
        rc = check_base(net, &st, err);
        if (!rc)
            rc = walk(net, &st, false, err);
        if (!rc)
            rc = walk(net, &st, true, err);
        ga__safetensors_close(&st);
    }
    ga__map_close(&map);
    if (rc) {
        ga__error_prefix(err, "'%s'", path);
        return rc;
    }
    ga__net_repack(net);
    return GA_OK;
}
