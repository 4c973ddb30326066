/* save.c: a net as a model folder, and a checkpoint. */
#include "train/save.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"
#include "base/sha256.h"
#include "train/net_internal.h"

/* ---- a model folder ---- */

static ga_status write_whole(const char *path, const void *bytes, size_t len,
                             ga_error *err)
{
    ga_atomic_file f = GA_ATOMIC_FILE_INIT;
    ga_status rc = ga__atomic_open(path, &f, err);
    if (rc)
        return rc;
    if (len > 0)
        (void)fwrite(bytes, 1, len, f.stream);
    rc = ga__atomic_commit(&f, err);
    ga__atomic_abort(&f);
    return rc;
}

static bool ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);
    return n >= m && strcmp(name + n - m, end) == 0;
}

/* Configuration and vocabulary, and nothing about the model it was. */
static bool goes_along(const char *name)
{
    return (ends_with(name, ".json") || ends_with(name, ".txt")) &&
           !ends_with(name, ".index.json");
}

static ga_status copy_file(const char *from, const char *to, ga_error *err)
{
    ga_map map = GA_MAP_INIT;
    ga_status rc = ga__map_open(from, &map, err);
    if (!rc)
        rc = write_whole(to, map.ptr, map.len, err);
    ga__map_close(&map);
    return rc;
}

/* What the folder `from` holds beside its weights: its own files, and those of
 * the folders of modules in it. */
static ga_status copy_companions(const char *from, const char *to, bool modules,
                                 ga_error *err)
{
    ga_status rc = ga__folder_make(to, err);
    DIR *dir = rc ? NULL : opendir(from);
    if (!rc && !dir)
        return ga__fail(err, GA_NOTFOUND, "cannot read folder '%s'", from);
    for (struct dirent *e; dir && !rc && (e = readdir(dir)) != NULL;) {
        struct stat is;
        char *source = ga__path_join(from, e->d_name);
        char *target = ga__path_join(to, e->d_name);
        if (!source || !target)
            rc = ga__fail_nomem(err, strlen(e->d_name));
        else if (e->d_name[0] == '.' || stat(source, &is))
            rc = GA_OK;
        else if (S_ISREG(is.st_mode) && goes_along(e->d_name))
            rc = copy_file(source, target, err);
        else if (S_ISDIR(is.st_mode) && modules)
            rc = copy_companions(source, target, false, err);
        free(source);
        free(target);
    }
    if (dir)
        closedir(dir);
    return rc;
}

/* The header of a safetensors file, eight bytes of length in front. */
static ga_status write_header(const ga_net *net, ga_buf *out, ga_error *err)
{
    size_t at = 0;
    ga_status rc =
        ga__buf_printf(out, err, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (size_t i = 0; i < net->parameter_count && !rc; i++) {
        const ga_parameter *q = &net->parameters[i];
        char shape[64];
        if (q->columns)
            snprintf(shape, sizeof(shape), "%zu,%zu", q->rows, q->columns);
        else
            snprintf(shape, sizeof(shape), "%zu", q->rows);
        rc = ga__buf_printf(out, err,
                            ",\"%s\":{\"dtype\":\"F32\",\"shape\":[%s],"
                            "\"data_offsets\":[%zu,%zu]}",
                            q->name, shape, at, at + q->count * sizeof(float));
        at += q->count * sizeof(float);
    }
    if (!rc)
        rc = ga__buf_printf(out, err, "}");
    while (!rc && out->len % 8)
        rc = ga__buf_printf(out, err, " ");
    return rc;
}

static ga_status write_weights(const ga_net *net, const char *path,
                               ga_error *err)
{
    ga_atomic_file f = GA_ATOMIC_FILE_INIT;
    ga_buf header;
    ga__buf_init(&header, SIZE_MAX / 2);
    ga_status rc = write_header(net, &header, err);
    if (!rc)
        rc = ga__atomic_open(path, &f, err);
    if (!rc) {
        uint64_t length = header.len; /* machines are little-endian here */
        (void)fwrite(&length, sizeof(length), 1, f.stream);
        (void)fwrite(header.ptr, 1, header.len, f.stream);
        (void)fwrite(net->value, sizeof(float), net->count, f.stream);
        rc = ga__atomic_commit(&f, err);
        ga__atomic_abort(&f);
    }
    ga__buf_free(&header);
    return rc;
}

ga_status ga__net_save(ga_net *net, const char *from, const char *to,
                       ga_error *err)
{
    char *weights = ga__path_join(to, "model.safetensors");
    ga_status rc = weights ? copy_companions(from, to, true, err)
                           : ga__fail_nomem(err, strlen(to));
    if (!rc) {
        ga__net_settle(net);
        rc = write_weights(net, weights, err);
    }
    free(weights);
    return rc;
}

/* ---- a checkpoint ---- */

/* What stands in front; then the arrays, then their hash. */
typedef struct {
    char magic[8];
    uint64_t version, parameters, vocabulary, arrays;
    uint64_t step, steps, passes, worse;
    double best, decay_so_far;
} head;

static const char MAGIC[8] = {'G', 'A', 'T', 'R', 'A', 'I', 'N', '1'};

typedef struct {
    void *at;
    size_t bytes;
} part;

enum { MOST_PARTS = 5 + GA_NET_STATE_ARRAYS, DIGEST = 32 };

/* The arrays in the order of the file; how many. */
static size_t list_parts(ga_net *net, const ga_net_state *s,
                         part out[MOST_PARTS])
{
    const size_t n = net->count * sizeof(float), V = net->config.vocab;
    size_t count = 0;
    out[count++] = (part){net->value, n};
    out[count++] = (part){net->first, n};
    out[count++] = (part){net->second, n};
    out[count++] = (part){net->active, V * sizeof(*net->active)};
    out[count++] = (part){net->owed, V * sizeof(*net->owed)};
    for (size_t i = 0; i < s->array_count; i++)
        out[count++] = (part){s->arrays[i], s->sizes[i] * sizeof(float)};
    return count;
}

ga_status ga__net_checkpoint(ga_net *net, const ga_net_state *state,
                             const char *path, ga_error *err)
{
    part parts[MOST_PARTS];
    if (state->array_count > GA_NET_STATE_ARRAYS)
        return ga__fail(err, GA_INVAL, "%zu arrays", state->array_count);
    const size_t count = list_parts(net, state, parts);
    ga_atomic_file f = GA_ATOMIC_FILE_INIT;
    ga_sha256 sha;
    uint8_t digest[DIGEST];
    head h = {.version = state->version,
              .parameters = net->count,
              .vocabulary = net->config.vocab,
              .arrays = count,
              .step = state->step,
              .steps = net->steps,
              .passes = net->passes,
              .worse = state->worse,
              .best = state->best,
              .decay_so_far = net->decay_so_far};
    memcpy(h.magic, MAGIC, sizeof(MAGIC));
    ga_status rc = ga__atomic_open(path, &f, err);
    if (rc)
        return rc;
    ga__sha256_init(&sha);
    ga__sha256_update(&sha, &h, sizeof(h));
    (void)fwrite(&h, sizeof(h), 1, f.stream);
    for (size_t i = 0; i < count; i++) {
        ga__sha256_update(&sha, parts[i].at, parts[i].bytes);
        (void)fwrite(parts[i].at, 1, parts[i].bytes, f.stream);
    }
    ga__sha256_final(&sha, digest);
    (void)fwrite(digest, 1, sizeof(digest), f.stream);
    rc = ga__atomic_commit(&f, err);
    ga__atomic_abort(&f);
    return rc;
}

static ga_status check_head(const ga_net *net, const ga_net_state *s,
                            const head *h, size_t count, ga_error *err)
{
    if (memcmp(h->magic, MAGIC, sizeof(MAGIC)) != 0)
        return ga__fail(err, GA_FORMAT, "it is no checkpoint of a training");
    if (h->version != s->version || h->parameters != net->count ||
        h->vocabulary != net->config.vocab || h->arrays != count)
        return ga__fail(err, GA_FORMAT,
                        "it belongs to a training of another model, with other "
                        "options or data: remove it to start anew");
    return GA_OK;
}

ga_status ga__net_resume(ga_net *net, ga_net_state *state, const char *path,
                         ga_error *err)
{
    part parts[MOST_PARTS];
    if (state->array_count > GA_NET_STATE_ARRAYS)
        return ga__fail(err, GA_INVAL, "%zu arrays", state->array_count);
    const size_t count = list_parts(net, state, parts);
    size_t at = sizeof(head), bytes = sizeof(head) + DIGEST;
    ga_map map = GA_MAP_INIT;
    uint8_t digest[DIGEST];
    head h = {{0}, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    ga_status rc = ga__map_open(path, &map, err);
    if (rc)
        return rc;
    for (size_t i = 0; i < count; i++)
        bytes += parts[i].bytes;
    if (map.len >= sizeof(h))
        memcpy(&h, map.ptr, sizeof(h));
    rc = check_head(net, state, &h, count, err);
    if (!rc && map.len == bytes)
        ga__sha256_of(map.ptr, bytes - sizeof(digest), digest);
    if (!rc &&
        (map.len != bytes ||
         memcmp(digest, map.ptr + bytes - sizeof(digest), sizeof(digest)) != 0))
        rc = ga__fail(err, GA_FORMAT, "it is damaged: remove it to start anew");
    for (size_t i = 0; i < count && !rc; i++) {
        memcpy(parts[i].at, map.ptr + at, parts[i].bytes);
        at += parts[i].bytes;
    }
    ga__map_close(&map);
    if (rc) {
        ga__error_prefix(err, "'%s'", path);
        return rc;
    }
    state->step = h.step;
    state->best = h.best;
    state->worse = h.worse;
    net->steps = h.steps;
    net->passes = h.passes;
    net->decay_so_far = h.decay_so_far;
    ga__net_repack(net);
    return GA_OK;
}
