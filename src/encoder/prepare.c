/* prepare.c: from a model as it is published to one that is ready to be used.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "encoder/layout.h"
#include "encoder/published.h"

enum { ALIGN = 64 };

/* ---- the prepared file ---- */

/* First its header is written, then its data are filled in, in the same walk
 * over the layout. */
typedef struct {
    char *out;
    ga_buf header;
    size_t used; /* bytes of the data, up to where the next tensor begins */
    size_t end;  /* and without what fills up the last */
    char *data;  /* NULL while the header is written */
    ga_error *err;
} target;

static ga_status describe(void *arg, const ga_slot *slot)
{
    target *t = arg;
    if (!ga__add_size(t->used, ga__slot_bytes(slot), &t->end) ||
        t->end > SIZE_MAX / 2)
        return ga__fail_nomem(t->err, SIZE_MAX);
    ga_status rc = ga__buf_printf(
        &t->header, t->err, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[",
        t->header.len ? "," : "", slot->name, ga__dtype_name(slot->dtype));
    for (size_t i = 0; i < slot->rank && !rc; i++)
        rc = ga__buf_printf(&t->header, t->err, "%s%llu", i ? "," : "",
                            (unsigned long long)slot->shape[i]);
    if (!rc)
        rc = ga__buf_printf(&t->header, t->err, "],\"data_offsets\":[%zu,%zu]}",
                            t->used, t->end);
    t->used = (t->end + ALIGN - 1) / ALIGN * ALIGN;
    return rc;
}

static ga_status place(void *arg, const ga_slot *slot)
{
    target *t = arg;
    const void *at = t->data + t->used;
    memcpy((void *)slot->place, &at, sizeof(at));
    t->used += (ga__slot_bytes(slot) + ALIGN - 1) / ALIGN * ALIGN;
    return GA_OK;
}

/* The file with its header, its data still zero. */
static ga_status make_file(const ga_encoder_config *config,
                           ga_precision precision, ga_weights *w, target *t,
                           size_t *bytes)
{
    ga__buf_init(&t->header, SIZE_MAX / 2);
    ga_status rc = ga__layout_walk(config, precision, w, describe, t);
    if (rc)
        return rc;
    const char *const open = "{", *const close = "}";
    size_t length = t->header.len + strlen(open) + strlen(close);
    size_t start = (sizeof(uint64_t) + length + ALIGN - 1) / ALIGN * ALIGN;
    uint64_t said = start - sizeof(uint64_t); /* spaces fill it up */
    *bytes = start + t->end;
    t->out = ga__alloc_aligned(start + t->used, 1);
    if (!t->out)
        return ga__fail_nomem(t->err, start + t->used);
    memset(t->out, ' ', start);
    memset(t->out + start, 0, t->used);
    memcpy(t->out, &said, sizeof(said));
    memcpy(t->out + sizeof(said), open, 1);
    memcpy(t->out + sizeof(said) + 1, t->header.ptr, t->header.len);
    memcpy(t->out + sizeof(said) + 1 + t->header.len, close, 1);
    t->data = t->out + start;
    t->used = 0;
    return ga__layout_walk(config, precision, w, place, t);
}

/* ---- from one to the other ---- */

typedef struct {
    const ga_encoder_config *config;
    ga_number type;
    float *rows; /* a linear layer's weights, [N, K] */
    float *most; /* [H], of the columns of it */
    ga_error *err;
} preparer;

/* What was found as const in a file that is now being made. */
static void *made(const void *slot)
{
    return (void *)(uintptr_t)slot;
}

static void fill(const void *slot, const ga_tensor *t, size_t n)
{
    ga__tensor_floats(t, 0, n, made(slot));
}

static void fill_norm(const ga_norm *n, const ga_published_norm *from, size_t H)
{
    fill(n->gamma, from->gamma, H);
    fill(n->beta, from->beta, H);
}

static ga_status not_finite(const preparer *p, const char *what)
{
    return ga__fail(p->err, GA_FORMAT,
                    "a weight of %s is not finite: the file is damaged", what);
}

/* Activations of a few channels are far greater than the rest, and a row's
 * 8 bits must span them all.  Their size is moved into the weights, half of it
 * on the scale of logarithms (SmoothQuant: Xiao et al., 2023), where each row
 * has a scale of its own.  The activations come from a layer norm, whose gamma
 * and beta say how large they are: no data are needed.  Of query, key and value
 * the last decides: it goes into the output, the others only into weights of a
 * softmax (error of the embedding 0.0006 instead of 0.0009 with all three). */
static void choose_factor(const preparer *p, const ga_linear *l, size_t parts,
                          const ga_norm *before, float *factor)
{
    const float least = 1e-5F;
    double sum = 0;
    memset(p->most, 0, l->K * sizeof(*p->most));
    for (size_t n = l->N - l->N / parts; n < l->N; n++) {
        for (size_t k = 0; k < l->K; k++)
            p->most[k] = fmaxf(p->most[k], fabsf(p->rows[n * l->K + k]));
    }
    for (size_t k = 0; k < l->K; k++) {
        float size = 3 * fabsf(before->gamma[k]) + fabsf(before->beta[k]);
        factor[k] = sqrtf(fmaxf(p->most[k], least) / fmaxf(size, least));
        sum += log((double)factor[k]);
    }
    float middle = (float)exp(sum / (double)l->K);
    for (size_t k = 0; k < l->K; k++)
        factor[k] /= middle;
}

static ga_status fill_linear(const preparer *p, const ga_linear *l,
                             const ga_published_linear *from,
                             const ga_norm *before)
{
    size_t rows = from->N / from->parts;
    for (size_t part = 0; part < from->parts; part++) {
        ga__tensor_floats(from->weight[part], 0, rows * from->K,
                          p->rows + part * rows * from->K);
        ga__tensor_floats(from->bias[part], 0, rows,
                          (float *)made(l->bias) + part * rows);
    }
    if (p->type == GA_F32)
        ga__pack_f32(made(l->w), p->rows, l->N, l->K);
    if (p->type == GA_BF16)
        ga__pack_bf16(made(l->w), p->rows, l->N, l->K);
    if (p->type != GA_INT8)
        return GA_OK;
    if (before) {
        choose_factor(p, l, from->parts, before, made(l->factor));
        for (size_t k = 0; k < l->K; k++)
            p->most[k] = 1 / l->factor[k];
    }
    if (!ga__pack_int8(made(l->w), made(l->scale), made(l->sum), p->rows,
                       before ? p->most : NULL, l->N, l->K))
        return not_finite(p, "a linear layer");
    return GA_OK;
}

/* Rows of the word embeddings in 8 bits, each with a scale of its own. */
static ga_status fill_words8(const preparer *p, const ga_weights *w,
                             const ga_tensor *words)
{
    const size_t H = p->config->hidden, V = p->config->vocab;
    int8_t *q = made(w->words);
    float *scale = made(w->word_scale);
    for (size_t v = 0; v < V; v++) {
        float most = 0;
        ga__tensor_floats(words, v * H, H, p->rows);
        for (size_t h = 0; h < H; h++) {
            most = fmaxf(most, fabsf(p->rows[h]));
            if (!isfinite(p->rows[h]))
                return not_finite(p, "the word embeddings");
        }
        scale[v] = most / 127.0F;
        for (size_t h = 0; h < H; h++)
            q[v * H + h] =
                (int8_t)(most > 0 ? rintf(p->rows[h] * (127.0F / most)) : 0);
    }
    return GA_OK;
}

static ga_status fill_words(const preparer *p, const ga_weights *w,
                            const ga_tensor *words)
{
    const size_t H = p->config->hidden, V = p->config->vocab;
    if (p->type == GA_INT8)
        return fill_words8(p, w, words);
    if (p->type == GA_F32) {
        fill(w->words, words, V * H);
        return GA_OK;
    }
    uint16_t *q = made(w->words);
    for (size_t v = 0; v < V; v++) {
        ga__tensor_floats(words, v * H, H, p->rows);
        for (size_t h = 0; h < H; h++)
            q[v * H + h] = ga__bf16(p->rows[h]);
    }
    return GA_OK;
}

static ga_status fill_embeddings(const preparer *p, const ga_weights *w,
                                 const ga_published *m)
{
    const size_t H = p->config->hidden, P = p->config->positions;
    float *positions = made(w->positions), *type = p->most;
    fill(positions, m->positions, P * H);
    ga__tensor_floats(m->types, 0, H, type);
    for (size_t i = 0; i < P * H; i++)
        positions[i] += type[i % H];
    fill_norm(&w->embedding_norm, &m->norm, H);
    return fill_words(p, w, m->words);
}

static ga_status fill_layers(const preparer *p, const ga_weights *w,
                             const ga_published *m)
{
    const size_t H = p->config->hidden;
    const ga_norm *before = &w->embedding_norm;
    ga_status rc = GA_OK;
    for (size_t i = 0; i < p->config->layers && !rc; i++) {
        const ga_layer *l = &w->layers[i];
        const ga_published_layer *from = &m->layers[i];
        fill_norm(&l->attention_norm, &from->attention_norm, H);
        fill_norm(&l->output_norm, &from->output_norm, H);
        rc = fill_linear(p, &l->qkv, &from->qkv, before);
        if (!rc)
            rc = fill_linear(p, &l->out, &from->out, NULL);
        if (!rc)
            rc = fill_linear(p, &l->up, &from->up, &l->attention_norm);
        if (!rc)
            rc = fill_linear(p, &l->down, &from->down, NULL);
        before = &l->output_norm;
    }
    return rc;
}

static ga_status fill_model(const ga_encoder_config *config, ga_number type,
                            const ga_weights *w, const ga_published *m,
                            ga_error *err)
{
    const size_t H = config->hidden, I = config->intermediate;
    size_t most = I > 3 * H ? I : 3 * H;
    preparer p = {.config = config,
                  .type = type,
                  .rows = ga__calloc(most, H * sizeof(float)),
                  .most = ga__calloc(I > H ? I : H, sizeof(float)),
                  .err = err};
    ga_status rc = GA_OK;
    if (!p.rows || !p.most)
        rc = ga__fail_nomem(err, most * H * sizeof(float));
    if (!rc)
        rc = fill_embeddings(&p, w, m);
    if (!rc)
        rc = fill_layers(&p, w, m);
    free(p.most);
    free(p.rows);
    return rc;
}

ga_status ga__prepare(const ga_encoder_config *config, ga_str safetensors,
                      ga_precision precision, char **out, size_t *bytes,
                      ga_error *err)
{
    ga_published m;
    target t = {.err = err};
    *out = NULL;
    ga_status rc = ga__published_open(config, safetensors, &m, err);
    if (rc)
        return rc;
    ga_weights w = {.layers = ga__calloc(config->layers, sizeof(*w.layers))};
    if (!w.layers)
        rc = ga__fail_nomem(err, config->layers * sizeof(*w.layers));
    if (!rc)
        rc = make_file(config, precision, &w, &t, bytes);
    if (!rc)
        rc = fill_model(config, ga__precision_number(precision), &w, &m, err);
    if (!rc)
        *out = t.out;
    else
        free(t.out);
    ga__buf_free(&t.header);
    free(w.layers);
    ga__published_close(&m);
    return rc;
}
