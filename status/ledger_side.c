#include "status/ledger_side.h"

#include <stdlib.h>
#include <string.h>

struct reading {
    struct bridge *bridge;
    struct bridge_table *table; /* of segments and shards */
    const struct config *config;
};

/* ---- tables ---- */

static void add_table(void *arg, struct bytes name, struct bytes value, int32_t partition)
{
    struct reading *reading = arg;
    struct bridge *bridge = reading->bridge;
    struct ledger_place place;
    struct bridge_table *table;
    struct error err;

    (void)partition; /* places are all in one */
    if (ledger_place_decode(&place, value, &err) < 0) {
        bridge_not_read(bridge, "ledger", err.message);
        return;
    }
    bridge->tables = xrealloc(bridge->tables, (bridge->count + 1) * sizeof(*bridge->tables));
    table = &bridge->tables[bridge->count++];
    *table = (struct bridge_table){.name = bytes_dup(name), .place = place.partition};
    table->is_wanted = config_wants_table(reading->config, table->name);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct bridge_table *)a)->name,
                  ((const struct bridge_table *)b)->name);
}

/* ---- of a table ---- */

static void add_segment(void *arg, struct bytes number, struct bytes value, int32_t partition)
{
    struct reading *reading = arg;
    struct bridge_table *table = reading->table;
    AUTO(ledger_segment_release) struct ledger_segment segment = {0};
    struct error err;

    (void)number;
    (void)partition;
    if (ledger_segment_decode(&segment, value, &err) < 0) {
        bridge_not_read(reading->bridge, "ledger", err.message);
        return;
    }
    if (segment.generation != table->record.generation)
        return;
    table->segments_done += segment.done;
    table->rows += segment.rows;
    table->bytes += segment.bytes;
}

static void add_shard(void *arg, struct bytes id, struct bytes value, int32_t partition)
{
    struct reading *reading = arg;
    struct bridge_table *table = reading->table;
    struct ledger_shard shard = {0};
    struct error err;

    (void)id;
    (void)partition;
    if (ledger_shard_decode(&shard, value, &err) < 0) {
        bridge_not_read(reading->bridge, "ledger", err.message);
        return;
    }
    if (shard.generation != table->record.generation) {
        ledger_shard_release(&shard);
        return;
    }
    table->shards = xrealloc(table->shards, (table->shard_count + 1) * sizeof(*table->shards));
    table->shards[table->shard_count++] = shard;
}

/* Nothing is known of them yet. */
static void add_partitions(struct bridge_table *table)
{
    table->partitions = xcalloc((size_t)table->record.partitions, sizeof(*table->partitions));
    for (int32_t p = 0; p < table->record.partitions; p++)
        table->partitions[p] = (struct bridge_partition){.low = NOT_KNOWN,
                                                         .end = NOT_KNOWN,
                                                         .high = NOT_KNOWN,
                                                         .first = NOT_KNOWN,
                                                         .waits_ms = NOT_KNOWN,
                                                         .position = position_doc_absent};
}

static void read_table(struct reading *reading, struct ledger_cache *ledger)
{
    struct bridge_table *table = reading->table;
    AUTO(free_charp) char *segments = xasprintf("segment/%s/", table->name);
    AUTO(free_charp) char *shards = xasprintf("shard/%s/", table->name);
    struct error err;
    int found = ledger_cache_table(ledger, table->name, &table->record, &err);

    if (found < 0)
        bridge_not_read(reading->bridge, "ledger", err.message);
    table->has_record = found > 0;
    if (!table->has_record)
        return;
    ledger_cache_each(ledger, segments, add_segment, reading);
    ledger_cache_each(ledger, shards, add_shard, reading);
    add_partitions(table);
}

void ledger_side_read(struct bridge *bridge, struct ledger_cache *ledger,
                      const struct config *config)
{
    struct reading reading = {.bridge = bridge, .config = config};

    ledger_cache_each(ledger, "place/", add_table, &reading);
    qsort(bridge->tables, bridge->count, sizeof(*bridge->tables), by_name);
    for (size_t i = 0; i < bridge->count; i++) {
        reading.table = &bridge->tables[i];
        read_table(&reading, ledger);
    }
}
