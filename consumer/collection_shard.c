#include "consumer/collection_shard.h"

#include "consumer/collection_index.h"

#define COMMAND_NOT_FOUND 59
#define COMMAND_NOT_SUPPORTED 115

static enum mongo_result admin(struct mongo *m, bson_t *command, int32_t *code,
                               struct error *err)
{
    bson_t reply;
    enum mongo_result result = mongo_write(m, "admin", command, &reply, err);

    *code = m->answered_no ? mongo_reply_code(&reply) : 0;
    bson_destroy(&reply);
    bson_destroy(command);
    return result;
}

/* Since MongoDB 6 no database needs it, and a server may not know it any more. */
static int enable_sharding(struct mongo *m, struct error *err)
{
    int32_t code;
    enum mongo_result result =
        admin(m, BCON_NEW("enableSharding", BCON_UTF8(m->target->database)), &code, err);

    if (result == MONGO_DONE || code == COMMAND_NOT_FOUND || code == COMMAND_NOT_SUPPORTED)
        return 0;
    return error_prefix(err, "enableSharding");
}

/* shardCollection makes the index it needs only when the collection is empty. */
static int shard_key(bson_t *ret, struct mongo *m, const struct collection *coll,
                     struct error *err)
{
    const struct collection_index on_id = {.keys = ret, .name = "dynaferry_id_hashed"};
    int32_t code;

    if (converter_can_index(coll->converter->schema)) { /* it is one of the wanted indexes */
        collection_index_partition_key(ret, coll->converter, true);
        return 0;
    }
    bson_init(ret);
    BSON_APPEND_UTF8(ret, "_id", "hashed");
    return collection_index_create(m, coll->name, &on_id, &code, err) == MONGO_DONE ? 0 : -1;
}

int collection_shard(struct mongo *m, const struct collection *coll, struct error *err)
{
    AUTO(free_charp) char *namespace = xasprintf("%s.%s", m->target->database, coll->name);
    enum mongo_result result;
    int32_t code;
    bson_t key;

    if (enable_sharding(m, err) < 0)
        return -1;
    if (shard_key(&key, m, coll, err) < 0) {
        bson_destroy(&key);
        return -1;
    }
    result =
        admin(m, BCON_NEW("shardCollection", BCON_UTF8(namespace), "key", BCON_DOCUMENT(&key)),
              &code, err);
    bson_destroy(&key);
    return result == MONGO_DONE ? 0 : error_prefix(err, "shardCollection %s", namespace);
}
