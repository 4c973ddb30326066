/* record.h: guideline records as JSON, one object a record.
 *
 * Reading is strict, because a library is policy: a misspelled key or a value
 * of the wrong type is an error that names it, never a record that means less
 * than its author thought.  Writing is canonical: the same record is the same
 * bytes, so records are compared as bytes and what is exported and imported
 * again is exported the same.  Knows nothing of files and stores. */
#ifndef GA_LIBRARY_RECORD_H
#define GA_LIBRARY_RECORD_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/guideline.h"
#include "base/json.h"

/* A record that owns its strings.  Zeroed (GA_RECORD_INIT) it is ready to be
 * parsed into, as often as wanted: the memory is kept from one to the next. */
typedef struct {
    ga_guideline guideline; /* its strings live until the next parse or free */
    bool status_given;      /* the JSON said which; else it is a draft */
    ga_arena arena;
    ga_json doc;
} ga_record;

#define GA_RECORD_INIT ((ga_record){0})

/* Read one JSON object.  Only "text" is required; what is missing gets its
 * default: an id made of the title and a hash of the text, so that the same
 * guideline gets the same id again; kind safety where there are risks and
 * quality elsewhere; status draft; priority 5.  GA_FORMAT, GA_INVAL or GA_LIMIT
 * with a message that begins with what is wrong, for a caller to put the place
 * in front of; GA_NOMEM.  After an error the guideline is empty. */
ga_status ga__record_parse(ga_record *r, ga_str json, ga_error *err);
void ga__record_free(ga_record *r);

/* The same into memory of the caller, for libraries held as a whole: the
 * strings live as long as the arena's content.  *status_given may be NULL. */
ga_status ga__guideline_parse(ga_str json, ga_json *doc, ga_arena *arena,
                              ga_guideline *out, bool *status_given,
                              ga_error *err);

/* Is this a record that could have been read?  For guidelines that were put
 * together field by field; the source must be as ga__guideline_json writes it.
 * GA_INVAL, GA_FORMAT or GA_LIMIT, the message as above. */
ga_status ga__guideline_check(const ga_guideline *g, ga_error *err);

/* Append the canonical JSON: all keys in the order of the format, no spaces,
 * UTF-8 as it is.  g must have passed ga__guideline_check. */
ga_status ga__guideline_json(const ga_guideline *g, ga_buf *out, ga_error *err);

/* The same on many lines, for an editor, with a newline at the end. */
ga_status ga__guideline_json_pretty(const ga_guideline *g, ga_buf *out,
                                    ga_error *err);

/* The id of a guideline that was given none, NUL-terminated: the title in
 * lower case letters, digits and hyphens, or the beginning of the text where
 * there is no title, then eight hexadecimal digits of the SHA-256 of the text.
 * At most 60 bytes. */
enum { GA_DERIVED_ID_SIZE = 64 };
void ga__guideline_derive_id(ga_str title, ga_str text,
                             char out[GA_DERIVED_ID_SIZE]);

#endif
