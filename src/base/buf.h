/* buf.h: a byte buffer that grows up to a cap.
 *
 * Every buffer is given its maximum when it is made: what comes from outside
 * can fill it, never the machine.  After a failed append the buffer holds what
 * it held before. */
#ifndef GA_BASE_BUF_H
#define GA_BASE_BUF_H

#include "base/mem.h"

typedef struct {
    char *ptr; /* NUL-terminated when not NULL; the NUL is not counted */
    size_t len;
    size_t cap;
    size_t max;
} ga_buf;

void ga__buf_init(ga_buf *b, size_t max);

/* Release the bytes; the buffer may be used again with the same maximum. */
void ga__buf_free(ga_buf *b);

/* Forget the content and keep the memory. */
void ga__buf_clear(ga_buf *b);

/* GA_LIMIT past the maximum, GA_NOMEM when memory is out. */
ga_status ga__buf_append(ga_buf *b, const void *bytes, size_t len,
                         ga_error *err);
ga_status ga__buf_str(ga_buf *b, const char *text, ga_error *err);
ga_status ga__buf_printf(ga_buf *b, ga_error *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Append `len` bytes as the inside of a JSON string: quotes, backslashes and
 * control characters are escaped; valid UTF-8 goes through as it is. */
ga_status ga__buf_json(ga_buf *b, ga_str text, ga_error *err);

/* Hand the bytes over to the caller, who frees them.  Never NULL: an empty
 * buffer gives an empty string, or NULL only when memory is out. */
char *ga__buf_detach(ga_buf *b);

#endif
