/* unicode_table.h: character properties as BERT ids depend on them.
 *
 * The `tokenizers` package carries three Unicode versions at once: categories
 * of version 8, canonical decomposition of version 9, lower case of the Rust
 * compiler that built it.  A newer version of any of them would give other
 * ids, so the properties are kept here and do not follow the system's
 * utf8proc.  From there come only the decompositions and combining classes
 * themselves, which Unicode promises never to change.
 *
 * From one release of the package to the next only the lower case of new
 * letters can differ: 28 characters of Unicode 17 between 0.21.4 and 0.23.3. */
#ifndef GA_TEXT_UNICODE_TABLE_H
#define GA_TEXT_UNICODE_TABLE_H

#include <stddef.h>
#include <stdint.h>

typedef enum {
    GA_CHAR_PLAIN,
    GA_CHAR_DROP,     /* control, format, private use, U+0000, U+FFFD */
    GA_CHAR_SPACE,    /* ends a word */
    GA_CHAR_PUNCT,    /* a word of its own */
    GA_CHAR_MARK,     /* nonspacing: an accent to strip */
    GA_CHAR_BARRIER,  /* the same, but other marks do not move across it */
    GA_CHAR_SORTED,   /* a mark that stays and is sorted among its like */
    GA_CHAR_IDEOGRAPH /* a word of its own; not in the table */
} ga_char_class;

typedef struct {
    uint32_t first, last;
    uint32_t kind; /* ga_char_class */
} ga_char_range;

/* Every step-th character of the range; U+0130, the one whose lower case is
 * two characters, is not in the table. */
typedef struct {
    uint32_t first, last, step;
    int32_t distance; /* from a character to its lower case */
} ga_case_range;

/* Sorted, without overlap. */
extern const ga_char_range ga__char_classes[];
extern const size_t ga__char_classes_count;
extern const ga_char_range ga__char_decomposed[];
extern const size_t ga__char_decomposed_count;
extern const ga_case_range ga__char_lower[];
extern const size_t ga__char_lower_count;

#endif
