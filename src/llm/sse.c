/* sse.c: the events of a text/event-stream. */
#include "llm/sse.h"

#include "base/error.h"

void ga__sse_init(ga_sse *s, size_t max)
{
    *s = (ga_sse){0};
    ga__buf_init(&s->line, max);
    ga__buf_init(&s->data, max);
}

void ga__sse_free(ga_sse *s)
{
    ga__buf_free(&s->line);
    ga__buf_free(&s->data);
}

static ga_status end_line(ga_sse *s, ga_status (*event)(void *, ga_str),
                          void *arg, ga_error *err)
{
    ga_str line = {s->line.ptr, s->line.len};
    ga_status rc = GA_OK;
    if (!s->begun && line.len >= 3 && memcmp(line.ptr, "\xEF\xBB\xBF", 3) == 0)
        line = (ga_str){line.ptr + 3, line.len - 3};
    s->begun = true;
    if (line.len == 0) {
        if (s->data.len > 0) /* its last newline ends no line of its own */
            rc = event(arg, (ga_str){s->data.ptr, s->data.len - 1});
        ga__buf_clear(&s->data);
    } else if (ga__str_is(line, "data")) { /* a field without a value */
        rc = ga__buf_append(&s->data, "\n", 1, err);
    } else if (line.len >= 5 && memcmp(line.ptr, "data:", 5) == 0) {
        size_t at = line.len > 5 && line.ptr[5] == ' ' ? 6 : 5;
        rc = ga__buf_append(&s->data, line.ptr + at, line.len - at, err);
        if (!rc)
            rc = ga__buf_append(&s->data, "\n", 1, err);
    }
    ga__buf_clear(&s->line);
    return rc;
}

ga_status ga__sse_feed(ga_sse *s, ga_str bytes,
                       ga_status (*event)(void *arg, ga_str data), void *arg,
                       ga_error *err)
{
    ga_status rc = GA_OK;
    size_t start = 0;
    for (size_t i = 0; i < bytes.len && !rc; i++) {
        char c = bytes.ptr[i];
        bool lf_of_crlf = s->skip_lf && c == '\n';
        s->skip_lf = c == '\r';
        if (c != '\n' && c != '\r')
            continue;
        if (!lf_of_crlf) {
            rc = ga__buf_append(&s->line, bytes.ptr + start, i - start, err);
            if (!rc)
                rc = end_line(s, event, arg, err);
        }
        start = i + 1;
    }
    if (!rc)
        rc =
            ga__buf_append(&s->line, bytes.ptr + start, bytes.len - start, err);
    return rc;
}
