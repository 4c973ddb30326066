/* test_net.c: the net against PyTorch, against finite differences, and against
 * itself with other threads and other kernels. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "emulate_bf16.h"
#include "tensor/kernels_internal.h"
#include "golden.h"
#include "tiny_bert.h"
#include "train/net_internal.h"

#define GOLDEN GA_SOURCE_DIR "/tests/golden/gradients.json"

enum { TEXTS = 6, H = TINY_HIDDEN, MOST = 64 };

static const char *const sentences[TEXTS] = {
    "",
    "the cat sat on the mat.",
    "A quick brown fox jumps over the lazy dogs!",
    "zzz",
    "is it 1 or 2? we run, you run, i run",
    "the cat and the dog the cat and the dog the cat and the dog the cat and "
    "the dog the cat and the dog the cat and the dog the cat and the dog the "
    "cat and the dog the cat and the dog the cat and the dog the cat and the "
    "dog the cat and the dog ",
};

typedef struct {
    ga_pool *pool;
    ga_net *net;
    uint32_t ids[TEXTS][MOST];
    const uint32_t *rows[TEXTS];
    size_t lengths[TEXTS];
    ga_net_batch batch;
    float out[TEXTS * H], dout[TEXTS * H];
} fixture;

static void open_net(fixture *f, const ga_net_options *options,
                     unsigned threads, const char *pooling)
{
    char dir[64];
    ga_scratch *s;
    ga_error err = {""};
    *f = (fixture){0};
    tiny_folder(&(tiny_options){.pooling = pooling,
                                .modules = pooling
                                               ? "[{\"idx\":0,\"name\":\"0\","
                                                 "\"path\":\"1_Pooling\","
                                                 "\"type\":\"sentence_"
                                                 "transformers.models."
                                                 "Pooling\"}]"
                                               : NULL},
                dir);
    assert_int_equal(ga__pool_new(threads, &f->pool, NULL), GA_OK);
    if (ga__net_open(dir, options, f->pool, &f->net, &err))
        fail_msg("%s", err.msg);
    tiny_remove(dir);
    assert_int_equal(ga_scratch_new(1, &s, NULL), GA_OK);
    for (size_t i = 0; i < TEXTS; i++) {
        assert_int_equal(ga_encoder_tokenize(ga__net_encoder(f->net), s,
                                             ga__str(sentences[i]), f->ids[i],
                                             MOST, &f->lengths[i], NULL),
                         GA_OK);
        f->rows[i] = f->ids[i];
        for (size_t h = 0; h < H; h++)
            f->dout[i * H + h] = (float)sin((double)(1 + 24 * i + h));
    }
    f->batch = (ga_net_batch){f->rows, f->lengths, TEXTS};
    ga_scratch_free(s);
}

static void close_net(fixture *f)
{
    ga__net_close(f->net);
    ga__pool_free(f->pool);
}

static double loss_of(fixture *f, bool learn)
{
    double sum = 0;
    assert_int_equal(ga__net_forward(f->net, &f->batch, learn, f->out, NULL),
                     GA_OK);
    for (size_t i = 0; i < TEXTS * H; i++)
        sum += (double)f->out[i] * (double)f->dout[i];
    return sum;
}

static void learn(fixture *f)
{
    loss_of(f, true);
    assert_int_equal(ga__net_backward(f->net, f->dout, NULL), GA_OK);
}

/* ---- PyTorch ---- */

/* Every tensor's numbers are those of the golden file, off by at most `share`
 * of its largest and a little. */
static void check_tensors(const golden *g, const char *key, const fixture *f,
                          const float *got, double share, double little)
{
    const ga_json *doc = &g->doc;
    size_t count, seen = 0;
    const ga_parameter *q = ga__net_parameters(f->net, &count);
    for (size_t i = 0; i < count; i++) {
        uint32_t list = ga__json_get(doc, ga__json_get(doc, 0, key), q[i].name);
        double most = 0, wanted;
        size_t n = 0;
        assert_int_equal(doc->nodes[list].count, q[i].count);
        for (uint32_t v = ga__json_first(list); v < doc->nodes[list].next;
             v = ga__json_next(doc, v)) {
            assert_true(ga__json_double(doc, v, &wanted));
            most = fmax(most, fabs(wanted));
        }
        for (uint32_t v = ga__json_first(list); v < doc->nodes[list].next;
             v = ga__json_next(doc, v), n++, seen++) {
            assert_true(ga__json_double(doc, v, &wanted));
            double x = (double)got[q[i].at + n];
            if (!(fabs(x - wanted) <= share * most + little))
                fail_msg("%s, %s[%zu]: %.7g instead of %.7g (largest %.7g)",
                         key, q[i].name, n, x, wanted, most);
        }
    }
    assert_int_equal(seen, f->net->count);
}

static void check_golden(const golden *g, const ga_kernels *k, ga_number type)
{
    const double share = type == GA_F32 ? 2e-5 : 0.04;
    double wanted;
    fixture f;
    open_net(&f, &(ga_net_options){.type = type, .kernels = k}, 2, NULL);
    assert_true(
        ga__json_double(&g->doc, ga__json_get(&g->doc, 0, "loss"), &wanted));
    assert_true(fabs(loss_of(&f, false) - wanted) <
                (type == GA_F32 ? 1e-5 : 0.03));
    learn(&f);
    check_tensors(g, "gradients", &f, ga__net_gradients(f.net), share, 2e-6);
    learn(&f); /* gradients add up */
    for (size_t i = 0; i < f.net->count; i++)
        f.net->gradient[i] /= 2;
    check_tensors(g, "gradients", &f, ga__net_gradients(f.net), share, 2e-6);
    memset(f.net->gradient, 0, f.net->count * sizeof(float));
    for (int step = 0; step < 3; step++) {
        ga_adamw a = {.rate = 1e-3F,
                      .beta1 = 0.9F,
                      .beta2 = 0.999F,
                      .epsilon = 1e-8F,
                      .decay = 0.01F,
                      .clip = 1};
        learn(&f);
        double norm = ga__net_gradient_norm(f.net);
        a.clip = (float)fmin(1, 1 / (norm + 1e-6));
        ga__net_step(f.net, &a);
    }
    ga__net_settle(f.net);
    /* the first steps of AdamW go by the sign of a gradient, even where it is
     * nothing but rounding */
    if (type == GA_F32)
        check_tensors(g, "after", &f, ga__net_values(f.net), 2e-5, 5e-4);
    close_net(&f);
}

static void test_golden(void **state)
{
    golden g;
    (void)state;
    golden_open(&g, GOLDEN);
    for (const char *const *name = ga__kernels_names; *name; name++) {
        const ga_kernels *k = ga__kernels_named(*name);
        if (!k && strcmp(*name, "avx512bf16") == 0 && emulate_bf16())
            k = &ga__kernels_avx512bf16;
        if (!k)
            continue;
        check_golden(&g, k, GA_F32);
        check_golden(&g, k, GA_BF16);
    }
    golden_close(&g);
}

/* ---- finite differences ---- */

/* Some numbers of every tensor, with dropout and both ways of pooling: the loss
 * a little to either side. */
static void check_differences(float dropout, const char *pooling)
{
    const float step = 1e-2F;
    fixture f;
    size_t count;
    open_net(&f, &(ga_net_options){.dropout = dropout, .seed = 7}, 1, pooling);
    const ga_parameter *q = ga__net_parameters(f.net, &count);
    learn(&f);
    for (size_t i = 0; i < count; i++) {
        double squares = 0;
        for (size_t n = 0; n < q[i].count; n++)
            squares += pow((double)f.net->gradient[q[i].at + n], 2);
        for (size_t n = 0; n < q[i].count; n += 1 + q[i].count / 7) {
            float *w = f.net->value + q[i].at + n, old = *w;
            double loss[2];
            for (int side = 0; side < 2; side++) {
                *w = old + (side ? step : -step);
                ga__net_pack(f.net, 0);
                f.net->passes = 0; /* the same elements are dropped */
                loss[side] = loss_of(&f, true);
            }
            *w = old;
            double slope = (loss[1] - loss[0]) / (2 * (double)step);
            double got = (double)f.net->gradient[q[i].at + n];
            if (!(fabs(slope - got) <
                  2e-3 + 0.05 * sqrt(squares / (double)q[i].count)))
                fail_msg("%s[%zu]: %.6g, the loss changes by %.6g", q[i].name,
                         n, got, slope);
        }
    }
    close_net(&f);
}

static void test_differences(void **state)
{
    (void)state;
    check_differences(0, NULL);
    check_differences(0.3F, NULL);
    check_differences(0, "{\"word_embedding_dimension\":24,"
                         "\"pooling_mode_cls_token\":true,"
                         "\"pooling_mode_mean_tokens\":false}");
}

/* ---- itself ---- */

static void train(fixture *f, const ga_net_options *options, unsigned threads)
{
    open_net(f, options, threads, NULL);
    for (int step = 0; step < 4; step++) {
        ga_adamw a = {.rate = 1e-2F,
                      .beta1 = 0.9F,
                      .beta2 = 0.999F,
                      .epsilon = 1e-8F,
                      .decay = 0.1F,
                      .clip = 1};
        learn(f);
        a.clip = (float)fmin(1, 1 / ga__net_gradient_norm(f->net));
        ga__net_step(f->net, &a);
    }
    ga__net_settle(f->net);
}

static void test_same_bits(void **state)
{
    static const ga_net_options options[] = {
        {.type = GA_F32},
        {.type = GA_BF16},
        {.type = GA_F32, .dropout = 0.2F, .seed = 3},
        {.type = GA_F32, .frozen = 2},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++) {
        fixture one, other;
        train(&one, &options[i], 1);
        for (unsigned threads = 2; threads <= 5; threads += 3) {
            train(&other, &options[i], threads);
            assert_memory_equal(one.net->value, other.net->value,
                                one.net->count * sizeof(float));
            close_net(&other);
        }
        close_net(&one);
    }
}

/* Frozen parameters stay; the others learn; a descending loss. */
static void test_learns(void **state)
{
    (void)state;
    for (size_t frozen = 0; frozen <= 2; frozen++) {
        fixture f, before;
        const ga_net_options options = {.frozen = frozen};
        open_net(&before, &options, 1, NULL);
        train(&f, &options, 2);
        const size_t first = frozen ? f.net->layers[frozen - 1].qkv.weight : 0;
        assert_memory_equal(f.net->value, before.net->value,
                            first * sizeof(float));
        assert_memory_not_equal(f.net->value + first, before.net->value + first,
                                (f.net->count - first) * sizeof(float));
        assert_true(loss_of(&f, false) < loss_of(&before, false) - 0.1);
        close_net(&f);
        close_net(&before);
    }
}

/* The forward pass is the encoder's. */
static void test_same_vectors(void **state)
{
    fixture f;
    ga_scratch *s;
    float out[TEXTS * H];
    ga_str texts[TEXTS];
    (void)state;
    open_net(&f, &(ga_net_options){0}, 2, NULL);
    assert_int_equal(ga_scratch_new(1, &s, NULL), GA_OK);
    for (size_t i = 0; i < TEXTS; i++)
        texts[i] = ga__str(sentences[i]);
    assert_int_equal(
        ga_encoder_embed(ga__net_encoder(f.net), s, texts, TEXTS, out, NULL),
        GA_OK);
    for (int learns = 0; learns < 2; learns++) {
        loss_of(&f, learns != 0);
        for (size_t i = 0; i < TEXTS * H; i++)
            assert_true(fabsf(out[i] - f.out[i]) < 1e-6F);
    }
    assert_int_equal(ga__net_backward(f.net, f.dout, NULL), GA_OK);
    assert_int_equal(ga__net_backward(f.net, f.dout, NULL), GA_INVAL);
    ga_scratch_free(s);
    close_net(&f);
}

static void test_refuses(void **state)
{
    char dir[64];
    ga_net *net;
    ga_pool *pool;
    ga_error err = {""};
    (void)state;
    tiny_folder(&(tiny_options){0}, dir);
    assert_int_equal(ga__pool_new(1, &pool, NULL), GA_OK);
    assert_int_equal(
        ga__net_open(dir, &(ga_net_options){.frozen = 3}, pool, &net, &err),
        GA_INVAL);
    assert_non_null(strstr(err.msg, "2 layers frozen"));
    assert_null(net);
    tiny_remove(dir);
    ga__pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_vectors), cmocka_unit_test(test_golden),
        cmocka_unit_test(test_differences),  cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_learns),       cmocka_unit_test(test_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
