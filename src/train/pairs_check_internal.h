/* pairs_check_internal.h: what the parts of the check share. */
#ifndef GA_TRAIN_PAIRS_CHECK_INTERNAL_H
#define GA_TRAIN_PAIRS_CHECK_INTERNAL_H

#include "library/surface.h"
#include "train/pairs_check.h"

typedef struct {
    const ga_pair_set *pairs;
    const ga_guideline *g; /* [G] */
    size_t G;
    const ga_pairs_check_options *o;
    ga_surface *prompt;         /* [pairs] */
    ga_surface *text;           /* [G], title and text */
    const ga_guideline **by_id; /* [G] */
    ga_arena arena;             /* of the surfaces */
    ga_pairs_report *report;
    ga_error *err;
} ga_pairs_checker;

/* Number of the guideline with this id; G when there is none. */
size_t ga__pairs_guideline(const ga_pairs_checker *c, ga_str id);

/* Note a finding about a pair, or about `where` when pair is NULL. */
ga_status ga__pairs_note(ga_pairs_checker *c, ga_pairs_check check,
                         const ga_pair *pair, ga_str where, const char *format,
                         ...) __attribute__((format(printf, 5, 6)));

/* Pairs with each other and with the triggers: same and similar prompts. */
ga_status ga__pairs_check_alike(ga_pairs_checker *c);

/* Pairs with the benchmark files. */
ga_status ga__pairs_check_against(ga_pairs_checker *c);

#endif
