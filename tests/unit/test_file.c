/* test_file.c: files read whole, and files that appear whole or not at all. */
#define _GNU_SOURCE /* RLIMIT_FSIZE with the others */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

/* Each test has a folder of its own, emptied behind it. */
static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/guidealign-file-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

/* Root may do everything; the teardown takes it back. */
static void give_up_root(void)
{
    if (geteuid() == 0)
        assert_int_equal(seteuid(65534), 0);
}

static size_t count_entries(void)
{
    DIR *d = opendir(folder);
    size_t n = 0;
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));)
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    closedir(d);
    return n;
}

static int remove_folder(void **state)
{
    (void)state;
    char command[128];
    if (getuid() == 0 && seteuid(0))
        return -1;
    chmod(folder, 0700);
    snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    return system(command);
}

static const char *in_folder(const char *name)
{
    static char path[4][256];
    static unsigned turn;
    char *out = path[turn++ % 4];
    snprintf(out, sizeof(path[0]), "%s/%s", folder, name);
    return out;
}

static void write_plain(const char *path, const char *bytes, size_t len)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

static void check_content(const char *path, const char *expected)
{
    char *bytes = NULL;
    size_t len = 0;
    assert_int_equal(ga__file_read(path, 1 << 20, &bytes, &len, NULL), GA_OK);
    assert_string_equal(bytes, expected);
    assert_int_equal(len, strlen(expected));
    free(bytes);
}

static void test_map(void **state)
{
    (void)state;
    const char *path = in_folder("f");
    ga_map map;
    write_plain(path, "a\0b", 3);
    assert_int_equal(ga__map_open(path, &map, NULL), GA_OK);
    assert_int_equal(map.len, 3);
    assert_memory_equal(map.ptr, "a\0b", 3);
    /* the name is replaced, the map is not */
    write_plain(in_folder("g"), "other", 5);
    assert_int_equal(rename(in_folder("g"), path), 0);
    assert_memory_equal(map.ptr, "a\0b", 3);
    ga__map_close(&map);
    assert_null(map.ptr);
    assert_int_equal(map.len, 0);
    ga__map_close(&map);
}

static void test_map_of_nothing(void **state)
{
    (void)state;
    ga_map map = {(const uint8_t *)"x", 1};
    write_plain(in_folder("empty"), "", 0);
    assert_int_equal(ga__map_open(in_folder("empty"), &map, NULL), GA_OK);
    assert_null(map.ptr);
    assert_int_equal(map.len, 0);
    ga__map_close(&map);
}

/* What is not there or is no file: the same answers from both readers. */
static void check_unreadable(const char *path, ga_status expected,
                             const char *message)
{
    ga_map map = {(const uint8_t *)"x", 1};
    ga_error err = {""};
    char *bytes = NULL;
    size_t len = 7;
    assert_int_equal(ga__map_open(path, &map, &err), expected);
    assert_non_null(strstr(err.msg, path));
    assert_non_null(strstr(err.msg, message));
    assert_null(map.ptr);
    ga__map_close(&map);
    err.msg[0] = '\0';
    assert_int_equal(ga__file_read(path, 100, &bytes, &len, &err), expected);
    assert_non_null(strstr(err.msg, message));
    assert_null(bytes);
    assert_int_equal(len, 7);
}

static void test_missing(void **state)
{
    (void)state;
    write_plain(in_folder("f"), "x", 1);
    check_unreadable(in_folder("no"), GA_NOTFOUND, "No such file");
    check_unreadable(in_folder("no/such"), GA_NOTFOUND, "No such file");
    check_unreadable(in_folder("f/such"), GA_NOTFOUND, "Not a directory");
}

static void test_not_a_file(void **state)
{
    (void)state;
    check_unreadable(folder, GA_INVAL, "is not a regular file");
    check_unreadable("/dev/null", GA_INVAL, "is not a regular file");
}

/* A FIFO without a writer must not hold us up. */
static void test_fifo(void **state)
{
    (void)state;
    assert_int_equal(mkfifo(in_folder("fifo"), 0600), 0);
    alarm(10); /* kills this program when it hangs */
    check_unreadable(in_folder("fifo"), GA_INVAL, "is not a regular file");
    alarm(0);
}

static void test_not_allowed(void **state)
{
    (void)state;
    write_plain(in_folder("secret"), "x", 1);
    assert_int_equal(chmod(in_folder("secret"), 0), 0);
    assert_int_equal(chmod(folder, 0755), 0);
    give_up_root();
    check_unreadable(in_folder("secret"), GA_IO, "Permission denied");
}

static void test_read(void **state)
{
    (void)state;
    const char *path = in_folder("f");
    char *bytes = NULL;
    size_t len;
    ga_error err = {""};
    write_plain(path, "ab\0cd", 5);
    assert_int_equal(ga__file_read(path, 5, &bytes, &len, NULL), GA_OK);
    assert_int_equal(len, 5);
    assert_memory_equal(bytes, "ab\0cd\0", 6);
    free(bytes);
    bytes = NULL;
    assert_int_equal(ga__file_read(path, 4, &bytes, &len, &err), GA_LIMIT);
    assert_null(bytes);
    assert_non_null(strstr(err.msg, "has 5 bytes, the limit is 4"));
    write_plain(path, "", 0);
    assert_int_equal(ga__file_read(path, 0, &bytes, &len, NULL), GA_OK);
    assert_int_equal(len, 0);
    assert_string_equal(bytes, "");
    free(bytes);
}

static void test_commit(void **state)
{
    (void)state;
    const char *path = in_folder("f");
    ga_atomic_file f;
    assert_int_equal(ga__atomic_open(path, &f, NULL), GA_OK);
    fputs("new", f.stream);
    assert_int_equal(access(path, F_OK), -1); /* not there before its time */
    assert_int_equal(fcntl(fileno(f.stream), F_GETFD), FD_CLOEXEC);
    assert_int_equal(count_entries(), 1);
    assert_int_equal(ga__atomic_commit(&f, NULL), GA_OK);
    assert_null(f.stream);
    check_content(path, "new");
    assert_int_equal(count_entries(), 1);
    ga__atomic_abort(&f); /* fine after a commit */
    check_content(path, "new");
}

static void test_commit_replaces(void **state)
{
    (void)state;
    const char *path = in_folder("f");
    ga_atomic_file f;
    write_plain(path, "old", 3);
    assert_int_equal(ga__atomic_open(path, &f, NULL), GA_OK);
    fputs("new", f.stream);
    fflush(f.stream);
    check_content(path, "old");
    assert_int_equal(ga__atomic_commit(&f, NULL), GA_OK);
    check_content(path, "new");
    assert_int_equal(count_entries(), 1);
}

static void test_abort(void **state)
{
    (void)state;
    const char *path = in_folder("f");
    ga_atomic_file f;
    write_plain(path, "old", 3);
    assert_int_equal(ga__atomic_open(path, &f, NULL), GA_OK);
    fputs("new", f.stream);
    ga__atomic_abort(&f);
    check_content(path, "old");
    assert_int_equal(count_entries(), 1);
    ga__atomic_abort(&f);
    f = GA_ATOMIC_FILE_INIT;
    ga__atomic_abort(&f);
}

static void test_two_writers(void **state)
{
    (void)state;
    const char *path = in_folder("f");
    ga_atomic_file a, b;
    assert_int_equal(ga__atomic_open(path, &a, NULL), GA_OK);
    assert_int_equal(ga__atomic_open(path, &b, NULL), GA_OK);
    fputs("from a", a.stream);
    fputs("from b", b.stream);
    assert_int_equal(ga__atomic_commit(&a, NULL), GA_OK);
    check_content(path, "from a");
    assert_int_equal(ga__atomic_commit(&b, NULL), GA_OK);
    check_content(path, "from b"); /* whole, never mixed */
    assert_int_equal(count_entries(), 1);
}

static void test_in_the_working_folder(void **state)
{
    (void)state;
    char before[4096];
    assert_non_null(getcwd(before, sizeof(before)));
    assert_int_equal(chdir(folder), 0);
    ga_atomic_file f;
    ga_status opened = ga__atomic_open("plain", &f, NULL);
    ga_status rc = opened ? opened : ga__atomic_commit(&f, NULL);
    assert_int_equal(chdir(before), 0);
    assert_int_equal(rc, GA_OK);
    check_content(in_folder("plain"), "");
}

static void test_mode_is_that_of_any_file(void **state)
{
    (void)state;
    static const mode_t masks[] = {022, 077, 002, 0};
    for (size_t i = 0; i < sizeof(masks) / sizeof(*masks); i++) {
        const char *path = in_folder("f");
        struct stat st;
        ga_atomic_file f;
        mode_t before = umask(masks[i]);
        ga_status rc = ga__atomic_open(path, &f, NULL);
        mode_t left = umask(before);
        assert_int_equal(rc, GA_OK);
        assert_int_equal(left, masks[i]); /* and it is put back */
        assert_int_equal(ga__atomic_commit(&f, NULL), GA_OK);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0666 & ~masks[i]);
    }
}

static void check_cannot_open(const char *path)
{
    ga_atomic_file f;
    ga_error err = {""};
    memset(&f, 0xA5, sizeof(f));
    assert_int_equal(ga__atomic_open(path, &f, &err), GA_IO);
    assert_non_null(strstr(err.msg, "cannot write '"));
    assert_null(f.stream);
    ga__atomic_abort(&f); /* fine after a failed open */
}

static void test_folders_that_take_no_file(void **state)
{
    (void)state;
    write_plain(in_folder("file"), "x", 1);
    check_cannot_open(in_folder("no/such/folder"));
    check_cannot_open(in_folder("file/x"));
    check_cannot_open("/proc/guidealign-test");
    assert_int_equal(count_entries(), 1);
    check_content(in_folder("file"), "x");
}

static void test_read_only_folder(void **state)
{
    (void)state;
    write_plain(in_folder("f"), "old", 3);
    assert_int_equal(chmod(folder, 0555), 0);
    give_up_root();
    check_cannot_open(in_folder("f"));
    check_content(in_folder("f"), "old");
    assert_int_equal(count_entries(), 1);
}

/* A folder of that name: the rename fails, and nothing is left. */
static void test_target_is_a_folder(void **state)
{
    (void)state;
    const char *path = in_folder("sub");
    ga_atomic_file f;
    ga_error err = {""};
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(ga__atomic_open(path, &f, NULL), GA_OK);
    fputs("new", f.stream);
    assert_int_equal(ga__atomic_commit(&f, &err), GA_IO);
    assert_non_null(strstr(err.msg, "cannot rename to '"));
    assert_int_equal(count_entries(), 1);
    assert_null(f.temporary);
}

/* A full disk, as the limit on the size of a file makes it: whatever the size
 * of the writes, the target stays and the message has a reason. */
static void check_full_disk(size_t chunk, size_t chunks)
{
    const char *path = in_folder("f");
    struct rlimit old, small;
    ga_atomic_file f;
    ga_error err = {""};
    char *bytes = calloc(1, chunk);
    assert_non_null(bytes);
    write_plain(path, "old", 3);
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(ga__atomic_open(path, &f, NULL), GA_OK);
    small = old;
    small.rlim_cur = 10000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    for (size_t i = 0; i < chunks; i++)
        fwrite(bytes, 1, chunk, f.stream);
    errno = 0;
    ga_status rc = ga__atomic_commit(&f, &err);
    setrlimit(RLIMIT_FSIZE, &old);
    signal(SIGXFSZ, handler);
    free(bytes);
    assert_int_equal(rc, GA_IO);
    assert_non_null(strstr(err.msg, "cannot write '"));
    assert_null(strstr(err.msg, "Success"));
    check_content(path, "old");
    assert_int_equal(count_entries(), 1);
}

static void test_full_disk(void **state)
{
    (void)state;
    check_full_disk(100, 150); /* through the buffer */
    check_full_disk(50000, 1); /* past it */
    check_full_disk(8000, 3);
}

/* The write that failed was not the last: the rest of the file is no file. */
static void test_earlier_failure_counts(void **state)
{
    (void)state;
    const char *path = in_folder("f");
    ga_atomic_file f;
    ga_error err = {""};
    write_plain(path, "old", 3);
    assert_int_equal(ga__atomic_open(path, &f, NULL), GA_OK);
    setvbuf(f.stream, NULL, _IONBF, 0);
    int fd = dup(fileno(f.stream)), full = open("/dev/full", O_WRONLY);
    assert_true(fd >= 0 && full >= 0);
    dup2(full, fileno(f.stream));
    assert_int_not_equal(fputc('x', f.stream), 'x');
    dup2(fd, fileno(f.stream));
    fputs("new", f.stream);
    errno = 0;
    assert_int_equal(ga__atomic_commit(&f, &err), GA_IO);
    assert_null(strstr(err.msg, "Success"));
    close(fd);
    close(full);
    check_content(path, "old");
    assert_int_equal(count_entries(), 1);
}

static void test_path_join(void **state)
{
    (void)state;
    static const struct {
        const char *dir, *name, *path;
    } cases[] = {
        {"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"/", "b", "/b"},
        {"", "b", "b"},    {".", "b", "./b"},  {"a/b/", "c/d", "a/b/c/d"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char *path = ga__path_join(cases[i].dir, cases[i].name);
        assert_string_equal(path, cases[i].path);
        free(path);
    }
}

#define IN_FOLDER(test)                                                        \
    cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(test_map),
        IN_FOLDER(test_map_of_nothing),
        IN_FOLDER(test_missing),
        IN_FOLDER(test_not_a_file),
        IN_FOLDER(test_fifo),
        IN_FOLDER(test_not_allowed),
        IN_FOLDER(test_read),
        IN_FOLDER(test_commit),
        IN_FOLDER(test_commit_replaces),
        IN_FOLDER(test_abort),
        IN_FOLDER(test_two_writers),
        IN_FOLDER(test_in_the_working_folder),
        IN_FOLDER(test_mode_is_that_of_any_file),
        IN_FOLDER(test_folders_that_take_no_file),
        IN_FOLDER(test_read_only_folder),
        IN_FOLDER(test_target_is_a_folder),
        IN_FOLDER(test_full_disk),
        IN_FOLDER(test_earlier_failure_counts),
        cmocka_unit_test(test_path_join),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
