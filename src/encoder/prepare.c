/* prepare.c: from a model as it is published to one that is ready to be used.
 *
 * The tensors of the published file are found and checked before memory for
 * the prepared one is taken: nothing is allocated by the word of a file that
 * does not hold the data. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "encoder/layout.h"

enum { MAX_NAME = 160, ALIGN = 64 };

/* ---- the published file ---- */

typedef struct {
    const ga_encoder_config *config;
    ga_safetensors tensors;
    const char *prefix; /* in front of every name */
    ga_error *err;
} source;

/* Find a tensor by the end of its name, one of two spellings, and check it.
 * columns = 0 stands for a vector. */
static ga_status find(const source *s, const char *name, const char *other,
                      size_t rows, size_t columns, const ga_tensor **out)
{
    char full[MAX_NAME], found[128], wanted[64];
    const ga_tensor *t = NULL;
    const char *spellings[2] = {name, other};
    for (int i = 0; i < 2 && !t && spellings[i]; i++) {
        snprintf(full, sizeof(full), "%s%s", s->prefix, spellings[i]);
        t = ga__safetensors_find(&s->tensors, full);
    }
    if (!t)
        return ga__fail(s->err, GA_FORMAT, "tensor '%s%s' is missing",
                        s->prefix, name);
    ga__tensor_describe(t, found, sizeof(found));
    if (!ga__tensor_is_float(t))
        return ga__fail(s->err, GA_UNSUPPORTED,
                        "tensor '%s' is %s, only F32, F16 and BF16 are "
                        "supported",
                        full, found);
    bool matches =
        columns ? t->rank == 2 && t->shape[1] == columns : t->rank == 1;
    if (!matches || t->shape[0] != rows) {
        if (columns)
            snprintf(wanted, sizeof(wanted), "[%zu, %zu]", rows, columns);
        else
            snprintf(wanted, sizeof(wanted), "[%zu]", rows);
        return ga__fail(s->err, GA_FORMAT,
                        "tensor '%s' is %s, %s was expected from the "
                        "configuration",
                        full, found, wanted);
    }
    *out = t;
    return GA_OK;
}

/* The tensors of a linear layer, or the three of query, key and value. */
typedef struct {
    size_t parts, N, K; /* [N / parts, K] each */
    const ga_tensor *weight[3], *bias[3];
} linear_source;

typedef struct {
    const ga_tensor *gamma, *beta;
} norm_source;

typedef struct {
    linear_source qkv, out, up, down;
    norm_source attention_norm, output_norm;
} layer_source;

typedef struct {
    const ga_tensor *words, *positions, *types;
    norm_source norm;
    layer_source *layers; /* [L] */
} model_source;

static ga_status find_linear(const source *s, size_t layer,
                             const char *const *names, size_t parts, size_t N,
                             size_t K, linear_source *out)
{
    ga_status rc = GA_OK;
    *out = (linear_source){.parts = parts, .N = N, .K = K};
    for (size_t p = 0; p < parts && !rc; p++) {
        char name[MAX_NAME];
        snprintf(name, sizeof(name), "encoder.layer.%zu.%s.weight", layer,
                 names[p]);
        rc = find(s, name, NULL, N / parts, K, &out->weight[p]);
        snprintf(name, sizeof(name), "encoder.layer.%zu.%s.bias", layer,
                 names[p]);
        if (!rc)
            rc = find(s, name, NULL, N / parts, 0, &out->bias[p]);
    }
    return rc;
}

/* Checkpoints that came from TensorFlow call them gamma and beta,
 * bert-base-uncased among them. */
static ga_status find_norm(const source *s, const char *name, norm_source *out)
{
    char weight[MAX_NAME], gamma[MAX_NAME], bias[MAX_NAME], beta[MAX_NAME];
    snprintf(weight, sizeof(weight), "%s.weight", name);
    snprintf(gamma, sizeof(gamma), "%s.gamma", name);
    snprintf(bias, sizeof(bias), "%s.bias", name);
    snprintf(beta, sizeof(beta), "%s.beta", name);
    ga_status rc = find(s, weight, gamma, s->config->hidden, 0, &out->gamma);
    return rc ? rc : find(s, bias, beta, s->config->hidden, 0, &out->beta);
}

static ga_status find_layer(const source *s, size_t i, layer_source *out)
{
    static const char *const qkv[] = {
        "attention.self.query", "attention.self.key", "attention.self.value"};
    static const char *const after[] = {"attention.output.dense"};
    static const char *const up[] = {"intermediate.dense"};
    static const char *const down[] = {"output.dense"};
    const size_t H = s->config->hidden, I = s->config->intermediate;
    char name[MAX_NAME];
    ga_status rc = find_linear(s, i, qkv, 3, 3 * H, H, &out->qkv);
    if (!rc)
        rc = find_linear(s, i, after, 1, H, H, &out->out);
    if (!rc)
        rc = find_linear(s, i, up, 1, I, H, &out->up);
    if (!rc)
        rc = find_linear(s, i, down, 1, H, I, &out->down);
    snprintf(name, sizeof(name), "encoder.layer.%zu.attention.output.LayerNorm",
             i);
    if (!rc)
        rc = find_norm(s, name, &out->attention_norm);
    snprintf(name, sizeof(name), "encoder.layer.%zu.output.LayerNorm", i);
    return rc ? rc : find_norm(s, name, &out->output_norm);
}

/* The model may be the whole of the file, or one part of it. */
static ga_status find_prefix(source *s)
{
    static const char *const prefixes[] = {
        "",
        "bert.",
        "question_encoder.bert_model.",
        "ctx_encoder.bert_model.",
        "question_model.",
    };
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++) {
        char name[MAX_NAME];
        snprintf(name, sizeof(name), "%sembeddings.word_embeddings.weight",
                 prefixes[i]);
        if (ga__safetensors_find(&s->tensors, name)) {
            s->prefix = prefixes[i];
            return GA_OK;
        }
    }
    return ga__fail(s->err, GA_FORMAT,
                    "no tensor 'embeddings.word_embeddings.weight', not "
                    "behind 'bert.' or a DPR encoder's name either");
}

static ga_status find_model(source *s, model_source *out)
{
    const ga_encoder_config *c = s->config;
    ga_status rc = find_prefix(s);
    if (!rc)
        rc = find(s, "embeddings.word_embeddings.weight", NULL, c->vocab,
                  c->hidden, &out->words);
    if (!rc)
        rc = find(s, "embeddings.position_embeddings.weight", NULL,
                  c->positions, c->hidden, &out->positions);
    if (!rc)
        rc = find(s, "embeddings.token_type_embeddings.weight", NULL, c->types,
                  c->hidden, &out->types);
    if (!rc)
        rc = find_norm(s, "embeddings.LayerNorm", &out->norm);
    for (size_t i = 0; i < c->layers && !rc; i++)
        rc = find_layer(s, i, &out->layers[i]);
    return rc;
}

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

static void fill_norm(const ga_norm *n, const norm_source *from, size_t H)
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
                             const linear_source *from, const ga_norm *before)
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
                                 const model_source *m)
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
                             const model_source *m)
{
    const size_t H = p->config->hidden;
    const ga_norm *before = &w->embedding_norm;
    ga_status rc = GA_OK;
    for (size_t i = 0; i < p->config->layers && !rc; i++) {
        const ga_layer *l = &w->layers[i];
        const layer_source *from = &m->layers[i];
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
                            const ga_weights *w, const model_source *m,
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
    source s = {.config = config, .err = err};
    target t = {.err = err};
    *out = NULL;
    ga_status rc = ga__safetensors_open(safetensors, &s.tensors, err);
    if (rc)
        return rc;
    model_source m = {.layers = ga__calloc(config->layers, sizeof(*m.layers))};
    ga_weights w = {.layers = ga__calloc(config->layers, sizeof(*w.layers))};
    if (!m.layers || !w.layers)
        rc = ga__fail_nomem(err, config->layers * sizeof(*m.layers));
    if (!rc)
        rc = find_model(&s, &m);
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
    free(m.layers);
    ga__safetensors_close(&s.tensors);
    return rc;
}
