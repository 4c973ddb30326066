/* columns.h: text that arrives in pieces, shown as lines: one column, or two
 * side by side whose rows appear when both have them. */
#ifndef GA_CLI_COLUMNS_H
#define GA_CLI_COLUMNS_H

#include "base/buf.h"

enum { COLUMNS_MOST = 2 };

typedef struct {
    unsigned count, width; /* of one column, in characters */
    struct {
        ga_buf text;
        size_t at; /* of the line not yet shown */
        bool ended;
    } column[COLUMNS_MOST];
} cli_columns_view;

void cli_columns_init(cli_columns_view *v, unsigned count, unsigned width);
void cli_columns_free(cli_columns_view *v);

/* Add a piece to a column and print what has become complete.  False when
 * memory is out. */
bool cli_columns_add(cli_columns_view *v, unsigned column, ga_str piece);

/* Nothing more comes in this column. */
void cli_columns_end(cli_columns_view *v, unsigned column);

#endif
