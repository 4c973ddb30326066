/* layout.c: the tensors of a prepared model, one after the other. */
#include "encoder/layout.h"

#include <stdarg.h>
#include <stdio.h>

typedef struct {
    ga_status (*visit)(void *arg, const ga_slot *slot);
    void *arg;
    ga_number type;
    ga_status rc;
} walker;

static ga_dtype dtype(ga_number type)
{
    static const ga_dtype dtypes[] = {GA_DTYPE_F32, GA_DTYPE_BF16, GA_DTYPE_I8};
    return dtypes[type];
}

/* One tensor; its name is `format` with what follows the shape. */
static void slot(walker *w, const void *place, ga_dtype dtype, size_t rank,
                 const uint64_t *shape, const char *format, ...)
    __attribute__((format(printf, 6, 7)));

static void slot(walker *w, const void *place, ga_dtype dtype, size_t rank,
                 const uint64_t *shape, const char *format, ...)
{
    ga_slot s = {.dtype = dtype, .rank = rank};
    va_list args;
    if (w->rc)
        return;
    va_start(args, format);
    vsnprintf(s.name, sizeof(s.name), format, args);
    va_end(args);
    memcpy(s.shape, shape, rank * sizeof(*shape));
    /* a pointer to one of several types of pointer, written as bytes */
    s.place = (const void **)(uintptr_t)place;
    w->rc = w->visit(w->arg, &s);
}

static void vector(walker *w, const void *place, size_t n, const char *of,
                   const char *what)
{
    slot(w, place, GA_DTYPE_F32, 1, &(uint64_t){n}, "%s.%s", of, what);
}

static void norm(walker *w, ga_norm *n, size_t H, const char *name)
{
    vector(w, &n->gamma, H, name, "gamma");
    vector(w, &n->beta, H, name, "beta");
}

static void linear(walker *w, ga_linear *l, size_t N, size_t K, bool factor,
                   const char *layer, const char *name)
{
    const size_t G = ga__number_group(w->type),
                 panels = (N + GA_PANEL - 1) / GA_PANEL;
    const uint64_t shape[] = {panels, (K + G - 1) / G, GA_PANEL, G};
    char of[48];
    snprintf(of, sizeof(of), "%s.%s", layer, name);
    l->N = N;
    l->K = K;
    slot(w, &l->w, dtype(w->type), G > 1 ? 4 : 3, shape, "%s.weight", of);
    if (w->type == GA_INT8) {
        vector(w, &l->scale, N, of, "scale");
        vector(w, &l->sum, N, of, "sum");
        if (factor)
            vector(w, &l->factor, K, of, "factor");
    }
    vector(w, &l->bias, N, of, "bias");
}

ga_status ga__layout_walk(const ga_encoder_config *config,
                          ga_precision precision, ga_weights *out,
                          ga_status (*visit)(void *arg, const ga_slot *slot),
                          void *arg)
{
    const size_t H = config->hidden, I = config->intermediate;
    const uint64_t words[] = {config->vocab, H}, at[] = {config->positions, H};
    walker w = {visit, arg, ga__precision_number(precision), GA_OK};
    slot(&w, &out->words, dtype(w.type), 2, words, "embeddings.words");
    if (w.type == GA_INT8)
        vector(&w, &out->word_scale, config->vocab, "embeddings.words",
               "scale");
    slot(&w, &out->positions, GA_DTYPE_F32, 2, at, "embeddings.positions");
    norm(&w, &out->embedding_norm, H, "embeddings.norm");
    for (size_t i = 0; i < config->layers && !w.rc; i++) {
        ga_layer *l = &out->layers[i];
        char name[32], of[48];
        snprintf(name, sizeof(name), "layer.%zu", i);
        linear(&w, &l->qkv, 3 * H, H, true, name, "qkv");
        linear(&w, &l->out, H, H, false, name, "out");
        snprintf(of, sizeof(of), "%s.norm1", name);
        norm(&w, &l->attention_norm, H, of);
        linear(&w, &l->up, I, H, true, name, "up");
        linear(&w, &l->down, H, I, false, name, "down");
        snprintf(of, sizeof(of), "%s.norm2", name);
        norm(&w, &l->output_norm, H, of);
    }
    return w.rc;
}

size_t ga__slot_bytes(const ga_slot *slot)
{
    size_t n = ga__dtype_bytes(slot->dtype);
    for (size_t i = 0; i < slot->rank; i++) {
        if (!ga__mul_size(n, (size_t)slot->shape[i], &n))
            return SIZE_MAX;
    }
    return n;
}
