/* test_trainer.c: the prototype loss against finite differences, what a step
 * draws, and a training that is interrupted. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tiny_bert.h"
#include "train/corpus.h"
#include "train/delta.h"
#include "train/prototype.h"
#include "train/save.h"
#include "train/trainer.h"

/* ---- the loss ---- */

enum { H = 5, QUERIES = 3, PROTOTYPES = 3, ROWS = 3 + 1 + 3 + 2 };

static const ga_prototype prototypes[PROTOTYPES] = {{3, 1}, {4, 3}, {7, 2}};
static const uint32_t wanted[QUERIES] = {1, 0, 2};
static const float weight[QUERIES] = {1, 0.7F, 0.5F};

static ga_prototype_batch loss_batch(const float *z, const bool *masked)
{
    return (ga_prototype_batch){.H = H,
                                .queries = QUERIES,
                                .prototypes = PROTOTYPES,
                                .z = z,
                                .of = prototypes,
                                .wanted = wanted,
                                .masked = masked,
                                .weight = weight,
                                .text_weight = 2,
                                .scale = 3};
}

static void fill(float *z)
{
    uint32_t state = 5;
    for (size_t i = 0; i < ROWS * H; i++) {
        state = state * 1664525u + 1013904223u;
        z[i] = (float)(state >> 8) / 8388608.0F - 1.0F;
    }
}

static void test_loss(void **state)
{
    const ga_kernels *k = ga__kernels();
    bool masked[QUERIES * PROTOTYPES] = {false};
    float z[ROWS * H], dz[ROWS * H], other[ROWS * H];
    double right;
    (void)state;
    fill(z);
    masked[0] = true;                  /* query 0 needs prototype 0, too */
    masked[1 * PROTOTYPES + 0] = true; /* its own: of no effect */
    const ga_prototype_batch b = loss_batch(z, masked);
    float *scratch = calloc(ga__prototype_scratch(&b), sizeof(*scratch));
    ga__prototype_loss(k, &b, scratch, dz, &right);
    for (size_t i = 0; i < ROWS * H; i++) {
        const float step = 1e-2F, old = z[i];
        double loss[2];
        for (int side = 0; side < 2; side++) {
            z[i] = old + (side ? step : -step);
            loss[side] = ga__prototype_loss(k, &b, scratch, other, &right);
        }
        z[i] = old;
        double slope = (loss[1] - loss[0]) / (2 * (double)step);
        if (!(fabs(slope - (double)dz[i]) < 1e-3))
            fail_msg("row %zu: %.6g, the loss changes by %.6g", i / H,
                     (double)dz[i], slope);
    }
    free(scratch);
}

/* A masked prototype is no wrong answer, wherever it lies. */
static void test_mask(void **state)
{
    const ga_kernels *k = ga__kernels();
    bool masked[QUERIES * PROTOTYPES] = {false};
    float z[ROWS * H], dz[ROWS * H];
    double right, before, after;
    (void)state;
    fill(z);
    for (size_t h = 0; h < H; h++)
        z[3 * H + h] = z[h]; /* prototype 0 is where query 0 is */
    const ga_prototype_batch b = loss_batch(z, masked);
    float *scratch = calloc(ga__prototype_scratch(&b), sizeof(*scratch));
    before = ga__prototype_loss(k, &b, scratch, dz, &right);
    masked[0] = true;
    after = ga__prototype_loss(k, &b, scratch, dz, &right);
    assert_true(after < before - 0.1);
    /* all others masked: nothing is left to be wrong */
    for (size_t i = 0; i < QUERIES * PROTOTYPES; i++)
        masked[i] = true;
    assert_true(fabs(ga__prototype_loss(k, &b, scratch, dz, &right)) < 1e-9);
    assert_true(right == 1);
    free(scratch);
}

/* ---- training ---- */

static ga_str str(const char *s)
{
    return ga__str(s);
}

typedef struct {
    char dir[64], path[96];
    ga_pool *pool;
    ga_net *net;
    ga_corpus corpus;
    ga_guideline guidelines[4];
    ga_pair pairs[6];
    ga_str strings[64];
    size_t used;
    uint8_t grades[6][2];
} fixture;

static ga_str_list list(fixture *f, const char *a, const char *b, const char *c)
{
    const char *const all[] = {a, b, c};
    ga_str *first = f->strings + f->used;
    size_t n = 0;
    for (; n < 3 && all[n]; n++)
        first[n] = str(all[n]);
    f->used += n;
    return (ga_str_list){first, n};
}

static void guideline(fixture *f, size_t g, const char *id, const char *text,
                      ga_str_list triggers)
{
    f->guidelines[g] =
        (ga_guideline){.id = str(id), .title = str("cat"), .text = str(text)};
    f->guidelines[g].triggers = triggers;
}

static void pair(fixture *f, size_t i, const char *prompt, const char *split,
                 ga_str_list positives, ga_str_list negatives)
{
    f->grades[i][0] = 3;
    f->grades[i][1] = 1;
    f->pairs[i] = (ga_pair){.prompt = str(prompt),
                            .positives = positives,
                            .grades = f->grades[i],
                            .negatives = negatives,
                            .split = str(split),
                            .file = "pairs",
                            .line = i + 1};
}

static void make_corpus(fixture *f, const char *held_out)
{
    const ga_str held[] = {str(held_out ? held_out : "")};
    guideline(f, 0, "run", "we run over the mat.",
              list(f, "i run", "you run fox", "run run"));
    guideline(f, 1, "sit", "the cat sat on the mat.",
              list(f, "cat sat", "dog sat on", "a mat"));
    guideline(f, 2, "jump", "the fox jumps over!",
              list(f, "jump", "fox jump", NULL));
    guideline(f, 3, "count", "is it 1 or 2?", list(f, "1 2", "b c", NULL));
    pair(f, 0, "we run to you", "train", list(f, "run", "sit", NULL),
         list(f, "jump", "no-such-guideline", NULL));
    pair(f, 1, "sat on it", "train", list(f, "sit", NULL, NULL),
         list(f, NULL, NULL, NULL));
    pair(f, 2, "2 1 2", "", list(f, "count", NULL, NULL),
         list(f, NULL, NULL, NULL));
    pair(f, 3, "the lazy fox", "dev", list(f, "jump", NULL, NULL),
         list(f, NULL, NULL, NULL));
    pair(f, 4, "you sat", "dev", list(f, "sit", NULL, NULL),
         list(f, NULL, NULL, NULL));
    pair(f, 5, "brown dog", "test", list(f, "sit", NULL, NULL),
         list(f, NULL, NULL, NULL));
    ga_pair_set set = {f->pairs, 6, 6, GA_ARENA_INIT};
    const ga_corpus_input in = {.guidelines = f->guidelines,
                                .guideline_count = 4,
                                .pairs = &set,
                                .held_out = held,
                                .held_out_count = held_out != NULL,
                                .dev_split = "dev",
                                .max_tokens = 7};
    ga_error err = {""};
    if (ga__corpus_make(&in, ga__net_encoder(f->net), &f->corpus, &err))
        fail_msg("%s", err.msg);
}

static void open_fixture(fixture *f, unsigned threads, const char *held_out)
{
    ga_error err = {""};
    *f = (fixture){.used = 0};
    tiny_folder(&(tiny_options){0}, f->dir);
    snprintf(f->path, sizeof(f->path), "%s/checkpoint", f->dir);
    assert_int_equal(ga__pool_new(threads, &f->pool, NULL), GA_OK);
    if (ga__net_open(f->dir, &(ga_net_options){.dropout = 0.1F, .seed = 4},
                     f->pool, &f->net, &err))
        fail_msg("%s", err.msg);
    make_corpus(f, held_out);
}

static void close_fixture(fixture *f)
{
    ga__corpus_free(&f->corpus);
    ga__net_close(f->net);
    ga__pool_free(f->pool);
    remove(f->path);
    tiny_remove(f->dir);
}

static void test_corpus(void **state)
{
    fixture f;
    (void)state;
    open_fixture(&f, 1, "count");
    const ga_corpus *c = &f.corpus;
    assert_int_equal(c->guideline_count, 4);
    assert_int_equal(c->dev_count, 2);
    /* ten triggers and two pairs: that of a held-out guideline is left out */
    assert_int_equal(c->prompt_count, 12);
    assert_true(c->guidelines[0].trains);
    assert_false(c->guidelines[3].trains);
    assert_int_equal(c->guidelines[0].prompts.count, 4);
    assert_int_equal(c->guidelines[0].triggers, 3);
    assert_int_equal(c->guidelines[1].prompts.count, 4); /* not the grade 1 */
    const ga_corpus_prompt *p = &c->prompts[10];
    assert_int_equal(p->guidelines.count, 3); /* one is not in the library */
    assert_int_equal(p->guidelines.items[0].at, 0);
    assert_int_equal(p->guidelines.items[0].grade, 3);
    assert_int_equal(p->guidelines.items[1].at, 1);
    assert_int_equal(p->guidelines.items[1].grade, 1);
    assert_int_equal(p->guidelines.items[2].at, 2);
    assert_int_equal(p->guidelines.items[2].grade, 0);
    for (size_t g = 0; g < 4; g++) {
        const ga_tokens *t = &c->guidelines[g].text;
        assert_true(t->length <= 7);
        assert_int_equal(t->ids[0], 2); /* [CLS], and cut or not [SEP] */
        assert_int_equal(t->ids[t->length - 1], 3);
    }
    close_fixture(&f);
}

enum { STEPS = 32 };

static ga_train_options short_training(void)
{
    ga_train_options o;
    ga__train_options_init(&o);
    o.steps = STEPS;
    o.guidelines = 4;
    o.similar = 2; /* a model this small finds all alike */
    o.rate = 5e-3F;
    o.measure_every = 5;
    o.k = 2;
    return o;
}

typedef struct {
    uint64_t stop; /* after this step */
    uint64_t last;
    size_t calls;
    double half[2]; /* losses, summed up */
} watched;

static bool watch(void *arg, const ga_train_event *e)
{
    watched *w = arg;
    w->calls++;
    w->last = e->step;
    w->half[e->step > STEPS / 2] += e->loss;
    assert_true(e->step == 0 || (e->texts > 4 && e->tokens > e->texts));
    assert_true((e->measure != NULL) == (e->step % 5 == 0 || e->step == STEPS));
    return w->stop == 0 || e->step < w->stop;
}

static void run(fixture *f, const ga_train_options *o, watched *w)
{
    ga_error err = {""};
    if (ga__train(f->net, &f->corpus, o, watch, w, &err))
        fail_msg("%s", err.msg);
}

static size_t parameters(const fixture *f)
{
    size_t count;
    const ga_parameter *q = ga__net_parameters(f->net, &count);
    return q[count - 1].at + q[count - 1].count;
}

static void test_trains(void **state)
{
    const ga_train_options o = short_training();
    fixture one, other;
    watched w = {0}, v = {0};
    (void)state;
    open_fixture(&one, 1, NULL);
    run(&one, &o, &w);
    assert_int_equal(w.calls, STEPS + 1);
    assert_true(w.half[1] < 0.9 * w.half[0]);
    open_fixture(&other, 3, NULL);
    run(&other, &o, &v);
    assert_memory_equal(ga__net_values(one.net), ga__net_values(other.net),
                        parameters(&one) * sizeof(float));
    close_fixture(&one);
    close_fixture(&other);
}

/* Stopped behind a checkpoint and started again: the same bits. */
static void test_resumes(void **state)
{
    ga_train_options o = short_training();
    fixture whole, broken, again;
    watched w = {0}, stopped = {.stop = 25}, v = {0};
    ga_error err = {""};
    (void)state;
    o.checkpoint_every = 10;
    open_fixture(&whole, 1, NULL);
    run(&whole, &o, &w);
    open_fixture(&broken, 2, NULL);
    o.checkpoint = broken.path;
    run(&broken, &o, &stopped);
    open_fixture(&again, 1, NULL);
    run(&again, &o, &v);
    assert_int_equal(v.calls, 12); /* steps 21 to 32 */
    assert_memory_equal(ga__net_values(whole.net), ga__net_values(again.net),
                        parameters(&whole) * sizeof(float));
    /* other options: another training */
    o.rate = 1e-3F;
    assert_int_equal(ga__train(again.net, &again.corpus, &o, NULL, NULL, &err),
                     GA_FORMAT);
    assert_non_null(strstr(err.msg, "other options"));
    /* a damaged one */
    o.rate = 5e-3F;
    FILE *file = fopen(broken.path, "r+b");
    assert_non_null(file);
    fseek(file, -100, SEEK_END);
    fputc(7, file);
    fputc(9, file);
    fclose(file);
    assert_int_equal(ga__train(again.net, &again.corpus, &o, NULL, NULL, &err),
                     GA_FORMAT);
    assert_non_null(strstr(err.msg, "damaged"));
    close_fixture(&whole);
    close_fixture(&broken);
    close_fixture(&again);
}

/* What was saved is what was trained. */
static void test_saves(void **state)
{
    ga_train_options o = short_training();
    char to[96];
    fixture f;
    ga_net *net;
    (void)state;
    o.measure_every = 0;
    open_fixture(&f, 1, NULL);
    ga_error err = {""};
    assert_int_equal(ga__train(f.net, &f.corpus, &o, NULL, NULL, &err), GA_OK);
    snprintf(to, sizeof(to), "%s-saved", f.dir);
    if (ga__net_save(f.net, f.dir, to, &err))
        fail_msg("%s", err.msg);
    assert_int_equal(ga__net_open(to, &(ga_net_options){0}, f.pool, &net, &err),
                     GA_OK);
    assert_memory_equal(ga__net_values(f.net), ga__net_values(net),
                        parameters(&f) * sizeof(float));
    ga__net_close(net);
    tiny_remove(to);
    assert_int_equal(ga__net_save(f.net, f.dir, "/no/such/folder", &err),
                     GA_IO);
    close_fixture(&f);
}

/* What changed, in 8 bits, added to the model it was trained from: near what
 * was trained, and vectors exactly it. */
static void test_delta(void **state)
{
    ga_train_options o = short_training();
    fixture f, g;
    ga_error err = {""};
    size_t count, changed = 0;
    (void)state;
    o.measure_every = 0;
    open_fixture(&f, 1, NULL);
    open_fixture(&g, 1, NULL);
    assert_int_equal(ga__train(f.net, &f.corpus, &o, NULL, NULL, &err), GA_OK);
    if (ga__delta_write(f.net, ga__net_values(g.net), f.path, &err))
        fail_msg("%s", err.msg);
    const size_t n = parameters(&f);
    float *before = malloc(n * sizeof(*before));
    memcpy(before, ga__net_values(g.net), n * sizeof(*before));
    if (ga__delta_apply(g.net, f.path, &err))
        fail_msg("%s", err.msg);
    const ga_parameter *p = ga__net_parameters(f.net, &count);
    for (size_t i = 0; i < count; i++) {
        float most = 0;
        for (size_t k = p[i].at; k < p[i].at + p[i].count; k++)
            most = fmaxf(most, fabsf(ga__net_values(f.net)[k] - before[k]));
        for (size_t k = p[i].at; k < p[i].at + p[i].count; k++) {
            float off =
                fabsf(ga__net_values(f.net)[k] - ga__net_values(g.net)[k]);
            assert_true(off <= (p[i].columns ? most / 250 : 1e-7F) + 1e-8F);
        }
        changed += most > 0;
    }
    assert_true(changed > 20);
    /* no file, and one whose tensors are not this model's */
    assert_int_equal(ga__delta_apply(g.net, "/no/such/file", &err),
                     GA_NOTFOUND);
    char weights[128];
    memcpy(before, ga__net_values(g.net), n * sizeof(*before));
    tiny_remove(g.dir);
    tiny_folder(&(tiny_options){0}, g.dir);
    snprintf(weights, sizeof(weights), "%s/model.safetensors", g.dir);
    assert_int_equal(ga__delta_apply(g.net, weights, &err), GA_FORMAT);
    assert_non_null(strstr(err.msg, "does not belong to this model"));
    assert_memory_equal(ga__net_values(g.net), before, n * sizeof(*before));
    free(before);
    close_fixture(&f);
    close_fixture(&g);
}

static void test_refuses(void **state)
{
    static const struct {
        size_t offset;
        const char *message;
    } cases[] = {
        {offsetof(ga_train_options, guidelines), "two to tell apart"},
        {offsetof(ga_train_options, queries), "no queries"},
    };
    fixture f;
    ga_error err = {""};
    (void)state;
    open_fixture(&f, 1, NULL);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        ga_train_options o = short_training();
        memset((char *)&o + cases[i].offset, 0, sizeof(unsigned));
        assert_int_equal(ga__train(f.net, &f.corpus, &o, NULL, NULL, &err),
                         GA_INVAL);
        assert_non_null(strstr(err.msg, cases[i].message));
    }
    ga_train_options o = short_training();
    o.rate = NAN;
    assert_int_equal(ga__train(f.net, &f.corpus, &o, NULL, NULL, &err),
                     GA_INVAL);
    close_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loss),    cmocka_unit_test(test_mask),
        cmocka_unit_test(test_corpus),  cmocka_unit_test(test_trains),
        cmocka_unit_test(test_resumes), cmocka_unit_test(test_saves),
        cmocka_unit_test(test_delta),   cmocka_unit_test(test_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
