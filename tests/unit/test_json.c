/* test_json.c: what is JSON, what is not, and where its values stand. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/json.h"
#include "base/limits.h"

#define STR(literal) ((ga_str){"" literal, sizeof(literal) - 1})

/* A copy of its own size, so that a sanitizer sees a read past the end. */
static char *exact(ga_str text)
{
    char *copy = malloc(text.len ? text.len : 1);
    assert_non_null(copy);
    if (text.len)
        memcpy(copy, text.ptr, text.len);
    return copy;
}

static ga_status parse_only(ga_str text, ga_error *err)
{
    ga_json doc = GA_JSON_INIT;
    char *copy = exact(text);
    ga_status rc = ga__json_parse(&doc, (ga_str){copy, text.len}, err);
    if (rc)
        assert_int_equal(doc.count, 0);
    ga__json_free(&doc);
    free(copy);
    return rc;
}

static void test_valid(void **state)
{
    (void)state;
    const ga_str cases[] = {
        STR("null"),
        STR(" \t\r\n true \t\r\n "),
        STR("false"),
        STR("0"),
        STR("-0"),
        STR("-12"),
        STR("1.5"),
        STR("0.0"),
        STR("1e5"),
        STR("1E+5"),
        STR("1.25e-07"),
        STR("123456789012345678901234567890"),
        STR("1e999"),
        STR("\"\""),
        STR("\"a b\""),
        STR("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""),
        STR("\"\\u0000\""),
        STR("\"\\u00e9\\u00E9\""),
        STR("\"\\ud83d\\ude00\""),
        STR("\"\\uDBFF\\uDFFF\""),
        STR("\"\\uffff\""),
        STR("\"\x7F\""),
        STR("\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\""),
        STR("[]"),
        STR("[ ]"),
        STR("[1 , 2]"),
        STR("[[],[[]],{}]"),
        STR("{}"),
        STR("{ }"),
        STR("{\"\":0}"),
        STR("{ \"a\" : 1 , \"b\" : [ ] }"),
        STR("{\"a\":1,\"a\":2}"),
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        ga_error err = {"untouched"};
        if (parse_only(cases[i], &err) != GA_OK)
            fail_msg("%s: %s", cases[i].ptr, err.msg);
        assert_string_equal(err.msg, "untouched");
    }
}

static void test_invalid(void **state)
{
    (void)state;
    const ga_str cases[] = {
        {NULL, 0},
        STR(""),
        STR(" "),
        STR("\0"),
        STR("null\0"),
        STR("\xEF\xBB\xBF{}"), /* a BOM */
        STR("{}\xEF\xBB\xBF"),
        STR("\xFE\xFF\0{\0}"),
        STR("nul"),
        STR("nulll"),
        STR("Null"),
        STR("True"),
        STR("tru"),
        STR("undefined"),
        STR("NaN"),
        STR("Infinity"),
        STR("-Infinity"),
        STR("-"),
        STR("+1"),
        STR("--1"),
        STR("01"),
        STR("-01"),
        STR("00"),
        STR("1."),
        STR("-1."),
        STR(".5"),
        STR("-.5"),
        STR("1.e5"),
        STR("1e"),
        STR("1e+"),
        STR("1e-"),
        STR("1e1.5"),
        STR("0x10"),
        STR("1 2"),
        STR("1,"),
        STR("\xEF\xBC\x91"), /* a full-width 1 */
        STR("\xC2\xA0"
            "1"), /* a no-break space */
        STR("\f1"),
        STR("\v1"),
        STR("'a'"),
        STR("\""),
        STR("\"a"),
        STR("\"\\"),
        STR("\"\\\""),
        STR("\"\\u"),
        STR("\"\\u12"),
        STR("\"\\u123\""),
        STR("\"\\u123g\""),
        STR("\"\\u 123\""),
        STR("\"\\u+123\""),
        STR("\"\\U0041\""),
        STR("\"\\x41\""),
        STR("\"\\0\""),
        STR("\"\\a\""),
        STR("\"\\'\""),
        STR("\"\\\n\""),
        STR("\"a\nb\""),
        STR("\"a\tb\""),
        STR("\"a\0b\""),
        STR("\"\x1f\""),
        STR("\"\\ud800\""), /* halves of pairs */
        STR("\"\\udc00\""),
        STR("\"\\udfff\\ud800\""),
        STR("\"\\ud800x\""),
        STR("\"\\ud800\\n\""),
        STR("\"\\ud800\\u0041\""),
        STR("\"\\ud800\\ud800\""),
        STR("\"\\ud800\\u"),
        STR("\"\\ud800\\udc0"),
        STR("\"\\ud800\\udc0\""),
        STR("\"\\ud800"),
        STR("\"\x80\""), /* not UTF-8 */
        STR("\"\xC0\x80\""),
        STR("\"\xC3\""),
        STR("\"\xED\xA0\x80\""),
        STR("\"\xF4\x90\x80\x80\""),
        STR("\"\xE2\x82"),
        STR("["),
        STR("]"),
        STR("[1"),
        STR("[1,"),
        STR("[1,]"),
        STR("[,]"),
        STR("[,1]"),
        STR("[1,,2]"),
        STR("[1 2]"),
        STR("[1}"),
        STR("[1]]"),
        STR("[] []"),
        STR("[1:2]"),
        STR("[//\n]"),
        STR("[/**/]"),
        STR("{"),
        STR("}"),
        STR("{]"),
        STR("{\"a\""),
        STR("{\"a\":"),
        STR("{\"a\":1"),
        STR("{\"a\":1,"),
        STR("{\"a\":1,}"),
        STR("{,}"),
        STR("{,\"a\":1}"),
        STR("{\"a\":1,,\"b\":2}"),
        STR("{\"a\":1 \"b\":2}"),
        STR("{\"a\" 1}"),
        STR("{\"a\"}"),
        STR("{\"a\":}"),
        STR("{\"a\"::1}"),
        STR("{a:1}"),
        STR("{1:1}"),
        STR("{null:1}"),
        STR("{\"a\":1}}"),
        STR("{\"a\":1]"),
        STR("{\"a\xFF\":1}"),
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        ga_error err = {""};
        if (parse_only(cases[i], &err) != GA_FORMAT)
            fail_msg("accepted case %zu: %s", i,
                     cases[i].ptr ? cases[i].ptr : "nothing");
        assert_memory_equal(err.msg, "malformed JSON at byte ", 23);
    }
}

static void test_errors_say_where(void **state)
{
    (void)state;
    const struct {
        ga_str text;
        const char *message;
    } cases[] = {
        {STR("[1,]"), "malformed JSON at byte 3: not a value"},
        {STR("[1 2]"), "malformed JSON at byte 3: ',' or ']' expected"},
        {STR("{\"a\":1,}"), "malformed JSON at byte 7: key expected"},
        {STR("{\"a\" 1}"), "malformed JSON at byte 5: ':' expected"},
        {STR("01"), "malformed JSON at byte 1: bytes behind the value"},
        {STR("\"ab\xFF\""), "malformed JSON at byte 3: invalid UTF-8"},
        {STR("\"abc"), "malformed JSON at byte 4: string without an end"},
        {STR(""), "malformed JSON at byte 0: value expected"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        ga_error err = {""};
        assert_int_equal(parse_only(cases[i].text, &err), GA_FORMAT);
        assert_string_equal(err.msg, cases[i].message);
    }
}

/* `depth` containers, one in the other. */
static ga_status parse_nested(size_t depth, bool object)
{
    ga_buf b;
    ga__buf_init(&b, 1 << 20);
    for (size_t i = 0; i < depth; i++)
        ga__buf_str(&b, object ? "{\"k\":" : "[", NULL);
    ga__buf_str(&b, object ? "1" : "", NULL);
    for (size_t i = 0; i < depth; i++)
        ga__buf_str(&b, object ? "}" : "]", NULL);
    ga_status rc = parse_only((ga_str){b.ptr, b.len}, NULL);
    ga__buf_free(&b);
    return rc;
}

static void test_depth(void **state)
{
    (void)state;
    for (int object = 0; object < 2; object++) {
        assert_int_equal(parse_nested(GA_MAX_JSON_DEPTH, object), GA_OK);
        assert_int_equal(parse_nested(GA_MAX_JSON_DEPTH + 1, object), GA_LIMIT);
        assert_int_equal(parse_nested(50000, object), GA_LIMIT);
    }
}

static void parse(ga_json *doc, ga_str text)
{
    ga_error err = {""};
    if (ga__json_parse(doc, text, &err) != GA_OK)
        fail_msg("%s", err.msg);
}

static void check_node(const ga_json *doc, uint32_t node, ga_json_type type,
                       const char *slice, uint32_t count)
{
    const ga_json_node *n = &doc->nodes[node];
    assert_int_equal(ga__json_type(doc, node), type);
    assert_int_equal(n->end - n->start, strlen(slice));
    assert_memory_equal(doc->text.ptr + n->start, slice, strlen(slice));
    assert_int_equal(n->count, count);
}

static void test_nodes(void **state)
{
    (void)state;
    ga_json doc = GA_JSON_INIT;
    parse(&doc, STR("  { \"a\" : [ 1 , { } , \"x\\ny\" ] , \"b\" : -1.5e3 } "));
    assert_int_equal(doc.count, 8);
    check_node(&doc, 0, GA_JSON_OBJECT,
               "{ \"a\" : [ 1 , { } , \"x\\ny\" ] , \"b\" : -1.5e3 }", 2);
    check_node(&doc, 1, GA_JSON_STRING, "\"a\"", 0);
    check_node(&doc, 2, GA_JSON_ARRAY, "[ 1 , { } , \"x\\ny\" ]", 3);
    check_node(&doc, 3, GA_JSON_NUMBER, "1", 0);
    check_node(&doc, 4, GA_JSON_OBJECT, "{ }", 0);
    check_node(&doc, 5, GA_JSON_STRING, "\"x\\ny\"", 0);
    check_node(&doc, 6, GA_JSON_STRING, "\"b\"", 0);
    check_node(&doc, 7, GA_JSON_NUMBER, "-1.5e3", 0);
    static const uint32_t next[] = {8, 2, 6, 4, 5, 6, 7, 8};
    for (uint32_t i = 0; i < 8; i++) {
        assert_int_equal(ga__json_next(&doc, i), next[i]);
        assert_int_equal(doc.nodes[i].escaped, i == 5);
    }
    assert_int_equal(ga__json_first(2), 3);
    ga_str raw = ga__json_raw(&doc, 5);
    assert_true(ga__str_is(raw, "x\\ny"));
    ga__json_free(&doc);
}

static void test_get(void **state)
{
    (void)state;
    ga_json doc = GA_JSON_INIT;
    parse(&doc, STR("{\"a\":{\"b\":1},\"b\":2,\"\\u0061b\":3,\"\":4,"
                    "\"a\\u0000\":5,\"n\":null}"));
    uint32_t a = ga__json_get(&doc, 0, "a");
    check_node(&doc, a, GA_JSON_OBJECT, "{\"b\":1}", 1);
    check_node(&doc, ga__json_get(&doc, 0, "b"), GA_JSON_NUMBER, "2", 0);
    check_node(&doc, ga__json_get(&doc, a, "b"), GA_JSON_NUMBER, "1", 0);
    check_node(&doc, ga__json_get(&doc, 0, "ab"), GA_JSON_NUMBER, "3", 0);
    check_node(&doc, ga__json_get(&doc, 0, ""), GA_JSON_NUMBER, "4", 0);
    check_node(&doc, ga__json_get(&doc, 0, "n"), GA_JSON_NULL, "null", 0);
    assert_int_equal(ga__json_get(&doc, 0, "c"), GA_JSON_NONE);
    assert_int_equal(ga__json_get(&doc, 0, "A"), GA_JSON_NONE);
    assert_int_equal(ga__json_get(&doc, a, "a"), GA_JSON_NONE);
    assert_int_equal(ga__json_get(&doc, a + 2, "a"), GA_JSON_NONE); /* 1 */
    ga__json_free(&doc);
}

static void test_the_last_duplicate_counts(void **state)
{
    (void)state;
    ga_json doc = GA_JSON_INIT;
    parse(&doc, STR("{\"a\":[{\"a\":9}],\"b\":1,\"\\u0061\":2,\"b\":{}}"));
    assert_int_equal(doc.nodes[0].count, 4);
    check_node(&doc, ga__json_get(&doc, 0, "a"), GA_JSON_NUMBER, "2", 0);
    check_node(&doc, ga__json_get(&doc, 0, "b"), GA_JSON_OBJECT, "{}", 0);
    ga__json_free(&doc);
}

static void test_strings(void **state)
{
    (void)state;
    const struct {
        ga_str text, plain;
    } cases[] = {
        {STR("\"\""), STR("")},
        {STR("\"abc\""), STR("abc")},
        {STR("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), STR("\"\\/\b\f\n\r\t")},
        {STR("\"\\\\u0041\""), STR("\\u0041")},
        {STR("\"\\\\\\u0041\""), STR("\\A")},
        {STR("\"\\\\\\\\\""), STR("\\\\")},
        {STR("\"a\\u0000b\""), STR("a\0b")},
        {STR("\"\\u00e9\\u20AC\""), STR("\xC3\xA9\xE2\x82\xAC")},
        {STR("\"\\ud83d\\ude00!\""), STR("\xF0\x9F\x98\x80!")},
        {STR("\"\\uD800\\uDC00\\uDBFF\\uDFFF\""),
         STR("\xF0\x90\x80\x80\xF4\x8F\xBF\xBF")},
        {STR("\"\xC3\xA9\\n\xF0\x9F\x98\x80\""),
         STR("\xC3\xA9\n\xF0\x9F\x98\x80")},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        ga_json doc = GA_JSON_INIT;
        ga_buf b;
        ga__buf_init(&b, 100);
        parse(&doc, cases[i].text);
        assert_int_equal(ga__json_string(&doc, 0, &b, NULL), GA_OK);
        assert_int_equal(b.len, cases[i].plain.len);
        assert_memory_equal(b.ptr, cases[i].plain.ptr, b.len);
        bool has_nul = memchr(b.ptr, '\0', b.len) != NULL;
        assert_int_equal(ga__json_is(&doc, 0, b.ptr), !has_nul);
        ga__buf_append(&b, "x", 1, NULL);
        assert_false(ga__json_is(&doc, 0, b.ptr));
        /* and back: what buf_json writes is read as the same */
        ga__buf_clear(&b);
        ga__buf_str(&b, "\"", NULL);
        ga__buf_json(&b, cases[i].plain, NULL);
        ga__buf_str(&b, "\"", NULL);
        parse(&doc, (ga_str){b.ptr, b.len});
        ga_buf again;
        ga__buf_init(&again, 100);
        assert_int_equal(ga__json_string(&doc, 0, &again, NULL), GA_OK);
        assert_int_equal(again.len, cases[i].plain.len);
        assert_memory_equal(again.ptr, cases[i].plain.ptr, again.len);
        ga__buf_free(&again);
        ga__buf_free(&b);
        ga__json_free(&doc);
    }
}

static void test_string_is_all_or_nothing(void **state)
{
    (void)state;
    ga_json doc = GA_JSON_INIT;
    ga_buf b;
    ga_error err = {""};
    ga__buf_init(&b, 6);
    ga__buf_str(&b, "ab", NULL);
    parse(&doc, STR("[\"123\\n5\",\"12345\",7]"));
    assert_int_equal(ga__json_string(&doc, 1, &b, NULL), GA_LIMIT);
    assert_string_equal(b.ptr, "ab");
    assert_int_equal(b.len, 2);
    assert_int_equal(ga__json_string(&doc, 2, &b, NULL), GA_LIMIT);
    assert_int_equal(b.len, 2);
    assert_int_equal(ga__json_string(&doc, 3, &b, &err), GA_FORMAT);
    assert_string_equal(err.msg, "string expected at byte 18");
    assert_false(ga__json_is(&doc, 3, "7"));
    assert_false(ga__json_is(&doc, 0, ""));
    ga__buf_free(&b);
    ga__json_free(&doc);
}

static void test_uint(void **state)
{
    (void)state;
    const struct {
        ga_str text;
        uint64_t max;
        bool ok;
        uint64_t value;
    } cases[] = {
        {STR("0"), 0, true, 0},
        {STR("1"), 0, false, 0},
        {STR("12"), 12, true, 12},
        {STR("13"), 12, false, 0},
        {STR("18446744073709551615"), UINT64_MAX, true, UINT64_MAX},
        {STR("18446744073709551616"), UINT64_MAX, false, 0},
        {STR("99999999999999999999999"), UINT64_MAX, false, 0},
        {STR("-1"), UINT64_MAX, false, 0},
        {STR("1.0"), UINT64_MAX, false, 0},
        {STR("1e2"), UINT64_MAX, false, 0},
        {STR("\"1\""), UINT64_MAX, false, 0},
        {STR("true"), UINT64_MAX, false, 0},
        {STR("[1]"), UINT64_MAX, false, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        ga_json doc = GA_JSON_INIT;
        uint64_t v = 0;
        parse(&doc, cases[i].text);
        assert_int_equal(ga__json_uint(&doc, 0, cases[i].max, &v), cases[i].ok);
        if (cases[i].ok)
            assert_true(v == cases[i].value);
        ga__json_free(&doc);
    }
}

static bool double_of(ga_str text, double *out)
{
    ga_json doc = GA_JSON_INIT;
    parse(&doc, text);
    bool ok = ga__json_double(&doc, 0, out);
    ga__json_free(&doc);
    return ok;
}

static void test_double(void **state)
{
    (void)state;
    double v;
    assert_true(double_of(STR("-1.5e3"), &v) && v == -1500.0);
    assert_true(double_of(STR("0.1"), &v) && v == 0.1);
    assert_true(double_of(STR("1e-12"), &v) && v == 1e-12);
    assert_true(double_of(STR("1e-999"), &v) && v == 0.0);
    assert_true(double_of(STR("1.7976931348623157e308"), &v) && isfinite(v));
    assert_false(double_of(STR("\"1\""), &v));
    assert_false(double_of(STR("null"), &v));
}

/* JSON has no infinity, and nobody behind this expects one. */
static void test_double_is_finite(void **state)
{
    (void)state;
    double v = 0;
    assert_false(double_of(STR("1e999"), &v));
    assert_false(double_of(STR("-1e400"), &v));
}

/* A host, such as a database, may have set a locale whose point is a comma. */
static void test_double_in_another_locale(void **state)
{
    (void)state;
    double v = 0;
    char folder[] = "/tmp/guidealign-locale-XXXXXX";
    assert_non_null(mkdtemp(folder));
    char command[300];
    snprintf(command, sizeof(command),
             "localedef -i de_DE -f UTF-8 '%s/de_DE.UTF-8' >/dev/null 2>&1",
             folder);
    int made = system(command);
    setenv("LOCPATH", folder, 1);
    const char *set = setlocale(LC_NUMERIC, "de_DE.UTF-8");
    bool comma = set && strcmp(localeconv()->decimal_point, ",") == 0;
    bool ok = double_of(STR("0.5"), &v);
    setlocale(LC_NUMERIC, "C");
    unsetenv("LOCPATH");
    snprintf(command, sizeof(command), "rm -r '%s'", folder);
    assert_int_equal(system(command), 0);
    if (!comma) {
        print_message("no locale with a comma here (localedef: %d)\n", made);
        skip();
    }
    assert_true(ok && v == 0.5);
}

static void test_one_document_serves_many_texts(void **state)
{
    (void)state;
    ga_json doc = GA_JSON_INIT;
    parse(&doc, STR("[1,2,3,4,5,6,7,8,9,10,11,12]"));
    const ga_json_node *nodes = doc.nodes;
    assert_int_equal(ga__json_parse(&doc, STR("[1,[2"), NULL), GA_FORMAT);
    assert_int_equal(doc.count, 0);
    parse(&doc, STR("{\"a\":\"b\"}"));
    assert_int_equal(doc.count, 3);
    assert_ptr_equal(doc.nodes, nodes);
    assert_true(ga__json_is(&doc, ga__json_get(&doc, 0, "a"), "b"));
    ga__json_free(&doc);
    ga__json_free(&doc);
    assert_null(doc.nodes);
}

/* Each cut of a valid text is invalid, and read within its bounds. */
static void test_every_cut(void **state)
{
    (void)state;
    const ga_str text =
        STR("{\"a\\ud83d\\ude00\":[true,false,null,-1.5e-7,\"\xE2\x82\xAC\"],"
            "\"b\":{}}");
    for (size_t n = 0; n < text.len; n++)
        assert_int_equal(parse_only((ga_str){text.ptr, n}, NULL), GA_FORMAT);
    assert_int_equal(parse_only(text, NULL), GA_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_valid),
        cmocka_unit_test(test_invalid),
        cmocka_unit_test(test_errors_say_where),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_nodes),
        cmocka_unit_test(test_get),
        cmocka_unit_test(test_the_last_duplicate_counts),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_string_is_all_or_nothing),
        cmocka_unit_test(test_uint),
        cmocka_unit_test(test_double),
        cmocka_unit_test(test_double_is_finite),
        cmocka_unit_test(test_double_in_another_locale),
        cmocka_unit_test(test_one_document_serves_many_texts),
        cmocka_unit_test(test_every_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
