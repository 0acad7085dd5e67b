#include "status/view_json.h"

#include <inttypes.h>

#include "common/json/json_text.h"
#include "status/applied.h"
#include "status/totals.h"

/* ---- members ---- */

static void write_name(struct buf *out, const char *name)
{
    if (out->p[out->len - 1] != '{')
        buf_char(out, ',');
    buf_printf(out, "\"%s\":", name);
}

/* NULL is null. */
static void text(struct buf *out, const char *name, const char *value)
{
    write_name(out, name);
    if (value)
        json_stringify(out, bytes_of(value));
    else
        buf_lit(out, "null");
}

/* What is not known is null. */
static void number(struct buf *out, const char *name, int64_t value)
{
    write_name(out, name);
    if (value == NOT_KNOWN)
        buf_lit(out, "null");
    else
        buf_printf(out, "%" PRId64, value);
}

static void list_begins(struct buf *out, const char *name)
{
    write_name(out, name);
    buf_char(out, '[');
}

static void element_begins(struct buf *out)
{
    buf_lit(out, "{");
}

static void element_ends(struct buf *out, bool last)
{
    buf_bytes(out, last ? BYTES_LIT("}") : BYTES_LIT("},"));
}

/* ---- of a table ---- */

static void write_shards(struct buf *out, const struct bridge_table *table)
{
    list_begins(out, "shards");
    for (size_t i = 0; i < table->shard_count; i++) {
        const struct ledger_shard *shard = &table->shards[i];

        element_begins(out);
        text(out, "id", shard->id);
        text(out, "parent", shard->parent);
        text(out, "status", ledger_shard_status_name(shard->status));
        text(out, "sequence", shard->sequence);
        number(out, "records", shard->records);
        number(out, "updated_ms", shard->updated_ms);
        number(out, "source_ms", shard->source_ms);
        number(out, "complete_to_ms", shard->complete_to_ms);
        element_ends(out, i + 1 == table->shard_count);
    }
    buf_char(out, ']');
}

static void write_partitions(struct buf *out, const struct bridge_table *table)
{
    int32_t count = table->record.partitions;

    list_begins(out, "partitions");
    for (int32_t p = 0; p < count; p++) {
        const struct bridge_partition *at = &table->partitions[p];
        bool found = at->position_known && at->position.found;

        element_begins(out);
        number(out, "partition", p);
        number(out, "begin_offset",
               table->record.begin_offsets ? table->record.begin_offsets[p] : NOT_KNOWN);
        number(out, "end_offset", at->end);
        number(out, "applied_offset",
               at->position_known ? applied_offset(table, p) : NOT_KNOWN);
        number(out, "lag", applied_lag(table, p));
        number(out, "waits_since_ms", at->waits_ms);
        text(out, "consumer", at->consumer);
        text(out, "owner", found ? at->position.owner : NULL);
        element_ends(out, p + 1 == count);
    }
    buf_char(out, ']');
}

static void write_letters(struct buf *out, const struct bridge_table *table)
{
    list_begins(out, "dead_letters");
    for (size_t i = 0; i < table->letters_count; i++) {
        element_begins(out);
        text(out, "stage", table->letters[i].stage);
        text(out, "reason", table->letters[i].reason);
        number(out, "count", table->letters[i].count);
        element_ends(out, i + 1 == table->letters_count);
    }
    buf_char(out, ']');
}

static void write_snapshot(struct buf *out, const struct bridge_table *table,
                           const struct totals *totals)
{
    write_name(out, "snapshot");
    element_begins(out);
    number(out, "segments", table->record.segments);
    number(out, "segments_done", table->segments_done);
    number(out, "rows", table->rows);
    number(out, "bytes", table->bytes);
    number(out, "item_count", table->record.item_count);
    number(out, "percent", totals->percent);
    number(out, "rows_per_s", totals->rows_per_s);
    number(out, "eta_s", totals->eta_s);
    element_ends(out, true);
}

/* A table that was placed and not begun has no phase. */
static void write_table(struct buf *out, const struct bridge *bridge,
                        const struct bridge_table *table, const struct bridge *before)
{
    const struct ledger_table *record = &table->record;
    bool has = table->has_record;
    struct totals totals;

    totals_of(&totals, bridge, table, before);
    element_begins(out);
    text(out, "table", table->name);
    text(out, "topic", has ? record->topic : NULL);
    number(out, "ledger_partition", table->place);
    text(out, "producer", table->producer);
    text(out, "phase", has ? ledger_phase_name(record->phase) : NULL);
    text(out, "reason", has ? record->reason : "");
    number(out, "generation", record->generation);
    text(out, "log_id", has ? record->log_id : NULL);
    number(out, "started_ms", record->started_ms);
    number(out, "finished_ms", record->finished_ms);
    write_snapshot(out, table, &totals);
    number(out, "read_lag_ms", totals.read_lag_ms);
    number(out, "trim_ms", totals.trim_ms);
    number(out, "lag", totals.lag);
    number(out, "apply_lag_ms", totals.apply_lag_ms);
    number(out, "letters", totals.letters);
    write_letters(out, table);
    write_shards(out, table);
    write_partitions(out, table);
}

/* ---- the bridge ---- */

static void write_members(struct buf *out, const struct bridge *bridge)
{
    list_begins(out, "members");
    for (size_t i = 0; i < bridge->member_count; i++) {
        element_begins(out);
        text(out, "role", bridge->members[i].role);
        text(out, "name", bridge->members[i].name);
        text(out, "host", bridge->members[i].host);
        element_ends(out, i + 1 == bridge->member_count);
    }
    buf_char(out, ']');
}

static void write_unread(struct buf *out, const struct bridge *bridge)
{
    list_begins(out, "unread");
    for (size_t i = 0; i < bridge->unread_count; i++) {
        element_begins(out);
        text(out, "part", bridge->unread[i].part);
        text(out, "reason", bridge->unread[i].reason);
        element_ends(out, i + 1 == bridge->unread_count);
    }
    buf_char(out, ']');
}

void view_json(struct buf *out, const struct bridge *bridge, const struct bridge *before)
{
    element_begins(out);
    text(out, "prefix", bridge->prefix);
    number(out, "ts_ms", bridge->at_ms);
    list_begins(out, "tables");
    for (size_t i = 0; i < bridge->count; i++) {
        write_table(out, bridge, &bridge->tables[i], before);
        element_ends(out, i + 1 == bridge->count);
    }
    buf_char(out, ']');
    write_members(out, bridge);
    write_unread(out, bridge);
    buf_lit(out, "}\n");
}
