/* folder.c: a model from a folder in Hugging Face layout. */
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/limits.h"
#include "encoder/encoder_internal.h"

/* Does the folder hold such a file?  For messages only. */
static bool has(const char *dir, const char *name)
{
    ga_map map;
    char *path = ga__path_join(dir, name);
    bool there = path && ga__map_open(path, &map, NULL) == GA_OK;
    if (there)
        ga__map_close(&map);
    free(path);
    return there;
}

/* Read one of the JSON files into `files`; fine when it is not there and need
 * not be. */
static ga_status read_json(const char *dir, const char *name,
                           ga_model_file which, ga_model_files *files,
                           ga_error *err)
{
    size_t len;
    char *text = NULL, *path = ga__path_join(dir, name);
    if (!path)
        return ga__fail_nomem(err, strlen(dir) + strlen(name));
    ga_status rc = ga__file_read(path, GA_MAX_CONFIG_BYTES, &text, &len, err);
    if (rc == GA_NOTFOUND && which != GA_FILE_CONFIG) {
        rc = GA_OK;
    } else if (!rc) {
        rc = ga__model_files_read(files, which, (ga_str){text, len}, err);
        if (rc)
            ga__error_prefix(err, "'%s'", path);
    }
    free(text);
    free(path);
    return rc;
}

static ga_status read_config(const char *dir, ga_buf *out, ga_error *err)
{
    static const struct {
        ga_model_file which;
        const char *name;
    } plain[] = {
        {GA_FILE_CONFIG, "config.json"},
        {GA_FILE_TOKENIZER, "tokenizer_config.json"},
        {GA_FILE_SENTENCE_BERT, "sentence_bert_config.json"},
        {GA_FILE_MODULES, "modules.json"},
    };
    ga_model_files files;
    ga_status rc = GA_OK;
    ga__model_files_init(&files);
    for (size_t i = 0; i < sizeof(plain) / sizeof(*plain) && !rc; i++)
        rc = read_json(dir, plain[i].name, plain[i].which, &files, err);
    if (!rc && files.pooling_dir[0]) {
        char name[sizeof(files.pooling_dir) + sizeof("/config.json")];
        snprintf(name, sizeof(name), "%s/config.json", files.pooling_dir);
        rc = read_json(dir, name, GA_FILE_POOLING, &files, err);
    }
    return rc ? rc : ga__model_files_write(&files, out, err);
}

static ga_status read_vocabulary(const char *dir, ga_encoder *enc, ga_str *out,
                                 ga_error *err)
{
    size_t len;
    char *path = ga__path_join(dir, "vocab.txt");
    if (!path)
        return ga__fail_nomem(err, strlen(dir));
    ga_status rc =
        ga__file_read(path, GA_MAX_VOCAB_BYTES, &enc->vocab_bytes, &len, err);
    free(path);
    if (rc == GA_NOTFOUND && has(dir, "tokenizer.json"))
        return ga__fail(err, GA_NOTFOUND,
                        "'%.200s' has tokenizer.json but no vocab.txt; if the "
                        "model's tokenizer is WordPiece, this writes one: "
                        "python3 -c \"import sys, tokenizers; "
                        "tokenizers.Tokenizer.from_file(sys.argv[1] + "
                        "'/tokenizer.json').model.save(sys.argv[1])\" FOLDER",
                        dir);
    if (!rc)
        *out = (ga_str){enc->vocab_bytes, len};
    return rc;
}

static ga_status map_weights(const char *dir, ga_map *map, ga_error *err)
{
    char *path = ga__path_join(dir, "model.safetensors");
    if (!path)
        return ga__fail_nomem(err, strlen(dir));
    ga_status rc = ga__map_open(path, map, err);
    free(path);
    if (rc == GA_NOTFOUND && has(dir, "pytorch_model.bin"))
        return ga__fail(err, GA_NOTFOUND,
                        "'%.200s' has pytorch_model.bin but no "
                        "model.safetensors; save the model once more with "
                        "save_pretrained(..., safe_serialization=True)",
                        dir);
    if (rc == GA_NOTFOUND && has(dir, "model.safetensors.index.json"))
        return ga__fail(err, GA_UNSUPPORTED,
                        "'%.200s' has its weights in several files, only one "
                        "model.safetensors is supported",
                        dir);
    return rc;
}

ga_status ga_encoder_open_as(const char *dir, ga_precision precision,
                             ga_encoder **out, ga_error *err)
{
    static const ga_image_names names = {"configuration", "vocab.txt",
                                         "model.safetensors"};
    ga_encoder_image image;
    ga_map weights = GA_MAP_INIT;
    *out = NULL;
    if (!dir)
        return ga__fail(err, GA_INVAL, "no model folder was named");
    ga_encoder *enc = ga__calloc(1, sizeof(*enc));
    if (!enc)
        return ga__fail_nomem(err, sizeof(*enc));
    ga__buf_init(&enc->config_bytes, GA_MAX_CONFIG_BYTES);
    ga_status rc = read_config(dir, &enc->config_bytes, err);
    if (rc)
        goto fail;
    image.config = (ga_str){enc->config_bytes.ptr, enc->config_bytes.len};
    rc = read_vocabulary(dir, enc, &image.vocab, err);
    if (!rc)
        rc = map_weights(dir, &weights, err);
    if (rc)
        goto fail;
    image.weights = (ga_str){(const char *)weights.ptr, weights.len};
    rc = ga__encoder_load(enc, &image, &names, precision, ga__kernels(), err);
    ga__map_close(&weights); /* the prepared copy is what is used */
    if (rc) {
        ga__error_prefix(err, "'%s'", dir);
        goto fail;
    }
    *out = enc;
    return GA_OK;
fail:
    ga_encoder_close(enc);
    return rc;
}

ga_status ga_encoder_open(const char *dir, ga_encoder **out, ga_error *err)
{
    return ga_encoder_open_as(dir, GA_PRECISION_F32, out, err);
}
