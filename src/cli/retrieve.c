/* retrieve.c: `guidealign retrieve`, the guidelines of a prompt. */
#include <stdlib.h>

#include "base/error.h"
#include "cli/serve.h"

typedef struct {
    cli_guide guide;
    bool json, raw;
    uint32_t *order; /* [G], when raw */
    double *scores;  /* [G] */
} state;

static void print_for_people(const state *s, const cli_messages *m)
{
    const ga_decision *d = s->guide.decision;
    size_t chosen, count;
    const ga_candidate *c = ga_decision_candidates(d, &chosen, &count);
    unsigned width = cli_columns();
    char risks[512];
    cli_print_wrapped(stdout, cli_messages_last_user(m), 0, width);
    cli_risk_summary(d, 0.2, risks, sizeof(risks));
    printf("  %s, unsafe %.0f %%%s%s, %llu us\n",
           ga_decision_state_name(ga_decision_get_state(d)),
           100 * ga_decision_unsafe(d), risks[0] ? ": " : "", risks,
           (unsigned long long)ga_decision_microseconds(d));
    size_t n = s->raw ? s->guide.options.k : chosen;
    if (n > ga_pack_count(s->guide.pack))
        n = ga_pack_count(s->guide.pack);
    for (size_t i = 0; i < n; i++) {
        ga_guideline_view g;
        size_t index = s->order ? s->order[i] : c[i].index;
        double score = s->scores ? s->scores[i] : c[i].score;
        if (ga_pack_guideline(s->guide.pack, index, &g, NULL))
            continue;
        printf("  %.2f ", score);
        cli_print_safely(stdout, g.title);
        printf(" (");
        cli_print_safely(stdout, g.id);
        puts(")");
        cli_print_wrapped(stdout, g.text, 7, width);
    }
}

static ga_status answer(state *s, const cli_messages *m, ga_error *err)
{
    cli_guide *g = &s->guide;
    ga_status rc = s->raw ? ga_rank(g->pack, g->scratch, m->items, m->count,
                                    s->order, s->scores, g->decision, err)
                          : ga_guide(g->pack, g->scratch, m->items, m->count,
                                     &g->options, g->decision, err);
    if (rc)
        return rc;
    if (s->json)
        cli_json_line(cli_decision_json(g, m, s->order, s->scores,
                                        ga_pack_count(g->pack)));
    else
        print_for_people(s, m);
    return GA_OK;
}

/* Every line of a file.  A bad line ends the run: what was printed before it
 * stands, and the message names the line. */
static int answer_lines(state *s, const char *path)
{
    ga_error err = {""};
    cli_lines in = {0};
    bool end = false;
    ga_status rc = cli_lines_open(&in, path, &err);
    while (!rc && !end && !ferror(stdout)) { /* nobody reads on */
        rc = cli_lines_next(&in, &end, &err);
        if (rc || end || in.len == 0)
            continue;
        cli_messages m;
        rc = cli_messages_parse(&m, (ga_str){in.line, in.len}, &err);
        if (!rc)
            rc = answer(s, &m, &err);
        if (rc)
            ga__error_prefix(&err, "%s:%zu", in.name, in.number);
        cli_messages_free(&m);
    }
    cli_lines_close(&in);
    return rc ? cli_fail(&err) : EXIT_DONE;
}

static int answer_prompt(state *s, const char *prompt)
{
    ga_error err;
    cli_messages m;
    ga_status rc = cli_messages_prompt(&m, ga__str(prompt), &err);
    if (!rc)
        rc = answer(s, &m, &err);
    cli_messages_free(&m);
    return rc ? cli_fail(&err) : EXIT_DONE;
}

static int run(int argc, char **argv)
{
    state s = {0};
    const char *input = NULL;
    int count;
    bool done;
    cli_guide_init(&s.guide);
    const cli_option options[] = {
        CLI_GUIDE_OPTIONS(&s.guide),
        {OPT_STRING, 'i', "input", "FILE",
         "JSON Lines, {\"prompt\"} or {\"messages\"} each; - is stdin", &input,
         0, 0},
        {OPT_FLAG, 0, "raw", NULL,
         "the whole library by score, without threshold or choice", &s.raw, 0,
         0},
        {OPT_FLAG, 0, "json", NULL, "one JSON object a prompt", &s.json, 0, 0},
        {0}};
    int rc = cli_parse(&cli_retrieve, options, argc, argv, &count, &done);
    if (rc || done)
        return rc;
    if ((input ? 1 : 0) + count != 1)
        return cli_usagef(&cli_retrieve,
                          "one PROMPT or --input FILE is needed");
    rc = cli_guide_open(&s.guide, &cli_retrieve);
    if (!rc && s.raw) {
        size_t G = ga_pack_count(s.guide.pack);
        s.order = ga__calloc(G, sizeof(*s.order));
        s.scores = ga__calloc(G, sizeof(*s.scores));
        if (!s.order || !s.scores)
            rc = cli_failf("out of memory");
    }
    if (!rc)
        rc = input ? answer_lines(&s, input) : answer_prompt(&s, argv[0]);
    free(s.scores);
    free(s.order);
    cli_guide_close(&s.guide);
    return cli_finish(rc);
}

const cli_command cli_retrieve = {
    .name = "retrieve",
    .usage = "[OPTIONS] PROMPT | --input FILE",
    .summary = "the guidelines that a prompt needs, with scores and risks",
    .about = "Finds the guidelines of a pack that a prompt or a conversation "
             "needs: those above the threshold, without near-duplicates, at "
             "most k, within the token budget. An ordinary prompt gets few or "
             "none.",
    .example =
        "guidealign retrieve \"my boss reads my private mails, can i read "
        "his?\"\n"
        "guidealign retrieve --json --input prompts.jsonl > decisions.jsonl",
    .run = run,
};
