/* encoder.c: a model from bytes in memory. */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "base/limits.h"
#include "encoder/layout.h"

static ga_status load_vocabulary(ga_encoder *enc, ga_str vocab, ga_error *err)
{
    if (vocab.len > GA_MAX_VOCAB_BYTES)
        return ga__fail(err, GA_LIMIT, "%zu bytes, the limit is %u", vocab.len,
                        GA_MAX_VOCAB_BYTES);
    ga_status rc =
        ga__wordpiece_open(vocab, &enc->config.tokenizer, &enc->wordpiece, err);
    if (rc)
        return rc;
    /* an id past the embeddings would be read from behind them */
    size_t tokens = ga__wordpiece_size(enc->wordpiece);
    if (tokens > enc->config.vocab)
        return ga__fail(err, GA_FORMAT,
                        "%zu tokens, the model has embeddings for %zu", tokens,
                        enc->config.vocab);
    return GA_OK;
}

/* Large pages: weights are read from end to end for every group of texts, and
 * without them address translation costs a few percent.  Only a hint. */
static void ask_for_large_pages(char *memory, size_t bytes)
{
#ifdef MADV_HUGEPAGE
    long size = sysconf(_SC_PAGESIZE);
    uintptr_t page = size > 0 ? (uintptr_t)size : 4096;
    uintptr_t skip = (page - (uintptr_t)memory % page) % page;
    if (bytes > skip)
        (void)madvise(memory + skip, (bytes - skip) / page * page,
                      MADV_HUGEPAGE);
#else
    (void)memory;
    (void)bytes;
#endif
}

ga_status ga__encoder_load(ga_encoder *enc, const ga_encoder_image *image,
                           const ga_image_names *names, ga_precision precision,
                           const ga_kernels *kernels, ga_error *err)
{
    enc->image = *image;
    ga_status rc = ga__encoder_config_parse(image->config, &enc->config, err);
    if (rc) {
        ga__error_prefix(err, "%s", names->config);
        return rc;
    }
    rc = load_vocabulary(enc, image->vocab, err);
    if (rc) {
        ga__error_prefix(err, "%s", names->vocab);
        return rc;
    }
    bool prepared = false;
    rc = ga__weights_prepared(image->weights, &prepared, err);
    if (!rc && !prepared) {
        size_t bytes;
        rc = ga__prepare(&enc->config, image->weights, precision,
                         &enc->prepared, &bytes, err);
        if (!rc) {
            ask_for_large_pages(enc->prepared, bytes);
            enc->image.weights = (ga_str){enc->prepared, bytes};
        }
    }
    if (!rc)
        rc = ga__weights_open(&enc->config, enc->image.weights, kernels,
                              &enc->weights, err);
    if (rc)
        ga__error_prefix(err, "%s", names->weights);
    return rc;
}

ga_status ga__encoder_open_image(const ga_encoder_image *image,
                                 ga_encoder **out, ga_error *err)
{
    static const ga_image_names names = {"encoder configuration", "vocabulary",
                                         "weights"};
    *out = NULL;
    ga_encoder *enc = ga__calloc(1, sizeof(*enc));
    if (!enc)
        return ga__fail_nomem(err, sizeof(*enc));
    ga_status rc = ga__encoder_load(enc, image, &names, GA_PRECISION_F32,
                                    ga__kernels(), err);
    if (rc) {
        ga_encoder_close(enc);
        return rc;
    }
    *out = enc;
    return GA_OK;
}

void ga_encoder_close(ga_encoder *enc)
{
    if (!enc)
        return;
    ga__weights_close(&enc->weights);
    ga__wordpiece_close(enc->wordpiece);
    free(enc->prepared);
    free(enc->vocab_bytes);
    ga__buf_free(&enc->config_bytes);
    free(enc);
}

void ga__encoder_image(const ga_encoder *enc, ga_encoder_image *out)
{
    *out = enc->image;
}

size_t ga_encoder_dim(const ga_encoder *enc)
{
    return enc->config.hidden;
}

size_t ga_encoder_max_tokens(const ga_encoder *enc)
{
    return enc->config.max_tokens;
}

ga_precision ga_encoder_precision(const ga_encoder *enc)
{
    return enc->weights.precision;
}

static const char *const precisions[] = {"f32", "int8", "bf16"};

const char *ga_precision_name(ga_precision precision)
{
    return precisions[precision];
}

ga_status ga_precision_find(const char *name, ga_precision *out, ga_error *err)
{
    for (size_t i = 0; i < sizeof(precisions) / sizeof(*precisions); i++) {
        if (strcmp(name, precisions[i]) == 0) {
            *out = (ga_precision)i;
            return GA_OK;
        }
    }
    return ga__fail(err, GA_INVAL,
                    "precision is f32, int8 or bf16, not '%.64s'", name);
}

ga_number ga__precision_number(ga_precision precision)
{
    static const ga_number numbers[] = {GA_F32, GA_INT8, GA_BF16};
    return numbers[precision];
}

double ga__encoder_ops(const ga_encoder *enc)
{
    const ga_encoder_config *c = &enc->config;
    double H = (double)c->hidden, I = (double)c->intermediate;
    return 2 * (double)c->layers * (4 * H * H + 2 * H * I);
}
