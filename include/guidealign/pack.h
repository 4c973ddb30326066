/* guidealign/pack.h: one immutable file with all that serving needs.
 *
 * A pack holds an encoder, the guidelines of a library with a vector each, and
 * what was calibrated when it was made.  It is mapped, so processes that serve
 * the same pack share its pages, and replacing the file by rename leaves an
 * open pack as it was. */
#ifndef GUIDEALIGN_PACK_H
#define GUIDEALIGN_PACK_H

#include "guidealign/encoder.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ga_pack ga_pack;

/* Open and validate a pack completely: structure, bounds and every checksum.
 *
 * Threads: the handle is immutable and may be shared.
 * Cost:    one pass of SHA-256 over the file, and the encoder's opening.
 * Errors:  GA_NOTFOUND; GA_FORMAT not a pack, cut off, or damaged, with the
 *          section; GA_UNSUPPORTED a newer format; GA_NOMEM. */
ga_status ga_pack_open(const char *path, ga_pack **out, ga_error *err);

/* NULL is fine.  Nothing borrowed from the pack may be used afterwards. */
void ga_pack_close(ga_pack *pack);

/* The identity of the content: 12 hexadecimal digits. */
const char *ga_pack_id(const ga_pack *pack);

/* The encoder inside, borrowed. */
const ga_encoder *ga_pack_encoder(const ga_pack *pack);

/* Number of guidelines. */
size_t ga_pack_count(const ga_pack *pack);

typedef enum {
    GA_GUIDELINE_SAFETY,
    GA_GUIDELINE_PERMIT, /* sounds alarming and is fine */
    GA_GUIDELINE_QUALITY
} ga_guideline_kind;

/* One guideline of a pack.  Strings are borrowed from the pack and not
 * NUL-terminated. */
typedef struct {
    ga_str id, title, text;
    ga_guideline_kind kind;
    unsigned priority; /* 0 to 9 */
    uint32_t risks;    /* bit i: ga_risk_name(i) */
    uint32_t tokens; /* that it adds to a prompt, by the encoder's vocabulary */
} ga_guideline_view;

/* Guideline i of ga_pack_count(); GA_INVAL past the last. */
ga_status ga_pack_guideline(const ga_pack *pack, size_t i,
                            ga_guideline_view *out, ga_error *err);

/* The 14 risk types of Guide-Align, section 3: "insult" and so on, in the
 * order of the bits above.  NULL for i >= GA_RISKS. */
enum { GA_RISKS = 14 };
const char *ga_risk_name(size_t i);

#ifdef __cplusplus
}
#endif

#endif
