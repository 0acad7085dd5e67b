/* producer/table_health.h - since when a table has made no progress.
 *
 * Progress is what was committed, or the proof that there is nothing to do; never that a step
 * ran. A table is as well as its worst part: a shard that may be read and gives no answer, a
 * closed one whose children don't show, a segment without a page, a start that does not end. */
#pragma once

#include "producer/table_worker.h"

struct health *table_health_new(const struct table_worker *w);
/* By the control step, now and then. */
void table_health_show(struct table_worker *w);
