/* pairs.c: `guidealign pairs check`. */
#include <stdlib.h>

#include "base/error.h"
#include "cli/cli.h"
#include "library/load.h"
#include "train/pairs_check.h"

enum { SHOWN = 20 }; /* findings of one check, for people */

typedef struct {
    cli_list libraries, pairs, against;
    bool json, all, strict;
} pairs_options;

static void print_counts(const char *what, const ga_pairs_counts *counts)
{
    printf("  %s:", what);
    for (size_t i = 0; i < counts->count; i++) {
        putchar(' ');
        cli_print_safely(stdout, counts->items[i].name.len
                                     ? counts->items[i].name
                                     : ga__str("(none)"));
        printf(" %zu%s", counts->items[i].count,
               i + 1 < counts->count ? "," : "");
    }
    putchar('\n');
}

static void print_findings(const pairs_options *o, const ga_pairs_report *r)
{
    size_t shown[GA_PAIRS_CHECKS] = {0};
    for (size_t i = 0; i < r->count; i++) {
        const ga_pairs_finding *f = &r->items[i];
        if (shown[f->check]++ >= SHOWN && !o->all)
            continue;
        printf("%s: ",
               ga__pairs_check_is_error(f->check) ? "error" : "warning");
        cli_print_safely(stdout, ga__str(f->where));
        printf(": ");
        cli_print_safely(stdout, ga__str(f->message));
        printf(" [%s]\n", ga__pairs_check_name(f->check));
    }
    for (size_t k = 0; k < GA_PAIRS_CHECKS; k++) {
        if (shown[k] > SHOWN && !o->all)
            printf("... %zu more [%s], see --all\n", shown[k] - SHOWN,
                   ga__pairs_check_name((ga_pairs_check)k));
    }
}

static void print_report(const pairs_options *o, const ga_pairs_report *r,
                         size_t guidelines, size_t errors, size_t warnings)
{
    double n = r->pairs ? (double)r->pairs : 1;
    print_findings(o, r);
    printf("%zu prompts for %zu guidelines: %zu errors, %zu warnings\n",
           r->pairs, guidelines, errors, warnings);
    print_counts("split", &r->split);
    print_counts("kind", &r->kind);
    print_counts("form", &r->form);
    print_counts("language", &r->lang);
    printf("  %.1f words on average, %.0f %% over 20; %.0f %% unsafe; %.2f "
           "positives a prompt (%zu must, %zu should, %zu help)\n",
           r->words, 100 * (double)r->long_prompts / n,
           100 * (double)r->unsafe / n, (double)r->positives / n, r->grades[3],
           r->grades[2], r->grades[1]);
    printf("  distinct 3-word sequences %.1f %%; words shared with the "
           "guideline %.1f %%\n",
           100 * r->distinct3, 100 * r->guideline_overlap);
    if (r->against_strings)
        printf("  compared with %zu strings of benchmarks: %zu prompts share "
               "words in a row\n",
               r->against_strings, r->by_check[GA_PAIRS_benchmark_overlap]);
}

static json_t *counts_json(const ga_pairs_counts *counts)
{
    json_t *out = json_object();
    for (size_t i = 0; i < counts->count; i++)
        json_object_setn_new(
            out, counts->items[i].name.ptr ? counts->items[i].name.ptr : "",
            counts->items[i].name.len,
            json_integer((json_int_t)counts->items[i].count));
    return out;
}

static void print_json(const ga_pairs_report *r, size_t guidelines,
                       size_t errors, size_t warnings)
{
    for (size_t i = 0; i < r->count; i++) {
        const ga_pairs_finding *f = &r->items[i];
        cli_json_line(
            json_pack("{s:s, s:s, s:s, s:s}", "level",
                      ga__pairs_check_is_error(f->check) ? "error" : "warning",
                      "check", ga__pairs_check_name(f->check), "where",
                      f->where, "message", f->message));
    }
    json_t *risks = json_object();
    for (size_t i = 0; i < GA_RISK_COUNT; i++)
        json_object_set_new(risks, ga__risk_name(i),
                            json_integer((json_int_t)r->risks[i]));
    cli_json_line(json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:[I,I,I], s:f, s:f, s:f, s:I, "
        "s:o, s:o, s:o, s:o, s:o}",
        "pairs", (json_int_t)r->pairs, "guidelines", (json_int_t)guidelines,
        "errors", (json_int_t)errors, "warnings", (json_int_t)warnings,
        "unsafe", (json_int_t)r->unsafe, "over_20_words",
        (json_int_t)r->long_prompts, "positives", (json_int_t)r->positives,
        "grades", (json_int_t)r->grades[1], (json_int_t)r->grades[2],
        (json_int_t)r->grades[3], "words", r->words, "distinct_3", r->distinct3,
        "guideline_overlap", r->guideline_overlap, "against_strings",
        (json_int_t)r->against_strings, "split", counts_json(&r->split), "kind",
        counts_json(&r->kind), "form", counts_json(&r->form), "lang",
        counts_json(&r->lang), "risks", risks));
}

static ga_status check(const pairs_options *o,
                       const ga_pairs_check_options *checks, bool *stop,
                       ga_error *err)
{
    ga_guideline_set set = GA_GUIDELINE_SET_INIT;
    ga_pair_set pairs = GA_PAIR_SET_INIT;
    ga_pairs_report r = GA_PAIRS_REPORT_INIT;
    size_t errors = 0, warnings = 0;
    ga_status rc = ga__guidelines_load(o->libraries.items, o->libraries.count,
                                       NULL, &set, err);
    for (size_t i = 0; i < o->pairs.count && !rc; i++)
        rc = ga__pairs_read(o->pairs.items[i], &pairs, err);
    if (!rc)
        rc = ga__pairs_check(&pairs, set.items, set.count, checks, &r, err);
    for (size_t k = 0; k < GA_PAIRS_CHECKS; k++) {
        if (ga__pairs_check_is_error((ga_pairs_check)k))
            errors += r.by_check[k];
        else
            warnings += r.by_check[k];
    }
    if (!rc && o->json)
        print_json(&r, set.count, errors, warnings);
    else if (!rc)
        print_report(o, &r, set.count, errors, warnings);
    *stop = errors > 0 || (o->strict && warnings > 0);
    ga__pairs_report_free(&r);
    ga__pairs_free(&pairs);
    ga__guidelines_free(&set);
    return rc;
}

static int run_check(int argc, char **argv)
{
    pairs_options o = {0};
    ga_pairs_check_options checks;
    ga__pairs_check_options_init(&checks);
    unsigned bench = (unsigned)checks.bench_words;
    int count;
    bool done, stop = false;
    ga_error err = {""};
    const cli_option options[] = {
        {OPT_LIST, 'l', "library", "FILE",
         "a library or JSON Lines file; repeatable", &o.libraries, 0, 0},
        {OPT_LIST, 'p', "pairs", "FILE", "the pairs, JSON Lines; repeatable",
         &o.pairs, 0, 0},
        {OPT_LIST, 0, "against", "FILE",
         "a benchmark that may share no words, JSON Lines; repeatable",
         &o.against, 0, 0},
        {OPT_STRING, 0, "held-out", "FILE",
         "guidelines kept from training, {\"id\",\"split\"} a line",
         &checks.held_out, 0, 0},
        {OPT_DOUBLE, 0, "leak", "X",
         "3-word sequences shared across splits (0.4)", &checks.leak, 0, 0},
        {OPT_DOUBLE, 0, "rouge", "X", "ROUGE-L F within a type (0.7)",
         &checks.rouge, 0, 0},
        {OPT_UINT, 0, "bench-words", "N", "in a row of a benchmark (8)", &bench,
         2, 100},
        {OPT_FLAG, 0, "all", NULL, "show every finding", &o.all, 0, 0},
        {OPT_FLAG, 0, "strict", NULL, "fail for warnings too", &o.strict, 0, 0},
        {OPT_FLAG, 0, "json", NULL, "one JSON object a finding", &o.json, 0, 0},
        {0}};
    int status = cli_parse(&cli_pairs, options, argc, argv, &count, &done);
    if (status || done)
        return status;
    if (count || o.libraries.count == 0 || o.pairs.count == 0)
        return cli_usagef(&cli_pairs,
                          "--library FILE and --pairs FILE are needed");
    if (!(checks.leak > 0 && checks.leak <= 1))
        return cli_usagef(&cli_pairs, "--leak is above 0, at most 1");
    checks.bench_words = bench;
    checks.against = o.against.items;
    checks.against_count = o.against.count;
    ga_status rc = check(&o, &checks, &stop, &err);
    return cli_finish(rc ? cli_fail(&err) : stop ? EXIT_FAILED : EXIT_DONE);
}

static int run(int argc, char **argv)
{
    if (argc >= 2 && strcmp(argv[1], "check") == 0)
        return run_check(argc - 1, argv + 1);
    bool help = argc >= 2 &&
                (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0);
    if (help)
        return run_check(argc, argv);
    return cli_usagef(&cli_pairs, "there is one command: 'pairs check'");
}

const cli_command cli_pairs = {
    .name = "pairs",
    .usage = "check --library FILE --pairs FILE [OPTIONS]",
    .summary = "prompts with the guidelines that apply: may they be used?",
    .about = "Checks pairs before a retriever is trained on them or measured "
             "by them: ids exist, no label contradicts another, no split leaks "
             "into another, no prompt has words in a row of a benchmark, none "
             "is much like another of its type; and prints their statistics. "
             "Errors end with status 1.",
    .example = "guidealign pairs check --library my.db --pairs train.jsonl "
               "--pairs test.jsonl --against benchmark.jsonl",
    .run = run,
};
