/* embed.c: `guidealign embed`, a vector for each line. */
#include <stdlib.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/threads.h"
#include "base/utf8.h"
#include "cli/cli.h"
#include "guidealign/guidealign.h"

enum { BATCH = 256, BATCH_BYTES = 4 << 20 };

typedef struct {
    const ga_encoder *enc;
    ga_scratch *scratch;
    bool json;
    char *bytes[BATCH];
    ga_str texts[BATCH];
    size_t count, total; /* texts and bytes of the batch */
    float *out;          /* [BATCH, H] */
} state;

static void print_vector(const state *s, const float *v, size_t H)
{
    if (s->json) {
        json_t *list = json_array();
        for (size_t j = 0; j < H; j++)
            json_array_append_new(list, json_real((double)v[j]));
        cli_json_line(json_pack("{s:o}", "embedding", list));
        return;
    }
    for (size_t j = 0; j < H; j++)
        printf("%s%.9g", j ? " " : "", (double)v[j]);
    putchar('\n');
}

static ga_status flush(state *s, ga_error *err)
{
    size_t H = ga_encoder_dim(s->enc);
    ga_status rc =
        ga_encoder_embed(s->enc, s->scratch, s->texts, s->count, s->out, err);
    for (size_t i = 0; i < s->count; i++) {
        if (!rc)
            print_vector(s, s->out + i * H, H);
        free(s->bytes[i]);
    }
    s->count = s->total = 0;
    return rc;
}

static ga_status add_line(state *s, const cli_lines *in, ga_error *err)
{
    ga_str line = {in->line, in->len};
    size_t bad = ga__utf8_invalid_at(line);
    if (bad < line.len)
        return ga__fail(err, GA_INVAL, "%s:%zu: invalid UTF-8 at byte %zu",
                        in->name, in->number, bad);
    char *copy = ga__strndup(line.ptr, line.len);
    if (!copy)
        return ga__fail_nomem(err, line.len);
    s->bytes[s->count] = copy;
    s->texts[s->count++] = (ga_str){copy, line.len};
    s->total += line.len;
    return s->count == BATCH || s->total >= BATCH_BYTES ? flush(s, err) : GA_OK;
}

/* A bad line ends the run: what stands before it is printed, and the message
 * names the line. */
static ga_status read_lines(state *s, const char *path, ga_error *err)
{
    cli_lines in = {0};
    bool end = false;
    ga_status rc = cli_lines_open(&in, path, err);
    while (!rc && !end && !ferror(stdout)) { /* nobody reads on */
        rc = cli_lines_next(&in, &end, err);
        if (!rc && !end)
            rc = add_line(s, &in, err);
    }
    if (s->count > 0) {
        ga_status last = flush(s, rc ? NULL : err);
        rc = rc ? rc : last;
    }
    cli_lines_close(&in);
    return rc;
}

static int run(int argc, char **argv)
{
    const char *model = NULL, *precision = "f32";
    ga_precision as;
    state s = {0};
    unsigned threads = ga__cpu_count();
    int count;
    bool done;
    const cli_option options[] = {
        {OPT_STRING, 'm', "model", "DIR|PACK",
         "a model folder or a pack; else the retriever", &model, 0, 0},
        {OPT_STRING, 0, "precision", "P",
         "f32, bf16 or int8, of a model folder (f32)", &precision, 0, 0},
        {OPT_UINT, 0, "threads", "N", "threads (all)", &threads, 1, 256},
        {OPT_FLAG, 0, "json", NULL, "{\"embedding\":[...]} a line", &s.json, 0,
         0},
        {0}};
    int status = cli_parse(&cli_embed, options, argc, argv, &count, &done);
    if (status || done)
        return status;
    if (count > 1)
        return cli_usagef(&cli_embed, "one FILE at most");
    ga_error err;
    if (ga_precision_find(precision, &as, &err))
        return cli_usagef(&cli_embed, "%s", err.msg);
    if (!model)
        model = cli_get_paths()->retriever;
    if (!model)
        return cli_failf("there is no retriever: 'make setup' fetches it, or "
                         "name a model with --model");
    ga_encoder *enc = NULL;
    ga_pack *pack = NULL;
    ga_status rc = cli_is_folder(model)
                       ? ga_encoder_open_as(model, as, &enc, &err)
                       : ga_pack_open(model, &pack, &err);
    s.enc = pack ? ga_pack_encoder(pack) : enc;
    if (!rc)
        rc = ga_scratch_new(threads, &s.scratch, &err);
    if (!rc) {
        s.out = ga__calloc(BATCH, ga_encoder_dim(s.enc) * sizeof(*s.out));
        rc = s.out ? read_lines(&s, count ? argv[0] : "-", &err)
                   : ga__fail_nomem(&err, BATCH);
    }
    if (!rc && ga_scratch_truncated(s.scratch) > 0)
        cli_warnf("%llu texts were cut at %zu tokens",
                  (unsigned long long)ga_scratch_truncated(s.scratch),
                  ga_encoder_max_tokens(s.enc));
    free(s.out);
    ga_scratch_free(s.scratch);
    ga_encoder_close(enc);
    ga_pack_close(pack);
    return cli_finish(rc ? cli_fail(&err) : EXIT_DONE);
}

const cli_command cli_embed = {
    .name = "embed",
    .usage = "[OPTIONS] [FILE]",
    .summary = "a vector for each line of text",
    .about = "Reads one text a line from FILE or standard input and prints its "
             "embedding, of unit length, in the order of the lines.",
    .example = "printf 'hello\\nworld\\n' | guidealign embed --json",
    .run = run,
};
