/* eval.c: `guidealign eval retrieval`. */
#include <stdlib.h>

#include "base/error.h"
#include "base/threads.h"
#include "cli/cli.h"
#include "train/evaluate.h"

typedef struct {
    cli_list pairs, splits;
    const char *pack, *ranker;
    unsigned k, top, threads;
    bool json;
    const ga_pack *open;
} eval_options;

/* With --top: the best of a prompt, as a line. */
static ga_status print_ranking(void *arg, const ga_pair *p,
                               const uint32_t *order, const float *scores,
                               ga_error *err)
{
    const eval_options *o = arg;
    size_t G = ga_pack_count(o->open), n = o->top < G ? o->top : G;
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        ga_guideline_view g;
        ga_status rc = ga_pack_guideline(o->open, order[i], &g, err);
        if (rc) {
            json_decref(list);
            return rc;
        }
        json_array_append_new(list,
                              json_pack("{s:s%, s:f}", "id", g.id.ptr, g.id.len,
                                        "score", (double)scores[i]));
    }
    cli_json_line(json_pack("{s:s%, s:s%, s:o}", "id",
                            p->id.ptr ? p->id.ptr : "", p->id.len, "prompt",
                            p->prompt.ptr, p->prompt.len, "ranking", list));
    return GA_OK;
}

static void print_metrics(const eval_options *o, ga_str split,
                          const ga_metrics *m)
{
    if (o->json) {
        cli_json_line(json_pack(
            "{s:s, s:s%, s:I, s:i, s:f, s:f, s:f, s:f}", "ranker", o->ranker,
            "split", split.ptr ? split.ptr : "", split.len, "prompts",
            (json_int_t)m->prompts, "k", (int)o->k, "hit", m->hit, "recall",
            m->recall, "ndcg", m->ndcg, "mrr", m->mrr));
        return;
    }
    printf("%-5s %-24.*s %6zu prompts  hit@%u %5.1f %%  recall@%u %5.1f %%  "
           "nDCG@%u %.3f  MRR %.3f\n",
           o->ranker, split.len ? (int)split.len : 3,
           split.len ? split.ptr : "all", m->prompts, o->k, 100 * m->hit, o->k,
           100 * m->recall, o->k, m->ndcg, m->mrr);
}

/* The splits that there are, in order of appearance, when none was named. */
static size_t find_splits(const eval_options *o, const ga_pair_set *pairs,
                          ga_str *out, size_t most)
{
    size_t n = 0;
    for (size_t i = 0; i < o->splits.count; i++)
        out[n++] = ga__str(o->splits.items[i]);
    for (size_t i = 0; i < pairs->count && o->splits.count == 0; i++) {
        size_t k = 0;
        while (k < n && !ga__str_equal(out[k], pairs->items[i].split))
            k++;
        if (k == n && n < most)
            out[n++] = pairs->items[i].split;
    }
    return n;
}

static ga_status evaluate(eval_options *o, ga_ranker ranker, ga_error *err)
{
    ga_pack *pack = NULL;
    ga_pair_set pairs = GA_PAIR_SET_INIT;
    ga_evaluation e = {.ranker = ranker, .k = o->k, .arg = o};
    ga_str splits[64];
    ga_status rc = ga_pack_open(o->pack, &pack, err);
    for (size_t i = 0; i < o->pairs.count && !rc; i++)
        rc = ga__pairs_read(o->pairs.items[i], &pairs, err);
    if (!rc)
        rc = ga_scratch_new(o->threads, &e.scratch, err);
    e.pack = o->open = pack;
    e.ranked = o->top ? print_ranking : NULL;
    size_t n = rc ? 0 : find_splits(o, &pairs, splits, 64);
    for (size_t i = 0; i < n && !rc; i++) {
        ga_metrics m;
        rc = ga__evaluate(&e, &pairs, splits[i], &m, err);
        if (!rc && !o->top)
            print_metrics(o, splits[i], &m);
    }
    ga_scratch_free(e.scratch);
    ga__pairs_free(&pairs);
    ga_pack_close(pack);
    return rc;
}

static int run_retrieval(int argc, char **argv)
{
    eval_options o = {.ranker = "pack", .k = 6, .threads = ga__cpu_count()};
    ga_ranker ranker;
    int count;
    bool done;
    ga_error err = {""};
    const cli_option options[] = {
        {OPT_STRING, 'p', "pack", "FILE", "the pack; else the starter pack",
         &o.pack, 0, 0},
        {OPT_LIST, 0, "pairs", "FILE",
         "prompts and their guidelines, JSON Lines; repeatable", &o.pairs, 0,
         0},
        {OPT_LIST, 0, "split", "NAME", "only this one; repeatable", &o.splits,
         0, 0},
        {OPT_STRING, 0, "ranker", "NAME",
         "pack (as serving does), text or bm25", &o.ranker, 0, 0},
        {OPT_UINT, 'k', "k", "N", "measure the first N (6)", &o.k, 1, 1000},
        {OPT_UINT, 0, "top", "N", "print the first N of each prompt instead",
         &o.top, 1, 1000},
        {OPT_UINT, 0, "threads", "N", "threads of the encoder (all)",
         &o.threads, 1, 256},
        {OPT_FLAG, 0, "json", NULL, "one JSON object a split", &o.json, 0, 0},
        {0}};
    int status = cli_parse(&cli_eval, options, argc, argv, &count, &done);
    if (status || done)
        return status;
    if (count || o.pairs.count == 0)
        return cli_usagef(&cli_eval, "--pairs FILE is needed");
    if (!ga__ranker_find(o.ranker, &ranker))
        return cli_usagef(&cli_eval, "--ranker is pack, text or bm25, not '%s'",
                          o.ranker);
    if (!o.pack)
        o.pack = cli_get_paths()->starter_pack;
    if (!o.pack)
        return cli_failf("there is no starter pack: 'make build' makes it, or "
                         "name a pack with --pack");
    ga_status rc = evaluate(&o, ranker, &err);
    return cli_finish(rc ? cli_fail(&err) : EXIT_DONE);
}

static int run(int argc, char **argv)
{
    if (argc >= 2 && strcmp(argv[1], "retrieval") == 0)
        return run_retrieval(argc - 1, argv + 1);
    if (argc >= 2 &&
        (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
        return run_retrieval(argc, argv);
    return cli_usagef(&cli_eval, "there is one command: 'eval retrieval'");
}

const cli_command cli_eval = {
    .name = "eval",
    .usage = "retrieval --pairs FILE [OPTIONS]",
    .summary = "how well the guidelines of prompts are found",
    .about = "Ranks the guidelines of a pack for prompts whose guidelines are "
             "known: by the pack's vectors, by the encoder's similarity of "
             "prompt and text, or by the words they share, and prints for "
             "each split how many are among the first k.",
    .example = "guidealign eval retrieval --pairs test.jsonl\n"
               "guidealign eval retrieval --pairs test.jsonl --ranker bm25",
    .run = run,
};
