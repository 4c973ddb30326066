/* tokenize.c: ids of the texts on stdin, for comparing with other tokenizers.
 *
 *     tokenize_tool [--cased] [--accents strip|keep] [--no-cjk] [--max N]
 *                   vocab.txt
 *
 * Each line of stdin is a JSON string; each line of stdout is the JSON array of
 * its ids. */
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/json.h"
#include "base/limits.h"
#include "text/wordpiece.h"

typedef struct {
    const char *vocab;
    ga_wordpiece_options tokenizer;
    size_t max;
} options;

static int usage(void)
{
    fprintf(stderr, "usage: tokenize_tool [--cased] [--accents strip|keep] "
                    "[--no-cjk] [--max N] vocab.txt\n");
    return 2;
}

static bool read_options(int argc, char **argv, options *o)
{
    const char *accents = NULL;
    *o = (options){.tokenizer = {true, true, true}, .max = SIZE_MAX};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--cased") == 0)
            o->tokenizer.lower_case = false;
        else if (strcmp(argv[i], "--no-cjk") == 0)
            o->tokenizer.split_cjk = false;
        else if (strcmp(argv[i], "--accents") == 0 && i + 1 < argc)
            accents = argv[++i];
        else if (strcmp(argv[i], "--max") == 0 && i + 1 < argc)
            o->max = strtoul(argv[++i], NULL, 10);
        else if (argv[i][0] == '-' || o->vocab)
            return false;
        else
            o->vocab = argv[i];
    }
    o->tokenizer.strip_accents =
        accents ? strcmp(accents, "strip") == 0 : o->tokenizer.lower_case;
    return o->vocab != NULL;
}

static void print_ids(const uint32_t *ids, size_t n)
{
    putchar('[');
    for (size_t i = 0; i < n; i++)
        printf(i ? ",%u" : "%u", ids[i]);
    puts("]");
}

static ga_status tokenize_lines(const options *o, const ga_wordpiece *wp,
                                ga_error *err)
{
    ga_json doc = GA_JSON_INIT;
    ga_buf text;
    ga__buf_init(&text, GA_MAX_TEXT_BYTES);
    ga_wordpiece_scratch *s = ga__wordpiece_scratch_new();
    ga_status rc = s ? GA_OK : GA_NOMEM;
    char *line = NULL;
    size_t cap = 0;
    ssize_t len;
    while (!rc && (len = getline(&line, &cap, stdin)) >= 0) {
        const uint32_t *ids = NULL;
        size_t n = 0;
        bool truncated;
        ga__buf_clear(&text);
        rc = ga__json_parse(&doc, (ga_str){line, (size_t)len}, err);
        if (!rc)
            rc = ga__json_string(&doc, 0, &text, err);
        if (!rc)
            rc = ga__wordpiece_encode(wp, s, (ga_str){text.ptr, text.len},
                                      o->max, &ids, &n, &truncated, err);
        if (!rc)
            print_ids(ids, n);
    }
    free(line);
    ga__wordpiece_scratch_free(s);
    ga__buf_free(&text);
    ga__json_free(&doc);
    return rc;
}

int main(int argc, char **argv)
{
    options o;
    ga_error err = {"out of memory"};
    ga_map vocab = GA_MAP_INIT;
    ga_wordpiece *wp = NULL;
    if (!read_options(argc, argv, &o))
        return usage();
    ga_status rc = ga__map_open(o.vocab, &vocab, &err);
    if (!rc)
        rc = ga__wordpiece_open((ga_str){(const char *)vocab.ptr, vocab.len},
                                &o.tokenizer, &wp, &err);
    if (!rc)
        rc = tokenize_lines(&o, wp, &err);
    if (rc)
        fprintf(stderr, "tokenize_tool: %s\n", err.msg);
    ga__wordpiece_close(wp);
    ga__map_close(&vocab);
    return rc ? 1 : 0;
}
