/* client.c: chat completions over libcurl multi. */
#include "llm/client.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <strings.h>

#include "base/clock.h"
#include "base/error.h"
#include "llm/request.h"
#include "llm/sse.h"
#include "llm/url.h"

enum { POLL_MS = 100, MOST_WAIT_S = 60 };

/* Behind "[DONE]" only the end of the transfer can come, which leaves the
 * connection for the next request; not every server ends it. */
static const double END_WAIT_S = 0.25;

struct ga_llm {
    CURLM *multi;
    struct curl_slist *headers;
    char *model;
    ga_llm_urls urls;
    ga_llm_options options;
};

/* One request while it is in flight. */
typedef struct {
    ga_llm *llm;
    const ga_llm_request *request;
    ga_llm_answer *answer;
    CURL *easy;
    ga_buf body;  /* sent */
    ga_buf plain; /* received, when it is no event stream */
    ga_sse sse;
    bool streamed, done, handed_out;
    double started;     /* this try */
    double heard;       /* when a byte last came or went */
    curl_off_t moved;   /* bytes so far, both ways */
    double retry_at;    /* 0: in flight or over */
    double retry_after; /* seconds, as the server asked; -1: it did not */
    bool over;
} flight;

static bool canceled(const ga_llm *llm)
{
    return llm->options.cancel && *llm->options.cancel;
}

void ga__llm_options_init(ga_llm_options *options)
{
    *options = (ga_llm_options){
        .connect_timeout_ms = 5000,
        .idle_timeout_s = 120,
        .total_timeout_s = 600,
        .tries = 3,
        .max_answer = (size_t)4 << 20,
    };
}

static bool add_header(struct curl_slist **list, const char *name,
                       const char *value)
{
    size_t bytes = strlen(name) + strlen(value) + 1;
    char *line = malloc(bytes);
    if (!line)
        return false;
    snprintf(line, bytes, "%s%s", name, value);
    struct curl_slist *grown = curl_slist_append(*list, line);
    free(line);
    if (grown)
        *list = grown;
    return grown != NULL;
}

static bool make_headers(ga_llm *llm, const char *key)
{
    return add_header(&llm->headers, "Content-Type: ", "application/json") &&
           add_header(&llm->headers,
                      "Accept: ", "text/event-stream, application/json") &&
           add_header(&llm->headers, "Expect:", "") &&
           (!key || add_header(&llm->headers, "Authorization: Bearer ", key));
}

ga_status ga__llm_open(const ga_llm_options *options, ga_llm **out,
                       ga_error *err)
{
    *out = NULL;
    if (options->key && strpbrk(options->key, "\r\n"))
        return ga__fail(err, GA_INVAL, "the key has a line break in it");
    ga_llm *llm = ga__calloc(1, sizeof(*llm));
    if (!llm)
        return ga__fail_nomem(err, sizeof(*llm));
    llm->options = *options;
    /* waiting for a connection is waiting too */
    if (options->idle_timeout_s < options->connect_timeout_ms / 1000)
        llm->options.connect_timeout_ms = options->idle_timeout_s * 1000;
    ga_status rc = ga__llm_urls_make(options->url, &llm->urls, err);
    if (!rc && options->model) {
        llm->model = ga__strndup(options->model, strlen(options->model));
        if (!llm->model)
            rc = ga__fail_nomem(err, strlen(options->model));
    }
    llm->multi = rc ? NULL : curl_multi_init();
    if (!rc && (!llm->multi || !make_headers(llm, options->key)))
        rc = ga__fail_nomem(err, sizeof(*llm));
    if (rc) {
        ga__llm_close(llm);
        return rc;
    }
    *out = llm;
    return GA_OK;
}

void ga__llm_close(ga_llm *llm)
{
    if (!llm)
        return;
    curl_multi_cleanup(llm->multi);
    curl_slist_free_all(llm->headers);
    ga__llm_urls_free(&llm->urls);
    free(llm->model);
    free(llm);
}

/* Is it the header `name` (with its colon)?  Its value as a string then. */
static bool header_is(ga_str line, const char *name, char *value, size_t size)
{
    size_t n = strlen(name);
    if (line.len < n || strncasecmp(line.ptr, name, n) != 0)
        return false;
    while (n < line.len && (line.ptr[n] == ' ' || line.ptr[n] == '\t'))
        n++;
    snprintf(value, size, "%.*s", (int)(line.len - n), line.ptr + n);
    return true;
}

static size_t on_header(char *bytes, size_t size, size_t count, void *arg)
{
    flight *f = arg;
    ga_str line = {bytes, size * count};
    char value[64], *end;
    if (header_is(line, "retry-after:", value, sizeof(value))) {
        double seconds = strtod(value, &end);
        if (end != value) /* not a date */
            f->retry_after = seconds;
    }
    if (header_is(line, "content-type:", value, sizeof(value)))
        f->streamed = strncasecmp(value, "text/event-stream", 17) == 0;
    return line.len;
}

static ga_status on_event(void *arg, ga_str data)
{
    flight *f = arg;
    if (f->done)
        return GA_OK;
    size_t before = f->answer->text.len;
    ga_status rc =
        ga__llm_event(f->request, data, f->answer, &f->done, &f->answer->error);
    if (before == 0 && f->answer->text.len > 0)
        f->answer->first_piece_s = ga__now_s() - f->started;
    return rc;
}

static size_t on_bytes(char *bytes, size_t size, size_t count, void *arg)
{
    flight *f = arg;
    ga_str s = {bytes, size * count};
    long http = 0;
    if (f->done)
        return s.len;
    curl_easy_getinfo(f->easy, CURLINFO_RESPONSE_CODE, &http);
    ga_llm_answer *a = f->answer;
    if (http == 200 && f->streamed)
        a->status = ga__sse_feed(&f->sse, s, on_event, f, &a->error);
    else
        a->status = ga__buf_append(&f->plain, s.ptr, s.len, &a->error);
    if (a->status == GA_LIMIT)
        ga__error_prefix(&a->error, "the answer of '%s'", f->llm->urls.shown);
    if (f->request->piece && a->text.len > 0)
        f->handed_out = true;
    return a->status ? 0 : s.len; /* 0 ends the transfer */
}

static int on_progress(void *arg, curl_off_t a, curl_off_t down, curl_off_t b,
                       curl_off_t up)
{
    flight *f = arg;
    (void)a, (void)b;
    if (down + up != f->moved) {
        f->moved = down + up;
        f->heard = ga__now_s();
    }
    return canceled(f->llm);
}

/* The same while nobody waits for an answer. */
static int on_ready_progress(void *arg, curl_off_t a, curl_off_t b,
                             curl_off_t c, curl_off_t d)
{
    (void)a, (void)b, (void)c, (void)d;
    return canceled(arg);
}

static CURL *new_easy(ga_llm *llm, const char *url)
{
    CURL *easy = curl_easy_init();
    if (!easy)
        return NULL;
    const ga_llm_options *o = &llm->options;
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, llm->headers);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                     (long)o->connect_timeout_ms);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT, (long)o->total_timeout_s);
    curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
    if (llm->urls.local)
        curl_easy_setopt(easy, CURLOPT_PROXY, "");
    return easy;
}

/* Begin a try; the flight was never begun or its last try is cleaned up. */
static ga_status begin(flight *f)
{
    ga_llm_answer *a = f->answer;
    ga__buf_clear(&f->plain);
    ga__sse_free(&f->sse);
    ga__sse_init(&f->sse, f->llm->options.max_answer);
    ga__buf_clear(&a->text);
    f->streamed = f->done = false;
    f->retry_at = 0;
    f->retry_after = -1;
    f->moved = 0;
    f->started = f->heard = ga__now_s();
    a->status = GA_OK;
    a->tries++;
    f->easy = new_easy(f->llm, f->llm->urls.chat);
    if (!f->easy)
        return ga__fail_nomem(&a->error, 0);
    curl_easy_setopt(f->easy, CURLOPT_POSTFIELDSIZE_LARGE,
                     (curl_off_t)f->body.len);
    curl_easy_setopt(f->easy, CURLOPT_POSTFIELDS, f->body.ptr);
    curl_easy_setopt(f->easy, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(f->easy, CURLOPT_WRITEDATA, f);
    curl_easy_setopt(f->easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(f->easy, CURLOPT_HEADERDATA, f);
    curl_easy_setopt(f->easy, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(f->easy, CURLOPT_XFERINFODATA, f);
    curl_easy_setopt(f->easy, CURLOPT_PRIVATE, f);
    if (curl_multi_add_handle(f->llm->multi, f->easy)) {
        curl_easy_cleanup(f->easy);
        f->easy = NULL;
        return ga__fail_nomem(&a->error, 0);
    }
    return GA_OK;
}

static void drop_easy(flight *f)
{
    if (!f->easy)
        return;
    curl_multi_remove_handle(f->llm->multi, f->easy);
    curl_easy_cleanup(f->easy);
    f->easy = NULL;
}

static bool connected(const flight *f)
{
    curl_off_t us = 0;
    curl_easy_getinfo(f->easy, CURLINFO_CONNECT_TIME_T, &us);
    return us > 0;
}

/* What the transport says, when the answer itself raised no objection. */
static ga_status transport_status(flight *f, CURLcode code)
{
    ga_error *err = &f->answer->error;
    const char *url = f->llm->urls.shown;
    const ga_llm_options *o = &f->llm->options;
    if (f->done) /* what came behind the answer does not matter */
        return GA_OK;
    if (canceled(f->llm))
        return ga__fail(err, GA_CANCELED, "canceled");
    switch (code) {
    case CURLE_OK:
        return GA_OK;
    case CURLE_OPERATION_TIMEDOUT:
        if (!connected(f))
            return ga__fail(err, GA_UNAVAILABLE, "cannot reach '%s' in %u ms",
                            url, o->connect_timeout_ms);
        if (ga__now_s() - f->started >= o->total_timeout_s)
            return ga__fail(err, GA_TIMEOUT, "'%s' took more than %u seconds",
                            url, o->total_timeout_s);
        return ga__fail(err, GA_TIMEOUT,
                        "'%s' stopped answering: nothing for %u seconds", url,
                        o->idle_timeout_s);
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return ga__fail(err, GA_UNAVAILABLE, "cannot reach '%s': %s", url,
                        curl_easy_strerror(code));
    case CURLE_OUT_OF_MEMORY:
        return ga__fail_nomem(err, 0);
    default:
        return ga__fail(err, GA_UNAVAILABLE, "'%s' broke off: %s", url,
                        curl_easy_strerror(code));
    }
}

/* The status of a try that the server answered. */
static ga_status answer_status(flight *f, long http)
{
    ga_llm_answer *a = f->answer;
    ga_str body = {f->plain.ptr, f->plain.len};
    if (http != 200) {
        char reason[256];
        bool later = http == 408 || http == 429 || http >= 500;
        ga__llm_reason(body, reason, sizeof(reason));
        return ga__fail(&a->error, later ? GA_UNAVAILABLE : GA_INVAL,
                        "'%s' answered %ld: %s", f->llm->urls.shown, http,
                        reason);
    }
    if (!f->streamed)
        return ga__llm_whole(f->request, body, a, &a->error);
    if (!f->done && a->finish[0] == '\0')
        return ga__fail(&a->error, GA_UNAVAILABLE,
                        "'%s' ended its answer in the middle",
                        f->llm->urls.shown);
    return GA_OK;
}

/* A try is over: the end, or a wait before the next one. */
static void finish_try(flight *f, CURLcode code)
{
    ga_llm_answer *a = f->answer;
    long http = 0;
    curl_easy_getinfo(f->easy, CURLINFO_RESPONSE_CODE, &http);
    if (a->status == GA_OK)
        a->status = transport_status(f, code);
    if (a->status == GA_OK)
        a->status = answer_status(f, http);
    a->seconds = ga__now_s() - f->started;
    drop_easy(f);
    bool again = a->status == GA_UNAVAILABLE && !f->handed_out &&
                 a->tries < f->llm->options.tries && !canceled(f->llm);
    if (!again) {
        f->over = true;
        return;
    }
    double wait = 0.25 * (1 << (a->tries - 1));
    if (f->retry_after >= 0)
        wait = f->retry_after < MOST_WAIT_S ? f->retry_after : MOST_WAIT_S;
    f->retry_at = ga__now_s() + wait;
}

/* Has any try ended? */
static bool collect_finished(ga_llm *llm)
{
    int left;
    bool any = false;
    CURLMsg *message;
    while ((message = curl_multi_info_read(llm->multi, &left))) {
        flight *f = NULL;
        CURLcode code = message->data.result;
        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&f);
        finish_try(f, code);
        any = true;
    }
    return any;
}

/* End a try that waits for nothing.  Connecting has its own limit, and curl's
 * for slow transfers is an average over seconds. */
static void check_silence(flight *f)
{
    double silent = ga__now_s() - f->heard;
    if (f->done && silent >= END_WAIT_S)
        finish_try(f, CURLE_OK);
    else if (silent >= f->llm->options.idle_timeout_s && connected(f))
        finish_try(f, CURLE_OPERATION_TIMEDOUT);
}

/* Begin what is due; true while anything is in flight or waiting. */
static bool drive(ga_llm *llm, flight *flights, size_t count)
{
    bool busy = false;
    for (size_t i = 0; i < count; i++) {
        flight *f = &flights[i];
        if (f->over)
            continue;
        if (canceled(llm)) {
            f->answer->status =
                ga__fail(&f->answer->error, GA_CANCELED, "canceled");
            f->over = true;
            continue;
        }
        if (f->easy) {
            check_silence(f);
        } else if (ga__now_s() >= f->retry_at) {
            f->answer->status = begin(f);
            f->over = f->answer->status != GA_OK;
        }
        busy |= !f->over;
    }
    return busy;
}

ga_status ga__llm_chat(ga_llm *llm, const ga_llm_request *requests,
                       size_t count, ga_llm_answer *answers, ga_error *err)
{
    flight *flights = ga__calloc(count, sizeof(*flights));
    ga_status rc = GA_OK;
    if (!flights)
        return ga__fail_nomem(err, count * sizeof(*flights));
    for (size_t i = 0; i < count; i++) {
        flight *f = &flights[i];
        answers[i] = (ga_llm_answer){0};
        ga__buf_init(&answers[i].text, llm->options.max_answer);
        *f = (flight){
            .llm = llm, .request = &requests[i], .answer = &answers[i]};
        ga__buf_init(&f->body, SIZE_MAX / 2);
        ga__buf_init(&f->plain, llm->options.max_answer);
        answers[i].status =
            ga__llm_body(f->request, llm->model, &f->body, &answers[i].error);
        f->over = answers[i].status != GA_OK;
    }
    while (drive(llm, flights, count)) {
        int running;
        if (curl_multi_perform(llm->multi, &running))
            break; /* out of memory or descriptors: nothing more can be done */
        if (!collect_finished(llm) &&
            curl_multi_poll(llm->multi, NULL, 0, POLL_MS, NULL))
            break;
    }
    for (size_t i = 0; i < count; i++) {
        flight *f = &flights[i];
        if (!f->over)
            answers[i].status = ga__fail_nomem(&answers[i].error, 0);
        drop_easy(f);
        ga__sse_free(&f->sse);
        ga__buf_free(&f->plain);
        ga__buf_free(&f->body);
        if (answers[i].status && !rc)
            rc = ga__fail(err, answers[i].status, "%s", answers[i].error.msg);
    }
    free(flights);
    return rc;
}

void ga__llm_answer_free(ga_llm_answer *answer)
{
    ga__buf_free(&answer->text);
}

static size_t ignore_bytes(char *bytes, size_t size, size_t count, void *arg)
{
    (void)bytes, (void)arg;
    return size * count;
}

static long get(ga_llm *llm, const char *url, CURLcode *code)
{
    long http = 0;
    CURL *easy = new_easy(llm, url);
    *code = CURLE_OUT_OF_MEMORY;
    if (!easy)
        return 0;
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, ignore_bytes);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT, 5L);
    curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, on_ready_progress);
    curl_easy_setopt(easy, CURLOPT_XFERINFODATA, llm);
    *code = curl_easy_perform(easy);
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &http);
    curl_easy_cleanup(easy);
    return http;
}

ga_status ga__llm_ready(ga_llm *llm, ga_error *err)
{
    CURLcode code;
    long http = get(llm, llm->urls.health, &code);
    if (code == CURLE_OK && http == 404)
        http = get(llm, llm->urls.models, &code);
    if (code)
        return ga__fail(err, GA_UNAVAILABLE, "cannot reach '%s': %s",
                        llm->urls.shown, curl_easy_strerror(code));
    if (http != 200)
        return ga__fail(err, GA_UNAVAILABLE, "'%s' answered %ld",
                        llm->urls.shown, http);
    return GA_OK;
}
