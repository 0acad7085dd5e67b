#include "status/bridge_reader.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/kafka/kafka_topic.h"
#include "common/messages/ledger_cache.h"
#include "common/mongo/mongo.h"
#include "status/group_side.h"
#include "status/ledger_side.h"
#include "status/letter_side.h"
#include "status/target_side.h"
#include "status/topic_side.h"

#define LIMIT_MS 10000

struct bridge_reader {
    const struct config *config;
    int64_t limit_ms;
    struct topic_side_handles handles;
    struct ledger_cache *ledger; /* NULL: not reached yet */
    struct letter_side *letters;
    struct mongo_target *target; /* NULL: there is no address */
    struct mongo *mongo;
};

int bridge_reader_new(struct bridge_reader **ret, const struct config *config,
                      struct error *err)
{
    AUTO(bridge_reader_freep) struct bridge_reader *reader = xcalloc(1, sizeof(*reader));

    reader->config = config;
    reader->limit_ms = MIN(config_int(config, "start.timeout") * 1000, LIMIT_MS);
    reader->letters = letter_side_new(config);
    if (topic_side_handles_new(&reader->handles, config, err) < 0)
        return -1;
    if (*config_string(config, "target.address")) {
        if (mongo_target_new(&reader->target, config, "dynaferry-status", err) < 0)
            return -1;
        reader->mongo = mongo_new(reader->target);
    }
    *ret = TAKE(reader);
    return 0;
}

void bridge_reader_free(struct bridge_reader *reader)
{
    mongo_free(reader->mongo);
    mongo_target_free(reader->target);
    letter_side_free(reader->letters);
    ledger_cache_free(reader->ledger);
    topic_side_handles_release(&reader->handles);
    free(reader);
}

/* ---- a look ---- */

static int open_ledger(struct bridge_reader *reader, struct error *err)
{
    AUTO(free_charp) char *topic = kafka_ledger_topic(reader->config);
    int32_t partitions;

    if (reader->ledger)
        return 0;
    if (kafka_wait_broker(reader->handles.committed, reader->config, reader->limit_ms, err) <
            0 ||
        kafka_topic_partition_count(&partitions, reader->handles.committed, topic, err) < 0)
        return -1;
    if (partitions == 0)
        return error_set(err, ERR_RETRY,
                         "there is no topic %s: no producer has run with this "
                         "topic.prefix",
                         topic);
    return ledger_cache_new(&reader->ledger, reader->config, err);
}

static bool read_ledger(struct bridge *bridge, struct bridge_reader *reader)
{
    struct error err;

    if (open_ledger(reader, &err) < 0 ||
        ledger_cache_sync(reader->ledger, reader->limit_ms, &err) < 0) {
        bridge_not_read(bridge, "Kafka", err.message);
        return false;
    }
    ledger_side_read(bridge, reader->ledger, reader->config);
    return true;
}

static void drop_other_tables(struct bridge *bridge, const char *table)
{
    size_t kept = 0;

    for (size_t i = 0; i < bridge->count; i++) {
        if (!table || strcmp(bridge->tables[i].name, table) == 0)
            bridge->tables[kept++] = bridge->tables[i];
        else
            bridge_table_release(&bridge->tables[i]);
    }
    bridge->count = kept;
}

void bridge_reader_look(struct bridge *ret, struct bridge_reader *reader, const char *table)
{
    *ret = (struct bridge){.prefix = config_string(reader->config, "topic.prefix"),
                           .at_ms = clock_wall_ms()};
    if (!read_ledger(ret, reader))
        return;
    drop_other_tables(ret, table);
    group_side_read(ret, reader->handles.committed, reader->config, (int)reader->limit_ms);
    if (reader->mongo)
        target_side_read(ret, reader->mongo);
    else
        bridge_not_read(ret, "MongoDB", "target.address is not set");
    topic_side_read_ends(ret, &reader->handles, reader->limit_ms);
    topic_side_read_first(ret, reader->handles.committed, reader->limit_ms);
    letter_side_read(reader->letters, ret, reader->handles.committed, reader->limit_ms);
}
