/* lint.h: what is wrong or weak in a library of guidelines, for its editors.
 *
 * A record that is read is well formed; whether it is any good is another
 * question.  Lint answers what can be told by looking: texts that say little,
 * guidelines without examples, two that say the same, two that fire on the
 * same prompts and pull in opposite directions.  It proposes; people decide. */
#ifndef GA_LIBRARY_LINT_H
#define GA_LIBRARY_LINT_H

#include "guidealign/encoder.h"

#include "base/arena.h"
#include "base/guideline.h"

typedef enum { GA_LINT_NOTE, GA_LINT_WARNING, GA_LINT_ERROR } ga_lint_level;

/* X(name, level): the checks, in the order in which findings are listed. */
#define GA_LINT_MAP(X)                                                         \
    X(same_text, ERROR)   /* word for word the text of another */              \
    X(same_prompt, ERROR) /* one example prompt stands twice */                \
    X(no_title, WARNING)                                                       \
    X(short_text, WARNING)                                                     \
    X(long_text, WARNING)                                                      \
    X(vague, WARNING) /* says little but "be careful" */                       \
    X(few_triggers, WARNING)                                                   \
    X(no_near_miss, NOTE)                                                      \
    X(own_words, WARNING)    /* a trigger repeats the guideline's text */      \
    X(similar_text, WARNING) /* shares most of its words with another */       \
    X(similar_prompt, WARNING)                                                 \
    X(same_meaning, WARNING) /* texts close in the encoder's eyes */           \
    X(confusable, NOTE)      /* its triggers find another first */             \
    X(conflict, NOTE)        /* fires with another and says the opposite */

typedef enum {
#define GA_LINT_ENUM(name, level) GA_LINT_##name,
    GA_LINT_MAP(GA_LINT_ENUM)
#undef GA_LINT_ENUM
} ga_lint_check;

const char *ga__lint_name(ga_lint_check check);
ga_lint_level ga__lint_level(ga_lint_check check);

#define GA_LINT_NONE SIZE_MAX

typedef struct {
    ga_lint_check check;
    size_t guideline, other; /* other: GA_LINT_NONE where there is none */
    const char *message;     /* what is wrong and what to do */
} ga_lint_finding;

typedef struct {
    size_t least_words, most_words; /* of a text: 5, 80 */
    size_t least_triggers;          /* 8 */
    size_t own_words;               /* in a row, 4 */
    double similar;                 /* Jaccard of 3-word sequences, 0.4 */
    double same_meaning;            /* cosine of two texts, 0.9 */
} ga_lint_options;

void ga__lint_options_init(ga_lint_options *options);

typedef struct {
    ga_lint_finding *items; /* by guideline, then check */
    size_t count, cap;
    ga_arena arena; /* of the messages */
} ga_lint_report;

#define GA_LINT_REPORT_INIT ((ga_lint_report){0})

/* Add the findings about n guidelines.  enc and s may be NULL: then the checks
 * that need an encoder (same_meaning, confusable, conflict) are left out.
 *
 * Cost:   with an encoder, one encoding of every text and trigger, and a
 *         product of triggers and guidelines.
 * Errors: GA_LIMIT, GA_NOMEM, or the encoder's. */
ga_status ga__lint(const ga_guideline *guidelines, size_t n,
                   const ga_encoder *enc, ga_scratch *s,
                   const ga_lint_options *options, ga_lint_report *out,
                   ga_error *err);
void ga__lint_free(ga_lint_report *report);

#endif
