/* config.h: what a model is, as its folder says and as a pack stores it.
 *
 * A folder in Hugging Face layout spreads it over five files.  They are read
 * into a ga_model_files and written as one JSON object, and only that object
 * opens an encoder: a folder and a pack take the same way. */
#ifndef GA_ENCODER_CONFIG_H
#define GA_ENCODER_CONFIG_H

#include "base/buf.h"
#include "text/wordpiece.h"

typedef enum { GA_POOLING_MEAN, GA_POOLING_CLS } ga_pooling;

typedef struct {
    size_t hidden;       /* H */
    size_t layers;       /* L */
    size_t heads;        /* each H / heads wide */
    size_t intermediate; /* I */
    size_t vocab;        /* V, rows of the word embeddings */
    size_t positions;    /* P, rows of the position embeddings */
    size_t types;        /* rows of the token type embeddings */
    size_t max_tokens;   /* where a text is cut; 2 to P */
    float norm_eps;
    ga_pooling pooling;
    ga_wordpiece_options tokenizer;
} ga_encoder_config;

/* Read the one object.  Errors: GA_FORMAT a value is missing or not possible;
 * GA_UNSUPPORTED another architecture; GA_LIMIT; GA_NOMEM. */
ga_status ga__encoder_config_parse(ga_str json, ga_encoder_config *out,
                                   ga_error *err);

/* The files of a folder.  modules.json is to be read in front of the pooling
 * module's config.json, as it says where that lies. */
typedef enum {
    GA_FILE_CONFIG,        /* config.json, the only one that must be there */
    GA_FILE_TOKENIZER,     /* tokenizer_config.json */
    GA_FILE_SENTENCE_BERT, /* sentence_bert_config.json */
    GA_FILE_MODULES,       /* modules.json */
    GA_FILE_POOLING,       /* config.json in pooling_dir */
    GA_FILE_COUNT
} ga_model_file;

typedef struct {
    ga_encoder_config config; /* as far as one file alone decides it */
    char norm_eps[32];        /* the number as it was written */
    char pooling_dir[64];     /* "" when there is no pooling module */
    size_t tokenizer_max;     /* tokens; 0 when nothing was said */
    size_t sentence_max;      /* the same */
    bool sentence_lower;      /* sentence_bert_config.json: lower first */
    bool accents_unsaid;      /* strip_accents was null: as do_lower_case */
} ga_model_files;

void ga__model_files_init(ga_model_files *files);

/* Take in the text of one file.  Errors as above; they do not name the file. */
ga_status ga__model_files_read(ga_model_files *files, ga_model_file which,
                               ga_str json, ga_error *err);

/* Append the one object to out. */
ga_status ga__model_files_write(const ga_model_files *files, ga_buf *out,
                                ga_error *err);

#endif
