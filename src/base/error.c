/* error.c: status texts and messages.  Knows nothing of what fails. */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *ga_status_text(ga_status status)
{
    switch (status) {
#define GA_STATUS_CASE(name, number, text)                                     \
    case GA_##name:                                                            \
        return text;
        GA_STATUS_MAP(GA_STATUS_CASE)
#undef GA_STATUS_CASE
    }
    return "unknown status";
}

/* A message cut in the middle of a UTF-8 sequence would make the JSON it ends
 * up in invalid. */
static void trim_partial_character(char *msg)
{
    size_t n = strlen(msg);
    size_t tail = 0; /* continuation bytes at the end */
    while (tail < n && tail < 3 &&
           ((unsigned char)msg[n - 1 - tail] & 0xC0u) == 0x80u)
        tail++;
    if (tail == n)
        return;
    unsigned char lead = (unsigned char)msg[n - 1 - tail];
    size_t want = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : lead >= 0xC0 ? 1 : 0;
    if (want > tail)
        msg[n - 1 - tail] = '\0';
}

static void format_message(ga_error *err, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

static void format_message(ga_error *err, const char *format, va_list args)
{
    int n = vsnprintf(err->msg, sizeof(err->msg), format, args);
    if (n < 0)
        err->msg[0] = '\0';
    else if ((size_t)n >= sizeof(err->msg))
        trim_partial_character(err->msg);
}

ga_status ga__fail(ga_error *err, ga_status status, const char *format, ...)
{
    if (err) {
        va_list args;
        va_start(args, format);
        format_message(err, format, args);
        va_end(args);
    }
    return status;
}

ga_status ga__fail_errno(ga_error *err, const char *format, ...)
{
    int code = errno;
    if (err) {
        va_list args;
        va_start(args, format);
        format_message(err, format, args);
        va_end(args);
        size_t n = strlen(err->msg);
        char text[128];
        if (strerror_r(code, text, sizeof(text)))
            snprintf(text, sizeof(text), "error %d", code);
        snprintf(err->msg + n, sizeof(err->msg) - n, ": %s", text);
    }
    errno = code;
    return code == ENOMEM ? GA_NOMEM : GA_IO;
}

ga_status ga__fail_nomem(ga_error *err, size_t bytes)
{
    return ga__fail(err, GA_NOMEM, "out of memory for %zu bytes", bytes);
}

void ga__error_prefix(ga_error *err, const char *format, ...)
{
    if (!err)
        return;
    ga_error head, rest = *err;
    va_list args;
    va_start(args, format);
    format_message(&head, format, args);
    va_end(args);
    ga__fail(err, GA_OK, "%s: %s", head.msg, rest.msg);
}
