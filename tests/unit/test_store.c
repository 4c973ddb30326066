/* test_store.c: a library that grows version by version, and what it refuses.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/limits.h"
#include "library/load.h"
#include "library/store.h"

#define STR(literal) ((ga_str){"" literal, sizeof(literal) - 1})

/* Every test has a folder of its own, with a name for a library in it. */
typedef struct {
    char folder[64], path[96];
    ga_store *store;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    strcpy(f->folder, "/tmp/ga-store-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->path, sizeof(f->path), "%s/library.db", f->folder);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    DIR *d = opendir(f->folder);
    const struct dirent *e;
    ga__store_close(f->store);
    while (d && (e = readdir(d))) {
        char path[512];
        snprintf(path, sizeof(path), "%s/%s", f->folder, e->d_name);
        if (e->d_name[0] != '.')
            unlink(path);
    }
    closedir(d);
    rmdir(f->folder);
    free(f);
    return 0;
}

static ga_store *open_store(fixture *f, ga_store_mode mode)
{
    ga_error err = {""};
    ga__store_close(f->store);
    if (ga__store_open(f->path, mode, &f->store, &err) != GA_OK)
        fail_msg("%s", err.msg);
    return f->store;
}

static void assert_ok(ga_status rc, const ga_error *err)
{
    if (rc != GA_OK)
        fail_msg("%d: %s", (int)rc, err->msg);
}

static void assert_fails(ga_status rc, ga_status expected, const ga_error *err,
                         const char *message)
{
    if (rc != expected || strcmp(err->msg, message) != 0)
        fail_msg("%d \"%s\", expected %d \"%s\"", (int)rc, err->msg,
                 (int)expected, message);
}

static const ga_change by_ada = {{"ada", 3}, {"test", 4}, {"because", 7}};

static void begin(ga_store *s)
{
    ga_error err = {""};
    assert_ok(ga__store_begin(s, &by_ada, &err), &err);
}

static uint64_t commit(ga_store *s)
{
    ga_error err = {""};
    uint64_t version = 99;
    assert_ok(ga__store_commit(s, &version, &err), &err);
    return version;
}

static ga_status put_mode(ga_store *s, const char *id, const char *text,
                          ga_put_mode mode, ga_put_result *result,
                          ga_error *err)
{
    const ga_guideline g = {
        .id = ga__str(id), .text = ga__str(text), .priority = 5};
    const ga_put_options options = {.mode = mode};
    return ga__store_put(s, &g, &options, result, err);
}

static void put(ga_store *s, const char *id, const char *text)
{
    ga_error err = {""};
    ga_put_result result;
    assert_ok(put_mode(s, id, text, GA_PUT_REPLACE, &result, &err), &err);
}

/* The state at a version as "a=1 b=2 ", an approved one as "a=1! ". */
typedef struct {
    char text[512];
} listing;

static ga_status list_row(void *arg, const ga_store_row *row, ga_error *err)
{
    listing *l = arg;
    const ga_guideline *g = row->guideline;
    size_t n = strlen(l->text);
    (void)err;
    snprintf(l->text + n, sizeof(l->text) - n, "%.*s=%.*s%s ", (int)g->id.len,
             g->id.ptr, (int)g->text.len, g->text.ptr,
             g->status == GA_STATUS_APPROVED  ? "!"
             : g->status == GA_STATUS_RETIRED ? "?"
                                              : "");
    return GA_OK;
}

static void assert_state(ga_store *s, uint64_t version, const char *expected)
{
    listing l = {""};
    ga_error err = {""};
    assert_ok(ga__store_list(s, version, NULL, list_row, &l, &err), &err);
    assert_string_equal(l.text, expected);
}

/* Three versions: a=1 b=1; a=2 b=1 c=1; a=2! b=1 c=1. */
static ga_store *three_versions(fixture *f)
{
    ga_store *s = open_store(f, GA_STORE_CREATE);
    ga_error err = {""};
    bool changed = false;
    begin(s);
    put(s, "b", "1");
    put(s, "a", "1");
    assert_int_equal(commit(s), 1);
    begin(s);
    put(s, "a", "2");
    put(s, "c", "1");
    assert_int_equal(commit(s), 2);
    begin(s);
    assert_ok(
        ga__store_set_status(s, STR("a"), GA_STATUS_APPROVED, &changed, &err),
        &err);
    assert_true(changed);
    assert_int_equal(commit(s), 3);
    return s;
}

static void assert_three_versions(ga_store *s)
{
    assert_state(s, 0, "");
    assert_state(s, 1, "a=1 b=1 ");
    assert_state(s, 2, "a=2 b=1 c=1 ");
    assert_state(s, 3, "a=2! b=1 c=1 ");
}

static void test_versions(void **state)
{
    fixture *f = *state;
    ga_error err = {""};
    listing l = {""};
    assert_three_versions(three_versions(f));
    ga_store *s = open_store(f, GA_STORE_READ);
    assert_three_versions(s);
    assert_state(s, GA_STORE_HEAD, "a=2! b=1 c=1 ");
    assert_fails(ga__store_list(s, 4, NULL, list_row, &l, &err), GA_NOTFOUND,
                 &err, "there is no version 4, the newest is 3");
    uint64_t head = 0;
    assert_ok(ga__store_head(s, &head, &err), &err);
    assert_int_equal(head, 3);
}

static void test_get(void **state)
{
    fixture *f = *state;
    ga_store *s = three_versions(f);
    ga_record r = GA_RECORD_INIT;
    ga_error err = {""};
    uint64_t changed = 0;
    assert_ok(ga__store_get(s, STR("a"), GA_STORE_HEAD, &r, &changed, &err),
              &err);
    assert_int_equal(r.guideline.status, GA_STATUS_APPROVED);
    assert_int_equal(changed, 3);
    assert_ok(ga__store_get(s, STR("a"), 1, &r, &changed, &err), &err);
    assert_true(ga__str_is(r.guideline.text, "1"));
    assert_int_equal(changed, 1);
    assert_ok(ga__store_get(s, STR("b"), 3, &r, &changed, &err), &err);
    assert_int_equal(changed, 1);
    assert_fails(ga__store_get(s, STR("c"), 1, &r, NULL, &err), GA_NOTFOUND,
                 &err, "there is no guideline 'c'");
    assert_fails(ga__store_get(s, STR("\033[2J"), 1, &r, NULL, &err),
                 GA_NOTFOUND, &err, "there is no guideline '?[2J'");
    ga__record_free(&r);
}

static void test_put_modes(void **state)
{
    fixture *f = *state;
    ga_store *s = open_store(f, GA_STORE_CREATE);
    ga_error err = {""};
    ga_put_result r;
    begin(s);
    assert_ok(put_mode(s, "a", "1", GA_PUT_ADD, &r, &err), &err);
    assert_int_equal(r, GA_PUT_ADDED);
    assert_ok(put_mode(s, "b", "1", GA_PUT_IMPORT, &r, &err), &err);
    assert_int_equal(r, GA_PUT_ADDED);
    assert_ok(put_mode(s, "c", "1", GA_PUT_REPLACE, &r, &err), &err);
    assert_int_equal(r, GA_PUT_ADDED);
    assert_fails(put_mode(s, "d", "1", GA_PUT_EDIT, &r, &err), GA_NOTFOUND,
                 &err, "there is no guideline 'd'");
    /* one change sets an id once */
    assert_ok(put_mode(s, "c", "1", GA_PUT_REPLACE, &r, &err), &err);
    assert_int_equal(r, GA_PUT_UNCHANGED);
    assert_fails(put_mode(s, "c", "2", GA_PUT_REPLACE, &r, &err), GA_EXISTS,
                 &err, "'c' is in this change already");
    commit(s);
    begin(s);
    assert_fails(put_mode(s, "a", "1", GA_PUT_ADD, &r, &err), GA_EXISTS, &err,
                 "there is another guideline 'a'");
    assert_ok(put_mode(s, "b", "1", GA_PUT_IMPORT, &r, &err), &err);
    assert_int_equal(r, GA_PUT_UNCHANGED);
    assert_fails(put_mode(s, "b", "2", GA_PUT_IMPORT, &r, &err), GA_EXISTS,
                 &err, "there is another guideline 'b'");
    assert_ok(put_mode(s, "b", "2", GA_PUT_EDIT, &r, &err), &err);
    assert_int_equal(r, GA_PUT_UPDATED);
    assert_ok(put_mode(s, "c", "1", GA_PUT_EDIT, &r, &err), &err);
    assert_int_equal(r, GA_PUT_UNCHANGED);
    assert_fails(put_mode(s, "c", " ", GA_PUT_EDIT, &r, &err), GA_INVAL, &err,
                 "\"text\" is blank");
    assert_int_equal(commit(s), 2);
    assert_state(s, 2, "a=1 b=2 c=1 ");
}

/* A record that does not say its status is no other than an approved one; but
 * one of another text is a draft again. */
static void test_any_status(void **state)
{
    fixture *f = *state;
    ga_store *s = three_versions(f);
    ga_put_options options = {.mode = GA_PUT_IMPORT, .any_status = true};
    ga_guideline g = {.id = STR("a"), .text = STR("2"), .priority = 5};
    ga_error err = {""};
    ga_put_result r;
    begin(s);
    assert_ok(ga__store_put(s, &g, &options, &r, &err), &err);
    assert_int_equal(r, GA_PUT_UNCHANGED);
    options.any_status = false;
    assert_int_equal(ga__store_put(s, &g, &options, &r, &err), GA_EXISTS);
    options.any_status = true;
    options.mode = GA_PUT_REPLACE;
    g.text = STR("3");
    assert_ok(ga__store_put(s, &g, &options, &r, &err), &err);
    assert_int_equal(r, GA_PUT_UPDATED);
    commit(s);
    assert_state(s, 4, "a=3 b=1 c=1 ");
}

static void test_conflict(void **state)
{
    fixture *f = *state;
    ga_store *s = three_versions(f);
    ga_put_options options = {.mode = GA_PUT_EDIT, .expected = 2};
    const ga_guideline g = {.id = STR("a"), .text = STR("3"), .priority = 5};
    ga_error err = {""};
    ga_put_result r;
    begin(s);
    assert_fails(ga__store_put(s, &g, &options, &r, &err), GA_CONFLICT, &err,
                 "'a' was changed in version 3, by somebody else");
    options.expected = 3;
    assert_ok(ga__store_put(s, &g, &options, &r, &err), &err);
    assert_int_equal(commit(s), 4);
}

static void test_nothing_is_no_version(void **state)
{
    fixture *f = *state;
    ga_store *s = three_versions(f);
    ga_error err = {""};
    bool changed = true;
    begin(s);
    assert_int_equal(commit(s), 0);
    begin(s);
    put(s, "b", "1");
    assert_ok(
        ga__store_set_status(s, STR("a"), GA_STATUS_APPROVED, &changed, &err),
        &err);
    assert_false(changed);
    assert_int_equal(commit(s), 0);
    begin(s);
    put(s, "b", "9");
    ga__store_abort(s);
    begin(s);
    put(s, "d", "1");
    s = open_store(f, GA_STORE_WRITE); /* closed in the middle */
    assert_state(s, GA_STORE_HEAD, "a=2! b=1 c=1 ");
    begin(s);
    put(s, "d", "1");
    assert_int_equal(commit(s), 4);
}

static void test_misuse(void **state)
{
    fixture *f = *state;
    ga_store *s = three_versions(f);
    ga_error err = {""};
    ga_put_result r;
    uint64_t version;
    bool changed;
    size_t count;
    assert_int_equal(put_mode(s, "a", "1", GA_PUT_EDIT, &r, &err), GA_INVAL);
    assert_int_equal(
        ga__store_set_status(s, STR("a"), GA_STATUS_DRAFT, &changed, &err),
        GA_INVAL);
    assert_int_equal(ga__store_rollback(s, 1, &count, &err), GA_INVAL);
    assert_int_equal(ga__store_commit(s, &version, &err), GA_INVAL);
    ga__store_abort(s);
    begin(s);
    assert_fails(ga__store_begin(s, &by_ada, &err), GA_INVAL, &err,
                 "a change is under way");
    put(s, "a", "5");
    assert_fails(ga__store_rollback(s, 1, &count, &err), GA_INVAL, &err,
                 "a rollback is a change of its own");
    ga__store_abort(s);
    ga_change change = by_ada;
    change.author = STR("  ");
    assert_fails(ga__store_begin(s, &change, &err), GA_INVAL, &err,
                 "the author is empty");
    change.author = STR("a\0b");
    assert_fails(ga__store_begin(s, &change, &err), GA_INVAL, &err,
                 "the author has a NUL character");
    change = by_ada;
    change.reason = STR("\xff");
    assert_fails(ga__store_begin(s, &change, &err), GA_INVAL, &err,
                 "the reason is invalid UTF-8");
    change.reason = (ga_str){"x", GA_MAX_REASON_BYTES + 1};
    assert_fails(ga__store_begin(s, &change, &err), GA_LIMIT, &err,
                 "the reason has 8193 bytes, the limit is 8192");
    s = open_store(f, GA_STORE_READ);
    assert_int_equal(ga__store_begin(s, &by_ada, &err), GA_IO);
    assert_three_versions(s);
}

static void test_rollback(void **state)
{
    fixture *f = *state;
    ga_store *s = three_versions(f);
    ga_error err = {""};
    size_t count = 9;
    begin(s);
    assert_ok(ga__store_rollback(s, 1, &count, &err), &err);
    assert_int_equal(count, 2);
    assert_int_equal(commit(s), 4);
    assert_state(s, 4, "a=1 b=1 ");
    assert_three_versions(s);
    begin(s); /* what was removed can come back, under its id too */
    put(s, "c", "new");
    assert_int_equal(commit(s), 5);
    begin(s);
    assert_ok(ga__store_rollback(s, 3, &count, &err), &err);
    assert_int_equal(commit(s), 6);
    assert_state(s, 6, "a=2! b=1 c=1 ");
    begin(s); /* the state is that of version 3 already */
    assert_ok(ga__store_rollback(s, 3, &count, &err), &err);
    assert_int_equal(count, 0);
    assert_int_equal(commit(s), 0);
    begin(s);
    assert_ok(ga__store_rollback(s, 0, &count, &err), &err);
    assert_int_equal(commit(s), 7);
    assert_state(s, 7, "");
    begin(s);
    assert_fails(ga__store_rollback(s, 8, &count, &err), GA_NOTFOUND, &err,
                 "there is no version 8, the newest is 7");
}

typedef struct {
    char text[1024];
} story;

static ga_status tell(void *arg, const ga_store_version *v, ga_error *err)
{
    story *s = arg;
    size_t n = strlen(s->text);
    (void)err;
    assert_int_equal(v->created.len, 24);
    assert_memory_equal(v->created.ptr + 10, "T", 1);
    assert_memory_equal(v->created.ptr + 23, "Z", 1);
    assert_true(ga__str_equal(v->author, by_ada.author));
    snprintf(s->text + n, sizeof(s->text) - n, "%d:%.*s/%.*s/%d%s ",
             (int)v->version, (int)v->action.len, v->action.ptr,
             (int)v->reason.len, v->reason.ptr, (int)v->count,
             v->json.len ? "" : "-");
    return GA_OK;
}

static void assert_history(ga_store *s, const char *id, const char *expected)
{
    story told = {""};
    ga_error err = {""};
    assert_ok(ga__store_history(s, ga__str(id), tell, &told, &err), &err);
    assert_string_equal(told.text, expected);
}

static void test_history(void **state)
{
    fixture *f = *state;
    ga_store *s = open_store(f, GA_STORE_CREATE);
    ga_error err = {""};
    size_t count;
    story told = {""};
    assert_history(s, "", "");
    s = three_versions(f);
    begin(s);
    assert_ok(ga__store_rollback(s, 1, &count, &err), &err);
    assert_int_equal(commit(s), 4);
    assert_history(s, "",
                   "4:test/because/2- 3:test/because/1- 2:test/because/2- "
                   "1:test/because/2- ");
    assert_history(s, "a",
                   "4:test/because/2 3:test/because/1 2:test/because/2 "
                   "1:test/because/2 ");
    assert_history(s, "b", "1:test/because/2 ");
    assert_history(s, "c", "4:test/because/2- 2:test/because/2 ");
    assert_fails(ga__store_history(s, STR("d"), tell, &told, &err), GA_NOTFOUND,
                 &err, "there is no guideline 'd'");
}

static ga_status compare(void *arg, ga_str id, const ga_record *before,
                         const ga_record *after, ga_error *err)
{
    story *s = arg;
    size_t n = strlen(s->text);
    ga_str a = before ? before->guideline.text : (ga_str){"", 0};
    ga_str b = after ? after->guideline.text : (ga_str){"", 0};
    (void)err;
    snprintf(s->text + n, sizeof(s->text) - n, "%.*s:%.*s>%.*s ", (int)id.len,
             id.ptr, (int)a.len, a.ptr, (int)b.len, b.ptr);
    return GA_OK;
}

static void assert_diff(ga_store *s, uint64_t before, uint64_t after,
                        const char *expected)
{
    story told = {""};
    ga_error err = {""};
    assert_ok(ga__store_diff(s, before, after, compare, &told, &err), &err);
    assert_string_equal(told.text, expected);
}

static void test_diff(void **state)
{
    fixture *f = *state;
    ga_store *s = three_versions(f);
    ga_error err = {""};
    story told = {""};
    assert_diff(s, 1, 2, "a:1>2 c:>1 ");
    assert_diff(s, 2, 1, "a:2>1 c:1> ");
    assert_diff(s, 2, 3, "a:2>2 ");
    assert_diff(s, 0, GA_STORE_HEAD, "a:>2 b:>1 c:>1 ");
    assert_diff(s, 2, 2, "");
    begin(s); /* there and back again is no difference */
    put(s, "b", "9");
    assert_int_equal(commit(s), 4);
    begin(s);
    put(s, "b", "1");
    assert_int_equal(commit(s), 5);
    assert_diff(s, 3, 5, "");
    assert_fails(ga__store_diff(s, 1, 6, compare, &told, &err), GA_NOTFOUND,
                 &err, "there is no version 6, the newest is 5");
}

static void test_filter(void **state)
{
    const ga_str risks[] = {STR("insult"), STR("mental_health")};
    const ga_str topic = STR("coding"), scope = STR("shop");
    const ga_guideline g = {.id = STR("the-id"),
                            .title = STR("Der \303\234BERBLICK"),
                            .text = STR("Say no"),
                            .kind = GA_GUIDELINE_PERMIT,
                            .status = GA_STATUS_RETIRED,
                            .risks = {risks, 2},
                            .topics = {&topic, 1},
                            .scope = {&scope, 1}};
    (void)state;
    const struct {
        ga_store_filter filter;
        bool passes;
    } cases[] = {
        {{.topic = {NULL, 0}}, true},
        {{.by_status = true, .status = GA_STATUS_RETIRED}, true},
        {{.by_status = true, .status = GA_STATUS_DRAFT}, false},
        {{.by_kind = true, .kind = GA_GUIDELINE_PERMIT}, true},
        {{.by_kind = true, .kind = GA_GUIDELINE_SAFETY}, false},
        {{.by_risk = true, .risk = GA_RISK_mental_health}, true},
        {{.by_risk = true, .risk = GA_RISK_prompt_leaking}, false},
        {{.topic = STR("coding")}, true},
        {{.topic = STR("cod")}, false},
        {{.scope = STR("shop")}, true},
        {{.scope = STR("desk")}, false},
        {{.text = STR("E-ID")}, true},
        {{.text = STR("\303\274berBLICK")}, true},
        {{.text = STR("say no")}, true},
        {{.text = STR("say not")}, false},
        {{.text = STR("no\xff")}, false},
        {{.text = STR("SAY"),
          .topic = STR("coding"),
          .by_kind = true,
          .kind = GA_GUIDELINE_PERMIT},
         true},
        {{.text = STR("SAY"), .topic = STR("writing")}, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        assert_int_equal(ga__store_matches(&cases[i].filter, &g),
                         cases[i].passes);
}

/* ---- files ---- */

static void assert_refused(const fixture *f, ga_store_mode mode,
                           ga_status status, const char *message)
{
    ga_store *s = NULL;
    ga_error err = {""};
    char expected[256];
    ga_status rc = ga__store_open(f->path, mode, &s, &err);
    snprintf(expected, sizeof(expected), message, f->path);
    assert_null(s);
    assert_fails(rc, status, &err, expected);
}

static void assert_refused_by_all(const fixture *f, ga_status status,
                                  const char *message)
{
    assert_refused(f, GA_STORE_READ, status, message);
    assert_refused(f, GA_STORE_WRITE, status, message);
    assert_refused(f, GA_STORE_CREATE, status, message);
}

static void execute(const fixture *f, const char *sql)
{
    sqlite3 *db = NULL;
    char *message = NULL;
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s: %s", sql, message);
    sqlite3_close(db);
}

static void write_file(const fixture *f, const char *bytes, size_t len)
{
    FILE *out = fopen(f->path, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(bytes, 1, len, out), len);
    fclose(out);
}

static void test_not_there(void **state)
{
    fixture *f = *state;
    assert_refused(f, GA_STORE_READ, GA_NOTFOUND, "there is no library '%s'");
    assert_refused(f, GA_STORE_WRITE, GA_NOTFOUND, "there is no library '%s'");
    assert_int_equal(access(f->path, F_OK), -1);
    ga_store *s = NULL;
    ga_error err = {""};
    assert_fails(
        ga__store_open("/tmp/no/such/folder/x.db", GA_STORE_CREATE, &s, &err),
        GA_IO, &err,
        "cannot open '/tmp/no/such/folder/x.db': No such file or "
        "directory");
    assert_fails(ga__store_open("", GA_STORE_CREATE, &s, &err), GA_INVAL, &err,
                 "the name of the library is empty");
    assert_fails(ga__store_open("postgresql://db/x", GA_STORE_READ, &s, &err),
                 GA_UNSUPPORTED, &err,
                 "'postgresql://db/x': libraries in PostgreSQL are not "
                 "supported yet");
    assert_fails(ga__store_open("/tmp", GA_STORE_CREATE, &s, &err), GA_FORMAT,
                 &err, "'/tmp' is no guideline library");
}

static void test_other_files(void **state)
{
    fixture *f = *state;
    const char *text = "{\"text\":\"x\"}\n";
    write_file(f, text, strlen(text));
    assert_refused_by_all(f, GA_FORMAT, "'%s' is no guideline library");
    char zeros[4096] = {0};
    write_file(f, zeros, sizeof(zeros));
    assert_refused_by_all(f, GA_FORMAT, "'%s' is no guideline library");
    unlink(f->path);
    execute(f, "CREATE TABLE bookmarks(url)");
    assert_refused_by_all(f, GA_FORMAT, "'%s' is no guideline library");
    unlink(f->path);
    execute(f, "PRAGMA application_id = 7; PRAGMA user_version = 1");
    assert_refused_by_all(f, GA_FORMAT, "'%s' is no guideline library");
    unlink(f->path);
    write_file(f, "", 0);
    assert_refused(f, GA_STORE_READ, GA_FORMAT,
                   "'%s' is empty, not yet a guideline library");
    assert_refused(f, GA_STORE_WRITE, GA_FORMAT,
                   "'%s' is empty, not yet a guideline library");
    open_store(f, GA_STORE_CREATE);
    assert_state(f->store, GA_STORE_HEAD, "");
}

static void test_newer_schema(void **state)
{
    fixture *f = *state;
    three_versions(f);
    execute(f, "PRAGMA user_version = 9");
    assert_refused_by_all(f, GA_UNSUPPORTED,
                          "'%s' was made by a newer guidealign: its schema is "
                          "9, this program knows 1");
}

static void test_damaged(void **state)
{
    fixture *f = *state;
    ga_error err = {""};
    listing l = {""};
    char expected[256];
    three_versions(f);
    execute(f, "INSERT INTO records VALUES('x', 3, 0, '{\"text\":5}')");
    ga_store *s = open_store(f, GA_STORE_READ);
    snprintf(expected, sizeof(expected),
             "'%s' is damaged: record 'x' of version 3: \"text\" must be a "
             "string",
             f->path);
    assert_fails(ga__store_list(s, GA_STORE_HEAD, NULL, list_row, &l, &err),
                 GA_FORMAT, &err, expected);
    execute(f, "INSERT INTO records VALUES('w', 3, 0, '{\"text\":\"y\"}')");
    snprintf(expected, sizeof(expected),
             "'%s' is damaged: record 'w' of version 3: its id is another",
             f->path);
    assert_fails(ga__store_list(s, GA_STORE_HEAD, NULL, list_row, &l, &err),
                 GA_FORMAT, &err, expected);
}

/* A part of a file that was whole: either what is missing was not needed, or it
 * is an error; never a part of the library. */
static void test_cut_off(void **state)
{
    fixture *f = *state;
    three_versions(f);
    ga__store_close(f->store);
    f->store = NULL;
    struct stat st;
    int errors = 0;
    assert_int_equal(stat(f->path, &st), 0);
    for (off_t size = st.st_size - 1; size > 0; size = size * 2 / 3) {
        ga_error err = {""};
        ga_store *s = NULL;
        listing l = {""};
        assert_int_equal(truncate(f->path, size), 0);
        ga_status rc = ga__store_open(f->path, GA_STORE_READ, &s, &err);
        if (rc == GA_OK)
            rc = ga__store_list(s, GA_STORE_HEAD, NULL, list_row, &l, &err);
        if (rc == GA_OK)
            assert_string_equal(l.text, "a=2! b=1 c=1 ");
        else
            assert_true(err.msg[0] != '\0');
        errors += rc != GA_OK;
        ga__store_close(s);
    }
    assert_true(errors > 5);
}

/* Not even another program changes the past by mistake. */
static void test_append_only(void **state)
{
    static const char *const changes[] = {
        "UPDATE records SET record = ''", "DELETE FROM records",
        "UPDATE versions SET author = 'eve'", "DELETE FROM versions"};
    fixture *f = *state;
    sqlite3 *db = NULL;
    three_versions(f);
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(sqlite3_exec(db, changes[i], NULL, NULL, NULL),
                         SQLITE_CONSTRAINT);
        assert_string_equal(sqlite3_errmsg(db), "the history is append-only");
    }
    sqlite3_close(db);
    assert_three_versions(f->store);
}

/* Names that SQLite would take for something else than a file. */
static void test_names(void **state)
{
    static const char *const names[] = {":memory:", "file:x?mode=memory",
                                        "a b'c.db"};
    fixture *f = *state;
    char before[512];
    assert_non_null(getcwd(before, sizeof(before)));
    assert_int_equal(chdir(f->folder), 0);
    for (size_t i = 0; i < 3; i++) {
        snprintf(f->path, sizeof(f->path), "%s", names[i]);
        three_versions(f);
        ga__store_close(f->store);
        f->store = NULL;
        assert_int_equal(access(names[i], F_OK), 0);
        assert_three_versions(open_store(f, GA_STORE_READ));
    }
    assert_int_equal(chdir(before), 0);
}

/* A reader sees what was committed while a change is under way, and leaves
 * nothing beside the file. */
static void test_reader_beside_writer(void **state)
{
    fixture *f = *state;
    ga_error err = {""};
    ga_store *reader = NULL;
    three_versions(f);
    begin(f->store);
    put(f->store, "d", "1");
    assert_ok(ga__store_open(f->path, GA_STORE_READ, &reader, &err), &err);
    assert_three_versions(reader);
    assert_int_equal(commit(f->store), 4);
    assert_state(reader, GA_STORE_HEAD, "a=2! b=1 c=1 d=1 ");
    ga__store_close(reader);
    ga__store_close(f->store);
    f->store = NULL;
    int files = 0;
    DIR *d = opendir(f->folder);
    for (const struct dirent *e; (e = readdir(d));)
        files += e->d_name[0] != '.';
    closedir(d);
    assert_int_equal(files, 1);
}

/* ---- load ---- */

static void test_load(void **state)
{
    fixture *f = *state;
    char lines[128];
    ga_guideline_set set;
    ga_error err = {""};
    const ga_store_filter approved = {.by_status = true,
                                      .status = GA_STATUS_APPROVED};
    three_versions(f);
    snprintf(lines, sizeof(lines), "%s/x.jsonl", f->folder);
    FILE *out = fopen(lines, "wb");
    assert_non_null(out);
    fputs("{\"id\":\"z\",\"text\":\"1\",\"triggers\":[\"t\\n\"]}\n"
          "{\"id\":\"y\",\"text\":\"2\",\"status\":\"approved\"}\n",
          out);
    fclose(out);
    const char *paths[] = {f->path, lines, f->path};
    assert_ok(ga__guidelines_load(paths, 2, NULL, &set, &err), &err);
    assert_int_equal(set.count, 5);
    assert_true(ga__str_is(set.items[0].id, "a"));
    assert_true(ga__str_is(set.items[3].id, "z"));
    assert_true(ga__str_is(set.items[3].triggers.items[0], "t\n"));
    ga__guidelines_free(&set);
    assert_ok(ga__guidelines_load(paths, 2, &approved, &set, &err), &err);
    assert_int_equal(set.count, 2);
    assert_true(ga__str_is(set.items[0].id, "a"));
    assert_true(ga__str_is(set.items[1].id, "y"));
    ga__guidelines_free(&set);
    assert_int_equal(ga__guidelines_load(paths, 3, NULL, &set, &err),
                     GA_EXISTS);
    assert_non_null(strstr(err.msg, "library.db: id 'a' is in '"));
    assert_int_equal(set.count, 0);
    out = fopen(lines, "ab");
    assert_non_null(out);
    fputs("{\"txt\":1}\n", out);
    fclose(out);
    assert_int_equal(ga__guidelines_load(paths, 2, NULL, &set, &err),
                     GA_FORMAT);
    assert_non_null(strstr(err.msg, "x.jsonl:3: unknown key 'txt'"));
    const char *missing[] = {"/tmp/no-such-file"};
    assert_int_equal(ga__guidelines_load(missing, 1, NULL, &set, &err),
                     GA_NOTFOUND);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_versions),
        TEST(test_get),
        TEST(test_put_modes),
        TEST(test_any_status),
        TEST(test_conflict),
        TEST(test_nothing_is_no_version),
        TEST(test_misuse),
        TEST(test_rollback),
        TEST(test_history),
        TEST(test_diff),
        cmocka_unit_test(test_filter),
        TEST(test_not_there),
        TEST(test_other_files),
        TEST(test_newer_schema),
        TEST(test_damaged),
        TEST(test_cut_off),
        TEST(test_append_only),
        TEST(test_names),
        TEST(test_reader_beside_writer),
        TEST(test_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
