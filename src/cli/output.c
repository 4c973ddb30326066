/* output.c: lines for machines and text for people. */
#include "cli/cli.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <utf8proc.h>

#include "base/utf8.h"

static bool write_failed;

void cli_json_line(json_t *object)
{
    /* nine digits carry every float exactly */
    const size_t flags = JSON_COMPACT | JSON_REAL_PRECISION(9);
    if (!object || json_dumpf(object, stdout, flags) || putchar('\n') == EOF)
        write_failed = true;
    json_decref(object);
}

int cli_finish(int status)
{
    if (fflush(stdout) || ferror(stdout) || write_failed) {
        cli_failf("cannot write the output: %s",
                  errno ? strerror(errno) : "out of memory");
        return EXIT_FAILED;
    }
    return status;
}

unsigned cli_columns(void)
{
    struct winsize size;
    if (!isatty(STDOUT_FILENO))
        return 0;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) || size.ws_col == 0)
        return 80;
    return size.ws_col;
}

bool cli_colours(void)
{
    const char *no = getenv("NO_COLOR");
    return isatty(STDOUT_FILENO) && (!no || !*no);
}

/* A terminal obeys control characters, and text from a model or a user must
 * not: C0, DEL and C1 are shown as a space. */
static uint32_t printable(uint32_t c)
{
    if (c == GA_UTF8_INVALID)
        return 0xFFFD;
    return c < 0x20 || (c >= 0x7F && c < 0xA0) ? ' ' : c;
}

size_t cli_text_width(ga_str text)
{
    size_t width = 0;
    for (size_t pos = 0; pos < text.len;) {
        uint32_t c = printable(ga__utf8_next(text, &pos));
        int w = utf8proc_charwidth((utf8proc_int32_t)c);
        width += w > 0 ? (size_t)w : 0;
    }
    return width;
}

void cli_print_safely(FILE *out, ga_str text)
{
    for (size_t pos = 0; pos < text.len;) {
        char bytes[4];
        size_t n = ga__utf8_put(bytes, printable(ga__utf8_next(text, &pos)));
        fwrite(bytes, 1, n, out);
    }
}

static void put_spaces(FILE *out, unsigned n)
{
    while (n-- > 0)
        fputc(' ', out);
}

/* One paragraph: words as long as they fit, then the next line. */
static void print_paragraph(FILE *out, ga_str text, unsigned indent,
                            unsigned width)
{
    size_t room = width > indent + 10 ? width - indent : 10, used = 0;
    put_spaces(out, indent);
    for (size_t pos = 0; pos < text.len;) {
        size_t end = pos;
        while (end < text.len && text.ptr[end] != ' ')
            end++;
        ga_str word = {text.ptr + pos, end - pos};
        size_t w = cli_text_width(word);
        if (used > 0 && used + 1 + w > room) {
            fputc('\n', out);
            put_spaces(out, indent);
            used = 0;
        } else if (used > 0) {
            fputc(' ', out);
            used++;
        }
        cli_print_safely(out, word);
        used += w;
        pos = end + 1;
    }
    fputc('\n', out);
}

void cli_print_wrapped(FILE *out, ga_str text, unsigned indent, unsigned width)
{
    if (width == 0)
        width = 80;
    for (size_t pos = 0; pos < text.len;) {
        const char *newline = memchr(text.ptr + pos, '\n', text.len - pos);
        size_t end = newline ? (size_t)(newline - text.ptr) : text.len;
        ga_str line = {text.ptr + pos, end - pos};
        print_paragraph(out, line, indent, width);
        pos = end + 1;
    }
}
