/* test_encoder.c: vectors against Transformers, the same bits for any batch and
 * threads, texts of every kind, and model folders that are no good. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/limits.h"
#include "encoder/encoder_internal.h"
#include "golden.h"
#include "tiny_bert.h"

#define GOLDEN GA_SOURCE_DIR "/tests/golden/encoder.json"
#define STR(literal) ((ga_str){"" literal, sizeof(literal) - 1})
#define CLS_POOLING                                                            \
    "{\"pooling_mode_cls_token\":true,\"pooling_mode_mean_tokens\":false}"

static ga_encoder *open_folder(const char *dir)
{
    ga_encoder *enc = NULL;
    ga_error err = {""};
    if (ga_encoder_open(dir, &enc, &err))
        fail_msg("%s", err.msg);
    return enc;
}

static ga_encoder *open_tiny_as(const tiny_options *options,
                                ga_precision precision)
{
    char dir[64];
    ga_encoder *enc = NULL;
    ga_error err = {""};
    tiny_folder(options, dir);
    if (ga_encoder_open_as(dir, precision, &enc, &err))
        fail_msg("%s", err.msg);
    tiny_remove(dir); /* what is open stays valid */
    return enc;
}

static ga_encoder *open_tiny(const tiny_options *options)
{
    return open_tiny_as(options, GA_PRECISION_F32);
}

static ga_scratch *new_scratch(unsigned threads)
{
    ga_scratch *s = NULL;
    assert_int_equal(ga_scratch_new(threads, &s, NULL), GA_OK);
    return s;
}

static void embed(const ga_encoder *enc, ga_scratch *s, const ga_str *texts,
                  size_t B, float *out)
{
    ga_error err = {""};
    if (ga_encoder_embed(enc, s, texts, B, out, &err))
        fail_msg("%s", err.msg);
}

/* Opening the folder fails so. */
static void refuse(const tiny_options *options, ga_status status,
                   const char *message)
{
    char dir[64];
    ga_encoder *enc;
    ga_error err = {""};
    tiny_folder(options, dir);
    ga_status rc = ga_encoder_open(dir, &enc, &err);
    tiny_remove(dir);
    assert_null(enc);
    if (rc != status || !strstr(err.msg, message) || !strstr(err.msg, dir))
        fail_msg("status %d instead of %d, '%s' not in: %s", (int)rc,
                 (int)status, message, err.msg);
}

/* ---- golden vectors ---- */

/* Each case's text gives its number of tokens and its vector: to 5e-7 an
 * element, a cosine of 0.99999 at the very least. */
static void check_golden(const golden *g, const char *key,
                         const ga_encoder *enc)
{
    const ga_json *doc = &g->doc;
    uint32_t cases = ga__json_get(doc, 0, key);
    ga_scratch *s = new_scratch(1);
    float *out = calloc(ga_encoder_dim(enc), sizeof(*out));
    ga_buf text;
    ga__buf_init(&text, 1u << 20);
    assert_true(doc->nodes[cases].count > 0);
    for (uint32_t c = ga__json_first(cases); c < doc->nodes[cases].next;
         c = ga__json_next(doc, c)) {
        uint32_t vector = ga__json_get(doc, c, "embedding"), i = 0;
        uint64_t tokens;
        size_t n;
        double dot = 0;
        ga__buf_clear(&text);
        assert_int_equal(
            ga__json_string(doc, ga__json_get(doc, c, "text"), &text, NULL), 0);
        ga_str string = {text.ptr, text.len};
        assert_true(
            ga__json_uint(doc, ga__json_get(doc, c, "tokens"), 9999, &tokens));
        assert_int_equal(ga_encoder_tokenize(enc, s, string, NULL, 0, &n, NULL),
                         GA_OK);
        assert_int_equal(n, tokens);
        embed(enc, s, &string, 1, out);
        assert_int_equal(doc->nodes[vector].count, ga_encoder_dim(enc));
        for (uint32_t v = ga__json_first(vector); v < doc->nodes[vector].next;
             v = ga__json_next(doc, v), i++) {
            double wanted;
            assert_true(ga__json_double(doc, v, &wanted));
            dot += wanted * (double)out[i];
            if (!(fabs(wanted - (double)out[i]) < 5e-7))
                fail_msg("%s, '%.40s': element %u is %.9g instead of %.9g", key,
                         text.ptr, i, (double)out[i], wanted);
        }
        assert_true(dot > 0.99999);
    }
    ga__buf_free(&text);
    ga_scratch_free(s);
    free(out);
}

static void test_golden_tiny(void **state)
{
    static const struct {
        const char *key;
        tiny_options options;
    } cases[] = {
        {"tiny_mean", {0}},
        {"tiny_mean", {.prefix = "bert.", .tensorflow = true}},
        {"tiny_mean", {.dtype = "F16"}},
        {"tiny_mean", {.dtype = "BF16"}},
        {"tiny_cls",
         {.prefix = "question_encoder.bert_model.", .pooling = CLS_POOLING}},
        {"tiny_cls",
         {.prefix = "ctx_encoder.bert_model.", .pooling = CLS_POOLING}},
        {"tiny_cls", {.prefix = "question_model.", .pooling = CLS_POOLING}},
    };
    golden g;
    (void)state;
    golden_open(&g, GOLDEN);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        ga_encoder *enc = open_tiny(&cases[i].options);
        assert_int_equal(ga_encoder_dim(enc), TINY_HIDDEN);
        assert_int_equal(ga_encoder_max_tokens(enc), TINY_POSITIONS);
        check_golden(&g, cases[i].key, enc);
        ga_encoder_close(enc);
    }
    golden_close(&g);
}

/* Every instruction set that the machine has, not only its best. */
static void test_golden_isas(void **state)
{
    static const ga_image_names parts = {"config", "vocab", "weights"};
    ga_encoder *from = open_tiny(&(tiny_options){0});
    ga_encoder_image image;
    golden g;
    (void)state;
    golden_open(&g, GOLDEN);
    ga__encoder_image(from, &image);
    for (const char *const *name = ga__kernels_names; *name; name++) {
        const ga_kernels *k = ga__kernels_named(*name);
        if (!k)
            continue;
        ga_encoder *enc = calloc(1, sizeof(*enc));
        assert_non_null(enc);
        assert_int_equal(
            ga__encoder_load(enc, &image, &parts, GA_PRECISION_F32, k, NULL),
            GA_OK);
        check_golden(&g, "tiny_mean", enc);
        ga_encoder_close(enc);
    }
    golden_close(&g);
    ga_encoder_close(from);
}

static void test_golden_base(void **state)
{
    const char *dir = getenv("GUIDEALIGN_BASE_ENCODER");
    golden g;
    (void)state;
    if (!dir) {
        print_message("skipped: GUIDEALIGN_BASE_ENCODER does not name the "
                      "folder of all-MiniLM-L6-v2\n");
        skip();
    }
    golden_open(&g, GOLDEN);
    ga_encoder *enc = open_folder(dir);
    check_golden(&g, "base", enc);
    ga_encoder_close(enc);
    golden_close(&g);
}

/* ---- the same bits ---- */

enum { BATCH = 64 };

/* Texts of 2 to 40 tokens, made of the tiny vocabulary. */
static void make_texts(char text[BATCH][256], ga_str out[BATCH])
{
    static const char *const words[] = {"the ", "cats ",  "run", ", ",
                                        "2 ",   "zebra ", "over"};
    for (size_t i = 0; i < BATCH; i++) {
        text[i][0] = '\0';
        for (size_t w = 0; w < i * 7 % 41; w++)
            strcat(text[i], words[(w * w + i) % 7]);
        out[i] = ga__str(text[i]);
    }
}

static void check_same_bits(ga_precision precision)
{
    enum { H = TINY_HIDDEN };
    static char text[BATCH][256];
    ga_str texts[BATCH], shuffled[BATCH];
    float one[BATCH * H], out[BATCH * H];
    ga_encoder *enc = open_tiny_as(&(tiny_options){0}, precision);
    ga_scratch *s = new_scratch(1);
    make_texts(text, texts);
    for (size_t i = 0; i < BATCH; i++) {
        double squares = 0;
        embed(enc, s, texts + i, 1, one + i * H);
        for (size_t j = 0; j < H; j++)
            squares += pow((double)one[i * H + j], 2);
        assert_true(fabs(squares - 1) < 1e-6);
    }
    ga_scratch_free(s);
    for (unsigned threads = 1; threads <= 3; threads++) {
        s = new_scratch(threads);
        embed(enc, s, texts, BATCH, out);
        assert_memory_equal(out, one, sizeof(one));
        for (size_t i = 0; i < BATCH; i += 5) { /* one text, all threads */
            embed(enc, s, texts + i, 1, out);
            assert_memory_equal(out, one + i * H, H * sizeof(*out));
        }
        for (size_t step = 5; step < 60; step += 18) { /* odd: a permutation */
            for (size_t i = 0; i < BATCH; i++)
                shuffled[i] = texts[i * step % BATCH];
            embed(enc, s, shuffled, BATCH - step, out);
            for (size_t i = 0; i < BATCH - step; i++)
                assert_memory_equal(out + i * H, one + i * step % BATCH * H,
                                    H * sizeof(*out));
        }
        ga_scratch_free(s);
    }
    ga_encoder_close(enc);
}

static void test_same_bits(void **state)
{
    (void)state;
    check_same_bits(GA_PRECISION_F32);
    check_same_bits(GA_PRECISION_INT8);
    check_same_bits(GA_PRECISION_BF16);
}

/* In fewer bits the vectors of a model stay what they are but for rounding, and
 * those of a real one stay within what is promised. */
static void check_near(ga_encoder *f32, ga_encoder *other, ga_precision as,
                       double least)
{
    static char text[BATCH][256];
    ga_str texts[BATCH];
    size_t H = ga_encoder_dim(f32);
    float *a = calloc(BATCH, H * sizeof(*a)),
          *b = calloc(BATCH, H * sizeof(*b));
    ga_scratch *s = new_scratch(2);
    make_texts(text, texts);
    assert_int_equal(ga_encoder_precision(f32), GA_PRECISION_F32);
    assert_int_equal(ga_encoder_precision(other), as);
    embed(f32, s, texts, BATCH, a);
    embed(other, s, texts, BATCH, b);
    for (size_t i = 0; i < BATCH; i++) {
        double dot = 0;
        for (size_t j = 0; j < H; j++)
            dot += (double)a[i * H + j] * (double)b[i * H + j];
        if (!(dot >= least))
            fail_msg("text %zu: cosine %.6f, %.6f wanted", i, dot, least);
    }
    ga_scratch_free(s);
    ga_encoder_close(f32);
    ga_encoder_close(other);
    free(a);
    free(b);
}

static void test_precisions(void **state)
{
    static const struct {
        const char *name;
        ga_precision as;
        double tiny, base; /* least cosines */
    } cases[] = {{"int8", GA_PRECISION_INT8, 0.999, 0.995},
                 {"bf16", GA_PRECISION_BF16, 0.9999, 0.9999}};
    const char *dir = getenv("GUIDEALIGN_BASE_ENCODER");
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        ga_precision p;
        assert_int_equal(ga_precision_find(cases[i].name, &p, NULL), GA_OK);
        assert_int_equal(p, cases[i].as);
        assert_string_equal(ga_precision_name(p), cases[i].name);
        check_near(open_tiny(&(tiny_options){0}),
                   open_tiny_as(&(tiny_options){0}, p), p, cases[i].tiny);
        if (dir) {
            ga_encoder *f32 = NULL, *other = NULL;
            assert_int_equal(ga_encoder_open(dir, &f32, NULL), GA_OK);
            assert_int_equal(ga_encoder_open_as(dir, p, &other, NULL), GA_OK);
            check_near(f32, other, p, cases[i].base);
        }
    }
    assert_int_equal(ga_precision_find("int4", &(ga_precision){0}, NULL),
                     GA_INVAL);
}

/* Not finite is not representable in 8 bits, so it is found on opening. */
static void test_int8_damaged(void **state)
{
    static const char *const names[] = {"word_embeddings.weight",
                                        "layer.1.output.dense.weight"};
    (void)state;
    for (int i = 0; i < 2; i++) {
        char dir[64];
        ga_encoder *enc;
        ga_error err = {""};
        tiny_folder(&(tiny_options){.value_of = names[i], .value = NAN}, dir);
        assert_int_equal(ga_encoder_open_as(dir, GA_PRECISION_INT8, &enc, &err),
                         GA_FORMAT);
        assert_non_null(strstr(err.msg, "not finite"));
        assert_null(enc);
        tiny_remove(dir);
    }
}

/* More texts than one wave has, and groups that hold one long text each. */
static void test_many_texts(void **state)
{
    enum { H = TINY_HIDDEN, MANY = 5000 };
    static char text[BATCH][256];
    ga_str some[BATCH], *texts = calloc(MANY, sizeof(*texts));
    float one[BATCH * H], *out = calloc(MANY * H, sizeof(*out));
    ga_encoder *enc = open_tiny(&(tiny_options){0});
    ga_scratch *s = new_scratch(3);
    (void)state;
    make_texts(text, some);
    embed(enc, s, some, BATCH, one);
    for (size_t i = 0; i < MANY; i++)
        texts[i] = some[i % BATCH];
    embed(enc, s, texts, MANY, out);
    for (size_t i = 0; i < MANY; i++)
        assert_memory_equal(out + i * H, one + i % BATCH * H, H * sizeof(*out));
    ga_scratch_free(s);
    ga_encoder_close(enc);
    free(texts);
    free(out);
}

/* The image of an encoder makes the same encoder, wherever its bytes lie. */
static void test_image(void **state)
{
    float a[TINY_HIDDEN], b[TINY_HIDDEN];
    ga_str text = STR("the quick brown fox");
    ga_encoder *enc = open_tiny(&(tiny_options){0}), *copy = NULL;
    ga_scratch *s = new_scratch(1);
    ga_encoder_image image;
    ga_error err = {""};
    (void)state;
    embed(enc, s, &text, 1, a);
    ga__encoder_image(enc, &image);
    char *moved = ga__alloc_aligned(image.weights.len + 64, 1);
    assert_non_null(moved);
    memcpy(moved + 4, image.weights.ptr, image.weights.len);
    image.weights.ptr = moved + 4;
    assert_int_equal(ga__encoder_open_image(&image, &copy, &err), GA_FORMAT);
    assert_non_null(strstr(err.msg, "multiple of 64 bytes"));
    memmove(moved + 64, moved + 4, image.weights.len);
    image.weights.ptr = moved + 64;
    assert_int_equal(ga__encoder_open_image(&image, &copy, &err), GA_OK);
    embed(copy, s, &text, 1, b);
    assert_memory_equal(a, b, sizeof(a));
    ga_encoder_close(copy);
    image.config.len--;
    assert_int_equal(ga__encoder_open_image(&image, &copy, &err), GA_FORMAT);
    assert_non_null(strstr(err.msg, "encoder configuration: "));
    assert_null(copy);
    ga_encoder_close(enc);
    ga_scratch_free(s);
    free(moved);
}

/* ---- texts ---- */

static void test_texts(void **state)
{
    enum { H = TINY_HIDDEN };
    ga_str texts[] = {
        STR(""), {NULL, 0}, STR("the\0cat"), STR("the"), STR("thecat")};
    float out[5 * H];
    uint32_t ids[4] = {9, 9, 9, 9};
    size_t n;
    ga_encoder *enc = open_tiny(&(tiny_options){0});
    ga_scratch *s = new_scratch(2);
    (void)state;
    embed(enc, s, texts, 5, out);
    assert_memory_equal(out, out + H, H * sizeof(*out));
    /* a NUL hides nothing: BERT drops it, and the rest counts */
    assert_memory_not_equal(out + 2 * H, out + 3 * H, H * sizeof(*out));
    assert_memory_equal(out + 2 * H, out + 4 * H, H * sizeof(*out));
    assert_int_equal(
        ga_encoder_tokenize(enc, s, STR("the cat sat"), ids, 3, &n, NULL),
        GA_OK);
    assert_int_equal(n, 5);
    assert_int_equal(ids[0], 2);
    assert_int_equal(ids[1], 5);
    assert_int_equal(ids[2], 7);
    assert_int_equal(ids[3], 9);
    assert_int_equal(ga_scratch_truncated(s), 0);
    ga_scratch_free(s);
    ga_encoder_close(enc);
}

static void test_long_text(void **state)
{
    enum { H = TINY_HIDDEN, LONG = 10 << 20 };
    char *bytes = malloc(LONG);
    float out[2 * H];
    ga_encoder *enc = open_tiny(&(tiny_options){0});
    ga_scratch *s = new_scratch(1);
    (void)state;
    assert_non_null(bytes);
    for (size_t i = 0; i < LONG; i++)
        bytes[i] = "the cat "[i % 8];
    ga_str texts[2] = {{bytes, LONG}, {bytes, 38 * 4 + 4}};
    embed(enc, s, texts, 2, out);
    assert_int_equal(ga_scratch_truncated(s), 2);
    assert_memory_equal(out, out + H, H * sizeof(*out)); /* both 40 tokens */
    texts[1].len = 38 * 4;
    embed(enc, s, texts + 1, 1, out + H);
    assert_int_equal(ga_scratch_truncated(s), 2);
    assert_memory_equal(out, out + H, H * sizeof(*out));
    ga_scratch_free(s);
    ga_encoder_close(enc);
    free(bytes);
}

static void test_bad_texts(void **state)
{
    enum { H = TINY_HIDDEN };
    ga_str texts[BATCH];
    float out[BATCH * H], again[H];
    ga_error err = {""};
    ga_encoder *enc = open_tiny(&(tiny_options){0});
    ga_scratch *s = new_scratch(3);
    (void)state;
    for (size_t i = 0; i < BATCH; i++)
        texts[i] = i >= 33 ? STR("cat \xC3(") : STR("cat");
    embed(enc, s, texts, 1, out);
    assert_int_equal(ga_encoder_embed(enc, s, texts, BATCH, out, &err),
                     GA_INVAL);
    assert_non_null(strstr(err.msg, "text 33"));
    texts[2] = (ga_str){NULL, 5};
    assert_int_equal(ga_encoder_embed(enc, s, texts, BATCH, out, &err),
                     GA_INVAL);
    assert_non_null(strstr(err.msg, "text 2"));
    texts[1] = (ga_str){"x", GA_MAX_TEXT_BYTES + 1};
    assert_int_equal(ga_encoder_embed(enc, s, texts, BATCH, out, &err),
                     GA_LIMIT);
    assert_non_null(strstr(err.msg, "text 1"));
    /* the scratch is as good as before */
    embed(enc, s, texts, 1, again);
    assert_int_equal(ga_encoder_embed(enc, s, texts, 1, out, NULL), GA_OK);
    assert_memory_equal(out, again, sizeof(again));
    ga_scratch_free(s);
    ga_encoder_close(enc);
}

static void test_arguments(void **state)
{
    float out[TINY_HIDDEN];
    ga_str text = STR("cat");
    size_t n;
    ga_encoder *enc = open_tiny(&(tiny_options){0}), *nothing = enc;
    ga_scratch *s = new_scratch(1), *none;
    (void)state;
    assert_int_equal(ga_encoder_embed(enc, s, NULL, 0, NULL, NULL), GA_OK);
    assert_int_equal(ga_encoder_embed(NULL, s, &text, 1, out, NULL), GA_INVAL);
    assert_int_equal(ga_encoder_embed(enc, NULL, &text, 1, out, NULL),
                     GA_INVAL);
    assert_int_equal(ga_encoder_embed(enc, s, NULL, 1, out, NULL), GA_INVAL);
    assert_int_equal(ga_encoder_embed(enc, s, &text, 1, NULL, NULL), GA_INVAL);
    assert_int_equal(
        ga_encoder_embed(enc, s, &text, GA_MAX_BATCH + 1, out, NULL), GA_LIMIT);
    assert_int_equal(ga_encoder_tokenize(enc, s, text, NULL, 1, &n, NULL),
                     GA_INVAL);
    assert_int_equal(ga_scratch_new(0, &none, NULL), GA_INVAL);
    assert_int_equal(ga_scratch_new(GA_MAX_THREADS + 1, &none, NULL), GA_INVAL);
    assert_null(none);
    assert_int_equal(ga_encoder_open(NULL, &nothing, NULL), GA_INVAL);
    assert_null(nothing);
    ga_scratch_free(NULL);
    ga_encoder_close(NULL);
    ga_scratch_free(s);
    ga_encoder_close(enc);
}

/* ---- models ---- */

/* Weights that are no numbers: an answer, and it is no. */
static void test_damaged_weights(void **state)
{
    enum { H = TINY_HIDDEN };
    float out[H];
    ga_str text = STR("cat");
    ga_error err = {""};
    ga_scratch *s = new_scratch(1);
    (void)state;
    ga_encoder *enc = open_tiny(&(tiny_options){
        .value_of = "encoder.layer.1.output.LayerNorm.bias", .value = NAN});
    assert_int_equal(ga_encoder_embed(enc, s, &text, 1, out, &err), GA_FORMAT);
    assert_non_null(strstr(err.msg, "text 0: its vector is not finite"));
    ga_encoder_close(enc);
    enc = open_tiny(&(tiny_options){.value_of = "word_embeddings.weight",
                                    .value = INFINITY});
    assert_int_equal(ga_encoder_embed(enc, s, &text, 1, out, &err), GA_FORMAT);
    ga_encoder_close(enc);
    ga_scratch_free(s);
}

static void test_zero_vector(void **state)
{
    enum { H = TINY_HIDDEN };
    static const float zeros[H] = {0};
    float out[H];
    ga_str text = STR("the cat");
    ga_scratch *s = new_scratch(1);
    (void)state;
    ga_encoder *enc =
        open_tiny(&(tiny_options){.value_of = ".weight", .value = 0});
    ga_encoder_image image;
    ga__encoder_image(enc, &image);
    /* every weight is 0 by now; take the last bias away too */
    char *bytes = ga__alloc_aligned(image.weights.len, 1);
    assert_non_null(bytes);
    memcpy(bytes, image.weights.ptr, image.weights.len);
    memset(bytes + image.weights.len - H * sizeof(float), 0, H * sizeof(float));
    image.weights.ptr = bytes;
    ga_encoder *zero = NULL;
    assert_int_equal(ga__encoder_open_image(&image, &zero, NULL), GA_OK);
    embed(zero, s, &text, 1, out);
    assert_memory_equal(out, zeros, sizeof(zeros));
    ga_encoder_close(zero);
    ga_encoder_close(enc);
    ga_scratch_free(s);
    free(bytes);
}

static void test_refuses_weights(void **state)
{
    (void)state;
    refuse(
        &(tiny_options){.wrong = "encoder.layer.1.attention.self.key.weight"},
        GA_FORMAT,
        "model.safetensors: tensor "
        "'encoder.layer.1.attention.self.key.weight' is F32 [25, 24], "
        "[24, 24] was expected");
    refuse(&(tiny_options){.wrong = "encoder.layer.0.output.LayerNorm.bias"},
           GA_FORMAT, "is F32 [25], [24] was expected");
    refuse(&(tiny_options){.wrong = "word_embeddings.weight"}, GA_FORMAT,
           "is F32 [49, 24], [48, 24] was expected");
    refuse(&(tiny_options){.skip = "encoder.layer.1.output.dense.bias",
                           .prefix = "bert."},
           GA_FORMAT, "'bert.encoder.layer.1.output.dense.bias' is missing");
    refuse(&(tiny_options){.skip = "LayerNorm.weight"}, GA_FORMAT,
           "'embeddings.LayerNorm.weight' is missing");
    refuse(&(tiny_options){.prefix = "roberta."}, GA_FORMAT,
           "no tensor 'embeddings.word_embeddings.weight'");
    refuse(&(tiny_options){.dtype = "F64"}, GA_UNSUPPORTED,
           "'embeddings.word_embeddings.weight' is F64 [48, 24], only F32");
}

static void test_refuses_folders(void **state)
{
    ga_error err = {""};
    ga_encoder *enc;
    char dir[64];
    (void)state;
    assert_int_equal(ga_encoder_open("/nowhere", &enc, &err), GA_NOTFOUND);
    assert_non_null(strstr(err.msg, "'/nowhere/config.json'"));
    refuse(&(tiny_options){.config = "{}"}, GA_FORMAT,
           "config.json': \"model_type\" is missing");
    refuse(&(tiny_options){.vocabulary = ""}, GA_NOTFOUND, "vocab.txt");
    refuse(&(tiny_options){.vocabulary = "a\nb\n"}, GA_FORMAT, "vocab.txt: ");
    refuse(&(tiny_options){.vocabulary =
                               TINY_VOCABULARY "x1\nx2\nx3\nx4\nx5\nx6\nx7\n"},
           GA_FORMAT, "49 tokens, the model has embeddings for 48");
    refuse(&(tiny_options){.pooling = "{\"pooling_mode\":\"max\"}"},
           GA_UNSUPPORTED, "1_Pooling/config.json': the pooling is neither");
    refuse(&(tiny_options){.modules = "[{\"type\":\"Dense\"}]"}, GA_UNSUPPORTED,
           "modules.json': a module 'Dense'");
    /* what to do where only the fast tokenizer's file is there */
    tiny_folder(&(tiny_options){.vocabulary = ""}, dir);
    tiny_write(dir, "tokenizer.json", "{}", 2);
    assert_int_equal(ga_encoder_open(dir, &enc, &err), GA_NOTFOUND);
    assert_non_null(strstr(err.msg, "tokenizer.json but no vocab.txt"));
    assert_non_null(strstr(err.msg, ".save("));
    tiny_remove(dir);
    /* empty, cut off */
    tiny_folder(&(tiny_options){0}, dir);
    tiny_write(dir, "model.safetensors", "", 0);
    assert_int_equal(ga_encoder_open(dir, &enc, &err), GA_FORMAT);
    tiny_write(dir, "model.safetensors", "\x10\0\0\0\0\0\0\0{}", 10);
    assert_int_equal(ga_encoder_open(dir, &enc, &err), GA_FORMAT);
    assert_non_null(strstr(err.msg, "cut off"));
    tiny_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_tiny),
        cmocka_unit_test(test_golden_isas),
        cmocka_unit_test(test_golden_base),
        cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_precisions),
        cmocka_unit_test(test_int8_damaged),
        cmocka_unit_test(test_many_texts),
        cmocka_unit_test(test_image),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_long_text),
        cmocka_unit_test(test_bad_texts),
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_damaged_weights),
        cmocka_unit_test(test_zero_vector),
        cmocka_unit_test(test_refuses_weights),
        cmocka_unit_test(test_refuses_folders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
