/* input.c: what commands read: lines, and where setup put the parts. */
#include "cli/cli.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/limits.h"

ga_status cli_lines_open(cli_lines *in, const char *path, ga_error *err)
{
    *in = (cli_lines){.file = stdin, .name = "standard input"};
    if (strcmp(path, "-") == 0)
        return GA_OK;
    in->name = path;
    in->file = fopen(path, "rb");
    return in->file ? GA_OK : ga__fail_errno(err, "cannot open '%s'", path);
}

ga_status cli_lines_next(cli_lines *in, bool *end, ga_error *err)
{
    int c = EOF;
    in->len = 0;
    in->number++;
    while ((c = getc_unlocked(in->file)) != EOF && c != '\n') {
        void *line = in->line;
        if (in->len >= GA_MAX_LINE_BYTES)
            return ga__fail(err, GA_LIMIT, "%s:%zu: line over %u bytes",
                            in->name, in->number, GA_MAX_LINE_BYTES);
        if (!ga__grow(&line, &in->cap, in->len + 2, 1))
            return ga__fail_nomem(err, in->len);
        in->line = line;
        in->line[in->len++] = (char)c;
    }
    if (c == EOF && ferror(in->file))
        return ga__fail_errno(err, "cannot read %s", in->name);
    *end = c == EOF && in->len == 0;
    if (in->len > 0 && in->line[in->len - 1] == '\r')
        in->len--;
    return GA_OK;
}

void cli_lines_close(cli_lines *in)
{
    if (in->file && in->file != stdin)
        fclose(in->file);
    free(in->line);
    *in = (cli_lines){0};
}

bool cli_is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* "<folder of the program>/<name>", or NULL. */
static char *beside_program(const char *name)
{
    char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
    if (n <= 0)
        return NULL;
    path[n] = '\0';
    char *slash = strrchr(path, '/');
    if (!slash)
        return NULL;
    *slash = '\0';
    return ga__path_join(path, name);
}

static json_t *load_paths(void)
{
    const char *named = getenv("GUIDEALIGN_PATHS");
    char *places[] = {named ? ga__strndup(named, strlen(named)) : NULL,
                      beside_program("paths.json"),
                      beside_program("../share/guidealign/paths.json")};
    const size_t count = sizeof(places) / sizeof(*places);
    json_t *found = NULL;
    for (size_t i = 0; i < count && !found; i++) {
        if (places[i])
            found = json_load_file(places[i], 0, NULL);
    }
    for (size_t i = 0; i < count; i++)
        free(places[i]);
    return found;
}

/* What setup noted may have been deleted since. */
static const char *existing(const json_t *paths, const char *key)
{
    const char *path = json_string_value(json_object_get(paths, key));
    return path && access(path, R_OK) == 0 ? path : NULL;
}

const cli_paths *cli_get_paths(void)
{
    static json_t *file; /* owns the strings until the program ends */
    static cli_paths paths;
    if (!file) {
        file = load_paths();
        if (!file)
            file = json_object();
        paths = (cli_paths){
            .base_encoder = existing(file, "base_encoder"),
            .retriever = existing(file, "retriever"),
            .starter_pack = existing(file, "starter_pack"),
            .nginx_module = existing(file, "nginx_module"),
            .llm = existing(file, "llm"),
            .llama_server = existing(file, "llama_server"),
            .cache = existing(file, "cache"),
        };
    }
    return &paths;
}
