/* weights.c: the tensors of a prepared file, found and checked. */
#include <stdlib.h>

#include "base/error.h"
#include "encoder/layout.h"

enum { ALIGN = 64 };

typedef struct {
    ga_safetensors tensors;
    ga_error *err;
} binder;

static ga_status bind(void *arg, const ga_slot *slot)
{
    const binder *b = arg;
    char found[128];
    const ga_tensor *t = ga__safetensors_find(&b->tensors, slot->name);
    if (!t)
        return ga__fail(b->err, GA_FORMAT, "tensor '%s' is missing",
                        slot->name);
    bool fits = t->dtype == slot->dtype && t->rank == slot->rank;
    for (size_t i = 0; fits && i < slot->rank; i++)
        fits = t->shape[i] == slot->shape[i];
    if (!fits) {
        ga__tensor_describe(t, found, sizeof(found));
        return ga__fail(b->err, GA_FORMAT,
                        "tensor '%s' is %s, which the configuration does not "
                        "fit",
                        slot->name, found);
    }
    if ((uintptr_t)t->data % ALIGN != 0)
        return ga__fail(b->err, GA_FORMAT,
                        "tensor '%s' does not begin at a multiple of %d bytes",
                        slot->name, ALIGN);
    memcpy((void *)slot->place, &t->data, sizeof(t->data));
    return GA_OK;
}

ga_status ga__weights_prepared(ga_str safetensors, bool *prepared,
                               ga_error *err)
{
    ga_safetensors tensors;
    ga_status rc = ga__safetensors_open(safetensors, &tensors, err);
    if (rc)
        return rc;
    *prepared = ga__safetensors_find(&tensors, "embeddings.words") != NULL;
    ga__safetensors_close(&tensors);
    return GA_OK;
}

ga_status ga__weights_open(const ga_encoder_config *config, ga_str prepared,
                           const ga_kernels *kernels, ga_weights *out,
                           ga_error *err)
{
    binder b = {.err = err};
    *out = (ga_weights){.kernels = kernels};
    ga_status rc = ga__safetensors_open(prepared, &b.tensors, err);
    if (rc)
        return rc;
    const ga_tensor *words =
        ga__safetensors_find(&b.tensors, "embeddings.words");
    if (words && words->dtype == GA_DTYPE_I8)
        out->precision = GA_PRECISION_INT8;
    else if (words && words->dtype == GA_DTYPE_BF16)
        out->precision = GA_PRECISION_BF16;
    out->type = ga__precision_number(out->precision);
    out->layers = ga__calloc(config->layers, sizeof(*out->layers));
    if (!out->layers)
        rc = ga__fail_nomem(err, config->layers * sizeof(*out->layers));
    else
        rc = ga__layout_walk(config, out->precision, out, bind, &b);
    ga__safetensors_close(&b.tensors);
    if (rc)
        ga__weights_close(out);
    return rc;
}

void ga__weights_close(ga_weights *weights)
{
    free(weights->layers);
    *weights = (ga_weights){0};
}
