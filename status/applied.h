/* status/applied.h - up to where a target provably holds a partition. Pure. */
#pragma once

#include "status/bridge.h"

/* The first offset that the target may not hold: its position, or what it goes back to, or the
 * begin when its position is about another log. After positions were read. */
int64_t applied_offset(const struct bridge_table *table, int32_t partition);
/* Records (and markers of transactions) behind it; 0 when there is no record. NOT_KNOWN: also
 * when the log lost what comes next, or ends before it. */
int64_t applied_lag(const struct bridge_table *table, int32_t partition);
