#include "producer/table_metrics.h"

#include <stddef.h>

#include "common/base/auto.h"

void table_metrics_get(struct table_metrics *ret, const char *table)
{
    AUTO(free_charp) char *labels = metric_labels("table", table, NULL);

    *ret = (struct table_metrics){
        .rows = metric_get(METRIC_COUNTER, "dynaferry_producer_rows_total",
                           "snapshot rows appended", labels),
        .changes = metric_get(METRIC_COUNTER, "dynaferry_producer_changes_total",
                              "changes appended", labels),
        .dead_letters = metric_get(METRIC_COUNTER, "dynaferry_producer_dead_letters_total",
                                   "records that went to the dead letters", labels),
        .phase = metric_get(METRIC_GAUGE, "dynaferry_producer_table_phase",
                            "0 snapshot, 1 tail, 2 gap, 3 paused, 4 gone, 5 failed", labels),
        .gaps = metric_get(METRIC_COUNTER, "dynaferry_producer_gaps_total",
                           "gaps that were proven", labels),
        .repaired = metric_get(METRIC_COUNTER, "dynaferry_producer_repaired_total",
                               "items appended by repairs", labels),
        .signals_refused =
            metric_get(METRIC_COUNTER, "dynaferry_producer_signals_refused_total",
                       "requests that were refused", labels),
    };
}

void table_metrics_remove(const struct table_metrics *metrics)
{
    metric_remove(metrics->rows);
    metric_remove(metrics->changes);
    metric_remove(metrics->dead_letters);
    metric_remove(metrics->phase);
    metric_remove(metrics->gaps);
    metric_remove(metrics->repaired);
    metric_remove(metrics->signals_refused);
}
