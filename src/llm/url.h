/* url.h: what is asked where, made of the one URL that a server is given by. */
#ifndef GA_LLM_URL_H
#define GA_LLM_URL_H

#include <stdbool.h>

#include "guidealign/status.h"

typedef struct {
    char *chat, *health, *models;
    char *shown; /* without user and password, for messages */
    bool local;  /* a host of this machine, which no proxy leads to */
} ga_llm_urls;

/* text: http or https, a host, perhaps a path; a /v1 at its end does not count.
 * GA_INVAL when it is none; *out is empty after an error. */
ga_status ga__llm_urls_make(const char *text, ga_llm_urls *out, ga_error *err);
void ga__llm_urls_free(ga_llm_urls *urls);

#endif
