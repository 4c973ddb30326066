/* buf.c: a byte buffer that grows up to a cap. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"

void ga__buf_init(ga_buf *b, size_t max)
{
    *b = (ga_buf){.max = max};
}

void ga__buf_free(ga_buf *b)
{
    free(b->ptr);
    ga__buf_init(b, b->max);
}

void ga__buf_clear(ga_buf *b)
{
    b->len = 0;
    if (b->ptr)
        b->ptr[0] = '\0';
}

/* Room for `more` bytes and the NUL behind them. */
static ga_status reserve(ga_buf *b, size_t more, ga_error *err)
{
    size_t need;
    if (!ga__add_size(b->len, more, &need) || need > b->max || need == SIZE_MAX)
        return ga__fail(err, GA_LIMIT, "over the limit of %zu bytes", b->max);
    void *ptr = b->ptr;
    if (!ga__grow(&ptr, &b->cap, need + 1, 1))
        return ga__fail_nomem(err, need);
    b->ptr = ptr;
    return GA_OK;
}

ga_status ga__buf_append(ga_buf *b, const void *bytes, size_t len,
                         ga_error *err)
{
    ga_status rc = reserve(b, len, err);
    if (rc)
        return rc;
    if (len)
        memcpy(b->ptr + b->len, bytes, len);
    b->len += len;
    b->ptr[b->len] = '\0';
    return GA_OK;
}

ga_status ga__buf_str(ga_buf *b, const char *text, ga_error *err)
{
    return ga__buf_append(b, text, strlen(text), err);
}

ga_status ga__buf_printf(ga_buf *b, ga_error *err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0)
        return ga__fail(err, GA_INVAL, "cannot format a message");
    ga_status rc = reserve(b, (size_t)n, err);
    if (rc)
        return rc;
    va_start(args, format);
    vsnprintf(b->ptr + b->len, (size_t)n + 1, format, args);
    va_end(args);
    b->len += (size_t)n;
    return GA_OK;
}

ga_status ga__buf_json(ga_buf *b, ga_str text, ga_error *err)
{
    size_t start = 0; /* of the run that needs no escape */
    size_t before = b->len;
    ga_status rc = GA_OK;
    if (text.len == 0)
        return GA_OK;
    for (size_t i = 0; i < text.len && !rc; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        rc = ga__buf_append(b, text.ptr + start, i - start, err);
        start = i + 1;
        if (rc)
            break;
        if (c == '"' || c == '\\')
            rc = ga__buf_printf(b, err, "\\%c", c);
        else if (c == '\n')
            rc = ga__buf_str(b, "\\n", err);
        else
            rc = ga__buf_printf(b, err, "\\u%04x", c);
    }
    if (!rc)
        rc = ga__buf_append(b, text.ptr + start, text.len - start, err);
    if (rc) {
        b->len = before;
        if (b->ptr)
            b->ptr[before] = '\0';
    }
    return rc;
}

char *ga__buf_detach(ga_buf *b)
{
    char *ptr = b->ptr ? b->ptr : calloc(1, 1);
    b->ptr = NULL;
    ga__buf_init(b, b->max);
    return ptr;
}
