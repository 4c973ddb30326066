/* file.h: files that are read whole and files that appear whole. */
#ifndef GA_BASE_FILE_H
#define GA_BASE_FILE_H

#include <stdio.h>

#include "base/mem.h"

/* A file mapped read-only.  It stays valid when the name is replaced. */
typedef struct {
    const uint8_t *ptr; /* page-aligned; NULL when the file is empty */
    size_t len;
} ga_map;

#define GA_MAP_INIT ((ga_map){0})

/* GA_NOTFOUND when there is no such file, GA_INVAL when it is no regular
 * file.  The caller releases with ga__map_close, which is fine on an empty
 * map and leaves one behind. */
ga_status ga__map_open(const char *path, ga_map *out, ga_error *err);
void ga__map_close(ga_map *map);

/* The line that begins at *at, without its end; *at moves behind it.  False at
 * the end of the file. */
bool ga__map_line(const ga_map *map, size_t *at, ga_str *line);

/* Read a whole file of at most max bytes; the caller frees *out, which has a
 * NUL behind its *len bytes. */
ga_status ga__file_read(const char *path, size_t max, char **out, size_t *len,
                        ga_error *err);

/* A file that is either not there (or as it was) or complete.  Write to
 * ->stream; _commit syncs and renames it to its name, _abort removes it and is
 * fine after a commit or a failed open.  The temporary file lies beside the
 * target, so that the rename cannot cross file systems. */
typedef struct {
    FILE *stream;
    char *path;
    char *temporary;
} ga_atomic_file;

#define GA_ATOMIC_FILE_INIT ((ga_atomic_file){0})

ga_status ga__atomic_open(const char *path, ga_atomic_file *f, ga_error *err);
ga_status ga__atomic_commit(ga_atomic_file *f, ga_error *err);
void ga__atomic_abort(ga_atomic_file *f);

/* Make a folder unless it is there. */
ga_status ga__folder_make(const char *path, ga_error *err);

/* "dir/name" as a new string the caller frees, "name" when dir is empty; NULL
 * when memory is out. */
char *ga__path_join(const char *dir, const char *name);

#endif
