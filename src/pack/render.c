/* render.c: a guideline as a model reads it. */
#include "pack/render.h"

ga_status ga__render_guideline(ga_str title, ga_str text, ga_buf *out,
                               ga_error *err)
{
    ga_status rc = ga__buf_append(out, title.ptr, title.len, err);
    if (!rc && title.len > 0)
        rc = ga__buf_append(out, ": ", 2, err);
    return rc ? rc : ga__buf_append(out, text.ptr, text.len, err);
}
