/* consumer/progress.h - one line on a terminal that shows how far and how fast. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct applier;

struct progress { /* of the thread that shows it */
    int64_t shown_at;
    int64_t records;
    bool shown;
};

/* Rewrites the line on stderr once a second while records come. Nothing when it is no terminal.
 */
void progress_show(struct progress *p, struct applier *a);
