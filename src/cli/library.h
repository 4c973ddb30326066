/* library.h: what the commands `guidealign library ...` share. */
#ifndef GA_CLI_LIBRARY_H
#define GA_CLI_LIBRARY_H

#include "cli/cli.h"
#include "library/store.h"

/* What is listed or exported is gathered first, so that a slow terminal or
 * pipe does not keep others from changing the library. */
#define LIBRARY_MAX_OUTPUT ((size_t)8 << 30)

typedef struct {
    const char *path, *author, *reason; /* NULL: the default */
    bool json;
} library_options;

#define LIBRARY_OPTIONS(o)                                                     \
    {OPT_STRING,                                                               \
     'l',                                                                      \
     "library",                                                                \
     "FILE",                                                                   \
     "the library; else $GUIDEALIGN_LIBRARY or ./library.db",                  \
     &(o)->path,                                                               \
     0,                                                                        \
     0},                                                                       \
    {                                                                          \
        OPT_FLAG, 0, "json", NULL, "one JSON object a result", &(o)->json, 0,  \
            0                                                                  \
    }

#define LIBRARY_CHANGE_OPTIONS(o)                                              \
    LIBRARY_OPTIONS(o),                                                        \
        {OPT_STRING,   0, "author", "NAME", "who changes it; else the user",   \
         &(o)->author, 0, 0},                                                  \
    {                                                                          \
        OPT_STRING, 'm', "reason", "TEXT", "why, for the history",             \
            &(o)->reason, 0, 0                                                 \
    }

/* --status, --kind and --risk as given, and what they mean. */
typedef struct {
    const char *status, *kind, *risk, *topic, *scope, *text;
} library_filter_options;

/* EXIT_USAGE after a message when one of them is none. */
int library_filter(const cli_command *command,
                   const library_filter_options *given, ga_store_filter *out);

/* "12" as a version. */
int library_version(const cli_command *command, const char *text,
                    uint64_t *out);

/* The file that the options name, or the default. */
const char *library_path(const library_options *o);

/* Open it.  A message is out when NULL is returned. */
ga_store *library_open(const library_options *o, ga_store_mode mode);

/* Start a change by the author of the options, or the user. */
ga_status library_begin(ga_store *s, const library_options *o,
                        const char *action, const char *reason, ga_error *err);

/* Text as a JSON string, also when it is no valid UTF-8. */
json_t *library_json_text(ga_str text);

/* Columns that text takes, quickly where it is ASCII. */
size_t library_text_width(ga_str text);

/* Print text in `width` columns, cut with dots or filled with spaces;
 * width 0: as it is. */
void library_print_cell(ga_str text, size_t width);

/* "insult, mental_health" as a new string the caller frees; NULL when memory
 * is out. */
char *library_join(ga_str_list list);

/* "version 3: " or "nothing to change: ", in front of what was done. */
void library_print_version(uint64_t version);

extern const cli_command library_import, library_export, library_list,
    library_show, library_add, library_edit, library_approve, library_retire,
    library_history, library_diff, library_rollback, library_lint;

#endif
