/* paths.c: `guidealign paths`, where the parts are that setup made. */
#include "cli/cli.h"

static int run(int argc, char **argv)
{
    bool json = false, done;
    int count;
    const cli_option options[] = {
        {OPT_FLAG, 0, "json", NULL, "one JSON object", &json, 0, 0}, {0}};
    int rc = cli_parse(&cli_paths_command, options, argc, argv, &count, &done);
    if (rc || done)
        return rc;
    if (count > 0)
        return cli_usagef(&cli_paths_command, "no arguments are taken");
    const cli_paths *p = cli_get_paths();
    const struct {
        const char *name, *path;
    } rows[] = {{"base_encoder", p->base_encoder},
                {"retriever", p->retriever},
                {"starter_pack", p->starter_pack},
                {"nginx_module", p->nginx_module},
                {"llm", p->llm},
                {"llama_server", p->llama_server},
                {"cache", p->cache}};
    json_t *object = json ? json_object() : NULL;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        if (json)
            json_object_set_new(object, rows[i].name,
                                rows[i].path ? json_string(rows[i].path)
                                             : json_null());
        else
            printf("%-13s %s\n", rows[i].name,
                   rows[i].path ? rows[i].path : "(not there)");
    }
    if (json)
        cli_json_line(object);
    return cli_finish(EXIT_DONE);
}

const cli_command cli_paths_command = {
    .name = "paths",
    .usage = "[--json]",
    .summary = "where setup put the models and the starter pack",
    .about =
        "Prints where the parts are that setup made: the base encoder, "
        "the retriever, the starter pack, the gateway's module, the small "
        "language model and its server, and the cache they lie in. What is "
        "not there is null.",
    .example = "guidealign paths --json",
    .run = run,
};
