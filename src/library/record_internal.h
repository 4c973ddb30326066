/* record_internal.h: what the files of the library share about text. */
#ifndef GA_LIBRARY_RECORD_INTERNAL_H
#define GA_LIBRARY_RECORD_INTERNAL_H

#include "library/record.h"

/* Text from outside for a message: a terminal obeys control characters and a
 * message is short, so those become '?' and what is long is cut. */
enum { GA_QUOTED_BYTES = 160 };
const char *ga__quoted(ga_str text, char out[GA_QUOTED_BYTES]);

/* Is there nothing in it that a reader could see? */
bool ga__text_blank(ga_str text);

/* Is there a control character, of C0, DEL or C1? */
bool ga__text_control(ga_str text);

/* ga__guideline_check without what a reader knows: the source, which it has
 * just written itself, and UTF-8 when the strings were decoded from JSON. */
ga_status ga__guideline_check_fields(const ga_guideline *g, bool decoded,
                                     ga_error *err);

/* Append the source, a value of a parsed document, as canonical JSON: no
 * spaces, escapes only where needed, numbers as they are spelled.  Nothing for
 * an empty object. */
ga_status ga__source_json(const ga_json *doc, uint32_t node, ga_buf *out,
                          ga_error *err);

#endif
