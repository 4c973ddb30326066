/* sse.h: the events of a text/event-stream (WHATWG HTML, 9.2) as they come in
 * pieces of any size.  Only "data" matters to chat completions. */
#ifndef GA_LLM_SSE_H
#define GA_LLM_SSE_H

#include "base/buf.h"

typedef struct {
    ga_buf line;  /* not yet ended */
    ga_buf data;  /* of the event not yet ended */
    bool skip_lf; /* the last byte was a CR */
    bool begun;   /* the first line is over, and with it a BOM */
} ga_sse;

/* max: bytes of one event. */
void ga__sse_init(ga_sse *s, size_t max);
void ga__sse_free(ga_sse *s);

/* Call event(arg, data) for each event that ends in these bytes; a status it
 * returns ends the feeding and is returned. */
ga_status ga__sse_feed(ga_sse *s, ga_str bytes,
                       ga_status (*event)(void *arg, ga_str data), void *arg,
                       ga_error *err);

#endif
