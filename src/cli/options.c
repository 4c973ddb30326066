/* options.c: one table is both the parser and the help text. */
#include "cli/cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

static void print_help(const cli_command *command, const cli_option *options)
{
    printf("usage: guidealign %s %s\n\n", command->name, command->usage);
    cli_print_wrapped(stdout, ga__str(command->about), 0, 80);
    printf("\noptions\n");
    for (const cli_option *o = options; o->name; o++) {
        char left[64];
        if (o->kind == OPT_HEADING) {
            printf("\n%s\n", o->name);
            continue;
        }
        if (o->letter)
            snprintf(left, sizeof(left), "-%c, --%s %s", o->letter, o->name,
                     o->argument ? o->argument : "");
        else
            snprintf(left, sizeof(left), "    --%s %s", o->name,
                     o->argument ? o->argument : "");
        printf("  %-27s %s\n", left, o->help);
    }
    printf("  %-27s %s\n", "-h, --help", "this text");
    printf("\nexample\n");
    for (const char *line = command->example; *line;) {
        size_t n = strcspn(line, "\n");
        printf("  %.*s\n", (int)n, line);
        line += n + (line[n] == '\n');
    }
}

/* The option called `name` (of `len` bytes); *negated for --no-name. */
static const cli_option *find_long(const cli_option *options, const char *name,
                                   size_t len, bool *negated)
{
    for (const cli_option *o = options; o->name; o++) {
        if (o->kind == OPT_HEADING)
            continue;
        *negated = false;
        if (strlen(o->name) == len && memcmp(o->name, name, len) == 0)
            return o;
        *negated = true;
        if (o->kind == OPT_FLAG && len > 3 && memcmp(name, "no-", 3) == 0 &&
            strlen(o->name) == len - 3 &&
            memcmp(o->name, name + 3, len - 3) == 0)
            return o;
    }
    return NULL;
}

static const cli_option *find_letter(const cli_option *options, char letter)
{
    for (const cli_option *o = options; o->name; o++) {
        if (o->letter == letter && letter)
            return o;
    }
    return NULL;
}

static int set_number(const cli_command *command, const cli_option *o,
                      const char *text)
{
    char *end;
    errno = 0;
    if (o->kind == OPT_DOUBLE) {
        double v = strtod(text, &end);
        if (end == text || *end || errno || v != v)
            return cli_usagef(command, "'%s' is no number for --%s", text,
                              o->name);
        *(double *)o->value = v;
        return EXIT_DONE;
    }
    unsigned long v = strtoul(text, &end, 10);
    if (end == text || *end || errno || strchr(text, '-') || v < o->min ||
        v > (o->max ? o->max : UINT32_MAX)) {
        if (o->max)
            return cli_usagef(
                command, "--%s takes a whole number from %u to %u, not '%s'",
                o->name, o->min, o->max, text);
        return cli_usagef(command,
                          "--%s takes a whole number from %u, not '%s'",
                          o->name, o->min, text);
    }
    *(unsigned *)o->value = (unsigned)v;
    return EXIT_DONE;
}

static int set_value(const cli_command *command, const cli_option *o,
                     const char *text)
{
    if (o->kind == OPT_STRING) {
        *(const char **)o->value = text;
        return EXIT_DONE;
    }
    if (o->kind == OPT_LIST) {
        cli_list *list = o->value;
        if (list->count == sizeof(list->items) / sizeof(*list->items))
            return cli_usagef(command, "--%s is given too often", o->name);
        list->items[list->count++] = text;
        return EXIT_DONE;
    }
    return set_number(command, o, text);
}

/* One --name, --name=value or --name value at argv[*at]. */
static int parse_long(const cli_command *command, const cli_option *options,
                      int argc, char **argv, int *at)
{
    const char *name = argv[*at] + 2;
    size_t len = strcspn(name, "=");
    bool negated;
    const cli_option *o = find_long(options, name, len, &negated);
    if (!o)
        return cli_usagef(command, "unknown option '--%.*s'", (int)len, name);
    if (o->kind == OPT_FLAG) {
        if (name[len] == '=')
            return cli_usagef(command, "--%.*s takes no value", (int)len, name);
        *(bool *)o->value = !negated;
        return EXIT_DONE;
    }
    if (name[len] == '=')
        return set_value(command, o, name + len + 1);
    if (*at + 1 >= argc)
        return cli_usagef(command, "--%s needs a value", o->name);
    *at += 1;
    return set_value(command, o, argv[*at]);
}

/* One cluster of letters: -k6, -k 6, -v. */
static int parse_letters(const cli_command *command, const cli_option *options,
                         int argc, char **argv, int *at)
{
    for (const char *p = argv[*at] + 1; *p; p++) {
        const cli_option *o = find_letter(options, *p);
        if (!o)
            return cli_usagef(command, "unknown option '-%c'", *p);
        if (o->kind == OPT_FLAG) {
            *(bool *)o->value = true;
            continue;
        }
        if (p[1])
            return set_value(command, o, p + 1);
        if (*at + 1 >= argc)
            return cli_usagef(command, "-%c needs a value", *p);
        *at += 1;
        return set_value(command, o, argv[*at]);
    }
    return EXIT_DONE;
}

int cli_parse(const cli_command *command, const cli_option *options, int argc,
              char **argv, int *count, bool *done)
{
    *count = 0;
    *done = false;
    bool only_arguments = false;
    for (int i = 1; i < argc; i++) {
        int rc = EXIT_DONE;
        const char *a = argv[i];
        if (only_arguments || a[0] != '-' || a[1] == '\0') {
            argv[(*count)++] = argv[i];
        } else if (strcmp(a, "--") == 0) {
            only_arguments = true;
        } else if (strcmp(a, "--help") == 0 || strcmp(a, "-h") == 0) {
            print_help(command, options);
            *done = true;
            return cli_finish(EXIT_DONE);
        } else if (a[1] == '-') {
            rc = parse_long(command, options, argc, argv, &i);
        } else {
            rc = parse_letters(command, options, argc, argv, &i);
        }
        if (rc)
            return rc;
    }
    return EXIT_DONE;
}

static void message(const char *head, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

static void message(const char *head, const char *format, va_list args)
{
    char text[1024];
    fflush(stdout);
    vsnprintf(text, sizeof(text), format, args);
    fprintf(stderr, "guidealign: %s", head);
    cli_print_safely(stderr, ga__str(text)); /* it may quote foreign text */
    fputc('\n', stderr);
}

int cli_fail(const ga_error *err)
{
    return cli_failf("%s", err->msg);
}

int cli_failf(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    message("", format, args);
    va_end(args);
    return EXIT_FAILED;
}

void cli_warnf(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    message("warning: ", format, args);
    va_end(args);
}

int cli_usagef(const cli_command *command, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    message("", format, args);
    va_end(args);
    fprintf(stderr,
            "usage: guidealign %s %s\n'guidealign %s --help' says more\n",
            command->name, command->usage, command->name);
    return EXIT_USAGE;
}
