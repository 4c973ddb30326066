/* trainer.c: what a step draws, and the steps. */
#include "train/trainer.h"

#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/sha256.h"
#include "index/index.h"
#include "train/prototype.h"
#include "train/save.h"

enum {
    ENCODE_TOKENS = 4096, /* of a chunk that is measured */
    REFRESH = 50          /* steps that prototypes serve, unmeasured */
};

typedef struct {
    ga_net *net;
    const ga_corpus *c;
    const ga_train_options *o;
    const ga_kernels *k;
    size_t H, G;
    uint32_t *order; /* [learning], the guidelines as this epoch draws them */
    size_t learning; /* guidelines that are trained on */
    uint64_t epoch;  /* of the order; UINT64_MAX: none yet */
    float *bank;     /* [G, H], prototypes when last measured */
    float *texts;    /* [G, H], of the texts alone */
    bool has_bank;
    /* of a step */
    uint32_t *chosen; /* [guidelines] */
    size_t chosen_count;
    const ga_tokens **row; /* [rows] */
    uint32_t *source;      /* [rows], the first row of the same tokens */
    size_t rows, queries;
    ga_prototype *prototypes;
    uint32_t *wanted;
    bool *masked;
    float *weight;
    float *z, *dz;           /* [rows, H] */
    float *unique, *dunique; /* [rows, H], of distinct texts */
    float *scratch;
    const uint32_t **ids; /* [rows] or of a chunk */
    size_t *lengths;
    uint32_t *ranking; /* [G] */
    uint8_t *grade;    /* [G] */
    float *scores;     /* [G] */
    float *best;       /* [parameters], those that measured best */
    size_t parameters;
    double best_ndcg; /* below 0: nothing was measured */
    unsigned worse;   /* measurements since */
    ga_error *err;
} trainer;

void ga__train_options_init(ga_train_options *o)
{
    *o = (ga_train_options){.steps = 300,
                            .guidelines = 32,
                            .neighbours = 1,
                            .queries = 2,
                            .supports = 4,
                            .text_weight = 2,
                            .scale = 20,
                            .similar = 0.9F,
                            .rate = 5e-5F,
                            .warmup = 0.1F,
                            .decay = 0.01F,
                            .clip = 1,
                            .seed = 1,
                            .measure_every = 50,
                            .triggers = 4,
                            .k = 6,
                            .checkpoint_every = 50};
}

/* ---- chance ---- */

/* SplitMix64 (Steele et al., 2014). */
static uint64_t next(uint64_t *state)
{
    uint64_t x = *state += UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
    return x ^ x >> 31;
}

/* 0 to n - 1; the bias of a 64-bit number does not matter. */
static size_t below(uint64_t *state, size_t n)
{
    return (size_t)(next(state) % n);
}

static uint64_t chance_of(const trainer *t, uint64_t kind, uint64_t number)
{
    uint64_t state = t->o->seed;
    state = next(&state) ^ kind;
    state = next(&state) ^ number;
    next(&state);
    return state;
}

/* ---- what a step draws ---- */

/* The guideline at a place in the endless order. */
static uint32_t drawn(trainer *t, uint64_t place)
{
    const uint64_t epoch = place / t->learning;
    if (epoch != t->epoch) {
        uint64_t state = chance_of(t, 1, epoch);
        size_t n = 0;
        for (size_t g = 0; g < t->G; g++) {
            const ga_corpus_guideline *q = &t->c->guidelines[g];
            if (q->trains && q->prompts.count > 0)
                t->order[n++] = (uint32_t)g;
        }
        for (size_t i = n; i > 1; i--) {
            size_t j = below(&state, i);
            uint32_t other = t->order[j];
            t->order[j] = t->order[i - 1];
            t->order[i - 1] = other;
        }
        t->epoch = epoch;
    }
    return t->order[place % t->learning];
}

static bool is_chosen(const trainer *t, size_t g)
{
    for (size_t i = 0; i < t->chosen_count; i++) {
        if (t->chosen[i] == g)
            return true;
    }
    return false;
}

static bool may_be_neighbour(const void *arg, size_t g)
{
    const trainer *t = arg;
    const ga_corpus_guideline *q = &t->c->guidelines[g];
    return q->trains && q->prompts.count > 0 && !is_chosen(t, g);
}

/* What a prompt of the guideline seems to need and does not, or t->G. */
static size_t seeming(const trainer *t, uint32_t g, uint64_t *chance)
{
    const ga_links *prompts = &t->c->guidelines[g].prompts;
    const ga_links *needs =
        &t->c->prompts[prompts->items[below(chance, prompts->count)].at]
             .guidelines;
    const size_t from = below(chance, needs->count);
    for (size_t i = 0; i < needs->count; i++) {
        const ga_link *l = &needs->items[(from + i) % needs->count];
        if (l->grade == 0 && may_be_neighbour(t, l->at))
            return l->at;
    }
    return t->G;
}

/* Half of them are what one of its prompts seems to need, by its author; the
 * rest, and where nothing was said, some of those whose vectors are nearest. */
static void choose_neighbours(trainer *t, uint32_t g, uint64_t *chance)
{
    enum { NEAREST = 12 };
    uint32_t near[NEAREST];
    t->k->dot_rows(t->scores, t->bank, t->G, t->bank + g * t->H, t->H);
    for (unsigned i = 0; i < t->o->neighbours; i++) {
        size_t other = below(chance, 2) ? seeming(t, g, chance) : t->G;
        if (other == t->G) {
            size_t n = ga__index_top(t->scores, t->G, NEAREST, may_be_neighbour,
                                     t, near);
            other = n > 0 ? near[below(chance, n)] : t->G;
        }
        if (other < t->G && t->chosen_count < t->o->guidelines)
            t->chosen[t->chosen_count++] = (uint32_t)other;
    }
}

static void choose_guidelines(trainer *t, uint64_t step, uint64_t *chance)
{
    const unsigned together = t->has_bank ? 1 + t->o->neighbours : 1;
    const uint64_t seeds = (t->o->guidelines + together - 1) / together;
    t->chosen_count = 0;
    for (uint64_t i = 0; i < seeds; i++) {
        uint32_t g = drawn(t, step * seeds + i);
        if (is_chosen(t, g) || t->chosen_count == t->o->guidelines)
            continue;
        t->chosen[t->chosen_count++] = g;
        if (together > 1)
            choose_neighbours(t, g, chance);
    }
}

static bool same_tokens(const ga_tokens *a, const ga_tokens *b)
{
    return a->length == b->length &&
           memcmp(a->ids, b->ids, a->length * sizeof(*a->ids)) == 0;
}

/* Is it a query that is to find prototype p? */
static bool asks_for(const trainer *t, size_t p, const ga_tokens *tokens)
{
    for (size_t q = 0; q < t->queries; q++) {
        if (t->wanted[q] == p && same_tokens(t->row[q], tokens))
            return true;
    }
    return false;
}

static uint32_t add_row(trainer *t, const ga_tokens *tokens)
{
    const uint32_t row = (uint32_t)t->rows++;
    t->row[row] = tokens;
    t->source[row] = row;
    for (uint32_t r = 0; r < row; r++) {
        if (same_tokens(t->row[r], tokens)) {
            t->source[row] = t->source[r];
            break;
        }
    }
    return row;
}

/* The guideline's prompts in the order of chance: so many of them differ. */
static void shuffle_some(uint32_t *at, size_t n, size_t some, uint64_t *chance)
{
    for (size_t i = 0; i < some && i + 1 < n; i++) {
        size_t j = i + below(chance, n - i);
        uint32_t other = at[j];
        at[j] = at[i];
        at[i] = other;
    }
}

/* A query's other guidelines, and what says the same as the wanted one. */
static void mask(trainer *t, size_t query, const ga_links *needs, size_t wanted)
{
    bool *masked = t->masked + query * t->chosen_count;
    for (size_t p = 0; p < t->chosen_count; p++) {
        masked[p] = false;
        for (size_t i = 0; i < needs->count && !masked[p]; i++)
            masked[p] =
                needs->items[i].at == t->chosen[p] && needs->items[i].grade > 0;
        if (t->has_bank && p != wanted)
            masked[p] |= t->k->dot(t->texts + t->chosen[p] * t->H,
                                   t->texts + t->chosen[wanted] * t->H,
                                   t->H) >= t->o->similar;
    }
}

/* Rows: the queries of all guidelines, then each one's text and supports. */
static ga_status draw(trainer *t, uint64_t step)
{
    uint64_t chance = chance_of(t, 2, step);
    const size_t most = t->o->queries + t->o->supports;
    choose_guidelines(t, step, &chance);
    const size_t P = t->chosen_count;
    uint32_t **pick = ga__calloc(P, sizeof(*pick));
    ga_status rc = pick ? GA_OK : ga__fail_nomem(t->err, P * sizeof(*pick));
    t->rows = t->queries = 0;
    for (size_t p = 0; p < P && !rc; p++) {
        const ga_links *l = &t->c->guidelines[t->chosen[p]].prompts;
        pick[p] = ga__calloc(l->count, sizeof(**pick));
        if (!pick[p]) {
            rc = ga__fail_nomem(t->err, l->count * sizeof(**pick));
            break;
        }
        for (size_t i = 0; i < l->count; i++)
            pick[p][i] = (uint32_t)i;
        shuffle_some(pick[p], l->count, most, &chance);
        for (size_t i = 0; i < t->o->queries && i < l->count; i++) {
            const ga_link link = l->items[pick[p][i]];
            const ga_corpus_prompt *q = &t->c->prompts[link.at];
            t->wanted[t->queries] = (uint32_t)p;
            t->weight[t->queries] = link.grade == 3 ? 1.0F : 0.7F;
            mask(t, t->queries, &q->guidelines, p);
            add_row(t, &q->tokens);
            t->queries++;
        }
    }
    for (size_t p = 0; p < P && !rc; p++) {
        const ga_corpus_guideline *g = &t->c->guidelines[t->chosen[p]];
        size_t supports = below(&chance, t->o->supports + 1);
        t->prototypes[p].first = add_row(t, &g->text);
        for (size_t i = t->o->queries;
             i < g->prompts.count && i < t->o->queries + supports; i++) {
            uint32_t at = g->prompts.items[pick[p][i]].at;
            if (!asks_for(t, p, &t->c->prompts[at].tokens))
                add_row(t, &t->c->prompts[at].tokens);
        }
        t->prototypes[p].count = (uint32_t)t->rows - t->prototypes[p].first;
    }
    for (size_t p = 0; p < P && pick; p++)
        free(pick[p]);
    free(pick);
    return rc;
}

/* ---- a step ---- */

static double rate_at(const ga_train_options *o, uint64_t step)
{
    const double all = (double)o->steps, up = (double)o->warmup * all;
    const double at = (double)step;
    if (at + 1 <= up)
        return (double)o->rate * (at + 1) / up;
    double left = fmin((all - at) / fmax(all - up, 1), 1);
    return (double)o->rate *
           (o->cosine ? 0.5 * (1 - cos(3.141592653589793 * left)) : left);
}

/* Forward, loss and back; each distinct text goes through the net once. */
static ga_status learn(trainer *t, ga_train_event *event)
{
    const size_t H = t->H;
    uint32_t *number = t->ranking; /* of a row among the distinct ones */
    size_t n = 0;
    for (size_t r = 0; r < t->rows; r++) {
        if (t->source[r] != r)
            continue;
        t->ids[n] = t->row[r]->ids;
        t->lengths[n] = t->row[r]->length;
        event->tokens += t->lengths[n];
        number[r] = (uint32_t)n++;
    }
    const ga_net_batch batch = {t->ids, t->lengths, n};
    ga_status rc = ga__net_forward(t->net, &batch, true, t->unique, t->err);
    if (rc)
        return rc;
    for (size_t r = 0; r < t->rows; r++)
        memcpy(t->z + r * H, t->unique + number[t->source[r]] * H,
               H * sizeof(*t->z));
    const ga_prototype_batch b = {.H = H,
                                  .queries = t->queries,
                                  .prototypes = t->chosen_count,
                                  .z = t->z,
                                  .of = t->prototypes,
                                  .wanted = t->wanted,
                                  .masked = t->masked,
                                  .weight = t->weight,
                                  .text_weight = t->o->text_weight,
                                  .scale = t->o->scale};
    event->loss =
        ga__prototype_loss(t->k, &b, t->scratch, t->dz, &event->right);
    memset(t->dunique, 0, n * H * sizeof(*t->dunique));
    for (size_t r = 0; r < t->rows; r++)
        t->k->axpy(t->dunique + number[t->source[r]] * H, 1.0F, t->dz + r * H,
                   H);
    event->texts = n;
    return ga__net_backward(t->net, t->dunique, t->err);
}

static ga_status train_step(trainer *t, uint64_t step, ga_train_event *event)
{
    ga_adamw a = {.rate = (float)rate_at(t->o, step),
                  .beta1 = 0.9F,
                  .beta2 = 0.999F,
                  .epsilon = 1e-8F,
                  .decay = t->o->decay,
                  .clip = 1};
    ga_status rc = draw(t, step);
    if (!rc)
        rc = learn(t, event);
    if (rc)
        return rc;
    event->rate = (double)a.rate;
    event->norm = ga__net_gradient_norm(t->net);
    if (!isfinite(event->loss) || !isfinite(event->norm))
        return ga__fail(t->err, GA_INVAL,
                        "step %llu: the loss or its gradient is not finite; "
                        "lower the rate",
                        (unsigned long long)event->step);
    if (t->o->clip > 0 && event->norm > (double)t->o->clip)
        a.clip = (float)((double)t->o->clip / (event->norm + 1e-6));
    ga__net_step(t->net, &a);
    return GA_OK;
}

/* ---- measuring ---- */

/* Vectors [n, H] of n texts, in chunks. */
static ga_status encode(trainer *t, const ga_tokens *const *texts, size_t n,
                        float *out)
{
    ga_status rc = GA_OK;
    for (size_t first = 0, count; first < n && !rc; first += count) {
        size_t tokens = 0;
        for (count = 0; first + count < n && tokens < ENCODE_TOKENS; count++) {
            t->ids[count] = texts[first + count]->ids;
            t->lengths[count] = texts[first + count]->length;
            tokens += t->lengths[count];
        }
        const ga_net_batch batch = {t->ids, t->lengths, count};
        rc = ga__net_forward(t->net, &batch, false, out + first * t->H, t->err);
    }
    return rc;
}

/* Triggers of a guideline that it is measured with, evenly spread. */
static size_t measured_triggers(const trainer *t, size_t g)
{
    size_t n = t->c->guidelines[g].triggers;
    return n < t->o->triggers ? n : t->o->triggers;
}

static ga_status measure_prototypes(trainer *t)
{
    size_t n = 0;
    for (size_t g = 0; g < t->G; g++)
        n += 1 + measured_triggers(t, g);
    const ga_tokens **texts = ga__calloc(n, sizeof(*texts));
    float *z = ga__calloc(n, t->H * sizeof(*z));
    ga_status rc =
        texts && z ? GA_OK : ga__fail_nomem(t->err, n * t->H * sizeof(*z));
    n = 0;
    for (size_t g = 0; g < t->G && !rc; g++) {
        const ga_corpus_guideline *q = &t->c->guidelines[g];
        const size_t m = measured_triggers(t, g);
        texts[n++] = &q->text;
        for (size_t i = 0; i < m; i++)
            texts[n++] =
                &t->c->prompts[q->prompts.items[i * q->triggers / m].at].tokens;
    }
    if (!rc)
        rc = encode(t, texts, n, z);
    n = 0;
    for (size_t g = 0; g < t->G && !rc; g++) {
        const size_t count = 1 + measured_triggers(t, g);
        ga__prototype_of(z + n * t->H, count, t->H, t->o->text_weight,
                         t->bank + g * t->H);
        memcpy(t->texts + g * t->H, z + n * t->H, t->H * sizeof(*z));
        n += count;
    }
    t->has_bank = !rc;
    free(z);
    free(texts);
    return rc;
}

static void measure_prompt(trainer *t, const ga_corpus_prompt *p,
                           const float *z, const float *vectors,
                           ga_metrics *out)
{
    memset(t->grade, 0, t->G);
    for (size_t i = 0; i < p->guidelines.count; i++)
        t->grade[p->guidelines.items[i].at] = p->guidelines.items[i].grade;
    t->k->dot_rows(t->scores, vectors, t->G, z, t->H);
    ga__index_top(t->scores, t->G, t->G, NULL, NULL, t->ranking);
    ga__metrics_add(out, t->ranking, t->grade, t->G, t->o->k);
}

static double likeness(const trainer *t, const float *z, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i + 1 < n; i++)
        sum += (double)t->k->dot(z + i * t->H, z + (i + 1) * t->H, t->H);
    return n > 1 ? sum / (double)(n - 1) : 0;
}

static ga_status measure(trainer *t, ga_train_measure *out)
{
    const size_t n = t->c->dev_count;
    const ga_tokens **texts = ga__calloc(n, sizeof(*texts));
    float *z = ga__calloc(n, t->H * sizeof(*z));
    ga_status rc =
        texts && z ? GA_OK : ga__fail_nomem(t->err, n * t->H * sizeof(*z));
    *out = (ga_train_measure){.likeness = 0};
    if (!rc)
        rc = measure_prototypes(t);
    for (size_t i = 0; i < n && !rc; i++)
        texts[i] = &t->c->dev[i].tokens;
    if (!rc)
        rc = encode(t, texts, n, z);
    for (size_t i = 0; i < n && !rc; i++) {
        measure_prompt(t, &t->c->dev[i], z + i * t->H, t->bank,
                       &out->with_triggers);
        measure_prompt(t, &t->c->dev[i], z + i * t->H, t->texts, &out->by_text);
    }
    if (!rc)
        out->likeness = likeness(t, z, n);
    ga__metrics_finish(&out->with_triggers);
    ga__metrics_finish(&out->by_text);
    free(z);
    free(texts);
    return rc;
}

/* ---- all steps ---- */

static void keep_best(trainer *t)
{
    ga__net_settle(t->net);
    memcpy(t->best, ga__net_values(t->net), t->parameters * sizeof(*t->best));
}

static void restore_best(trainer *t)
{
    ga__net_settle(t->net);
    if (t->best_ndcg < 0)
        return;
    memcpy(ga__net_values(t->net), t->best, t->parameters * sizeof(*t->best));
    ga__net_repack(t->net);
}

static bool measures(const trainer *t, uint64_t step)
{
    const ga_train_options *o = t->o;
    return o->measure_every > 0 && t->c->dev_count > 0 &&
           (step % o->measure_every == 0 || step == o->steps);
}

static ga_status measure_step(trainer *t, ga_train_event *event,
                              ga_train_measure *m)
{
    ga_status rc = measure(t, m);
    if (rc)
        return rc;
    event->measure = m;
    event->best =
        m->with_triggers.prompts > 0 && m->with_triggers.ndcg > t->best_ndcg;
    t->worse = event->best ? 0 : t->worse + (m->with_triggers.prompts > 0);
    if (event->best) {
        t->best_ndcg = m->with_triggers.ndcg;
        keep_best(t);
    }
    return GA_OK;
}

/* ---- checkpoints ---- */

static void hash_numbers(ga_sha256 *sha, const double *numbers, size_t n)
{
    ga__sha256_update(sha, numbers, n * sizeof(*numbers));
}

static void hash_tokens(ga_sha256 *sha, const ga_tokens *t)
{
    hash_numbers(sha, &(double){(double)t->length}, 1);
    ga__sha256_update(sha, t->ids, t->length * sizeof(*t->ids));
}

static void hash_prompts(ga_sha256 *sha, const ga_corpus_prompt *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        hash_tokens(sha, &p[i].tokens);
        for (size_t k = 0; k < p[i].guidelines.count; k++) {
            const ga_link *l = &p[i].guidelines.items[k];
            hash_numbers(sha, (double[]){l->at, l->grade}, 2);
        }
    }
}

/* What training depends on beside the net: another number, another training. */
static uint64_t version_of(const trainer *t)
{
    const ga_train_options *o = t->o;
    const ga_net_options *n = ga__net_options(t->net);
    const double numbers[] = {
        (double)o->steps,  o->guidelines,      o->neighbours,
        o->queries,        o->supports,        (double)o->text_weight,
        (double)o->scale,  (double)o->similar, (double)o->rate,
        (double)o->warmup, o->cosine,          (double)o->decay,
        (double)o->clip,   (double)o->seed,    (double)o->measure_every,
        o->patience,       o->triggers,        o->k,
        n->type,           (double)n->frozen,  (double)n->dropout,
        (double)n->seed};
    uint8_t digest[32];
    uint64_t version;
    ga_sha256 sha;
    ga__sha256_init(&sha);
    hash_numbers(&sha, numbers, sizeof(numbers) / sizeof(*numbers));
    ga__sha256_update(&sha, t->k->name, strlen(t->k->name));
    for (size_t g = 0; g < t->G; g++) {
        hash_tokens(&sha, &t->c->guidelines[g].text);
        hash_numbers(&sha, &(double){t->c->guidelines[g].trains}, 1);
    }
    hash_prompts(&sha, t->c->prompts, t->c->prompt_count);
    hash_prompts(&sha, t->c->dev, t->c->dev_count);
    ga__sha256_final(&sha, digest);
    memcpy(&version, digest, sizeof(version));
    return version;
}

static ga_status checkpoint(trainer *t, uint64_t *step, bool resume)
{
    float *const arrays[] = {t->bank, t->texts, t->best};
    const size_t sizes[] = {t->G * t->H, t->G * t->H, t->parameters};
    ga_net_state s = {.version = version_of(t),
                      .step = *step,
                      .best = t->best_ndcg,
                      .worse = t->worse,
                      .arrays = arrays,
                      .sizes = sizes,
                      .array_count = sizeof(arrays) / sizeof(*arrays)};
    if (!resume)
        return ga__net_checkpoint(t->net, &s, t->o->checkpoint, t->err);
    ga_status rc = ga__net_resume(t->net, &s, t->o->checkpoint, t->err);
    if (rc)
        return rc;
    *step = s.step;
    t->best_ndcg = s.best;
    t->worse = (unsigned)s.worse;
    t->has_bank = true; /* made in front of the first step */
    return GA_OK;
}

/* The step to begin with. */
static ga_status begin(trainer *t, uint64_t *step)
{
    *step = 0;
    if (!t->o->checkpoint)
        return GA_OK;
    ga_status rc = checkpoint(t, step, true);
    if (rc == GA_NOTFOUND)
        return GA_OK;
    ++*step;
    return rc;
}

static ga_status
run_steps(trainer *t, bool (*report)(void *arg, const ga_train_event *event),
          void *arg)
{
    const ga_train_options *o = t->o;
    uint64_t step;
    bool more = true;
    ga_status rc = begin(t, &step);
    for (; step <= o->steps && !rc && more; step++) {
        ga_train_event event = {.step = step};
        ga_train_measure m;
        double start = ga__now_s();
        if (step > 0)
            rc = train_step(t, step - 1, &event);
        event.seconds = ga__now_s() - start;
        if (!rc && measures(t, step))
            rc = measure_step(t, &event, &m);
        else if (!rc && step % REFRESH == 0)
            rc = measure_prototypes(t); /* neighbours are found by them */
        if (!rc && o->checkpoint && step > 0 &&
            step % o->checkpoint_every == 0 && step < o->steps)
            rc = checkpoint(t, &step, false);
        more = !rc && (!report || report(arg, &event)) &&
               (o->patience == 0 || t->worse < o->patience);
    }
    if (!rc)
        restore_best(t);
    return rc;
}

static ga_status check_options(const ga_train_options *o, ga_error *err)
{
    if (o->guidelines < 2)
        return ga__fail(err, GA_INVAL,
                        "%u guidelines a step: there must be two to tell apart",
                        o->guidelines);
    if (o->queries == 0)
        return ga__fail(err, GA_INVAL, "no queries of a guideline");
    if (o->checkpoint && o->checkpoint_every == 0)
        return ga__fail(err, GA_INVAL, "a checkpoint every 0 steps");
    if (!(o->scale > 0 && isfinite(o->scale)) ||
        !(o->rate > 0 && isfinite(o->rate)) ||
        !(o->text_weight > 0 && isfinite(o->text_weight)) || !(o->decay >= 0) ||
        !((double)o->rate * (double)o->decay < 1))
        return ga__fail(err, GA_INVAL,
                        "scale, rate and text weight must be above 0, decay "
                        "not below, and rate times decay below 1");
    return GA_OK;
}

static ga_status make_room(trainer *t)
{
    const size_t P = t->o->guidelines, H = t->H, G = t->G;
    const size_t rows = P * (1 + t->o->queries + t->o->supports);
    const size_t queries = P * t->o->queries;
    const size_t chunk = rows > ENCODE_TOKENS ? rows : ENCODE_TOKENS;
    const ga_prototype_batch most = {.H = H, .prototypes = P};
    const struct {
        void *out;
        size_t n, size;
    } wanted[] = {
        {&t->order, G, sizeof(uint32_t)},
        {&t->bank, G, H * sizeof(float)},
        {&t->texts, G, H * sizeof(float)},
        {&t->chosen, P, sizeof(uint32_t)},
        {&t->row, rows, sizeof(*t->row)},
        {&t->source, rows, sizeof(uint32_t)},
        {&t->prototypes, P, sizeof(ga_prototype)},
        {&t->wanted, queries, sizeof(uint32_t)},
        {&t->masked, queries, P * sizeof(bool)},
        {&t->weight, queries, sizeof(float)},
        {&t->z, rows, H * sizeof(float)},
        {&t->dz, rows, H * sizeof(float)},
        {&t->unique, rows, H * sizeof(float)},
        {&t->dunique, rows, H * sizeof(float)},
        {&t->scratch, ga__prototype_scratch(&most), sizeof(float)},
        {&t->ids, chunk, sizeof(*t->ids)},
        {&t->lengths, chunk, sizeof(size_t)},
        {&t->ranking, G > rows ? G : rows, sizeof(uint32_t)},
        {&t->grade, G, 1},
        {&t->scores, G, sizeof(float)},
        {&t->best, t->parameters, sizeof(float)},
    };
    for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++) {
        void *at = ga__calloc(wanted[i].n, wanted[i].size);
        if (!at)
            return ga__fail_nomem(t->err, wanted[i].n * wanted[i].size);
        memcpy(wanted[i].out, &at, sizeof(at));
    }
    return GA_OK;
}

static void free_room(trainer *t)
{
    free(t->order);
    free(t->bank);
    free(t->texts);
    free(t->chosen);
    free(t->row);
    free(t->source);
    free(t->prototypes);
    free(t->wanted);
    free(t->masked);
    free(t->weight);
    free(t->z);
    free(t->dz);
    free(t->unique);
    free(t->dunique);
    free(t->scratch);
    free(t->ids);
    free(t->lengths);
    free(t->ranking);
    free(t->grade);
    free(t->scores);
    free(t->best);
}

ga_status ga__train(ga_net *net, const ga_corpus *corpus,
                    const ga_train_options *options,
                    bool (*report)(void *arg, const ga_train_event *event),
                    void *arg, ga_error *err)
{
    trainer t = {.net = net,
                 .c = corpus,
                 .o = options,
                 .k = ga__kernels(),
                 .H = ga_encoder_dim(ga__net_encoder(net)),
                 .G = corpus->guideline_count,
                 .epoch = UINT64_MAX,
                 .best_ndcg = -1,
                 .err = err};
    size_t count = 0;
    const ga_parameter *q = ga__net_parameters(net, &count);
    t.parameters = q[count - 1].at + q[count - 1].count;
    ga_status rc = check_options(options, err);
    for (size_t g = 0; g < t.G; g++)
        t.learning += corpus->guidelines[g].trains &&
                      corpus->guidelines[g].prompts.count > 0;
    if (!rc && t.learning < 2)
        rc = ga__fail(err, GA_INVAL,
                      "%zu guidelines with prompts to train on: there must be "
                      "two to tell apart",
                      t.learning);
    if (!rc)
        rc = make_room(&t);
    if (!rc)
        rc = run_steps(&t, report, arg);
    free_room(&t);
    return rc;
}
