#include "common/run/progress_line.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/auto.h"
#include "common/base/text.h"

enum {
    TEXT_CEILING = 4096,
    HEAD_LEAST = 8, /* columns: less of it says nothing */
};

/* ---- figures ---- */

static void add_count(struct buf *out, int64_t count)
{
    char digits[24];
    size_t n = (size_t)snprintf(digits, sizeof(digits), "%" PRId64, MAX(count, 0));

    for (size_t i = 0; i < n; i++) {
        if (i > 0 && (n - i) % 3 == 0)
            buf_char(out, ',');
        buf_char(out, digits[i]);
    }
}

static void add_duration(struct buf *out, int64_t s)
{
    if (s < 100)
        buf_printf(out, "%" PRId64 " s", s);
    else if (s < 7200)
        buf_printf(out, "%" PRId64 " min", (s + 30) / 60);
    else if (s < 172800)
        buf_printf(out, "%" PRId64 " h %" PRId64 " min", s / 3600, s / 60 % 60);
    else
        buf_printf(out, "%" PRId64 " d %" PRId64 " h", s / 86400, s / 3600 % 24);
}

static void add_rate(struct buf *out, const struct progress_view *view, int64_t per_s)
{
    if (per_s < 0)
        return;
    buf_lit(out, ", ");
    add_count(out, per_s);
    buf_printf(out, " %s/s", view->what);
}

/* ---- what it is about ---- */

static void add_head(struct buf *out, const struct progress_view *view)
{
    if (view->table && view->of > 1)
        buf_printf(out, "%s (%zu of %zu): ", view->table, view->number, view->of);
    else if (view->table)
        buf_printf(out, "%s: ", view->table);
    else if (view->endless)
        buf_printf(out, "%zu tables: ", view->tables);
    else if (view->over < view->tables)
        buf_printf(out, "%zu of %zu tables %s, ", view->over, view->tables, view->did);
    else
        buf_printf(out, "%zu tables %s, ", view->tables, view->did);
}

static void add_done(struct buf *out, const struct progress_view *view)
{
    bool head_says = !view->table && !view->endless;

    add_count(out, view->figures.done);
    buf_printf(out, " %s%s%s", view->what, head_says ? "" : " ", head_says ? "" : view->did);
}

static void add_figures(struct buf *out, const struct progress_view *view)
{
    const struct progress_figures *f = &view->figures;

    add_done(out, view);
    add_rate(out, view, f->per_s);
    if (view->endless && f->left >= 0) {
        buf_lit(out, ", ");
        add_count(out, f->left);
        buf_lit(out, " to go");
    }
    if (!view->endless && f->percent >= 0)
        buf_printf(out, ", %d %%", f->percent);
    if (f->left_s >= 0) {
        buf_lit(out, ", ");
        add_duration(out, f->left_s);
        buf_lit(out, " left");
    }
}

/* ---- within a width ---- */

/* A character at p as it may be printed: how many bytes it has, and at most how many columns it
 * takes. What is no character, or a control, is one byte and stands as '?'. */
static size_t character(const char *p, const char *end, size_t *columns, bool *is_printable)
{
    unsigned char c = (unsigned char)*p;
    size_t n = c < 0x80 ? 1 : text_utf8_length(p, end);

    *is_printable = c >= 0x80 ? n > 0 && !(c == 0xc2 && (unsigned char)p[1] < 0xa0)
                              : c >= 0x20 && c != 0x7f;
    *columns = c >= 0x80 && *is_printable ? 2 : 1; /* some are wide: no line may wrap */
    return n ? n : 1;
}

static size_t columns_of(struct bytes text)
{
    size_t columns = 0, each, n;
    bool printable;

    for (size_t i = 0; i < text.len; i += n) {
        n = character(text.p + i, text.p + text.len, &each, &printable);
        columns += each;
    }
    return columns;
}

static void add_within(struct buf *out, struct bytes text, size_t columns)
{
    size_t each, n;
    bool printable;

    for (size_t i = 0; i < text.len; i += n) {
        n = character(text.p + i, text.p + text.len, &each, &printable);
        if (each > columns)
            return;
        columns -= each;
        if (printable)
            buf_append(out, text.p + i, n);
        else
            buf_char(out, '?');
    }
}

void progress_line_running(struct buf *out, const struct progress_view *view, size_t width)
{
    AUTO(buf_release) struct buf head = {.ceiling = TEXT_CEILING};
    AUTO(buf_release) struct buf figures = {.ceiling = TEXT_CEILING};
    size_t room = width > 0 ? width - 1 : 0, needed;

    add_head(&head, view);
    add_figures(&figures, view);
    needed = columns_of(buf_slice(&figures));
    if (columns_of(buf_slice(&head)) + needed <= room) {
        add_within(out, buf_slice(&head), room);
    } else if (needed + HEAD_LEAST <= room) {
        add_within(out, buf_slice(&head), room - needed - 4);
        buf_lit(out, "... ");
    }
    add_within(out, buf_slice(&figures), room);
}

void progress_line_ended(struct buf *out, const struct progress_view *view)
{
    AUTO(buf_release) struct buf text = {.ceiling = TEXT_CEILING};

    add_head(&text, view);
    add_done(&text, view);
    buf_lit(&text, " in ");
    add_duration(&text, view->took_ms / 1000);
    add_rate(&text, view, view->took_per_s);
    add_within(out, buf_slice(&text), TEXT_CEILING);
}
