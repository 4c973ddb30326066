/* normalize.h: a text as the words that WordPiece splits, one after another.
 *
 * Source: BertNormalizer and BertPreTokenizer of the `tokenizers` package, in
 * its order: drop control characters, set ideographs apart, decompose and
 * strip accents, lower case; then cut at white space and around punctuation.
 * The package makes a copy of the text at each step.  Here one character goes
 * through all of them before the next is read, so the memory is that of one
 * word and a caller who has enough words stops reading. */
#ifndef GA_TEXT_NORMALIZE_H
#define GA_TEXT_NORMALIZE_H

#include "text/wordpiece.h"

/* A longer word is [UNK], so what stands behind this is not kept. */
#define GA_MAX_WORD_CHARS 100u

typedef struct ga_normalizer ga_normalizer;
ga_normalizer *ga__normalizer_new(const ga_wordpiece_options *options);
void ga__normalizer_free(ga_normalizer *nz);

/* A walk through one text. */
typedef struct {
    const ga_normalizer *nz;
    ga_str text;
    size_t pos; /* next byte of the text */

    /* the current word, normalised */
    char bytes[4 * GA_MAX_WORD_CHARS];
    size_t len;
    size_t chars;
    bool overlong; /* had more than GA_MAX_WORD_CHARS */

    /* marks behind it that are to be sorted before they are part of it */
    uint32_t mark[GA_MAX_WORD_CHARS];
    size_t marks;
} ga_words;

void ga__words_start(ga_words *w, const ga_normalizer *nz, ga_str text);

/* Read the next word into bytes[0, len); *found is false at the end.
 * GA_INVAL when it meets invalid UTF-8, with the byte. */
ga_status ga__words_next(ga_words *w, bool *found, ga_error *err);

/* Is there another word?  Reads no further than to its first character and
 * ends the walk. */
ga_status ga__words_more(ga_words *w, bool *more, ga_error *err);

#endif
