/* save.h: a net as a model folder, and where its training stands as a file. */
#ifndef GA_TRAIN_SAVE_H
#define GA_TRAIN_SAVE_H

#include "train/net.h"

/* Write the net to folder `to`, which is made when it is not there, with the
 * other files of folder `from`, in Hugging Face layout: sentence-transformers
 * loads it.  The weights appear whole or not at all, and last.
 * Errors: GA_IO, GA_NOTFOUND, GA_NOMEM. */
ga_status ga__net_save(ga_net *net, const char *from, const char *to,
                       ga_error *err);

/* Numbers beside the net's own that a training goes on from. */
enum { GA_NET_STATE_ARRAYS = 4 };
typedef struct {
    uint64_t version; /* of whoever wrote it: options, data and all */
    uint64_t step;
    double best;
    uint64_t worse;
    float *const *arrays; /* [array_count] */
    const size_t *sizes;  /* of each, in numbers */
    size_t array_count;   /* at most GA_NET_STATE_ARRAYS */
} ga_net_state;

/* Write everything that a step depends on; appears whole or not at all. */
ga_status ga__net_checkpoint(ga_net *net, const ga_net_state *state,
                             const char *path, ga_error *err);

/* Go on from a checkpoint of a net of the same shape; state->version is what is
 * expected.  Errors: GA_NOTFOUND; GA_FORMAT another model, other options or
 * data, or a damaged file. */
ga_status ga__net_resume(ga_net *net, ga_net_state *state, const char *path,
                         ga_error *err);

#endif
