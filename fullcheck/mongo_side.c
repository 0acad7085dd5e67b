#include "fullcheck/mongo_side.h"

#include "common/mongo/mongo_find.h"

#define NAMESPACE_NOT_FOUND 26

/* ---- documents ---- */

static void options(bson_t *opts, const struct mongo_side_find *find)
{
    bson_init(opts);
    if (find->projection && !bson_empty(find->projection))
        bson_append_document(opts, "projection", -1, find->projection);
    if (find->batch)
        bson_append_int64(opts, "batchSize", -1, find->batch);
}

static int cursor_failed(mongoc_cursor_t *cursor, struct error *err)
{
    const bson_t *reply = NULL;
    bson_t none = BSON_INITIALIZER;
    bson_error_t why = {0};

    if (!mongoc_cursor_error_document(cursor, &why, &reply))
        return 0;
    mongo_reply_result(reply ? reply : &none, &why, err);
    if (err->kind == ERR_DATA) /* a lost cursor, a killed operation: none of it is final */
        err->kind = ERR_RETRY;
    error_prefix(err, "MongoDB");
    return -1;
}

int mongo_side_find(struct mongo *mongo, const struct mongo_side_find *find, struct error *err)
{
    mongoc_collection_t *collection;
    mongoc_read_prefs_t *primary;
    mongoc_cursor_t *cursor;
    const bson_t *document;
    bson_t opts;
    int result;

    if (mongo_open(mongo, err) < 0)
        return error_prefix(err, "MongoDB");
    collection =
        mongoc_client_get_collection(mongo->client, mongo->target->database, find->collection);
    primary = mongoc_read_prefs_new(MONGOC_READ_PRIMARY);
    options(&opts, find);
    cursor = mongoc_collection_find_with_opts(collection, find->filter, &opts, primary);
    while (mongoc_cursor_next(cursor, &document) && find->each(find->arg, document))
        continue;
    result = cursor_failed(cursor, err);
    mongoc_cursor_destroy(cursor);
    mongoc_collection_destroy(collection);
    mongoc_read_prefs_destroy(primary);
    bson_destroy(&opts);
    return result;
}

/* ---- counts and indexes ---- */

static int read_command(struct mongo *mongo, const bson_t *command, bson_t *reply,
                        struct error *err)
{
    enum mongo_result result = mongo_read(mongo, mongo->target->database, command, reply, err);

    if (result == MONGO_DONE)
        return 0;
    if (mongo_reply_code(reply) == NAMESPACE_NOT_FOUND) {
        bson_reinit(reply);
        return 0;
    }
    if (err->kind == ERR_DATA)
        err->kind = ERR_RETRY;
    return error_prefix(err, "MongoDB");
}

int mongo_side_count(int64_t *ret, struct mongo *mongo, const char *collection,
                     struct error *err)
{
    AUTO(mongo_bsonp) bson_t *command = BCON_NEW("count", BCON_UTF8(collection));
    bson_t reply;
    int result = read_command(mongo, command, &reply, err);

    if (result == 0)
        *ret = mongo_reply_n(&reply);
    bson_destroy(&reply);
    return result;
}

static bool next_is(bson_iter_t *it, const char *path)
{
    if (!path)
        return !bson_iter_next(it);
    return bson_iter_next(it) && strcmp(bson_iter_key(it), path) == 0 &&
           BSON_ITER_HOLDS_NUMBER(it);
}

static bool is_unique_on(const bson_t *index, const char *first, const char *second)
{
    bson_iter_t it, key;
    bool unique = bson_iter_init_find(&it, index, "unique") && bson_iter_as_bool(&it);

    return unique && bson_iter_init_find(&it, index, "key") && bson_iter_recurse(&it, &key) &&
           next_is(&key, first) && next_is(&key, second) && (!second || next_is(&key, NULL));
}

int mongo_side_has_unique_index(bool *ret, struct mongo *mongo, const char *collection,
                                const char *first, const char *second, struct error *err)
{
    AUTO(mongo_bsonp)
    bson_t *command = BCON_NEW("listIndexes", BCON_UTF8(collection), "cursor", "{", "batchSize",
                               BCON_INT32(1000), "}"); /* a collection has at most 64 */
    bson_t reply, index;
    bson_iter_t batch;
    bool found = false;
    int result = read_command(mongo, command, &reply, err);

    if (result == 0 && mongo_find_begin(&batch, &reply))
        while (!found && mongo_find_next(&batch, &index))
            found = is_unique_on(&index, first, second);
    bson_destroy(&reply);
    if (result == 0)
        *ret = found;
    return result;
}
