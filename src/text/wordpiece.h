/* wordpiece.h: text to token ids as BERT's tokenizer makes them.
 *
 * Source: the BasicTokenizer and WordpieceTokenizer of BERT (Devlin et al.,
 * 2019) with the normaliser of the `tokenizers` package (0.23.3, the
 * properties of characters included); the ids are the same for every string.
 * That includes the special tokens: where a text contains "[SEP]" or another
 * of [PAD], [UNK], [CLS], [MASK] in capitals, it gets that token's id, as from
 * the package.  A caller who cannot have that must take them out before. */
#ifndef GA_TEXT_WORDPIECE_H
#define GA_TEXT_WORDPIECE_H

#include "base/mem.h"

/* What a model folder's tokenizer_config.json may say. */
typedef struct {
    bool lower_case;    /* do_lower_case, true */
    bool strip_accents; /* strip_accents; null means: as lower_case */
    bool split_cjk;     /* tokenize_chinese_chars, true */
} ga_wordpiece_options;

typedef struct ga_wordpiece ga_wordpiece;

/* The bytes of vocab.txt: a token a line, its number the line's, from 0.  The
 * bytes are copied.  Lines end in LF or CRLF; of a token that stands there
 * twice the last line counts; an empty line is no token but has its number,
 * except at the end.  Needs [UNK], [CLS], [SEP] and [PAD].
 * Threads: immutable from then on and may be shared.
 * Errors:  GA_FORMAT a special token is missing, or invalid UTF-8, with its
 *          line; GA_LIMIT too many tokens or one too long; GA_NOMEM. */
ga_status ga__wordpiece_open(ga_str vocab, const ga_wordpiece_options *options,
                             ga_wordpiece **out, ga_error *err);
void ga__wordpiece_close(ga_wordpiece *wp);

/* Number of tokens in the vocabulary: every id is below it. */
size_t ga__wordpiece_size(const ga_wordpiece *wp);

/* Buffers of one caller, kept from call to call. */
typedef struct ga_wordpiece_scratch ga_wordpiece_scratch;
ga_wordpiece_scratch *ga__wordpiece_scratch_new(void); /* NULL: no memory */
void ga__wordpiece_scratch_free(ga_wordpiece_scratch *s);

/* [CLS] tokens [SEP], at most `max` ids (at least 2), cut from the end of the
 * text.  *ids points into the scratch until its next use; *n is how many;
 * *truncated says whether something was cut.
 * Time is linear in the text, and a text that is cut is not read further than
 * needed; what is not read is not checked either.
 * Memory: four bytes an id and 1 KiB, whatever the text.
 * Errors: GA_INVAL invalid UTF-8 with its byte, or max below 2; GA_NOMEM.  The
 * scratch stays usable. */
ga_status ga__wordpiece_encode(const ga_wordpiece *wp, ga_wordpiece_scratch *s,
                               ga_str text, size_t max, const uint32_t **ids,
                               size_t *n, bool *truncated, ga_error *err);

#endif
