/* encoder.c: a model from bytes in memory. */
#include <stdlib.h>

#include "base/error.h"
#include "base/limits.h"
#include "encoder/encoder_internal.h"

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

ga_status ga__encoder_load(ga_encoder *enc, const ga_encoder_image *image,
                           const ga_image_names *names,
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
    rc = ga__weights_load(&enc->config, image->weights, kernels, &enc->weights,
                          err);
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
    ga_status rc = ga__encoder_load(enc, image, &names, ga__kernels(), err);
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
    ga__weights_free(&enc->weights);
    ga__wordpiece_close(enc->wordpiece);
    ga__map_close(&enc->weights_map);
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
