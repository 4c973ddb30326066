/* pack.c: `guidealign pack`, one file with all that serving needs. */
#include <unistd.h>

#include "base/clock.h"
#include "base/threads.h"
#include "cli/cli.h"
#include "library/load.h"
#include "pack/writer.h"

/* Where the work stands: on a terminal in place, elsewhere a line every few
 * seconds. */
typedef struct {
    double start, shown;
    bool terminal;
} progress;

static bool show_progress(void *arg, size_t done, size_t total)
{
    progress *p = arg;
    double now = ga__now_s(), spent = now - p->start;
    if (now - p->shown < (p->terminal ? 0.1 : 5) && done < total)
        return true;
    if (!p->terminal && done == total && p->shown <= p->start)
        return true; /* quick work needs no report */
    p->shown = now;
    double rate = spent > 0 ? (double)done / spent : 0;
    double left = rate > 0 ? (double)(total - done) / rate : 0;
    fprintf(stderr, "%sencoding %zu of %zu texts, %.0f/s, %.0f s left%s",
            p->terminal ? "\r" : "", done, total, rate, left,
            p->terminal && done < total ? "   " : "   \n");
    return true;
}

static void print_report(const char *out, const ga_pack_report *r, double spent)
{
    printf("%s: pack %s, %zu guidelines with %zu triggers, %.1f MB, %.1f s\n",
           out, r->id, r->guidelines, r->triggers, (double)r->bytes / 1e6,
           spent);
    if (r->duplicates)
        printf("  %zu guidelines are near-duplicates of another: at most one "
               "of each is chosen\n",
               r->duplicates);
    if (r->fit.triggers)
        printf("  left-out triggers find their guideline first %.0f %%, among "
               "six %.0f %%\n"
               "  ordinary prompts that get a safety guideline %.1f %%; AUROC "
               "of unsafe %.3f\n",
               100 * r->fit.recall_at_1, 100 * r->fit.recall_at_6,
               100 * r->fit.guarded, r->risk.auroc);
    else
        printf("  too few triggers to calibrate by: thresholds are those of "
               "retrieval by text\n");
}

static json_t *report_json(const char *out, const ga_pack_report *r)
{
    return json_pack(
        "{s:s, s:s, s:I, s:I, s:I, s:I, s:{s:I, s:f, s:f, s:f, s:f, s:f, s:f}, "
        "s:{s:I, s:I, s:f, s:f, s:f}, s:{s:f, s:f, s:f}}",
        "out", out, "pack", r->id, "guidelines", (json_int_t)r->guidelines,
        "triggers", (json_int_t)r->triggers, "duplicates",
        (json_int_t)r->duplicates, "bytes", (json_int_t)r->bytes, "left_out",
        "triggers", (json_int_t)r->fit.triggers, "recall_at_1",
        r->fit.recall_at_1, "recall_at_6", r->fit.recall_at_6, "mrr",
        r->fit.mrr, "precision", r->fit.precision, "recall", r->fit.recall,
        "guarded", r->fit.guarded, "risk", "prompts",
        (json_int_t)r->risk.prompts, "unsafe", (json_int_t)r->risk.unsafe,
        "auroc", r->risk.auroc, "recall", r->risk.recall, "false_alarms",
        r->risk.false_alarms, "calibration", "threshold",
        (double)r->calibration.threshold, "safety_threshold",
        (double)r->calibration.safety_threshold, "risky",
        (double)r->calibration.risky);
}

static int run(int argc, char **argv)
{
    cli_list libraries = {0};
    const char *encoder = NULL, *out = NULL, *precision = "int8";
    ga_precision as;
    unsigned threads = ga__cpu_count();
    double text_weight, shrinkage, duplicate;
    bool json = false, done;
    int count;
    ga_pack_options options;
    ga__pack_options_init(&options);
    text_weight = (double)options.text_weight;
    shrinkage = (double)options.shrinkage;
    duplicate = (double)options.duplicate;
    const cli_option table[] = {
        {OPT_LIST, 'l', "library", "FILE",
         "a library or JSON Lines file; repeatable", &libraries, 0, 0},
        {OPT_STRING, 'e', "encoder", "DIR", "model folder; else the retriever",
         &encoder, 0, 0},
        {OPT_STRING, 0, "precision", "P",
         "of the encoder: f32, bf16 or int8 (int8)", &precision, 0, 0},
        {OPT_STRING, 'o', "out", "FILE", "the pack to write", &out, 0, 0},
        {OPT_DOUBLE, 0, "text-weight", "N",
         "a guideline's text counts as N triggers (2)", &text_weight, 0, 0},
        {OPT_DOUBLE, 0, "shrinkage", "X",
         "of the triggers' covariance, 0 to 1 (0.9)", &shrinkage, 0, 0},
        {OPT_DOUBLE, 0, "duplicate", "X",
         "cosine from which on two say the same (0.95)", &duplicate, 0, 0},
        {OPT_STRING, 0, "heading", "TEXT", "the line above the guidelines",
         &options.heading, 0, 0},
        {OPT_UINT, 0, "threads", "N", "threads (all)", &threads, 1, 256},
        {OPT_FLAG, 0, "json", NULL, "the report as one JSON object", &json, 0,
         0},
        {0}};
    int status = cli_parse(&cli_pack, table, argc, argv, &count, &done);
    if (status || done)
        return status;
    if (count || !out || libraries.count == 0)
        return cli_usagef(&cli_pack,
                          "--library FILE and --out FILE are needed");
    ga_error err;
    if (ga_precision_find(precision, &as, &err))
        return cli_usagef(&cli_pack, "%s", err.msg);
    if (text_weight < 0 || text_weight > 1e6 || shrinkage < 0 ||
        shrinkage > 1 || duplicate <= 0)
        return cli_usagef(&cli_pack, "--text-weight is 0 to 1000000, "
                                     "--shrinkage 0 to 1, --duplicate above 0");
    options.text_weight = (float)text_weight;
    options.shrinkage = (float)shrinkage;
    options.duplicate = (float)duplicate;
    if (!encoder)
        encoder = cli_get_paths()->retriever;
    if (!encoder)
        return cli_failf("there is no retriever: 'make setup' fetches it, or "
                         "name a model folder with --encoder");
    progress p = {.start = ga__now_s(), .terminal = isatty(STDERR_FILENO)};
    p.shown = p.start;
    options.progress = show_progress;
    options.progress_arg = &p;
    ga_encoder *enc = NULL;
    ga_scratch *scratch = NULL;
    ga_guideline_set set = GA_GUIDELINE_SET_INIT;
    ga_pack_report report;
    ga_status rc =
        ga__guidelines_load(libraries.items, libraries.count, NULL, &set, &err);
    if (!rc)
        rc = ga_encoder_open_as(encoder, as, &enc, &err);
    if (!rc)
        rc = ga_scratch_new(threads, &scratch, &err);
    if (!rc)
        rc = ga__pack_write(out, set.items, set.count, enc, scratch, &options,
                            &report, &err);
    if (!rc && json)
        cli_json_line(report_json(out, &report));
    else if (!rc)
        print_report(out, &report, ga__now_s() - p.start);
    ga_scratch_free(scratch);
    ga_encoder_close(enc);
    ga__guidelines_free(&set);
    return cli_finish(rc ? cli_fail(&err) : EXIT_DONE);
}

const cli_command cli_pack = {
    .name = "pack",
    .usage = "--library FILE --out FILE [OPTIONS]",
    .summary = "make the one file that serving needs, from a library",
    .about = "Takes the approved guidelines of a library, fits a vector to "
             "each from "
             "its trigger prompts and its text, calibrates the thresholds on "
             "triggers that are left out, and writes encoder, guidelines and "
             "vectors into one file. The same input gives the same file.",
    .example = "guidealign pack --library library.db --out current.gapack",
    .run = run,
};
