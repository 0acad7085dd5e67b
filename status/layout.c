#include "status/layout.h"

#include <stdlib.h>

#include "common/base/check.h"

#define GAP 2
#define NAME_LEAST 8
#define COLOR_ENDS "\x1b[0m"

struct shape { /* of the columns */
    size_t width[LAYOUT_COLUMNS_MOST];
    bool is_out[LAYOUT_COLUMNS_MOST];
};

struct layout_cell *layout_row(struct layout *layout)
{
    size_t n = layout->column_count, row = layout->row_count++;

    CHECK(n <= LAYOUT_COLUMNS_MOST);
    layout->cells = xrealloc(layout->cells, layout->row_count * n * sizeof(*layout->cells));
    layout->notes = xrealloc(layout->notes, layout->row_count * sizeof(*layout->notes));
    layout->notes[row] = NULL;
    for (size_t c = 0; c < n; c++)
        layout->cells[row * n + c] = (struct layout_cell){0};
    return &layout->cells[row * n];
}

void layout_note(struct layout *layout, char *text)
{
    free(layout->notes[layout->row_count - 1]);
    layout->notes[layout->row_count - 1] = text;
}

void layout_release(struct layout *layout)
{
    for (size_t i = 0; i < layout->row_count * layout->column_count; i++)
        free(layout->cells[i].text);
    for (size_t i = 0; i < layout->row_count; i++)
        free(layout->notes[i]);
    free(layout->cells);
    free(layout->notes);
    *layout = (struct layout){.columns = layout->columns, .column_count = layout->column_count};
}

/* ---- the shape ---- */

static size_t length(const char *text)
{
    return text ? strlen(text) : 0;
}

/* A column without any text is left out. */
static void measure(struct shape *shape, const struct layout *layout)
{
    for (size_t c = 0; c < layout->column_count; c++) {
        size_t widest = 0;

        for (size_t r = 0; r < layout->row_count; r++)
            widest = MAX(widest, length(layout->cells[r * layout->column_count + c].text));
        shape->is_out[c] = widest == 0 && layout->columns[c].rank > 0;
        shape->width[c] = MAX(widest, strlen(layout->columns[c].title));
    }
}

static size_t total(const struct shape *shape, const struct layout *layout)
{
    size_t sum = 0;

    for (size_t c = 0; c < layout->column_count; c++)
        if (!shape->is_out[c])
            sum += shape->width[c] + (sum ? GAP : 0);
    return sum;
}

static bool leave_one_out(struct shape *shape, const struct layout *layout)
{
    int worst = 0;
    size_t which = 0;

    for (size_t c = 0; c < layout->column_count; c++)
        if (!shape->is_out[c] && layout->columns[c].rank > worst) {
            worst = layout->columns[c].rank;
            which = c;
        }
    if (worst > 0)
        shape->is_out[which] = true;
    return worst > 0;
}

static void fit(struct shape *shape, const struct layout *layout, size_t width)
{
    size_t sum;

    measure(shape, layout);
    while (total(shape, layout) > width && leave_one_out(shape, layout))
        ;
    sum = total(shape, layout);
    if (sum > width && shape->width[0] > NAME_LEAST)
        shape->width[0] -= MIN(sum - width, shape->width[0] - NAME_LEAST);
}

/* ---- lines ---- */

static void spaces(struct buf *out, size_t count)
{
    while (count-- > 0)
        buf_char(out, ' ');
}

/* What does not fit ends in "~". */
static void write_text(struct buf *out, const char *text, size_t width)
{
    size_t len = length(text);

    if (len <= width)
        buf_append(out, text, len);
    else
        buf_printf(out, "%.*s~", (int)width - 1, text);
}

static void write_cell(struct buf *out, const struct layout_cell *cell, size_t width,
                       bool to_the_right, bool in_color)
{
    size_t blank = width - MIN(length(cell->text), width);
    bool colored = in_color && cell->color;

    if (to_the_right)
        spaces(out, blank);
    if (colored)
        buf_bytes(out, bytes_of(cell->color));
    write_text(out, cell->text, width);
    if (colored)
        buf_lit(out, COLOR_ENDS);
    if (!to_the_right)
        spaces(out, blank);
}

static void end_line(struct buf *out)
{
    while (out->len > 0 && out->p[out->len - 1] == ' ')
        out->len--;
    buf_char(out, '\n');
}

static void write_row(struct buf *out, const struct layout *layout, const struct shape *shape,
                      const struct layout_cell *cells, bool in_color)
{
    bool first = true;

    for (size_t c = 0; c < layout->column_count; c++) {
        if (shape->is_out[c])
            continue;
        spaces(out, first ? 0 : GAP);
        write_cell(out, &cells[c], shape->width[c], layout->columns[c].to_the_right, in_color);
        first = false;
    }
    end_line(out);
}

void layout_write(struct buf *out, const struct layout *layout, size_t width, bool in_color)
{
    struct layout_cell titles[LAYOUT_COLUMNS_MOST] = {0};
    struct shape shape;

    fit(&shape, layout, width);
    for (size_t c = 0; c < layout->column_count; c++)
        titles[c].text = (char *)layout->columns[c].title;
    write_row(out, layout, &shape, titles, false);
    for (size_t r = 0; r < layout->row_count; r++) {
        write_row(out, layout, &shape, &layout->cells[r * layout->column_count], in_color);
        if (layout->notes[r])
            buf_printf(out, "  %s\n", layout->notes[r]);
    }
}
