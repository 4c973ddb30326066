/* tiny_bert.h: a BERT small enough to be made by a test.
 *
 * Its weights are pseudo-random and follow from the tensors' names alone;
 * golden/make_encoder.py makes the same ones.  Every weight has at most eight
 * significant bits, so that F32, F16 and BF16 hold the same model.  No size is
 * a multiple of a vector. */
#ifndef GA_TESTS_TINY_BERT_H
#define GA_TESTS_TINY_BERT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    TINY_HIDDEN = 24,
    TINY_HEADS = 3,
    TINY_INTERMEDIATE = 40,
    TINY_LAYERS = 2,
    TINY_VOCAB = 48,
    TINY_POSITIONS = 40,
    TINY_TYPES = 2
};

#define TINY_CONFIG                                                            \
    "{\"architectures\":[\"BertModel\"],\"model_type\":\"bert\","              \
    "\"hidden_act\":\"gelu\",\"hidden_size\":24,\"num_hidden_layers\":2,"      \
    "\"num_attention_heads\":3,\"intermediate_size\":40,\"vocab_size\":48,"    \
    "\"max_position_embeddings\":40,\"type_vocab_size\":2,"                    \
    "\"layer_norm_eps\":1e-12}"

#define TINY_VOCABULARY                                                        \
    "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\na\ncat\ndog\nsat\non\nmat\n"     \
    "##s\n##ing\nrun\nquick\nbrown\nfox\njump\nover\nlazy\n.\n,\n!\n?\nis\n"   \
    "it\n##ed\nb\nc\n##b\n##c\nin\nof\nto\nwe\nyou\ni\n1\n2\n##1\n##2\n"

/* What is unlike a plain F32 model; zero stands for nothing. */
typedef struct {
    const char *prefix;     /* in front of every name */
    const char *dtype;      /* "F16", "BF16"; "F64" and others are zeros */
    bool tensorflow;        /* LayerNorm.gamma and .beta */
    const char *skip;       /* leave out the tensors whose name ends so */
    const char *wrong;      /* one row more in those whose name ends so */
    const char *value_of;   /* all of those whose name ends so ... */
    float value;            /* ... have this value */
    const char *config;     /* instead of TINY_CONFIG */
    const char *vocabulary; /* instead of TINY_VOCABULARY; "" for no file */
    const char *modules, *pooling; /* modules.json, 1_Pooling/config.json */
} tiny_options;

typedef struct {
    const tiny_options *options;
    char header[16384];
    size_t header_len;
    unsigned char data[262144];
    size_t data_len;
} tiny_file;

static bool tiny_ends(const char *name, const char *end)
{
    size_t n = strlen(name), m = end ? strlen(end) : 0;
    return end && n >= m && strcmp(name + n - m, end) == 0;
}

static uint64_t tiny_hash(const char *name)
{
    uint64_t h = 0xCBF29CE484222325u; /* FNV-1a */
    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * 0x100000001B3u;
    return h;
}

/* The next weight: k / 512 with k of -128 to 127; around 1 for gammas. */
static float tiny_weight(uint64_t *state, bool gamma)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    int k = (int)(*state >> 56) - 128;
    return gamma ? 1.0f + (float)((k + 128) / 8 - 16) / 64.0f
                 : (float)k / 512.0f;
}

static size_t tiny_put(unsigned char *out, float v, const char *dtype)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof(bits));
    if (!dtype || strcmp(dtype, "F32") == 0) {
        memcpy(out, &bits, 4); /* tests run on little-endian machines */
        return 4;
    }
    if (strcmp(dtype, "BF16") == 0) {
        uint16_t h = (uint16_t)(bits >> 16);
        memcpy(out, &h, 2);
        return 2;
    }
    if (strcmp(dtype, "F16") == 0) { /* no weight is subnormal, but 0 is 0 */
        uint16_t h = (uint16_t)(bits >> 16 & 0x8000u);
        if (v != 0)
            h = (uint16_t)(h | ((bits >> 23 & 0xFFu) - 112) << 10 |
                           (bits >> 13 & 0x3FFu));
        memcpy(out, &h, 2);
        return 2;
    }
    memset(out, 0, 8);
    return 8;
}

static void tiny_tensor(tiny_file *f, const char *name, size_t rows,
                        size_t columns)
{
    const tiny_options *o = f->options;
    const char *dtype = o->dtype ? o->dtype : "F32";
    char shown[128], shape[64];
    size_t start = f->data_len, n;
    bool gamma = tiny_ends(name, "LayerNorm.weight");
    bool fixed = tiny_ends(name, o->value_of);
    uint64_t state = tiny_hash(name);
    if (tiny_ends(name, o->skip))
        return;
    if (tiny_ends(name, o->wrong))
        rows++;
    snprintf(shown, sizeof(shown), "%s", name);
    if (o->tensorflow && tiny_ends(name, "LayerNorm.weight"))
        strcpy(shown + strlen(shown) - strlen("weight"), "gamma");
    if (o->tensorflow && tiny_ends(name, "LayerNorm.bias"))
        strcpy(shown + strlen(shown) - strlen("bias"), "beta");
    if (columns)
        snprintf(shape, sizeof(shape), "%zu,%zu", rows, columns);
    else
        snprintf(shape, sizeof(shape), "%zu", rows);
    n = rows * (columns ? columns : 1);
    for (size_t i = 0; i < n; i++) {
        float v = tiny_weight(&state, gamma);
        f->data_len +=
            tiny_put(f->data + f->data_len, fixed ? o->value : v, dtype);
    }
    f->header_len += (size_t)snprintf(
        f->header + f->header_len, sizeof(f->header) - f->header_len,
        "%s\"%s%s\":{\"dtype\":\"%s\",\"shape\":[%s],"
        "\"data_offsets\":[%zu,%zu]}",
        f->header_len > 1 ? "," : "", o->prefix ? o->prefix : "", shown, dtype,
        shape, start, f->data_len);
}

static void tiny_linear(tiny_file *f, const char *at, const char *name,
                        size_t N, size_t K)
{
    char full[128];
    snprintf(full, sizeof(full), "%s%s.weight", at, name);
    tiny_tensor(f, full, N, K);
    snprintf(full, sizeof(full), "%s%s.bias", at, name);
    tiny_tensor(f, full, N, 0);
}

/* model.safetensors, in memory; free() releases it. */
static unsigned char *tiny_weights(const tiny_options *options, size_t *len)
{
    const size_t H = TINY_HIDDEN, I = TINY_INTERMEDIATE;
    tiny_file *f = calloc(1, sizeof(*f));
    f->options = options;
    f->header[f->header_len++] = '{';
    tiny_tensor(f, "embeddings.word_embeddings.weight", TINY_VOCAB, H);
    tiny_tensor(f, "embeddings.position_embeddings.weight", TINY_POSITIONS, H);
    tiny_tensor(f, "embeddings.token_type_embeddings.weight", TINY_TYPES, H);
    tiny_linear(f, "", "embeddings.LayerNorm", H, 0);
    for (int i = 0; i < TINY_LAYERS; i++) {
        char at[64];
        snprintf(at, sizeof(at), "encoder.layer.%d.", i);
        tiny_linear(f, at, "attention.self.query", H, H);
        tiny_linear(f, at, "attention.self.key", H, H);
        tiny_linear(f, at, "attention.self.value", H, H);
        tiny_linear(f, at, "attention.output.dense", H, H);
        tiny_linear(f, at, "attention.output.LayerNorm", H, 0);
        tiny_linear(f, at, "intermediate.dense", I, H);
        tiny_linear(f, at, "output.dense", H, I);
        tiny_linear(f, at, "output.LayerNorm", H, 0);
    }
    f->header[f->header_len++] = '}';
    while (f->header_len % 8)
        f->header[f->header_len++] = ' ';
    *len = 8 + f->header_len + f->data_len;
    unsigned char *out = calloc(1, *len);
    for (int i = 0; i < 8; i++)
        out[i] = (unsigned char)((uint64_t)f->header_len >> 8 * i);
    memcpy(out + 8, f->header, f->header_len);
    memcpy(out + 8 + f->header_len, f->data, f->data_len);
    free(f);
    return out;
}

static void tiny_write(const char *dir, const char *name, const void *bytes,
                       size_t len)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(bytes, 1, len, f) != len || fclose(f)) {
        perror(path);
        exit(1);
    }
}

/* A folder with the model; `dir` gets its name. */
static void tiny_folder(const tiny_options *options, char dir[64])
{
    size_t len;
    char sub[96];
    const char *config = options->config ? options->config : TINY_CONFIG;
    const char *vocabulary =
        options->vocabulary ? options->vocabulary : TINY_VOCABULARY;
    unsigned char *weights = tiny_weights(options, &len);
    strcpy(dir, "/tmp/guidealign-tiny-XXXXXX");
    if (!mkdtemp(dir)) {
        perror(dir);
        exit(1);
    }
    tiny_write(dir, "model.safetensors", weights, len);
    tiny_write(dir, "config.json", config, strlen(config));
    if (vocabulary[0])
        tiny_write(dir, "vocab.txt", vocabulary, strlen(vocabulary));
    if (options->modules)
        tiny_write(dir, "modules.json", options->modules,
                   strlen(options->modules));
    snprintf(sub, sizeof(sub), "%s/1_Pooling", dir);
    if (options->pooling && mkdir(sub, 0700) == 0)
        tiny_write(sub, "config.json", options->pooling,
                   strlen(options->pooling));
    free(weights);
}

static void tiny_remove(const char *dir)
{
    static const char *const names[] = {
        "model.safetensors",     "config.json",    "vocab.txt",
        "modules.json",          "tokenizer.json", "tokenizer_config.json",
        "1_Pooling/config.json", "1_Pooling"};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        char path[512];
        snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
        remove(path);
    }
    rmdir(dir);
}

#endif
