/* guidealign/encoder.h: text in, unit vectors out.
 *
 * A ga_encoder is immutable once open and may be shared by threads.  All that
 * a call changes lives in a ga_scratch, one for each thread that calls.
 *
 * Notation: B texts, T tokens with [CLS] and [SEP], H = ga_encoder_dim().
 * Arrays are row-major float32, written [rows, columns]. */
#ifndef GUIDEALIGN_ENCODER_H
#define GUIDEALIGN_ENCODER_H

#include "guidealign/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ga_encoder ga_encoder;
typedef struct ga_scratch ga_scratch;

/* Open the BERT-family model in the folder `dir`, in Hugging Face layout:
 * config.json, vocab.txt, model.safetensors; 1_Pooling/config.json,
 * modules.json, sentence_bert_config.json and tokenizer_config.json where
 * there are any.  Weights are mapped and checked: names, shapes, types, bounds.
 * Pooling is what the folder says, the mean when it says nothing.
 *
 * Cost:    milliseconds.
 * Errors:  GA_NOTFOUND a file is missing; GA_FORMAT malformed, or a tensor of
 *          the wrong shape; GA_UNSUPPORTED another architecture; GA_NOMEM. */
ga_status ga_encoder_open(const char *dir, ga_encoder **out, ga_error *err);

/* What the products of the model are computed in; sums, attention and
 * normalisation are float32 in all of them.  int8 is about three times as fast
 * as f32 where the CPU has dot products of bytes (AVX-512 VNNI), a quarter of
 * the memory, and off by a cosine of about 0.0006.  bf16 is half the memory,
 * off by 0.00001, and fast only where the CPU has AVX-512 BF16. */
typedef enum {
    GA_PRECISION_F32,
    GA_PRECISION_INT8,
    GA_PRECISION_BF16
} ga_precision;

/* "f32", "int8", "bf16". */
const char *ga_precision_name(ga_precision precision);
ga_status ga_precision_find(const char *name, ga_precision *out, ga_error *err);

/* ga_encoder_open in another precision than f32. */
ga_status ga_encoder_open_as(const char *dir, ga_precision precision,
                             ga_encoder **out, ga_error *err);
ga_precision ga_encoder_precision(const ga_encoder *enc);

/* NULL is fine.  No scratch may be in use. */
void ga_encoder_close(ga_encoder *enc);

/* H, and the longest sequence in tokens that a text is cut to. */
size_t ga_encoder_dim(const ga_encoder *enc);
size_t ga_encoder_max_tokens(const ga_encoder *enc);

/* What one caller needs to encode: buffers that grow to what its calls need
 * and are kept, and `threads` threads, the caller's own included.
 * Errors: GA_INVAL threads is 0 or above 256; GA_NOMEM. */
ga_status ga_scratch_new(unsigned threads, ga_scratch **out, ga_error *err);

/* NULL is fine. */
void ga_scratch_free(ga_scratch *s);

/* Texts that were cut at ga_encoder_max_tokens() since the scratch was made. */
uint64_t ga_scratch_truncated(const ga_scratch *s);

/* Write the L2-normalised embedding of text[i] to out[i, :].
 *
 * text:    B UTF-8 strings, borrowed; an empty one has an embedding too.
 * out:     [B, H], the caller's; unspecified after an error.
 * Threads: enc may be shared, s may not.
 * Result:  the same bits for any batch and any number of threads.
 * Cost:    2 * (parameters without embeddings) operations a token.
 * Errors:  GA_INVAL NULL or invalid UTF-8, with the text and the byte, as
 *          far as it is read: a text that is cut is not read to its end;
 *          GA_LIMIT a text over 16 MiB or more than 65,536 texts; GA_FORMAT a
 *          vector is not finite, so the weights are damaged; GA_NOMEM.
 *          s stays usable. */
ga_status ga_encoder_embed(const ga_encoder *enc, ga_scratch *s,
                           const ga_str *text, size_t B, float *out,
                           ga_error *err);

/* The token ids of one text as the model sees it, [CLS] and [SEP] included.
 * *n is how many there are; the first `cap` of them are written to ids.
 * Errors: as for ga_encoder_embed. */
ga_status ga_encoder_tokenize(const ga_encoder *enc, ga_scratch *s, ga_str text,
                              uint32_t *ids, size_t cap, size_t *n,
                              ga_error *err);

#ifdef __cplusplus
}
#endif

#endif
