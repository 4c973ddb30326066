/* reader.c: opening a pack.  Nothing in the file is believed: the structure is
 * checked before the digests, the digests before the content, and the content
 * before anybody sees it. */
#include "pack/pack.h"

#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/sha256.h"
#include "base/utf8.h"
#include "encoder/encoder.h"

struct ga_pack {
    ga_map map;
    ga_encoder *encoder;
    ga_str sections[GA_PACK_SECTION_COUNT];
    ga_pack_view view;
    char id[13];
};

const char *const ga__pack_section_names[GA_PACK_SECTION_COUNT] = {
#define GA_PACK_NAME(id, name) name,
    GA_PACK_SECTIONS(GA_PACK_NAME)
#undef GA_PACK_NAME
};

static ga_status damaged(ga_error *err, const char *what)
{
    return ga__fail(err, GA_FORMAT, "damaged pack: %s", what);
}

static ga_status check_header(const ga_map *map, ga_error *err)
{
    const ga_pack_header *h = (const void *)map->ptr;
    if (map->len < sizeof(*h) || memcmp(h->magic, GA_PACK_MAGIC, 8) != 0)
        return ga__fail(err, GA_FORMAT, "not a pack");
    if (h->version != GA_PACK_VERSION)
        return ga__fail(err, GA_UNSUPPORTED,
                        "pack of format %u, this program reads format %d; make "
                        "it anew with 'guidealign pack'",
                        h->version, GA_PACK_VERSION);
    if (h->length != map->len)
        return ga__fail(err, GA_FORMAT,
                        "pack of %zu bytes should have %llu: copied in part?",
                        map->len, (unsigned long long)h->length);
    if (h->sections != GA_PACK_SECTION_COUNT)
        return damaged(err, "wrong number of sections");
    return GA_OK;
}

/* Sections stand in order, aligned and without overlap, with only zeros
 * between them: then every byte of the file is under some digest or zero. */
static ga_status find_sections(ga_pack *pack, ga_error *err)
{
    const ga_map *map = &pack->map;
    const ga_pack_header *h = (const void *)map->ptr;
    const ga_pack_section *table = (const void *)(h + 1);
    uint64_t end = sizeof(*h) + sizeof(*table) * (uint64_t)h->sections;
    ga_sha256 hash;
    uint8_t digest[32];
    if (end > map->len)
        return damaged(err, "cut off in the table of sections");
    ga__sha256_init(&hash);
    ga__sha256_update(&hash, h, offsetof(ga_pack_header, digest));
    ga__sha256_update(&hash, table, (size_t)end - sizeof(*h));
    ga__sha256_final(&hash, digest);
    if (memcmp(digest, h->digest, sizeof(digest)) != 0)
        return damaged(err, "wrong checksum of the header");
    for (size_t i = 0; i < GA_PACK_SECTION_COUNT; i++) {
        const ga_pack_section *s = &table[i];
        uint64_t at =
            (end + GA_PACK_ALIGN - 1) & ~(uint64_t)(GA_PACK_ALIGN - 1);
        char name[17] = {0};
        memcpy(name, s->name, sizeof(s->name));
        if (strcmp(name, ga__pack_section_names[i]) != 0)
            return damaged(err, "unknown section");
        if (s->at != at || at > map->len || s->length > map->len - at)
            return ga__fail(err, GA_FORMAT,
                            "damaged pack: section '%s' out of place", name);
        for (uint64_t p = end; p < at; p++) {
            if (map->ptr[p])
                return damaged(err, "bytes between sections");
        }
        ga__sha256_of(map->ptr + at, (size_t)s->length, digest);
        if (memcmp(digest, s->digest, sizeof(digest)) != 0)
            return ga__fail(err, GA_FORMAT,
                            "damaged pack: wrong checksum of section '%s'",
                            name);
        pack->sections[i] =
            (ga_str){(const char *)map->ptr + at, (size_t)s->length};
        end = at + s->length;
    }
    if (end != map->len)
        return damaged(err, "bytes behind the last section");
    ga__hex(h->digest, 6, pack->id);
    return GA_OK;
}

static bool good_floats(ga_str section)
{
    const float *p = (const void *)section.ptr;
    for (size_t i = 0; i < section.len / sizeof(*p); i++) {
        if (!(fabsf(p[i]) <= GA_PACK_MOST)) /* nor a NaN */
            return false;
    }
    return true;
}

/* Sizes that have to agree with each other and with the encoder. */
static ga_status check_shapes(ga_pack *pack, ga_error *err)
{
    const ga_str *s = pack->sections;
    size_t H = ga_encoder_dim(pack->encoder);
    size_t G = s[GA_PACK_GUIDELINES].len / sizeof(ga_pack_row);
    if (s[GA_PACK_GUIDELINES].len % sizeof(ga_pack_row) ||
        G > GA_MAX_GUIDELINES)
        return damaged(err, "wrong size of section 'guidelines'");
    if (s[GA_PACK_VECTORS].len != G * H * sizeof(float) ||
        s[GA_PACK_BIASES].len != G * sizeof(float))
        return damaged(err, "guidelines and vectors differ in number");
    size_t codes = 0;
    if (!ga__index_code_bytes(G, H, &codes) || s[GA_PACK_CODES].len != codes ||
        s[GA_PACK_CODE_ROWS].len != 3 * G * sizeof(float))
        return damaged(err, "guidelines and codes differ in number");
    if (s[GA_PACK_RISK_HEAD].len !=
        (1 + GA_RISK_COUNT) * (H + 1) * sizeof(float))
        return damaged(err, "wrong size of section 'risk_head'");
    if (s[GA_PACK_CALIBRATION].len != sizeof(ga_pack_calibration))
        return damaged(err, "wrong size of section 'calibration'");
    for (int i = GA_PACK_VECTORS; i <= GA_PACK_CALIBRATION; i++) {
        if (!good_floats(s[i]))
            return ga__fail(err, GA_FORMAT,
                            "damaged pack: a number in section '%s' is out of "
                            "range",
                            ga__pack_section_names[i]);
    }
    if (ga__utf8_invalid_at(s[GA_PACK_TEMPLATE]) < s[GA_PACK_TEMPLATE].len)
        return damaged(err, "the template is no UTF-8");
    pack->view = (ga_pack_view){
        .count = G,
        .dim = H,
        .rows = (const void *)s[GA_PACK_GUIDELINES].ptr,
        .strings = s[GA_PACK_STRINGS].ptr,
        .vectors = (const void *)s[GA_PACK_VECTORS].ptr,
        .biases = (const void *)s[GA_PACK_BIASES].ptr,
        .risk_head = (const void *)s[GA_PACK_RISK_HEAD].ptr,
        .heading = s[GA_PACK_TEMPLATE],
    };
    const float *rows = (const void *)s[GA_PACK_CODE_ROWS].ptr;
    pack->view.index = (ga_index){
        .G = G,
        .H = H,
        .vectors = pack->view.vectors,
        .biases = pack->view.biases,
        .codes = (const void *)s[GA_PACK_CODES].ptr,
        .scale = rows,
        .error = rows + G,
        .norm = rows + 2 * G,
    };
    memcpy(&pack->view.calibration, s[GA_PACK_CALIBRATION].ptr,
           sizeof(pack->view.calibration));
    return GA_OK;
}

/* The limit also bounds the work of many rows that share the same bytes. */
static bool good_string(ga_str pool, uint32_t at, uint32_t len, size_t most)
{
    if (len > most || at > pool.len || len > pool.len - at)
        return false;
    ga_str s = {pool.ptr + at, len};
    return ga__utf8_invalid_at(s) == len;
}

static ga_str row_id(const ga_pack_view *view, size_t i)
{
    ga_str id = {view->strings + view->rows[i].id_at, view->rows[i].id_len};
    return id;
}

static ga_status check_rows(ga_pack *pack, ga_error *err)
{
    const ga_pack_view *v = &pack->view;
    ga_str pool = pack->sections[GA_PACK_STRINGS];
    for (size_t i = 0; i < v->count; i++) {
        const ga_pack_row *r = &v->rows[i];
        if (!good_string(pool, r->id_at, r->id_len, GA_MAX_ID_BYTES) ||
            !good_string(pool, r->title_at, r->title_len, GA_MAX_TITLE_BYTES) ||
            !good_string(pool, r->text_at, r->text_len,
                         GA_MAX_GUIDELINE_BYTES) ||
            !good_string(pool, r->scope_at, r->scope_len,
                         GA_MAX_TAGS * (GA_MAX_TAG_BYTES + 1)) ||
            r->id_len == 0 || r->kind > GA_GUIDELINE_QUALITY ||
            r->priority > 9 || r->risks >> GA_RISK_COUNT ||
            r->tokens > GA_PACK_MOST_TOKENS)
            return ga__fail(err, GA_FORMAT, "damaged pack: guideline %zu", i);
        /* the writer sorts by id, which also rules out duplicates */
        if (i > 0 && ga__str_compare(row_id(v, i - 1), row_id(v, i)) >= 0)
            return damaged(err, "guidelines are not in the order of their ids");
    }
    return GA_OK;
}

ga_status ga_pack_open(const char *path, ga_pack **out, ga_error *err)
{
    if (!path || !out)
        return ga__fail(err, GA_INVAL, "ga_pack_open: NULL argument");
    *out = NULL;
    ga_pack *pack = ga__calloc(1, sizeof(*pack));
    if (!pack)
        return ga__fail_nomem(err, sizeof(*pack));
    ga_status rc = ga__map_open(path, &pack->map, err);
    if (rc)
        goto fail;
    rc = check_header(&pack->map, err);
    if (!rc)
        rc = find_sections(pack, err);
    if (!rc) {
        ga_encoder_image image = {pack->sections[GA_PACK_CONFIG],
                                  pack->sections[GA_PACK_VOCAB],
                                  pack->sections[GA_PACK_WEIGHTS]};
        rc = ga__encoder_open_image(&image, &pack->encoder, err);
    }
    if (!rc)
        rc = check_shapes(pack, err);
    if (!rc)
        rc = check_rows(pack, err);
    if (!rc) {
        *out = pack;
        return GA_OK;
    }
    ga__error_prefix(err, "'%s'", path);
fail:
    ga_pack_close(pack);
    return rc;
}

void ga_pack_close(ga_pack *pack)
{
    if (!pack)
        return;
    ga_encoder_close(pack->encoder);
    ga__map_close(&pack->map);
    free(pack);
}

const char *ga_pack_id(const ga_pack *pack)
{
    return pack->id;
}

const ga_encoder *ga_pack_encoder(const ga_pack *pack)
{
    return pack->encoder;
}

size_t ga_pack_count(const ga_pack *pack)
{
    return pack->view.count;
}

ga_status ga_pack_guideline(const ga_pack *pack, size_t i,
                            ga_guideline_view *out, ga_error *err)
{
    const ga_pack_view *v = &pack->view;
    if (i >= v->count)
        return ga__fail(err, GA_INVAL, "guideline %zu of %zu", i, v->count);
    const ga_pack_row *r = &v->rows[i];
    *out = (ga_guideline_view){
        .id = row_id(v, i),
        .title = {v->strings + r->title_at, r->title_len},
        .text = {v->strings + r->text_at, r->text_len},
        .kind = (ga_guideline_kind)r->kind,
        .priority = r->priority,
        .risks = r->risks,
        .tokens = r->tokens,
    };
    return GA_OK;
}

const char *ga_risk_name(size_t i)
{
    return ga__risk_name(i);
}

const ga_pack_view *ga__pack_view(const ga_pack *pack)
{
    return &pack->view;
}

size_t ga__pack_find(const ga_pack *pack, ga_str id)
{
    size_t low = 0, high = pack->view.count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int c = ga__str_compare(row_id(&pack->view, mid), id);
        if (c == 0)
            return mid;
        if (c < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return SIZE_MAX;
}
