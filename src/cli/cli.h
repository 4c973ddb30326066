/* cli.h: what every command shares: options, output, exit statuses.
 *
 * A command is one file with a table of options and a function.  The table is
 * the help text too, so the two cannot differ. */
#ifndef GA_CLI_CLI_H
#define GA_CLI_CLI_H

#include <jansson.h>
#include <stdio.h>

#include "base/mem.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

typedef enum {
    OPT_FLAG,   /* bool: --name and --no-name */
    OPT_STRING, /* const char * */
    OPT_UINT,   /* unsigned, bounded by min and max */
    OPT_DOUBLE, /* double */
    OPT_LIST,   /* cli_list: may be given several times */
    OPT_HEADING /* a line in the help text */
} cli_opt_kind;

typedef struct {
    const char *items[64];
    size_t count;
} cli_list;

typedef struct {
    cli_opt_kind kind;
    char letter;          /* 0: none */
    const char *name;     /* without the dashes */
    const char *argument; /* "FILE", for the help text */
    const char *help;
    void *value;
    unsigned min, max; /* of OPT_UINT; max 0: no bound */
} cli_option;

typedef struct {
    const char *name;    /* "retrieve", or "library add" */
    const char *usage;   /* "[OPTIONS] PROMPT" */
    const char *summary; /* one line, for the list of commands */
    const char *about;   /* what it does, a paragraph or two */
    const char *example; /* lines of shell */
    int (*run)(int argc, char **argv);
} cli_command;

/* Parse argv[1..] by the table, which ends with a zeroed row.  Positional
 * arguments are moved to the front of argv and counted in *count; "--" ends
 * the options.  --help prints and sets *done.  Returns EXIT_DONE, or
 * EXIT_USAGE after a message on stderr. */
int cli_parse(const cli_command *command, const cli_option *options, int argc,
              char **argv, int *count, bool *done);

/* "guidealign: message" on stderr; both return the exit status. */
int cli_fail(const ga_error *err);
int cli_failf(const char *format, ...) __attribute__((format(printf, 1, 2)));
int cli_usagef(const cli_command *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void cli_warnf(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* One object as a line on stdout; takes over the reference.  A write that
 * fails (a full disk, a closed pipe) is remembered, see cli_finish. */
void cli_json_line(json_t *object);

/* Flush stdout; EXIT_FAILED with a message when anything did not get out. */
int cli_finish(int status);

/* Columns of the terminal on stdout, 0 when it is none. */
unsigned cli_columns(void);

/* Should stdout have colours: a terminal, and NO_COLOR unset? */
bool cli_colours(void);

/* Text from outside: control characters, escapes among them, become spaces. */
void cli_print_safely(FILE *out, ga_str text);

/* The same, wrapped to `width` columns (0: 80) with `indent` spaces before
 * every line; a character counts as wide as a terminal shows it. */
void cli_print_wrapped(FILE *out, ga_str text, unsigned indent, unsigned width);

/* Columns that text takes on a terminal. */
size_t cli_text_width(ga_str text);

/* Where the parts are that setup made: read once from paths.json beside the
 * program, in ../share/guidealign when installed, or where the environment
 * variable GUIDEALIGN_PATHS says. */
typedef struct {
    const char *base_encoder, *retriever, *starter_pack, *nginx_module, *llm,
        *llama_server, *cache; /* NULL: not there */
} cli_paths;
const cli_paths *cli_get_paths(void);

/* A model folder, and not a pack? */
bool cli_is_folder(const char *path);

/* Lines of an input: one at a time, of any length up to GA_MAX_LINE_BYTES. */
typedef struct {
    FILE *file;
    const char *name; /* for messages; "standard input" */
    char *line;       /* without the newline */
    size_t len, cap;
    size_t number; /* of the line, from 1 */
} cli_lines;

/* path "-" is standard input. */
ga_status cli_lines_open(cli_lines *in, const char *path, ga_error *err);

/* The next line; *end at the end of the input.  A line over the limit is an
 * error that names it. */
ga_status cli_lines_next(cli_lines *in, bool *end, ga_error *err);
void cli_lines_close(cli_lines *in);

/* The commands; main.c lists them. */
extern const cli_command cli_ask, cli_bench, cli_embed, cli_eval, cli_library,
    cli_pack, cli_pairs, cli_paths_command, cli_retrieve, cli_train;

#endif
