/* error.h: filling a ga_error on the way out. */
#ifndef GA_BASE_ERROR_H
#define GA_BASE_ERROR_H

#include "guidealign/status.h"

/* Write the formatted message to err, when there is one, and return status,
 * so that a failure is one statement: `return ga__fail(err, GA_INVAL, ...)`.
 * A message that does not fit is cut at a character boundary. */
ga_status ga__fail(ga_error *err, ga_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same for a failed system call: appends ": " and the text of errno.
 * ENOMEM answers GA_NOMEM, everything else GA_IO. */
ga_status ga__fail_errno(ga_error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* GA_NOMEM with the number of bytes that could not be had. */
ga_status ga__fail_nomem(ga_error *err, size_t bytes);

/* Put "prefix: " in front of the message that err holds. */
void ga__error_prefix(ga_error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
