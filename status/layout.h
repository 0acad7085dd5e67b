/* status/layout.h - a table of text that fits a width: columns are as wide as what is in them,
 * the least important ones are left out, and the first one is cut last. Pure.
 *
 * Texts are counted in bytes: names of tables and figures are ASCII. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base/bytes.h"

#define LAYOUT_COLUMNS_MOST 16

struct layout_column {
    const char *title;
    int rank; /* the highest are left out first; 0: never */
    bool to_the_right;
};

struct layout_cell {
    char *text;        /* owned by the layout; NULL: empty */
    const char *color; /* an ANSI sequence; NULL: none */
};

struct layout {
    const struct layout_column *columns;
    size_t column_count;
    struct layout_cell *cells; /* row by row */
    size_t row_count;
    char **notes; /* of each row: a line below it; NULL: none */
};

/* A row of empty cells; those before may move. */
struct layout_cell *layout_row(struct layout *layout);
/* A line below the last row; takes the text. */
void layout_note(struct layout *layout, char *text);
/* width: of the terminal, in characters. */
void layout_write(struct buf *out, const struct layout *layout, size_t width, bool in_color);
void layout_release(struct layout *layout);
