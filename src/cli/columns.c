/* columns.c: text that arrives in pieces, shown as lines. */
#include "cli/columns.h"

#include <stdio.h>

#include "base/utf8.h"
#include "cli/cli.h"

enum { MOST_TEXT = 16 << 20 };

void cli_columns_init(cli_columns_view *v, unsigned count, unsigned width)
{
    *v = (cli_columns_view){.count = count, .width = width};
    for (unsigned c = 0; c < count; c++)
        ga__buf_init(&v->column[c].text, MOST_TEXT);
}

void cli_columns_free(cli_columns_view *v)
{
    for (unsigned c = 0; c < v->count; c++)
        ga__buf_free(&v->column[c].text);
}

/* The next line of a column: *line without its end, *next behind it.  False
 * while it is not known where it ends. */
static bool next_line(const cli_columns_view *v, unsigned c, ga_str *line,
                      size_t *next)
{
    ga_str text = {v->column[c].text.ptr, v->column[c].text.len};
    size_t at = v->column[c].at, pos = at, space = at, width = 0;
    while (pos < text.len) {
        size_t here = pos;
        uint32_t ch = ga__utf8_next(text, &pos);
        ga_str one = {text.ptr + here, pos - here};
        if (ch == '\n') {
            *line = (ga_str){text.ptr + at, here - at};
            *next = pos;
            return true;
        }
        if (ch == ' ')
            space = here;
        width += cli_text_width(one);
        if (width > v->width) { /* break at the last space, or in the word */
            size_t end = space > at ? space : here;
            *line = (ga_str){text.ptr + at, end - at};
            *next = space > at ? space + 1 : here;
            return true;
        }
    }
    *line = (ga_str){text.ptr + at, text.len - at};
    *next = text.len;
    return v->column[c].ended && at < text.len;
}

/* Print the rows that every column has, or has ended before. */
static void show(cli_columns_view *v)
{
    for (;;) {
        ga_str line[COLUMNS_MOST];
        size_t next[COLUMNS_MOST] = {0};
        bool any = false;
        for (unsigned c = 0; c < v->count; c++) {
            bool have = next_line(v, c, &line[c], &next[c]);
            if (!have && !v->column[c].ended)
                return;
            if (!have)
                line[c].len = 0;
            any |= have;
        }
        if (!any)
            return;
        for (unsigned c = 0; c < v->count; c++) {
            v->column[c].at = next[c];
            cli_print_safely(stdout, line[c]);
            if (c + 1 < v->count) {
                size_t w = cli_text_width(line[c]);
                unsigned pad = w < v->width ? v->width - (unsigned)w : 0;
                printf("%*s | ", (int)pad, "");
            }
        }
        putchar('\n');
        fflush(stdout);
    }
}

bool cli_columns_add(cli_columns_view *v, unsigned column, ga_str piece)
{
    if (ga__buf_append(&v->column[column].text, piece.ptr, piece.len, NULL))
        return false;
    show(v);
    return true;
}

void cli_columns_end(cli_columns_view *v, unsigned column)
{
    v->column[column].ended = true;
    show(v);
}
