/* common/run/metrics.h - counters and gauges for Prometheus, registered once, changed from any
 * thread. metrics_http serves them. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/bytes.h"

enum metric_type {
    METRIC_COUNTER,
    METRIC_GAUGE
};

struct metric; /* until its last metric_remove, else until the process ends */

/* name: "dynaferry_producer_rows_total"; labels: "table=\"a\",shard=\"b\"" or "" (make with
 * metric_labels). The same name and labels give the same metric; each get is a reference. */
struct metric *metric_get(enum metric_type type, const char *name, const char *help,
                          const char *labels);
void metric_add(struct metric *m, int64_t n);
void metric_set(struct metric *m, int64_t value);
int64_t metric_value(const struct metric *m);
/* Gives one reference back. With the last one the label set is gone: not printed any more, and
 * not to be used again (its memory serves another label set later). NULL is fine. */
void metric_remove(struct metric *m);
/* key, value, key, value ..., NULL: escaped as Prometheus wants. Caller frees. */
char *metric_labels(const char *key, ...);
void metrics_write(struct buf *out);
