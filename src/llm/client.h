/* client.h: chat with any server that speaks the OpenAI-compatible HTTP API.
 *
 * Many requests are in flight at once over one libcurl multi handle.  A request
 * is tried again when the server could not be reached or asked for patience
 * (408, 429, 5xx), never after the first piece of an answer was handed out. */
#ifndef GA_LLM_CLIENT_H
#define GA_LLM_CLIENT_H

#include "guidealign/guide.h"

#include "base/buf.h"

typedef struct ga_llm ga_llm;

typedef struct {
    const char *url;             /* of the server, with or without /v1 */
    const char *key;             /* bearer token; NULL for none */
    const char *model;           /* NULL: the server's first one */
    unsigned connect_timeout_ms; /* 5,000; no more than the next */
    unsigned idle_timeout_s;     /* without a byte: 120 */
    unsigned total_timeout_s;    /* of one try: 600 */
    unsigned tries;              /* 3 */
    size_t max_answer;           /* bytes of one answer: 4 MiB */
    const volatile int *cancel;  /* when it becomes non-zero calls end with
                                    GA_CANCELED; NULL for never */
} ga_llm_options;

void ga__llm_options_init(ga_llm_options *options);

/* Options are copied.  Opens no connection.  GA_INVAL for a URL that is not
 * http or https; GA_NOMEM. */
ga_status ga__llm_open(const ga_llm_options *options, ga_llm **out,
                       ga_error *err);
void ga__llm_close(ga_llm *llm);

typedef struct {
    const ga_message *messages; /* [n] */
    size_t n;
    unsigned max_tokens;   /* 0: the server's own */
    double temperature;    /* 0: greedy */
    double repeat_penalty; /* 0: not sent; llama-server's extension */
    int seed;
    /* Called with each piece as it arrives; false ends the request. */
    bool (*piece)(void *arg, ga_str text);
    void *arg;
} ga_llm_request;

typedef struct {
    ga_status status; /* of this request, with its error */
    ga_error error;
    ga_buf text;
    char finish[24]; /* "stop", "length"; "" when the server is silent */
    unsigned prompt_tokens, completion_tokens; /* 0 when it does not count */
    unsigned tries;
    double seconds, first_piece_s;
} ga_llm_answer;

/* Run `count` requests at once.  Every answer is filled in; the result is that
 * of the first request that failed.  ga__llm_answer_free each.
 * Errors: GA_UNAVAILABLE not reached, or 429 and 5xx after all tries; GA_INVAL
 * the server refuses the request (4xx), with its reason; GA_FORMAT its answer
 * is no chat completion; GA_TIMEOUT; GA_LIMIT; GA_CANCELED; GA_NOMEM. */
ga_status ga__llm_chat(ga_llm *llm, const ga_llm_request *requests,
                       size_t count, ga_llm_answer *answers, ga_error *err);
void ga__llm_answer_free(ga_llm_answer *answer);

/* Does GET /health (or /v1/models where there is none) answer 200? */
ga_status ga__llm_ready(ga_llm *llm, ga_error *err);

#endif
