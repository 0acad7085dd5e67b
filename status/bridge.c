#include "status/bridge.h"

#include <stdlib.h>
#include <string.h>

bool bridge_shard_is_open(const struct ledger_shard *shard)
{
    return shard->status != SHARD_DONE && shard->status != SHARD_NO_NEED;
}

int64_t bridge_shard_read_lag_ms(const struct bridge *bridge, const struct ledger_shard *shard)
{
    return MAX(bridge->at_ms - shard->complete_to_ms, 0);
}

int64_t bridge_shard_trim_ms(const struct bridge *bridge, const struct ledger_shard *shard)
{
    return shard->complete_to_ms + LEDGER_STREAM_KEEPS_MS - bridge->at_ms;
}

int64_t bridge_table_letters(const struct bridge_table *table)
{
    int64_t count = 0;

    for (size_t i = 0; i < table->letters_count; i++)
        count += table->letters[i].count;
    return count;
}

struct bridge_table *bridge_find(const struct bridge *bridge, const char *table)
{
    for (size_t i = 0; i < bridge->count; i++)
        if (strcmp(bridge->tables[i].name, table) == 0)
            return &bridge->tables[i];
    return NULL;
}

void bridge_not_read(struct bridge *bridge, const char *part, const char *reason)
{
    for (size_t i = 0; i < bridge->unread_count; i++)
        if (strcmp(bridge->unread[i].part, part) == 0)
            return;
    bridge->unread =
        xrealloc(bridge->unread, (bridge->unread_count + 1) * sizeof(*bridge->unread));
    bridge->unread[bridge->unread_count++] =
        (struct bridge_unread){xstrdup(part), xstrdup(reason)};
}

void bridge_table_release(struct bridge_table *table)
{
    for (int32_t p = 0; table->partitions && p < table->record.partitions; p++)
        free(table->partitions[p].consumer);
    for (size_t i = 0; i < table->shard_count; i++)
        ledger_shard_release(&table->shards[i]);
    for (size_t i = 0; i < table->letters_count; i++) {
        free(table->letters[i].stage);
        free(table->letters[i].reason);
    }
    free(table->name);
    free(table->producer);
    free(table->shards);
    free(table->partitions);
    free(table->letters);
    ledger_table_release(&table->record);
}

void bridge_release(struct bridge *bridge)
{
    for (size_t i = 0; i < bridge->count; i++)
        bridge_table_release(&bridge->tables[i]);
    for (size_t i = 0; i < bridge->member_count; i++) {
        free(bridge->members[i].name);
        free(bridge->members[i].host);
    }
    for (size_t i = 0; i < bridge->unread_count; i++) {
        free(bridge->unread[i].part);
        free(bridge->unread[i].reason);
    }
    free(bridge->tables);
    free(bridge->members);
    free(bridge->unread);
    *bridge = (struct bridge){.prefix = bridge->prefix};
}
