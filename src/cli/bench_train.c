/* bench_train.c: `guidealign bench train`, how fast a retriever is trained.
 *
 * The plainest training by pairs: of B prompts and B guidelines the i-th belong
 * together, all others are wrong.  Pairs are taken as they stand and nothing is
 * left to chance, so that the losses can be held against another program's. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/threads.h"
#include "cli/bench.h"
#include "train/net.h"
#include "train/prototype.h"

enum { MAX_TOKENS = 128, WARM = 2 };

typedef struct {
    uint32_t *ids; /* [count, 2, MAX_TOKENS], prompt and guideline */
    size_t *lengths;
    size_t count, cap;
} pairs;

static ga_status add_pair(const ga_encoder *enc, ga_scratch *s, pairs *p,
                          json_t *line, ga_error *err)
{
    static const char *const keys[] = {"prompt", "guideline"};
    void *ids = p->ids, *lengths = p->lengths;
    size_t cap = p->cap;
    if (!ga__grow(&ids, &cap, p->count + 1, 2 * MAX_TOKENS * sizeof(*p->ids)))
        return ga__fail_nomem(err, p->count * sizeof(*p->ids));
    p->ids = ids;
    cap = p->cap;
    if (!ga__grow(&lengths, &cap, p->count + 1, 2 * sizeof(*p->lengths)))
        return ga__fail_nomem(err, p->count * sizeof(*p->lengths));
    p->lengths = lengths;
    p->cap = cap;
    for (size_t k = 0; k < 2; k++) {
        json_t *text = json_object_get(line, keys[k]);
        size_t n, *length = &p->lengths[2 * p->count + k];
        if (!json_is_string(text))
            return ga__fail(err, GA_FORMAT, "\"%s\" is missing", keys[k]);
        ga_status rc = ga_encoder_tokenize(
            enc, s, (ga_str){json_string_value(text), json_string_length(text)},
            p->ids + (2 * p->count + k) * MAX_TOKENS, MAX_TOKENS, &n, err);
        if (rc)
            return rc;
        *length = n < MAX_TOKENS ? n : MAX_TOKENS;
    }
    p->count++;
    return GA_OK;
}

static ga_status read_pairs(const char *path, const ga_encoder *enc, pairs *p,
                            ga_error *err)
{
    cli_lines in = {0};
    ga_scratch *s = NULL;
    bool end = false;
    ga_status rc = ga_scratch_new(1, &s, err);
    if (!rc)
        rc = cli_lines_open(&in, path, err);
    while (!rc && !end) {
        rc = cli_lines_next(&in, &end, err);
        if (rc || end || in.len == 0)
            continue;
        json_t *line = json_loadb(in.line, in.len, 0, NULL);
        rc = line ? add_pair(enc, s, p, line, err)
                  : ga__fail(err, GA_FORMAT, "not JSON");
        json_decref(line);
        if (rc)
            ga__error_prefix(err, "%s:%zu", in.name, in.number);
    }
    cli_lines_close(&in);
    ga_scratch_free(s);
    if (!rc && p->count == 0)
        rc = ga__fail(err, GA_INVAL, "'%s' has no pairs", path);
    return rc;
}

typedef struct {
    ga_net *net;
    const pairs *p;
    size_t B, H;
    const uint32_t **ids; /* [2B], prompts first */
    size_t *lengths;
    float *z, *dz, *scratch;
    ga_prototype *prototypes; /* [B] */
    uint32_t *wanted;
    bool *masked; /* [B, B], all false */
    float *weight;
} bench;

static ga_status make_room(bench *b, ga_error *err)
{
    const size_t B = b->B, H = b->H;
    const ga_prototype_batch most = {.H = H, .prototypes = B};
    b->ids = ga__calloc(2 * B, sizeof(*b->ids));
    b->lengths = ga__calloc(2 * B, sizeof(*b->lengths));
    b->z = ga__calloc(2 * B, H * sizeof(float));
    b->dz = ga__calloc(2 * B, H * sizeof(float));
    b->scratch = ga__calloc(ga__prototype_scratch(&most), sizeof(float));
    b->prototypes = ga__calloc(B, sizeof(*b->prototypes));
    b->wanted = ga__calloc(B, sizeof(*b->wanted));
    b->masked = ga__calloc(B, B * sizeof(*b->masked));
    b->weight = ga__calloc(B, sizeof(*b->weight));
    if (!b->ids || !b->lengths || !b->z || !b->dz || !b->scratch ||
        !b->prototypes || !b->wanted || !b->masked || !b->weight)
        return ga__fail_nomem(err, 4 * B * H * sizeof(float));
    for (size_t i = 0; i < B; i++) {
        b->prototypes[i] = (ga_prototype){(uint32_t)(B + i), 1};
        b->wanted[i] = (uint32_t)i;
        b->weight[i] = 1;
    }
    return GA_OK;
}

static void free_room(bench *b)
{
    free(b->ids);
    free(b->lengths);
    free(b->z);
    free(b->dz);
    free(b->scratch);
    free(b->prototypes);
    free(b->wanted);
    free(b->masked);
    free(b->weight);
}

static ga_status step(bench *b, size_t number, double rate, double *loss,
                      ga_error *err)
{
    for (size_t i = 0; i < 2 * b->B; i++) {
        size_t at = 2 * ((number * b->B + i % b->B) % b->p->count) + i / b->B;
        b->ids[i] = b->p->ids + at * MAX_TOKENS;
        b->lengths[i] = b->p->lengths[at];
    }
    const ga_net_batch texts = {b->ids, b->lengths, 2 * b->B};
    const ga_prototype_batch batch = {.H = b->H,
                                      .queries = b->B,
                                      .prototypes = b->B,
                                      .z = b->z,
                                      .of = b->prototypes,
                                      .wanted = b->wanted,
                                      .masked = b->masked,
                                      .weight = b->weight,
                                      .text_weight = 1,
                                      .scale = 20};
    ga_adamw a = {.rate = (float)rate,
                  .beta1 = 0.9F,
                  .beta2 = 0.999F,
                  .epsilon = 1e-8F,
                  .decay = 0.01F,
                  .clip = 1};
    double right;
    ga_status rc = ga__net_forward(b->net, &texts, true, b->z, err);
    if (rc)
        return rc;
    *loss =
        ga__prototype_loss(ga__kernels(), &batch, b->scratch, b->dz, &right);
    rc = ga__net_backward(b->net, b->dz, err);
    if (rc)
        return rc;
    double norm = ga__net_gradient_norm(b->net);
    if (norm > 1)
        a.clip = (float)(1 / (norm + 1e-6));
    ga__net_step(b->net, &a);
    return GA_OK;
}

static ga_status time_steps(bench *b, const cli_bench_options *o,
                            ga_number type, ga_error *err)
{
    json_t *losses = json_array();
    double start = ga__now_s(), loss = 0;
    size_t tokens = 0;
    ga_status rc = GA_OK;
    for (unsigned i = 0; i < o->steps && !rc; i++) {
        if (i == WARM) {
            start = ga__now_s();
            tokens = 0;
        }
        rc = step(b, i, 2e-5, &loss, err);
        json_array_append_new(losses, json_real(loss));
        for (size_t k = 0; k < 2 * b->B; k++)
            tokens += b->lengths[k];
    }
    double spent = ga__now_s() - start;
    double rate = (double)(o->steps - WARM) * (double)b->B / spent;
    const char *precision = type == GA_BF16 ? "bf16" : "f32";
    if (!rc && o->json)
        cli_json_line(json_pack("{s:s, s:s, s:i, s:i, s:f, s:f, s:f, s:O}",
                                "bench", "train", "precision", precision,
                                "threads", (int)o->threads, "batch", (int)b->B,
                                "pairs_per_s", rate, "tokens_per_s",
                                (double)tokens / spent, "resident_mb",
                                cli_resident_mb(), "losses", losses));
    else if (!rc)
        printf("%s, %u threads, %zu pairs a step: %.1f pairs/s, %.0f tokens/s; "
               "loss of the last step %.4f; resident %.0f MB\n",
               precision, o->threads, b->B, rate, (double)tokens / spent, loss,
               cli_resident_mb());
    json_decref(losses);
    return rc;
}

ga_status cli_bench_train(const cli_bench_options *o, ga_precision as,
                          ga_error *err)
{
    const ga_number type = ga__precision_number(as);
    pairs p = {0};
    bench b = {.p = &p, .B = o->batch};
    ga_pool *pool = NULL;
    if (type == GA_INT8)
        return ga__fail(err, GA_INVAL, "training is in f32 or bf16");
    if (o->steps <= WARM)
        return ga__fail(err, GA_INVAL, "%u steps: the first %d only warm up",
                        o->steps, WARM);
    ga_status rc = ga__pool_new(o->threads, &pool, err);
    if (!rc)
        rc = ga__net_open(o->model, &(ga_net_options){.type = type}, pool,
                          &b.net, err);
    if (!rc)
        rc = read_pairs(o->input, ga__net_encoder(b.net), &p, err);
    if (!rc) {
        b.H = ga_encoder_dim(ga__net_encoder(b.net));
        rc = make_room(&b, err);
    }
    if (!rc)
        rc = time_steps(&b, o, type, err);
    free_room(&b);
    free(p.ids);
    free(p.lengths);
    ga__net_close(b.net);
    ga__pool_free(pool);
    return rc;
}
