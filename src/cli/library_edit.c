/* library_edit.c: `guidealign library add` and `edit`: fields from options, a
 * record from standard input, or one changed in an editor. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/limits.h"
#include "cli/library.h"

enum { NO_PRIORITY = 10, LISTS = 5 };

/* The fields as options; what is not given is NULL, empty or NO_PRIORITY. */
typedef struct {
    const char *id, *title, *text, *kind, *status;
    unsigned priority;
    cli_list lists[LISTS]; /* risks, topics, scope, triggers, non_triggers */
    ga_str strs[LISTS][64];
} fields;

#define FIELD_OPTIONS(f)                                                         \
    {OPT_HEADING, 0, "fields", NULL, NULL, NULL, 0, 0},                          \
        {OPT_STRING, 't', "title", "TEXT", "a few words", &(f)->title, 0, 0},    \
        {OPT_STRING, 0, "text", "TEXT", "one to three sentences",                \
         &(f)->text, 0, 0},                                                      \
        {OPT_STRING, 0, "kind", "K", "safety, permit or quality",                \
         &(f)->kind, 0, 0},                                                      \
        {OPT_STRING,   0, "status", "S", "draft, approved or retired",           \
         &(f)->status, 0, 0},                                                    \
        {OPT_UINT, 0, "priority", "N", "0 to 9", &(f)->priority, 0, 9},          \
        {OPT_LIST,       0, "risk", "R", "a risk type; repeatable",              \
         &(f)->lists[0], 0, 0},                                                  \
        {OPT_LIST, 0, "topic", "T", "a task; repeatable", &(f)->lists[1], 0, 0}, \
        {OPT_LIST,                                                               \
         0,                                                                      \
         "scope",                                                                \
         "S",                                                                    \
         "where it holds, else everywhere; repeatable",                          \
         &(f)->lists[2],                                                         \
         0,                                                                      \
         0},                                                                     \
        {OPT_LIST,                                                               \
         0,                                                                      \
         "trigger",                                                              \
         "PROMPT",                                                               \
         "a prompt it is for; repeatable",                                       \
         &(f)->lists[3],                                                         \
         0,                                                                      \
         0},                                                                     \
    {                                                                            \
        OPT_LIST, 0, "non-trigger", "PROMPT",                                    \
            "a near miss that it is not for; repeatable", &(f)->lists[4], 0, 0   \
    }

static bool fields_given(const fields *f)
{
    bool given = f->title || f->text || f->kind || f->status ||
                 f->priority != NO_PRIORITY;
    for (int i = 0; i < LISTS; i++)
        given = given || f->lists[i].count > 0;
    return given;
}

/* Kind and status are words of the command line: a wrong one is bad usage. */
static int check_words(const cli_command *command, const fields *f)
{
    const library_filter_options words = {.kind = f->kind, .status = f->status};
    ga_store_filter unused;
    return library_filter(command, &words, &unused);
}

/* Put what is given in place of what is there.  The strings are the fields'. */
static void apply(fields *f, ga_guideline *g)
{
    ga_str_list *lists[LISTS] = {&g->risks, &g->topics, &g->scope, &g->triggers,
                                 &g->non_triggers};
    if (f->title)
        g->title = ga__str(f->title);
    if (f->text)
        g->text = ga__str(f->text);
    if (f->kind)
        (void)ga__kind_find(ga__str(f->kind), &g->kind);
    if (f->status)
        (void)ga__guideline_status_find(ga__str(f->status), &g->status);
    if (f->priority != NO_PRIORITY)
        g->priority = f->priority;
    for (int i = 0; i < LISTS; i++) {
        const cli_list *given = &f->lists[i];
        if (given->count == 0)
            continue;
        for (size_t j = 0; j < given->count; j++)
            f->strs[i][j] = ga__str(given->items[j]);
        /* one empty item: an empty list */
        bool none = given->count == 1 && !*given->items[0];
        *lists[i] = (ga_str_list){f->strs[i], none ? 0 : given->count};
    }
}

/* All of standard input as one record, on any number of lines. */
static ga_status read_record(ga_record *out, ga_error *err)
{
    char chunk[16384];
    size_t n;
    ga_buf text;
    ga_status rc = GA_OK;
    ga__buf_init(&text, GA_MAX_LINE_BYTES);
    while (!rc && (n = fread(chunk, 1, sizeof(chunk), stdin)) > 0)
        rc = ga__buf_append(&text, chunk, n, err);
    if (!rc && ferror(stdin))
        rc = ga__fail_errno(err, "cannot read");
    if (!rc)
        rc = ga__record_parse(out, (ga_str){text.ptr, text.len}, err);
    if (rc)
        ga__error_prefix(err, "standard input");
    ga__buf_free(&text);
    return rc;
}

static void print_result(const library_options *o, const char *result,
                         ga_str id, uint64_t version)
{
    if (o->json) {
        cli_json_line(json_pack("{s:o, s:s, s:o}", "id", library_json_text(id),
                                "result", result, "version",
                                version ? json_integer((json_int_t)version)
                                        : json_null()));
        return;
    }
    library_print_version(version);
    fputs("'", stdout);
    cli_print_safely(stdout, id);
    printf("' %s\n", result);
}

/* ---- add ---- */

static ga_status add(ga_store *s, const library_options *o,
                     const ga_guideline *g, uint64_t *version, ga_error *err)
{
    const ga_put_options options = {.mode = GA_PUT_ADD};
    ga_put_result result;
    ga_status rc = library_begin(s, o, "add", NULL, err);
    if (!rc)
        rc = ga__store_put(s, g, &options, &result, err);
    return rc ? rc : ga__store_commit(s, version, err);
}

static void make_guideline(fields *f, char id[GA_DERIVED_ID_SIZE],
                           char source[64], ga_guideline *out)
{
    time_t now = time(NULL);
    struct tm utc = {0};
    gmtime_r(&now, &utc);
    strftime(source, 64, "{\"created\":\"%Y-%m-%d\"}", &utc);
    *out = (ga_guideline){.priority = 5, .source = ga__str(source)};
    apply(f, out);
    if (!f->kind)
        out->kind =
            out->risks.count > 0 ? GA_GUIDELINE_SAFETY : GA_GUIDELINE_QUALITY;
    if (!f->id)
        ga__guideline_derive_id(out->title, out->text, id);
    out->id = ga__str(f->id ? f->id : id);
}

static int add_and_report(const library_options *common, fields *f,
                          bool standard_input)
{
    ga_record record = GA_RECORD_INIT;
    char id[GA_DERIVED_ID_SIZE], source[64];
    ga_guideline g;
    uint64_t version = 0;
    ga_error err = {""};
    ga_status rc = GA_OK;
    if (standard_input) {
        rc = read_record(&record, &err);
        g = record.guideline;
    } else {
        make_guideline(f, id, source, &g);
        rc = ga__guideline_check(&g, &err);
    }
    ga_store *s = rc ? NULL : library_open(common, GA_STORE_CREATE);
    if (s)
        rc = add(s, common, &g, &version, &err);
    ga__store_close(s);
    int status = rc ? cli_fail(&err) : s ? EXIT_DONE : EXIT_FAILED;
    if (status == EXIT_DONE)
        print_result(common, "added", g.id, version);
    ga__record_free(&record);
    return status;
}

static int run_add(int argc, char **argv)
{
    library_options common = {0};
    fields f = {.priority = NO_PRIORITY};
    int count;
    bool finished;
    const cli_option options[] = {
        LIBRARY_CHANGE_OPTIONS(&common),
        FIELD_OPTIONS(&f),
        {OPT_STRING, 0, "id", "ID", "else made of title and text", &f.id, 0, 0},
        {0}};
    int status =
        cli_parse(&library_add, options, argc, argv, &count, &finished);
    if (status || finished)
        return status;
    bool standard_input = count == 1 && strcmp(argv[0], "-") == 0;
    if (count > 0 && !standard_input)
        return cli_usagef(&library_add, "'%s' is not expected", argv[0]);
    if (standard_input && (f.id || fields_given(&f)))
        return cli_usagef(&library_add,
                          "either fields as options or a record with -");
    if (!standard_input && !f.text)
        return cli_usagef(&library_add, "--text is needed");
    status = check_words(&library_add, &f);
    return status ? status
                  : cli_finish(add_and_report(&common, &f, standard_input));
}

const cli_command library_add = {
    .name = "library add",
    .usage = "[OPTIONS] --text TEXT | -",
    .summary = "add one guideline",
    .about = "Adds a guideline, as a draft unless --status says otherwise. Its "
             "fields are options, or it is a JSON object on standard input.",
    .example = "guidealign library add --title 'Tracking a partner' --risk "
               "privacy_and_property\n"
               "    --text 'Name what to do about the worry instead.'",
    .run = run_add,
};

/* ---- the editor ---- */

static ga_status write_temporary(char *path, const ga_buf *text, ga_error *err)
{
    int fd = mkstemps(path, 5); /* ".json" */
    if (fd < 0)
        return ga__fail_errno(err, "cannot make '%s'", path);
    FILE *f = fdopen(fd, "wb");
    bool good = f && fwrite(text->ptr, 1, text->len, f) == text->len;
    ga_status rc =
        good ? GA_OK : ga__fail_errno(err, "cannot write '%s'", path);
    if (f ? fclose(f) : close(fd))
        rc = rc ? rc : ga__fail_errno(err, "cannot write '%s'", path);
    return rc;
}

static const char *editor(void)
{
    const char *named = getenv("VISUAL");
    if (!named || !*named)
        named = getenv("EDITOR");
    return named && *named ? named : "vi";
}

/* By the shell, because $EDITOR may have arguments. */
static ga_status run_editor(const char *path, ga_error *err)
{
    char command[1024];
    int state = 0;
    int n = snprintf(command, sizeof(command), "%s \"$1\"", editor());
    if (n < 0 || (size_t)n >= sizeof(command))
        return ga__fail(err, GA_LIMIT, "the editor's command is too long");
    void (*interrupt)(int) = signal(SIGINT, SIG_IGN); /* the editor's */
    pid_t child = fork();
    if (child == 0) {
        signal(SIGINT, SIG_DFL);
        signal(SIGPIPE, SIG_DFL);
        execl("/bin/sh", "sh", "-c", command, "sh", path, (char *)NULL);
        _exit(127);
    }
    while (child > 0 && waitpid(child, &state, 0) < 0 && errno == EINTR)
        ;
    signal(SIGINT, interrupt);
    if (child < 0)
        return ga__fail_errno(err, "cannot start '%s'", editor());
    if (!WIFEXITED(state) || WEXITSTATUS(state) != 0)
        return ga__fail(err, GA_CANCELED, "the editor '%s' failed", editor());
    return GA_OK;
}

/* Let the user change the record in *record at `path`, a template that becomes
 * the file's name. */
static ga_status edit_by_hand(ga_record *record, char *path, ga_error *err)
{
    ga_buf text;
    char *edited = NULL;
    size_t len = 0;
    ga__buf_init(&text, 2 * (size_t)GA_MAX_LINE_BYTES);
    ga_status rc = ga__guideline_json_pretty(&record->guideline, &text, err);
    if (!rc)
        rc = write_temporary(path, &text, err);
    if (!rc)
        rc = run_editor(path, err);
    if (!rc)
        rc = ga__file_read(path, GA_MAX_LINE_BYTES, &edited, &len, err);
    if (!rc)
        rc = ga__record_parse(record, (ga_str){edited, len}, err);
    free(edited);
    ga__buf_free(&text);
    return rc;
}

/* ---- edit ---- */

typedef struct {
    library_options common;
    fields fields;
    unsigned expected; /* 0: any */
    enum { BY_OPTIONS, BY_RECORD, BY_HAND } way;
    uint64_t version; /* made; 0 when nothing changed */
} edit;

static ga_status check_id(ga_str is, ga_str was, ga_error *err)
{
    return ga__str_equal(is, was)
               ? GA_OK
               : ga__fail(err, GA_INVAL,
                          "an id cannot change: '%.*s' is not '%.*s'",
                          (int)is.len, is.ptr, (int)was.len, was.ptr);
}

static ga_status put_edit(edit *e, ga_store *s, const ga_guideline *g,
                          uint64_t expected, ga_error *err)
{
    const ga_put_options options = {.mode = GA_PUT_EDIT, .expected = expected};
    ga_put_result result;
    ga_status rc = ga__store_put(s, g, &options, &result, err);
    return rc ? rc : ga__store_commit(s, &e->version, err);
}

/* Read, change and write with nobody between. */
static ga_status edit_by_options(edit *e, ga_str id, ga_error *err)
{
    ga_record record = GA_RECORD_INIT;
    ga_store *s = library_open(&e->common, GA_STORE_WRITE);
    if (!s)
        return ga__fail(err, GA_IO, "%s", "");
    ga_status rc = library_begin(s, &e->common, "edit", NULL, err);
    if (!rc)
        rc = ga__store_get(s, id, GA_STORE_HEAD, &record, NULL, err);
    if (!rc) {
        apply(&e->fields, &record.guideline);
        rc = put_edit(e, s, &record.guideline, e->expected, err);
    }
    ga__store_close(s);
    ga__record_free(&record);
    return rc;
}

static ga_status put_record(edit *e, ga_str id, const ga_record *record,
                            uint64_t expected, ga_error *err)
{
    ga_status rc = check_id(record->guideline.id, id, err);
    if (rc)
        return rc;
    ga_store *s = library_open(&e->common, GA_STORE_WRITE);
    if (!s)
        return ga__fail(err, GA_IO, "%s", "");
    rc = library_begin(s, &e->common, "edit", NULL, err);
    if (!rc)
        rc = put_edit(e, s, &record->guideline, expected, err);
    ga__store_close(s);
    return rc;
}

static ga_status edit_by_record(edit *e, ga_str id, ga_error *err)
{
    ga_record record = GA_RECORD_INIT;
    ga_status rc = read_record(&record, err);
    if (!rc)
        rc = put_record(e, id, &record, e->expected, err);
    ga__record_free(&record);
    return rc;
}

static void say_where(const char *path, ga_error *err)
{
    ga_error why = *err;
    ga__fail(err, GA_OK, "%.300s%syour text is kept in '%s'", why.msg,
             why.msg[0] ? "; " : "", path);
}

/* The library is closed while the editor is open: that may take hours.  What
 * was typed is kept in its file until it is in the library. */
static ga_status edit_in_editor(edit *e, ga_str id, ga_error *err)
{
    ga_record record = GA_RECORD_INIT;
    uint64_t changed = 0;
    const char *folder = getenv("TMPDIR");
    char path[512];
    int n = snprintf(path, sizeof(path), "%s/guidealign-XXXXXX.json",
                     folder && *folder ? folder : "/tmp");
    if (n < 0 || (size_t)n >= sizeof(path))
        return ga__fail(err, GA_LIMIT, "$TMPDIR is too long");
    ga_store *s = library_open(&e->common, GA_STORE_READ);
    if (!s)
        return ga__fail(err, GA_IO, "%s", "");
    ga_status rc = ga__store_get(s, id, GA_STORE_HEAD, &record, &changed, err);
    ga__store_close(s);
    if (rc)
        goto out;
    rc = edit_by_hand(&record, path, err);
    if (!rc)
        rc = put_record(e, id, &record, e->expected ? e->expected : changed,
                        err);
    if (!rc)
        unlink(path);
    else if (access(path, F_OK) == 0)
        say_where(path, err);
out:
    ga__record_free(&record);
    return rc;
}

static int edit_and_report(edit *e, const char *name)
{
    ga_str id = ga__str(name);
    ga_error err = {""};
    ga_status rc = e->way == BY_OPTIONS  ? edit_by_options(e, id, &err)
                   : e->way == BY_RECORD ? edit_by_record(e, id, &err)
                                         : edit_in_editor(e, id, &err);
    if (rc && !err.msg[0])
        return EXIT_FAILED; /* library_open has said why */
    if (rc)
        return cli_fail(&err);
    print_result(&e->common, e->version ? "updated" : "unchanged", id,
                 e->version);
    return EXIT_DONE;
}

static int run_edit(int argc, char **argv)
{
    edit e = {.fields = {.priority = NO_PRIORITY}};
    int count;
    bool finished;
    const cli_option options[] = {
        LIBRARY_CHANGE_OPTIONS(&e.common),
        {OPT_UINT, 0, "expect", "VERSION",
         "fail when it was changed after this version made it", &e.expected, 1,
         0},
        FIELD_OPTIONS(&e.fields),
        {0}};
    int status =
        cli_parse(&library_edit, options, argc, argv, &count, &finished);
    if (status || finished)
        return status;
    bool by_options = fields_given(&e.fields);
    bool record = count == 2 && strcmp(argv[1], "-") == 0;
    if (count == 0 || (count > 1 && !record) || (record && by_options))
        return cli_usagef(&library_edit,
                          "one ID is needed, and either fields or -");
    if (!by_options && !record &&
        !(isatty(STDIN_FILENO) && isatty(STDOUT_FILENO)))
        return cli_usagef(&library_edit,
                          "without a terminal the fields to set are needed");
    e.way = by_options ? BY_OPTIONS : record ? BY_RECORD : BY_HAND;
    status = check_words(&library_edit, &e.fields);
    return status ? status : cli_finish(edit_and_report(&e, argv[0]));
}

const cli_command library_edit = {
    .name = "library edit",
    .usage = "[OPTIONS] ID [-]",
    .summary = "change a guideline, in $EDITOR or by options",
    .about = "Sets the fields given as options; a list takes the place of the "
             "one there, and an empty value empties it. With - the whole "
             "record is a JSON object on standard input. With neither the "
             "record is opened in $VISUAL or $EDITOR.",
    .example = "guidealign library edit tracking-partner --priority 8 "
               "--reason 'more harm than we thought'",
    .run = run_edit,
};
