/* store_sqlite.c: a library in one SQLite file.
 *
 * Two tables that only grow.  The rollback journal rather than WAL: a library
 * is one file that can be copied, and a reader leaves nothing beside it.  A
 * process that dies in the middle of a change leaves a journal, which the next
 * one to open the file, reader or writer, rolls back. */
#include <errno.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/limits.h"
#include "library/store_internal.h"

enum {
    APPLICATION_ID = 0x47414C42, /* "GALB" */
    SCHEMA = 1,
    BUSY_MS = 20000
};

/* migrations[n] makes schema n + 1 of schema n. */
static const char *const migrations[SCHEMA] = {
    "CREATE TABLE versions("
    " version INTEGER PRIMARY KEY,"
    " created TEXT NOT NULL,"
    " author TEXT NOT NULL,"
    " action TEXT NOT NULL,"
    " reason TEXT NOT NULL);"
    "CREATE TABLE records("
    " guideline_id TEXT NOT NULL,"
    " version INTEGER NOT NULL REFERENCES versions(version),"
    " deleted INTEGER NOT NULL CHECK(deleted IN (0, 1)),"
    " record TEXT NOT NULL," /* canonical JSON, '' when deleted */
    " PRIMARY KEY(guideline_id, version));"
    "CREATE INDEX records_by_version ON records(version, guideline_id);"
    /* nobody is to change the past, not even with another program */
    "CREATE TRIGGER versions_update BEFORE UPDATE ON versions"
    " BEGIN SELECT RAISE(ABORT, 'the history is append-only'); END;"
    "CREATE TRIGGER versions_delete BEFORE DELETE ON versions"
    " BEGIN SELECT RAISE(ABORT, 'the history is append-only'); END;"
    "CREATE TRIGGER records_update BEFORE UPDATE ON records"
    " BEGIN SELECT RAISE(ABORT, 'the history is append-only'); END;"
    "CREATE TRIGGER records_delete BEFORE DELETE ON records"
    " BEGIN SELECT RAISE(ABORT, 'the history is append-only'); END;",
};

/* X(name, SQL): every statement, prepared when first used. */
#define SQL_MAP(X)                                                             \
    X(HEAD, "SELECT coalesce(max(version), 0) FROM versions")                  \
    X(BEGIN, "BEGIN IMMEDIATE")                                                \
    X(COMMIT, "COMMIT")                                                        \
    X(ADD_VERSION, "INSERT INTO versions(version, created, author, action,"    \
                   " reason) VALUES(?1, ?2, ?3, ?4, ?5)")                      \
    X(ADD_RECORD, "INSERT INTO records(guideline_id, version, deleted, record" \
                  ") VALUES(?1, ?2, ?3, ?4)")                                  \
    X(READ, "SELECT guideline_id, version, record FROM records"                \
            " WHERE guideline_id = ?1 AND version <= ?2"                       \
            " ORDER BY version DESC LIMIT 1")                                  \
    X(SCAN, "SELECT guideline_id, version, record FROM records AS r"           \
            " WHERE version = (SELECT max(version) FROM records"               \
            "  WHERE guideline_id = r.guideline_id AND version <= ?1)"         \
            " AND NOT deleted ORDER BY guideline_id")                          \
    X(CHANGED, "SELECT DISTINCT guideline_id FROM records"                     \
               " WHERE version > ?1 AND version <= ?2 ORDER BY guideline_id")  \
    X(HISTORY, "SELECT v.version, created, author, action, reason,"            \
               " (SELECT count(*) FROM records AS r"                           \
               "  WHERE r.version = v.version), ''"                            \
               " FROM versions AS v ORDER BY v.version DESC")                  \
    X(HISTORY_OF, "SELECT v.version, created, author, action, reason,"         \
                  " (SELECT count(*) FROM records AS r"                        \
                  "  WHERE r.version = v.version), o.record"                   \
                  " FROM records AS o JOIN versions AS v"                      \
                  " ON v.version = o.version WHERE o.guideline_id = ?1"        \
                  " ORDER BY v.version DESC")

enum {
#define SQL_ENUM(name, sql) SQL_##name,
    SQL_MAP(SQL_ENUM)
#undef SQL_ENUM
        STATEMENTS
};

static const char *const sql_texts[] = {
#define SQL_TEXT(name, sql) sql,
    SQL_MAP(SQL_TEXT)
#undef SQL_TEXT
};

typedef struct {
    ga_store base;
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENTS];
    ga_buf cell; /* the id and the JSON that read lends */
} sqlite_store;

static sqlite_store *of(ga_store *s)
{
    return (sqlite_store *)s; /* base is its first member */
}

/* ---- errors ---- */

/* Is there a journal, and are we not the one to roll it back? */
static bool left_in_a_change(const sqlite_store *s)
{
    char journal[PATH_MAX + 16];
    int code = sqlite3_errcode(s->db);
    int n = snprintf(journal, sizeof(journal), "%s-journal", s->base.location);
    return (code == SQLITE_CANTOPEN || code == SQLITE_READONLY ||
            code == SQLITE_IOERR) &&
           n > 0 && (size_t)n < sizeof(journal) && access(journal, F_OK) == 0 &&
           access(s->base.location, R_OK) == 0;
}

static ga_status fail(sqlite_store *s, const char *what, ga_error *err)
{
    const char *path = s->base.location;
    if (sqlite3_extended_errcode(s->db) == SQLITE_IOERR_NOMEM)
        return ga__fail(err, GA_NOMEM, "out of memory");
    switch (sqlite3_errcode(s->db)) {
    case SQLITE_NOMEM:
        return ga__fail(err, GA_NOMEM, "out of memory");
    case SQLITE_NOTADB:
        return ga__fail(err, GA_FORMAT, "'%s' is no guideline library", path);
    case SQLITE_ROW: /* a row, but not with text where there must be some */
        return ga__fail(err, GA_FORMAT, "'%s' is damaged", path);
    case SQLITE_CORRUPT:
        return ga__fail(err, GA_FORMAT, "'%s' is damaged: %s", path,
                        sqlite3_errmsg(s->db));
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ga__fail(err, GA_TIMEOUT,
                        "cannot %s '%s': another process has been using it "
                        "for %d seconds",
                        what, path, BUSY_MS / 1000);
    case SQLITE_FULL:
        return ga__fail(err, GA_IO,
                        "cannot %s '%s': no space left on the device", what,
                        path);
    default:
        break;
    }
    if (strcmp(what, "open") == 0 && left_in_a_change(s))
        return ga__fail(err, GA_IO,
                        "'%s' was left in the middle of a change, and undoing "
                        "it needs the right to write it and its folder",
                        path);
    int code = sqlite3_system_errno(s->db);
    if (code && (sqlite3_errcode(s->db) == SQLITE_IOERR ||
                 sqlite3_errcode(s->db) == SQLITE_CANTOPEN)) {
        errno = code;
        return ga__fail_errno(err, "cannot %s '%s'", what, path);
    }
    return ga__fail(err, GA_IO, "cannot %s '%s': %s", what, path,
                    sqlite3_errmsg(s->db));
}

/* ---- statements ---- */

static ga_status prepare(sqlite_store *s, int which, sqlite3_stmt **out,
                         ga_error *err)
{
    if (!s->statements[which] &&
        sqlite3_prepare_v3(s->db, sql_texts[which], -1,
                           SQLITE_PREPARE_PERSISTENT, &s->statements[which],
                           NULL) != SQLITE_OK)
        return fail(s, "read", err);
    *out = s->statements[which];
    return GA_OK;
}

static bool bind_text(sqlite3_stmt *q, int at, ga_str text)
{
    return sqlite3_bind_text64(q, at, text.len ? text.ptr : "", text.len,
                               SQLITE_STATIC, SQLITE_UTF8) == SQLITE_OK;
}

/* GA_STORE_HEAD is more than SQLite's integers hold. */
static bool bind_version(sqlite3_stmt *q, int at, uint64_t version)
{
    sqlite3_int64 v = version > INT64_MAX ? INT64_MAX : (sqlite3_int64)version;
    return sqlite3_bind_int64(q, at, v) == SQLITE_OK;
}

/* Ready for the next use, and no lock is held for it. */
static void done(sqlite3_stmt *q)
{
    sqlite3_reset(q);
    sqlite3_clear_bindings(q);
}

/* The text of a column.  Text that memory is out for is NULL with a length, so
 * it is asked for first. */
static bool column(sqlite3_stmt *q, int at, ga_str *out)
{
    out->ptr = (const char *)sqlite3_column_text(q, at);
    out->len = (size_t)sqlite3_column_bytes(q, at);
    return out->ptr != NULL;
}

/* Run a statement without rows, its bindings done. */
static ga_status run(sqlite_store *s, sqlite3_stmt *q, const char *what,
                     ga_error *err)
{
    ga_status rc = sqlite3_step(q) == SQLITE_DONE ? GA_OK : fail(s, what, err);
    done(q);
    return rc;
}

static ga_status run_plain(sqlite_store *s, int which, const char *what,
                           ga_error *err)
{
    sqlite3_stmt *q = NULL;
    ga_status rc = prepare(s, which, &q, err);
    return rc ? rc : run(s, q, what, err);
}

/* ---- operations ---- */

static ga_status op_head(ga_store *base, uint64_t *version, ga_error *err)
{
    sqlite_store *s = of(base);
    sqlite3_stmt *q = NULL;
    ga_status rc = prepare(s, SQL_HEAD, &q, err);
    if (rc)
        return rc;
    if (sqlite3_step(q) == SQLITE_ROW)
        *version = (uint64_t)sqlite3_column_int64(q, 0);
    else
        rc = fail(s, "read", err);
    done(q);
    return rc;
}

/* Now, in UTC, as ISO 8601 with milliseconds. */
static void timestamp(char out[32])
{
    struct timespec now = {0};
    struct tm utc = {0};
    char seconds[24];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(seconds, sizeof(seconds), "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(out, 32, "%s.%03dZ", seconds, (int)(now.tv_nsec / 1000000));
}

static void op_abort(ga_store *base)
{
    sqlite_store *s = of(base);
    /* a failed write may have ended the transaction itself */
    if (!sqlite3_get_autocommit(s->db))
        (void)sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
}

static ga_status op_begin(ga_store *base, const ga_change *change,
                          uint64_t *version, ga_error *err)
{
    sqlite_store *s = of(base);
    sqlite3_stmt *q = NULL;
    uint64_t head = 0;
    char created[32];
    ga_status rc = run_plain(s, SQL_BEGIN, "write", err);
    if (rc)
        return rc;
    timestamp(created);
    rc = op_head(base, &head, err);
    if (!rc)
        rc = prepare(s, SQL_ADD_VERSION, &q, err);
    if (!rc) {
        bool bound =
            bind_version(q, 1, head + 1) && bind_text(q, 2, ga__str(created)) &&
            bind_text(q, 3, change->author) &&
            bind_text(q, 4, change->action) && bind_text(q, 5, change->reason);
        rc = bound ? run(s, q, "write", err) : fail(s, "write", err);
    }
    if (rc)
        op_abort(base);
    else
        *version = head + 1;
    return rc;
}

static ga_status op_commit(ga_store *base, ga_error *err)
{
    return run_plain(of(base), SQL_COMMIT, "write", err);
}

static ga_status op_write(ga_store *base, ga_str id, ga_str json, ga_error *err)
{
    sqlite_store *s = of(base);
    sqlite3_stmt *q = NULL;
    ga_status rc = prepare(s, SQL_ADD_RECORD, &q, err);
    if (rc)
        return rc;
    if (!bind_text(q, 1, id) || !bind_version(q, 2, base->version) ||
        sqlite3_bind_int(q, 3, json.len == 0) != SQLITE_OK ||
        !bind_text(q, 4, json))
        return fail(s, "write", err);
    return run(s, q, "write", err);
}

static ga_status op_read(ga_store *base, ga_str id, uint64_t version,
                         ga_store_cell *out, bool *found, ga_error *err)
{
    sqlite_store *s = of(base);
    sqlite3_stmt *q = NULL;
    ga_str json = {NULL, 0};
    ga_status rc = prepare(s, SQL_READ, &q, err);
    if (rc)
        return rc;
    *found = false;
    ga__buf_clear(&s->cell);
    if (!bind_text(q, 1, id) || !bind_version(q, 2, version))
        rc = fail(s, "read", err);
    int step = rc ? SQLITE_ERROR : sqlite3_step(q);
    if (step == SQLITE_ROW && column(q, 2, &json)) {
        out->version = (uint64_t)sqlite3_column_int64(q, 1);
        (void)((rc = ga__buf_append(&s->cell, id.ptr, id.len, err)) ||
               (rc = ga__buf_append(&s->cell, json.ptr, json.len, err)));
        *found = !rc;
    } else if (step != SQLITE_DONE && !rc) {
        rc = fail(s, "read", err);
    }
    /* copied, so that no lock is held while the caller has the cell */
    done(q);
    if (*found) {
        out->id = (ga_str){s->cell.ptr, id.len};
        out->json = (ga_str){s->cell.ptr + id.len, json.len};
    }
    return rc;
}

static ga_status op_scan(ga_store *base, uint64_t version, ga_store_cell_fn fn,
                         void *arg, ga_error *err)
{
    sqlite_store *s = of(base);
    sqlite3_stmt *q = NULL;
    int step = SQLITE_DONE;
    ga_status rc = prepare(s, SQL_SCAN, &q, err);
    if (rc)
        return rc;
    if (!bind_version(q, 1, version))
        rc = fail(s, "read", err);
    while (!rc && (step = sqlite3_step(q)) == SQLITE_ROW) {
        ga_store_cell cell;
        cell.version = (uint64_t)sqlite3_column_int64(q, 1);
        rc = column(q, 0, &cell.id) && column(q, 2, &cell.json)
                 ? fn(arg, &cell, err)
                 : fail(s, "read", err);
    }
    if (!rc && step != SQLITE_DONE)
        rc = fail(s, "read", err);
    done(q);
    return rc;
}

static ga_status op_changed(ga_store *base, uint64_t after, uint64_t upto,
                            ga_store_id_fn fn, void *arg, ga_error *err)
{
    sqlite_store *s = of(base);
    sqlite3_stmt *q = NULL;
    int step = SQLITE_DONE;
    ga_status rc = prepare(s, SQL_CHANGED, &q, err);
    if (rc)
        return rc;
    if (!bind_version(q, 1, after) || !bind_version(q, 2, upto))
        rc = fail(s, "read", err);
    while (!rc && (step = sqlite3_step(q)) == SQLITE_ROW) {
        ga_str id;
        rc = column(q, 0, &id) ? fn(arg, id, err) : fail(s, "read", err);
    }
    if (!rc && step != SQLITE_DONE)
        rc = fail(s, "read", err);
    done(q);
    return rc;
}

static ga_status op_history(ga_store *base, ga_str id, ga_store_version_fn fn,
                            void *arg, ga_error *err)
{
    sqlite_store *s = of(base);
    sqlite3_stmt *q = NULL;
    int step = SQLITE_DONE;
    ga_status rc =
        prepare(s, id.len > 0 ? SQL_HISTORY_OF : SQL_HISTORY, &q, err);
    if (rc)
        return rc;
    if (id.len > 0 && !bind_text(q, 1, id))
        rc = fail(s, "read", err);
    while (!rc && (step = sqlite3_step(q)) == SQLITE_ROW) {
        ga_store_version v;
        v.version = (uint64_t)sqlite3_column_int64(q, 0);
        v.count = (uint64_t)sqlite3_column_int64(q, 5);
        rc = column(q, 1, &v.created) && column(q, 2, &v.author) &&
                     column(q, 3, &v.action) && column(q, 4, &v.reason) &&
                     column(q, 6, &v.json)
                 ? fn(arg, &v, err)
                 : fail(s, "read", err);
    }
    if (!rc && step != SQLITE_DONE)
        rc = fail(s, "read", err);
    done(q);
    return rc;
}

static void op_close(ga_store *base)
{
    sqlite_store *s = of(base);
    for (int i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(s->statements[i]);
    sqlite3_close(s->db);
    ga__buf_free(&s->cell);
    free(s);
}

static const ga_store_ops ops = {
    .close = op_close,
    .head = op_head,
    .begin = op_begin,
    .commit = op_commit,
    .abort = op_abort,
    .write = op_write,
    .read = op_read,
    .scan = op_scan,
    .changed = op_changed,
    .history = op_history,
};

/* ---- opening ---- */

/* The one number that a statement gives. */
static ga_status query_number(sqlite_store *s, const char *sql,
                              sqlite3_int64 *out, ga_error *err)
{
    sqlite3_stmt *q = NULL;
    ga_status rc = GA_OK;
    if (sqlite3_prepare_v2(s->db, sql, -1, &q, NULL) != SQLITE_OK ||
        sqlite3_step(q) != SQLITE_ROW)
        rc = fail(s, "open", err);
    else
        *out = sqlite3_column_int64(q, 0);
    sqlite3_finalize(q);
    return rc;
}

static ga_status execute(sqlite_store *s, const char *sql, const char *what,
                         ga_error *err)
{
    return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK
               ? GA_OK
               : fail(s, what, err);
}

typedef struct {
    sqlite3_int64 application, schema, tables;
} identity;

static ga_status identify(sqlite_store *s, identity *id, ga_error *err)
{
    ga_status rc;
    (void)((rc = query_number(s, "PRAGMA application_id", &id->application,
                              err)) ||
           (rc = query_number(s, "PRAGMA user_version", &id->schema, err)) ||
           (rc = query_number(s, "SELECT count(*) FROM sqlite_schema",
                              &id->tables, err)));
    return rc;
}

/* Ours, or at most nothing yet? */
static ga_status check_identity(sqlite_store *s, const identity *id, bool empty,
                                ga_error *err)
{
    const char *path = s->base.location;
    bool nothing = id->application == 0 && id->schema == 0 && id->tables == 0;
    if (nothing)
        return empty ? GA_OK
                     : ga__fail(err, GA_FORMAT,
                                "'%s' is empty, not yet a guideline library",
                                path);
    if (id->application != APPLICATION_ID)
        return ga__fail(err, GA_FORMAT, "'%s' is no guideline library", path);
    if (id->schema > SCHEMA)
        return ga__fail(err, GA_UNSUPPORTED,
                        "'%s' was made by a newer guidealign: its schema is "
                        "%lld, this program knows %d",
                        path, (long long)id->schema, SCHEMA);
    if (id->schema < 1)
        return ga__fail(err, GA_FORMAT, "'%s' is no guideline library", path);
    return GA_OK;
}

/* Bring a library to the schema of this program, an empty file too.  All in
 * one transaction, looked at again inside: somebody may have been faster. */
static ga_status migrate(sqlite_store *s, ga_error *err)
{
    identity id = {0};
    char pragmas[96];
    ga_status rc = execute(s, "BEGIN IMMEDIATE", "write", err);
    if (rc)
        return rc;
    rc = identify(s, &id, err);
    if (!rc)
        rc = check_identity(s, &id, true, err);
    for (sqlite3_int64 i = id.schema; i < SCHEMA && !rc; i++)
        rc = execute(s, migrations[i], "write", err);
    snprintf(pragmas, sizeof(pragmas),
             "PRAGMA application_id = %d; PRAGMA user_version = %d",
             APPLICATION_ID, SCHEMA);
    if (!rc)
        rc = execute(s, pragmas, "write", err);
    if (!rc)
        rc = execute(s, "COMMIT", "write", err);
    if (rc)
        op_abort(&s->base);
    return rc;
}

/* A file from somewhere may hold a schema made to do harm. */
static ga_status harden(sqlite_store *s, ga_store_mode mode, ga_error *err)
{
    sqlite3_extended_result_codes(s->db, 0);
    sqlite3_busy_timeout(s->db, BUSY_MS);
    sqlite3_limit(s->db, SQLITE_LIMIT_LENGTH, 2 * (int)GA_MAX_LINE_BYTES);
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    ga_status rc = execute(s,
                           "PRAGMA synchronous = EXTRA;"
                           "PRAGMA foreign_keys = ON;"
                           "PRAGMA cell_size_check = ON",
                           "open", err);
    if (!rc && mode == GA_STORE_READ)
        rc = execute(s, "PRAGMA query_only = ON", "open", err);
    return rc;
}

static ga_status check_path(const char *path, ga_store_mode mode, ga_error *err)
{
    struct stat st;
    if (stat(path, &st)) {
        if (errno != ENOENT)
            return ga__fail_errno(err, "cannot open '%s'", path);
        return mode == GA_STORE_CREATE
                   ? GA_OK
                   : ga__fail(err, GA_NOTFOUND, "there is no library '%s'",
                              path);
    }
    if (!S_ISREG(st.st_mode))
        return ga__fail(err, GA_FORMAT, "'%s' is no guideline library", path);
    return GA_OK;
}

/* SQLite reads ":memory:" and other names in its own way; a path with a folder
 * in front is a path. */
static ga_status open_file(sqlite_store *s, ga_store_mode mode, ga_error *err)
{
    const char *path = s->base.location;
    /* Readers too open for writing, where they may, to roll back what a killed
     * process left; query_only keeps them from more. */
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
    char name[PATH_MAX + 3];
    if (mode == GA_STORE_CREATE)
        flags |= SQLITE_OPEN_CREATE;
    int n =
        snprintf(name, sizeof(name), "%s%s", path[0] == '/' ? "" : "./", path);
    if (n < 0 || (size_t)n >= sizeof(name))
        return ga__fail(err, GA_LIMIT, "the name of the library is too long");
    if (sqlite3_open_v2(name, &s->db, flags, NULL) == SQLITE_OK)
        return GA_OK;
    return s->db ? fail(s, "open", err)
                 : ga__fail(err, GA_NOMEM, "out of memory");
}

ga_status ga__store_sqlite_open(const char *path, ga_store_mode mode,
                                ga_store **out, ga_error *err)
{
    identity id = {0};
    ga_status rc = check_path(path, mode, err);
    if (rc)
        return rc;
    sqlite_store *s = ga__calloc(1, sizeof(*s));
    if (!s)
        return ga__fail_nomem(err, sizeof(*s));
    s->base.ops = &ops;
    ga__buf_init(&s->base.json, GA_MAX_LINE_BYTES);
    ga__buf_init(&s->cell, GA_MAX_LINE_BYTES + GA_MAX_ID_BYTES);
    s->base.location = ga__strndup(path, strlen(path));
    if (!s->base.location) {
        rc = ga__fail_nomem(err, strlen(path));
        goto fail;
    }
    (void)((rc = open_file(s, mode, err)) || (rc = harden(s, mode, err)) ||
           (rc = identify(s, &id, err)) ||
           (rc = check_identity(s, &id, mode == GA_STORE_CREATE, err)));
    if (!rc && id.schema < SCHEMA)
        rc = mode == GA_STORE_READ
                 ? ga__fail(err, GA_UNSUPPORTED,
                            "'%s' is of an older guidealign, the next change "
                            "brings it up to date",
                            path)
                 : migrate(s, err);
    if (rc)
        goto fail;
    *out = &s->base;
    return GA_OK;
fail:
    ga__store_close(&s->base);
    return rc;
}
