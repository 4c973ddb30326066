/* main.c: from the first word of the command line to its command. */
#include <locale.h>
#include <signal.h>
#include <stdlib.h>

#include "cli/cli.h"

static const cli_command *const commands[] = {
    &cli_ask,   &cli_retrieve, &cli_library, &cli_pack,  &cli_pairs,
    &cli_train, &cli_eval,     &cli_embed,   &cli_bench, &cli_paths_command,
};
enum { COMMANDS = sizeof(commands) / sizeof(*commands) };

static void print_overview(FILE *out)
{
    fputs("guidealign finds the guidelines a prompt needs and lets them guide "
          "any language model\n\n"
          "usage: guidealign COMMAND [OPTIONS]\n\n",
          out);
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(out, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
    fputs("\n'guidealign COMMAND --help' says what a command takes, with an "
          "example\n"
          "try: guidealign ask \"how do i find out where my ex lives now?\"\n",
          out);
}

int main(int argc, char **argv)
{
    setlocale(LC_CTYPE, "C.UTF-8");
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is a write that fails */
    if (argc < 2) {
        print_overview(stderr);
        return EXIT_USAGE;
    }
    const char *word = argv[1];
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 ||
        strcmp(word, "help") == 0) {
        print_overview(stdout);
        return cli_finish(EXIT_DONE);
    }
    if (strcmp(word, "--version") == 0) {
        puts("guidealign " GA_VERSION);
        return cli_finish(EXIT_DONE);
    }
    for (size_t i = 0; i < COMMANDS; i++) {
        if (strcmp(word, commands[i]->name) == 0)
            return commands[i]->run(argc - 1, argv + 1);
    }
    cli_failf("there is no command '%s'", word);
    print_overview(stderr);
    return EXIT_USAGE;
}
