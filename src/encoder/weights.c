/* weights.c: from the tensors of a file to what forward reads.
 *
 * The same walk over the model runs twice.  The first finds every tensor,
 * checks it and counts floats; the second, with memory for all of them, copies
 * and packs.  So nothing is allocated by the word of a file that does not hold
 * the data. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "encoder/encoder_internal.h"

enum { MAX_NAME = 160, LINE = 16 /* floats of a cache line */ };

typedef struct {
    const ga_encoder_config *config;
    const ga_kernels *kernels;
    ga_safetensors tensors;
    const char *prefix; /* in front of every name */
    float *memory;      /* NULL on the first walk */
    size_t used;        /* floats */
    float *rows;        /* [3H, H] or [I, H], not yet packed */
    size_t rows_needed; /* floats */
    ga_error *err;
} loader;

/* n floats of the memory, on a cache line; NULL on the first walk. */
static float *take(loader *l, size_t n)
{
    float *out = l->memory ? l->memory + l->used : NULL;
    l->used += (n + LINE - 1) / LINE * LINE;
    return out;
}

/* Find a tensor by the end of its name, one of two spellings, and check it.
 * columns = 0 stands for a vector. */
static ga_status find(const loader *l, const char *name, const char *other,
                      size_t rows, size_t columns, const ga_tensor **out)
{
    char full[MAX_NAME], found[128], wanted[64];
    const ga_tensor *t = NULL;
    const char *spellings[2] = {name, other};
    for (int i = 0; i < 2 && !t && spellings[i]; i++) {
        snprintf(full, sizeof(full), "%s%s", l->prefix, spellings[i]);
        t = ga__safetensors_find(&l->tensors, full);
    }
    if (!t)
        return ga__fail(l->err, GA_FORMAT, "tensor '%s%s' is missing",
                        l->prefix, name);
    ga__tensor_describe(t, found, sizeof(found));
    if (!ga__tensor_is_float(t))
        return ga__fail(l->err, GA_UNSUPPORTED,
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
        return ga__fail(l->err, GA_FORMAT,
                        "tensor '%s' is %s, %s was expected from the "
                        "configuration",
                        full, found, wanted);
    }
    *out = t;
    return GA_OK;
}

static ga_status load_vector(loader *l, const char *name, const char *other,
                             size_t n, float *out)
{
    const ga_tensor *t;
    ga_status rc = find(l, name, other, n, 0, &t);
    if (!rc && out)
        ga__tensor_floats(t, 0, n, out);
    return rc;
}

static ga_status load_norm(loader *l, const char *name, ga_norm *norm)
{
    /* checkpoints that came from TensorFlow have its names, bert-base-uncased
     * among them */
    char weight[MAX_NAME], gamma[MAX_NAME], bias[MAX_NAME], beta[MAX_NAME];
    const size_t H = l->config->hidden;
    float *g = take(l, H), *b = take(l, H);
    snprintf(weight, sizeof(weight), "%s.weight", name);
    snprintf(gamma, sizeof(gamma), "%s.gamma", name);
    snprintf(bias, sizeof(bias), "%s.bias", name);
    snprintf(beta, sizeof(beta), "%s.beta", name);
    *norm = (ga_norm){g, b};
    ga_status rc = load_vector(l, weight, gamma, H, g);
    if (!rc)
        rc = load_vector(l, bias, beta, H, b);
    return rc;
}

/* `parts` layers of the same shape [N / parts, K] as one, [N, K]. */
static ga_status load_linear(loader *l, const char *layer,
                             const char *const *names, size_t parts, size_t N,
                             size_t K, ga_linear *linear)
{
    size_t packed, rows = N / parts;
    if (!ga__packed_size(l->kernels, N, K, &packed))
        return ga__fail_nomem(l->err, SIZE_MAX);
    float *w = take(l, packed), *bias = take(l, N);
    if (l->rows_needed < N * K)
        l->rows_needed = N * K;
    for (size_t p = 0; p < parts; p++) {
        char name[MAX_NAME];
        const ga_tensor *t;
        snprintf(name, sizeof(name), "%s%s.weight", layer, names[p]);
        ga_status rc = find(l, name, NULL, rows, K, &t);
        if (rc)
            return rc;
        if (l->rows)
            ga__tensor_floats(t, 0, rows * K, l->rows + p * rows * K);
        snprintf(name, sizeof(name), "%s%s.bias", layer, names[p]);
        rc = load_vector(l, name, NULL, rows, bias ? bias + p * rows : NULL);
        if (rc)
            return rc;
    }
    if (w)
        ga__pack_rows(l->kernels, w, l->rows, K, N, K);
    *linear = (ga_linear){.N = N, .K = K, .w = w, .bias = bias};
    return GA_OK;
}

static ga_status load_layer(loader *l, size_t i, ga_layer *layer)
{
    static const char *const qkv[] = {
        "attention.self.query", "attention.self.key", "attention.self.value"};
    static const char *const out[] = {"attention.output.dense"};
    static const char *const up[] = {"intermediate.dense"};
    static const char *const down[] = {"output.dense"};
    const size_t H = l->config->hidden, I = l->config->intermediate;
    char at[64], norm[MAX_NAME];
    snprintf(at, sizeof(at), "encoder.layer.%zu.", i);
    ga_status rc = load_linear(l, at, qkv, 3, 3 * H, H, &layer->qkv);
    if (!rc)
        rc = load_linear(l, at, out, 1, H, H, &layer->out);
    if (!rc)
        rc = load_linear(l, at, up, 1, I, H, &layer->up);
    if (!rc)
        rc = load_linear(l, at, down, 1, H, I, &layer->down);
    snprintf(norm, sizeof(norm), "%sattention.output.LayerNorm", at);
    if (!rc)
        rc = load_norm(l, norm, &layer->attention_norm);
    snprintf(norm, sizeof(norm), "%soutput.LayerNorm", at);
    if (!rc)
        rc = load_norm(l, norm, &layer->output_norm);
    return rc;
}

static ga_status load_embeddings(loader *l, ga_weights *out)
{
    const ga_encoder_config *c = l->config;
    const size_t H = c->hidden, P = c->positions;
    const ga_tensor *words, *positions, *types;
    float *type = take(l, H);
    out->positions = take(l, P * H);
    ga_status rc =
        find(l, "embeddings.word_embeddings.weight", NULL, c->vocab, H, &words);
    if (!rc)
        rc = find(l, "embeddings.position_embeddings.weight", NULL, P, H,
                  &positions);
    if (!rc)
        rc = find(l, "embeddings.token_type_embeddings.weight", NULL, c->types,
                  H, &types);
    if (!rc)
        rc = load_norm(l, "embeddings.LayerNorm", &out->embedding_norm);
    if (rc || !l->memory)
        return rc;
    out->words = *words;
    ga__tensor_floats(types, 0, H, type);
    ga__tensor_floats(positions, 0, P * H, out->positions);
    for (size_t p = 0; p < P; p++)
        l->kernels->axpy(out->positions + p * H, 1.0f, type, H);
    return GA_OK;
}

static ga_status walk(loader *l, ga_weights *out)
{
    l->used = 0;
    ga_status rc = load_embeddings(l, out);
    for (size_t i = 0; i < l->config->layers && !rc; i++)
        rc = load_layer(l, i, &out->layers[i]);
    return rc;
}

/* The model may be the whole of the file, or one part of it. */
static ga_status find_prefix(loader *l)
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
        if (ga__safetensors_find(&l->tensors, name)) {
            l->prefix = prefixes[i];
            return GA_OK;
        }
    }
    return ga__fail(l->err, GA_FORMAT,
                    "no tensor 'embeddings.word_embeddings.weight', not "
                    "behind 'bert.' or a DPR encoder's name either");
}

/* Large pages: weights are read from end to end for every group of texts, and
 * without them address translation costs a few percent.  Only a hint. */
static void ask_for_large_pages(float *memory, size_t bytes)
{
#ifdef MADV_HUGEPAGE
    long size = sysconf(_SC_PAGESIZE);
    uintptr_t page = size > 0 ? (uintptr_t)size : 4096;
    uintptr_t skip = (page - (uintptr_t)memory % page) % page;
    if (bytes > skip)
        (void)madvise((char *)memory + skip, (bytes - skip) / page * page,
                      MADV_HUGEPAGE);
#else
    (void)memory;
    (void)bytes;
#endif
}

ga_status ga__weights_load(const ga_encoder_config *config, ga_str safetensors,
                           const ga_kernels *kernels, ga_weights *out,
                           ga_error *err)
{
    loader l = {.config = config, .kernels = kernels, .err = err};
    *out = (ga_weights){.kernels = kernels};
    ga_status rc = ga__safetensors_open(safetensors, &l.tensors, err);
    if (rc)
        return rc;
    out->layers = ga__calloc(config->layers, sizeof(*out->layers));
    if (!out->layers)
        rc = ga__fail_nomem(err, config->layers * sizeof(*out->layers));
    if (!rc)
        rc = find_prefix(&l);
    if (!rc)
        rc = walk(&l, out);
    if (rc)
        goto out;
    l.memory = out->memory = ga__alloc_aligned(l.used, sizeof(float));
    l.rows = ga__alloc_aligned(l.rows_needed, sizeof(float));
    if (!l.memory || !l.rows) {
        rc = ga__fail_nomem(err, (l.used + l.rows_needed) * sizeof(float));
        goto out;
    }
    ask_for_large_pages(l.memory, l.used * sizeof(float));
    rc = walk(&l, out);
out:
    free(l.rows);
    ga__safetensors_close(&l.tensors);
    if (rc)
        ga__weights_free(out);
    return rc;
}

void ga__weights_free(ga_weights *weights)
{
    free(weights->layers);
    free(weights->memory);
    *weights = (ga_weights){0};
}
