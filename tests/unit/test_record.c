/* test_record.c: what a guideline record may be, and that it is written back
 * as it was read. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "library/record.h"

#define STR(literal) ((ga_str){"" literal, sizeof(literal) - 1})

static void assert_str(ga_str got, const char *expected)
{
    if (!ga__str_is(got, expected))
        fail_msg("'%.*s' is not '%s'", (int)got.len, got.ptr, expected);
}

/* Parsed from a copy of its own size that is gone afterwards: nothing may be
 * read past its end or borrowed from it. */
static ga_status parse(ga_record *r, ga_str json, ga_error *err)
{
    char *copy = malloc(json.len ? json.len : 1);
    assert_non_null(copy);
    memcpy(copy, json.ptr, json.len);
    ga_status rc = ga__record_parse(r, (ga_str){copy, json.len}, err);
    free(copy);
    return rc;
}

static void parse_good(ga_record *r, ga_str json)
{
    ga_error err = {""};
    if (parse(r, json, &err) != GA_OK)
        fail_msg("%.*s: %s", (int)json.len, json.ptr, err.msg);
}

static void assert_rejected(ga_str json, ga_status status, const char *message)
{
    ga_record r = GA_RECORD_INIT;
    ga_error err = {""};
    ga_status rc = parse(&r, json, &err);
    if (rc != status || strcmp(err.msg, message) != 0)
        fail_msg("%.*s: %d \"%s\", expected %d \"%s\"",
                 (int)(json.len < 200 ? json.len : 200), json.ptr, (int)rc,
                 err.msg, (int)status, message);
    assert_int_equal(r.guideline.text.len, 0);
    ga__record_free(&r);
}

#define FULL                                                                   \
    "{\"id\":\"a-b\",\"title\":\"A b\",\"text\":\"Say \\\"no\\\".\\nThen "     \
    "h\303"                                                                    \
    "\251lp.\",\"kind\":\"permit\",\"risks\":[\"insult\",\"mental_health\"],"  \
    "\"topics\":[\"coding\"],\"priority\":9,\"scope\":[\"shop\"],"             \
    "\"triggers\":[\"one\",\"two\\u0001\"],\"non_triggers\":[\"three\"],"      \
    "\"status\":\"retired\",\"source\":{\"prompt\":\"p\",\"model\":\"m\","     \
    "\"template\":\"t\",\"created\":\"2025-11-24\",\"n\":[1.10,1e999,true]}}"

static void test_all_fields(void **state)
{
    ga_record r = GA_RECORD_INIT;
    const ga_guideline *g = &r.guideline;
    (void)state;
    parse_good(&r, STR(FULL));
    assert_str(g->id, "a-b");
    assert_str(g->title, "A b");
    assert_str(g->text, "Say \"no\".\nThen h\303\251lp.");
    assert_int_equal(g->kind, GA_GUIDELINE_PERMIT);
    assert_int_equal(g->status, GA_STATUS_RETIRED);
    assert_true(r.status_given);
    assert_int_equal(g->priority, 9);
    assert_int_equal(g->risks.count, 2);
    assert_str(g->risks.items[1], "mental_health");
    assert_int_equal(g->topics.count, 1);
    assert_str(g->topics.items[0], "coding");
    assert_int_equal(g->scope.count, 1);
    assert_str(g->scope.items[0], "shop");
    assert_int_equal(g->triggers.count, 2);
    assert_str(g->triggers.items[1], "two\001");
    assert_int_equal(g->non_triggers.count, 1);
    assert_str(g->non_triggers.items[0], "three");
    assert_str(g->source,
               "{\"prompt\":\"p\",\"model\":\"m\",\"template\":\"t\","
               "\"created\":\"2025-11-24\",\"n\":[1.10,1e999,true]}");
    ga__record_free(&r);
}

static void test_defaults(void **state)
{
    ga_record r = GA_RECORD_INIT;
    const ga_guideline *g = &r.guideline;
    (void)state;
    parse_good(&r, STR(" {\"text\" : \"Be kind to people\"} "));
    assert_str(g->text, "Be kind to people");
    assert_int_equal(g->title.len, 0);
    assert_int_equal(g->kind, GA_GUIDELINE_QUALITY);
    assert_int_equal(g->status, GA_STATUS_DRAFT);
    assert_false(r.status_given);
    assert_int_equal(g->priority, 5);
    assert_int_equal(g->risks.count + g->topics.count + g->scope.count +
                         g->triggers.count + g->non_triggers.count,
                     0);
    assert_int_equal(g->source.len, 0);
    parse_good(&r, STR("{\"text\":\"x\",\"risks\":[\"insult\"]}"));
    assert_int_equal(g->kind, GA_GUIDELINE_SAFETY);
    parse_good(&r, STR("{\"text\":\"x\",\"source\":{ }}"));
    assert_int_equal(g->source.len, 0);
    ga__record_free(&r);
}

static void test_derived_ids(void **state)
{
    static const struct {
        const char *title, *text, *id;
    } cases[] = {
        /* the digits are those of `printf %s TEXT | sha256sum` */
        {"Tracking a partner", "x", "tracking-a-partner-2d711642"},
        {"  Who's -- THERE? ", "x", "who-s-there-2d711642"},
        {"", "Be kind", "be-kind-3470ac92"},
        {"\346\227\245\346\234\254", "x", "guideline-2d711642"},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
         "x", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-2d711642"},
        {"one two three four five six seven eight nine ten eleven", "x",
         "one-two-three-four-five-six-seven-eight-nine-ten-2d711642"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char id[GA_DERIVED_ID_SIZE];
        ga__guideline_derive_id(ga__str(cases[i].title), ga__str(cases[i].text),
                                id);
        assert_string_equal(id, cases[i].id);
    }
    ga_record r = GA_RECORD_INIT;
    parse_good(&r, STR("{\"text\":\"Be kind\"}"));
    assert_str(r.guideline.id, "be-kind-3470ac92");
    parse_good(&r, STR("{\"text\":\"x\",\"title\":\"Who\"}"));
    assert_str(r.guideline.id, "who-2d711642");
    ga__record_free(&r);
}

static void test_shape(void **state)
{
    (void)state;
    assert_rejected(STR("[]"), GA_FORMAT, "a JSON object is expected");
    assert_rejected(STR("\"text\""), GA_FORMAT, "a JSON object is expected");
    assert_rejected(STR("{}"), GA_FORMAT, "\"text\" is missing");
    assert_rejected(STR("{\"title\":\"t\"}"), GA_FORMAT, "\"text\" is missing");
    assert_rejected(STR("{\"text\":\"x\",\"trigers\":[]}"), GA_FORMAT,
                    "unknown key 'trigers'");
    assert_rejected(STR("{\"text\":\"x\",\"\\u001b[2J\\u0000\":[]}"), GA_FORMAT,
                    "unknown key '?[2J?'");
    assert_rejected(STR("{\"text\":\"x\",\"\":1}"), GA_FORMAT,
                    "unknown key ''");
    assert_rejected(STR("{\"text\":\"x\",\"te\\u0078t\":\"y\"}"), GA_FORMAT,
                    "key 'text' stands twice");
    assert_rejected(STR("{\"text\":\"x\"} {}"), GA_FORMAT,
                    "malformed JSON at byte 13: bytes behind the value");
    assert_rejected(STR("{\"text\":\"\xff\"}"), GA_FORMAT,
                    "malformed JSON at byte 9: invalid UTF-8");
    assert_rejected(STR("{\"text\":\"\\ud800\"}"), GA_FORMAT,
                    "malformed JSON at byte 10: bad \\u escape");
}

static void test_types(void **state)
{
    static const char *const strings[] = {"id", "title", "kind", "status"};
    static const char *const lists[] = {"risks", "topics", "scope", "triggers",
                                        "non_triggers"};
    static const char *const wrong[] = {"null", "1", "true", "{}"};
    char json[128], message[128];
    (void)state;
    for (size_t w = 0; w < 4; w++) {
        for (size_t i = 0; i < 4; i++) {
            snprintf(json, sizeof(json), "{\"text\":\"x\",\"%s\":%s}",
                     strings[i], wrong[w]);
            snprintf(message, sizeof(message), "\"%s\" must be a string",
                     strings[i]);
            assert_rejected(ga__str(json), GA_FORMAT, message);
        }
        for (size_t i = 0; i < 5; i++) {
            snprintf(json, sizeof(json), "{\"text\":\"x\",\"%s\":%s}", lists[i],
                     wrong[w]);
            snprintf(message, sizeof(message),
                     "\"%s\" must be a list of strings", lists[i]);
            assert_rejected(ga__str(json), GA_FORMAT, message);
            snprintf(json, sizeof(json), "{\"text\":\"x\",\"%s\":[\"a\",%s]}",
                     lists[i], wrong[w]);
            snprintf(message, sizeof(message), "\"%s\" item 2 must be a string",
                     lists[i]);
            assert_rejected(ga__str(json), GA_FORMAT, message);
        }
    }
    assert_rejected(STR("{\"text\":[\"x\"]}"), GA_FORMAT,
                    "\"text\" must be a string");
    static const char *const priorities[] = {
        "10", "-1", "5.0", "\"5\"", "1e0", "99999999999999999999"};
    for (size_t i = 0; i < 6; i++) {
        snprintf(json, sizeof(json), "{\"text\":\"x\",\"priority\":%s}",
                 priorities[i]);
        assert_rejected(ga__str(json), GA_FORMAT,
                        "\"priority\" must be a whole number from 0 to 9");
    }
}

static void test_values(void **state)
{
    (void)state;
    assert_rejected(STR("{\"text\":\"x\",\"kind\":\"Safety\"}"), GA_INVAL,
                    "\"kind\" must be safety, permit or quality, not "
                    "'Safety'");
    assert_rejected(STR("{\"text\":\"x\",\"status\":\"\"}"), GA_INVAL,
                    "\"status\" must be draft, approved or retired, not ''");
    assert_rejected(STR("{\"text\":\"x\",\"risks\":[\"insult\",\"war\"]}"),
                    GA_INVAL,
                    "\"risks\" has 'war', which is none of the 14 risk types");
    assert_rejected(STR("{\"text\":\"x\",\"risks\":[\"insult\",\"insult\"]}"),
                    GA_INVAL, "\"risks\" has 'insult' twice");
    assert_rejected(STR("{\"text\":\"x\",\"topics\":[\"a\",\"b\",\"a\"]}"),
                    GA_INVAL, "\"topics\" has 'a' twice");
    assert_rejected(STR("{\"text\":\"x\",\"id\":\"\"}"), GA_INVAL,
                    "\"id\" is empty");
    assert_rejected(STR("{\"text\":\"x\",\"id\":\"a\\nb\"}"), GA_INVAL,
                    "\"id\" has a control character");
    assert_rejected(STR("{\"text\":\"x\",\"id\":\"a\302\205b\"}"), GA_INVAL,
                    "\"id\" has a control character");
    assert_rejected(STR("{\"text\":\"x\",\"title\":\"a\\u007f\"}"), GA_INVAL,
                    "\"title\" has a control character");
    assert_rejected(STR("{\"text\":\"\"}"), GA_INVAL, "\"text\" is empty");
    assert_rejected(STR("{\"text\":\" \\t\\n\302\240\343\200\200\342\200\213"
                        "\"}"),
                    GA_INVAL, "\"text\" is blank");
    assert_rejected(STR("{\"text\":\"a\\u0000b\"}"), GA_INVAL,
                    "\"text\" has a NUL character");
    assert_rejected(STR("{\"text\":\"x\",\"triggers\":[\"a\",\"b\\u0000\"]}"),
                    GA_INVAL, "\"triggers\" item 2 has a NUL character");
    assert_rejected(STR("{\"text\":\"x\",\"scope\":[\" \"]}"), GA_INVAL,
                    "\"scope\" item 1 is blank");
    assert_rejected(STR("{\"text\":\"x\",\"non_triggers\":[\"\"]}"), GA_INVAL,
                    "\"non_triggers\" item 1 is empty");
}

static void test_source(void **state)
{
    (void)state;
    assert_rejected(STR("{\"text\":\"x\",\"source\":[]}"), GA_FORMAT,
                    "\"source\" must be an object");
    assert_rejected(STR("{\"text\":\"x\",\"source\":{\"model\":1}}"), GA_FORMAT,
                    "\"model\" of \"source\" must be a string");
    assert_rejected(
        STR("{\"text\":\"x\",\"source\":{\"a\":1,\"b\":2,\"a\":1}}"), GA_FORMAT,
        "key 'a' of \"source\" stands twice");
    assert_rejected(STR("{\"text\":\"x\",\"source\":{\"a\":[{\"b\":"
                        "\"\\u0000\"}]}}"),
                    GA_INVAL, "\"source\" has a NUL character");
    assert_rejected(STR("{\"text\":\"x\",\"source\":{\"a\\u0000\":1}}"),
                    GA_INVAL, "\"source\" has a NUL character");
    assert_rejected(
        STR("{\"text\":\"x\",\"source\":{\"a\":[[[[[[[[1]]]]]]]]}}"), GA_LIMIT,
        "\"source\" is nested deeper than 8");
    ga_record r = GA_RECORD_INIT;
    parse_good(&r, STR("{\"text\":\"x\",\"source\":{ \"u\\u00e9\" : [ ] , "
                       "\"b\": { } ,\"c\":[ 1 , null ],\"d\":\"\\/\\t\"} }"));
    assert_str(r.guideline.source,
               "{\"u\303\251\":[],\"b\":{},\"c\":[1,null],\"d\":\"/\\u0009\"}");
    ga__record_free(&r);
}

/* A record with one string of n bytes, or n items, in place of %s. */
static char *sized(const char *format, size_t n, const char *unit)
{
    ga_buf fill;
    ga__buf_init(&fill, SIZE_MAX / 2);
    for (size_t i = 0; i < n; i++) {
        char item[32];
        snprintf(item, sizeof(item), unit, i);
        assert_int_equal(ga__buf_str(&fill, item, NULL), GA_OK);
    }
    if (fill.len > 0 && fill.ptr[fill.len - 1] == ',')
        fill.ptr[--fill.len] = '\0';
    size_t bytes = strlen(format) + fill.len + 1;
    char *json = malloc(bytes);
    assert_non_null(json);
    snprintf(json, bytes, format, fill.ptr);
    ga__buf_free(&fill);
    return json;
}

static void test_limits(void **state)
{
    static const struct {
        const char *format, *unit;
        size_t max;
        const char *message;
    } cases[] = {
        {"{\"text\":\"x\",\"id\":\"%s\"}", "a", GA_MAX_ID_BYTES,
         "\"id\" has 129 bytes, the limit is 128"},
        {"{\"text\":\"x\",\"title\":\"%s\"}", "a", GA_MAX_TITLE_BYTES,
         "\"title\" has 257 bytes, the limit is 256"},
        {"{\"text\":\"%s\"}", "a", GA_MAX_GUIDELINE_BYTES,
         "\"text\" has 8193 bytes, the limit is 8192"},
        {"{\"text\":\"x\",\"topics\":[%s]}", "\"t%zu\",", GA_MAX_TAGS,
         "\"topics\" has 33 items, the limit is 32"},
        {"{\"text\":\"x\",\"scope\":[\"%s\"]}", "a", GA_MAX_TAG_BYTES,
         "\"scope\" item 1 has 65 bytes, the limit is 64"},
        {"{\"text\":\"x\",\"triggers\":[%s]}", "\"t\",", GA_MAX_TRIGGERS,
         "\"triggers\" has 257 items, the limit is 256"},
        {"{\"text\":\"x\",\"non_triggers\":[\"%s\"]}", "a",
         GA_MAX_TRIGGER_BYTES,
         "\"non_triggers\" item 1 has 16385 bytes, the limit is 16384"},
        {"{\"text\":\"x\",\"source\":{%s}}", "\"k%zu\":0,",
         GA_MAX_SOURCE_MEMBERS,
         "\"source\" has an object of 65 members, the limit is 64"},
        {"{\"text\":\"x\",\"source\":{\"a\":\"%s\"}}", "a",
         GA_MAX_SOURCE_BYTES - 8,
         "\"source\" has 65537 bytes, the limit is 65536"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        ga_record r = GA_RECORD_INIT;
        char *good = sized(cases[i].format, cases[i].max, cases[i].unit);
        char *bad = sized(cases[i].format, cases[i].max + 1, cases[i].unit);
        parse_good(&r, ga__str(good));
        assert_rejected(ga__str(bad), GA_LIMIT, cases[i].message);
        ga__record_free(&r);
        free(bad);
        free(good);
    }
}

/* Within every limit of its own, and as JSON longer than a line: \b takes two
 * bytes here and six where it is written. */
static void test_record_too_long(void **state)
{
    (void)state;
    ga_buf json;
    ga__buf_init(&json, GA_MAX_LINE_BYTES);
    char *trigger = malloc(2 * GA_MAX_TRIGGER_BYTES + 1);
    assert_non_null(trigger);
    for (size_t i = 0; i < GA_MAX_TRIGGER_BYTES; i++)
        memcpy(trigger + 2 * i, i ? "\\b" : "aa", 2);
    trigger[2 * GA_MAX_TRIGGER_BYTES - 2] = '\0';
    ga__buf_str(&json, "{\"text\":\"x\",\"triggers\":[\"", NULL);
    for (size_t i = 0; i < 120; i++) {
        ga__buf_str(&json, i ? "\",\"" : "", NULL);
        ga__buf_str(&json, trigger, NULL);
    }
    assert_int_equal(ga__buf_str(&json, "\"]}", NULL), GA_OK);
    assert_rejected((ga_str){json.ptr, json.len}, GA_LIMIT,
                    "record over 8388608 bytes");
    ga__buf_free(&json);
    free(trigger);
}

static void assert_written(const ga_guideline *g, const char *expected)
{
    ga_buf out;
    ga__buf_init(&out, GA_MAX_LINE_BYTES);
    assert_int_equal(ga__guideline_json(g, &out, NULL), GA_OK);
    assert_string_equal(out.ptr, expected);
    ga__buf_free(&out);
}

static void test_canonical(void **state)
{
    ga_record r = GA_RECORD_INIT, again = GA_RECORD_INIT;
    ga_buf out;
    (void)state;
    ga__buf_init(&out, GA_MAX_LINE_BYTES);
    parse_good(&r, STR(FULL));
    assert_written(&r.guideline, FULL);
    /* other order, spaces and escapes: the same record */
    parse_good(&r, STR("{ \"source\" : { \"created\" : \"2\" }, \"priority\":0,"
                       "\"text\":\"h\\u00e9\\/\\u0041\", \"id\":\"i\"}"));
    assert_written(&r.guideline,
                   "{\"id\":\"i\",\"title\":\"\",\"text\":\"h\303\251/A\","
                   "\"kind\":\"quality\",\"risks\":[],\"topics\":[],"
                   "\"priority\":0,\"scope\":[],\"triggers\":[],"
                   "\"non_triggers\":[],\"status\":\"draft\","
                   "\"source\":{\"created\":\"2\"}}");
    /* for an editor: other spaces, the same record */
    parse_good(&r, STR(FULL));
    assert_int_equal(ga__guideline_json_pretty(&r.guideline, &out, NULL),
                     GA_OK);
    assert_non_null(strstr(out.ptr, "\n  \"risks\": [\n    \"insult\",\n"));
    parse_good(&again, (ga_str){out.ptr, out.len});
    assert_written(&again.guideline, FULL);
    ga__buf_free(&out);
    ga__record_free(&again);
    ga__record_free(&r);
}

static void test_written_or_not(void **state)
{
    ga_record r = GA_RECORD_INIT;
    ga_buf out;
    (void)state;
    parse_good(&r, STR(FULL));
    for (size_t max = 2; max < sizeof(FULL) - 1 + 2; max++) {
        ga__buf_init(&out, max);
        assert_int_equal(ga__buf_str(&out, "ab", NULL), GA_OK);
        assert_int_equal(ga__guideline_json(&r.guideline, &out, NULL),
                         GA_LIMIT);
        assert_string_equal(out.ptr, "ab");
        assert_int_equal(out.len, 2);
        ga__buf_free(&out);
    }
    ga__record_free(&r);
}

/* What was put together by hand is held to the same rules. */
static void test_check(void **state)
{
    const ga_str insult = STR("insult"), bad = STR("a\xff");
    ga_error err = {""};
    (void)state;
    const ga_guideline good = {.id = STR("i"),
                               .text = STR("x"),
                               .risks = {&insult, 1},
                               .source = STR("{\"created\":\"now\"}")};
    assert_int_equal(ga__guideline_check(&good, &err), GA_OK);
    ga_guideline g = good;
    g.text = bad;
    assert_int_equal(ga__guideline_check(&g, &err), GA_INVAL);
    assert_string_equal(err.msg, "\"text\" is invalid UTF-8 at byte 1");
    g = good;
    g.triggers = (ga_str_list){&bad, 1};
    assert_int_equal(ga__guideline_check(&g, &err), GA_INVAL);
    assert_string_equal(err.msg,
                        "\"triggers\" item 1 is invalid UTF-8 at byte 1");
    g = good;
    g.priority = 10;
    assert_int_equal(ga__guideline_check(&g, &err), GA_INVAL);
    g = good;
    g.id = (ga_str){NULL, 0};
    assert_int_equal(ga__guideline_check(&g, &err), GA_INVAL);
    static const char *const sources[] = {"{", "[]", "{ }", "{}", "{\"a\": 1}"};
    for (size_t i = 0; i < 5; i++) {
        g = good;
        g.source = ga__str(sources[i]);
        assert_int_not_equal(ga__guideline_check(&g, &err), GA_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_fields),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_derived_ids),
        cmocka_unit_test(test_shape),
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_source),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_record_too_long),
        cmocka_unit_test(test_canonical),
        cmocka_unit_test(test_written_or_not),
        cmocka_unit_test(test_check),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
