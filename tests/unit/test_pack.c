/* test_pack.c: what goes into a pack comes out of it.  With --seeds DIR, the
 * seeds of fuzz_pack are written to DIR instead. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/limits.h"
#include "pack/pack.h"
#include "pack/render.h"
#include "tiny_pack.h"

enum { H = TINY_HIDDEN };

static ga_pack *open_bytes(const unsigned char *bytes, size_t len)
{
    ga_pack *pack = NULL;
    ga_error err = {""};
    if (tiny_pack_open(bytes, len, &pack, &err))
        fail_msg("%s", err.msg);
    return pack;
}

static ga_status write_pack(const ga_guideline *list, size_t n,
                            unsigned char **bytes, size_t *len,
                            ga_pack_report *report, ga_error *err)
{
    char path[96];
    tiny_pack_path(path);
    ga_status rc = tiny_pack_write(path, list, n, 1, NULL, report, err);
    *bytes = rc ? NULL : tiny_read(path, len);
    assert_true(tiny_pack_remove(path)); /* and nothing else lies there */
    return rc;
}

/* ---- what goes in comes out ---- */

static const ga_guideline *find(ga_str id)
{
    for (size_t i = 0; i < TINY_GUIDELINES; i++) {
        if (ga__str_equal(tiny_guidelines[i].id, id))
            return &tiny_guidelines[i];
    }
    fail_msg("an id that was not put in");
    return NULL;
}

static void check_scope(const ga_pack_view *v, size_t i, const ga_guideline *g)
{
    char lines[256] = "";
    for (size_t k = 0; k < g->scope.count; k++) {
        strncat(lines, g->scope.items[k].ptr, g->scope.items[k].len);
        strcat(lines, "\n");
    }
    ga_str stored = {v->strings + v->rows[i].scope_at, v->rows[i].scope_len};
    assert_true(ga__str_is(stored, lines));
}

static void check_guideline(const ga_pack *pack, size_t i)
{
    ga_guideline_view got;
    ga_error err;
    assert_int_equal(ga_pack_guideline(pack, i, &got, &err), GA_OK);
    const ga_guideline *put = find(got.id);
    uint32_t risks = 0;
    for (size_t k = 0; k < put->risks.count; k++)
        risks |= 1u << ga__risk_find(put->risks.items[k]);
    assert_true(ga__str_equal(got.title, put->title));
    assert_true(ga__str_equal(got.text, put->text));
    assert_int_equal(got.kind, put->kind);
    assert_int_equal(got.priority, put->priority);
    assert_int_equal(got.risks, risks);
    assert_int_equal(put->status, GA_STATUS_APPROVED);
    check_scope(ga__pack_view(pack), i, put);
    assert_int_equal(ga__pack_find(pack, put->id), i);
}

/* The mean of a guideline's triggers and its text, which counts twice: what
 * its vector is without enough triggers for a covariance. */
static void expect_vector(const ga_pack *pack, ga_scratch *s, size_t i,
                          double out[H + 1])
{
    ga_guideline_view got;
    ga_buf rendered;
    float text[H], trigger[8 * H];
    ga_error err;
    assert_int_equal(ga_pack_guideline(pack, i, &got, &err), GA_OK);
    const ga_guideline *put = find(got.id);
    ga__buf_init(&rendered, 4096);
    assert_int_equal(ga__render_guideline(got.title, got.text, &rendered, &err),
                     GA_OK);
    ga_str all = {rendered.ptr, rendered.len};
    const ga_encoder *enc = ga_pack_encoder(pack);
    assert_int_equal(ga_encoder_embed(enc, s, &all, 1, text, &err), GA_OK);
    assert_int_equal(ga_encoder_embed(enc, s, put->triggers.items,
                                      put->triggers.count, trigger, &err),
                     GA_OK);
    ga__buf_free(&rendered);
    size_t n = put->triggers.count;
    double w = n ? 2 : 1;
    out[H] = 0;
    for (size_t j = 0; j < H; j++) {
        out[j] = w * (double)text[j];
        for (size_t k = 0; k < n; k++)
            out[j] += (double)trigger[k * H + j];
        out[j] /= w + (double)n;
        out[H] -= out[j] * out[j] / 2;
    }
}

static void check_vectors(const ga_pack *pack, ga_scratch *s)
{
    const ga_pack_view *v = ga__pack_view(pack);
    double wanted[TINY_APPROVED][H + 1], mean[H + 1] = {0};
    double share = (double)TINY_APPROVED / (TINY_APPROVED + 8);
    for (size_t i = 0; i < TINY_APPROVED; i++) {
        expect_vector(pack, s, i, wanted[i]);
        for (size_t j = 0; j <= H; j++)
            mean[j] += wanted[i][j] / TINY_APPROVED;
    }
    for (size_t i = 0; i < TINY_APPROVED; i++) {
        for (size_t j = 0; j <= H; j++) {
            float got = j < H ? v->vectors[i * H + j] : v->biases[i];
            assert_true(fabs((double)got - (wanted[i][j] - share * mean[j])) <
                        1e-6);
        }
    }
}

static void test_round_trip(void **state)
{
    char path[96];
    ga_pack *pack = NULL;
    ga_scratch *s = NULL;
    ga_error err = {""};
    ga_pack_report r;
    struct stat st;
    (void)state;
    tiny_pack_path(path);
    if (tiny_pack_write(path, tiny_guidelines, TINY_GUIDELINES, 1, NULL, &r,
                        &err) ||
        ga_pack_open(path, &pack, &err))
        fail_msg("%s", err.msg);
    assert_int_equal(ga_scratch_new(1, &s, NULL), GA_OK);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0444, 0444); /* as public as any file */
    assert_int_equal(r.guidelines, TINY_APPROVED);
    assert_int_equal(ga_pack_count(pack), TINY_APPROVED);
    assert_int_equal(r.triggers, 19);
    assert_int_equal(r.bytes, st.st_size);
    assert_int_equal(r.fit.triggers, 0); /* too few to calibrate by */
    assert_int_equal(r.risk.prompts, 22);
    assert_int_equal(r.risk.unsafe, 6);
    assert_string_equal(r.id, ga_pack_id(pack));
    assert_int_equal(strlen(ga_pack_id(pack)), 12);
    assert_int_equal(strspn(ga_pack_id(pack), "0123456789abcdef"), 12);
    assert_int_equal(ga_encoder_dim(ga_pack_encoder(pack)), H);
    for (size_t i = 0; i < TINY_APPROVED; i++)
        check_guideline(pack, i);
    check_vectors(pack, s);
    const ga_pack_view *v = ga__pack_view(pack);
    assert_true(
        ga__str_is(v->heading,
                   "Here are some guidelines for the AI assistant to follow:"));
    assert_memory_equal(&v->calibration, &r.calibration, sizeof(r.calibration));
    ga_scratch_free(s);
    ga_pack_close(pack);
    assert_true(tiny_pack_remove(path));
}

static void test_accessors(void **state)
{
    size_t len;
    unsigned char *bytes = tiny_pack_bytes(&len);
    ga_pack *pack = open_bytes(bytes, len);
    ga_guideline_view got;
    ga_error err = {""};
    static const char *const absent[] = {"",     "a draft", "retired", "ma",
                                         "mat ", "zzz",     "A"};
    (void)state;
    assert_int_equal(ga_pack_guideline(pack, TINY_APPROVED, &got, &err),
                     GA_INVAL);
    assert_int_equal(ga_pack_guideline(pack, SIZE_MAX, &got, NULL), GA_INVAL);
    for (size_t i = 0; i < sizeof(absent) / sizeof(*absent); i++)
        assert_true(ga__pack_find(pack, ga__str(absent[i])) == SIZE_MAX);
    for (size_t i = 0; i < GA_RISKS; i++)
        assert_int_equal(ga__risk_find(ga__str(ga_risk_name(i))), i);
    assert_null(ga_risk_name(GA_RISKS));
    ga_pack_close(pack);
    ga_pack_close(NULL);
    assert_int_equal(ga_pack_open(NULL, &pack, &err), GA_INVAL);
    assert_int_equal(ga_pack_open("/tmp", NULL, &err), GA_INVAL);
    assert_int_equal(ga_pack_open("/nowhere/x.gapack", &pack, &err),
                     GA_NOTFOUND);
    assert_non_null(strstr(err.msg, "/nowhere/x.gapack"));
    assert_int_equal(ga_pack_open("/tmp", &pack, &err), GA_INVAL);
    assert_null(pack);
    free(bytes);
}

/* Two that say the same share a cluster, and nobody else does. */
static void test_duplicates(void **state)
{
    size_t len;
    unsigned char *bytes;
    ga_pack_report r;
    (void)state;
    assert_int_equal(
        write_pack(tiny_guidelines, TINY_GUIDELINES, &bytes, &len, &r, NULL),
        GA_OK);
    ga_pack *pack = open_bytes(bytes, len);
    const ga_pack_view *v = ga__pack_view(pack);
    size_t a = ga__pack_find(pack, ga__str("mat")), shared = 0;
    size_t b = ga__pack_find(pack, ga__str("mat-too"));
    assert_int_equal(v->rows[a].cluster, v->rows[b].cluster);
    assert_int_equal(v->rows[a].cluster, a < b ? a : b);
    for (size_t i = 0; i < v->count; i++)
        shared += v->rows[i].cluster != i;
    assert_int_equal(r.duplicates, shared);
    assert_true(shared >= 1);
    ga_pack_close(pack);
    free(bytes);
}

/* The budget counts on it: what a guideline adds is counted to its end, even
 * where the encoder reads only its beginning. */
static void test_token_counts(void **state)
{
    static char words[4 * 500 + 1], block[3 * 400 + 1];
    for (size_t i = 0; i < 500; i++)
        memcpy(words + 4 * i, i % 2 ? "cat " : "dog ", 4);
    for (size_t i = 0; i < 400; i++)
        memcpy(block + 3 * i, "\xE7\x8C\xAB", 3); /* a cat, each its own word */
    ga_guideline list[3] = {tiny_guidelines[1], tiny_guidelines[1],
                            tiny_guidelines[1]};
    size_t len;
    unsigned char *bytes;
    (void)state;
    list[0].id = ga__str("1");
    list[0].title = ga__str("cat");
    list[0].text = ga__str("the cats sat.");
    list[1].id = ga__str("2");
    list[1].text = (ga_str){words, sizeof(words) - 2};
    list[1].title = ga__str("");
    list[2].id = ga__str("3");
    list[2].text = (ga_str){block, sizeof(block) - 1};
    list[2].title = ga__str("");
    assert_int_equal(write_pack(list, 3, &bytes, &len, NULL, NULL), GA_OK);
    ga_pack *pack = open_bytes(bytes, len);
    const ga_pack_view *v = ga__pack_view(pack);
    /* cat : the cat ##s sat .   and its line's start and end */
    assert_int_equal(v->rows[0].tokens, 7 + 2);
    assert_int_equal(v->rows[1].tokens, 500 + 2);
    assert_int_equal(v->rows[2].tokens, 400 + 2);
    ga_pack_close(pack);
    free(bytes);
}

/* ---- the same input gives the same bytes ---- */

static void test_same_bytes(void **state)
{
    static const unsigned threads[] = {1, 1, 3};
    unsigned char *first = NULL;
    size_t first_len = 0;
    ga_guideline reversed[TINY_GUIDELINES];
    (void)state;
    for (size_t i = 0; i < TINY_GUIDELINES; i++)
        reversed[i] = tiny_guidelines[TINY_GUIDELINES - 1 - i];
    for (int i = 0; i < 4; i++) {
        char path[96];
        size_t len;
        tiny_pack_path(path);
        /* the last time in another order, which must not matter either */
        assert_int_equal(
            tiny_pack_write(path, i == 3 ? reversed : tiny_guidelines,
                            TINY_GUIDELINES, i == 3 ? 2 : threads[i], NULL,
                            NULL, NULL),
            GA_OK);
        unsigned char *bytes = tiny_read(path, &len);
        assert_true(tiny_pack_remove(path));
        if (i > 0) {
            assert_int_equal(len, first_len);
            assert_memory_equal(bytes, first, len);
            free(bytes);
            continue;
        }
        first = bytes;
        first_len = len;
    }
    free(first);
}

/* Anything that differs makes another pack. */
static void test_other_id(void **state)
{
    ga_guideline list[TINY_GUIDELINES];
    ga_pack_report plain, other;
    unsigned char *bytes;
    size_t len;
    (void)state;
    memcpy(list, tiny_guidelines, sizeof(list));
    assert_int_equal(
        write_pack(list, TINY_GUIDELINES, &bytes, &len, &plain, NULL), GA_OK);
    free(bytes);
    list[0].priority = 8;
    assert_int_equal(
        write_pack(list, TINY_GUIDELINES, &bytes, &len, &other, NULL), GA_OK);
    free(bytes);
    assert_string_not_equal(plain.id, other.id);
}

/* A pack made by hand of the same sections is the same file: the layout is
 * what format.h says. */
static void test_layout(void **state)
{
    size_t len, joined_len;
    unsigned char *bytes = tiny_pack_bytes(&len);
    ga_str content[GA_PACK_SECTION_COUNT];
    (void)state;
    assert_true(tiny_pack_split(bytes, len, content));
    unsigned char *joined = tiny_pack_join(content, &joined_len);
    assert_int_equal(joined_len, len);
    assert_memory_equal(joined, bytes, len);
    free(joined);
    free(bytes);
}

/* ---- what cannot be packed ---- */

static void test_none_approved(void **state)
{
    unsigned char *bytes;
    size_t len;
    ga_error err = {""};
    (void)state;
    assert_int_equal(
        write_pack(tiny_guidelines + 6, 2, &bytes, &len, NULL, &err), GA_INVAL);
    assert_non_null(strstr(err.msg, "none of 2"));
    assert_int_equal(write_pack(tiny_guidelines, 0, &bytes, &len, NULL, &err),
                     GA_INVAL);
    assert_int_equal(write_pack(NULL, 0, &bytes, &len, NULL, NULL), GA_INVAL);
}

static void test_duplicate_ids(void **state)
{
    ga_guideline list[TINY_GUIDELINES];
    unsigned char *bytes;
    size_t len;
    ga_error err = {""};
    (void)state;
    memcpy(list, tiny_guidelines, sizeof(list));
    list[0].id = list[11].id;
    assert_int_equal(
        write_pack(list, TINY_GUIDELINES, &bytes, &len, NULL, &err), GA_INVAL);
    assert_non_null(strstr(err.msg, "'in'"));
    /* those that stay out do not count */
    list[0].status = GA_STATUS_RETIRED;
    assert_int_equal(
        write_pack(list, TINY_GUIDELINES, &bytes, &len, NULL, &err), GA_OK);
    free(bytes);
}

/* What the reader would refuse is not written in the first place. */
static void test_bad_records(void **state)
{
    static char long_id[GA_MAX_ID_BYTES + 2];
    static char long_text[GA_MAX_GUIDELINE_BYTES + 2];
    ga_guideline list[2] = {tiny_guidelines[0], tiny_guidelines[1]};
    unsigned char *bytes;
    size_t len;
    ga_error err = {""};
    (void)state;
    memset(long_id, 'x', sizeof(long_id) - 1);
    memset(long_text, 'x', sizeof(long_text) - 1);
    for (int i = 0; i < 6; i++) {
        list[1] = tiny_guidelines[1];
        if (i == 0)
            list[1].id = ga__str("");
        else if (i == 1)
            list[1].id = ga__str(long_id);
        else if (i == 2)
            list[1].priority = 10;
        else if (i == 3)
            list[1].text = ga__str("caf\xE9");
        else if (i == 4)
            list[1].title = ga__str("\xFF");
        else
            list[1].text = ga__str(long_text);
        ga_status rc = write_pack(list, 2, &bytes, &len, NULL, &err);
        if (rc == GA_OK || rc == GA_NOMEM)
            fail_msg("record %d: status %d", i, (int)rc);
        assert_non_null(strstr(err.msg, i == 0 ? "''" : "'"));
    }
}

/* Numbers that are none must not end in a pack that cannot be opened. */
static void test_bad_options(void **state)
{
    static const float bad[] = {INFINITY, NAN, -1};
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        for (int which = 0; which < 2; which++) {
            char path[96];
            ga_pack_options o;
            ga_error err = {""};
            ga__pack_options_init(&o);
            *(which ? &o.shrinkage : &o.text_weight) = bad[i];
            tiny_pack_path(path);
            assert_int_equal(tiny_pack_write(path, tiny_guidelines,
                                             TINY_GUIDELINES, 1, &o, NULL,
                                             &err),
                             GA_INVAL);
            assert_true(strlen(err.msg) > 0);
            assert_true(tiny_pack_remove(path));
        }
    }
}

typedef struct {
    size_t calls, stop_at, last, total;
} watcher;

static bool watch(void *arg, size_t done, size_t total)
{
    watcher *w = arg;
    assert_true(done > w->last && done <= total);
    w->last = done;
    w->total = total;
    return ++w->calls != w->stop_at;
}

static void test_progress_and_cancel(void **state)
{
    watcher w = {0};
    ga_pack_options o;
    char path[96];
    ga_error err = {""};
    (void)state;
    ga__pack_options_init(&o);
    o.progress = watch;
    o.progress_arg = &w;
    tiny_pack_path(path);
    assert_int_equal(tiny_pack_write(path, tiny_guidelines, TINY_GUIDELINES, 1,
                                     &o, NULL, &err),
                     GA_OK);
    assert_true(w.calls >= 2);
    assert_int_equal(w.last, w.total);
    assert_int_equal(w.total, TINY_APPROVED + 22);
    assert_true(tiny_pack_remove(path));
    for (size_t stop_at = w.calls; stop_at > 0; stop_at--) {
        w = (watcher){.stop_at = stop_at};
        tiny_pack_path(path);
        assert_int_equal(tiny_pack_write(path, tiny_guidelines, TINY_GUIDELINES,
                                         1, &o, NULL, &err),
                         GA_CANCELED);
        assert_int_equal(w.calls, stop_at);
        assert_int_not_equal(access(path, F_OK), 0);
        assert_true(tiny_pack_remove(path)); /* no temporary either */
    }
}

static void test_unwritable(void **state)
{
    char path[96], inside[128];
    ga_error err = {""};
    (void)state;
    tiny_pack_path(path);
    snprintf(inside, sizeof(inside), "%s/no/such.gapack", path);
    assert_int_equal(tiny_pack_write(inside, tiny_guidelines, TINY_GUIDELINES,
                                     1, NULL, NULL, &err),
                     GA_IO);
    assert_non_null(strstr(err.msg, inside));
    /* a folder stands where the file should */
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(tiny_pack_write(path, tiny_guidelines, TINY_GUIDELINES, 1,
                                     NULL, NULL, &err),
                     GA_IO);
    assert_true(tiny_pack_remove(path));
}

/* A disk that fills up: what was there before stays as it was. */
static void test_disk_full(void **state)
{
    static const char before[] = "the pack of yesterday";
    char path[96];
    ga_error err = {""};
    size_t len;
    struct rlimit old, small;
    (void)state;
    tiny_pack_path(path);
    char dir[96];
    snprintf(dir, sizeof(dir), "%s", path);
    *strrchr(dir, '/') = '\0';
    tiny_write(dir, "tiny.gapack", before, sizeof(before));
    ga_encoder *enc = NULL;
    ga_scratch *s = NULL;
    ga_pack_options o;
    ga_pack_report r;
    char model[64];
    tiny_folder(&(tiny_options){0}, model);
    assert_int_equal(ga_encoder_open(model, &enc, NULL), GA_OK);
    tiny_remove(model);
    assert_int_equal(ga_scratch_new(1, &s, NULL), GA_OK);
    ga__pack_options_init(&o);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    for (rlim_t most = 0; most < 50000; most += 7777) {
        small = (struct rlimit){most, old.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
        ga_status rc = ga__pack_write(path, tiny_guidelines, TINY_GUIDELINES,
                                      enc, s, &o, &r, &err);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
        assert_int_equal(rc, GA_IO);
        assert_non_null(strstr(err.msg, "cannot write"));
        unsigned char *bytes = tiny_read(path, &len);
        assert_int_equal(len, sizeof(before));
        assert_memory_equal(bytes, before, len);
        free(bytes);
    }
    signal(SIGXFSZ, handler);
    ga_scratch_free(s);
    ga_encoder_close(enc);
    assert_true(tiny_pack_remove(path));
}

/* Replacing the file leaves an open pack as it was. */
static void test_replaced_file(void **state)
{
    char path[96];
    ga_pack *pack = NULL;
    ga_guideline_view got;
    (void)state;
    tiny_pack_path(path);
    assert_int_equal(tiny_pack_write(path, tiny_guidelines, TINY_GUIDELINES, 1,
                                     NULL, NULL, NULL),
                     GA_OK);
    assert_int_equal(ga_pack_open(path, &pack, NULL), GA_OK);
    assert_int_equal(
        tiny_pack_write(path, tiny_guidelines, 1, 1, NULL, NULL, NULL), GA_OK);
    assert_int_equal(ga_pack_guideline(pack, TINY_APPROVED - 1, &got, NULL),
                     GA_OK);
    assert_true(ga__str_equal(got.id, tiny_guidelines[13].id));
    ga_pack_close(pack);
    assert_int_equal(ga_pack_open(path, &pack, NULL), GA_OK);
    assert_int_equal(ga_pack_count(pack), 1);
    ga_pack_close(pack);
    assert_true(tiny_pack_remove(path));
}

/* ---- seeds of the fuzzer ---- */

static void write_seed(const char *dir, const char *name, const char *dtype,
                       const ga_guideline *list, size_t n)
{
    char path[512], model[64];
    ga_encoder *enc = NULL;
    ga_scratch *s = NULL;
    ga_pack_options o;
    ga_pack_report r;
    ga__pack_options_init(&o);
    tiny_folder(&(tiny_options){.dtype = dtype}, model);
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    if (ga_encoder_open(model, &enc, NULL) || ga_scratch_new(1, &s, NULL) ||
        ga__pack_write(path, list, n, enc, s, &o, &r, NULL))
        tiny_die(path);
    tiny_remove(model);
    ga_scratch_free(s);
    ga_encoder_close(enc);
}

/* A pack without guidelines, which the writer refuses to make. */
static void write_empty_seed(const char *dir)
{
    size_t len, joined_len;
    unsigned char *bytes = tiny_pack_bytes(&len);
    ga_str content[GA_PACK_SECTION_COUNT];
    if (!tiny_pack_split(bytes, len, content))
        tiny_die("seed");
    content[GA_PACK_GUIDELINES].len = content[GA_PACK_STRINGS].len = 0;
    content[GA_PACK_VECTORS].len = content[GA_PACK_BIASES].len = 0;
    unsigned char *joined = tiny_pack_join(content, &joined_len);
    tiny_write(dir, "empty", joined, joined_len);
    free(joined);
    free(bytes);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_accessors),
        cmocka_unit_test(test_duplicates),
        cmocka_unit_test(test_token_counts),
        cmocka_unit_test(test_same_bytes),
        cmocka_unit_test(test_other_id),
        cmocka_unit_test(test_layout),
        cmocka_unit_test(test_none_approved),
        cmocka_unit_test(test_duplicate_ids),
        cmocka_unit_test(test_bad_records),
        cmocka_unit_test(test_bad_options),
        cmocka_unit_test(test_progress_and_cancel),
        cmocka_unit_test(test_unwritable),
        cmocka_unit_test(test_disk_full),
        cmocka_unit_test(test_replaced_file),
    };
    if (argc == 3 && strcmp(argv[1], "--seeds") == 0) {
        write_seed(argv[2], "tiny", "F32", tiny_guidelines, TINY_GUIDELINES);
        write_seed(argv[2], "one", "F16", tiny_guidelines, 1);
        write_seed(argv[2], "bf16", "BF16", tiny_guidelines + 1, 5);
        write_empty_seed(argv[2]);
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
