/* common/run/progress_line.h - the texts that a terminal shows of long work, cut to its width.
 * Pure. */
#pragma once

#include <stddef.h>

#include "common/base/bytes.h"
#include "common/run/progress_figures.h"

struct progress_view { /* of all tables that are worked on */
    const char *what;  /* "rows" */
    const char *did;   /* "copied" */
    const char *table; /* the only one; NULL: there are several */
    size_t number, of; /* which of several, one after another; 0: no such */
    size_t tables;
    size_t over;  /* of the tables */
    bool endless; /* its tables are never over */
    struct progress_figures figures;
    int64_t took_ms;
    int64_t took_per_s; /* all that time */
};

/* "12 of 40 tables copied, 1,234,567 rows, 52,300 rows/s, 63 %, 4 min left", in less than width
 * columns: the beginning is cut first, then the end. */
void progress_line_running(struct buf *out, const struct progress_view *view, size_t width);
/* "40 tables copied, 1,234,567 rows in 4 min, 52,300 rows/s" */
void progress_line_ended(struct buf *out, const struct progress_view *view);
