/* guideline.h: the guideline record as every part sees it.
 *
 * A plain struct of borrowed strings: who fills it (a JSON reader, a store, a
 * pack) says how long they live. */
#ifndef GA_BASE_GUIDELINE_H
#define GA_BASE_GUIDELINE_H

#include "guidealign/pack.h" /* ga_guideline_kind */

#include "base/mem.h"

/* X(name): the 14 risk types of the paper, in the order used everywhere. */
#define GA_RISK_MAP(X)                                                         \
    X(crimes_and_illegal_activities)                                           \
    X(unfairness_and_discrimination)                                           \
    X(insult)                                                                  \
    X(mental_health)                                                           \
    X(ethics_and_morality)                                                     \
    X(physical_harm)                                                           \
    X(privacy_and_property)                                                    \
    X(sensitive_topic)                                                         \
    X(inquiry_with_unsafe_opinion)                                             \
    X(goal_hijacking)                                                          \
    X(unsafe_instruction_topic)                                                \
    X(reverse_exposure)                                                        \
    X(role_play_instruction)                                                   \
    X(prompt_leaking)

enum {
#define GA_RISK_ENUM(name) GA_RISK_##name,
    GA_RISK_MAP(GA_RISK_ENUM)
#undef GA_RISK_ENUM
        GA_RISK_COUNT
};

/* "crimes_and_illegal_activities" and so on; NULL past the last. */
const char *ga__risk_name(size_t risk);

/* The number of a risk type, GA_RISK_COUNT when it is none. */
size_t ga__risk_find(ga_str name);

typedef enum {
    GA_STATUS_DRAFT,
    GA_STATUS_APPROVED,
    GA_STATUS_RETIRED
} ga_guideline_status;

const char *ga__kind_name(ga_guideline_kind kind);
bool ga__kind_find(ga_str name, ga_guideline_kind *out);
const char *ga__guideline_status_name(ga_guideline_status status);
bool ga__guideline_status_find(ga_str name, ga_guideline_status *out);

typedef struct {
    const ga_str *items;
    size_t count;
} ga_str_list;

typedef struct {
    ga_str id;
    ga_str title;
    ga_str text;
    ga_guideline_kind kind;
    ga_guideline_status status;
    unsigned priority; /* 0 to 9 */
    ga_str_list risks, topics, scope, triggers, non_triggers;
    ga_str source; /* a JSON object, "" when there is none */
} ga_guideline;

#endif
