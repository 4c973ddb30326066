/* file.c: files that are read whole and files that appear whole. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

/* Open a regular file for reading and learn its size. */
static ga_status open_regular(const char *path, int *fd, size_t *size,
                              ga_error *err)
{
    struct stat st;
    ga_status rc = GA_OK;
    /* a FIFO without a writer would hold us up before we know that it is one */
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (*fd < 0) {
        rc = ga__fail_errno(err, "cannot open '%s'", path);
        return errno == ENOENT || errno == ENOTDIR ? GA_NOTFOUND : rc;
    }
    if (fstat(*fd, &st))
        rc = ga__fail_errno(err, "cannot read '%s'", path);
    else if (!S_ISREG(st.st_mode))
        rc = ga__fail(err, GA_INVAL, "'%s' is not a regular file", path);
    if (rc)
        close(*fd);
    else
        *size = (size_t)st.st_size;
    return rc;
}

ga_status ga__map_open(const char *path, ga_map *out, ga_error *err)
{
    int fd;
    size_t size;
    *out = GA_MAP_INIT;
    ga_status rc = open_regular(path, &fd, &size, err);
    if (rc)
        return rc;
    if (size > 0) {
        void *ptr = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
        if (ptr == MAP_FAILED)
            rc = ga__fail_errno(err, "cannot map '%s'", path);
        else
            *out = (ga_map){ptr, size};
    }
    close(fd);
    return rc;
}

void ga__map_close(ga_map *map)
{
    if (map->ptr)
        munmap((void *)(uintptr_t)map->ptr, map->len);
    *map = GA_MAP_INIT;
}

bool ga__map_line(const ga_map *map, size_t *at, ga_str *line)
{
    if (*at >= map->len)
        return false;
    const char *from = (const char *)map->ptr + *at;
    const char *end = memchr(from, '\n', map->len - *at);
    *line = (ga_str){from, end ? (size_t)(end - from) : map->len - *at};
    *at += line->len + (end ? 1 : 0);
    return true;
}

ga_status ga__file_read(const char *path, size_t max, char **out, size_t *len,
                        ga_error *err)
{
    int fd;
    size_t size, done = 0;
    char *bytes = NULL;
    ga_status rc = open_regular(path, &fd, &size, err);
    if (rc)
        return rc;
    if (size > max) {
        rc = ga__fail(err, GA_LIMIT, "'%s' has %zu bytes, the limit is %zu",
                      path, size, max);
        goto out;
    }
    bytes = malloc(size + 1);
    if (!bytes) {
        rc = ga__fail_nomem(err, size);
        goto out;
    }
    while (done < size) {
        ssize_t n = read(fd, bytes + done, size - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            rc = ga__fail_errno(err, "cannot read '%s'", path);
            goto out;
        }
        if (n == 0)
            break; /* shortened while we read: what is there is what we have */
        done += (size_t)n;
    }
    bytes[done] = '\0';
    *out = bytes;
    *len = done;
    bytes = NULL;
out:
    free(bytes);
    close(fd);
    return rc;
}

ga_status ga__atomic_open(const char *path, ga_atomic_file *f, ga_error *err)
{
    ga_status rc = GA_OK;
    int fd = -1;
    size_t bytes = strlen(path) + sizeof(".XXXXXX");
    *f = GA_ATOMIC_FILE_INIT;
    f->path = ga__strndup(path, strlen(path));
    f->temporary = malloc(bytes);
    if (!f->path || !f->temporary) {
        rc = ga__fail_nomem(err, bytes);
        goto fail_no_file;
    }
    snprintf(f->temporary, bytes, "%s.XXXXXX", path);
    /* mkstemp finds a name, but makes private files, and the umask can only be
     * read by changing it for all threads: made again, it is as public as any
     * file */
    fd = mkstemp(f->temporary);
    if (fd >= 0) {
        close(fd);
        unlink(f->temporary);
        fd = open(f->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    }
    if (fd < 0) {
        rc = ga__fail_errno(err, "cannot write '%s'", path);
        goto fail_no_file;
    }
    if (!(f->stream = fdopen(fd, "wb"))) {
        rc = ga__fail_errno(err, "cannot write '%s'", path);
        close(fd);
        goto fail;
    }
    return GA_OK;
fail_no_file:
    free(f->temporary);
    f->temporary = NULL;
fail:
    ga__atomic_abort(f);
    return rc;
}

/* The rename is lasting only once the folder is on disk. */
static ga_status sync_folder_of(const char *path, ga_error *err)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash == path ? ga__strndup("/", 1)
                   : slash       ? ga__strndup(path, (size_t)(slash - path))
                                 : ga__strndup(".", 1);
    ga_status rc = GA_OK;
    if (!folder)
        return ga__fail_nomem(err, strlen(path));
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        rc = ga__fail_errno(err, "cannot open '%s'", folder);
    else if (fsync(fd) && errno != EINVAL) /* some file systems cannot */
        rc = ga__fail_errno(err, "cannot sync '%s'", folder);
    if (fd >= 0)
        close(fd);
    free(folder);
    return rc;
}

ga_status ga__atomic_commit(ga_atomic_file *f, ga_error *err)
{
    ga_status rc = GA_OK;
    FILE *stream = f->stream;
    f->stream = NULL;
    if (fflush(stream) || ferror(stream) || fsync(fileno(stream))) {
        if (errno == 0) /* an earlier write failed, and its reason is gone */
            errno = EIO;
        rc = ga__fail_errno(err, "cannot write '%s'", f->path);
    }
    if (fclose(stream) && !rc)
        rc = ga__fail_errno(err, "cannot write '%s'", f->path);
    if (!rc && rename(f->temporary, f->path))
        rc = ga__fail_errno(err, "cannot rename to '%s'", f->path);
    if (!rc) {
        free(f->temporary);
        f->temporary = NULL;
        rc = sync_folder_of(f->path, err);
    }
    ga__atomic_abort(f);
    return rc;
}

void ga__atomic_abort(ga_atomic_file *f)
{
    if (f->stream)
        fclose(f->stream);
    if (f->temporary)
        unlink(f->temporary);
    free(f->temporary);
    free(f->path);
    *f = GA_ATOMIC_FILE_INIT;
}

ga_status ga__folder_make(const char *path, ga_error *err)
{
    if (mkdir(path, 0777) && errno != EEXIST)
        return ga__fail(err, GA_IO, "cannot make '%s': %s", path,
                        strerror(errno));
    return GA_OK;
}

char *ga__path_join(const char *dir, const char *name)
{
    size_t n = strlen(dir);
    const char *slash = n == 0 || dir[n - 1] == '/' ? "" : "/";
    size_t bytes = n + strlen(name) + 2;
    char *path = malloc(bytes);
    if (path)
        snprintf(path, bytes, "%s%s%s", dir, slash, name);
    return path;
}
