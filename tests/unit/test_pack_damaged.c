/* test_pack_damaged.c: nothing that a pack says is believed: cut off, changed
 * by a bit, or made wrong by somebody who can compute checksums. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/limits.h"
#include "pack/pack.h"
#include "tiny_pack.h"

static const char *const section_names[] = {
#define NAME(id, name) name,
    GA_PACK_SECTIONS(NAME)
#undef NAME
};

enum { TABLE = sizeof(ga_pack_header) };

/* The bytes are refused so, with a message that holds `what`. */
static void refuse(const unsigned char *bytes, size_t len, ga_status status,
                   const char *what)
{
    ga_pack *pack = (void *)(uintptr_t)1;
    ga_error err = {""};
    ga_status rc = tiny_pack_open(bytes, len, &pack, &err);
    assert_null(pack);
    if (rc != status || !strstr(err.msg, what) ||
        !strstr(err.msg, "guidealign-pack-"))
        fail_msg("status %d instead of %d, '%s' not in: %s", (int)rc,
                 (int)status, what, err.msg);
}

/* ---- damaged files ---- */

/* Open the file again after each change made in place. */
typedef struct {
    char path[96];
    FILE *file;
    unsigned char *bytes;
    size_t len;
} victim;

static void victim_open(victim *v)
{
    tiny_pack_path(v->path);
    v->bytes = tiny_pack_bytes(&v->len);
    v->file = fopen(v->path, "w+b");
    assert_non_null(v->file);
    setvbuf(v->file, NULL, _IONBF, 0);
    assert_int_equal(fwrite(v->bytes, 1, v->len, v->file), v->len);
}

static void victim_close(victim *v)
{
    fclose(v->file);
    free(v->bytes);
    assert_true(tiny_pack_remove(v->path));
}

static void victim_put(victim *v, size_t at, unsigned char byte)
{
    assert_int_equal(fseek(v->file, (long)at, SEEK_SET), 0);
    assert_int_equal(fputc(byte, v->file), byte);
}

static ga_status victim_try(victim *v, ga_error *err)
{
    ga_pack *pack = NULL;
    err->msg[0] = '\0';
    ga_status rc = ga_pack_open(v->path, &pack, err);
    assert_true(rc == GA_OK ? pack != NULL : pack == NULL);
    ga_pack_close(pack);
    return rc;
}

static void test_every_truncation(void **state)
{
    victim v;
    ga_error err;
    (void)state;
    victim_open(&v);
    assert_int_equal(victim_try(&v, &err), GA_OK);
    for (size_t len = v.len; len-- > 0;) {
        assert_int_equal(ftruncate(fileno(v.file), (off_t)len), 0);
        assert_int_equal(victim_try(&v, &err), GA_FORMAT);
        assert_non_null(strstr(err.msg, v.path));
        assert_non_null(
            strstr(err.msg, len < TABLE ? "not a pack" : "copied in part"));
    }
    victim_close(&v);
}

/* Cut off by somebody who can compute checksums. */
static void test_sealed_truncation(void **state)
{
    size_t len;
    unsigned char *bytes = tiny_pack_bytes(&len);
    (void)state;
    for (size_t cut = 0; cut < len; cut += cut < 1000 ? 1 : 97) {
        unsigned char *part = malloc(cut + 1);
        ga_pack *pack = NULL;
        ga_error err = {""};
        memcpy(part, bytes, cut);
        tiny_pack_seal(part, cut);
        ga_status rc = tiny_pack_open(part, cut, &pack, &err);
        if (rc != GA_FORMAT || pack)
            fail_msg("cut at %zu: status %d, %s", cut, (int)rc, err.msg);
        free(part);
    }
    free(bytes);
}

static void test_every_header_bit(void **state)
{
    victim v;
    ga_error err;
    const size_t table =
        TABLE + sizeof(ga_pack_section) * GA_PACK_SECTION_COUNT;
    (void)state;
    victim_open(&v);
    for (size_t at = 0; at < table; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            victim_put(&v, at, (unsigned char)(v.bytes[at] ^ 1u << bit));
            ga_status rc = victim_try(&v, &err);
            const char *what = at < 8    ? "not a pack"
                               : at < 12 ? "pack of format"
                               : at < 16 ? "wrong number of sections"
                               : at < 24 ? "copied in part"
                                         : "checksum of the header";
            if (rc != (at >= 8 && at < 12 ? GA_UNSUPPORTED : GA_FORMAT) ||
                !strstr(err.msg, what))
                fail_msg("byte %zu bit %u: status %d, %s", at, bit, (int)rc,
                         err.msg);
        }
        victim_put(&v, at, v.bytes[at]);
    }
    assert_int_equal(victim_try(&v, &err), GA_OK);
    victim_close(&v);
}

/* The first, the last and some bits between of every section, and every byte
 * between sections. */
static void test_section_bits(void **state)
{
    victim v;
    ga_error err;
    ga_str content[GA_PACK_SECTION_COUNT];
    (void)state;
    victim_open(&v);
    assert_true(tiny_pack_split(v.bytes, v.len, content));
    size_t end = TABLE + sizeof(ga_pack_section) * GA_PACK_SECTION_COUNT;
    for (size_t i = 0; i < GA_PACK_SECTION_COUNT; i++) {
        size_t at = (size_t)(content[i].ptr - (const char *)v.bytes);
        char wanted[64];
        for (; end < at; end++) {
            victim_put(&v, end, 1);
            assert_int_equal(victim_try(&v, &err), GA_FORMAT);
            assert_non_null(strstr(err.msg, "bytes between sections"));
            victim_put(&v, end, 0);
        }
        snprintf(wanted, sizeof(wanted), "section '%s'", section_names[i]);
        size_t n = content[i].len, step = n / 16 + 1;
        for (size_t k = 0; k < n;
             k = k + step < n || k == n - 1 ? k + step : n - 1) {
            unsigned bit = (unsigned)(k * 7 + i) % 8;
            victim_put(&v, at + k,
                       (unsigned char)(v.bytes[at + k] ^ 1u << bit));
            ga_status rc = victim_try(&v, &err);
            if (rc != GA_FORMAT || !strstr(err.msg, wanted))
                fail_msg("%s byte %zu: status %d, %s", section_names[i], k,
                         (int)rc, err.msg);
            victim_put(&v, at + k, v.bytes[at + k]);
        }
        end = at + n;
    }
    assert_int_equal(victim_try(&v, &err), GA_OK);
    victim_close(&v);
}

static void test_not_packs(void **state)
{
    size_t len;
    unsigned char *bytes = tiny_pack_bytes(&len);
    uint32_t version;
    (void)state;
    refuse((const unsigned char *)"", 0, GA_FORMAT, "not a pack");
    refuse((const unsigned char *)"GAPACK\r\n", 8, GA_FORMAT, "not a pack");
    refuse((const unsigned char *)"SQLite format 3", 16, GA_FORMAT,
           "not a pack");
    /* as a transfer that "corrects" line ends leaves it */
    bytes[6] = '\n';
    refuse(bytes, len, GA_FORMAT, "not a pack");
    bytes[6] = '\r';
    version = GA_PACK_VERSION + 1;
    memcpy(bytes + 8, &version, sizeof(version));
    tiny_pack_seal(bytes, len);
    refuse(bytes, len, GA_UNSUPPORTED, "pack of format 3");
    free(bytes);
}

static void test_trailing_bytes(void **state)
{
    size_t len;
    unsigned char *bytes = tiny_pack_bytes(&len);
    (void)state;
    bytes = realloc(bytes, len + 64);
    memset(bytes + len, 0, 64);
    for (size_t more = 1; more <= 64; more += 21) {
        refuse(bytes, len + more, GA_FORMAT, "copied in part");
        tiny_pack_seal(bytes, len + more);
        refuse(bytes, len + more, GA_FORMAT, "behind the last section");
        tiny_pack_seal(bytes, len);
    }
    free(bytes);
}

/* A table that points somewhere else, with the digests to match. */
static void test_bad_tables(void **state)
{
    static const struct {
        size_t section;
        int64_t at, length; /* added to what is there */
        const char *what;
    } cases[] = {
        {0, 64, 0, "'config' out of place"},
        {0, -64, 0, "'config' out of place"},
        {3, 1, 0, "'guidelines' out of place"},
        {5, -64, 64, "'codes' out of place"},
        {12, 0, 1, "'about' out of place"},
        {12, 0, INT64_MAX, "'about' out of place"},
        {2, INT64_MAX, 0, "'weights' out of place"},
        {1, 0, -4096, ""}, /* then the next one is, or the vocabulary is off */
        {12, 0, -1, "behind the last section"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        size_t len;
        unsigned char *bytes = tiny_pack_bytes(&len);
        size_t row_at = TABLE + cases[i].section * sizeof(ga_pack_section);
        ga_pack_section row;
        memcpy(&row, bytes + row_at, sizeof(row));
        row.at += (uint64_t)cases[i].at;
        row.length += (uint64_t)cases[i].length;
        memcpy(bytes + row_at, &row, sizeof(row));
        tiny_pack_seal(bytes, len);
        refuse(bytes, len, GA_FORMAT, cases[i].what);
        free(bytes);
    }
    size_t len;
    unsigned char *bytes = tiny_pack_bytes(&len);
    memcpy(bytes + TABLE, "conf\0ig", 7);
    tiny_pack_seal(bytes, len);
    refuse(bytes, len, GA_FORMAT, "unknown section");
    free(bytes);
}

/* ---- content that passes every checksum ---- */

static void refuse_patch(size_t section, size_t at, const void *patch,
                         size_t len, const char *what)
{
    ga_pack *pack = NULL;
    ga_error err = {""};
    ga_status rc = tiny_pack_open_with(section, at, patch, len, &pack, &err);
    assert_null(pack);
    if (rc != GA_FORMAT || !strstr(err.msg, what))
        fail_msg("%s at %zu: status %d, '%s' not in: %s",
                 section_names[section], at, (int)rc, what, err.msg);
}

static void test_bad_numbers(void **state)
{
    static const size_t sections[] = {GA_PACK_VECTORS, GA_PACK_BIASES,
                                      GA_PACK_RISK_HEAD, GA_PACK_CALIBRATION};
    static const float bad[] = {NAN, INFINITY, -INFINITY, 3e38F};
    (void)state;
    for (size_t i = 0; i < sizeof(sections) / sizeof(*sections); i++) {
        for (size_t k = 0; k < sizeof(bad) / sizeof(*bad); k++)
            refuse_patch(sections[i], 4 * (k + i), &bad[k], sizeof(float),
                         section_names[sections[i]]);
    }
    refuse_patch(GA_PACK_TEMPLATE, 3, "\xFF", 1, "template");
}

static void test_bad_rows(void **state)
{
    const uint32_t huge = UINT32_MAX, zero = 0, long_id = 129, far = 1u << 30;
    const uint16_t risks = 1u << GA_RISKS;
    const uint8_t kind = 3, priority = 10;
    const size_t last = (TINY_APPROVED - 1) * sizeof(ga_pack_row);
#define ROW(member, value)                                                     \
    refuse_patch(GA_PACK_GUIDELINES, last + offsetof(ga_pack_row, member),     \
                 &(value), sizeof(value), "guideline 11")
    (void)state;
    ROW(id_at, huge);
    ROW(id_len, huge);
    ROW(id_len, zero);
    ROW(id_len, long_id);
    ROW(title_at, huge);
    ROW(title_len, far);
    ROW(text_at, far);
    ROW(text_len, huge);
    ROW(scope_at, huge);
    ROW(scope_len, huge);
    ROW(tokens, huge);
    ROW(risks, risks);
    ROW(kind, kind);
    ROW(priority, priority);
#undef ROW
    /* the last id, "été", cut into its characters */
    const uint32_t cut = 1;
    refuse_patch(GA_PACK_GUIDELINES, last + offsetof(ga_pack_row, id_len), &cut,
                 sizeof(cut), "guideline 11");
}

/* Rows whose ids are not in order, and two with the same. */
static void test_bad_order(void **state)
{
    size_t len;
    unsigned char *bytes = tiny_pack_bytes(&len);
    ga_str content[GA_PACK_SECTION_COUNT];
    ga_pack_row rows[2];
    (void)state;
    assert_true(tiny_pack_split(bytes, len, content));
    memcpy(rows, content[GA_PACK_GUIDELINES].ptr, sizeof(rows));
    ga_pack_row swapped[2] = {rows[1], rows[0]}, twice[2] = {rows[0], rows[0]};
    refuse_patch(GA_PACK_GUIDELINES, 0, swapped, sizeof(swapped), "order");
    refuse_patch(GA_PACK_GUIDELINES, 0, twice, sizeof(twice), "order");
    free(bytes);
}

/* Every section a little shorter, longer, and empty: sizes have to agree. */
static void test_bad_sizes(void **state)
{
    size_t len;
    unsigned char *bytes = tiny_pack_bytes(&len);
    ga_str content[GA_PACK_SECTION_COUNT];
    static char longer[1 << 17];
    (void)state;
    assert_true(tiny_pack_split(bytes, len, content));
    for (size_t i = 0; i < GA_PACK_SECTION_COUNT; i++) {
        ga_str old = content[i];
        memcpy(longer, old.ptr, old.len);
        const ga_str sizes[] = {
            {longer, 0},           {longer, old.len - 1},
            {longer, old.len - 4}, {longer, old.len + 1},
            {longer, old.len + 4}, {longer, old.len + sizeof(ga_pack_row)}};
        memset(longer + old.len, 0, sizeof(ga_pack_row));
        for (size_t k = 0; k < sizeof(sizes) / sizeof(*sizes); k++) {
            /* free text, for which any size will do; a vocabulary may end
             * sooner, and what lies behind the weights is not looked at */
            bool text =
                i == GA_PACK_TEMPLATE || i == GA_PACK_ABOUT ||
                ((i == GA_PACK_STRINGS || i == GA_PACK_WEIGHTS) && k >= 3) ||
                (i == GA_PACK_VOCAB && k >= 1);
            size_t joined_len;
            ga_pack *pack = NULL;
            ga_error err = {""};
            content[i] = sizes[k];
            unsigned char *joined = tiny_pack_join(content, &joined_len);
            ga_status rc = tiny_pack_open(joined, joined_len, &pack, &err);
            if ((rc == GA_OK && !text) || (rc && !err.msg[0]))
                fail_msg("section '%s' of %zu bytes: status %d, %s",
                         section_names[i], sizes[k].len, (int)rc, err.msg);
            ga_pack_close(pack);
            free(joined);
        }
        content[i] = old;
    }
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_truncation),
        cmocka_unit_test(test_sealed_truncation),
        cmocka_unit_test(test_every_header_bit),
        cmocka_unit_test(test_section_bits),
        cmocka_unit_test(test_not_packs),
        cmocka_unit_test(test_trailing_bytes),
        cmocka_unit_test(test_bad_tables),
        cmocka_unit_test(test_bad_numbers),
        cmocka_unit_test(test_bad_rows),
        cmocka_unit_test(test_bad_order),
        cmocka_unit_test(test_bad_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
