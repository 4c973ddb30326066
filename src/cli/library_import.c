/* library_import.c: `guidealign library import` and `export`. */
#include <stdlib.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/file.h"
#include "base/limits.h"
#include "cli/library.h"
#include "library/jsonl.h"

/* ---- import ---- */

typedef struct {
    library_options common;
    bool keep_going, approve, update;
    ga_store *store;
    ga_jsonl lines;
    size_t counts[3]; /* by ga_put_result */
    uint64_t version; /* 0: nothing changed */
} import;

static ga_status import_record(void *arg, const ga_record *record,
                               ga_error *err)
{
    import *s = arg;
    ga_guideline g = record->guideline;
    const ga_put_options options = {
        .mode = s->update ? GA_PUT_REPLACE : GA_PUT_IMPORT,
        .any_status = !record->status_given && !s->approve,
    };
    ga_put_result result = GA_PUT_UNCHANGED;
    if (s->approve)
        g.status = GA_STATUS_APPROVED;
    ga_status rc = ga__store_put(s->store, &g, &options, &result, err);
    if (rc == GA_EXISTS)
        return ga__fail(err, rc,
                        "id '%.*s' is in the library with another content, "
                        "--update replaces it",
                        (int)g.id.len, g.id.ptr);
    if (!rc)
        s->counts[result]++;
    return rc;
}

/* Standard input may be slow, and while records are taken nobody else can
 * change the library; so it is read to its end before. */
static ga_status spool(FILE **out, ga_error *err)
{
    char chunk[16384];
    size_t n;
    FILE *copy = tmpfile();
    if (!copy)
        return ga__fail_errno(err, "cannot make a temporary file");
    while ((n = fread(chunk, 1, sizeof(chunk), stdin)) > 0 &&
           fwrite(chunk, 1, n, copy) == n)
        ;
    ga_status rc = GA_OK;
    if (ferror(stdin))
        rc = ga__fail_errno(err, "cannot read standard input");
    else if (ferror(copy) || fflush(copy))
        rc = ga__fail_errno(err, "cannot write a temporary file");
    if (rc) {
        fclose(copy);
        return rc;
    }
    rewind(copy);
    *out = copy;
    return GA_OK;
}

typedef struct {
    FILE *stream;
    const char *name;
} input;

static ga_status open_inputs(input *in, char **names, int count, ga_error *err)
{
    for (int i = 0; i < count; i++) {
        bool standard = strcmp(names[i], "-") == 0;
        ga_status rc = GA_OK;
        in[i].name = standard ? "standard input" : names[i];
        if (standard)
            rc = spool(&in[i].stream, err);
        else if (!(in[i].stream = fopen(names[i], "rb")))
            rc = ga__fail_errno(err, "cannot open '%s'", names[i]);
        if (rc)
            return rc;
    }
    return GA_OK;
}

/* "from a.jsonl, b.jsonl, c.jsonl and 4 more": why there is a version when
 * nobody says it. */
static json_t *default_reason(const input *in, int count)
{
    enum { NAMED = 3 };
    char reason[512];
    size_t used = 0;
    for (int i = 0; i < count && i < NAMED && used < sizeof(reason); i++) {
        const char *slash = strrchr(in[i].name, '/');
        used += (size_t)snprintf(reason + used, sizeof(reason) - used, "%s%s",
                                 i ? ", " : "from ",
                                 slash ? slash + 1 : in[i].name);
    }
    if (count > NAMED && used < sizeof(reason))
        snprintf(reason + used, sizeof(reason) - used, " and %d more",
                 count - NAMED);
    /* a name that is cut, or no UTF-8, is no reason to fail */
    return library_json_text(ga__str(reason));
}

static ga_status import_inputs(import *s, const input *in, int count,
                               ga_error *err)
{
    json_t *reason = default_reason(in, count);
    if (!reason)
        return ga__fail(err, GA_NOMEM, "out of memory");
    ga_status rc = library_begin(s->store, &s->common, "import",
                                 json_string_value(reason), err);
    json_decref(reason);
    for (int i = 0; i < count && !rc; i++)
        rc = ga__jsonl_read(&s->lines, in[i].stream, in[i].name, import_record,
                            s, err);
    if (rc)
        return rc;
    if (s->lines.rejected > 0 && !s->keep_going)
        ga__store_abort(s->store);
    else
        rc = ga__store_commit(s->store, &s->version, err);
    return rc;
}

static json_t *errors_json(const ga_jsonl *lines)
{
    json_t *list = json_array();
    for (size_t i = 0; i < lines->error_count; i++) {
        const ga_jsonl_error *e = &lines->errors[i];
        json_array_append_new(
            list, json_pack("{s:o, s:I, s:o}", "file",
                            library_json_text(ga__str(e->file)), "line",
                            (json_int_t)e->line, "message",
                            library_json_text(ga__str(e->message))));
    }
    return list;
}

static void print_errors(const import *s)
{
    const ga_jsonl *l = &s->lines;
    for (size_t i = 0; i < l->error_count; i++)
        cli_failf("%s", l->errors[i].message);
    if (l->rejected > l->error_count)
        cli_failf("and %zu more", l->rejected - l->error_count);
    if (l->rejected > 0 && !s->keep_going)
        cli_failf("nothing was imported: %zu of %zu records %s bad, "
                  "--keep-going takes the others",
                  l->rejected, l->lines, l->rejected == 1 ? "is" : "are");
}

static int report(import *s)
{
    const ga_jsonl *l = &s->lines;
    bool taken = l->rejected == 0 || s->keep_going;
    if (!taken)
        memset(s->counts, 0, sizeof(s->counts));
    print_errors(s);
    if (s->common.json) {
        cli_json_line(json_pack(
            "{s:o, s:I, s:I, s:I, s:I, s:o}", "version",
            s->version ? json_integer((json_int_t)s->version) : json_null(),
            "added", (json_int_t)s->counts[GA_PUT_ADDED], "updated",
            (json_int_t)s->counts[GA_PUT_UPDATED], "unchanged",
            (json_int_t)s->counts[GA_PUT_UNCHANGED], "rejected",
            (json_int_t)l->rejected, "errors", errors_json(l)));
    } else if (taken) {
        library_print_version(s->version);
        printf("%zu added, %zu updated, %zu unchanged, %zu rejected\n",
               s->counts[GA_PUT_ADDED], s->counts[GA_PUT_UPDATED],
               s->counts[GA_PUT_UNCHANGED], l->rejected);
    }
    /* who keeps going has what was asked for, unless nothing was any good */
    return taken && (l->rejected == 0 || l->rejected < l->lines) ? EXIT_DONE
                                                                 : EXIT_FAILED;
}

static int run_import(int argc, char **argv)
{
import s = {.lines = GA_JSONL_INIT };
    ga_error err = {""};
    int count;
    bool finished;
    const cli_option options[] = {
        LIBRARY_CHANGE_OPTIONS(&s.common),
        {OPT_FLAG, 'k', "keep-going", NULL,
         "import the good records of a file with bad ones", &s.keep_going, 0,
         0},
        {OPT_FLAG, 'u', "update", NULL,
         "replace guidelines of the same id and another content", &s.update, 0,
         0},
        {OPT_FLAG, 0, "approve", NULL, "whatever status the records say",
         &s.approve, 0, 0},
        {0}};
    int status =
        cli_parse(&library_import, options, argc, argv, &count, &finished);
    if (status || finished)
        return status;
    if (count == 0)
        return cli_usagef(&library_import, "a FILE is needed");
    input *in = ga__calloc((size_t)count, sizeof(*in));
    if (!in)
        return cli_failf("out of memory");
    ga_status rc = open_inputs(in, argv, count, &err);
    if (!rc) {
        s.store = library_open(&s.common, GA_STORE_CREATE);
        status = s.store ? EXIT_DONE : EXIT_FAILED;
    }
    if (!rc && s.store) {
        rc = import_inputs(&s, in, count, &err);
        status = rc ? EXIT_DONE : report(&s);
    }
    if (rc)
        status = cli_fail(&err);
    for (int i = 0; i < count; i++) {
        if (in[i].stream)
            fclose(in[i].stream);
    }
    free(in);
    ga__store_close(s.store);
    ga__jsonl_free(&s.lines);
    return cli_finish(status);
}

const cli_command library_import = {
    .name = "library import",
    .usage = "[OPTIONS] FILE...",
    .summary = "add guidelines from JSON Lines files",
    .about =
        "Reads guidelines, one JSON object a line, of which only \"text\" is "
        "required; - is standard input. All files together are one change: "
        "when a record is bad nothing is imported, unless --keep-going. A "
        "guideline that is there already is unchanged; one with the same id "
        "and another content is an error, unless --update.",
    .example = "guidealign library import --library my.db --approve --reason "
               "'first set' guidelines.jsonl",
    .run = run_import,
};

/* ---- export ---- */

typedef struct {
    ga_buf out;
    size_t count;
} lines;

static ga_status add_line(void *arg, const ga_store_row *row, ga_error *err)
{
    lines *l = arg;
    ga_status rc = ga__buf_append(&l->out, row->json.ptr, row->json.len, err);
    l->count++;
    return rc ? rc : ga__buf_str(&l->out, "\n", err);
}

/* Exporting over the library itself would be the end of it. */
static bool same_file(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev &&
           x.st_ino == y.st_ino;
}

static ga_status write_file(const char *path, const lines *l, ga_error *err)
{
    ga_atomic_file f;
    ga_status rc = ga__atomic_open(path, &f, err);
    if (rc)
        return rc;
    if (fwrite(l->out.ptr ? l->out.ptr : "", 1, l->out.len, f.stream) !=
        l->out.len) {
        rc = ga__fail_errno(err, "cannot write '%s'", path);
        ga__atomic_abort(&f);
        return rc;
    }
    return ga__atomic_commit(&f, err);
}

static ga_status write_lines(const library_options *o, const char *path,
                             const lines *l, uint64_t version, ga_error *err)
{
    if (!path) {
        fwrite(l->out.ptr ? l->out.ptr : "", 1, l->out.len, stdout);
        return GA_OK; /* cli_finish knows whether it got out */
    }
    ga_status rc = write_file(path, l, err);
    if (rc)
        return rc;
    if (o->json)
        cli_json_line(json_pack(
            "{s:o, s:I, s:I}", "file", library_json_text(ga__str(path)),
            "version", (json_int_t)version, "count", (json_int_t)l->count));
    else
        printf("%zu guidelines of version %llu are in '%s'\n", l->count,
               (unsigned long long)version, path);
    return GA_OK;
}

static int run_export(int argc, char **argv)
{
    library_options common = {0};
    library_filter_options given = {0};
    ga_store_filter filter;
    lines l = {.count = 0};
    const char *at = NULL, *path = NULL;
    uint64_t version = GA_STORE_HEAD;
    ga_error err = {""};
    int count;
    bool finished;
    const cli_option options[] = {LIBRARY_OPTIONS(&common),
                                  {OPT_STRING, 'o', "output", "FILE",
                                   "else standard output", &path, 0, 0},
                                  {OPT_STRING, 0, "version", "N",
                                   "as it was then (the newest)", &at, 0, 0},
                                  {OPT_STRING, 0, "status", "S",
                                   "only draft, approved or retired ones",
                                   &given.status, 0, 0},
                                  {0}};
    int status =
        cli_parse(&library_export, options, argc, argv, &count, &finished);
    if (status || finished)
        return status;
    if (count > 0)
        return cli_usagef(&library_export, "no arguments are taken");
    status = library_filter(&library_export, &given, &filter);
    if (!status && at)
        status = library_version(&library_export, at, &version);
    if (status)
        return status;
    if (path && strcmp(path, "-") == 0)
        path = NULL;
    ga_store *s = library_open(&common, GA_STORE_READ);
    if (!s)
        return EXIT_FAILED;
    ga__buf_init(&l.out, LIBRARY_MAX_OUTPUT);
    ga_status rc = GA_OK;
    if (path && same_file(path, library_path(&common)))
        rc = ga__fail(&err, GA_INVAL, "'%s' is the library itself", path);
    if (!rc)
        rc = ga__store_find_version(s, &version, &err);
    if (!rc)
        rc = ga__store_list(s, version, &filter, add_line, &l, &err);
    ga__store_close(s);
    if (!rc)
        rc = write_lines(&common, path, &l, version, &err);
    ga__buf_free(&l.out);
    return cli_finish(rc ? cli_fail(&err) : EXIT_DONE);
}

const cli_command library_export = {
    .name = "library export",
    .usage = "[OPTIONS]",
    .summary = "write guidelines as JSON Lines",
    .about = "Writes the guidelines, one JSON object a line, by id. What is "
             "exported and imported again is the same. A FILE appears when it "
             "is complete.",
    .example = "guidealign library export --status approved -o approved.jsonl",
    .run = run_export,
};
