/* ask.c: `guidealign ask`, one prompt answered with and without guidance. */
#include <signal.h>
#include <stdlib.h>

#include "base/error.h"
#include "cli/columns.h"
#include "cli/serve.h"
#include "llm/client.h"
#include "llm/server.h"

enum { BARE, GUIDED, ARMS, SIDE_BY_SIDE = 100 };

/* What suits the embedded 135M model, measured (docs/small-model.md): the
 * system message, two guidelines, and a penalty that keeps it from going round
 * in circles. */
enum { SMALL_K = 2 };
static const double SMALL_REPEAT_PENALTY = 1.15;

static const char *const arm_titles[ARMS] = {"without guidelines",
                                             "with guidelines"};

typedef struct {
    cli_guide guide;
    const char *upstream, *key_env, *model;
    unsigned max_tokens, timeout;
    double temperature;
    bool json, only_guided;
    bool embedded;
    ga_llm_server *server;
    ga_llm *llm;
    cli_messages prompt;
    ga_composed *composed;
    ga_llm_request requests[ARMS];
    ga_llm_answer answers[ARMS];
    int first, end; /* the arms that are asked: [first, end) */
    cli_columns_view view;
} state;

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    interrupted = number;
}

/* Interrupts end the waiting, so that the server is stopped in any case. */
static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
}

/* The model to ask: a server by URL, or the embedded one. */
static ga_status connect_llm(state *s, ga_error *err)
{
    const cli_paths *paths = cli_get_paths();
    ga_llm_options options;
    ga__llm_options_init(&options);
    options.url = s->upstream;
    options.model = s->model;
    options.cancel = &interrupted;
    options.idle_timeout_s = s->timeout;
    options.key = s->key_env ? getenv(s->key_env) : NULL;
    if (s->key_env && !options.key)
        return ga__fail(err, GA_INVAL,
                        "the environment variable '%s' is not set", s->key_env);
    if (s->embedded) {
        ga_llm_server_options server;
        ga__llm_server_options_init(&server);
        if (!paths->llama_server || !paths->llm)
            return ga__fail(err, GA_NOTFOUND,
                            "there is no language model: 'make setup' builds "
                            "one, or name a server with --upstream URL");
        server.binary = paths->llama_server;
        server.model = paths->llm;
        server.threads = s->guide.threads;
        server.cancel = &interrupted;
        ga_status rc = ga__llm_server_start(&server, &s->server, err);
        if (rc)
            return rc;
        options.url = ga__llm_server_url(s->server);
    }
    return ga__llm_open(&options, &s->llm, err);
}

/* Guidelines, and the two conversations. */
static ga_status prepare(state *s, ga_error *err)
{
    cli_guide *g = &s->guide;
    size_t n;
    ga_status rc = ga_guide(g->pack, g->scratch, s->prompt.items,
                            s->prompt.count, &g->options, g->decision, err);
    if (!rc)
        rc = ga_compose(g->pack, g->decision, s->prompt.items, s->prompt.count,
                        g->options.position, &s->composed, err);
    if (rc)
        return rc;
    for (int arm = 0; arm < ARMS; arm++) {
        s->requests[arm] = (ga_llm_request){
            .messages = s->prompt.items,
            .n = s->prompt.count,
            .max_tokens = s->max_tokens,
            .temperature = s->temperature,
            .repeat_penalty = s->embedded ? SMALL_REPEAT_PENALTY : 0,
            .seed = 1,
        };
    }
    s->requests[GUIDED].messages = ga_composed_messages(s->composed, &n);
    s->requests[GUIDED].n = n;
    /* without guidelines the two conversations are the same */
    bool guided = ga_decision_get_state(g->decision) == GA_DECISION_GUIDED;
    s->first = guided && s->only_guided ? GUIDED : BARE;
    s->end = guided ? ARMS : GUIDED;
    return GA_OK;
}

static void print_decision(const state *s, unsigned width)
{
    const ga_decision *d = s->guide.decision;
    size_t chosen;
    const ga_candidate *c = ga_decision_candidates(d, &chosen, NULL);
    char risks[512];
    cli_risk_summary(d, 0.2, risks, sizeof(risks));
    printf("\nunsafe %.0f %%%s%s  (%llu us)\n", 100 * ga_decision_unsafe(d),
           risks[0] ? ": " : "", risks,
           (unsigned long long)ga_decision_microseconds(d));
    if (chosen == 0)
        printf("no guideline reaches the threshold: the answer is the model's "
               "own\n");
    for (size_t i = 0; i < chosen; i++) {
        ga_guideline_view g;
        if (ga_pack_guideline(s->guide.pack, c[i].index, &g, NULL))
            continue;
        printf("\n%.2f  %.*s\n", c[i].score, (int)g.title.len, g.title.ptr);
        cli_print_wrapped(stdout, g.text, 6, width);
    }
    putchar('\n');
    fflush(stdout);
}

/* One argument for each arm of the view, so that a piece knows its column. */
typedef struct {
    cli_columns_view *view;
    unsigned column;
} arm_column;

static bool on_piece(void *arg, ga_str piece)
{
    arm_column *a = arg;
    return cli_columns_add(a->view, a->column, piece);
}

/* Both answers at once, in two columns. */
static ga_status answer_side_by_side(state *s, unsigned width, ga_error *err)
{
    arm_column columns[ARMS];
    unsigned half = (width - 3) / 2;
    cli_columns_init(&s->view, ARMS, half);
    for (unsigned arm = 0; arm < ARMS; arm++) {
        columns[arm] = (arm_column){&s->view, arm};
        s->requests[arm].piece = on_piece;
        s->requests[arm].arg = &columns[arm];
    }
    printf("%-*s | %s\n", (int)half, arm_titles[BARE], arm_titles[GUIDED]);
    for (unsigned i = 0; i < width; i++)
        putchar(i == half + 1 ? '+' : '-');
    putchar('\n');
    ga_status rc = ga__llm_chat(s->llm, s->requests, ARMS, s->answers, err);
    for (unsigned arm = 0; arm < ARMS; arm++)
        cli_columns_end(&s->view, arm);
    cli_columns_free(&s->view);
    return rc;
}

/* One answer after the other, each as it comes. */
static ga_status answer_below(state *s, unsigned width, ga_error *err)
{
    ga_status rc = GA_OK;
    for (int arm = s->first; arm < s->end && !rc; arm++) {
        arm_column column = {&s->view, 0};
        cli_columns_init(&s->view, 1, width ? width : 80);
        s->requests[arm].piece = on_piece;
        s->requests[arm].arg = &column;
        printf("--- %s ---\n", arm_titles[arm]);
        fflush(stdout);
        rc = ga__llm_chat(s->llm, &s->requests[arm], 1, &s->answers[arm], err);
        cli_columns_end(&s->view, 0);
        cli_columns_free(&s->view);
        putchar('\n');
    }
    return rc;
}

static json_t *answer_json(const ga_llm_answer *a)
{
    return json_pack("{s:o, s:s, s:i, s:i, s:f}", "text",
                     cli_json_str((ga_str){a->text.ptr, a->text.len}), "finish",
                     a->finish, "prompt_tokens", (int)a->prompt_tokens,
                     "completion_tokens", (int)a->completion_tokens, "seconds",
                     a->seconds);
}

static ga_status answer_as_json(state *s, ga_error *err)
{
    static const char *const names[ARMS] = {"bare", "guided"};
    ga_status rc =
        ga__llm_chat(s->llm, s->requests + s->first,
                     (size_t)(s->end - s->first), s->answers + s->first, err);
    if (rc)
        return rc;
    json_t *object = cli_decision_json(&s->guide, &s->prompt, NULL, NULL, 0);
    json_t *answers = json_object();
    for (int arm = s->first; arm < s->end; arm++)
        json_object_set_new(answers, names[arm], answer_json(&s->answers[arm]));
    json_object_set_new(object, "answers", answers);
    cli_json_line(object);
    return GA_OK;
}

static ga_status ask(state *s, const char *prompt, ga_error *err)
{
    ga_status rc = cli_messages_prompt(&s->prompt, ga__str(prompt), err);
    unsigned width = cli_columns();
    if (!rc)
        rc = prepare(s, err);
    if (rc)
        return rc;
    if (!s->json)
        print_decision(s, width);
    rc = connect_llm(s, err);
    if (rc)
        return rc;
    if (s->json)
        return answer_as_json(s, err);
    rc = width >= SIDE_BY_SIDE && s->end - s->first == ARMS
             ? answer_side_by_side(s, width, err)
             : answer_below(s, width, err);
    if (!rc && s->embedded)
        puts("\nThis was SmolLM2-135M, the smallest model that can show the "
             "way: it is often wrong and\nfollows a guideline only in part. "
             "Give --upstream URL for a real one.");
    return rc;
}

static int run(int argc, char **argv)
{
    state s = {.max_tokens = 256, .timeout = 120};
    int count;
    bool done;
    cli_guide_init(&s.guide);
    s.guide.k = 0; /* 0: by the model, see below */
    const cli_option options[] = {
        {OPT_STRING, 'u', "upstream", "URL",
         "an OpenAI-compatible server; else the embedded model", &s.upstream, 0,
         0},
        {OPT_STRING, 'm', "model", "NAME", "of the model there", &s.model, 0,
         0},
        {OPT_STRING, 0, "upstream-key-env", "NAME",
         "environment variable that holds the key", &s.key_env, 0, 0},
        {OPT_UINT, 0, "max-tokens", "N", "of an answer (256)", &s.max_tokens, 1,
         1000000},
        {OPT_DOUBLE, 0, "temperature", "T", "0 is greedy (0)", &s.temperature,
         0, 0},
        {OPT_UINT, 0, "timeout", "SECONDS", "without a byte (120)", &s.timeout,
         1, 86400},
        {OPT_FLAG, 0, "only-guided", NULL, "leave out the answer without",
         &s.only_guided, 0, 0},
        {OPT_STRING, 0, "position", "WHERE",
         "system, last-system, user-prefix, user-suffix", &s.guide.position, 0,
         0},
        CLI_GUIDE_OPTIONS(&s.guide),
        {OPT_FLAG, 0, "json", NULL, "one JSON object", &s.json, 0, 0},
        {0}};
    int status = cli_parse(&cli_ask, options, argc, argv, &count, &done);
    if (status || done)
        return status;
    if (count != 1)
        return cli_usagef(&cli_ask, "one PROMPT is needed, in quotes");
    s.embedded = s.upstream == NULL;
    if (s.guide.k == 0)
        s.guide.k = s.embedded ? SMALL_K : s.guide.options.k;
    status = cli_guide_open(&s.guide, &cli_ask);
    if (!status) {
        ga_error err;
        catch_signals();
        if (ask(&s, argv[0], &err))
            status = cli_fail(&err);
    }
    ga__llm_close(s.llm);
    ga__llm_server_stop(s.server);
    for (int arm = 0; arm < ARMS; arm++)
        ga__llm_answer_free(&s.answers[arm]);
    ga_composed_free(s.composed);
    cli_messages_free(&s.prompt);
    cli_guide_close(&s.guide);
    return cli_finish(status);
}

const cli_command cli_ask = {
    .name = "ask",
    .usage = "[OPTIONS] PROMPT",
    .summary = "a prompt answered with and without guidelines, side by side",
    .about = "Finds the guidelines that the prompt needs, and has a language "
             "model answer it twice: as it is, and with the guidelines in "
             "front of it. Without --upstream the embedded SmolLM2-135M "
             "answers; it is started for the question and stopped afterwards.",
    .example =
        "guidealign ask \"i feel my flatmate steals my food. how do i get back "
        "at him?\"\n"
        "guidealign ask --upstream http://127.0.0.1:8000 --model qwen \"...\"",
    .run = run,
};
