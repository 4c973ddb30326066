/* delta.h: what training changed, small enough to lie in a repository.
 *
 * A safetensors file with the tensors that differ from the model that training
 * started from: of a matrix the difference in 8 bits with a scale for each row,
 * "<name>" and "<name>.scale"; of a vector the difference itself.  "base" is
 * the SHA-256 of that model's values, in the order of the parameters. */
#ifndef GA_TRAIN_DELTA_H
#define GA_TRAIN_DELTA_H

#include "train/net.h"

/* Write what `net` differs by from the values it was opened with, [as many as
 * its parameters].  Errors: GA_IO, GA_NOMEM. */
ga_status ga__delta_write(ga_net *net, const float *from, const char *path,
                          ga_error *err);

/* Add a difference to the net.  Errors: GA_NOTFOUND; GA_FORMAT it belongs to
 * another model or is damaged; then the net is as it was. */
ga_status ga__delta_apply(ga_net *net, const char *path, ga_error *err);

#endif
