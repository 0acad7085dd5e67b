/* producer/table_trim.h - how long until the stream trims what a table has not read yet:
 * metrics of the table and of its shards, warnings in the log.
 *
 * By the service's clock. Of the control step. A series is there as long as it means something:
 * a shard's while the shard is one of the nearest that are not finished, the table's while its
 * stream is read. */
#pragma once

#include "producer/table_worker.h"

#define TABLE_TRIM_SHARDS 100 /* series of one table, at most */
#define TABLE_TRIM_WARN_MS (6 * 3600 * 1000LL)
#define TABLE_TRIM_ERROR_MS (2 * 3600 * 1000LL)

struct table_trim *table_trim_new(void);
/* All series of shards end. NULL is fine. */
void table_trim_free(struct table_trim *trim);
/* Looks every few seconds, whatever state the table is in. */
void table_trim_show(struct table_worker *w);
