/* guidealign/guide.h: Stage 2, from a conversation to a guided one.
 *
 *     ga_guide_options o;
 *     ga_guide_options_init(&o);
 *     rc = ga_guide(pack, scratch, messages, n, &o, decision, &err);
 *     rc = ga_compose(pack, decision, messages, n, o.position, &composed,
 * &err);
 *
 * Source: Guide-Align (Luo et al., NAACL 2024), section 3.3, with thresholds,
 * conversations and diversity by meaning added. */
#ifndef GUIDEALIGN_GUIDE_H
#define GUIDEALIGN_GUIDE_H

#include "guidealign/pack.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    GA_ROLE_SYSTEM, /* "developer" too */
    GA_ROLE_USER,
    GA_ROLE_ASSISTANT,
    GA_ROLE_TOOL
} ga_role;

typedef struct {
    ga_role role;
    ga_str text; /* UTF-8, borrowed */
} ga_message;

/* Where the guidelines go. */
typedef enum {
    GA_POSITION_SYSTEM,      /* end of the leading system message, which is made
                                when there is none */
    GA_POSITION_LAST_SYSTEM, /* a system message before the last user turn: the
                                head of the conversation stays the same, for
                                prompt caches */
    GA_POSITION_USER_PREFIX, /* before the text of the last user turn, as in the
                                paper; as `system` where there is none */
    GA_POSITION_USER_SUFFIX  /* behind it */
} ga_position;

/* "system", "last-system", "user-prefix", "user-suffix". */
const char *ga_position_name(ga_position position);
ga_status ga_position_find(const char *name, ga_position *out, ga_error *err);

typedef struct {
    uint32_t size;        /* set by ga_guide_options_init */
    unsigned k;           /* at most so many guidelines, 1 to 32; 6 */
    double threshold;     /* least score, 0 to 1; negative: the pack's own */
    unsigned budget;      /* tokens the guidelines may take; 400 */
    double diversity;     /* 0: by score alone, 1: by difference alone; 0.3 */
    ga_position position; /* system */
    const ga_str *scopes; /* of this request; a guideline without scopes always
                             fits, one with scopes needs one in common */
    size_t scope_count;
    const ga_str *pinned; /* ids that are always chosen, first */
    size_t pinned_count;
} ga_guide_options;

void ga_guide_options_init(ga_guide_options *options);

typedef enum {
    GA_DECISION_GUIDED, /* at least one guideline */
    GA_DECISION_NONE,   /* nothing reached the threshold */
    GA_DECISION_SKIPPED /* no user turn to go by, and nothing pinned */
} ga_decision_state;

/* Why a candidate was or was not chosen. */
typedef enum {
    GA_CHOSEN,
    GA_DROPPED_DUPLICATE, /* says the same as one chosen before */
    GA_DROPPED_RISK,      /* a permit, and the prompt is risky */
    GA_DROPPED_BUDGET,
    GA_DROPPED_COUNT /* k were chosen */
} ga_verdict;

typedef struct {
    size_t index; /* in the pack */
    double score; /* estimate, 0 to 1, that the guideline applies */
    ga_verdict verdict;
    bool pinned;
} ga_candidate;

/* The answer of ga_guide; made once, used for one call after the other. */
typedef struct ga_decision ga_decision;
ga_status ga_decision_new(ga_decision **out, ga_error *err);
void ga_decision_free(ga_decision *decision); /* NULL is fine */

ga_decision_state ga_decision_get_state(const ga_decision *decision);

/* "guided", "none", "skipped". */
const char *ga_decision_state_name(ga_decision_state state);

/* Those above the threshold: the chosen ones first, in the order they are
 * composed in, then the others by score. */
const ga_candidate *ga_decision_candidates(const ga_decision *decision,
                                           size_t *chosen, size_t *count);

/* Estimate, 0 to 1, that an unguided answer could do harm, and of each risk
 * type (i < GA_RISKS). */
double ga_decision_unsafe(const ga_decision *decision);
double ga_decision_risk(const ga_decision *decision, size_t i);

/* Tokens that the chosen guidelines add; time the call took. */
uint32_t ga_decision_tokens(const ga_decision *decision);
uint64_t ga_decision_microseconds(const ga_decision *decision);

/* Find the guidelines that a conversation needs.
 *
 * The query is what the user said: the turns since the last assistant reply
 * together, and the same with the turns before.  System, assistant and tool
 * text never steers.
 * messages: n of them, borrowed for the call.
 * Threads:  pack may be shared, s and decision may not.
 * Errors:   GA_INVAL a bad option, invalid UTF-8 with the message and byte;
 *           GA_NOTFOUND a pinned id that the pack has not; GA_LIMIT; GA_NOMEM.
 *           s and decision stay usable. */
ga_status ga_guide(const ga_pack *pack, ga_scratch *s,
                   const ga_message *messages, size_t n,
                   const ga_guide_options *options, ga_decision *decision,
                   ga_error *err);

/* Score every guideline against a conversation, without threshold, scope,
 * diversity or budget: for measuring.  order: [ga_pack_count()] indices, best
 * first; scores: the same, of each in that order. */
ga_status ga_rank(const ga_pack *pack, ga_scratch *s,
                  const ga_message *messages, size_t n, uint32_t *order,
                  double *scores, ga_decision *decision, ga_error *err);

/* The conversation with the chosen guidelines in it.  Its texts live until
 * ga_composed_free; with nothing chosen it equals the input. */
typedef struct ga_composed ga_composed;
ga_status ga_compose(const ga_pack *pack, const ga_decision *decision,
                     const ga_message *messages, size_t n, ga_position position,
                     ga_composed **out, ga_error *err);
const ga_message *ga_composed_messages(const ga_composed *composed, size_t *n);
void ga_composed_free(ga_composed *composed);

#ifdef __cplusplus
}
#endif

#endif
