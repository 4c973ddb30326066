/* guidealign/status.h: what every call of the library can answer.
 *
 * A fallible function returns ga_status and may fill a caller-owned ga_error
 * with what failed, where, and what to do.  The error is untouched on success
 * and may always be NULL.  Nothing in the library prints, exits or aborts. */
#ifndef GUIDEALIGN_STATUS_H
#define GUIDEALIGN_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* X(name, number, text).  A number is never reused. */
#define GA_STATUS_MAP(X)                                                       \
    X(OK, 0, "success")                                                        \
    X(NOMEM, 1, "out of memory")                                               \
    X(INVAL, 2, "invalid argument")                                            \
    X(IO, 3, "input or output failed")                                         \
    X(FORMAT, 4, "malformed file or message")                                  \
    X(UNSUPPORTED, 5, "not supported")                                         \
    X(LIMIT, 6, "over a limit")                                                \
    X(NOTFOUND, 7, "not found")                                                \
    X(EXISTS, 8, "exists already")                                             \
    X(CONFLICT, 9, "changed by somebody else")                                 \
    X(TIMEOUT, 10, "timed out")                                                \
    X(UNAVAILABLE, 11, "unavailable")                                          \
    X(CANCELED, 12, "canceled")

typedef enum {
#define GA_STATUS_ENUM(name, number, text) GA_##name = (number),
    GA_STATUS_MAP(GA_STATUS_ENUM)
#undef GA_STATUS_ENUM
} ga_status;

/* What went wrong, for people: lower case, no full stop, the subject quoted. */
typedef struct {
    char msg[512];
} ga_error;

/* Borrowed bytes.  Text from outside is always a pointer and a length: a NUL
 * inside it must not hide the rest. */
typedef struct {
    const char *ptr;
    size_t len;
} ga_str;

/* The text of a status, "unknown status" for a number that is none.
 * The result is static. */
const char *ga_status_text(ga_status status);

#ifdef __cplusplus
}
#endif

#endif
