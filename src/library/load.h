/* load.h: a whole library in memory, for whoever needs all of it at once: a
 * pack, a lint. */
#ifndef GA_LIBRARY_LOAD_H
#define GA_LIBRARY_LOAD_H

#include "library/store.h"

typedef struct {
    ga_guideline *items; /* by id where it was one store, else as they stood */
    size_t count, cap;
    ga_arena arena; /* of their strings */
} ga_guideline_set;

#define GA_GUIDELINE_SET_INIT ((ga_guideline_set){0})

/* Read libraries: each path is a store or, by what is in it, a JSON Lines file;
 * "-" is JSON Lines on standard input.  What the filter (NULL: all) leaves out
 * is checked all the same.  GA_EXISTS when two have the same id; a bad line is
 * an error that names it. */
ga_status ga__guidelines_load(const char *const *paths, size_t count,
                              const ga_store_filter *filter,
                              ga_guideline_set *out, ga_error *err);
void ga__guidelines_free(ga_guideline_set *set);

#endif
