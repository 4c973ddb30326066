/* library.c: `guidealign library`, from its second word to its command, and
 * what those commands share. */
#include "cli/library.h"

#include <errno.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
#include <utf8proc.h>

#include "base/error.h"
#include "base/utf8.h"

static const cli_command *const commands[] = {
    &library_import,  &library_export, &library_list,     &library_show,
    &library_add,     &library_edit,   &library_approve,  &library_retire,
    &library_history, &library_diff,   &library_rollback, &library_lint,
};
enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

/* "add" of "library add". */
static const char *short_name(const cli_command *command)
{
    return strchr(command->name, ' ') + 1;
}

static void print_overview(FILE *out)
{
    fprintf(out, "usage: guidealign library %s\n\n%s\n\n", cli_library.usage,
            cli_library.about);
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(out, "  %-10s %s\n", short_name(commands[i]),
                commands[i]->summary);
    fprintf(out,
            "\n'guidealign library COMMAND --help' says what a command takes\n"
            "\nexample\n  %s\n",
            cli_library.example);
}

static int run(int argc, char **argv)
{
    /* a file that may not grow is a write that fails */
    signal(SIGXFSZ, SIG_IGN);
    if (argc < 2) {
        print_overview(stderr);
        return EXIT_USAGE;
    }
    const char *word = argv[1];
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 ||
        strcmp(word, "help") == 0) {
        print_overview(stdout);
        return cli_finish(EXIT_DONE);
    }
    for (size_t i = 0; i < COMMANDS; i++) {
        if (strcmp(word, short_name(commands[i])) == 0)
            return commands[i]->run(argc - 1, argv + 1);
    }
    cli_failf("there is no command 'library %s'", word);
    print_overview(stderr);
    return EXIT_USAGE;
}

const cli_command cli_library = {
    .name = "library",
    .usage = "COMMAND [OPTIONS]",
    .summary = "the guidelines: import, review, edit, history, rollback",
    .about = "Keeps the library of guidelines in one file.  Every change is a "
             "new version with\nwho, when and why, and nothing is ever "
             "overwritten.",
    .example = "guidealign library import --library my.db guidelines.jsonl",
    .run = run,
};

/* ---- options ---- */

int library_filter(const cli_command *command,
                   const library_filter_options *given, ga_store_filter *out)
{
    *out = GA_STORE_FILTER_ALL;
    out->by_status = given->status != NULL;
    out->by_kind = given->kind != NULL;
    out->by_risk = given->risk != NULL;
    if (given->status &&
        !ga__guideline_status_find(ga__str(given->status), &out->status))
        return cli_usagef(command,
                          "--status takes draft, approved or retired, not '%s'",
                          given->status);
    if (given->kind && !ga__kind_find(ga__str(given->kind), &out->kind))
        return cli_usagef(command,
                          "--kind takes safety, permit or quality, not '%s'",
                          given->kind);
    if (given->risk) {
        out->risk = ga__risk_find(ga__str(given->risk));
        if (out->risk == GA_RISK_COUNT)
            return cli_usagef(command, "'%s' is none of the %d risk types",
                              given->risk, GA_RISK_COUNT);
    }
    out->topic = ga__str(given->topic);
    out->scope = ga__str(given->scope);
    out->text = ga__str(given->text);
    return EXIT_DONE;
}

int library_version(const cli_command *command, const char *text, uint64_t *out)
{
    char *end;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno || v > INT64_MAX)
        return cli_usagef(command, "'%s' is no version", text);
    *out = v;
    return EXIT_DONE;
}

const char *library_path(const library_options *o)
{
    const char *named = getenv("GUIDEALIGN_LIBRARY");
    if (o->path)
        return o->path;
    return named && *named ? named : "library.db";
}

ga_store *library_open(const library_options *o, ga_store_mode mode)
{
    ga_store *s = NULL;
    ga_error err = {""};
    ga_status rc = ga__store_open(library_path(o), mode, &s, &err);
    if (rc == GA_NOTFOUND)
        cli_failf("%s: 'guidealign library import' makes one, --library names "
                  "another",
                  err.msg);
    else if (rc)
        cli_fail(&err);
    return s;
}

static const char *user_name(void)
{
    const char *name = getenv("USER");
    if (!name || !*name)
        name = getenv("LOGNAME");
    if (!name || !*name) {
        const struct passwd *entry = getpwuid(geteuid());
        name = entry ? entry->pw_name : "unknown";
    }
    return name;
}

ga_status library_begin(ga_store *s, const library_options *o,
                        const char *action, const char *reason, ga_error *err)
{
    const ga_change change = {
        .author = ga__str(o->author ? o->author : user_name()),
        .action = ga__str(action),
        .reason = ga__str(o->reason ? o->reason : reason),
    };
    return ga__store_begin(s, &change, err);
}

/* ---- output ---- */

json_t *library_json_text(ga_str text)
{
    json_t *out = json_stringn(text.len ? text.ptr : "", text.len);
    if (out)
        return out;
    char *copy = ga__strndup(text.ptr, text.len);
    for (size_t at = 0; copy && at < text.len;) {
        size_t bad = at;
        if (ga__utf8_next((ga_str){copy, text.len}, &at) == GA_UTF8_INVALID)
            copy[bad] = '?';
    }
    out = copy ? json_stringn(copy, text.len) : NULL;
    free(copy);
    return out;
}

/* As many bytes of text as fit into `width` columns. */
static size_t fitting(ga_str text, size_t width)
{
    size_t used = 0, end = 0;
    for (size_t pos = 0; pos < text.len; end = pos) {
        size_t from = pos;
        (void)ga__utf8_next(text, &pos);
        used += cli_text_width((ga_str){text.ptr + from, pos - from});
        if (used > width)
            break;
    }
    return end;
}

/* A table has many cells, and nearly all of them are this. */
static bool plain(ga_str text)
{
    size_t i = 0;
    while (i < text.len && text.ptr[i] >= 0x20 && text.ptr[i] < 0x7F)
        i++;
    return i == text.len;
}

size_t library_text_width(ga_str text)
{
    return plain(text) ? text.len : cli_text_width(text);
}

void library_print_cell(ga_str text, size_t width)
{
    size_t used = library_text_width(text);
    if (plain(text) && (width == 0 || used <= width)) {
        printf("%-*.*s", (int)width, (int)text.len, text.ptr);
        return;
    }
    if (width == 0 || used <= width) {
        cli_print_safely(stdout, text);
    } else {
        size_t dots = width < 3 ? width : 3;
        text.len = fitting(text, width - dots);
        used = cli_text_width(text) + dots;
        cli_print_safely(stdout, text);
        printf("%.*s", (int)dots, "...");
    }
    for (; used < width; used++)
        putchar(' ');
}

char *library_join(ga_str_list list)
{
    size_t n = 1;
    for (size_t i = 0; i < list.count; i++)
        n += list.items[i].len + 2;
    char *out = ga__calloc(n, 1), *p = out;
    for (size_t i = 0; i < list.count && out; i++) {
        memcpy(p, ", ", 2);
        p += i > 0 ? 2 : 0;
        memcpy(p, list.items[i].ptr, list.items[i].len);
        p += list.items[i].len;
    }
    if (out)
        *p = '\0';
    return out;
}

void library_print_version(uint64_t version)
{
    if (version)
        printf("version %llu: ", (unsigned long long)version);
    else
        fputs("nothing to change: ", stdout);
}
