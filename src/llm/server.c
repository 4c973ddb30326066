/* server.c: the life of the embedded llama-server. */
#define _GNU_SOURCE /* execvpe is not needed, prctl's names are */
#include "llm/server.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "llm/client.h"
#include "llm/request.h"

enum { LOG_TAIL = 300, STOP_MS = 2000, TICK_MS = 50, ATTEMPTS = 3 };

struct ga_llm_server {
    pid_t pid; /* 0: not running */
    int log;   /* an unnamed file that the server writes to */
    char url[40];
};

void ga__llm_server_options_init(ga_llm_server_options *options)
{
    *options = (ga_llm_server_options){
        .context = 2048, .parallel = 2, .timeout_s = 60};
}

/* A port that is free now; somebody may take it before the server does, which
 * is why starting is tried again. */
static int free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    int port = -1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (!bind(fd, (struct sockaddr *)&address, len) &&
        !getsockname(fd, (struct sockaddr *)&address, &len))
        port = ntohs(address.sin_port);
    close(fd);
    return port;
}

static int open_log(void)
{
    char name[] = "/tmp/guidealign-llm-XXXXXX";
    int fd = mkostemp(name, O_CLOEXEC);
    if (fd >= 0)
        unlink(name);
    return fd;
}

/* In the child: only what is safe between fork and exec. */
static void become_server(const ga_llm_server_options *o, int log, int port,
                          pid_t parent)
{
    char port_text[12], threads[12], context[12], parallel[12];
    snprintf(port_text, sizeof(port_text), "%d", port);
    snprintf(threads, sizeof(threads), "%u", o->threads);
    snprintf(context, sizeof(context), "%u", o->context * o->parallel);
    snprintf(parallel, sizeof(parallel), "%u", o->parallel);
    const char *argv[20] = {o->binary,   "--model",    o->model,  "--host",
                            "127.0.0.1", "--port",     port_text, "--ctx-size",
                            context,     "--parallel", parallel,  "--jinja",
                            "--no-webui"};
    int n = 13;
    if (o->threads) {
        argv[n++] = "--threads";
        argv[n++] = threads;
    }
    argv[n] = NULL;
    /* an interrupt at the terminal is the program's to handle, and it stops
     * the server then */
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) /* it died before we asked */
        _exit(1);
    int null = open("/dev/null", O_RDONLY);
    dup2(null, STDIN_FILENO);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    signal(SIGPIPE, SIG_DFL);
    execv(o->binary, (char *const *)(uintptr_t)argv);
    _exit(127);
}

/* The last that the server wrote, fit for a message. */
static void last_words(int log, char *out, size_t size)
{
    char bytes[LOG_TAIL];
    off_t end = lseek(log, 0, SEEK_END);
    off_t from = end > LOG_TAIL ? end - LOG_TAIL : 0;
    ssize_t n = pread(log, bytes, sizeof(bytes), from);
    ssize_t start = 0; /* behind the rest of a character that was cut */
    while (start < n && ((unsigned char)bytes[start] & 0xC0u) == 0x80u)
        start++;
    if (start < n)
        ga__llm_reason((ga_str){bytes + start, (size_t)(n - start)}, out, size);
    else
        snprintf(out, size, "(it said nothing)");
}

static bool ended(ga_llm_server *s)
{
    int status;
    if (s->pid == 0)
        return true;
    pid_t got = waitpid(s->pid, &status, WNOHANG);
    /* no such child: it is gone, and the kernel has collected it because
     * whoever started us had it ignore SIGCHLD */
    if (got == s->pid || (got < 0 && errno == ECHILD))
        s->pid = 0;
    return s->pid == 0;
}

static void sleep_ms(unsigned ms)
{
    struct timespec t = {ms / 1000, (long)(ms % 1000) * 1000000L};
    nanosleep(&t, NULL);
}

static ga_status wait_until_ready(const ga_llm_server_options *o,
                                  ga_llm_server *s, ga_error *err)
{
    ga_llm_options client;
    ga_llm *llm;
    ga__llm_options_init(&client);
    client.url = s->url;
    client.cancel = o->cancel;
    ga_status rc = ga__llm_open(&client, &llm, err);
    if (rc)
        return rc;
    double deadline = ga__now_s() + o->timeout_s;
    for (;;) {
        if (o->cancel && *o->cancel) {
            rc = ga__fail(err, GA_CANCELED, "canceled");
            break;
        }
        if (ended(s)) {
            char words[LOG_TAIL + 1];
            last_words(s->log, words, sizeof(words));
            rc = ga__fail(err, GA_UNAVAILABLE, "'%s' ended at once: %s",
                          o->binary, words);
            break;
        }
        rc = ga__llm_ready(llm, err);
        if (!rc)
            break;
        if (ga__now_s() >= deadline) {
            rc = ga__fail(err, GA_TIMEOUT, "'%s' was not ready in %u seconds",
                          o->binary, o->timeout_s);
            break;
        }
        sleep_ms(TICK_MS);
    }
    ga__llm_close(llm);
    return rc;
}

static ga_status start_once(const ga_llm_server_options *o, ga_llm_server *s,
                            ga_error *err)
{
    int port = free_port();
    if (port < 0)
        return ga__fail_errno(err, "no free port on 127.0.0.1");
    snprintf(s->url, sizeof(s->url), "http://127.0.0.1:%d", port);
    pid_t parent = getpid();
    s->pid = fork();
    if (s->pid < 0) {
        s->pid = 0;
        return ga__fail_errno(err, "cannot start '%s'", o->binary);
    }
    if (s->pid == 0)
        become_server(o, s->log, port, parent);
    return wait_until_ready(o, s, err);
}

ga_status ga__llm_server_start(const ga_llm_server_options *o,
                               ga_llm_server **out, ga_error *err)
{
    *out = NULL;
    if (access(o->binary, X_OK))
        return ga__fail(err, GA_NOTFOUND, "'%s' is no program that can be run",
                        o->binary);
    if (access(o->model, R_OK))
        return ga__fail(err, GA_NOTFOUND, "the model '%s' cannot be read",
                        o->model);
    ga_llm_server *s = ga__calloc(1, sizeof(*s));
    if (!s)
        return ga__fail_nomem(err, sizeof(*s));
    ga_status rc = GA_OK;
    s->log = open_log();
    if (s->log < 0)
        rc = ga__fail_errno(err, "cannot write to /tmp");
    for (int i = 0; !rc && i < ATTEMPTS; i++) {
        rc = start_once(o, s, err);
        if (rc != GA_UNAVAILABLE)
            break;
        if (i + 1 < ATTEMPTS)
            rc = GA_OK;
    }
    if (rc) {
        ga__llm_server_stop(s);
        return rc;
    }
    *out = s;
    return GA_OK;
}

const char *ga__llm_server_url(const ga_llm_server *s)
{
    return s->url;
}

void ga__llm_server_stop(ga_llm_server *s)
{
    if (!s)
        return;
    if (!ended(s)) {
        kill(s->pid, SIGTERM);
        for (unsigned waited = 0; !ended(s) && waited < STOP_MS;
             waited += TICK_MS)
            sleep_ms(TICK_MS);
    }
    if (!ended(s)) {
        kill(s->pid, SIGKILL);
        while (waitpid(s->pid, NULL, 0) < 0 && errno == EINTR)
            continue;
    }
    if (s->log >= 0)
        close(s->log);
    free(s);
}
