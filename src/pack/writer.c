/* writer.c: making a pack from the guidelines of a library. */
#include "pack/writer.h"

#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/sha256.h"
#include "base/utf8.h"
#include "encoder/encoder.h"
#include "index/index.h"
#include "pack/render.h"

enum { BATCH = 256 };

static const size_t MOST_STRINGS = UINT32_MAX;

/* All that goes into the file, and what it is made from. */
typedef struct {
    const ga_encoder *enc;
    ga_scratch *scratch;
    const ga_kernels *kernels;
    const ga_pack_options *options;
    ga_pack_report *report;
    ga_error *err;
    const ga_guideline **list; /* [G], by id */
    size_t G, H, N, M;         /* N triggers, M near misses */
    ga_pack_row *rows;         /* [G] */
    ga_buf strings;
    float *text;      /* [G, H] */
    float *prompts;   /* [N + M, H], triggers first */
    uint32_t *owner;  /* [N + M] */
    uint32_t *labels; /* [N + M] */
    uint8_t *kind;    /* [G] */
    ga_fit fit;
    float *risk_head;  /* [GA_RISK_OUTPUTS, H + 1] */
    uint32_t *cluster; /* [G] */
    uint8_t *codes;    /* [G, H] in 4 bits */
    size_t code_bytes;
    float *code_rows; /* [3, G] */
    size_t done;      /* texts encoded */
} maker;

void ga__pack_options_init(ga_pack_options *options)
{
    *options = (ga_pack_options){
        .text_weight = 2,
        .shrinkage = 0.9F,
        .duplicate = 0.95F,
        .heading = "Here are some guidelines for the AI assistant to follow:",
    };
}

static int by_id(const void *a, const void *b)
{
    return ga__str_compare((*(const ga_guideline *const *)a)->id,
                           (*(const ga_guideline *const *)b)->id);
}

static bool good_text(ga_str s, size_t most)
{
    return s.len <= most && ga__utf8_invalid_at(s) == s.len;
}

/* What the reader would refuse is not written.  A library has checked its
 * records, with better messages. */
static ga_status check_record(const ga_guideline *g, ga_error *err)
{
    const char *what = NULL;
    if (g->id.len == 0 || !good_text(g->id, GA_MAX_ID_BYTES))
        what = "id";
    else if (!good_text(g->title, GA_MAX_TITLE_BYTES))
        what = "title";
    else if (!good_text(g->text, GA_MAX_GUIDELINE_BYTES))
        what = "text";
    else if (g->scope.count > GA_MAX_TAGS)
        what = "scope";
    else if (g->kind > GA_GUIDELINE_QUALITY)
        what = "kind";
    else if (g->priority > 9)
        what = "priority";
    for (size_t i = 0; !what && i < g->scope.count; i++) {
        ga_str s = g->scope.items[i];
        if (!good_text(s, GA_MAX_TAG_BYTES) || s.len == 0 ||
            memchr(s.ptr, '\n', s.len))
            what = "scope";
    }
    if (!what)
        return GA_OK;
    ga_str shown = {g->id.ptr, ga__utf8_invalid_at(g->id)};
    return ga__fail(err, GA_INVAL, "guideline '%.*s': \"%s\" cannot be packed",
                    (int)ga__utf8_prefix(shown, GA_MAX_ID_BYTES), shown.ptr,
                    what);
}

static ga_status check_options(const ga_pack_options *o, ga_error *err)
{
    if (!(o->text_weight >= 0 && o->text_weight <= GA_PACK_MOST))
        return ga__fail(err, GA_INVAL, "text weight is %g: at least 0",
                        (double)o->text_weight);
    if (!(o->shrinkage >= 0 && o->shrinkage <= 1))
        return ga__fail(err, GA_INVAL, "shrinkage is %g: 0 to 1 are possible",
                        (double)o->shrinkage);
    if (!(o->duplicate > 0))
        return ga__fail(err, GA_INVAL, "duplicate is %g: above 0",
                        (double)o->duplicate);
    if (!good_text(ga__str(o->heading), GA_MAX_CONFIG_BYTES))
        return ga__fail(err, GA_INVAL, "the heading is no UTF-8 or too long");
    return GA_OK;
}

/* The approved ones in the order of their ids. */
static ga_status collect(maker *m, const ga_guideline *guidelines, size_t n)
{
    m->list = ga__calloc(n, sizeof(*m->list));
    if (!m->list)
        return ga__fail_nomem(m->err, n * sizeof(*m->list));
    for (size_t i = 0; i < n; i++) {
        if (guidelines[i].status == GA_STATUS_APPROVED)
            m->list[m->G++] = &guidelines[i];
    }
    if (m->G == 0)
        return ga__fail(m->err, GA_INVAL,
                        "none of %zu guidelines is approved: approve some with "
                        "'guidealign library approve'",
                        n);
    if (m->G > GA_MAX_GUIDELINES)
        return ga__fail(m->err, GA_LIMIT, "%zu guidelines, the limit is %u",
                        m->G, GA_MAX_GUIDELINES);
    qsort(m->list, m->G, sizeof(*m->list), by_id);
    for (size_t g = 0; g < m->G; g++) {
        ga_str id = m->list[g]->id;
        ga_status rc = check_record(m->list[g], m->err);
        if (rc)
            return rc;
        if (g > 0 && ga__str_equal(id, m->list[g - 1]->id))
            return ga__fail(m->err, GA_INVAL,
                            "two guidelines have the id '%.*s'", (int)id.len,
                            id.ptr);
        m->N += m->list[g]->triggers.count;
        m->M += m->list[g]->non_triggers.count;
    }
    return GA_OK;
}

static ga_status allocate(maker *m)
{
    size_t P = m->N + m->M;
    m->rows = ga__calloc(m->G, sizeof(*m->rows));
    m->text = ga__calloc(m->G, m->H * sizeof(*m->text));
    m->prompts = ga__calloc(P, m->H * sizeof(*m->prompts));
    m->fit.z = ga__calloc(m->N, m->H * sizeof(*m->fit.z));
    m->owner = ga__calloc(P, sizeof(*m->owner));
    m->labels = ga__calloc(P, sizeof(*m->labels));
    m->kind = ga__calloc(m->G, sizeof(*m->kind));
    m->fit.vectors = ga__calloc(m->G, m->H * sizeof(*m->fit.vectors));
    m->fit.biases = ga__calloc(m->G, sizeof(*m->fit.biases));
    m->risk_head =
        ga__calloc(GA_RISK_OUTPUTS, (m->H + 1) * sizeof(*m->risk_head));
    m->cluster = ga__calloc(m->G, sizeof(*m->cluster));
    if (!ga__index_code_bytes(m->G, m->H, &m->code_bytes))
        return ga__fail_nomem(m->err, SIZE_MAX);
    m->codes = ga__calloc(m->code_bytes, 1);
    m->code_rows = ga__calloc(m->G, 3 * sizeof(*m->code_rows));
    if (!m->codes || !m->code_rows || !m->rows || !m->text || !m->prompts ||
        !m->fit.z || !m->owner || !m->labels || !m->kind || !m->fit.vectors ||
        !m->fit.biases || !m->risk_head || !m->cluster)
        return ga__fail_nomem(m->err, (P + m->G) * m->H * sizeof(float));
    return GA_OK;
}

/* Append to the pool and say where. */
static ga_status put_string(maker *m, ga_str s, uint32_t *at, uint32_t *len)
{
    *at = (uint32_t)m->strings.len;
    *len = (uint32_t)s.len;
    return ga__buf_append(&m->strings, s.ptr, s.len, m->err);
}

static uint16_t risk_bits(const ga_guideline *g)
{
    unsigned bits = 0;
    for (size_t i = 0; i < g->risks.count; i++) {
        size_t risk = ga__risk_find(g->risks.items[i]);
        if (risk < GA_RISK_COUNT)
            bits |= 1u << risk;
    }
    return (uint16_t)bits;
}

/* The first part of a text that surely has no more tokens than the encoder
 * reads, which is one a byte, cut at a space where there is one. */
static size_t readable_part(ga_str text, size_t most)
{
    size_t n = ga__utf8_prefix(text, most), space = n;
    if (n == text.len)
        return n;
    while (space > 0 && text.ptr[space] != ' ')
        space--;
    n = space > 0 ? space : n;
    return n > 0 ? n : text.len;
}

/* Tokens of the guideline as it is rendered, with its line's start and end.
 * The encoder reads only so many, but a guideline is shown as a whole. */
static ga_status count_tokens(maker *m, ga_str rendered, uint32_t *tokens)
{
    enum { MARKS = 2 /* [CLS], [SEP] */, LINE = 2 };
    size_t most = ga_encoder_max_tokens(m->enc) - MARKS, n = LINE;
    while (rendered.len > 0) {
        size_t count = MARKS, part = readable_part(rendered, most);
        ga_status rc = ga_encoder_tokenize(m->enc, m->scratch,
                                           (ga_str){rendered.ptr, part}, NULL,
                                           0, &count, m->err);
        if (rc)
            return rc;
        n += count - MARKS;
        rendered = (ga_str){rendered.ptr + part, rendered.len - part};
    }
    *tokens = (uint32_t)n;
    return GA_OK;
}

static ga_status fill_row(maker *m, size_t g, ga_str rendered)
{
    const ga_guideline *in = m->list[g];
    ga_pack_row *r = &m->rows[g];
    ga_status rc = put_string(m, in->id, &r->id_at, &r->id_len);
    if (!rc)
        rc = put_string(m, in->title, &r->title_at, &r->title_len);
    if (!rc)
        rc = put_string(m, in->text, &r->text_at, &r->text_len);
    r->scope_at = (uint32_t)m->strings.len;
    for (size_t i = 0; i < in->scope.count && !rc; i++) {
        rc = ga__buf_append(&m->strings, in->scope.items[i].ptr,
                            in->scope.items[i].len, m->err);
        if (!rc)
            rc = ga__buf_append(&m->strings, "\n", 1, m->err);
    }
    r->scope_len = (uint32_t)m->strings.len - r->scope_at;
    r->risks = risk_bits(in);
    r->kind = (uint8_t)in->kind;
    r->priority = (uint8_t)in->priority;
    m->kind[g] = r->kind;
    return rc ? rc : count_tokens(m, rendered, &r->tokens);
}

/* Encode texts in batches, telling how far it is. */
static ga_status encode(maker *m, const ga_str *texts, size_t n, float *out)
{
    for (size_t at = 0; at < n; at += BATCH) {
        size_t b = n - at < BATCH ? n - at : BATCH;
        ga_status rc = ga_encoder_embed(m->enc, m->scratch, texts + at, b,
                                        out + at * m->H, m->err);
        if (rc)
            return rc;
        m->done += b;
        if (m->options->progress &&
            !m->options->progress(m->options->progress_arg, m->done,
                                  m->G + m->N + m->M))
            return ga__fail(m->err, GA_CANCELED, "canceled");
    }
    return GA_OK;
}

/* Rows, strings and the embeddings of the rendered guidelines. */
static ga_status take_guidelines(maker *m)
{
    ga_buf rendered;
    size_t *ends = ga__calloc(m->G + 1, sizeof(*ends));
    ga_str *texts = ga__calloc(m->G, sizeof(*texts));
    ga_status rc = GA_OK;
    ga__buf_init(&rendered, SIZE_MAX / 2);
    ga__buf_init(&m->strings, MOST_STRINGS);
    if (!ends || !texts) {
        rc = ga__fail_nomem(m->err, m->G * sizeof(*texts));
        goto out;
    }
    for (size_t g = 0; g < m->G && !rc; g++) {
        rc = ga__render_guideline(m->list[g]->title, m->list[g]->text,
                                  &rendered, m->err);
        ends[g + 1] = rendered.len;
    }
    for (size_t g = 0; g < m->G && !rc; g++) {
        texts[g] = (ga_str){rendered.ptr + ends[g], ends[g + 1] - ends[g]};
        rc = fill_row(m, g, texts[g]);
    }
    if (!rc)
        rc = encode(m, texts, m->G, m->text);
out:
    ga__buf_free(&rendered);
    free(texts);
    free(ends);
    return rc;
}

/* What a trigger or a near miss of a guideline says about risk.  A near miss
 * of a safety guideline is harmless, one of a permit is dangerous. */
static uint32_t label(const ga_guideline *g, bool trigger)
{
    bool risky =
        g->kind == (trigger ? GA_GUIDELINE_SAFETY : GA_GUIDELINE_PERMIT);
    return risky ? 1u | (uint32_t)risk_bits(g) << 1 : 0;
}

/* Triggers of all guidelines in their order, then the near misses. */
static ga_status take_prompts(maker *m)
{
    size_t P = m->N + m->M, at = 0;
    ga_str *texts = ga__calloc(P, sizeof(*texts));
    if (!texts)
        return ga__fail_nomem(m->err, P * sizeof(*texts));
    for (int pass = 0; pass < 2; pass++) {
        for (size_t g = 0; g < m->G; g++) {
            const ga_str_list *l =
                pass == 0 ? &m->list[g]->triggers : &m->list[g]->non_triggers;
            for (size_t i = 0; i < l->count; i++, at++) {
                texts[at] = l->items[i];
                m->owner[at] = (uint32_t)g;
                m->labels[at] = label(m->list[g], pass == 0);
            }
        }
    }
    ga_status rc = encode(m, texts, P, m->prompts);
    free(texts);
    return rc;
}

static ga_status fit(maker *m)
{
    ga_pack_report *r = m->report;
    const ga_fit_input in = {
        .G = m->G,
        .H = m->H,
        .N = m->N,
        .text = m->text,
        .triggers = m->prompts,
        .owner = m->owner,
        .kind = m->kind,
        .text_weight = m->options->text_weight,
        .shrinkage = m->options->shrinkage,
    };
    const ga_risk_input risk = {
        .N = m->N + m->M,
        .H = m->H,
        .prompts = m->prompts,
        .labels = m->labels,
        .group = m->owner,
    };
    ga_status rc = ga__fit_vectors(m->kernels, &in, &m->fit, m->err);
    for (size_t i = 0; i < m->G * m->H && !rc; i++) {
        if (!(fabsf(m->fit.vectors[i]) <= GA_PACK_MOST))
            rc = ga__fail(m->err, GA_INVAL,
                          "the covariance of the triggers cannot be inverted "
                          "with a shrinkage of %g",
                          (double)in.shrinkage);
    }
    if (!rc)
        rc = ga__fit_calibrate(m->kernels, &in, &m->fit, &r->calibration,
                               &r->fit, m->err);
    if (!rc)
        rc = ga__fit_centre(&in, &m->fit, m->err);
    if (!rc)
        rc = ga__risk_fit(m->kernels, &risk, m->risk_head,
                          &r->calibration.risky, &r->risk, m->err);
    if (rc)
        return rc;
    if (!ga__index_encode(m->fit.vectors, m->fit.biases, m->G, m->H, m->codes,
                          m->code_rows))
        return ga__fail(m->err, GA_INVAL,
                        "a bias of a guideline is not finite");
    ga__index_clusters(m->kernels, m->fit.vectors, m->G, m->H,
                       m->options->duplicate, m->cluster);
    for (size_t g = 0; g < m->G; g++) {
        m->rows[g].cluster = m->cluster[g];
        r->duplicates += m->cluster[g] != g;
    }
    return GA_OK;
}

static ga_str bytes_of(const void *ptr, size_t n, size_t size)
{
    ga_str s = {ptr, n * size};
    return s;
}

static ga_status write_sections(maker *m, const ga_str *content, FILE *out)
{
    static const char zeros[GA_PACK_ALIGN];
    ga_pack_header h = {.version = GA_PACK_VERSION,
                        .sections = GA_PACK_SECTION_COUNT};
    ga_pack_section table[GA_PACK_SECTION_COUNT] = {0};
    uint64_t end = sizeof(h) + sizeof(table);
    ga_sha256 hash;
    memcpy(h.magic, GA_PACK_MAGIC, sizeof(h.magic));
    for (size_t i = 0; i < GA_PACK_SECTION_COUNT; i++) {
        memcpy(table[i].name, ga__pack_section_names[i],
               strlen(ga__pack_section_names[i]));
        table[i].at = (end + GA_PACK_ALIGN - 1) / GA_PACK_ALIGN * GA_PACK_ALIGN;
        table[i].length = content[i].len;
        ga__sha256_of(content[i].ptr, content[i].len, table[i].digest);
        end = table[i].at + content[i].len;
    }
    h.length = end;
    ga__sha256_init(&hash);
    ga__sha256_update(&hash, &h, offsetof(ga_pack_header, digest));
    ga__sha256_update(&hash, table, sizeof(table));
    ga__sha256_final(&hash, h.digest);
    fwrite(&h, sizeof(h), 1, out);
    fwrite(table, sizeof(table), 1, out);
    end = sizeof(h) + sizeof(table);
    for (size_t i = 0; i < GA_PACK_SECTION_COUNT; i++) {
        fwrite(zeros, 1, (size_t)(table[i].at - end), out);
        if (content[i].len > 0)
            fwrite(content[i].ptr, 1, content[i].len, out);
        end = table[i].at + content[i].len;
    }
    m->report->bytes = h.length;
    ga__hex(h.digest, 6, m->report->id);
    return GA_OK;
}

static ga_status write_file(maker *m, const char *path)
{
    ga_encoder_image image;
    ga_buf about;
    ga_atomic_file file = GA_ATOMIC_FILE_INIT;
    ga__encoder_image(m->enc, &image);
    ga__buf_init(&about, GA_MAX_CONFIG_BYTES);
    ga_status rc = ga__buf_printf(
        &about, m->err,
        "{\"program\":\"guidealign %s\",\"guidelines\":%zu,\"triggers\":%zu,"
        "\"recall_at_6\":%.4f,\"risk_auroc\":%.4f}",
        GA_VERSION, m->G, m->N, m->report->fit.recall_at_6,
        m->report->risk.auroc);
    if (rc)
        goto out;
    const ga_str content[GA_PACK_SECTION_COUNT] = {
        [GA_PACK_CONFIG] = image.config,
        [GA_PACK_VOCAB] = image.vocab,
        [GA_PACK_WEIGHTS] = image.weights,
        [GA_PACK_GUIDELINES] = bytes_of(m->rows, m->G, sizeof(*m->rows)),
        [GA_PACK_STRINGS] = {m->strings.ptr, m->strings.len},
        [GA_PACK_CODES] = {(const char *)m->codes, m->code_bytes},
        [GA_PACK_CODE_ROWS] =
            bytes_of(m->code_rows, 3 * m->G, sizeof(*m->code_rows)),
        [GA_PACK_VECTORS] =
            bytes_of(m->fit.vectors, m->G * m->H, sizeof(*m->fit.vectors)),
        [GA_PACK_BIASES] =
            bytes_of(m->fit.biases, m->G, sizeof(*m->fit.biases)),
        [GA_PACK_RISK_HEAD] = bytes_of(
            m->risk_head, GA_RISK_OUTPUTS * (m->H + 1), sizeof(*m->risk_head)),
        [GA_PACK_CALIBRATION] = bytes_of(&m->report->calibration, 1,
                                         sizeof(m->report->calibration)),
        [GA_PACK_TEMPLATE] = ga__str(m->options->heading),
        [GA_PACK_ABOUT] = {about.ptr, about.len},
    };
    rc = ga__atomic_open(path, &file, m->err);
    if (!rc)
        rc = write_sections(m, content, file.stream);
    if (!rc)
        rc = ga__atomic_commit(&file, m->err);
out:
    ga__atomic_abort(&file);
    ga__buf_free(&about);
    return rc;
}

static void release(maker *m)
{
    free(m->code_rows);
    free(m->codes);
    free(m->cluster);
    free(m->risk_head);
    free(m->fit.biases);
    free(m->fit.vectors);
    free(m->kind);
    free(m->labels);
    free(m->owner);
    free(m->fit.z);
    free(m->prompts);
    free(m->text);
    ga__buf_free(&m->strings);
    free(m->rows);
    free(m->list);
}

ga_status ga__pack_write(const char *path, const ga_guideline *guidelines,
                         size_t n, const ga_encoder *enc, ga_scratch *s,
                         const ga_pack_options *options, ga_pack_report *report,
                         ga_error *err)
{
    maker m = {
        .enc = enc,
        .scratch = s,
        .kernels = ga__kernels(),
        .options = options,
        .report = report,
        .err = err,
        .H = ga_encoder_dim(enc),
    };
    *report = (ga_pack_report){0};
    ga_status rc = check_options(options, err);
    if (!rc)
        rc = collect(&m, guidelines, n);
    if (!rc)
        rc = allocate(&m);
    if (!rc)
        rc = take_guidelines(&m);
    if (!rc)
        rc = take_prompts(&m);
    if (!rc)
        rc = fit(&m);
    if (!rc)
        rc = write_file(&m, path);
    report->guidelines = m.G;
    report->triggers = m.N;
    release(&m);
    return rc;
}
