/* producer/table_repair.h - one request to repair: its items are read again and appended as
 * they are now.
 *
 * A repair is a page that may also say "absent": its ticket is taken before the request is
 * sent, and every retry is a new one, so what the barrier promises of a page's rows holds for
 * its rows and deletes. Keys that the service leaves unprocessed are asked for again; the
 * handled offset moves with the last of them. So after a crash or an abort between, the first
 * ones are read and appended once more, which does no harm. While there is a repair no other
 * generation begins: an older answer would stand behind the rows of its scan.
 *
 * Of the step that handles the table's requests. */
#pragma once

#include "producer/signal_queue.h"
#include "producer/table_worker.h"

struct table_repair;

/* *ret is NULL when the table does not run. ERR_DATA: its keys are no keys of this table. The
 * request is borrowed. */
int table_repair_new(struct table_repair **ret, struct table_worker *w,
                     const struct pending_signal *pending, struct error *err);
void table_repair_free(struct table_repair *repair);
DEFINE_FREEP(struct table_repair, table_repair_freep, table_repair_free)
const struct pending_signal *table_repair_of(const struct table_repair *repair);

/* No value of a stage (guarded_read.h). */
#define TABLE_REPAIR_REFUSED (-3)
/* One request and its append. Returns when to come again, STEP_END when the table is not ours
 * any more, or TABLE_REPAIR_REFUSED, by the service, for good: err says why. */
int64_t table_repair_go_on(struct table_repair *repair, struct append_context *a,
                           struct error *err);
/* It can't go on for a while: what it has in hand is given back, and asked for again. NULL is
 * fine. */
void table_repair_pause(struct table_repair *repair);
