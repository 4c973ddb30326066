/* request.h: one chat completion, from its body to its answer; no sockets. */
#ifndef GA_LLM_REQUEST_H
#define GA_LLM_REQUEST_H

#include "llm/client.h"

/* The JSON body of a streamed chat completion.  GA_INVAL for text that is not
 * UTF-8 and numbers that are none. */
ga_status ga__llm_body(const ga_llm_request *request, const char *model,
                       ga_buf *out, ga_error *err);

/* Take one event of the stream: append its piece to the answer and hand it
 * out.  *done at "[DONE]".  GA_FORMAT when it is no chunk of a completion,
 * GA_UNAVAILABLE with the server's words when it is an error, GA_CANCELED when
 * the caller wants no more. */
ga_status ga__llm_event(const ga_llm_request *request, ga_str data,
                        ga_llm_answer *answer, bool *done, ga_error *err);

/* The whole answer of a server that does not stream. */
ga_status ga__llm_whole(const ga_llm_request *request, ga_str body,
                        ga_llm_answer *answer, ga_error *err);

/* What an error body says: the "message" of the API's error format, or the
 * start of the body.  out has room for `size` bytes. */
void ga__llm_reason(ga_str body, char *out, size_t size);

#endif
