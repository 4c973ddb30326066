/* server.h: the life of the embedded llama-server.
 *
 * Started on a free port of 127.0.0.1 and stopped with the program, whatever
 * ends it: the child is told by the kernel when its parent dies. */
#ifndef GA_LLM_SERVER_H
#define GA_LLM_SERVER_H

#include "guidealign/status.h"

typedef struct ga_llm_server ga_llm_server;

typedef struct {
    const char *binary;         /* llama-server */
    const char *model;          /* a GGUF file */
    unsigned threads;           /* 0: its own choice */
    unsigned context;           /* tokens of one conversation: 2,048 */
    unsigned parallel;          /* conversations at once: 2 */
    unsigned timeout_s;         /* to be ready: 60 */
    const volatile int *cancel; /* as in ga_llm_options */
} ga_llm_server_options;

void ga__llm_server_options_init(ga_llm_server_options *options);

/* Start it and wait until it is ready.
 * Errors: GA_NOTFOUND no such program or model; GA_UNAVAILABLE it ended, with
 * the last lines it wrote; GA_TIMEOUT; GA_CANCELED. */
ga_status ga__llm_server_start(const ga_llm_server_options *options,
                               ga_llm_server **out, ga_error *err);

/* "http://127.0.0.1:PORT" */
const char *ga__llm_server_url(const ga_llm_server *server);

/* Stop it and wait until it is gone: SIGTERM, after two seconds SIGKILL.
 * NULL is fine. */
void ga__llm_server_stop(ga_llm_server *server);

#endif
