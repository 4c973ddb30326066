/* lint_internal.h: what the two halves of lint share. */
#ifndef GA_LIBRARY_LINT_INTERNAL_H
#define GA_LIBRARY_LINT_INTERNAL_H

#include "library/lint.h"
#include "library/surface.h"

typedef struct {
    const ga_guideline *g; /* [G] */
    size_t G;
    const ga_lint_options *o;
    ga_surface *text; /* [G] */
    ga_arena arena;   /* of the surfaces */
    ga_lint_report *report;
    ga_error *err;
} ga_linter;

ga_status ga__lint_add(ga_linter *l, ga_lint_check check, size_t guideline,
                       size_t other, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* The checks that need an encoder. */
ga_status ga__lint_meaning(ga_linter *l, const ga_encoder *enc, ga_scratch *s);

#endif
