/* bench.c: `guidealign bench`, how fast the parts are on this machine. */
#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/threads.h"
#include "cli/bench.h"
#include "cli/serve.h"
#include "encoder/encoder.h"
#include "index/index.h"
#include "tensor/kernels.h"

/* The prompts of a file. */
typedef struct {
    cli_messages *items;
    ga_str *text; /* [count] */
    size_t count, cap;
} prompts;

static ga_status read_prompts(const char *path, prompts *p, ga_error *err)
{
    cli_lines in = {0};
    bool end = false;
    ga_status rc = cli_lines_open(&in, path, err);
    while (!rc && !end) {
        rc = cli_lines_next(&in, &end, err);
        if (rc || end || in.len == 0)
            continue;
        void *items = p->items;
        if (!ga__grow(&items, &p->cap, p->count + 1, sizeof(*p->items))) {
            rc = ga__fail_nomem(err, p->count * sizeof(*p->items));
            break;
        }
        p->items = items;
        rc = cli_messages_parse(&p->items[p->count], (ga_str){in.line, in.len},
                                err);
        if (rc)
            ga__error_prefix(err, "%s:%zu", in.name, in.number);
        p->count++;
    }
    cli_lines_close(&in);
    if (!rc && p->count == 0)
        rc = ga__fail(err, GA_INVAL, "'%s' has no prompts", path);
    if (!rc)
        p->text = ga__calloc(p->count, sizeof(*p->text));
    if (!rc && !p->text)
        rc = ga__fail_nomem(err, p->count * sizeof(*p->text));
    for (size_t i = 0; i < p->count && !rc; i++)
        p->text[i] = cli_messages_last_user(&p->items[i]);
    return rc;
}

static void free_prompts(prompts *p)
{
    for (size_t i = 0; i < p->count; i++)
        cli_messages_free(&p->items[i]);
    free(p->items);
    free(p->text);
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The value below which a share of the sorted laps lie. */
static double percentile(const double *laps, size_t n, double share)
{
    size_t at = (size_t)(share * (double)n);
    return laps[at < n ? at : n - 1];
}

double cli_resident_mb(void)
{
    char line[256];
    double kb = 0;
    FILE *status = fopen("/proc/self/status", "r");
    while (status && fgets(line, sizeof(line), status)) {
        if (strncmp(line, "VmRSS:", 6) == 0)
            kb = strtod(line + 6, NULL);
    }
    if (status)
        fclose(status);
    return kb / 1024;
}

/* ---- the machine's peak ---- */

typedef struct {
    const ga_kernels *kernels;
    ga_number type;
    double ops[GA_MAX_THREADS];
} probe;

static void probe_thread(void *arg, size_t piece, unsigned thread)
{
    enum { TURNS = 4000000 };
    probe *p = arg;
    (void)thread;
    p->ops[piece] = p->kernels->work(p->type, TURNS);
}

/* Operations a second that all threads together can do, the best of three. */
static ga_status measure_peak(unsigned threads, ga_number type, double *out,
                              ga_error *err)
{
    probe p = {.kernels = ga__kernels(), .type = type};
    ga_pool *pool = NULL;
    ga_status rc = ga__pool_new(threads, &pool, err);
    *out = 0;
    for (int i = 0; i < 3 && !rc; i++) {
        double start = ga__now_s(), sum = 0;
        ga__pool_run(pool, threads, probe_thread, &p);
        double spent = ga__now_s() - start;
        for (unsigned t = 0; t < threads; t++)
            sum += p.ops[t];
        *out = fmax(*out, sum / spent);
    }
    ga__pool_free(pool);
    return rc;
}

/* ---- encode ---- */

typedef struct {
    double texts_per_s, p50_ms, p95_ms, peak;
    size_t tokens; /* of all texts */
} encode_result;

static ga_status count_tokens(const ga_encoder *enc, ga_scratch *s,
                              const prompts *p, size_t *tokens, ga_error *err)
{
    ga_status rc = GA_OK;
    *tokens = 0;
    for (size_t i = 0; i < p->count && !rc; i++) {
        size_t n = 0;
        rc = ga_encoder_tokenize(enc, s, p->text[i], NULL, 0, &n, err);
        *tokens += n;
    }
    return rc;
}

/* All texts at once, over and over: the best round counts, since whatever else
 * the machine does only slows it down. */
static ga_status time_all(const ga_encoder *enc, ga_scratch *s,
                          const prompts *p, double seconds, float *out,
                          double *rate, ga_error *err)
{
    double begin = ga__now_s();
    ga_status rc = ga_encoder_embed(enc, s, p->text, p->count, out, err);
    *rate = 0;
    do {
        double start = ga__now_s();
        if (!rc)
            rc = ga_encoder_embed(enc, s, p->text, p->count, out, err);
        *rate = fmax(*rate, (double)p->count / (ga__now_s() - start));
    } while (!rc && ga__now_s() - begin < seconds);
    return rc;
}

static ga_status time_each(const ga_encoder *enc, ga_scratch *s,
                           const prompts *p, float *out, encode_result *r,
                           ga_error *err)
{
    enum { LAPS = 300 };
    double laps[LAPS];
    size_t n = p->count < LAPS ? p->count : LAPS;
    ga_status rc = GA_OK;
    for (size_t i = 0; i < n && !rc; i++) {
        double start = ga__now_s();
        rc = ga_encoder_embed(enc, s, p->text + i, 1, out, err);
        laps[i] = 1e3 * (ga__now_s() - start);
    }
    qsort(laps, n, sizeof(*laps), ascending);
    r->p50_ms = percentile(laps, n, 0.5);
    r->p95_ms = percentile(laps, n, 0.95);
    return rc;
}

static void print_encode(const cli_bench_options *o, const ga_encoder *enc,
                         const prompts *p, const encode_result *r)
{
    double per_text = (double)r->tokens / (double)p->count;
    double ops = r->texts_per_s * per_text * ga__encoder_ops(enc);
    const char *precision = ga_precision_name(ga_encoder_precision(enc));
    if (o->json) {
        cli_json_line(json_pack(
            "{s:s, s:s, s:s, s:i, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, "
            "s:f}",
            "bench", "encode", "precision", precision, "kernels",
            ga__kernels()->name, "threads", (int)o->threads, "texts",
            (json_int_t)p->count, "tokens_per_text", per_text, "texts_per_s",
            r->texts_per_s, "tokens_per_s", r->texts_per_s * per_text, "p50_ms",
            r->p50_ms, "p95_ms", r->p95_ms, "gops", ops / 1e9, "peak_gops",
            r->peak / 1e9, "share_of_peak", ops / r->peak, "resident_mb",
            cli_resident_mb()));
        return;
    }
    printf("%s, %s, %u threads: %.0f texts/s (%.0f tokens/s, %.1f a text), one "
           "text p50 %.2f ms, p95 %.2f ms\n"
           "  linear layers %.0f Gop/s, %.0f %% of the %.0f that the "
           "registers alone can do; resident %.0f MB\n",
           precision, ga__kernels()->name, o->threads, r->texts_per_s,
           r->texts_per_s * per_text, per_text, r->p50_ms, r->p95_ms, ops / 1e9,
           100 * ops / r->peak, r->peak / 1e9, cli_resident_mb());
}

static ga_status bench_encode(const cli_bench_options *o, ga_precision as,
                              ga_error *err)
{
    ga_encoder *own = NULL;
    ga_pack *pack = NULL;
    ga_scratch *s = NULL;
    prompts p = {0};
    encode_result r = {0};
    float *out = NULL;
    ga_status rc = read_prompts(o->input, &p, err);
    if (!rc)
        rc = cli_is_folder(o->model)
                 ? ga_encoder_open_as(o->model, as, &own, err)
                 : ga_pack_open(o->model, &pack, err);
    const ga_encoder *enc = pack ? ga_pack_encoder(pack) : own;
    if (!rc)
        rc = ga_scratch_new(o->threads, &s, err);
    if (!rc) {
        out = ga__calloc(p.count, ga_encoder_dim(enc) * sizeof(*out));
        rc = out ? count_tokens(enc, s, &p, &r.tokens, err)
                 : ga__fail_nomem(err, p.count * sizeof(*out));
    }
    if (!rc)
        rc = time_all(enc, s, &p, o->seconds, out, &r.texts_per_s, err);
    if (!rc)
        rc = time_each(enc, s, &p, out, &r, err);
    if (!rc)
        rc = measure_peak(o->threads,
                          ga__precision_number(ga_encoder_precision(enc)),
                          &r.peak, err);
    if (!rc)
        print_encode(o, enc, &p, &r);
    free(out);
    ga_scratch_free(s);
    ga_pack_close(pack);
    ga_encoder_close(own);
    free_prompts(&p);
    return rc;
}

/* ---- retrieve ---- */

static ga_status bench_retrieve(const cli_bench_options *o, ga_error *err)
{
    ga_pack *pack = NULL;
    ga_scratch *s = NULL;
    ga_decision *d = NULL;
    ga_guide_options options;
    prompts p = {0};
    double *laps = NULL;
    size_t n = 0;
    ga_guide_options_init(&options);
    double start = ga__now_s();
    ga_status rc = ga_pack_open(o->model, &pack, err);
    double opened = ga__now_s() - start;
    if (!rc)
        rc = ga_scratch_new(o->threads, &s, err);
    if (!rc)
        rc = ga_decision_new(&d, err);
    if (!rc)
        rc = read_prompts(o->input, &p, err);
    if (!rc) {
        laps = ga__calloc(p.count, sizeof(*laps));
        rc = laps ? GA_OK : ga__fail_nomem(err, p.count * sizeof(*laps));
    }
    for (int round = 0; round < 2 && !rc; round++) { /* the first warms up */
        for (n = 0; n < p.count && !rc; n++) {
            start = ga__now_s();
            rc = ga_guide(pack, s, p.items[n].items, p.items[n].count, &options,
                          d, err);
            laps[n] = 1e3 * (ga__now_s() - start);
        }
    }
    if (!rc) {
        qsort(laps, n, sizeof(*laps), ascending);
        double p50 = percentile(laps, n, 0.5), p95 = percentile(laps, n, 0.95);
        size_t G = ga_pack_count(pack);
        if (o->json)
            cli_json_line(json_pack(
                "{s:s, s:i, s:I, s:I, s:f, s:f, s:f, s:f}", "bench", "retrieve",
                "threads", (int)o->threads, "guidelines", (json_int_t)G,
                "prompts", (json_int_t)n, "open_ms", 1e3 * opened, "p50_ms",
                p50, "p95_ms", p95, "resident_mb", cli_resident_mb()));
        else
            printf("%zu guidelines, %zu prompts, %u threads: p50 %.2f ms, p95 "
                   "%.2f ms; opened in %.1f ms, resident %.0f MB\n",
                   G, n, o->threads, p50, p95, 1e3 * opened, cli_resident_mb());
    }
    free(laps);
    free_prompts(&p);
    ga_decision_free(d);
    ga_scratch_free(s);
    ga_pack_close(pack);
    return rc;
}

/* ---- search ---- */

/* Normally distributed numbers, by Box and Muller. */
static float gauss(uint64_t *state)
{
    double u[2];
    for (int i = 0; i < 2; i++) {
        *state = *state * 6364136223846793005u + 1442695040888963407u;
        u[i] = ((double)(*state >> 11) + 0.5) / 9007199254740992.0;
    }
    return (float)(sqrt(-2 * log(u[0])) * cos(6.283185307179586 * u[1]));
}

/* A made-up library: vectors of length 1 in 30 topics and 600 subtopics, so
 * that neighbours of a query are as graded as those of real prompts: with the
 * encoder's vectors of 10,000 of them 2 to 3 % have to be scored, here about as
 * many.  (Were they spread evenly, it would be 13 %.) */
static void make_vectors(float *out, size_t G, size_t H)
{
    enum { TOPICS = 30, SUBTOPICS = 600 };
    static const float share[] = {0.45F, 0.30F, 0.84F};
    const size_t stride[] = {TOPICS, SUBTOPICS};
    for (size_t g = 0; g < G; g++) {
        double squares = 0;
        uint64_t state[3] = {1 + g % stride[0], 1000 + g % stride[1],
                             100000 + g};
        float *x = out + g * H;
        for (int level = 0; level < 3; level++) {
            for (int i = 0; i < 4; i++) /* apart from their neighbours' */
                (void)gauss(&state[level]);
        }
        for (size_t h = 0; h < H; h++) {
            x[h] = 0;
            for (int level = 0; level < 3; level++)
                x[h] += share[level] * gauss(&state[level]);
            squares += (double)x[h] * (double)x[h];
        }
        for (size_t h = 0; h < H; h++)
            x[h] /= (float)sqrt(squares);
    }
}

/* Six that differ, of the best 24: what a decision does after the search. */
static double choose_six(const ga_kernels *k, const float *vectors, size_t H,
                         const uint32_t *top, size_t n, const float *scores)
{
    bool taken[64] = {false};
    double sum = 0;
    uint32_t chosen[6];
    for (size_t c = 0; c < 6 && c < n; c++) {
        size_t best = n;
        double most = -INFINITY;
        for (size_t i = 0; i < n; i++) {
            double like = 0;
            for (size_t j = 0; j < c && !taken[i]; j++)
                like = fmax(
                    like, (double)ga__index_cosine(k, vectors + top[i] * H,
                                                   vectors + chosen[j] * H, H));
            double r = 0.7 * (double)scores[top[i]] - 0.3 * like;
            if (!taken[i] && like < 0.95 && r > most) {
                most = r;
                best = i;
            }
        }
        if (best == n)
            break;
        taken[best] = true;
        chosen[c] = top[best];
        sum += most;
    }
    return sum;
}

typedef struct {
    ga_index ix;
    float *vectors, *biases, *rows, *scores;
    uint8_t *codes;
    void *scratch;
} search_bench;

static ga_status make_search(search_bench *b, size_t G, size_t H, ga_error *err)
{
    size_t code_bytes = 0;
    if (!ga__index_code_bytes(G, H, &code_bytes))
        return ga__fail_nomem(err, SIZE_MAX);
    b->vectors = ga__alloc_aligned(G, H * sizeof(float));
    b->biases = ga__calloc(G, sizeof(float));
    b->rows = ga__alloc_aligned(G, 3 * sizeof(float));
    b->scores = ga__alloc_aligned(G, sizeof(float));
    b->codes = ga__alloc_aligned(code_bytes, 1);
    if (!b->vectors || !b->biases || !b->rows || !b->scores || !b->codes)
        return ga__fail_nomem(err, G * H * sizeof(float));
    make_vectors(b->vectors, G, H);
    if (!ga__index_encode(b->vectors, b->biases, G, H, b->codes, b->rows))
        return ga__fail(err, GA_INVAL, "a vector is not finite");
    b->ix = (ga_index){G,        H,       b->vectors,  b->biases,
                       b->codes, b->rows, b->rows + G, b->rows + 2 * G};
    b->scratch = ga__alloc_aligned(ga__index_scratch(&b->ix, 1), 1);
    return b->scratch ? GA_OK : ga__fail_nomem(err, G * sizeof(float));
}

/* Queries are near vectors of the library; each is searched by codes and, now
 * and then, by all scores, to see that nothing was missed. */
static void time_search(search_bench *b, const cli_bench_options *o,
                        size_t top_k)
{
    enum { LAPS = 200, CHECKS = 10 };
    const ga_kernels *k = ga__kernels();
    const size_t G = b->ix.G, H = b->ix.H;
    double laps[LAPS], exact[CHECKS], scored = 0;
    size_t missed = 0;
    uint32_t top[64], wanted[64];
    if (G == 0)
        return; /* --count is 100 at least */
    for (size_t i = 0; i < LAPS; i++) {
        const float *query = b->vectors + (i * 7919 % G) * H;
        double start = ga__now_s();
        ga__index_best_scores(k, &b->ix, query, 1, top_k, -INFINITY, NULL, NULL,
                              b->scratch, b->scores);
        size_t n = ga__index_top(b->scores, G, top_k, NULL, NULL, top);
        volatile double sum = choose_six(k, b->vectors, H, top, n, b->scores);
        (void)sum;
        laps[i] = 1e3 * (ga__now_s() - start);
    }
    for (size_t i = 0; i < CHECKS; i++) {
        const float *query = b->vectors + (i * 7919 % G) * H;
        ga__index_best_scores(k, &b->ix, query, 1, top_k, -INFINITY, NULL, NULL,
                              b->scratch, b->scores);
        ga__index_top(b->scores, G, top_k, NULL, NULL, top);
        for (size_t g = 0; g < G; g++)
            scored += b->scores[g] > -INFINITY;
        double start = ga__now_s();
        ga__index_scores(k, b->vectors, b->biases, G, H, query, 1, b->scores);
        ga__index_top(b->scores, G, top_k, NULL, NULL, wanted);
        exact[i] = 1e3 * (ga__now_s() - start);
        missed += memcmp(top, wanted, top_k * sizeof(*top)) != 0;
    }
    qsort(laps, LAPS, sizeof(*laps), ascending);
    qsort(exact, CHECKS, sizeof(*exact), ascending);
    double p50 = percentile(laps, LAPS, 0.5);
    double all = percentile(exact, CHECKS, 0.5);
    scored /= (double)CHECKS * (double)G;
    if (o->json)
        cli_json_line(json_pack(
            "{s:s, s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:I}", "bench", "search",
            "vectors", (json_int_t)G, "dimensions", (json_int_t)H, "k",
            (json_int_t)top_k, "p50_ms", p50, "p95_ms",
            percentile(laps, LAPS, 0.95), "all_scores_p50_ms", all, "scored",
            scored, "differing", (json_int_t)missed));
    else
        printf("%zu x %zu, best %zu and six of them that differ, 1 thread: p50 "
               "%.3f ms, p95 %.3f ms; by all scores %.3f ms; %.1f %% had to be "
               "scored, %zu of %d rankings differ\n",
               G, H, top_k, p50, percentile(laps, LAPS, 0.95), all,
               100 * scored, missed, CHECKS);
}

/* So that others can search the same vectors. */
static ga_status save_vectors(const ga_index *ix, const char *path,
                              ga_error *err)
{
    ga_atomic_file f = GA_ATOMIC_FILE_INIT;
    ga_status rc = ga__atomic_open(path, &f, err);
    if (rc)
        return rc;
    (void)fwrite(ix->vectors, ix->H * sizeof(float), ix->G, f.stream);
    rc = ga__atomic_commit(&f, err);
    ga__atomic_abort(&f);
    return rc;
}

static ga_status bench_search(const cli_bench_options *o, ga_error *err)
{
    enum { BEST = 24 };
    search_bench b = {0};
    ga_status rc = make_search(&b, o->count, o->dim, err);
    if (!rc && o->save)
        rc = save_vectors(&b.ix, o->save, err);
    if (!rc)
        time_search(&b, o, BEST);
    free(b.scratch);
    free(b.codes);
    free(b.scores);
    free(b.rows);
    free(b.biases);
    free(b.vectors);
    return rc;
}

/* ---- the command ---- */

static int run(int argc, char **argv)
{
    cli_bench_options o = {.precision = NULL,
                           .threads = ga__cpu_count(),
                           .batch = 32,
                           .steps = 20,
                           .seconds = 3,
                           .count = 33000,
                           .dim = 384};
    ga_precision as;
    int count;
    bool done;
    ga_error err = {""};
    const cli_option options[] = {
        {OPT_STRING, 'm', "model", "DIR|PACK",
         "a model folder or a pack; else the starter pack", &o.model, 0, 0},
        {OPT_STRING, 'p', "pack", "FILE", "the same", &o.model, 0, 0},
        {OPT_STRING, 'i', "input", "FILE",
         "JSON Lines, {\"prompt\"} or {\"messages\"} each", &o.input, 0, 0},
        {OPT_STRING, 0, "precision", "P",
         "f32, bf16 or int8, of a model folder (int8; f32 to train)",
         &o.precision, 0, 0},
        {OPT_UINT, 0, "threads", "N", "threads (all)", &o.threads, 1, 256},
        {OPT_UINT, 0, "batch", "N", "pairs of a step of training (32)",
         &o.batch, 2, 4096},
        {OPT_UINT, 0, "steps", "N", "steps of training (20)", &o.steps, 1,
         100000},
        {OPT_UINT, 0, "count", "N", "vectors to search (33000)", &o.count, 100,
         GA_MAX_GUIDELINES},
        {OPT_UINT, 0, "dim", "N", "their dimensions (384)", &o.dim, 1,
         GA_MAX_HIDDEN},
        {OPT_STRING, 0, "save", "FILE", "write the vectors, float32 rows",
         &o.save, 0, 0},
        {OPT_DOUBLE, 0, "seconds", "S", "how long to repeat (3)", &o.seconds, 0,
         0},
        {OPT_FLAG, 0, "json", NULL, "the figures as one JSON object", &o.json,
         0, 0},
        {0}};
    int status = cli_parse(&cli_bench, options, argc, argv, &count, &done);
    if (status || done)
        return status;
    bool search = count == 1 && strcmp(argv[0], "search") == 0;
    bool train = count == 1 && strcmp(argv[0], "train") == 0;
    if (count != 1 || (!o.input && !search))
        return cli_usagef(&cli_bench,
                          "encode, retrieve or train with --input FILE, or "
                          "search, is needed");
    if (!o.precision)
        o.precision =
            count == 1 && strcmp(argv[0], "train") == 0 ? "f32" : "int8";
    if (ga_precision_find(o.precision, &as, &err))
        return cli_usagef(&cli_bench, "%s", err.msg);
    if (!o.model)
        o.model = train ? cli_get_paths()->base_encoder
                        : cli_get_paths()->starter_pack;
    if (!o.model && !search)
        return cli_failf("there is no starter pack: 'make build' makes it, or "
                         "name a pack or a folder with --model");
    ga_status rc;
    if (search)
        rc = bench_search(&o, &err);
    else if (strcmp(argv[0], "encode") == 0)
        rc = bench_encode(&o, as, &err);
    else if (strcmp(argv[0], "retrieve") == 0)
        rc = bench_retrieve(&o, &err);
    else if (train)
        rc = cli_bench_train(&o, as, &err);
    else
        return cli_usagef(&cli_bench, "there is no bench '%s'", argv[0]);
    return cli_finish(rc ? cli_fail(&err) : EXIT_DONE);
}

const cli_command cli_bench = {
    .name = "bench",
    .usage = "encode|retrieve|search|train [--input FILE] [OPTIONS]",
    .summary = "how fast encoding, search and retrieval are on this machine",
    .about = "encode: texts a second, all at once and one at a time, and which "
             "share that is of what the processor's registers alone can do. "
             "retrieve: from a prompt to its guidelines, the time of one after "
             "the other. search: the best of many made-up vectors, and whether "
             "any was missed. train: pairs a second, lines of "
             "{\"prompt\", \"guideline\"}, the i-th of a batch belonging "
             "together; in f32, or bf16 with --precision.",
    .example = "guidealign bench encode --model DIR --precision int8 "
               "--threads 1 --input prompts.jsonl\n"
               "guidealign bench retrieve --threads 1 --input prompts.jsonl\n"
               "guidealign bench search --count 33000",
    .run = run,
};
