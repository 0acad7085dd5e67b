#include "status/applied.h"

#include <string.h>

static int64_t earlier(int64_t offset, int64_t other)
{
    return other == POSITION_NONE ? offset : MIN(offset, other);
}

int64_t applied_offset(const struct bridge_table *table, int32_t partition)
{
    const struct ledger_table *record = &table->record;
    const struct position_doc *doc = &table->partitions[partition].position;
    int64_t begin = record->begin_offsets ? record->begin_offsets[partition] : 0;

    if (!doc->found || doc->offset == POSITION_NONE || strcmp(doc->log_id, record->log_id) != 0)
        return begin;
    return earlier(earlier(doc->offset, doc->rewind), doc->again);
}

int64_t applied_lag(const struct bridge_table *table, int32_t partition)
{
    const struct bridge_partition *at = &table->partitions[partition];
    int64_t applied = applied_offset(table, partition);

    if (!at->position_known || at->low < 0 || at->end < 0 || applied < at->low ||
        applied > at->end)
        return NOT_KNOWN;
    return at->waits_ms == 0 ? 0 : at->end - applied;
}
