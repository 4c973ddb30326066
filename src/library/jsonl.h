/* jsonl.h: guideline records as lines of a file.
 *
 * A bad line does not stop the reading: whoever wrote the file wants to hear
 * of all its errors at once, and whoever imports it decides whether the good
 * lines count without the bad ones. */
#ifndef GA_LIBRARY_JSONL_H
#define GA_LIBRARY_JSONL_H

#include <stdio.h>

#include "library/record.h"

/* Errors that are kept to be shown; more are counted. */
enum { GA_JSONL_ERRORS = 20 };

typedef struct {
    char file[256]; /* cut when longer */
    size_t line;
    char message[512]; /* `library.jsonl:17: "text" is missing` */
} ga_jsonl_error;

/* What reading knows across the files of one import: an id may stand only once
 * in all of them. */
typedef struct {
    size_t lines;    /* records met, good or bad */
    size_t rejected; /* the bad ones */
    ga_jsonl_error errors[GA_JSONL_ERRORS];
    size_t error_count;
    struct ga_jsonl_seen *seen;
} ga_jsonl;

#define GA_JSONL_INIT ((ga_jsonl){0})

/* Called with every good record, which is valid during the call.  GA_INVAL,
 * GA_FORMAT, GA_LIMIT, GA_EXISTS or GA_NOTFOUND reject this record like a bad
 * line, with *err as the reason; any other error ends the reading. */
typedef ga_status (*ga_jsonl_fn)(void *arg, const ga_record *record,
                                 ga_error *err);

/* Read a stream to its end.  `name` is for the messages.  A byte order mark at
 * the start, CRLF and blank lines are fine.  GA_OK also when lines were
 * rejected, see j->rejected; an error is of the stream, of memory or of fn. */
ga_status ga__jsonl_read(ga_jsonl *j, FILE *in, const char *name,
                         ga_jsonl_fn fn, void *arg, ga_error *err);
void ga__jsonl_free(ga_jsonl *j);

#endif
