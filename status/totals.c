#include "status/totals.h"

#include "status/applied.h"

/* ---- the snapshot ---- */

static bool is_finished(const struct bridge_table *table)
{
    return table->record.finished_ms > 0 || !table->record.rows;
}

/* By rows, as the service estimated them; by segments when it estimated none. */
static int percent_of(const struct bridge_table *table)
{
    const struct ledger_table *record = &table->record;
    int64_t done = table->rows, all = record->item_count;

    if (record->generation == 0)
        return NOT_KNOWN;
    if (is_finished(table))
        return 100;
    if (all <= 0) {
        done = table->segments_done;
        all = MAX(record->segments, 1);
    }
    return (int)MIN(done * 100 / all, 99);
}

static int64_t rate_of(const struct bridge *bridge, const struct bridge_table *table,
                       const struct bridge *before)
{
    const struct bridge_table *then = before ? bridge_find(before, table->name) : NULL;
    int64_t ms = bridge->at_ms - table->record.started_ms, rows = table->rows;

    if (is_finished(table))
        return NOT_KNOWN;
    if (then && then->record.generation == table->record.generation) {
        ms = bridge->at_ms - before->at_ms;
        rows -= then->rows;
    }
    return ms > 0 ? MAX(rows, 0) * 1000 / ms : NOT_KNOWN;
}

static int64_t eta_of(const struct bridge_table *table, int64_t rows_per_s)
{
    int64_t left = table->record.item_count - table->rows;

    if (table->record.generation == 0)
        return NOT_KNOWN;
    if (is_finished(table))
        return 0;
    return left > 0 && rows_per_s > 0 ? left / rows_per_s + 1 : NOT_KNOWN;
}

/* ---- the stream ---- */

static void read_shards(struct totals *ret, const struct bridge *bridge,
                        const struct bridge_table *table)
{
    const struct ledger_shard *oldest = NULL;

    for (size_t i = 0; i < table->shard_count; i++) {
        const struct ledger_shard *shard = &table->shards[i];

        if (!bridge_shard_is_open(shard))
            continue;
        ret->open_shards++;
        if (!oldest || shard->complete_to_ms < oldest->complete_to_ms)
            oldest = shard;
    }
    if (!oldest)
        return;
    ret->read_lag_ms = bridge_shard_read_lag_ms(bridge, oldest);
    ret->trim_ms = bridge_shard_trim_ms(bridge, oldest);
}

/* ---- the target ---- */

static void read_partitions(struct totals *ret, const struct bridge *bridge,
                            const struct bridge_table *table)
{
    int64_t first = INT64_MAX;
    bool waits_known = table->record.partitions > 0;

    ret->lag = table->record.partitions > 0 ? 0 : NOT_KNOWN;
    for (int32_t p = 0; p < table->record.partitions; p++) {
        int64_t lag = applied_lag(table, p), waits = table->partitions[p].waits_ms;

        ret->lag = lag < 0 || ret->lag < 0 ? NOT_KNOWN : ret->lag + lag;
        waits_known = waits_known && waits != NOT_KNOWN;
        if (waits > 0)
            first = MIN(first, waits);
    }
    if (waits_known)
        ret->apply_lag_ms = first == INT64_MAX ? 0 : MAX(bridge->at_ms - first, 0);
}

void totals_of(struct totals *ret, const struct bridge *bridge,
               const struct bridge_table *table, const struct bridge *before)
{
    *ret = (struct totals){.percent = percent_of(table),
                           .rows_per_s = rate_of(bridge, table, before),
                           .read_lag_ms = NOT_KNOWN,
                           .trim_ms = NOT_KNOWN,
                           .apply_lag_ms = NOT_KNOWN,
                           .letters =
                               bridge->letters_known ? bridge_table_letters(table) : NOT_KNOWN};
    ret->eta_s = eta_of(table, ret->rows_per_s);
    read_shards(ret, bridge, table);
    read_partitions(ret, bridge, table);
}
