/* library_status.c: `guidealign library approve` and `retire`. */
#include <stdlib.h>

#include "base/error.h"
#include "cli/library.h"

/* All ids or none: a set that was reviewed together goes live together. */
static ga_status set_all(ga_store *s, char **ids, int count,
                         ga_guideline_status to, bool *changed,
                         uint64_t *version, ga_error *err)
{
    ga_status rc = GA_OK;
    for (int i = 0; i < count && !rc; i++)
        rc = ga__store_set_status(s, ga__str(ids[i]), to, &changed[i], err);
    return rc ? rc : ga__store_commit(s, version, err);
}

static void report(const library_options *o, char **ids, int count,
                   const char *result, const bool *changed, uint64_t version)
{
    for (int i = 0; i < count; i++) {
        if (o->json) {
            cli_json_line(json_pack(
                "{s:o, s:s, s:o}", "id", library_json_text(ga__str(ids[i])),
                "result", changed[i] ? result : "unchanged", "version",
                changed[i] ? json_integer((json_int_t)version) : json_null()));
            continue;
        }
        library_print_version(changed[i] ? version : 0);
        fputs("'", stdout);
        cli_print_safely(stdout, ga__str(ids[i]));
        printf("' %s %s\n", changed[i] ? "is" : "was already", result);
    }
}

static int run(const cli_command *command, const char *action,
               ga_guideline_status to, int argc, char **argv)
{
    library_options common = {0};
    uint64_t version = 0;
    ga_error err = {""};
    int count;
    bool finished;
    const cli_option options[] = {LIBRARY_CHANGE_OPTIONS(&common), {0}};
    int status = cli_parse(command, options, argc, argv, &count, &finished);
    if (status || finished)
        return status;
    if (count == 0)
        return cli_usagef(command, "an ID is needed");
    bool *changed = ga__calloc((size_t)count, sizeof(*changed));
    if (!changed)
        return cli_failf("out of memory");
    ga_store *s = library_open(&common, GA_STORE_WRITE);
    if (!s) {
        free(changed);
        return EXIT_FAILED;
    }
    ga_status rc = library_begin(s, &common, action, NULL, &err);
    if (!rc)
        rc = set_all(s, argv, count, to, changed, &version, &err);
    ga__store_close(s);
    if (!rc)
        report(&common, argv, count, ga__guideline_status_name(to), changed,
               version);
    free(changed);
    return cli_finish(rc ? cli_fail(&err) : EXIT_DONE);
}

static int run_approve(int argc, char **argv)
{
    return run(&library_approve, "approve", GA_STATUS_APPROVED, argc, argv);
}

static int run_retire(int argc, char **argv)
{
    return run(&library_retire, "retire", GA_STATUS_RETIRED, argc, argv);
}

const cli_command library_approve = {
    .name = "library approve",
    .usage = "[OPTIONS] ID...",
    .summary = "make guidelines count",
    .about = "Sets the status of guidelines to approved: packs take these. All "
             "of them in one change, or none when there is one unknown.",
    .example = "guidealign library approve --reason 'reviewed by Ada' "
               "tracking-partner",
    .run = run_approve,
};

const cli_command library_retire = {
    .name = "library retire",
    .usage = "[OPTIONS] ID...",
    .summary = "take guidelines out of use; the history keeps them",
    .about = "Sets the status of guidelines to retired: packs leave them out. "
             "All of them in one change, or none when there is one unknown.",
    .example = "guidealign library retire --reason 'covered by another' "
               "tracking-partner",
    .run = run_retire,
};
