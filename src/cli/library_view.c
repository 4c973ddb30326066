/* library_view.c: `guidealign library list`, `show` and `history`. */
#include <stdlib.h>

#include "base/error.h"
#include "base/limits.h"
#include "cli/library.h"

/* ---- list ---- */

typedef struct {
    ga_str id, title, tags;
    ga_guideline_kind kind;
    ga_guideline_status status;
    unsigned priority;
} row;

typedef struct {
    bool json;
    ga_buf lines; /* what --json prints */
    row *rows;    /* what people see */
    size_t count, cap;
    ga_arena arena;
} listing;

static bool copy_into(ga_arena *arena, ga_str text, ga_str *out)
{
    char *copy = ga__arena_alloc(arena, text.len, 1);
    if (copy && text.len)
        memcpy(copy, text.ptr, text.len);
    *out = (ga_str){copy, text.len};
    return copy != NULL;
}

static ga_status add_row(void *arg, const ga_store_row *r, ga_error *err)
{
    listing *l = arg;
    const ga_guideline *g = r->guideline;
    if (l->json) {
        ga_status rc = ga__buf_append(&l->lines, r->json.ptr, r->json.len, err);
        return rc ? rc : ga__buf_str(&l->lines, "\n", err);
    }
    void *rows = l->rows;
    if (!ga__grow(&rows, &l->cap, l->count + 1, sizeof(row)))
        return ga__fail_nomem(err, l->count * sizeof(row));
    l->rows = rows;
    row *out = &l->rows[l->count];
    char *tags = library_join(g->risks.count > 0 ? g->risks : g->topics);
    bool copied =
        tags && copy_into(&l->arena, ga__str(tags), &out->tags) &&
        copy_into(&l->arena, g->id, &out->id) &&
        copy_into(&l->arena, g->title.len ? g->title : g->text, &out->title);
    free(tags);
    if (!copied)
        return ga__fail_nomem(err, g->title.len);
    out->kind = g->kind;
    out->status = g->status;
    out->priority = g->priority;
    l->count++;
    return GA_OK;
}

#define TAGS "RISKS OR TOPICS"

/* Widths of the columns whose texts vary: as wide as the widest, and on a
 * terminal no more than fits a line.  Elsewhere the last is as it is. */
static void choose_widths(const listing *l, unsigned columns, size_t width[3])
{
    enum { FIXED = 8 + 7 + 1 + 5 * 2 }; /* status, kind, priority; spaces */
    size_t most[3] = {2, 5, strlen(TAGS)};
    for (size_t i = 0; i < l->count; i++) {
        const row *r = &l->rows[i];
        const size_t now[3] = {library_text_width(r->id),
                               library_text_width(r->title),
                               library_text_width(r->tags)};
        for (int c = 0; c < 3; c++)
            most[c] = now[c] > most[c] ? now[c] : most[c];
    }
    memcpy(width, most, sizeof(most));
    width[2] = 0;
    if (columns == 0)
        return;
    size_t room = columns > FIXED + 24 ? columns - FIXED : 24;
    width[0] = most[0] < room * 2 / 5 ? most[0] : room * 2 / 5;
    room -= width[0];
    width[1] = most[1] < room * 2 / 3 ? most[1] : room * 2 / 3;
    room -= width[1];
    width[2] = most[2] < room ? most[2] : room;
}

static void print_table(const listing *l)
{
    unsigned columns = cli_columns();
    size_t width[3];
    if (l->count == 0)
        return;
    choose_widths(l, columns, width);
    library_print_cell(ga__str("ID"), width[0]);
    fputs("  STATUS    KIND     P  ", stdout);
    library_print_cell(ga__str("TITLE"), width[1]);
    fputs("  ", stdout);
    library_print_cell(ga__str(TAGS), width[2]);
    putchar('\n');
    for (size_t i = 0; i < l->count; i++) {
        const row *r = &l->rows[i];
        library_print_cell(r->id, width[0]);
        printf("  %-8s  %-7s  %u  ", ga__guideline_status_name(r->status),
               ga__kind_name(r->kind), r->priority);
        library_print_cell(r->title, width[1]);
        fputs("  ", stdout);
        library_print_cell(r->tags, width[2]);
        putchar('\n');
    }
    if (columns > 0)
        printf("%zu guidelines\n", l->count);
}

static int list(const library_options *common, const ga_store_filter *filter,
                uint64_t version)
{
    listing l = {.json = common->json, .arena = GA_ARENA_INIT};
    ga_error err = {""};
    ga_store *s = library_open(common, GA_STORE_READ);
    if (!s)
        return EXIT_FAILED;
    ga__buf_init(&l.lines, LIBRARY_MAX_OUTPUT);
    ga_status rc = ga__store_list(s, version, filter, add_row, &l, &err);
    ga__store_close(s);
    if (!rc && l.json)
        fwrite(l.lines.ptr ? l.lines.ptr : "", 1, l.lines.len, stdout);
    else if (!rc)
        print_table(&l);
    ga__buf_free(&l.lines);
    free(l.rows);
    ga__arena_free(&l.arena);
    return rc ? cli_fail(&err) : EXIT_DONE;
}

static int run_list(int argc, char **argv)
{
    library_options common = {0};
    library_filter_options given = {0};
    ga_store_filter filter;
    const char *at = NULL;
    uint64_t version = GA_STORE_HEAD;
    int count;
    bool finished;
    const cli_option options[] = {
        LIBRARY_OPTIONS(&common),
        {OPT_STRING, 's', "status", "S", "draft, approved or retired",
         &given.status, 0, 0},
        {OPT_STRING, 'k', "kind", "K", "safety, permit or quality", &given.kind,
         0, 0},
        {OPT_STRING, 'r', "risk", "R", "of this risk type", &given.risk, 0, 0},
        {OPT_STRING, 't', "topic", "T", "of this topic", &given.topic, 0, 0},
        {OPT_STRING, 0, "scope", "S", "that name this scope", &given.scope, 0,
         0},
        {OPT_STRING, 0, "text", "TEXT",
         "with this in id, title or text, whatever the case", &given.text, 0,
         0},
        {OPT_STRING, 0, "version", "N", "as it was then (the newest)", &at, 0,
         0},
        {0}};
    int status =
        cli_parse(&library_list, options, argc, argv, &count, &finished);
    if (status || finished)
        return status;
    if (count > 0)
        return cli_usagef(&library_list, "no arguments are taken");
    status = library_filter(&library_list, &given, &filter);
    if (!status && at)
        status = library_version(&library_list, at, &version);
    return status ? status : cli_finish(list(&common, &filter, version));
}

const cli_command library_list = {
    .name = "library list",
    .usage = "[OPTIONS]",
    .summary = "the guidelines as a table",
    .about = "Lists the guidelines that pass all filters, by id; with --json "
             "the records themselves, which import takes again.",
    .example = "guidealign library list --status draft --risk insult",
    .run = run_list,
};

/* ---- show ---- */

static void print_field(const char *name, ga_str value)
{
    if (value.len == 0)
        return;
    printf("  %-9s ", name);
    cli_print_safely(stdout, value);
    putchar('\n');
}

static void print_names(const char *name, ga_str_list names)
{
    char *joined = library_join(names);
    print_field(name, ga__str(joined));
    free(joined);
}

static void print_prompts(const char *name, ga_str_list prompts)
{
    if (prompts.count > 0)
        printf("  %s\n", name);
    for (size_t i = 0; i < prompts.count; i++) {
        fputs("    - ", stdout);
        cli_print_safely(stdout, prompts.items[i]);
        putchar('\n');
    }
}

static void print_record(const ga_guideline *g, uint64_t changed)
{
    char line[64];
    cli_print_safely(stdout, g->id);
    if (g->title.len > 0) {
        fputs(": ", stdout);
        cli_print_safely(stdout, g->title);
    }
    putchar('\n');
    cli_print_wrapped(stdout, g->text, 2, cli_columns());
    print_field("status", ga__str(ga__guideline_status_name(g->status)));
    print_field("kind", ga__str(ga__kind_name(g->kind)));
    snprintf(line, sizeof(line), "%u", g->priority);
    print_field("priority", ga__str(line));
    print_names("risks", g->risks);
    print_names("topics", g->topics);
    print_names("scope", g->scope);
    print_prompts("triggers", g->triggers);
    print_prompts("not for", g->non_triggers);
    print_field("source", g->source);
    snprintf(line, sizeof(line), "version %llu", (unsigned long long)changed);
    print_field("since", ga__str(line));
}

static int show(const library_options *common, const char *id, uint64_t version)
{
    ga_record record = GA_RECORD_INIT;
    ga_error err = {""};
    ga_buf json;
    uint64_t changed = 0;
    ga_store *s = library_open(common, GA_STORE_READ);
    if (!s)
        return EXIT_FAILED;
    ga__buf_init(&json, GA_MAX_LINE_BYTES);
    ga_status rc = ga__store_find_version(s, &version, &err);
    if (!rc)
        rc = ga__store_get(s, ga__str(id), version, &record, &changed, &err);
    ga__store_close(s);
    if (!rc && common->json)
        rc = ga__guideline_json(&record.guideline, &json, &err);
    if (!rc && common->json)
        printf("%s\n", json.ptr);
    else if (!rc)
        print_record(&record.guideline, changed);
    ga__buf_free(&json);
    ga__record_free(&record);
    return rc ? cli_fail(&err) : EXIT_DONE;
}

static int run_show(int argc, char **argv)
{
    library_options common = {0};
    const char *at = NULL;
    uint64_t version = GA_STORE_HEAD;
    int count;
    bool finished;
    const cli_option options[] = {LIBRARY_OPTIONS(&common),
                                  {OPT_STRING, 0, "version", "N",
                                   "as it was then (the newest)", &at, 0, 0},
                                  {0}};
    int status =
        cli_parse(&library_show, options, argc, argv, &count, &finished);
    if (status || finished)
        return status;
    if (count != 1)
        return cli_usagef(&library_show, "one ID is needed");
    if (at)
        status = library_version(&library_show, at, &version);
    return status ? status : cli_finish(show(&common, argv[0], version));
}

const cli_command library_show = {
    .name = "library show",
    .usage = "[OPTIONS] ID",
    .summary = "one guideline with all its fields",
    .about = "Shows a guideline as it is now or was at a version.",
    .example = "guidealign library show accusing-in-public --version 2",
    .run = run_show,
};

/* ---- history ---- */

typedef struct {
    bool json, of_one;
    json_t *list; /* of what is printed when all is read */
} history;

static ga_status add_version(void *arg, const ga_store_version *v,
                             ga_error *err)
{
    history *h = arg;
    json_t *o = json_pack(
        "{s:I, s:o, s:o, s:o, s:o, s:I}", "version", (json_int_t)v->version,
        "created", library_json_text(v->created), "author",
        library_json_text(v->author), "action", library_json_text(v->action),
        "reason", library_json_text(v->reason), "changes",
        (json_int_t)v->count);
    if (o && h->of_one)
        json_object_set_new(o, "deleted", json_boolean(v->json.len == 0));
    return json_array_append_new(h->list, o) ? ga__fail_nomem(err, 64) : GA_OK;
}

static const char *text_of(const json_t *o, const char *key)
{
    return json_string_value(json_object_get(o, key));
}

static void print_version(const json_t *o, bool of_one)
{
    enum { BEFORE_REASON = 7 + 19 + 12 + 14 + 7 + 5 * 2 }; /* columns */
    printf("%7lld  %-19.19s  ",
           (long long)json_integer_value(json_object_get(o, "version")),
           text_of(o, "created"));
    library_print_cell(ga__str(text_of(o, "author")), 12);
    fputs("  ", stdout);
    library_print_cell(ga__str(text_of(o, "action")), 14);
    if (of_one)
        printf("  %s  ", json_is_true(json_object_get(o, "deleted"))
                             ? "removed"
                             : "       ");
    else
        printf("  %7lld  ",
               (long long)json_integer_value(json_object_get(o, "changes")));
    unsigned columns = cli_columns();
    library_print_cell(ga__str(text_of(o, "reason")),
                       columns > BEFORE_REASON ? columns - BEFORE_REASON : 0);
    putchar('\n');
}

static int print_history(const library_options *common, ga_str id)
{
    history h = {common->json, id.len > 0, json_array()};
    ga_error err = {""};
    size_t i;
    json_t *o;
    ga_store *s = library_open(common, GA_STORE_READ);
    if (!s) {
        json_decref(h.list);
        return EXIT_FAILED;
    }
    ga_status rc = ga__store_history(s, id, add_version, &h, &err);
    ga__store_close(s);
    if (!rc && !h.json && json_array_size(h.list) > 0)
        printf("%7s  %-19s  %-12s  %-14s  %7s  %s\n", "VERSION", "UTC",
               "AUTHOR", "ACTION", h.of_one ? "" : "CHANGES", "REASON");
    json_array_foreach(h.list, i, o)
    {
        if (!rc && h.json)
            cli_json_line(json_incref(o));
        else if (!rc)
            print_version(o, h.of_one);
    }
    json_decref(h.list);
    return rc ? cli_fail(&err) : EXIT_DONE;
}

static int run_history(int argc, char **argv)
{
    library_options common = {0};
    int count;
    bool finished;
    const cli_option options[] = {LIBRARY_OPTIONS(&common), {0}};
    int status =
        cli_parse(&library_history, options, argc, argv, &count, &finished);
    if (status || finished)
        return status;
    if (count > 1 || (count == 1 && !*argv[0]))
        return cli_usagef(&library_history, "one ID at most");
    return cli_finish(print_history(&common, ga__str(count ? argv[0] : NULL)));
}

const cli_command library_history = {
    .name = "library history",
    .usage = "[OPTIONS] [ID]",
    .summary = "the versions: who, when and why",
    .about = "Lists the versions of the library, or those that changed one "
             "guideline, newest first.",
    .example = "guidealign library history accusing-in-public",
    .run = run_history,
};
