/* config.c: what a model is.
 *
 * The one object has the keys of Hugging Face's config.json where there are
 * any; all but the first two must be there:
 *   {"model_type":"bert","hidden_act":"gelu","hidden_size":384,
 *    "num_hidden_layers":6,"num_attention_heads":12,"intermediate_size":1536,
 *    "vocab_size":30522,"max_position_embeddings":512,"type_vocab_size":2,
 *    "layer_norm_eps":1e-12,"pooling":"mean","max_tokens":256,
 *    "do_lower_case":true,"strip_accents":true,"tokenize_chinese_chars":true}
 */
#include "encoder/config.h"

#include <stdio.h>

#include "base/error.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/utf8.h"

enum { MAX_TYPES = 256, MAX_INTERMEDIATE = 4 * GA_MAX_HIDDEN };

/* A value as it is written, cut to what a message can hold. */
static ga_str written(const ga_json *doc, uint32_t node)
{
    ga_str s = {doc->text.ptr + doc->nodes[node].start,
                doc->nodes[node].end - doc->nodes[node].start};
    s.len = ga__utf8_prefix(s, 64);
    return s;
}

static bool is_unsaid(const ga_json *doc, uint32_t node)
{
    return node == GA_JSON_NONE || ga__json_type(doc, node) == GA_JSON_NULL;
}

static ga_status get_size(const ga_json *doc, const char *key, size_t min,
                          size_t max, size_t *out, ga_error *err)
{
    uint64_t v;
    uint32_t node = ga__json_get(doc, 0, key);
    if (is_unsaid(doc, node))
        return ga__fail(err, GA_FORMAT, "\"%s\" is missing", key);
    if (!ga__json_uint(doc, node, max, &v) || v < min) {
        ga_str found = written(doc, node);
        return ga__fail(err, GA_FORMAT,
                        "\"%s\" is %.*s, a whole number from %zu to %zu is "
                        "possible",
                        key, (int)found.len, found.ptr, min, max);
    }
    *out = (size_t)v;
    return GA_OK;
}

/* Leaves *out alone when nothing is said. */
static ga_status get_bool(const ga_json *doc, const char *key, bool *out,
                          ga_error *err)
{
    uint32_t node = ga__json_get(doc, 0, key);
    if (is_unsaid(doc, node))
        return GA_OK;
    ga_json_type type = ga__json_type(doc, node);
    if (type != GA_JSON_TRUE && type != GA_JSON_FALSE)
        return ga__fail(err, GA_FORMAT, "\"%s\" is neither true nor false",
                        key);
    *out = type == GA_JSON_TRUE;
    return GA_OK;
}

/* The value, where there is one, can only be the string `only`. */
static ga_status expect(const ga_json *doc, const char *key, const char *only,
                        ga_error *err)
{
    uint32_t node = ga__json_get(doc, 0, key);
    if (is_unsaid(doc, node) || ga__json_is(doc, node, only))
        return GA_OK;
    ga_str found = written(doc, node);
    return ga__fail(err, GA_UNSUPPORTED,
                    "\"%s\" is %.*s, only \"%s\" is supported", key,
                    (int)found.len, found.ptr, only);
}

static ga_status parse(ga_json *doc, ga_str json, ga_error *err)
{
    if (json.len > GA_MAX_CONFIG_BYTES)
        return ga__fail(err, GA_LIMIT, "%zu bytes, the limit is %u", json.len,
                        GA_MAX_CONFIG_BYTES);
    return ga__json_parse(doc, json, err);
}

static ga_status check_object(const ga_json *doc, ga_error *err)
{
    return ga__json_type(doc, 0) == GA_JSON_OBJECT
               ? GA_OK
               : ga__fail(err, GA_FORMAT, "no JSON object");
}

/* The part that config.json and the one object share. */
static ga_status read_shape(const ga_json *doc, ga_encoder_config *c,
                            ga_error *err)
{
    const struct {
        const char *key;
        size_t min, max;
        size_t *out;
    } sizes[] = {
        {"hidden_size", 1, GA_MAX_HIDDEN, &c->hidden},
        {"num_hidden_layers", 1, GA_MAX_LAYERS, &c->layers},
        {"num_attention_heads", 1, GA_MAX_HIDDEN, &c->heads},
        {"intermediate_size", 1, MAX_INTERMEDIATE, &c->intermediate},
        {"vocab_size", 1, GA_MAX_VOCAB_TOKENS, &c->vocab},
        {"max_position_embeddings", 2, GA_MAX_POSITIONS, &c->positions},
        {"type_vocab_size", 1, MAX_TYPES, &c->types},
    };
    double eps = 0;
    uint32_t node = ga__json_get(doc, 0, "layer_norm_eps");
    ga_status rc = expect(doc, "hidden_act", "gelu", err);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes) && !rc; i++)
        rc = get_size(doc, sizes[i].key, sizes[i].min, sizes[i].max,
                      sizes[i].out, err);
    if (rc)
        return rc;
    if (c->hidden % c->heads != 0)
        return ga__fail(err, GA_FORMAT,
                        "\"hidden_size\" %zu cannot be divided among %zu "
                        "\"num_attention_heads\"",
                        c->hidden, c->heads);
    if (node == GA_JSON_NONE)
        return ga__fail(err, GA_FORMAT, "\"layer_norm_eps\" is missing");
    if (!ga__json_double(doc, node, &eps) || eps < 1e-30 || eps > 1)
        return ga__fail(err, GA_FORMAT,
                        "\"layer_norm_eps\" is no number from 1e-30 to 1");
    c->norm_eps = (float)eps;
    return GA_OK;
}

static ga_status read_image(const ga_json *doc, ga_encoder_config *c,
                            ga_error *err)
{
    const struct {
        const char *key;
        bool *out;
    } flags[] = {
        {"do_lower_case", &c->tokenizer.lower_case},
        {"strip_accents", &c->tokenizer.strip_accents},
        {"tokenize_chinese_chars", &c->tokenizer.split_cjk},
    };
    uint32_t pooling = ga__json_get(doc, 0, "pooling");
    ga_status rc = expect(doc, "model_type", "bert", err);
    if (!rc)
        rc = read_shape(doc, c, err);
    if (!rc)
        rc = get_size(doc, "max_tokens", 2, c->positions, &c->max_tokens, err);
    for (size_t i = 0; i < sizeof(flags) / sizeof(*flags) && !rc; i++) {
        if (is_unsaid(doc, ga__json_get(doc, 0, flags[i].key)))
            rc = ga__fail(err, GA_FORMAT, "\"%s\" is missing", flags[i].key);
        else
            rc = get_bool(doc, flags[i].key, flags[i].out, err);
    }
    if (rc)
        return rc;
    if (pooling != GA_JSON_NONE && ga__json_is(doc, pooling, "mean"))
        c->pooling = GA_POOLING_MEAN;
    else if (pooling != GA_JSON_NONE && ga__json_is(doc, pooling, "cls"))
        c->pooling = GA_POOLING_CLS;
    else
        rc = ga__fail(err, GA_FORMAT,
                      "\"pooling\" is neither \"mean\" nor \"cls\"");
    return rc;
}

ga_status ga__encoder_config_parse(ga_str json, ga_encoder_config *out,
                                   ga_error *err)
{
    ga_json doc = GA_JSON_INIT;
    *out = (ga_encoder_config){0};
    ga_status rc = parse(&doc, json, err);
    if (!rc)
        rc = check_object(&doc, err);
    if (!rc)
        rc = read_image(&doc, out, err);
    ga__json_free(&doc);
    return rc;
}

/* ---- the files of a folder ----
 * Everything that would change the result and is not done here is refused: a
 * wrong vector is worse than none. */

void ga__model_files_init(ga_model_files *files)
{
    *files = (ga_model_files){
        .config = {.tokenizer = {.lower_case = true, .split_cjk = true}},
        .pooling_dir = "1_Pooling",
        .accents_unsaid = true,
    };
}

/* "bert" or "dpr"; files older than model_type name a class only. */
static ga_status read_model_type(const ga_json *doc, bool *dpr, ga_error *err)
{
    uint32_t type = ga__json_get(doc, 0, "model_type");
    uint32_t classes = ga__json_get(doc, 0, "architectures");
    *dpr = false;
    if (is_unsaid(doc, type) && !is_unsaid(doc, classes) &&
        ga__json_type(doc, classes) == GA_JSON_ARRAY &&
        doc->nodes[classes].count > 0) {
        uint32_t class = ga__json_first(classes);
        ga_str name = written(doc, class);
        *dpr = name.len > 4 && memcmp(name.ptr, "\"DPR", 4) == 0;
        if (*dpr || (name.len > 5 && memcmp(name.ptr, "\"Bert", 5) == 0))
            return GA_OK;
        return ga__fail(err, GA_UNSUPPORTED,
                        "\"architectures\" has %.*s, only BERT and DPR are "
                        "supported",
                        (int)name.len, name.ptr);
    }
    if (is_unsaid(doc, type))
        return ga__fail(err, GA_FORMAT, "\"model_type\" is missing");
    *dpr = ga__json_is(doc, type, "dpr");
    if (*dpr || ga__json_is(doc, type, "bert"))
        return GA_OK;
    ga_str found = written(doc, type);
    return ga__fail(err, GA_UNSUPPORTED,
                    "\"model_type\" is %.*s, only \"bert\" and \"dpr\" are "
                    "supported",
                    (int)found.len, found.ptr);
}

static ga_status read_config(const ga_json *doc, ga_model_files *files,
                             ga_error *err)
{
    bool dpr, decoder = false;
    ga_encoder_config *c = &files->config;
    uint32_t projection = ga__json_get(doc, 0, "projection_dim");
    ga_status rc = read_model_type(doc, &dpr, err);
    if (!rc)
        rc = read_shape(doc, c, err);
    if (!rc)
        rc = expect(doc, "position_embedding_type", "absolute", err);
    if (!rc)
        rc = get_bool(doc, "is_decoder", &decoder, err);
    if (rc)
        return rc;
    if (decoder)
        return ga__fail(err, GA_UNSUPPORTED, "\"is_decoder\" is true");
    if (dpr && !is_unsaid(doc, projection)) {
        size_t width;
        rc = get_size(doc, "projection_dim", 0, SIZE_MAX, &width, err);
        if (!rc && width > 0)
            rc = ga__fail(err, GA_UNSUPPORTED,
                          "\"projection_dim\" is %zu, only 0 is supported",
                          width);
    }
    c->pooling = dpr ? GA_POOLING_CLS : GA_POOLING_MEAN;
    ga_str eps = written(doc, ga__json_get(doc, 0, "layer_norm_eps"));
    if (!rc && eps.len >= sizeof(files->norm_eps))
        rc = ga__fail(err, GA_FORMAT, "\"layer_norm_eps\" has %zu digits",
                      eps.len);
    if (!rc) /* as it is written: printing it would depend on the locale */
        snprintf(files->norm_eps, sizeof(files->norm_eps), "%.*s", (int)eps.len,
                 eps.ptr);
    return rc;
}

/* A length that may be absurd (1e30 stands for none) or null: 0 then. */
static size_t get_max_tokens(const ga_json *doc, const char *key)
{
    uint64_t v;
    uint32_t node = ga__json_get(doc, 0, key);
    if (node == GA_JSON_NONE || !ga__json_uint(doc, node, UINT32_MAX, &v))
        return 0;
    return (size_t)v;
}

static ga_status read_tokenizer(const ga_json *doc, ga_model_files *files,
                                ga_error *err)
{
    static const char *const known[] = {
        "BertTokenizer",
        "BertTokenizerFast",
        "DPRQuestionEncoderTokenizer",
        "DPRQuestionEncoderTokenizerFast",
        "DPRContextEncoderTokenizer",
        "DPRContextEncoderTokenizerFast",
    };
    ga_wordpiece_options *o = &files->config.tokenizer;
    uint32_t class = ga__json_get(doc, 0, "tokenizer_class");
    bool found = is_unsaid(doc, class);
    for (size_t i = 0; i < sizeof(known) / sizeof(*known) && !found; i++)
        found = ga__json_is(doc, class, known[i]);
    if (!found) {
        ga_str name = written(doc, class);
        return ga__fail(err, GA_UNSUPPORTED,
                        "\"tokenizer_class\" is %.*s, only BERT's WordPiece "
                        "is supported",
                        (int)name.len, name.ptr);
    }
    ga_status rc = get_bool(doc, "do_lower_case", &o->lower_case, err);
    if (!rc)
        rc = get_bool(doc, "tokenize_chinese_chars", &o->split_cjk, err);
    if (!rc)
        rc = get_bool(doc, "strip_accents", &o->strip_accents, err);
    files->accents_unsaid =
        is_unsaid(doc, ga__json_get(doc, 0, "strip_accents"));
    files->tokenizer_max = get_max_tokens(doc, "model_max_length");
    return rc;
}

static ga_status read_sentence_bert(const ga_json *doc, ga_model_files *files,
                                    ga_error *err)
{
    files->sentence_max = get_max_tokens(doc, "max_seq_length");
    return get_bool(doc, "do_lower_case", &files->sentence_lower, err);
}

/* Is `type` the module `name`?  It is a Python class with its package, which
 * moved over the years. */
static bool is_module(ga_str type, const char *name)
{
    size_t n = strlen(name);
    if (type.len < n || memcmp(type.ptr + type.len - n, name, n) != 0)
        return false;
    return type.len == n || type.ptr[type.len - n - 1] == '.';
}

static ga_status read_module(const ga_json *doc, uint32_t module,
                             ga_model_files *files, ga_error *err)
{
    uint32_t type = ga__json_get(doc, module, "type");
    uint32_t path = ga__json_get(doc, module, "path");
    ga_str name, dir = {"", 0};
    if (type == GA_JSON_NONE || ga__json_type(doc, type) != GA_JSON_STRING)
        return ga__fail(err, GA_FORMAT, "a module without a \"type\"");
    name = ga__json_raw(doc, type);
    if (path != GA_JSON_NONE && ga__json_type(doc, path) == GA_JSON_STRING)
        dir = ga__json_raw(doc, path);
    if (is_module(name, "Normalize")) /* is what we do anyway */
        return GA_OK;
    if (is_module(name, "Transformer")) {
        if (dir.len == 0)
            return GA_OK;
        return ga__fail(err, GA_UNSUPPORTED,
                        "the model lies in a folder of its own, '%.*s'",
                        (int)ga__utf8_prefix(dir, 64), dir.ptr);
    }
    if (!is_module(name, "Pooling"))
        return ga__fail(err, GA_UNSUPPORTED,
                        "a module '%.*s', only Transformer, Pooling and "
                        "Normalize are supported",
                        (int)ga__utf8_prefix(name, 128), name.ptr);
    if (dir.len == 0 || dir.len >= sizeof(files->pooling_dir) ||
        memchr(dir.ptr, '/', dir.len) || memchr(dir.ptr, '\\', dir.len) ||
        dir.ptr[0] == '.')
        return ga__fail(err, GA_UNSUPPORTED,
                        "the \"path\" of the pooling module is no plain name");
    snprintf(files->pooling_dir, sizeof(files->pooling_dir), "%.*s",
             (int)dir.len, dir.ptr);
    return GA_OK;
}

static ga_status read_modules(const ga_json *doc, ga_model_files *files,
                              ga_error *err)
{
    ga_status rc = GA_OK;
    files->pooling_dir[0] = '\0';
    if (ga__json_type(doc, 0) != GA_JSON_ARRAY)
        return ga__fail(err, GA_FORMAT, "no JSON array");
    for (uint32_t n = ga__json_first(0); n < doc->nodes[0].next && !rc;
         n = ga__json_next(doc, n))
        rc = read_module(doc, n, files, err);
    return rc;
}

/* One flag for each way, or the newer "pooling_mode" with the name of one. */
static ga_status read_pooling(const ga_json *doc, ga_model_files *files,
                              ga_error *err)
{
    static const char *const others[] = {
        "pooling_mode_max_tokens", "pooling_mode_mean_sqrt_len_tokens",
        "pooling_mode_weightedmean_tokens", "pooling_mode_lasttoken"};
    uint32_t mode = ga__json_get(doc, 0, "pooling_mode");
    bool cls = false, mean = is_unsaid(doc, mode), other = false;
    ga_status rc = get_bool(doc, "pooling_mode_cls_token", &cls, err);
    if (!rc)
        rc = get_bool(doc, "pooling_mode_mean_tokens", &mean, err);
    for (size_t i = 0; i < sizeof(others) / sizeof(*others) && !rc && !other;
         i++)
        rc = get_bool(doc, others[i], &other, err);
    if (rc)
        return rc;
    if (!is_unsaid(doc, mode)) {
        cls = ga__json_is(doc, mode, "cls");
        mean = ga__json_is(doc, mode, "mean");
    }
    if (other || cls == mean)
        return ga__fail(err, GA_UNSUPPORTED,
                        "the pooling is neither the mean of the tokens alone "
                        "nor the [CLS] token alone");
    files->config.pooling = cls ? GA_POOLING_CLS : GA_POOLING_MEAN;
    return GA_OK;
}

ga_status ga__model_files_read(ga_model_files *files, ga_model_file which,
                               ga_str json, ga_error *err)
{
    static ga_status (*const readers[GA_FILE_COUNT])(
        const ga_json *, ga_model_files *, ga_error *) = {
        [GA_FILE_CONFIG] = read_config,
        [GA_FILE_TOKENIZER] = read_tokenizer,
        [GA_FILE_SENTENCE_BERT] = read_sentence_bert,
        [GA_FILE_MODULES] = read_modules,
        [GA_FILE_POOLING] = read_pooling,
    };
    ga_json doc = GA_JSON_INIT;
    ga_status rc = parse(&doc, json, err);
    if (!rc && which != GA_FILE_MODULES)
        rc = check_object(&doc, err);
    if (!rc)
        rc = readers[which](&doc, files, err);
    ga__json_free(&doc);
    return rc;
}

static const char *boolean(bool b)
{
    return b ? "true" : "false";
}

ga_status ga__model_files_write(const ga_model_files *files, ga_buf *out,
                                ga_error *err)
{
    const ga_encoder_config *c = &files->config;
    const ga_wordpiece_options *o = &c->tokenizer;
    /* sentence-transformers cuts at max_seq_length and asks the tokenizer only
     * when that is not there */
    size_t max = files->sentence_max    ? files->sentence_max
                 : files->tokenizer_max ? files->tokenizer_max
                                        : c->positions;
    if (max > c->positions)
        max = c->positions;
    return ga__buf_printf(
        out, err,
        "{\"model_type\":\"bert\",\"hidden_act\":\"gelu\","
        "\"hidden_size\":%zu,\"num_hidden_layers\":%zu,"
        "\"num_attention_heads\":%zu,\"intermediate_size\":%zu,"
        "\"vocab_size\":%zu,\"max_position_embeddings\":%zu,"
        "\"type_vocab_size\":%zu,\"layer_norm_eps\":%s,"
        "\"pooling\":\"%s\",\"max_tokens\":%zu,"
        "\"do_lower_case\":%s,\"strip_accents\":%s,"
        "\"tokenize_chinese_chars\":%s}",
        c->hidden, c->layers, c->heads, c->intermediate, c->vocab, c->positions,
        c->types, files->norm_eps,
        c->pooling == GA_POOLING_CLS ? "cls" : "mean", max,
        boolean(o->lower_case || files->sentence_lower),
        boolean(files->accents_unsaid ? o->lower_case : o->strip_accents),
        boolean(o->split_cjk));
}
