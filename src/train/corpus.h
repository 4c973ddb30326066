/* corpus.h: what a retriever is trained on, as tokens: guidelines with their
 * texts, prompts, and which prompt needs which guideline how much. */
#ifndef GA_TRAIN_CORPUS_H
#define GA_TRAIN_CORPUS_H

#include "guidealign/encoder.h"

#include "train/pairs.h"

typedef struct {
    const uint32_t *ids;
    size_t length;
} ga_tokens;

/* A guideline of a prompt, or a prompt of a guideline. */
typedef struct {
    uint32_t at;
    uint8_t grade; /* 3 must, 2 should, 1 helps; 0: seems to, and does not */
} ga_link;

typedef struct {
    ga_link *items;
    size_t count;
} ga_links;

typedef struct {
    ga_str id;
    ga_tokens text;
    ga_links prompts; /* that it must or should guide; triggers first */
    size_t triggers;  /* of them */
    bool trains;      /* is it met in training? */
} ga_corpus_guideline;

typedef struct {
    ga_tokens tokens;
    ga_links guidelines;
} ga_corpus_prompt;

typedef struct {
    ga_corpus_guideline *guidelines;
    size_t guideline_count;
    ga_corpus_prompt *prompts; /* triggers, and pairs to train on */
    size_t prompt_count;
    ga_corpus_prompt *dev; /* pairs to choose by */
    size_t dev_count;
    ga_arena arena;
} ga_corpus;

typedef struct {
    const ga_guideline *guidelines;
    size_t guideline_count;
    const ga_pair_set *pairs;
    const ga_str *held_out; /* ids of guidelines that training must not meet */
    size_t held_out_count;
    const char *dev_split; /* pairs of it are measured by */
    size_t max_tokens;     /* a text's */
} ga_corpus_input;

/* Guidelines that a pair names and the library lacks do not count; a pair that
 * trains and has a held-out guideline is left out.  Errors: GA_INVAL when there
 * is nothing to train on; the encoder's. */
ga_status ga__corpus_make(const ga_corpus_input *in, const ga_encoder *enc,
                          ga_corpus *out, ga_error *err);
void ga__corpus_free(ga_corpus *corpus);

#endif
