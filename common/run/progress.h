/* common/run/progress.h - one line on a terminal that shows how far long work is, how fast, and
 * how long it takes yet. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct progress { /* of the thread that shows it; {0} begins */
    int64_t shown_ms;
    int64_t done;
    bool shown;
};

/* Is it time to look? Once a second; never when stderr is no terminal. */
bool progress_is_due(const struct progress *progress);
/* Rewrites the line while done grows, ends it when it stands. what: "rows", "records"; left:
 * what is known to come, by estimate. */
void progress_show(struct progress *progress, const char *what, int64_t done, int64_t left);
/* The work is over: ends a line that is still shown. */
void progress_end(struct progress *progress);
