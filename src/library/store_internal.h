/* store_internal.h: what stands behind a ga_store.
 *
 * A backend keeps rows and versions and knows nothing of guidelines; what a
 * change means (may it be added, did it differ, what does a rollback write) is
 * store.c and the same for all backends. */
#ifndef GA_LIBRARY_STORE_INTERNAL_H
#define GA_LIBRARY_STORE_INTERNAL_H

#include "library/store.h"

/* One record as it is kept.  Bytes are lent until the next call. */
typedef struct {
    ga_str id;
    uint64_t version; /* that wrote it */
    ga_str json;      /* "" for the mark that the id is gone */
} ga_store_cell;

typedef ga_status (*ga_store_cell_fn)(void *arg, const ga_store_cell *cell,
                                      ga_error *err);
typedef ga_status (*ga_store_id_fn)(void *arg, ga_str id, ga_error *err);

typedef struct {
    void (*close)(ga_store *s);
    ga_status (*head)(ga_store *s, uint64_t *version, ga_error *err);
    /* Start a transaction that excludes all other writers, and make the next
     * version in it, whose number is *version. */
    ga_status (*begin)(ga_store *s, const ga_change *change, uint64_t *version,
                       ga_error *err);
    ga_status (*commit)(ga_store *s, ga_error *err);
    void (*abort)(ga_store *s);
    /* Add a record of the version begun; no json marks the id as gone. */
    ga_status (*write)(ga_store *s, ga_str id, ga_str json, ga_error *err);
    /* The newest cell of an id up to a version; *found. */
    ga_status (*read)(ga_store *s, ga_str id, uint64_t version,
                      ga_store_cell *out, bool *found, ga_error *err);
    /* The newest cell of every id up to a version, by id, marks left out. */
    ga_status (*scan)(ga_store *s, uint64_t version, ga_store_cell_fn fn,
                      void *arg, ga_error *err);
    /* The ids with a cell in the versions above `after` up to `upto`, once
     * each, in their order. */
    ga_status (*changed)(ga_store *s, uint64_t after, uint64_t upto,
                         ga_store_id_fn fn, void *arg, ga_error *err);
    /* As ga__store_history. */
    ga_status (*history)(ga_store *s, ga_str id, ga_store_version_fn fn,
                         void *arg, ga_error *err);
} ga_store_ops;

struct ga_store {
    const ga_store_ops *ops;
    char *location;   /* for messages */
    uint64_t version; /* being made; 0 outside a change */
    size_t writes;    /* of this change */
    ga_buf json;      /* scratch of put */
    ga_record record; /* scratch of list and set_status */
};

ga_status ga__store_sqlite_open(const char *path, ga_store_mode mode,
                                ga_store **out, ga_error *err);

#endif
