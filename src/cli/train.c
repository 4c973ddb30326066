/* train.c: `guidealign train`, a retriever from pairs and a library. */
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/threads.h"
#include "cli/cli.h"
#include "library/load.h"
#include "train/delta.h"
#include "train/save.h"
#include "train/trainer.h"

typedef struct {
    cli_list libraries, pairs;
    const char *encoder, *out, *held_out, *dev, *precision, *schedule, *delta,
        *apply;
    unsigned steps, max_tokens, freeze, threads, seed, measure_every,
        checkpoint_every;
    double rate, temperature, dropout, text_weight, warmup, decay, clip,
        similar;
    ga_train_options train;
} train_options;

/* ---- what is read ---- */

typedef struct {
    ga_guideline_set guidelines;
    ga_pair_set pairs;
    ga_str *held_out;
    size_t held_out_count, held_out_cap;
    ga_arena arena; /* of the ids held out */
    ga_corpus corpus;
} material;

static ga_status add_held_out(void *arg, ga_str id, ga_error *err)
{
    material *m = arg;
    void *items = m->held_out;
    char *copy = ga__arena_alloc(&m->arena, id.len + 1, 1);
    if (!copy || !ga__grow(&items, &m->held_out_cap, m->held_out_count + 1,
                           sizeof(*m->held_out)))
        return ga__fail_nomem(err, id.len);
    memcpy(copy, id.ptr, id.len);
    m->held_out = items;
    m->held_out[m->held_out_count++] = (ga_str){copy, id.len};
    return GA_OK;
}

static ga_status read_material(const train_options *o, const ga_encoder *enc,
                               material *m, ga_error *err)
{
    ga_status rc = ga__guidelines_load(o->libraries.items, o->libraries.count,
                                       NULL, &m->guidelines, err);
    for (size_t i = 0; i < o->pairs.count && !rc; i++)
        rc = ga__pairs_read(o->pairs.items[i], &m->pairs, err);
    if (!rc && o->held_out)
        rc = ga__held_out_read(o->held_out, add_held_out, m, err);
    const ga_corpus_input in = {.guidelines = m->guidelines.items,
                                .guideline_count = m->guidelines.count,
                                .pairs = &m->pairs,
                                .held_out = m->held_out,
                                .held_out_count = m->held_out_count,
                                .dev_split = o->dev,
                                .max_tokens = o->max_tokens};
    return rc ? rc : ga__corpus_make(&in, enc, &m->corpus, err);
}

static void free_material(material *m)
{
    ga__corpus_free(&m->corpus);
    free(m->held_out);
    ga__arena_free(&m->arena);
    ga__pairs_free(&m->pairs);
    ga__guidelines_free(&m->guidelines);
}

/* ---- what is shown ---- */

typedef struct {
    const train_options *o;
    FILE *log; /* DIR/training.jsonl */
    double start, shown, loss;
    uint64_t first; /* step of this run */
    size_t texts;
    double seconds;
    bool terminal;
} show;

static json_t *metrics_json(const ga_metrics *m)
{
    return json_pack("{s:f, s:f, s:f, s:f}", "hit", m->hit, "recall", m->recall,
                     "ndcg", m->ndcg, "mrr", m->mrr);
}

static void log_event(const show *s, const ga_train_event *e)
{
    json_t *line = json_pack("{s:I, s:f, s:f, s:f, s:f, s:I, s:I, s:f}", "step",
                             (json_int_t)e->step, "loss", e->loss, "right",
                             e->right, "rate", e->rate, "gradient", e->norm,
                             "texts", (json_int_t)e->texts, "tokens",
                             (json_int_t)e->tokens, "seconds", e->seconds);
    if (e->measure) {
        json_object_set_new(line, "with_triggers",
                            metrics_json(&e->measure->with_triggers));
        json_object_set_new(line, "by_text",
                            metrics_json(&e->measure->by_text));
        json_object_set_new(line, "likeness", json_real(e->measure->likeness));
        json_object_set_new(line, "best", json_boolean(e->best));
    }
    char *text = json_dumps(line, JSON_REAL_PRECISION(7));
    if (text)
        fprintf(s->log, "%s\n", text);
    fflush(s->log);
    free(text);
    json_decref(line);
}

static void show_measure(const show *s, const ga_train_event *e)
{
    const ga_metrics *m = &e->measure->with_triggers, *t = &e->measure->by_text;
    fprintf(stderr,
            "%sstep %llu: dev nDCG %.3f, recall %.1f %%, hit %.1f %%; by text "
            "alone %.3f, %.1f %%, %.1f %%; likeness %.2f%s\n",
            s->terminal ? "\r" : "", (unsigned long long)e->step, m->ndcg,
            100 * m->recall, 100 * m->hit, t->ndcg, 100 * t->recall,
            100 * t->hit, e->measure->likeness, e->best ? "  (best)" : "");
    if (e->measure->likeness > 0.9)
        cli_warnf("all prompts get nearly the same vector: the rate is too "
                  "high, or the pairs say nothing");
}

static bool report(void *arg, const ga_train_event *e)
{
    show *s = arg;
    double now = ga__now_s();
    log_event(s, e);
    if (s->first == UINT64_MAX)
        s->first = e->step;
    if (e->step > 0) {
        s->loss = s->loss > 0 ? 0.9 * s->loss + 0.1 * e->loss : e->loss;
        s->texts += e->texts;
        s->seconds += e->seconds;
    }
    if (e->measure)
        show_measure(s, e);
    if (e->step > 0 && (now - s->shown > (s->terminal ? 0.5 : 20))) {
        double each = (now - s->start) / (double)(e->step - s->first + 1);
        s->shown = now;
        fprintf(stderr,
                "%sstep %llu of %u, loss %.3f, %.0f texts/s, %.0f min left%s",
                s->terminal ? "\r" : "", (unsigned long long)e->step,
                s->o->steps, s->loss, (double)s->texts / s->seconds,
                ceil(each * (double)(s->o->steps - e->step) / 60),
                s->terminal ? "   " : "\n");
    }
    return true;
}

/* ---- the command ---- */

static ga_status learn(train_options *o, ga_net *net, const material *m,
                       const float *before, ga_error *err)
{
    show s = {.o = o, .first = UINT64_MAX, .terminal = isatty(STDERR_FILENO)};
    char *checkpoint = ga__path_join(o->out, "checkpoint");
    char *log = ga__path_join(o->out, "training.jsonl");
    ga_status rc = checkpoint && log ? ga__folder_make(o->out, err)
                                     : ga__fail_nomem(err, strlen(o->out));
    if (!rc) {
        s.log = fopen(log, access(checkpoint, F_OK) == 0 ? "a" : "w");
        if (!s.log)
            rc = ga__fail(err, GA_IO, "cannot write '%s'", log);
    }
    if (!rc) {
        fprintf(stderr,
                "%zu guidelines, %zu prompts to learn from, %zu to measure "
                "by, %u threads\n",
                m->corpus.guideline_count, m->corpus.prompt_count,
                m->corpus.dev_count, o->threads);
        o->train.checkpoint = checkpoint;
        s.start = s.shown = ga__now_s();
        rc = ga__train(net, &m->corpus, &o->train, report, &s, err);
    }
    if (!rc && (fflush(s.log) || ferror(s.log)))
        rc = ga__fail(err, GA_IO, "cannot write '%s'", log);
    if (!rc)
        rc = ga__net_save(net, o->encoder, o->out, err);
    if (!rc && o->delta)
        rc = ga__delta_write(net, before, o->delta, err);
    if (!rc) { /* nothing is left that could fail */
        (void)remove(checkpoint);
        fprintf(stderr, "%s: trained in %.0f s, %.0f texts/s\n", o->out,
                ga__now_s() - s.start,
                s.seconds > 0 ? (double)s.texts / s.seconds : 0);
    }
    if (s.log)
        fclose(s.log);
    free(checkpoint);
    free(log);
    return rc;
}

/* Train, and write what changed where that is asked for. */
static ga_status train(train_options *o, ga_net *net, ga_error *err)
{
    material m = {.pairs = GA_PAIR_SET_INIT};
    float *before = NULL;
    size_t count;
    const ga_parameter *p = ga__net_parameters(net, &count);
    const size_t n = p[count - 1].at + p[count - 1].count;
    ga_status rc = read_material(o, ga__net_encoder(net), &m, err);
    if (!rc && o->delta) {
        before = ga__calloc(n, sizeof(*before));
        if (before)
            memcpy(before, ga__net_values(net), n * sizeof(*before));
        else
            rc = ga__fail_nomem(err, n * sizeof(*before));
    }
    if (!rc)
        rc = learn(o, net, &m, before, err);
    free(before);
    free_material(&m);
    return rc;
}

static ga_status open_and_train(train_options *o, ga_number type, ga_error *err)
{
    ga_pool *pool = NULL;
    ga_net *net = NULL;
    const ga_net_options options = {.type = type,
                                    .frozen = o->freeze,
                                    .dropout = (float)o->dropout,
                                    .seed = o->seed};
    ga_status rc = ga__pool_new(o->threads, &pool, err);
    if (!rc)
        rc = ga__net_open(o->encoder, &options, pool, &net, err);
    if (!rc && o->apply) {
        rc = ga__delta_apply(net, o->apply, err);
        if (!rc)
            rc = ga__net_save(net, o->encoder, o->out, err);
    } else if (!rc) {
        rc = train(o, net, err);
    }
    ga__net_close(net);
    ga__pool_free(pool);
    return rc;
}

/* What is said in other types on the command line. */
static void take_defaults(train_options *o)
{
    const ga_train_options *t = &o->train;
    ga__train_options_init(&o->train);
    o->steps = (unsigned)t->steps;
    o->seed = (unsigned)t->seed;
    o->measure_every = (unsigned)t->measure_every;
    o->checkpoint_every = (unsigned)t->checkpoint_every;
    o->temperature = 1 / (double)t->scale;
    o->rate = (double)t->rate;
    o->warmup = (double)t->warmup;
    o->decay = (double)t->decay;
    o->clip = (double)t->clip;
    o->text_weight = (double)t->text_weight;
    o->similar = (double)t->similar;
}

static void fill_in(train_options *o)
{
    ga_train_options *t = &o->train;
    t->steps = o->steps;
    t->scale = (float)(1 / o->temperature);
    t->rate = (float)o->rate;
    t->warmup = (float)o->warmup;
    t->decay = (float)o->decay;
    t->clip = (float)o->clip;
    t->text_weight = (float)o->text_weight;
    t->similar = (float)o->similar;
    t->seed = o->seed;
    t->measure_every = o->measure_every;
    t->checkpoint_every = o->checkpoint_every;
    t->cosine = strcmp(o->schedule, "cosine") == 0;
}

/* The table of options, by what they are about. */
#define FILE_OPTIONS(o)                                                         \
    {OPT_LIST,                                                                  \
     'l',                                                                       \
     "library",                                                                 \
     "FILE",                                                                    \
     "a library or JSON Lines file; repeatable",                                \
     &(o)->libraries,                                                           \
     0,                                                                         \
     0},                                                                        \
        {OPT_LIST,                                                              \
         0,                                                                     \
         "pairs",                                                               \
         "FILE",                                                                \
         "prompts and their guidelines, JSON Lines; repeatable",                \
         &(o)->pairs,                                                           \
         0,                                                                     \
         0},                                                                    \
        {OPT_STRING,                                                            \
         0,                                                                     \
         "held-out",                                                            \
         "FILE",                                                                \
         "{\"id\"} of guidelines that training must not meet",                  \
         &(o)->held_out,                                                        \
         0,                                                                     \
         0},                                                                    \
        {OPT_STRING,                                                            \
         'e',                                                                   \
         "encoder",                                                             \
         "DIR",                                                                 \
         "model folder to start from; else the base encoder",                   \
         &(o)->encoder,                                                         \
         0,                                                                     \
         0},                                                                    \
        {OPT_STRING, 'o', "out", "DIR", "model folder to write",                \
         &(o)->out,  0,   0},                                                   \
        {OPT_STRING,  0, "delta", "FILE", "write what changed, too, in 8 bits", \
         &(o)->delta, 0, 0},                                                    \
    {                                                                           \
        OPT_STRING, 0, "apply", "FILE",                                         \
            "do not train: add what was written so to the encoder",             \
            &(o)->apply, 0, 0                                                   \
    }

#define DRAW_OPTIONS(o)                                                        \
    {OPT_HEADING, 0, "what a step draws", NULL, NULL, NULL, 0, 0},             \
        {OPT_UINT,                                                             \
         0,                                                                    \
         "guidelines",                                                         \
         "N",                                                                  \
         "guidelines (32)",                                                    \
         &(o)->train.guidelines,                                               \
         2,                                                                    \
         1024},                                                                \
        {OPT_UINT,                                                             \
         0,                                                                    \
         "neighbours",                                                         \
         "N",                                                                  \
         "near guidelines with each one drawn (1)",                            \
         &(o)->train.neighbours,                                               \
         0,                                                                    \
         64},                                                                  \
        {OPT_UINT,                                                             \
         0,                                                                    \
         "queries",                                                            \
         "N",                                                                  \
         "prompts of each that ask (2)",                                       \
         &(o)->train.queries,                                                  \
         1,                                                                    \
         64},                                                                  \
        {OPT_UINT,                                                             \
         0,                                                                    \
         "supports",                                                           \
         "N",                                                                  \
         "prompts of each that support it, at most (4); 0: pairs, as DPR",     \
         &(o)->train.supports,                                                 \
         0,                                                                    \
         64},                                                                  \
        {OPT_DOUBLE,                                                           \
         0,                                                                    \
         "text-weight",                                                        \
         "N",                                                                  \
         "the text counts as N supports (2)",                                  \
         &(o)->text_weight,                                                    \
         0,                                                                    \
         0},                                                                   \
        {OPT_DOUBLE,                                                           \
         0,                                                                    \
         "similar",                                                            \
         "X",                                                                  \
         "cosine of texts from which on they are no wrong answers (0.9)",      \
         &(o)->similar,                                                        \
         0,                                                                    \
         0},                                                                   \
    {                                                                          \
        OPT_UINT, 0, "max-tokens", "N", "texts are cut there (128)",           \
            &(o)->max_tokens, 8, 8192                                          \
    }

#define LEARN_OPTIONS(o)                                                        \
    {OPT_HEADING, 0, "how it learns", NULL, NULL, NULL, 0, 0},                  \
        {OPT_UINT, 0, "steps", "N", "steps (300)", &(o)->steps, 1, 10000000},   \
        {OPT_DOUBLE, 0, "rate", "X", "the highest learning rate (5e-5)",        \
         &(o)->rate, 0, 0},                                                     \
        {OPT_DOUBLE,   0, "warmup", "X", "share of the steps up to it (0.1)",   \
         &(o)->warmup, 0, 0},                                                   \
        {OPT_STRING,     0, "schedule", "S", "linear or cosine, down (linear)", \
         &(o)->schedule, 0, 0},                                                 \
        {OPT_DOUBLE,                                                            \
         0,                                                                     \
         "temperature",                                                         \
         "X",                                                                   \
         "of the loss (0.05)",                                                  \
         &(o)->temperature,                                                     \
         0,                                                                     \
         0},                                                                    \
        {OPT_DOUBLE,  0, "decay", "X", "of the weights (0.01)",                 \
         &(o)->decay, 0, 0},                                                    \
        {OPT_DOUBLE, 0, "clip", "X", "length of the gradient (1); 0: none",     \
         &(o)->clip, 0, 0},                                                     \
        {OPT_DOUBLE,    0, "dropout", "X", "share of the hidden states (0)",    \
         &(o)->dropout, 0, 0},                                                  \
        {OPT_UINT,                                                              \
         0,                                                                     \
         "freeze",                                                              \
         "N",                                                                   \
         "1: the embeddings, 1 + N: and N layers stay as they are (0)",         \
         &(o)->freeze,                                                          \
         0,                                                                     \
         256},                                                                  \
        {OPT_UINT, 0, "seed", "N", "of all chance (1)", &(o)->seed, 0, 0},      \
    {                                                                           \
        OPT_STRING, 0, "precision", "P",                                        \
            "of products: f32, bf16 or auto, bf16 where the CPU has it "        \
            "(auto)",                                                           \
            &(o)->precision, 0, 0                                               \
    }

#define MEASURE_OPTIONS(o)                                                     \
    {OPT_HEADING, 0, "how it is measured", NULL, NULL, NULL, 0, 0},            \
        {OPT_STRING, 0, "dev", "SPLIT", "pairs to measure by (dev)",           \
         &(o)->dev,  0, 0},                                                    \
        {OPT_UINT,                                                             \
         0,                                                                    \
         "measure-every",                                                      \
         "N",                                                                  \
         "steps (50); 0: never",                                               \
         &(o)->measure_every,                                                  \
         0,                                                                    \
         0},                                                                   \
        {OPT_UINT,                                                             \
         0,                                                                    \
         "patience",                                                           \
         "N",                                                                  \
         "measurements without a better one until it ends (0: to the end)",    \
         &(o)->train.patience,                                                 \
         0,                                                                    \
         0},                                                                   \
        {OPT_UINT,                                                             \
         0,                                                                    \
         "triggers",                                                           \
         "N",                                                                  \
         "of a guideline that is measured (4)",                                \
         &(o)->train.triggers,                                                 \
         0,                                                                    \
         64},                                                                  \
        {OPT_UINT,      'k', "k", "N", "the first N count (6)",                \
         &(o)->train.k, 1,   1000},                                            \
        {OPT_UINT,                                                             \
         0,                                                                    \
         "checkpoint-every",                                                   \
         "N",                                                                  \
         "steps (50)",                                                         \
         &(o)->checkpoint_every,                                               \
         1,                                                                    \
         0},                                                                   \
    {                                                                          \
        OPT_UINT, 0, "threads", "N", "threads (all)", &(o)->threads, 1, 256    \
    }

static int run(int argc, char **argv)
{
    train_options o = {.dev = "dev",
                       .precision = "auto",
                       .schedule = "linear",
                       .max_tokens = 128,
                       .threads = ga__cpu_count()};
    int count;
    bool done;
    ga_error err = {""};
    take_defaults(&o);
    const cli_option table[] = {FILE_OPTIONS(&o),
                                DRAW_OPTIONS(&o),
                                LEARN_OPTIONS(&o),
                                MEASURE_OPTIONS(&o),
                                {0}};
    int status = cli_parse(&cli_train, table, argc, argv, &count, &done);
    if (status || done)
        return status;
    if (count || !o.out || (o.libraries.count == 0 && !o.apply))
        return cli_usagef(&cli_train,
                          "--library FILE and --out DIR are needed");
    const bool native = strcmp(ga__kernels()->name, "avx512bf16") == 0;
    const bool bf16 = strcmp(o.precision, "bf16") == 0 ||
                      (native && strcmp(o.precision, "auto") == 0);
    if (!bf16 && strcmp(o.precision, "f32") != 0 &&
        strcmp(o.precision, "auto") != 0)
        return cli_usagef(&cli_train, "--precision is f32, bf16 or auto");
    if (strcmp(o.schedule, "linear") != 0 && strcmp(o.schedule, "cosine") != 0)
        return cli_usagef(&cli_train, "--schedule is linear or cosine");
    if (!(o.temperature > 0) || !(o.dropout >= 0 && o.dropout < 1) ||
        !(o.warmup >= 0 && o.warmup <= 1))
        return cli_usagef(&cli_train, "--temperature is above 0, --dropout 0 "
                                      "to below 1, --warmup 0 to 1");
    if (!o.encoder)
        o.encoder = cli_get_paths()->base_encoder;
    if (!o.encoder)
        return cli_failf("there is no base encoder: 'make setup' fetches it, "
                         "or name a model folder with --encoder");
    fill_in(&o);
    ga_status rc = open_and_train(&o, bf16 ? GA_BF16 : GA_F32, &err);
    return cli_finish(rc ? cli_fail(&err) : EXIT_DONE);
}

const cli_command cli_train = {
    .name = "train",
    .usage = "--library FILE --pairs FILE --out DIR [OPTIONS]",
    .summary = "train a retriever on prompts and the guidelines they need",
    .about =
        "Fine-tunes an encoder so that prompts come to lie near the "
        "guidelines that they need: each guideline's vector is made from its "
        "text and some of its prompts, as in a pack, and other prompts must "
        "find it among its neighbours. Keeps the parameters that rank the dev "
        "pairs best and writes them as a model folder in Hugging Face layout. "
        "Killed and started again it goes on where it was; the same seed gives "
        "the same model with any number of threads.",
    .example = "guidealign train --library library.jsonl --pairs train.jsonl "
               "--pairs dev.jsonl --out retriever",
    .run = run,
};
