/* test_llm.c: memory runs out at every allocation of a chat, those of jansson
 * and libcurl among them, one after another. */
#define _GNU_SOURCE /* strdup's kind */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <curl/curl.h>
#include <jansson.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "fault/fault.h"
#include "llm/request.h"
#include "llm/sse.h"

/* as an initialiser, and as a value */
#define LITERAL(text)                                                          \
    {                                                                          \
        "" text, sizeof(text) - 1                                              \
    }
#define STR(text) ((ga_str)LITERAL(text))

enum { ENOUGH = 5000 };

static const ga_message messages[] = {
    {GA_ROLE_SYSTEM, LITERAL("be kind")},
    {GA_ROLE_USER, LITERAL("a \"prompt\"\n")}};

static char *wrapped_strdup(const char *text)
{
    size_t n = strlen(text) + 1;
    char *copy = malloc(n);
    if (copy)
        memcpy(copy, text, n);
    return copy;
}

static void free_plainly(void *ptr)
{
    free(ptr);
}

static int use_our_allocator(void **state)
{
    (void)state;
    json_set_alloc_funcs(malloc, free_plainly);
    return (int)curl_global_init_mem(CURL_GLOBAL_ALL, malloc, free_plainly,
                                     realloc, wrapped_strdup, calloc);
}

static int stop_using_it(void **state)
{
    (void)state;
    curl_global_cleanup();
    return 0;
}

/* A body is whole or it is not: nothing may be left out of it. */
static void test_body(void **state)
{
    (void)state;
    const ga_llm_request r = {
        .messages = messages, .n = 2, .max_tokens = 16, .repeat_penalty = 1.5};
    ga_buf whole;
    ga__buf_init(&whole, 10000);
    assert_int_equal(ga__llm_body(&r, "m", &whole, NULL), GA_OK);
    long n = 0;
    for (;; n++) {
        ga_buf b;
        ga__buf_init(&b, 10000);
        assert_true(n < ENOUGH);
        fault_arm(n, false);
        ga_status rc = ga__llm_body(&r, "m", &b, NULL);
        bool hit = fault_disarm();
        if (rc == GA_OK) /* jansson can do without some */
            assert_string_equal(b.ptr, whole.ptr);
        else
            assert_int_equal(rc, GA_NOMEM);
        assert_int_equal(rc ? b.len : 0, 0);
        ga__buf_free(&b);
        if (!hit)
            break;
    }
    assert_true(n > 20);
    ga__buf_free(&whole);
}

static void test_event(void **state)
{
    (void)state;
    const ga_llm_request r = {.messages = messages, .n = 2};
    long n = 0;
    for (;; n++) {
        ga_llm_answer a = {.status = GA_OK};
        bool done = false;
        ga__buf_init(&a.text, 100);
        assert_true(n < ENOUGH);
        fault_arm(n, false);
        ga_status rc = ga__llm_event(
            &r, STR("{\"choices\":[{\"delta\":{\"content\":\"hello\"}}]}"), &a,
            &done, NULL);
        bool hit = fault_disarm();
        if (rc == GA_OK)
            assert_string_equal(a.text.ptr, "hello");
        else
            assert_true(hit && a.text.len == 0);
        ga__llm_answer_free(&a);
        if (!hit)
            break;
    }
    assert_true(n > 5);
}

static ga_status count_event(void *arg, ga_str data)
{
    assert_true(ga__str_is(data, "a text"));
    ++*(size_t *)arg;
    return GA_OK;
}

static void test_sse(void **state)
{
    (void)state;
    for (long n = 0;; n++) {
        ga_sse s;
        size_t count = 0;
        ga__sse_init(&s, 100);
        assert_true(n < ENOUGH);
        fault_arm(n, false);
        ga_status rc = ga__sse_feed(&s, STR("data: a text\n\ndata: a text\n\n"),
                                    count_event, &count, NULL);
        bool hit = fault_disarm();
        assert_int_equal(rc, hit ? GA_NOMEM : GA_OK);
        assert_true(hit ? count < 2 : count == 2);
        ga__sse_free(&s);
        if (!hit)
            return;
    }
}

static void test_open(void **state)
{
    (void)state;
    long n = 0;
    ga_llm_options o;
    ga__llm_options_init(&o);
    o.url = "http://127.0.0.1:9";
    o.key = "key";
    o.model = "m";
    for (;; n++) {
        ga_llm *llm = (ga_llm *)&o;
        assert_true(n < ENOUGH);
        fault_arm(n, false);
        ga_status rc = ga__llm_open(&o, &llm, NULL);
        bool hit = fault_disarm();
        if (rc) {
            assert_int_equal(rc, GA_NOMEM);
            assert_null(llm);
        }
        ga__llm_close(llm);
        if (!hit)
            break;
    }
    assert_true(n > 6);
}

/* In the child: the same answer to everybody, until it is killed. */
static void serve(int listener)
{
    static const char answer[] =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
        "Connection: close\r\n\r\n"
        "data: {\"choices\":[{\"delta\":{\"content\":\"hello\"}}]}\n\n"
        "data: [DONE]\n\n";
    for (;;) {
        char bytes[4096];
        size_t got = 0;
        int fd = accept(listener, NULL, NULL);
        if (fd < 0)
            _exit(1);
        for (;;) { /* the body ends with "}}" or "}]" and closes the object */
            ssize_t n = read(fd, bytes + got, sizeof(bytes) - 1 - got);
            if (n <= 0)
                break;
            got += (size_t)n;
            bytes[got] = '\0';
            if (strstr(bytes, "\"seed\":0}") || got == sizeof(bytes) - 1)
                break;
        }
        if (write(fd, answer, sizeof(answer) - 1) < 0)
            _exit(1);
        close(fd);
    }
}

static pid_t start_server(char *url, size_t size)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    snprintf(url, size, "http://127.0.0.1:%d", ntohs(address.sin_port));
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        alarm(110); /* not longer than the test */
        serve(fd);
    }
    close(fd);
    return pid;
}

/* Whatever fails, the call ends, with a reason or with the right answer. */
static void test_chat(void **state)
{
    (void)state;
    char url[64];
    pid_t server = start_server(url, sizeof(url));
    const ga_llm_request r = {.messages = messages, .n = 2};
    long n = 0, failed = 0;
    for (;; n++) {
        ga_llm_options o;
        ga_llm *llm = NULL;
        ga_llm_answer a;
        ga_error err = {""};
        ga__llm_options_init(&o);
        o.url = url;
        o.tries = 1;
        o.idle_timeout_s = 2;
        assert_int_equal(ga__llm_open(&o, &llm, NULL), GA_OK);
        assert_true(n < ENOUGH);
        fault_arm(n, false);
        ga_status rc = ga__llm_chat(llm, &r, 1, &a, &err);
        bool hit = fault_disarm();
        if (n == 0) { /* not even the list of flights */
            assert_int_equal(rc, GA_NOMEM);
        } else {
            assert_int_equal(rc, a.status);
            if (rc == GA_OK)
                assert_string_equal(a.text.ptr, "hello");
            else
                assert_true(hit && err.msg[0] != '\0');
            ga__llm_answer_free(&a);
        }
        failed += rc != GA_OK;
        ga__llm_close(llm);
        if (!hit)
            break;
    }
    assert_true(failed > 20);
    kill(server, SIGKILL);
    assert_int_equal(waitpid(server, NULL, 0), server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_body), cmocka_unit_test(test_event),
        cmocka_unit_test(test_sse),  cmocka_unit_test(test_open),
        cmocka_unit_test(test_chat),
    };
    return cmocka_run_group_tests(tests, use_our_allocator, stop_using_it);
}
