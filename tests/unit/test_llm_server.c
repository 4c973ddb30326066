/* test_llm_server.c: servers that start, do not start, and do not stop.
 *
 * The server is this program again: called with --model it does what the
 * variable GUIDEALIGN_TEST_SERVER says. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/utf8.h"
#include "llm/server.h"

#define MODE "GUIDEALIGN_TEST_SERVER"

/* --- as the server -------------------------------------------------------- */

static int listen_at(const char *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)atoi(port)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) ||
        listen(fd, 16))
        _exit(9);
    return fd;
}

static int serve(const char *port, bool answers)
{
    static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"
                             "Connection: close\r\n\r\nok";
    int listener = listen_at(port);
    for (;;) {
        char bytes[4096];
        int fd = accept(listener, NULL, NULL);
        if (!answers)
            continue; /* left open */
        if (read(fd, bytes, sizeof(bytes)) < 0 ||
            write(fd, ok, sizeof(ok) - 1) < 0)
            return 1;
        close(fd);
    }
}

static int be_a_server(int argc, char **argv)
{
    const char *mode = getenv(MODE), *port = NULL;
    for (int i = 1; i + 1 < argc; i++) {
        if (strcmp(argv[i], "--port") == 0)
            port = argv[i + 1];
    }
    alarm(60); /* not longer than the test, whatever happens */
    if (!mode || !port)
        return 8;
    if (strcmp(mode, "words") == 0) {
        printf("first line\nerror: \xFF\xC3 \x1b[31m\xC2\x9B no such model\n");
        return 1;
    }
    if (strcmp(mode, "silent") == 0)
        return 1;
    if (strcmp(mode, "chatty") == 0) {
        for (int i = 0; i < 3000; i++)
            printf("%d\xE2\x82\xAC", i);
        printf("the very end");
        return 1;
    }
    if (strcmp(mode, "sleeps") == 0)
        return (int)sleep(60);
    if (strcmp(mode, "stubborn") == 0)
        signal(SIGTERM, SIG_IGN);
    return serve(port, strcmp(mode, "mute") != 0);
}

/* --- as the test ---------------------------------------------------------- */

static char self[4096];

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static size_t count_descriptors(void)
{
    size_t n = 0;
    DIR *d = opendir("/proc/self/fd");
    assert_non_null(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

static void check_no_child(void)
{
    errno = 0;
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static ga_status start(const char *mode, unsigned timeout_s,
                       const volatile int *cancel, ga_llm_server **out,
                       ga_error *err)
{
    ga_llm_server_options o;
    ga__llm_server_options_init(&o);
    o.binary = self;
    o.model = self;
    o.threads = 1;
    o.timeout_s = timeout_s;
    o.cancel = cancel;
    setenv(MODE, mode, 1);
    return ga__llm_server_start(&o, out, err);
}

static void check_fails(const char *mode, ga_status expected,
                        const char *message, double most_s)
{
    ga_llm_server *server = (ga_llm_server *)&server;
    ga_error err = {""};
    size_t open_before = count_descriptors();
    double began = now_s();
    ga_status rc = start(mode, 1, NULL, &server, &err);
    double took = now_s() - began;
    assert_int_equal(rc, expected);
    assert_null(server);
    if (!strstr(err.msg, message))
        fail_msg("%s", err.msg);
    ga_str m = {err.msg, strlen(err.msg)};
    assert_int_equal(ga__utf8_invalid_at(m), m.len);
    for (const char *p = err.msg; *p; p++)
        assert_true((unsigned char)*p >= ' ' && *p != 0x7F);
    if (took > most_s)
        fail_msg("took %.1f s", took);
    assert_int_equal(count_descriptors(), open_before);
    check_no_child();
}

static void test_nothing_to_start(void **state)
{
    (void)state;
    ga_llm_server_options o;
    ga_llm_server *server;
    ga_error err = {""};
    ga__llm_server_options_init(&o);
    o.binary = "/no/such/server";
    o.model = self;
    assert_int_equal(ga__llm_server_start(&o, &server, &err), GA_NOTFOUND);
    assert_string_equal(err.msg,
                        "'/no/such/server' is no program that can be run");
    o.binary = "/proc/self/status"; /* a file, but no program */
    assert_int_equal(ga__llm_server_start(&o, &server, &err), GA_NOTFOUND);
    o.binary = self;
    o.model = "/no/such/model";
    assert_int_equal(ga__llm_server_start(&o, &server, &err), GA_NOTFOUND);
    assert_string_equal(err.msg, "the model '/no/such/model' cannot be read");
    assert_null(server);
    ga__llm_server_stop(NULL);
}

static void test_it_ends_at_once(void **state)
{
    (void)state;
    check_fails("words", GA_UNAVAILABLE, "no such model", 10);
    check_fails("chatty", GA_UNAVAILABLE, "the very end", 10);
    check_fails("silent", GA_UNAVAILABLE, "ended at once", 10);
}

static void test_it_is_never_ready(void **state)
{
    (void)state;
    check_fails("sleeps", GA_TIMEOUT, "was not ready in 1 second", 4);
    /* it accepts connections, and that is all */
    check_fails("mute", GA_TIMEOUT, "was not ready in 1 second", 9);
}

static volatile int cancel;

static void on_alarm(int number)
{
    cancel = number;
}

static void test_canceled(void **state)
{
    (void)state;
    static const char *const modes[] = {"sleeps", "mute"};
    for (size_t i = 0; i < 2; i++) {
        ga_llm_server *server;
        ga_error err = {""};
        cancel = 0;
        signal(SIGALRM, on_alarm);
        alarm(1);
        double began = now_s();
        assert_int_equal(start(modes[i], 60, &cancel, &server, &err),
                         GA_CANCELED);
        alarm(0);
        assert_true(now_s() - began < 5);
        assert_string_equal(err.msg, "canceled");
        check_no_child();
    }
}

static void check_starts_and_stops(const char *mode, double most_s)
{
    ga_llm_server *server = NULL;
    ga_error err = {""};
    size_t open_before = count_descriptors();
    if (start(mode, 20, NULL, &server, &err) != GA_OK)
        fail_msg("%s", err.msg);
    assert_memory_equal(ga__llm_server_url(server), "http://127.0.0.1:", 17);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), 0); /* it runs */
    double began = now_s();
    ga__llm_server_stop(server);
    double took = now_s() - began;
    if (took > most_s)
        fail_msg("took %.1f s", took);
    check_no_child();
    assert_int_equal(count_descriptors(), open_before);
}

static void test_starts_and_stops(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        check_starts_and_stops("ready", 1.5);
    check_starts_and_stops("stubborn", 5);
}

static void test_it_is_gone_before_it_is_stopped(void **state)
{
    (void)state;
    ga_llm_server *server = NULL;
    assert_int_equal(start("ready", 20, NULL, &server, NULL), GA_OK);
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
    FILE *f = fopen(path, "r");
    int child = 0;
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%d", &child), 1);
    fclose(f);
    kill(child, SIGKILL);
    double began = now_s();
    ga__llm_server_stop(server);
    assert_true(now_s() - began < 1.5);
    check_no_child();
}

/* A parent may have told the kernel to collect children, and we inherit it. */
static void test_children_are_collected_by_the_kernel(void **state)
{
    (void)state;
    signal(SIGCHLD, SIG_IGN);
    check_starts_and_stops("ready", 1.5);
    check_fails("words", GA_UNAVAILABLE, "no such model", 10);
    signal(SIGCHLD, SIG_DFL);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return be_a_server(argc, argv);
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (n <= 0)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_to_start),
        cmocka_unit_test(test_it_ends_at_once),
        cmocka_unit_test(test_it_is_never_ready),
        cmocka_unit_test(test_canceled),
        cmocka_unit_test(test_starts_and_stops),
        cmocka_unit_test(test_it_is_gone_before_it_is_stopped),
        cmocka_unit_test(test_children_are_collected_by_the_kernel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
