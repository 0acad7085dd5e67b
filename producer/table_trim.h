/* producer/table_trim.h - how long until the stream trims what a table has not read yet:
 * metrics of the table and of its shards, warnings in the log.
 *
 * By the service's clock. Of the control step; the series of a shard is there as long as the
 * shard is one of the nearest that are not finished. */
#pragma once

#include <stdint.h>

#include "common/base/alarm.h"

#define TABLE_TRIM_SHARDS 100 /* series of one table, at most */
#define TABLE_TRIM_WARN_MS (6 * 3600 * 1000LL)
#define TABLE_TRIM_ERROR_MS (2 * 3600 * 1000LL)

struct table_worker;
struct trim_series;

struct table_trim {
    struct trim_series *series; /* by shard */
    struct alarm alarm;
    int64_t shown_ms; /* monotonic */
};

/* Looks every few seconds, whatever state the table is in. */
void table_trim_show(struct table_worker *w);
/* All series of shards end. */
void table_trim_release(struct table_trim *trim);
