/* guide_internal.h: the decision behind its handle. */
#ifndef GA_GUIDE_GUIDE_INTERNAL_H
#define GA_GUIDE_GUIDE_INTERNAL_H

#include "guidealign/guide.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/guideline.h"

enum { GA__MAX_VIEWS = 4, GA__CANDIDATES = 24 };

struct ga_decision {
    ga_decision_state state;
    ga_candidate *candidates; /* in the arena */
    size_t chosen, count;
    double unsafe, risks[GA_RISK_COUNT];
    uint32_t tokens;
    uint64_t microseconds;
    ga_arena arena; /* of the last call */
    ga_buf text;    /* the views, one behind the other */
    ga_str views[GA__MAX_VIEWS];
    size_t view_count;
};

/* Fill ->views from the conversation; none when no user turn has any text. */
ga_status ga__guide_views(const ga_message *messages, size_t n,
                          ga_decision *decision, ga_error *err);

/* GA_INVAL names the option. */
ga_status ga__guide_check_options(const ga_guide_options *o, ga_error *err);

#endif
