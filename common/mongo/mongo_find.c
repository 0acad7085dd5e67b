#include "common/mongo/mongo_find.h"

#include "common/mongo/bson_read.h"

#define COLLECTIONS_MAX 100000
#define COLLECTION_NAME_SIZE 256

enum mongo_result mongo_find(struct mongo *m, const char *collection, const bson_t *filter,
                             int32_t count, bson_t *reply, struct error *err)
{
    /* without a batchSize an answer ends at 101 documents */
    AUTO(mongo_bsonp)
    bson_t *command =
        BCON_NEW("find", BCON_UTF8(collection), "filter", BCON_DOCUMENT(filter), "limit",
                 BCON_INT32(count), "batchSize", BCON_INT32(count), "singleBatch",
                 BCON_BOOL(true), "maxTimeMS", BCON_INT64(m->target->max_time_ms));

    return mongo_read(m, m->target->database, command, reply, err);
}

int mongo_find_one(bson_t **ret, struct mongo *m, const char *collection, const bson_t *filter,
                   struct error *err)
{
    bson_t reply, doc;
    enum mongo_result result = mongo_find(m, collection, filter, 1, &reply, err);

    if (result == MONGO_DONE)
        *ret = mongo_find_first(&doc, &reply) ? bson_copy(&doc) : NULL;
    bson_destroy(&reply);
    return result == MONGO_DONE ? 0 : -1;
}

bool mongo_find_begin(bson_iter_t *ret, const bson_t *reply)
{
    bson_iter_t it, batch;

    return bson_iter_init(&it, reply) &&
           bson_iter_find_descendant(&it, "cursor.firstBatch", &batch) &&
           bson_iter_recurse(&batch, ret);
}

bool mongo_find_next(bson_iter_t *it, bson_t *ret)
{
    const uint8_t *data;
    uint32_t len;

    while (bson_iter_next(it)) {
        if (!BSON_ITER_HOLDS_DOCUMENT(it))
            continue;
        bson_iter_document(it, &len, &data);
        if (bson_init_static(ret, data, len))
            return true;
    }
    return false;
}

bool mongo_find_first(bson_t *ret, const bson_t *reply)
{
    bson_iter_t it;

    return mongo_find_begin(&it, reply) && mongo_find_next(&it, ret);
}

/* ---- any number ---- */

int mongo_find_collections(struct mongo *m, bool (*each)(void *arg, const char *name),
                           void *arg, struct error *err)
{
    AUTO(mongo_bsonp)
    bson_t *command = BCON_NEW("listCollections", BCON_INT32(1), "nameOnly", BCON_BOOL(true),
                               "cursor", "{", "batchSize", BCON_INT32(COLLECTIONS_MAX), "}",
                               "maxTimeMS", BCON_INT64(m->target->max_time_ms));
    bson_t reply, info;
    enum mongo_result result = mongo_read(m, m->target->database, command, &reply, err);
    char name[COLLECTION_NAME_SIZE];
    bool goes_on = true;
    bson_iter_t it;

    if (result == MONGO_DONE && mongo_find_begin(&it, &reply))
        while (goes_on && mongo_find_next(&it, &info)) {
            bson_read_text(name, sizeof(name), &info, "name");
            goes_on = each(arg, name);
        }
    bson_destroy(&reply);
    return result == MONGO_DONE ? 0 : -1;
}

static void options_of(bson_t *opts, const struct mongo_find_all *find)
{
    bson_init(opts);
    if (find->projection && !bson_empty(find->projection))
        BSON_APPEND_DOCUMENT(opts, "projection", find->projection);
    if (find->batch)
        BSON_APPEND_INT64(opts, "batchSize", find->batch);
}

static enum mongo_result cursor_ended(struct mongo *m, mongoc_cursor_t *cursor,
                                      struct error *err)
{
    const bson_t *reply = NULL;
    bson_t none = BSON_INITIALIZER;
    bson_error_t why = {0};

    if (!mongoc_cursor_error_document(cursor, &why, &reply))
        return MONGO_DONE;
    mongo_judge(m, reply ? reply : &none, &why, err);
    if (err->kind == ERR_DATA) /* a lost cursor, a killed operation: none of it is final */
        err->kind = ERR_RETRY;
    return MONGO_AGAIN;
}

enum mongo_result mongo_find_all(struct mongo *m, const struct mongo_find_all *find,
                                 struct error *err)
{
    static const bson_t everything = BSON_INITIALIZER;
    mongoc_collection_t *collection;
    mongoc_read_prefs_t *primary;
    mongoc_cursor_t *cursor;
    const bson_t *document;
    enum mongo_result result;
    bson_t opts;

    if (mongo_open(m, err) < 0)
        return MONGO_AGAIN;
    collection = mongoc_client_get_collection(m->client, m->target->database, find->collection);
    primary = mongoc_read_prefs_new(MONGOC_READ_PRIMARY);
    options_of(&opts, find);
    cursor = mongoc_collection_find_with_opts(
        collection, find->filter ? find->filter : &everything, &opts, primary);
    while (mongoc_cursor_next(cursor, &document) && find->each(find->arg, document))
        continue;
    result = cursor_ended(m, cursor, err);
    mongoc_cursor_destroy(cursor);
    mongoc_collection_destroy(collection);
    mongoc_read_prefs_destroy(primary);
    bson_destroy(&opts);
    return result;
}
