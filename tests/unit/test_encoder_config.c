/* test_encoder_config.c: the files of model folders as people have them, and
 * what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/limits.h"
#include "encoder/config.h"

/* As all-MiniLM-L6-v2 has them. */
#define MINILM                                                                 \
    "{\"_name_or_path\":\"nreimers/MiniLM-L6-H384-uncased\","                  \
    "\"architectures\":[\"BertModel\"],\"hidden_act\":\"gelu\","               \
    "\"hidden_dropout_prob\":0.1,\"hidden_size\":384,"                         \
    "\"intermediate_size\":1536,\"layer_norm_eps\":1e-12,"                     \
    "\"max_position_embeddings\":512,\"model_type\":\"bert\","                 \
    "\"num_attention_heads\":12,\"num_hidden_layers\":6,"                      \
    "\"position_embedding_type\":\"absolute\",\"type_vocab_size\":2,"          \
    "\"vocab_size\":30522}"
#define WITH(more)                                                             \
    "{\"hidden_act\":\"gelu\",\"hidden_size\":384,\"intermediate_size\":1536," \
    "\"layer_norm_eps\":1e-12,\"max_position_embeddings\":512,"                \
    "\"model_type\":\"bert\",\"num_attention_heads\":12,"                      \
    "\"num_hidden_layers\":6,\"type_vocab_size\":2,"                           \
    "\"vocab_size\":30522," more "}"
#define TRANSFORMER                                                            \
    "{\"idx\":0,\"name\":\"0\",\"path\":\"\","                                 \
    "\"type\":\"sentence_transformers.models.Transformer\"}"
#define POOLING(path)                                                          \
    "{\"idx\":1,\"name\":\"1\",\"path\":\"" path                               \
    "\",\"type\":\"sentence_transformers.models.Pooling\"}"

/* The files, NULL where there is none, to the object and what it means. */
static void read_all(const char *const texts[GA_FILE_COUNT],
                     ga_model_files *files, ga_encoder_config *out)
{
    ga_buf object;
    ga_error err = {""};
    ga__buf_init(&object, GA_MAX_CONFIG_BYTES);
    ga__model_files_init(files);
    for (int i = 0; i < GA_FILE_COUNT; i++) {
        if (texts[i] && ga__model_files_read(files, (ga_model_file)i,
                                             ga__str(texts[i]), &err))
            fail_msg("%s: %s", texts[i], err.msg);
    }
    if (ga__model_files_write(files, &object, &err) ||
        ga__encoder_config_parse((ga_str){object.ptr, object.len}, out, &err))
        fail_msg("%s", err.msg);
    ga__buf_free(&object);
}

/* One file, behind a good config.json, fails so. */
static void refuse(ga_model_file which, const char *text, ga_status status,
                   const char *message)
{
    ga_model_files files;
    ga_error err = {""};
    ga__model_files_init(&files);
    ga_status rc = ga__model_files_read(&files, which, ga__str(text), &err);
    if (rc != status || !strstr(err.msg, message))
        fail_msg("%s: status %d, %s", text, (int)rc, err.msg);
}

static void test_minilm(void **state)
{
    ga_model_files files;
    ga_encoder_config c;
    const char *const texts[GA_FILE_COUNT] = {
        [GA_FILE_CONFIG] = MINILM,
        [GA_FILE_TOKENIZER] =
            "{\"do_lower_case\":true,\"tokenize_chinese_chars\":true,"
            "\"strip_accents\":null,\"tokenizer_class\":\"BertTokenizer\","
            "\"model_max_length\":512}",
        [GA_FILE_SENTENCE_BERT] =
            "{\"max_seq_length\":256,\"do_lower_case\":false}",
        [GA_FILE_MODULES] = "[" TRANSFORMER "," POOLING(
            "1_Pooling") ","
                         "{\"idx\":2,\"path\":\"2_Normalize\",\"type\":"
                         "\"sentence_transformers.models.Normalize\"}]",
        [GA_FILE_POOLING] = "{\"word_embedding_dimension\":384,"
                            "\"pooling_mode_cls_token\":false,"
                            "\"pooling_mode_mean_tokens\":true,"
                            "\"pooling_mode_max_tokens\":false}",
    };
    (void)state;
    read_all(texts, &files, &c);
    assert_string_equal(files.pooling_dir, "1_Pooling");
    assert_int_equal(c.hidden, 384);
    assert_int_equal(c.layers, 6);
    assert_int_equal(c.heads, 12);
    assert_int_equal(c.intermediate, 1536);
    assert_int_equal(c.vocab, 30522);
    assert_int_equal(c.positions, 512);
    assert_int_equal(c.types, 2);
    assert_int_equal(c.max_tokens, 256);
    assert_true(c.norm_eps == 1e-12f);
    assert_int_equal(c.pooling, GA_POOLING_MEAN);
    assert_true(c.tokenizer.lower_case && c.tokenizer.strip_accents &&
                c.tokenizer.split_cjk);
}

/* bge: the [CLS] token; its tokenizer's length where nothing else is said. */
static void test_bge(void **state)
{
    ga_model_files files;
    ga_encoder_config c;
    const char *const texts[GA_FILE_COUNT] = {
        [GA_FILE_CONFIG] = MINILM,
        [GA_FILE_TOKENIZER] = "{\"model_max_length\":128}",
        [GA_FILE_SENTENCE_BERT] = "{\"max_seq_length\":null}",
        [GA_FILE_MODULES] = "[" TRANSFORMER "," POOLING("pool") "]",
        [GA_FILE_POOLING] = ("{\"pooling_mode_cls_token\":true,"
                             "\"pooling_mode_mean_tokens\":false}"),
    };
    (void)state;
    read_all(texts, &files, &c);
    assert_string_equal(files.pooling_dir, "pool");
    assert_int_equal(c.pooling, GA_POOLING_CLS);
    assert_int_equal(c.max_tokens, 128);
}

/* bert-base-cased without anything of sentence-transformers; a length that
 * stands for none. */
static void test_plain_bert(void **state)
{
    ga_model_files files;
    ga_encoder_config c;
    const char *const texts[GA_FILE_COUNT] = {
        [GA_FILE_CONFIG] = MINILM,
        [GA_FILE_TOKENIZER] =
            ("{\"do_lower_case\":false,"
             "\"model_max_length\":1000000000000000019884624838656}"),
        [GA_FILE_SENTENCE_BERT] = "{\"max_seq_length\":9999}",
    };
    (void)state;
    read_all(texts, &files, &c);
    assert_int_equal(c.pooling, GA_POOLING_MEAN);
    assert_int_equal(c.max_tokens, 512);
    assert_false(c.tokenizer.lower_case);
    assert_false(c.tokenizer.strip_accents);
    assert_true(c.tokenizer.split_cjk);
}

static void test_dpr(void **state)
{
    ga_model_files files;
    ga_encoder_config c;
    const char *texts[GA_FILE_COUNT] = {
        [GA_FILE_CONFIG] = WITH("\"architectures\":[\"DPRQuestionEncoder\"],"
                                "\"model_type\":\"dpr\",\"projection_dim\":0"),
        [GA_FILE_TOKENIZER] =
            "{\"tokenizer_class\":\"DPRQuestionEncoderTokenizer\","
            "\"strip_accents\":false}",
    };
    (void)state;
    read_all(texts, &files, &c);
    assert_int_equal(c.pooling, GA_POOLING_CLS);
    assert_true(c.tokenizer.lower_case);
    assert_false(c.tokenizer.strip_accents);
    /* from before model_type: the class says it */
    texts[GA_FILE_CONFIG] = WITH("\"model_type\":null,\"architectures\":"
                                 "[\"DPRContextEncoder\"]");
    read_all(texts, &files, &c);
    assert_int_equal(c.pooling, GA_POOLING_CLS);
}

static void test_newer_files(void **state)
{
    ga_model_files files;
    ga_encoder_config c;
    const char *const texts[GA_FILE_COUNT] = {
        [GA_FILE_CONFIG] = MINILM,
        [GA_FILE_SENTENCE_BERT] = "{\"do_lower_case\":true}",
        [GA_FILE_TOKENIZER] = "{\"do_lower_case\":false}",
        [GA_FILE_MODULES] = "[{\"type\":\"sentence_transformers.base.modules."
                            "transformer.Transformer\",\"path\":\"\"},"
                            "{\"type\":\"Pooling\",\"path\":\"1_Pooling\"}]",
        [GA_FILE_POOLING] = "{\"pooling_mode\":\"cls\"}",
    };
    (void)state;
    read_all(texts, &files, &c);
    assert_int_equal(c.pooling, GA_POOLING_CLS);
    /* lowered in front of a tokenizer that keeps accents */
    assert_true(c.tokenizer.lower_case);
    assert_false(c.tokenizer.strip_accents);
}

static void test_refuses_architectures(void **state)
{
    (void)state;
    refuse(GA_FILE_CONFIG, WITH("\"model_type\":\"roberta\""), GA_UNSUPPORTED,
           "\"model_type\" is \"roberta\"");
    refuse(GA_FILE_CONFIG,
           WITH("\"model_type\":null,\"architectures\":[\"T5Encoder\"]"),
           GA_UNSUPPORTED, "\"architectures\" has \"T5Encoder\"");
    refuse(GA_FILE_CONFIG, WITH("\"model_type\":null"), GA_FORMAT,
           "\"model_type\" is missing");
    refuse(GA_FILE_CONFIG, WITH("\"hidden_act\":\"gelu_new\""), GA_UNSUPPORTED,
           "\"hidden_act\" is \"gelu_new\", only \"gelu\"");
    refuse(GA_FILE_CONFIG, WITH("\"position_embedding_type\":\"relative_key\""),
           GA_UNSUPPORTED, "position_embedding_type");
    refuse(GA_FILE_CONFIG, WITH("\"is_decoder\":true"), GA_UNSUPPORTED,
           "is_decoder");
    refuse(GA_FILE_CONFIG,
           WITH("\"model_type\":\"dpr\",\"projection_dim\":128"),
           GA_UNSUPPORTED, "\"projection_dim\" is 128");
    refuse(GA_FILE_TOKENIZER, "{\"tokenizer_class\":\"XLMRobertaTokenizer\"}",
           GA_UNSUPPORTED, "XLMRobertaTokenizer");
}

static void test_refuses_modules(void **state)
{
    (void)state;
    refuse(GA_FILE_MODULES,
           "[" TRANSFORMER "," POOLING(
               "1_Pooling") ",{\"path\":\"2_Dense\","
                            "\"type\":\"sentence_transformers.models.Dense\"}]",
           GA_UNSUPPORTED, "a module 'sentence_transformers.models.Dense'");
    refuse(GA_FILE_MODULES, "[{\"type\":\"NotPooling\",\"path\":\"x\"}]",
           GA_UNSUPPORTED, "NotPooling");
    refuse(GA_FILE_MODULES,
           "[{\"path\":\"0_BERT\",\"type\":"
           "\"sentence_transformers.models.Transformer\"}]",
           GA_UNSUPPORTED, "a folder of its own, '0_BERT'");
    refuse(GA_FILE_MODULES, "[" POOLING("../../etc") "]", GA_UNSUPPORTED,
           "no plain name");
    refuse(GA_FILE_MODULES, "[" POOLING("..") "]", GA_UNSUPPORTED,
           "no plain name");
    refuse(GA_FILE_MODULES, "[" POOLING("") "]", GA_UNSUPPORTED,
           "no plain name");
    refuse(GA_FILE_MODULES, "[1]", GA_FORMAT, "without a \"type\"");
    refuse(GA_FILE_MODULES, "{}", GA_FORMAT, "no JSON array");
}

static void test_refuses_poolings(void **state)
{
    (void)state;
    refuse(GA_FILE_POOLING,
           "{\"pooling_mode_cls_token\":false,"
           "\"pooling_mode_mean_tokens\":false,"
           "\"pooling_mode_max_tokens\":true}",
           GA_UNSUPPORTED, "the pooling is neither");
    /* both would be put side by side */
    refuse(GA_FILE_POOLING, "{\"pooling_mode_cls_token\":true}", GA_UNSUPPORTED,
           "the pooling is neither");
    refuse(GA_FILE_POOLING, "{\"pooling_mode\":\"lasttoken\"}", GA_UNSUPPORTED,
           "the pooling is neither");
    refuse(GA_FILE_POOLING, "{\"pooling_mode_lasttoken\":1}", GA_FORMAT,
           "neither true nor false");
}

static void test_refuses_numbers(void **state)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {WITH("\"hidden_size\":null"), "\"hidden_size\" is missing"},
        {WITH("\"hidden_size\":0"), "\"hidden_size\" is 0, a whole number"},
        {WITH("\"hidden_size\":385"), "cannot be divided"},
        {WITH("\"hidden_size\":99999999999999999999"), "\"hidden_size\" is"},
        {WITH("\"hidden_size\":\"384\""), "\"hidden_size\" is"},
        {WITH("\"num_attention_heads\":0"), "\"num_attention_heads\" is"},
        {WITH("\"num_hidden_layers\":1000"), "\"num_hidden_layers\" is 1000"},
        {WITH("\"vocab_size\":-1"), "\"vocab_size\" is -1"},
        {WITH("\"max_position_embeddings\":1"), "max_position_embeddings"},
        {WITH("\"type_vocab_size\":0"), "type_vocab_size"},
        {WITH("\"layer_norm_eps\":0"), "layer_norm_eps"},
        {WITH("\"layer_norm_eps\":\"x\""), "layer_norm_eps"},
        {WITH("\"layer_norm_eps\":1e-60"), "layer_norm_eps"},
        {WITH("\"layer_norm_eps\":0.0000000000010000000000000000000000000"),
         "digits"},
        {"[]", "no JSON object"},
        {"", "malformed JSON"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        refuse(GA_FILE_CONFIG, cases[i].text, GA_FORMAT, cases[i].message);
}

/* The one object leaves nothing to be guessed. */
static void test_object_is_complete(void **state)
{
    static const char *const parts[] = {
        "\"model_type\":\"bert\"",
        "\"hidden_act\":\"gelu\"",
        "\"hidden_size\":8",
        "\"num_hidden_layers\":1",
        "\"num_attention_heads\":2",
        "\"intermediate_size\":8",
        "\"vocab_size\":9",
        "\"max_position_embeddings\":9",
        "\"type_vocab_size\":1",
        "\"layer_norm_eps\":1e-5",
        "\"pooling\":\"mean\"",
        "\"max_tokens\":9",
        "\"do_lower_case\":true",
        "\"strip_accents\":false",
        "\"tokenize_chinese_chars\":true",
    };
    enum { COUNT = sizeof(parts) / sizeof(*parts) };
    ga_encoder_config c;
    ga_error err;
    (void)state;
    for (size_t skip = 2; skip <= COUNT; skip++) {
        char text[1024];
        size_t n = 0;
        for (size_t i = 0; i < COUNT; i++) {
            if (i != skip)
                n += (size_t)snprintf(text + n, sizeof(text) - n, "%c%s",
                                      n ? ',' : '{', parts[i]);
        }
        snprintf(text + n, sizeof(text) - n, "}");
        assert_int_equal(ga__encoder_config_parse(ga__str(text), &c, &err),
                         skip == COUNT ? GA_OK : GA_FORMAT);
    }
    ga_str long_text = {"{}", GA_MAX_CONFIG_BYTES + 1};
    assert_int_equal(ga__encoder_config_parse(long_text, &c, &err), GA_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_minilm),
        cmocka_unit_test(test_bge),
        cmocka_unit_test(test_plain_bert),
        cmocka_unit_test(test_dpr),
        cmocka_unit_test(test_newer_files),
        cmocka_unit_test(test_refuses_architectures),
        cmocka_unit_test(test_refuses_modules),
        cmocka_unit_test(test_refuses_poolings),
        cmocka_unit_test(test_refuses_numbers),
        cmocka_unit_test(test_object_is_complete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
