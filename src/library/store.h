/* store.h: the library of guidelines, version by version.
 *
 * A store is append-only.  Every change is one transaction and makes one
 * version, 1, 2, 3 and so on, with who, when and why; the state at a version
 * is the newest record of every id up to it, and every state there ever was
 * can be read, compared and brought back.  Nothing is overwritten.
 *
 * What is behind a ga_store (SQLite now) does not show here.  A store belongs
 * to one thread at a time; any number of processes may have the same library
 * open.  Functions that hand rows to a callback lend them for the call, and
 * the callback may not use the store. */
#ifndef GA_LIBRARY_STORE_H
#define GA_LIBRARY_STORE_H

#include "library/record.h"

typedef struct ga_store ga_store;

typedef enum {
    GA_STORE_READ,  /* must be there; nothing is created or changed */
    GA_STORE_WRITE, /* must be there */
    GA_STORE_CREATE /* made when it is not there */
} ga_store_mode;

#define GA_STORE_HEAD UINT64_MAX /* as a version: the newest */

/* location: a file.  GA_NOTFOUND when it is not there, GA_FORMAT when it is no
 * library, GA_UNSUPPORTED when a newer program made it. */
ga_status ga__store_open(const char *location, ga_store_mode mode,
                         ga_store **out, ga_error *err);
void ga__store_close(ga_store *s); /* aborts an open change */

/* The newest version; 0 in a library without changes. */
ga_status ga__store_head(ga_store *s, uint64_t *version, ga_error *err);

/* ---- changing ---- */

typedef struct {
    ga_str author, action, reason; /* UTF-8; the reason may be empty */
} ga_change;

/* Start a change: from here to commit or abort no other process can change
 * the library.  Waits for one that is at it; GA_TIMEOUT when it stays. */
ga_status ga__store_begin(ga_store *s, const ga_change *change, ga_error *err);

/* Make it lasting.  *version is the new version, 0 when nothing had changed:
 * then there is no new version.  After an error nothing is changed. */
ga_status ga__store_commit(ga_store *s, uint64_t *version, ga_error *err);
void ga__store_abort(ga_store *s); /* fine without a change */

typedef enum {
    GA_PUT_ADD,    /* GA_EXISTS when there is one of this id */
    GA_PUT_IMPORT, /* the same, except that an identical one is fine */
    GA_PUT_EDIT,   /* GA_NOTFOUND when there is none */
    GA_PUT_REPLACE /* either way */
} ga_put_mode;

typedef struct {
    ga_put_mode mode;
    /* The record does not say its status: a record that differs in nothing
     * else is identical. */
    bool any_status;
    /* GA_CONFLICT unless the record was last changed in this version, the one
     * ga__store_get gave; 0: whatever it is. */
    uint64_t expected;
} ga_put_options;

typedef enum { GA_PUT_ADDED, GA_PUT_UPDATED, GA_PUT_UNCHANGED } ga_put_result;

/* The following need a change begun.  One change sets a guideline once:
 * GA_EXISTS when this change has already put another record of this id. */
ga_status ga__store_put(ga_store *s, const ga_guideline *g,
                        const ga_put_options *options, ga_put_result *result,
                        ga_error *err);
ga_status ga__store_set_status(ga_store *s, ga_str id,
                               ga_guideline_status status, bool *changed,
                               ga_error *err);

/* Bring back the state of a version, as a new one.  *count records differed.
 */
ga_status ga__store_rollback(ga_store *s, uint64_t to, size_t *count,
                             ga_error *err);

/* ---- reading ---- */

/* The record of an id at a version.  *changed is the version in which it came
 * to be what it is; may be NULL.  GA_NOTFOUND. */
ga_status ga__store_get(ga_store *s, ga_str id, uint64_t version,
                        ga_record *out, uint64_t *changed, ga_error *err);

/* GA_NOTFOUND when there is no such version yet; GA_STORE_HEAD becomes its
 * number. */
ga_status ga__store_find_version(ga_store *s, uint64_t *version, ga_error *err);

typedef struct {
    bool by_status, by_kind, by_risk;
    ga_guideline_status status;
    ga_guideline_kind kind;
    size_t risk;
    ga_str topic, scope; /* one that the guideline names; "" for any */
    ga_str text; /* in id, title or text, whatever the case; "" for any */
} ga_store_filter;

#define GA_STORE_FILTER_ALL ((ga_store_filter){0})

bool ga__store_matches(const ga_store_filter *filter, const ga_guideline *g);

typedef struct {
    const ga_guideline *guideline;
    ga_str json;      /* canonical */
    uint64_t changed; /* in this version */
} ga_store_row;

/* An error of the callback ends the listing and is its result. */
typedef ga_status (*ga_store_row_fn)(void *arg, const ga_store_row *row,
                                     ga_error *err);

/* All records at a version that pass the filter (NULL: all), by id. */
ga_status ga__store_list(ga_store *s, uint64_t version,
                         const ga_store_filter *filter, ga_store_row_fn fn,
                         void *arg, ga_error *err);

typedef struct {
    uint64_t version;
    ga_str created; /* UTC: "2025-11-24T17:05:02.123Z" */
    ga_str author, action, reason;
    uint64_t count; /* of records changed */
    /* of the guideline asked for */
    ga_str json; /* "" when the change removed it, or none was asked for */
} ga_store_version;

typedef ga_status (*ga_store_version_fn)(void *arg, const ga_store_version *v,
                                         ga_error *err);

/* The versions, newest first: all of them, or those that changed `id`, which
 * is GA_NOTFOUND when none did. */
ga_status ga__store_history(ga_store *s, ga_str id, ga_store_version_fn fn,
                            void *arg, ga_error *err);

/* What differs between two versions, by id.  A side that does not have the
 * guideline is NULL. */
typedef ga_status (*ga_store_diff_fn)(void *arg, ga_str id,
                                      const ga_record *before,
                                      const ga_record *after, ga_error *err);
ga_status ga__store_diff(ga_store *s, uint64_t before, uint64_t after,
                         ga_store_diff_fn fn, void *arg, ga_error *err);

#endif
