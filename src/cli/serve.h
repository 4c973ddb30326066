/* serve.h: what the commands share that look up guidelines: the pack, the
 * options of a decision, and a decision as JSON. */
#ifndef GA_CLI_SERVE_H
#define GA_CLI_SERVE_H

#include "cli/cli.h"
#include "guidealign/guidealign.h"

typedef struct {
    /* options */
    const char *pack_path, *position;
    cli_list scopes, pins;
    unsigned k, budget, threads;
    double threshold, diversity;
    /* made by cli_guide_open */
    ga_pack *pack;
    ga_scratch *scratch;
    ga_decision *decision;
    ga_guide_options options;
    ga_str scope_strs[64], pin_strs[64];
} cli_guide;

/* Defaults; then the rows for a command's table of options. */
void cli_guide_init(cli_guide *g);
#define CLI_GUIDE_OPTIONS(g)                                                     \
    {OPT_STRING,      'p', "pack", "FILE", "the pack; else the starter pack",    \
     &(g)->pack_path, 0,   0},                                                   \
        {OPT_UINT, 'k', "k", "N", "at most N guidelines (6)", &(g)->k, 1, 32},   \
        {OPT_DOUBLE,                                                             \
         0,                                                                      \
         "threshold",                                                            \
         "P",                                                                    \
         "least score of a guideline, 0 to 1 (the pack's)",                      \
         &(g)->threshold,                                                        \
         0,                                                                      \
         0},                                                                     \
        {OPT_UINT,     0, "budget", "N", "tokens the guidelines may take (400)", \
         &(g)->budget, 0, 100000},                                               \
        {OPT_DOUBLE,                                                             \
         0,                                                                      \
         "diversity",                                                            \
         "X",                                                                    \
         "0: by score alone, up to 1: by difference (0.3)",                      \
         &(g)->diversity,                                                        \
         0,                                                                      \
         0},                                                                     \
        {OPT_LIST,     0, "scope", "NAME", "of this request; repeatable",        \
         &(g)->scopes, 0, 0},                                                    \
        {OPT_LIST,   0, "pin", "ID", "always take this one; repeatable",         \
         &(g)->pins, 0, 0},                                                      \
    {                                                                            \
        OPT_UINT, 0, "threads", "N", "threads of the encoder (all)",             \
            &(g)->threads, 1, 256                                                \
    }

/* Check the options and open the pack and all that a decision needs.  On
 * failure a message is out and cli_guide_close may be called. */
int cli_guide_open(cli_guide *g, const cli_command *command);
void cli_guide_close(cli_guide *g);

/* A conversation as read from a line: {"prompt": …} or {"messages": […]},
 * whose content is a string or a list of parts, of which text counts. */
typedef struct {
    ga_message *items;
    size_t count;
    json_t *owner; /* of the texts */
} cli_messages;

ga_status cli_messages_prompt(cli_messages *m, ga_str prompt, ga_error *err);
ga_status cli_messages_parse(cli_messages *m, ga_str line, ga_error *err);
void cli_messages_free(cli_messages *m);

/* The last user turn: what people call the prompt. */
ga_str cli_messages_last_user(const cli_messages *m);

/* The contract of `retrieve --json`: prompt, pack, state, guidelines, risks,
 * us.  raw is the ranking of the whole pack, NULL for the decision's choice. */
json_t *cli_decision_json(const cli_guide *g, const cli_messages *m,
                          const uint32_t *raw_order, const double *raw_scores,
                          size_t raw_count);

/* The names of the risks whose estimate is at least `least`, most likely
 * first, as "privacy and property 83 %, insult 61 %"; "" when there are none.
 */
void cli_risk_summary(const ga_decision *d, double least, char *out,
                      size_t size);

json_t *cli_json_str(ga_str s);

#endif
