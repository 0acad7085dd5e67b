#include "status/target_side.h"

#include <stdlib.h>
#include <string.h>

#include "common/mongo/mongo_find.h"

/* "<topic>/<partition>"; NULL: of no table here. */
static struct bridge_partition *find(const struct bridge *bridge, const char *id)
{
    const char *slash = strrchr(id, '/');
    char *end;
    long number;

    if (!slash)
        return NULL;
    number = strtol(slash + 1, &end, 10);
    for (size_t i = 0; i < bridge->count && slash[1] && !*end; i++) {
        const struct bridge_table *table = &bridge->tables[i];

        if (table->has_record && strlen(table->record.topic) == (size_t)(slash - id) &&
            memcmp(table->record.topic, id, (size_t)(slash - id)) == 0)
            return number >= 0 && number < table->record.partitions ? &table->partitions[number]
                                                                    : NULL;
    }
    return NULL;
}

static bool take_position(void *arg, const bson_t *document)
{
    struct bridge_partition *partition;
    bson_iter_t id;

    if (!bson_iter_init_find(&id, document, "_id") || !BSON_ITER_HOLDS_UTF8(&id))
        return true;
    partition = find(arg, bson_iter_utf8(&id, NULL));
    if (partition)
        position_doc_read(&partition->position, document);
    return true;
}

void target_side_read(struct bridge *bridge, struct mongo *m)
{
    const struct mongo_find_all find_all = {
        .collection = POSITION_COLLECTION, .each = take_position, .arg = bridge};
    struct error err = {0};

    if (mongo_find_all(m, &find_all, &err) != MONGO_DONE) {
        bridge_not_read(bridge, "MongoDB", err.message);
        return;
    }
    for (size_t i = 0; i < bridge->count; i++)
        for (int32_t p = 0; p < bridge->tables[i].record.partitions; p++)
            bridge->tables[i].partitions[p].position_known = true;
}
