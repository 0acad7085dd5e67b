/* producer/table_metrics.h - the series of one table: there as long as somebody carries it. */
#pragma once

#include "common/run/metrics.h"

struct table_metrics {
    struct metric *rows;
    struct metric *changes;
    struct metric *dead_letters;
    struct metric *phase;
    struct metric *gaps;
    struct metric *repaired;
    struct metric *signals_refused;
};

void table_metrics_get(struct table_metrics *ret, const char *table);
/* Its references go; a series goes with its last one. */
void table_metrics_remove(const struct table_metrics *metrics);
