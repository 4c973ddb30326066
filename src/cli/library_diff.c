/* library_diff.c: `guidealign library diff` and `rollback`. */
#include <stdlib.h>

#include "base/error.h"
#include "base/limits.h"
#include "cli/library.h"

/* What is printed is gathered first, see LIBRARY_MAX_OUTPUT. */
typedef struct {
    bool json, colours;
    FILE *out;
} diff;

/* ---- for machines ---- */

static ga_status json_member(ga_buf *b, const char *key, const ga_record *r,
                             ga_error *err)
{
    ga_status rc = ga__buf_printf(b, err, ",\"%s\":", key);
    if (rc)
        return rc;
    return r ? ga__guideline_json(&r->guideline, b, err)
             : ga__buf_str(b, "null", err);
}

static const char *kind_of_change(const ga_record *before,
                                  const ga_record *after)
{
    return !before ? "added" : after ? "changed" : "removed";
}

static ga_status add_object(diff *d, ga_str id, const ga_record *before,
                            const ga_record *after, ga_error *err)
{
    ga_buf b;
    ga_status rc;
    ga__buf_init(&b, 3 * (size_t)GA_MAX_LINE_BYTES);
    (void)((rc = ga__buf_str(&b, "{\"id\":\"", err)) ||
           (rc = ga__buf_json(&b, id, err)) ||
           (rc = ga__buf_printf(&b, err, "\",\"change\":\"%s\"",
                                kind_of_change(before, after))) ||
           (rc = json_member(&b, "before", before, err)) ||
           (rc = json_member(&b, "after", after, err)));
    if (!rc)
        fprintf(d->out, "%s}\n", b.ptr);
    ga__buf_free(&b);
    return rc;
}

/* ---- for people ---- */

static void paint(const diff *d, const char *colour)
{
    if (d->colours)
        fprintf(d->out, "\033[%sm", colour);
}

/* A line of one side: "    - text: be kind". */
static void print_line(const diff *d, char sign, const char *name, ga_str value)
{
    paint(d, sign == '-' ? "31" : "32");
    fprintf(d->out, "    %c %s: ", sign, name);
    cli_print_safely(d->out, value);
    paint(d, "0");
    fputc('\n', d->out);
}

static void print_text(const diff *d, const char *name, ga_str before,
                       ga_str after)
{
    if (ga__str_equal(before, after))
        return;
    if (before.len > 0)
        print_line(d, '-', name, before);
    if (after.len > 0)
        print_line(d, '+', name, after);
}

static bool has(ga_str_list list, ga_str item)
{
    for (size_t i = 0; i < list.count; i++) {
        if (ga__str_equal(list.items[i], item))
            return true;
    }
    return false;
}

/* The items that are on one side only; where there are none and the lists
 * differ all the same, their order does. */
static void print_list(const diff *d, const char *name, ga_str_list before,
                       ga_str_list after)
{
    bool same = before.count == after.count, shown = false;
    for (size_t i = 0; i < before.count && same; i++)
        same = ga__str_equal(before.items[i], after.items[i]);
    if (same)
        return;
    for (size_t i = 0; i < before.count; i++) {
        if (!has(after, before.items[i])) {
            print_line(d, '-', name, before.items[i]);
            shown = true;
        }
    }
    for (size_t i = 0; i < after.count; i++) {
        if (!has(before, after.items[i])) {
            print_line(d, '+', name, after.items[i]);
            shown = true;
        }
    }
    if (!shown)
        fprintf(d->out, "    ~ %s: in another order\n", name);
}

static void print_fields(const diff *d, const ga_guideline *a,
                         const ga_guideline *b)
{
    const char before[] = {(char)('0' + a->priority), '\0'};
    const char after[] = {(char)('0' + b->priority), '\0'};
    print_text(d, "title", a->title, b->title);
    print_text(d, "text", a->text, b->text);
    print_text(d, "kind", ga__str(ga__kind_name(a->kind)),
               ga__str(ga__kind_name(b->kind)));
    print_list(d, "risks", a->risks, b->risks);
    print_list(d, "topics", a->topics, b->topics);
    print_text(d, "priority", ga__str(before), ga__str(after));
    print_list(d, "scope", a->scope, b->scope);
    print_list(d, "triggers", a->triggers, b->triggers);
    print_list(d, "non_triggers", a->non_triggers, b->non_triggers);
    print_text(d, "status", ga__str(ga__guideline_status_name(a->status)),
               ga__str(ga__guideline_status_name(b->status)));
    print_text(d, "source", a->source, b->source);
}

static ga_status add_difference(void *arg, ga_str id, const ga_record *before,
                                const ga_record *after, ga_error *err)
{
    diff *d = arg;
    if (d->json)
        return add_object(d, id, before, after, err);
    const ga_guideline *one = after    ? &after->guideline
                              : before ? &before->guideline
                                       : NULL;
    const char *sign = !before ? "+" : after ? "~" : "-";
    paint(d, "1");
    fprintf(d->out, "%s ", sign);
    cli_print_safely(d->out, id);
    fprintf(d->out, ", %s", kind_of_change(before, after));
    paint(d, "0");
    fputc('\n', d->out);
    if (before && after) {
        print_fields(d, &before->guideline, &after->guideline);
    } else if (one) {
        print_line(d, *sign, "title", one->title);
        print_line(d, *sign, "text", one->text);
    }
    return GA_OK;
}

static int print_diff(const library_options *common, uint64_t before,
                      uint64_t after, bool last)
{
    diff d = {common->json, !common->json && cli_colours(), NULL};
    char *text = NULL;
    size_t len = 0;
    ga_error err = {""};
    ga_store *s = library_open(common, GA_STORE_READ);
    if (!s)
        return EXIT_FAILED;
    ga_status rc = ga__store_find_version(s, &after, &err);
    if (!rc && last)
        before = after > 0 ? after - 1 : 0;
    if (!rc && !(d.out = open_memstream(&text, &len)))
        rc = ga__fail_errno(&err, "cannot compare");
    if (!rc)
        rc = ga__store_diff(s, before, after, add_difference, &d, &err);
    ga__store_close(s);
    if (d.out && fclose(d.out) && !rc)
        rc = ga__fail_errno(&err, "cannot compare");
    if (!rc && !d.json)
        printf("version %llu to %llu%s\n", (unsigned long long)before,
               (unsigned long long)after, len ? "" : ": no difference");
    if (!rc)
        fwrite(text, 1, len, stdout);
    free(text);
    return rc ? cli_fail(&err) : EXIT_DONE;
}

static int run_diff(int argc, char **argv)
{
    library_options common = {0};
    uint64_t before = 0, after = GA_STORE_HEAD;
    int count;
    bool finished;
    const cli_option options[] = {LIBRARY_OPTIONS(&common), {0}};
    int status =
        cli_parse(&library_diff, options, argc, argv, &count, &finished);
    if (status || finished)
        return status;
    if (count > 2)
        return cli_usagef(&library_diff, "two versions at most");
    if (count > 0)
        status = library_version(&library_diff, argv[0], &before);
    if (!status && count > 1)
        status = library_version(&library_diff, argv[1], &after);
    return status ? status
                  : cli_finish(print_diff(&common, before, after, count == 0));
}

const cli_command library_diff = {
    .name = "library diff",
    .usage = "[OPTIONS] [VERSION [VERSION]]",
    .summary = "what differs between two versions",
    .about = "Shows which guidelines were added, removed and changed, field by "
             "field: in the last change, since a version, or between two. "
             "Version 0 is the empty library.",
    .example = "guidealign library diff 3 7",
    .run = run_diff,
};

/* ---- rollback ---- */

static int rollback(const library_options *common, uint64_t to)
{
    char action[GA_MAX_ACTION_BYTES];
    uint64_t version = 0;
    size_t count = 0;
    ga_error err = {""};
    ga_store *s = library_open(common, GA_STORE_WRITE);
    if (!s)
        return EXIT_FAILED;
    snprintf(action, sizeof(action), "rollback to %llu",
             (unsigned long long)to);
    ga_status rc = library_begin(s, common, action, NULL, &err);
    if (!rc)
        rc = ga__store_rollback(s, to, &count, &err);
    if (!rc)
        rc = ga__store_commit(s, &version, &err);
    ga__store_close(s);
    if (rc)
        return cli_fail(&err);
    if (common->json) {
        cli_json_line(
            json_pack("{s:o, s:I, s:I}", "version",
                      version ? json_integer((json_int_t)version) : json_null(),
                      "to", (json_int_t)to, "changes", (json_int_t)count));
    } else {
        library_print_version(version);
        printf("as in version %llu again, %zu changed\n",
               (unsigned long long)to, count);
    }
    return EXIT_DONE;
}

static int run_rollback(int argc, char **argv)
{
    library_options common = {0};
    uint64_t to = 0;
    int count;
    bool finished;
    const cli_option options[] = {LIBRARY_CHANGE_OPTIONS(&common), {0}};
    int status =
        cli_parse(&library_rollback, options, argc, argv, &count, &finished);
    if (status || finished)
        return status;
    if (count != 1)
        return cli_usagef(&library_rollback, "one VERSION is needed");
    status = library_version(&library_rollback, argv[0], &to);
    return status ? status : cli_finish(rollback(&common, to));
}

const cli_command library_rollback = {
    .name = "library rollback",
    .usage = "[OPTIONS] VERSION",
    .summary = "bring back the state of a version",
    .about = "Makes a new version that is like an old one. What lies between "
             "stays in the history, so a rollback can be rolled back.",
    .example = "guidealign library rollback 3 --reason 'approved by mistake'",
    .run = run_rollback,
};
