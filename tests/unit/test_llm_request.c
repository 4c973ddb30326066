/* test_llm_request.c: the body that is sent and the answers that come. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "llm/request.h"

#define STR(literal) ((ga_str){"" literal, sizeof(literal) - 1})

static json_t *body_of(const ga_llm_request *r, const char *model)
{
    ga_buf b;
    ga_error err = {""};
    ga__buf_init(&b, 1 << 24);
    if (ga__llm_body(r, model, &b, &err) != GA_OK)
        fail_msg("%s", err.msg);
    json_t *root =
        json_loadb(b.ptr, b.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    assert_non_null(root);
    ga__buf_free(&b);
    return root;
}

static void check_message(const json_t *root, size_t i, const char *role,
                          ga_str text)
{
    const json_t *m = json_array_get(json_object_get(root, "messages"), i);
    const json_t *content = json_object_get(m, "content");
    assert_int_equal(json_object_size(m), 2);
    assert_string_equal(json_string_value(json_object_get(m, "role")), role);
    assert_true(json_is_string(content));
    assert_int_equal(json_string_length(content), text.len);
    assert_memory_equal(json_string_value(content), text.len ? text.ptr : "",
                        text.len);
}

static void test_body(void **state)
{
    (void)state;
    const ga_message messages[] = {
        {GA_ROLE_SYSTEM, STR("be \"kind\"\\\n")},
        {GA_ROLE_USER, STR("a\0b\x1f\x7f")},
        {GA_ROLE_ASSISTANT, STR("\xC3\xA9\xF0\x9F\x98\x80</script>")},
        {GA_ROLE_TOOL, STR("")},
        {GA_ROLE_USER, {NULL, 0}},
    };
    const ga_llm_request r = {.messages = messages,
                              .n = 5,
                              .max_tokens = 32,
                              .temperature = 0.5,
                              .repeat_penalty = 1.25,
                              .seed = -7};
    json_t *root = body_of(&r, "some \"model\"");
    assert_int_equal(json_array_size(json_object_get(root, "messages")), 5);
    check_message(root, 0, "system", messages[0].text);
    check_message(root, 1, "user", messages[1].text);
    check_message(root, 2, "assistant", messages[2].text);
    check_message(root, 3, "tool", messages[3].text);
    check_message(root, 4, "user", messages[4].text);
    assert_string_equal(json_string_value(json_object_get(root, "model")),
                        "some \"model\"");
    assert_true(json_is_true(json_object_get(root, "stream")));
    assert_true(json_is_true(json_object_get(
        json_object_get(root, "stream_options"), "include_usage")));
    assert_int_equal(json_integer_value(json_object_get(root, "max_tokens")),
                     32);
    assert_int_equal(json_integer_value(json_object_get(root, "seed")), -7);
    assert_true(json_real_value(json_object_get(root, "temperature")) == 0.5);
    assert_true(json_real_value(json_object_get(root, "repeat_penalty")) ==
                1.25);
    json_decref(root);
}

/* What was not asked for is not in it: servers refuse what they do not know. */
static void test_body_of_defaults(void **state)
{
    (void)state;
    const ga_message message = {GA_ROLE_USER, STR("x")};
    const ga_llm_request r = {.messages = &message, .n = 1};
    json_t *root = body_of(&r, NULL);
    static const char *const absent[] = {"model", "max_tokens",
                                         "repeat_penalty"};
    for (size_t i = 0; i < 3; i++)
        assert_null(json_object_get(root, absent[i]));
    assert_int_equal(json_object_size(root), 5);
    json_decref(root);
    const ga_llm_request none = {.n = 0};
    root = body_of(&none, NULL);
    assert_int_equal(json_array_size(json_object_get(root, "messages")), 0);
    json_decref(root);
}

/* Text that is no UTF-8 cannot be JSON; it must not be left out in silence. */
static void test_body_of_bad_text(void **state)
{
    (void)state;
    const ga_message messages[] = {{GA_ROLE_SYSTEM, STR("fine")},
                                   {GA_ROLE_USER, STR("ab\xFF")}};
    const ga_llm_request r = {.messages = messages, .n = 2};
    const ga_llm_request fine = {.messages = messages, .n = 1};
    ga_buf b;
    ga_error err = {""};
    ga__buf_init(&b, 1000);
    assert_int_equal(ga__llm_body(&r, NULL, &b, &err), GA_INVAL);
    assert_string_equal(err.msg, "message 1 is not UTF-8 at byte 2");
    assert_int_equal(ga__llm_body(&fine, "m\xC3", &b, &err), GA_INVAL);
    assert_string_equal(err.msg, "the name of the model is not UTF-8");
    assert_int_equal(b.len, 0);
    ga__buf_free(&b);
}

static void test_body_of_bad_numbers(void **state)
{
    (void)state;
    const ga_message message = {GA_ROLE_USER, STR("x")};
    const double bad[] = {NAN, INFINITY, -INFINITY};
    ga_buf b;
    ga__buf_init(&b, 1000);
    for (size_t i = 0; i < 3; i++) {
        ga_error err = {""};
        ga_llm_request r = {
            .messages = &message, .n = 1, .temperature = bad[i]};
        assert_int_equal(ga__llm_body(&r, NULL, &b, &err), GA_INVAL);
        assert_string_equal(err.msg, "the temperature is no number");
    }
    ga__buf_free(&b);
}

static void test_body_over_the_limit(void **state)
{
    (void)state;
    const ga_message message = {GA_ROLE_USER, STR("a text")};
    const ga_llm_request r = {.messages = &message, .n = 1};
    ga_buf b;
    ga__buf_init(&b, 20);
    assert_int_equal(ga__llm_body(&r, NULL, &b, NULL), GA_LIMIT);
    assert_int_equal(b.len, 0);
    ga__buf_free(&b);
}

/* One answer that events are put into. */
typedef struct {
    ga_llm_request request;
    ga_llm_answer answer;
    ga_error err;
    ga_buf pieces; /* as handed out, with a bar behind each */
    size_t handed, stop_at;
    bool done;
} fixture;

static bool on_piece(void *arg, ga_str text)
{
    fixture *f = arg;
    ga__buf_append(&f->pieces, text.ptr, text.len, NULL);
    ga__buf_str(&f->pieces, "|", NULL);
    return ++f->handed != f->stop_at;
}

static void begin(fixture *f)
{
    *f = (fixture){.request = {.piece = on_piece, .arg = f}};
    ga__buf_init(&f->answer.text, 1000);
    ga__buf_init(&f->pieces, 1000);
}

static void end(fixture *f)
{
    ga__llm_answer_free(&f->answer);
    ga__buf_free(&f->pieces);
}

static ga_status event(fixture *f, ga_str data)
{
    return ga__llm_event(&f->request, data, &f->answer, &f->done, &f->err);
}

#define DELTA(rest)                                                            \
    STR("{\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":"       \
        "0," rest "}]}")

static void test_events(void **state)
{
    (void)state;
    fixture f;
    begin(&f);
    assert_int_equal(
        event(&f, DELTA("\"delta\":{\"role\":\"assistant\",\"content\":null}")),
        GA_OK);
    assert_int_equal(event(&f, DELTA("\"delta\":{\"content\":\"\"}")), GA_OK);
    assert_int_equal(event(&f, DELTA("\"delta\":{\"content\":\"He\"},"
                                     "\"finish_reason\":null")),
                     GA_OK);
    assert_int_equal(
        event(&f, DELTA("\"delta\":{\"content\":\"l\\u0000l\\ud83d\\ude00\"}")),
        GA_OK);
    assert_string_equal(f.answer.finish, "");
    assert_int_equal(
        event(&f, DELTA("\"delta\":{},\"finish_reason\":\"length\"")), GA_OK);
    assert_int_equal(
        event(&f, STR("{\"choices\":[],\"usage\":{\"prompt_tokens\":11,"
                      "\"completion_tokens\":4,\"total_tokens\":15}}")),
        GA_OK);
    assert_false(f.done);
    assert_int_equal(event(&f, STR("[DONE]")), GA_OK);
    assert_true(f.done);
    assert_int_equal(f.answer.text.len, 9);
    assert_memory_equal(f.answer.text.ptr, "Hel\0l\xF0\x9F\x98\x80", 9);
    assert_memory_equal(f.pieces.ptr, "He|l\0l\xF0\x9F\x98\x80|", 11);
    assert_int_equal(f.handed, 2);
    assert_string_equal(f.answer.finish, "length");
    assert_int_equal(f.answer.prompt_tokens, 11);
    assert_int_equal(f.answer.completion_tokens, 4);
    end(&f);
}

static void test_events_without_anybody_listening(void **state)
{
    (void)state;
    fixture f;
    begin(&f);
    f.request.piece = NULL;
    assert_int_equal(event(&f, DELTA("\"delta\":{\"content\":\"Hi\"}")), GA_OK);
    assert_string_equal(f.answer.text.ptr, "Hi");
    end(&f);
}

/* Servers differ in what they leave out and what they add. */
static void test_events_of_other_servers(void **state)
{
    (void)state;
    fixture f;
    begin(&f);
    const ga_str harmless[] = {
        STR("{\"choices\":[]}"),
        STR("{\"choices\":[{}]}"),
        STR("{\"choices\":[null]}"),
        STR("{\"choices\":[{\"delta\":null}]}"),
        STR("{\"choices\":[{\"delta\":{\"content\":7}}]}"),
        STR("{\"choices\":[{\"delta\":{\"tool_calls\":[]}}]}"),
        STR("{\"choices\":[{\"finish_reason\":7}]}"),
        STR("{\"choices\":[],\"usage\":null}"),
        STR("{\"choices\":[],\"usage\":{\"prompt_tokens\":\"3\"}}"),
        STR("{\"choices\":[],\"usage\":{\"prompt_tokens\":1.5}}"),
        STR("{\"choices\":[],\"error\":null}"),
    };
    for (size_t i = 0; i < sizeof(harmless) / sizeof(*harmless); i++) {
        if (event(&f, harmless[i]) != GA_OK)
            fail_msg("%s: %s", harmless[i].ptr, f.err.msg);
    }
    assert_int_equal(f.answer.text.len, 0);
    assert_int_equal(f.answer.prompt_tokens, 0);
    assert_string_equal(f.answer.finish, "");
    end(&f);
}

static void test_counts_that_are_none(void **state)
{
    (void)state;
    fixture f;
    begin(&f);
    assert_int_equal(
        event(&f, STR("{\"choices\":[],\"usage\":{\"prompt_tokens\":-1,"
                      "\"completion_tokens\":4294967297}}")),
        GA_OK);
    assert_int_equal(f.answer.prompt_tokens, 0);
    assert_int_equal(f.answer.completion_tokens, 0);
    end(&f);
}

static void test_events_that_are_none(void **state)
{
    (void)state;
    const ga_str bad[] = {
        {NULL, 0},
        STR(""),
        STR("[DONE"),
        STR("[DONE] "),
        STR("{"),
        STR("{}"),
        STR("[]"),
        STR("null"),
        STR("7"),
        STR("\"choices\""),
        STR("{\"choices\":{}}"),
        STR("{\"choices\":null}"),
        STR("{\"choices\":[]} x"),
        STR("{\"choices\":[{\"delta\":{\"content\":\"\xFF\"}}]}"),
        STR("<html>502 Bad Gateway</html>"),
        STR("\0\0\0"),
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        fixture f;
        begin(&f);
        if (event(&f, bad[i]) != GA_FORMAT)
            fail_msg("case %zu: %s", i, f.err.msg);
        assert_non_null(
            strstr(f.err.msg, "the server's answer is no chat completion: "));
        assert_false(f.done);
        assert_int_equal(f.answer.text.len, 0);
        ga_str m = ga__str(f.err.msg);
        assert_int_equal(ga__utf8_invalid_at(m), m.len);
        end(&f);
    }
}

static void test_error_events(void **state)
{
    (void)state;
    static const struct {
        const char *data, *message;
    } cases[] = {
        {"{\"error\":{\"message\":\"out of slots\",\"code\":503}}",
         "the server failed: out of slots"},
        {"{\"error\":\"plain\"}", "the server failed: plain"},
        {"{\"error\":{\"code\":7}}",
         "the server failed: {\"error\":{\"code\":7}}"},
        {"{\"error\":true}", "the server failed: {\"error\":true}"},
        {"{\"choices\":[{\"delta\":{\"content\":\"x\"}}],\"error\":{"
         "\"message\":\"m\"}}",
         "the server failed: m"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        fixture f;
        begin(&f);
        assert_int_equal(event(&f, ga__str(cases[i].data)), GA_UNAVAILABLE);
        assert_string_equal(f.err.msg, cases[i].message);
        assert_int_equal(f.handed, 0);
        end(&f);
    }
}

static void test_the_caller_stops(void **state)
{
    (void)state;
    fixture f;
    begin(&f);
    f.stop_at = 2;
    assert_int_equal(event(&f, DELTA("\"delta\":{\"content\":\"a\"}")), GA_OK);
    assert_int_equal(event(&f, DELTA("\"delta\":{\"content\":\"b\"}")),
                     GA_CANCELED);
    assert_int_equal(f.handed, 2);
    end(&f);
}

static void test_the_answer_is_capped(void **state)
{
    (void)state;
    fixture f;
    begin(&f);
    ga__buf_init(&f.answer.text, 3);
    assert_int_equal(event(&f, DELTA("\"delta\":{\"content\":\"ab\"}")), GA_OK);
    assert_int_equal(event(&f, DELTA("\"delta\":{\"content\":\"cd\"}")),
                     GA_LIMIT);
    assert_string_equal(f.answer.text.ptr, "ab");
    assert_int_equal(f.handed, 1); /* what is not kept is not handed out */
    end(&f);
}

/* The reason for the end is kept as far as it fits, between characters. */
static void test_long_finish_reasons(void **state)
{
    (void)state;
    fixture f;
    char data[200];
    for (size_t front = 0; front < 5; front++) {
        begin(&f);
        snprintf(data, sizeof(data),
                 "{\"choices\":[{\"finish_reason\":\"%.*s%s\"}]}", (int)front,
                 "xxxxx",
                 "\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC"
                 "\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC\xE2\x82"
                 "\xAC");
        assert_int_equal(event(&f, ga__str(data)), GA_OK);
        ga_str s = ga__str(f.answer.finish);
        assert_int_equal(ga__utf8_invalid_at(s), s.len);
        assert_in_range(s.len, sizeof(f.answer.finish) - 4,
                        sizeof(f.answer.finish) - 1);
        end(&f);
    }
}

static void test_whole(void **state)
{
    (void)state;
    fixture f;
    begin(&f);
    ga_str body = STR(
        "{\"id\":\"x\",\"choices\":[{\"message\":{\"role\":\"assistant\","
        "\"content\":\"Hello\\n\"},\"finish_reason\":\"stop\"},{\"message\":{"
        "\"content\":\"second\"}}],\"usage\":{\"prompt_tokens\":3,"
        "\"completion_tokens\":2}}\n");
    assert_int_equal(ga__llm_whole(&f.request, body, &f.answer, &f.err), GA_OK);
    assert_string_equal(f.answer.text.ptr, "Hello\n");
    assert_string_equal(f.pieces.ptr, "Hello\n|");
    assert_string_equal(f.answer.finish, "stop");
    assert_int_equal(f.answer.prompt_tokens, 3);
    assert_int_equal(f.answer.completion_tokens, 2);
    end(&f);
}

static void test_whole_that_is_none(void **state)
{
    (void)state;
    const ga_str bad[] = {{NULL, 0},
                          STR(""),
                          STR("{}"),
                          STR("[DONE]"),
                          STR("data: {\"choices\":[]}\n\n")};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        fixture f;
        begin(&f);
        assert_int_equal(ga__llm_whole(&f.request, bad[i], &f.answer, &f.err),
                         GA_FORMAT);
        end(&f);
    }
}

static void test_reasons(void **state)
{
    (void)state;
    static const struct {
        const char *body, *reason;
    } cases[] = {
        {"", "(an empty answer)"},
        {"{\"error\":{\"message\":\"\"}}", "(an empty answer)"},
        {"Bad Gateway", "Bad Gateway"},
        {"{\"error\":{\"message\":\"no such model\"}}", "no such model"},
        {"{\"error\":\"no such model\"}", "no such model"},
        {"{\"detail\":\"Not Found\"}", "{\"detail\":\"Not Found\"}"},
        {"{\"error\":{\"message\":7}}", "{\"error\":{\"message\":7}}"},
        {"[1]", "[1]"},
        {"a\nb\tc\x1b[31mred\x7f", "a b c [31mred "},
        {"{\"error\":{\"message\":\"a\\nb\\u001b\\u009bc\"}}", "a b  c"},
        {"x\xFFy\xC3", "x\xEF\xBF\xBDy\xEF\xBF\xBD"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char out[100];
        ga__llm_reason(ga__str(cases[i].body), out, sizeof(out));
        assert_string_equal(out, cases[i].reason);
    }
    char out[100];
    ga__llm_reason((ga_str){NULL, 0}, out, sizeof(out));
    assert_string_equal(out, "(an empty answer)");
    ga__llm_reason(STR("a\0b"), out, sizeof(out));
    assert_string_equal(out, "a b");
    ga__llm_reason(STR("{\"error\":{\"message\":\"a\\u0000b\"}}"), out,
                   sizeof(out));
    assert_string_equal(out, "a b");
}

static void test_reasons_are_cut(void **state)
{
    (void)state;
    static const char face[] = "\xF0\x9F\x98\x80\xF0\x9F\x98\x80\xE2\x82\xAC"
                               "\xC3\xA9xyz";
    char out[sizeof(face)];
    for (size_t size = 2; size <= sizeof(out); size++) {
        memset(out, '#', sizeof(out));
        ga__llm_reason(ga__str(face), out, size);
        ga_str s = ga__str(out);
        assert_true(s.len < size);
        assert_int_equal(ga__utf8_invalid_at(s), s.len);
        for (size_t i = size; i < sizeof(out); i++)
            assert_int_equal(out[i], '#');
        if (size > 4) {
            assert_memory_equal(out, face, s.len);
            assert_true(s.len + 4 >= size);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_body),
        cmocka_unit_test(test_body_of_defaults),
        cmocka_unit_test(test_body_of_bad_text),
        cmocka_unit_test(test_body_of_bad_numbers),
        cmocka_unit_test(test_body_over_the_limit),
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_events_without_anybody_listening),
        cmocka_unit_test(test_events_of_other_servers),
        cmocka_unit_test(test_counts_that_are_none),
        cmocka_unit_test(test_events_that_are_none),
        cmocka_unit_test(test_error_events),
        cmocka_unit_test(test_the_caller_stops),
        cmocka_unit_test(test_the_answer_is_capped),
        cmocka_unit_test(test_long_finish_reasons),
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_whole_that_is_none),
        cmocka_unit_test(test_reasons),
        cmocka_unit_test(test_reasons_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
