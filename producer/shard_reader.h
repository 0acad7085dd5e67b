/* producer/shard_reader.h - reads one shard of a stream: one GetRecords per step, through
 * guarded_read.
 *
 * A batch and the shard's ledger record are one step under the writer's gate; a batch that the
 * barrier holds back waits in memory. It starts at the trim horizon or after the last appended
 * number, never at a position that was not made durable. A position older than 23 h is a gap,
 * whatever the service answers; a younger one never is: "trimmed" then means the horizon,
 * dropping numbers up to the position. */
#pragma once

#include "producer/table_worker.h"

struct shard_reader;

/* Reads the shard (of w's tree) from where it stands, unless that is going on. Under w->lock.
 */
void shard_reader_start(struct table_worker *w, struct tree_shard *shard);
/* Under w->lock. */
void shard_reader_wake_all(struct table_worker *w);
/* Its step has ended. */
void shard_reader_free(void *reader);
