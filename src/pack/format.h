/* format.h: the bytes of a pack, for its reader and its writer.
 *
 *     header     96 bytes
 *     table      64 bytes a section
 *     sections   each at a multiple of 64, zeros between them
 *
 * All numbers are little-endian, floats are IEEE 754 binary32.  A section's
 * digest covers its bytes; the header's covers the header in front of it and
 * the table, and so everything.  docs/formats.md describes each section. */
#ifndef GA_PACK_FORMAT_H
#define GA_PACK_FORMAT_H

#include <stdint.h>

#include "base/limits.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "packs are mapped as they are, which needs a little-endian machine"
#endif

/* The line ends catch transfers that "correct" them. */
#define GA_PACK_MAGIC "GAPACK\r\n"

enum { GA_PACK_VERSION = 2, GA_PACK_ALIGN = 64 };

/* The greatest magnitude of a number in a pack: products of two of them can be
 * summed over every dimension without becoming infinite. */
#define GA_PACK_MOST 1e15F

/* Tokens of a guideline: at most one a byte, and its line's start and end. */
#define GA_PACK_MOST_TOKENS (GA_MAX_TITLE_BYTES + GA_MAX_GUIDELINE_BYTES + 4)

typedef struct {
    char magic[8];
    uint32_t version;
    uint32_t sections;
    uint64_t length; /* of the file */
    uint8_t zero[40];
    uint8_t digest[32];
} ga_pack_header;

typedef struct {
    char name[16]; /* NUL-padded */
    uint64_t at;
    uint64_t length;
    uint8_t digest[32];
} ga_pack_section;

/* One row of the section "guidelines".  Offsets point into "strings". */
typedef struct {
    uint32_t id_at, id_len;
    uint32_t title_at, title_len;
    uint32_t text_at, text_len;
    uint32_t scope_at, scope_len; /* names, each ended by a newline */
    uint32_t cluster;             /* near-duplicates share one */
    uint32_t tokens;
    uint16_t risks; /* bit i: risk type i */
    uint8_t kind;   /* ga_guideline_kind */
    uint8_t priority;
} ga_pack_row;

/* The section "calibration". */
typedef struct {
    float scale, offset;    /* score = logistic(scale * raw + offset) */
    float threshold;        /* least score of a guideline */
    float safety_threshold; /* the same for safety guidelines and permits */
    float risky;            /* from this estimate on a prompt is risky */
    float zero[3];
} ga_pack_calibration;

_Static_assert(sizeof(ga_pack_header) == 96, "packed header");
_Static_assert(sizeof(ga_pack_section) == 64, "packed section");
_Static_assert(sizeof(ga_pack_row) == 44, "packed row");
_Static_assert(sizeof(ga_pack_calibration) == 32, "packed calibration");

/* X(id, name): the sections, all of them required. */
#define GA_PACK_SECTIONS(X)                                                    \
    X(CONFIG, "config")         /* JSON, of the encoder */                     \
    X(VOCAB, "vocab")           /* a token a line */                           \
    X(WEIGHTS, "weights")       /* prepared: see encoder/layout.h */           \
    X(GUIDELINES, "guidelines") /* ga_pack_row, [G] */                         \
    X(STRINGS, "strings")                                                      \
    X(CODES, "codes")             /* the vectors in 4 bits: see ga_index */    \
    X(VECTORS, "vectors")         /* float, [G, H] */                          \
    X(BIASES, "biases")           /* float, [G] */                             \
    X(CODE_ROWS, "code_rows")     /* float, [3, G]: scale, error, norm */      \
    X(RISK_HEAD, "risk_head")     /* float, [1 + 14, H + 1] */                 \
    X(CALIBRATION, "calibration") /* ga_pack_calibration */                    \
    X(TEMPLATE, "template")       /* the line above the guidelines */          \
    X(ABOUT, "about")             /* JSON, for people */

enum {
#define GA_PACK_ENUM(id, name) GA_PACK_##id,
    GA_PACK_SECTIONS(GA_PACK_ENUM)
#undef GA_PACK_ENUM
        GA_PACK_SECTION_COUNT
};

/* Their names, in the order they stand in. */
extern const char *const ga__pack_section_names[GA_PACK_SECTION_COUNT];

#endif
