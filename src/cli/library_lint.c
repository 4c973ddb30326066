/* library_lint.c: `guidealign library lint`. */
#include <stdlib.h>

#include "base/error.h"
#include "base/threads.h"
#include "cli/library.h"
#include "library/lint.h"
#include "library/load.h"

typedef struct {
    cli_list libraries;
    const char *encoder;
    bool json, strict, meaning;
    unsigned threads;
} lint_options;

static const char *const level_names[] = {"note", "warning", "error"};

static void print_finding(const ga_guideline_set *set, const ga_lint_finding *f)
{
    printf("%s: ", level_names[ga__lint_level(f->check)]);
    cli_print_safely(stdout, set->items[f->guideline].id);
    printf(": ");
    cli_print_safely(stdout, ga__str(f->message));
    printf(" [%s]\n", ga__lint_name(f->check));
}

static json_t *finding_json(const ga_guideline_set *set,
                            const ga_lint_finding *f)
{
    return json_pack(
        "{s:s, s:s, s:o, s:o, s:o}", "level",
        level_names[ga__lint_level(f->check)], "check", ga__lint_name(f->check),
        "id", library_json_text(set->items[f->guideline].id), "other",
        f->other == GA_LINT_NONE ? json_null()
                                 : library_json_text(set->items[f->other].id),
        "message", library_json_text(ga__str(f->message)));
}

/* Is anything of it a reason to stop? */
static bool report(const lint_options *o, const ga_guideline_set *set,
                   const ga_lint_report *r)
{
    size_t count[3] = {0};
    for (size_t i = 0; i < r->count; i++) {
        count[ga__lint_level(r->items[i].check)]++;
        if (o->json)
            cli_json_line(finding_json(set, &r->items[i]));
        else
            print_finding(set, &r->items[i]);
    }
    if (o->json)
        cli_json_line(json_pack("{s:I, s:I, s:I, s:I}", "guidelines",
                                (json_int_t)set->count, "errors",
                                (json_int_t)count[GA_LINT_ERROR], "warnings",
                                (json_int_t)count[GA_LINT_WARNING], "notes",
                                (json_int_t)count[GA_LINT_NOTE]));
    else
        printf("%zu guidelines: %zu errors, %zu warnings, %zu notes\n",
               set->count, count[GA_LINT_ERROR], count[GA_LINT_WARNING],
               count[GA_LINT_NOTE]);
    return count[GA_LINT_ERROR] > 0 ||
           (o->strict && count[GA_LINT_WARNING] > 0);
}

static ga_status lint(const lint_options *o, const ga_lint_options *checks,
                      bool *stop, ga_error *err)
{
    const char *const path[] = {library_path(&(library_options){0})};
    ga_guideline_set set = GA_GUIDELINE_SET_INIT;
    ga_lint_report r = GA_LINT_REPORT_INIT;
    ga_encoder *enc = NULL;
    ga_scratch *scratch = NULL;
    ga_status rc = ga__guidelines_load(
        o->libraries.count ? o->libraries.items : path,
        o->libraries.count ? o->libraries.count : 1, NULL, &set, err);
    if (!rc && o->meaning) {
        rc = ga_encoder_open_as(o->encoder, GA_PRECISION_INT8, &enc, err);
        if (!rc)
            rc = ga_scratch_new(o->threads, &scratch, err);
    }
    if (!rc)
        rc = ga__lint(set.items, set.count, enc, scratch, checks, &r, err);
    if (!rc)
        *stop = report(o, &set, &r);
    ga__lint_free(&r);
    ga_scratch_free(scratch);
    ga_encoder_close(enc);
    ga__guidelines_free(&set);
    return rc;
}

static int run(int argc, char **argv)
{
    lint_options o = {.meaning = true, .threads = ga__cpu_count()};
    ga_lint_options checks;
    ga__lint_options_init(&checks);
    unsigned most = (unsigned)checks.most_words;
    unsigned triggers = (unsigned)checks.least_triggers;
    int count;
    bool done, stop = false;
    ga_error err = {""};
    const cli_option options[] = {
        {OPT_LIST, 'l', "library", "FILE",
         "a library or JSON Lines file; repeatable", &o.libraries, 0, 0},
        {OPT_STRING, 'e', "encoder", "DIR", "model folder; else the retriever",
         &o.encoder, 0, 0},
        {OPT_FLAG, 0, "meaning", NULL,
         "compare meanings too, which needs the encoder (yes)", &o.meaning, 0,
         0},
        {OPT_FLAG, 0, "strict", NULL, "fail for warnings too", &o.strict, 0, 0},
        {OPT_UINT, 0, "most-words", "N", "of a text (80)", &most, 1, 10000},
        {OPT_UINT, 0, "least-triggers", "N", "of a guideline (8)", &triggers, 0,
         256},
        {OPT_DOUBLE, 0, "similar", "X",
         "shared 3-word sequences that make texts alike (0.4)", &checks.similar,
         0, 0},
        {OPT_DOUBLE, 0, "same-meaning", "X",
         "cosine from which on two texts say the same (0.9)",
         &checks.same_meaning, 0, 0},
        {OPT_UINT, 0, "threads", "N", "threads (all)", &o.threads, 1, 256},
        {OPT_FLAG, 0, "json", NULL, "one JSON object a finding", &o.json, 0, 0},
        {0}};
    int status = cli_parse(&library_lint, options, argc, argv, &count, &done);
    if (status || done)
        return status;
    if (count)
        return cli_usagef(&library_lint, "'%s' is no option", argv[0]);
    if (!(checks.similar > 0 && checks.similar <= 1))
        return cli_usagef(&library_lint, "--similar is above 0, at most 1");
    checks.most_words = most;
    checks.least_triggers = triggers;
    if (!o.encoder)
        o.encoder = cli_get_paths()->retriever;
    if (o.meaning && !o.encoder)
        return cli_failf("there is no retriever: 'make setup' fetches it, name "
                         "a model folder with --encoder, or leave meanings out "
                         "with --no-meaning");
    ga_status rc = lint(&o, &checks, &stop, &err);
    return cli_finish(rc ? cli_fail(&err) : stop ? EXIT_FAILED : EXIT_DONE);
}

const cli_command library_lint = {
    .name = "library lint",
    .usage = "[OPTIONS]",
    .summary = "what is wrong or weak in the guidelines",
    .about = "Reads libraries and lists what their editors should look at: "
             "texts that are empty phrases, too long or without triggers; two "
             "that say the same, by words or by meaning; two whose triggers "
             "cannot be told apart; two that fire together and pull in "
             "opposite directions. Errors end with status 1, warnings too when "
             "--strict is given.",
    .example =
        "guidealign library lint --library my.db\n"
        "guidealign library lint --library guidelines.jsonl --no-meaning",
    .run = run,
};
