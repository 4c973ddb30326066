/* jsonl_internal.h: which id came from where, for whoever reads several. */
#ifndef GA_LIBRARY_JSONL_INTERNAL_H
#define GA_LIBRARY_JSONL_INTERNAL_H

#include "library/jsonl.h"

/* A copy of a file's name that lives as long as j. */
ga_status ga__jsonl_name(ga_jsonl *j, const char *name, const char **out,
                         ga_error *err);

/* Note the id of a record of that file, whose name ga__jsonl_name gave.  line
 * is 0 where a file has no lines.  GA_EXISTS with the place of the other one.
 */
ga_status ga__jsonl_claim(ga_jsonl *j, ga_str id, const char *file, size_t line,
                          ga_error *err);

#endif
