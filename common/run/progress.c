#include "common/run/progress.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/run/bottom_line.h"
#include "common/run/log.h"

#define EVERY_MS 1000

struct progress {
    struct progress_tables *tables;
    bool endless;
    bool draws;
    bool drawn; /* of the present work, also when it was cleared since */
    size_t number, of;
    int64_t looked_ms; /* monotonic */
};

struct progress *progress_new(bool endless)
{
    struct progress *progress = xcalloc(1, sizeof(*progress));

    progress->tables = progress_tables_new(endless);
    progress->endless = endless;
    progress->draws = bottom_line_is_possible();
    return progress;
}

void progress_free(struct progress *progress)
{
    if (!progress)
        return;
    progress_clear(progress);
    progress_tables_free(progress->tables);
    free(progress);
}

/* ---- the terminal ---- */

static void view_of(const struct progress *progress, struct progress_view *ret)
{
    progress_tables_view(progress->tables, ret);
    ret->number = progress->number;
    ret->of = progress->of;
}

static void draw(struct progress *progress)
{
    AUTO(buf_release) struct buf text = {.ceiling = 4096};
    struct progress_view view;

    view_of(progress, &view);
    progress_line_running(&text, &view, bottom_line_width());
    bottom_line_draw(buf_slice(&text));
    progress->drawn = true;
}

void progress_set_place(struct progress *progress, size_t number, size_t of)
{
    progress->number = number;
    progress->of = of;
}

void progress_clear(struct progress *progress)
{
    if (progress->drawn)
        bottom_line_remove();
}

void progress_end(struct progress *progress)
{
    AUTO(buf_release) struct buf text = {.ceiling = 4096};
    struct progress_view view;

    if (!progress->drawn)
        return;
    view_of(progress, &view);
    progress_line_ended(&text, &view);
    bottom_line_leave(buf_slice(&text));
    progress->drawn = false;
}

/* ---- the log ---- */

#define HEAD "table=%s what=%s done=%" PRId64 " per_s=%" PRId64

/* What is not known is left out. */
static void log_table(const struct progress_due *due, bool endless)
{
    const struct progress_figures *f = &due->figures;
    AUTO(free_charp) char *what = xasprintf("%s %s", due->what, due->did);

    if (f->left < 0)
        log_info("progress", HEAD, due->table, what, f->done, f->per_s);
    else if (endless && f->left_s < 0)
        log_info("progress", HEAD " left=%" PRId64, due->table, what, f->done, f->per_s,
                 f->left);
    else if (endless)
        log_info("progress", HEAD " left=%" PRId64 " left_s=%" PRId64, due->table, what,
                 f->done, f->per_s, f->left, f->left_s);
    else if (f->left_s < 0)
        log_info("progress", HEAD " left=%" PRId64 " percent=%d", due->table, what, f->done,
                 f->per_s, f->left, f->percent);
    else
        log_info("progress", HEAD " left=%" PRId64 " percent=%d left_s=%" PRId64, due->table,
                 what, f->done, f->per_s, f->left, f->percent, f->left_s);
}

static void log_due(struct progress *progress)
{
    struct progress_due due[PROGRESS_DUE_AT_MOST];
    size_t all, count = progress_tables_due(progress->tables, due, &all);
    struct progress_view view;

    for (size_t i = 0; i < count; i++)
        log_table(&due[i], progress->endless);
    if (all <= count)
        return;
    progress_tables_view(progress->tables, &view);
    log_info("progress of all tables",
             "tables=%zu at_work=%zu over=%zu done=%" PRId64 " per_s=%" PRId64, view.tables,
             all, view.over, view.figures.done, view.figures.per_s);
}

/* ---- a look ---- */

bool progress_is_due(const struct progress *progress)
{
    return clock_mono_ms() - progress->looked_ms >= EVERY_MS;
}

void progress_begin_look(struct progress *progress)
{
    progress->looked_ms = clock_mono_ms();
    progress_tables_begin_look(progress->tables, progress->looked_ms);
}

void progress_note(struct progress *progress, const struct progress_work *work)
{
    progress_tables_note(progress->tables, work);
}

void progress_end_look(struct progress *progress)
{
    progress_tables_end_look(progress->tables);
    if (progress->draws && progress_tables_at_work(progress->tables))
        draw(progress);
    else
        progress_end(progress);
    if (!progress->draws || !log_is_on_stderr())
        log_due(progress);
}
