/* render.h: a guideline as a model reads it. */
#ifndef GA_PACK_RENDER_H
#define GA_PACK_RENDER_H

#include "base/buf.h"

/* Append "Title: text", or the text alone when there is no title.  What is
 * encoded for retrieval and what is shown to the model is the same. */
ga_status ga__render_guideline(ga_str title, ga_str text, ga_buf *out,
                               ga_error *err);

#endif
