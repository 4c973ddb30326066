/* published.c: the tensors of a model as it is published. */
#include "encoder/published.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"

enum { MAX_NAME = 160 };

typedef struct {
    const ga_encoder_config *config;
    const ga_safetensors *tensors;
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
        t = ga__safetensors_find(s->tensors, full);
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

static ga_status find_linear(const source *s, size_t layer,
                             const char *const *names, size_t parts, size_t N,
                             size_t K, ga_published_linear *out)
{
    ga_status rc = GA_OK;
    *out = (ga_published_linear){.parts = parts, .N = N, .K = K};
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
static ga_status find_norm(const source *s, const char *name,
                           ga_published_norm *out)
{
    char weight[MAX_NAME], gamma[MAX_NAME], bias[MAX_NAME], beta[MAX_NAME];
    snprintf(weight, sizeof(weight), "%s.weight", name);
    snprintf(gamma, sizeof(gamma), "%s.gamma", name);
    snprintf(bias, sizeof(bias), "%s.bias", name);
    snprintf(beta, sizeof(beta), "%s.beta", name);
    ga_status rc = find(s, weight, gamma, s->config->hidden, 0, &out->gamma);
    return rc ? rc : find(s, bias, beta, s->config->hidden, 0, &out->beta);
}

static ga_status find_layer(const source *s, size_t i, ga_published_layer *out)
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
        if (ga__safetensors_find(s->tensors, name)) {
            s->prefix = prefixes[i];
            return GA_OK;
        }
    }
    return ga__fail(s->err, GA_FORMAT,
                    "no tensor 'embeddings.word_embeddings.weight', not "
                    "behind 'bert.' or a DPR encoder's name either");
}

static ga_status find_model(source *s, ga_published *out)
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

ga_status ga__published_open(const ga_encoder_config *config,
                             ga_str safetensors, ga_published *out,
                             ga_error *err)
{
    source s = {.config = config, .tensors = &out->file, .err = err};
    *out = (ga_published){.file = GA_SAFETENSORS_INIT};
    ga_status rc = ga__safetensors_open(safetensors, &out->file, err);
    if (rc)
        return rc;
    out->layers = ga__calloc(config->layers, sizeof(*out->layers));
    rc = out->layers
             ? find_model(&s, out)
             : ga__fail_nomem(err, config->layers * sizeof(*out->layers));
    if (rc)
        ga__published_close(out);
    return rc;
}

void ga__published_close(ga_published *published)
{
    free(published->layers);
    ga__safetensors_close(&published->file);
    *published = (ga_published){.file = GA_SAFETENSORS_INIT};
}
