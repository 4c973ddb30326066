/* test_llm_url.c: the URLs of a server, and what is none. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "llm/url.h"

static void test_paths(void **state)
{
    (void)state;
    static const struct {
        const char *text, *chat, *health, *shown;
    } cases[] = {
        {"http://host", "http://host/v1/chat/completions", "http://host/health",
         "http://host/"},
        {"http://host/", "http://host/v1/chat/completions",
         "http://host/health", "http://host/"},
        {"http://host:8000/v1", "http://host:8000/v1/chat/completions",
         "http://host:8000/health", "http://host:8000/v1"},
        {"https://host/v1/", "https://host/v1/chat/completions",
         "https://host/health", "https://host/v1/"},
        {"https://host/api/v1", "https://host/api/v1/chat/completions",
         "https://host/api/health", "https://host/api/v1"},
        {"https://host/v1beta", "https://host/v1beta/v1/chat/completions",
         "https://host/v1beta/health", "https://host/v1beta"},
        {"https://host/a?version=2",
         "https://host/a/v1/chat/completions?version=2",
         "https://host/a/health?version=2", "https://host/a?version=2"},
        {"http://user:secret@host/",
         "http://user:secret@host/v1/chat/completions",
         "http://user:secret@host/health", "http://host/"},
        {"http://[::1]:80", "http://[::1]:80/v1/chat/completions",
         "http://[::1]:80/health", "http://[::1]:80/"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        ga_llm_urls urls;
        ga_error err = {""};
        if (ga__llm_urls_make(cases[i].text, &urls, &err) != GA_OK)
            fail_msg("%s", err.msg);
        assert_string_equal(urls.chat, cases[i].chat);
        assert_string_equal(urls.health, cases[i].health);
        assert_string_equal(urls.shown, cases[i].shown);
        assert_non_null(strstr(urls.models, "/v1/models"));
        ga__llm_urls_free(&urls);
        assert_null(urls.chat);
        ga__llm_urls_free(&urls);
    }
}

static void test_local(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool local;
    } cases[] = {
        {"http://127.0.0.1:8000", true},
        {"http://127.8.9.1", true},
        {"http://localhost", true},
        {"http://LOCALHOST:80/v1", true},
        {"http://[::1]:1", true},
        {"http://user:x@localhost", true},
        {"http://localhost.example", false},
        {"http://128.0.0.1", false},
        {"http://127.example", false},
        {"http://host/127.0.0.1", false},
        {"http://localhost@host", false},
        {"http://[::2]", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        ga_llm_urls urls;
        assert_int_equal(ga__llm_urls_make(cases[i].text, &urls, NULL), GA_OK);
        if (urls.local != cases[i].local)
            fail_msg("%s", cases[i].text);
        ga__llm_urls_free(&urls);
    }
}

static void test_none(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",           "host",           "host:80",      "//host",
        "ftp://host", "file:///etc",    "http:/host",   "http://",
        "http:///",   "http://:80",     "http://[",     "http://host:x",
        "http://a b", "http://h:99999", "http://h\x01", "http://@",
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        ga_llm_urls urls;
        ga_error err = {""};
        if (ga__llm_urls_make(cases[i], &urls, &err) != GA_INVAL)
            fail_msg("'%s' is taken for a URL", cases[i]);
        assert_null(urls.chat);
        assert_null(urls.shown);
        assert_non_null(strstr(err.msg, "is no URL of a server: http://HOST"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_local),
        cmocka_unit_test(test_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
