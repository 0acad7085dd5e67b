#include "consumer/collection_doubles.h"

#define GROUPS_A_BATCH 1000
#define IDS_A_COMMAND 10000

struct doubles {
    struct mongo *m;
    const char *name;
    int64_t groups;
};

/* {$group: {_id: {a: "$pk", b: "$sk"}, keep: {$max: "$_id"}, ids: {$push: "$_id"}, n: {$sum:
 * 1}}}, n > 1. */
static bson_t *doubles_pipeline(const bson_t *keys)
{
    bson_t *pipeline = NULL;
    bson_t have = BSON_INITIALIZER, by = BSON_INITIALIZER;
    bson_iter_t it;
    char label[2] = "a";

    for (bson_iter_init(&it, keys); bson_iter_next(&it); label[0]++) {
        AUTO(free_charp) char *path = xasprintf("$%s", bson_iter_key(&it));

        BSON_APPEND_UTF8(&by, label, path);
        BCON_APPEND(&have, bson_iter_key(&it), "{", "$exists", BCON_BOOL(true), "}");
    }
    pipeline =
        BCON_NEW("pipeline", "[", "{", "$match", BCON_DOCUMENT(&have), "}", "{", "$group", "{",
                 "_id", BCON_DOCUMENT(&by), "keep", "{", "$max", "$_id", "}", "ids", "{",
                 "$push", "$_id", "}", "n", "{", "$sum", BCON_INT32(1), "}", "}", "}", "{",
                 "$match", "{", "n", "{", "$gt", BCON_INT32(1), "}", "}", "}", "]");
    bson_destroy(&have);
    bson_destroy(&by);
    return pipeline;
}

static int delete_ids(struct doubles *doubles, const bson_t *ids, const bson_value_t *keep,
                      struct error *err)
{
    AUTO(mongo_bsonp) bson_t *command = NULL;
    bson_t which = BSON_INITIALIZER, reply;
    enum mongo_result result;

    BSON_APPEND_ARRAY(&which, "$in", ids);
    BSON_APPEND_VALUE(&which, "$ne", keep);
    command = BCON_NEW("delete", BCON_UTF8(doubles->name), "deletes", "[", "{", "q", "{", "_id",
                       BCON_DOCUMENT(&which), "}", "limit", BCON_INT32(0), "}", "]");
    bson_destroy(&which);
    result = mongo_write(doubles->m, doubles->m->target->database, command, &reply, err);
    bson_destroy(&reply);
    return result == MONGO_DONE ? 0 : -1;
}

/* All documents of one key but the one with the highest _id: an ObjectId is above a
 * number, a text or a document, which would be of someone else's making. */
static int delete_copies(struct doubles *doubles, const bson_t *group, struct error *err)
{
    bson_iter_t keep, list, ids;
    bson_t some = BSON_INITIALIZER;
    char digits[16];
    const char *key;
    uint32_t n = 0;
    int result = 0;

    if (!bson_iter_init_find(&keep, group, "keep") ||
        !bson_iter_init_find(&list, group, "ids") || !bson_iter_recurse(&list, &ids))
        return 0;
    while (result == 0 && bson_iter_next(&ids)) {
        bson_uint32_to_string(n++, &key, digits, sizeof(digits));
        bson_append_iter(&some, key, -1, &ids);
        if (n < IDS_A_COMMAND)
            continue;
        result = delete_ids(doubles, &some, bson_iter_value(&keep), err);
        bson_reinit(&some);
        n = 0;
    }
    if (result == 0 && n > 0)
        result = delete_ids(doubles, &some, bson_iter_value(&keep), err);
    bson_destroy(&some);
    doubles->groups++;
    return result;
}

static int cursor_outcome(struct mongo *m, mongoc_cursor_t *cursor, struct error *err)
{
    bson_error_t why;
    const bson_t *reply = NULL;
    bson_t empty = BSON_INITIALIZER;

    if (!mongoc_cursor_error_document(cursor, &why, &reply))
        return 0;
    mongo_judge(m, reply ? reply : &empty, &why, err);
    return -1;
}

static int nothing_to_delete(const char *name, struct error *err)
{
    return error_fatal(err, 0,
                       "the unique index on %s is refused, and not because of documents "
                       "with whole keys: documents without the key attributes stand in its "
                       "way; set full.enable_index.primary = false or move them",
                       name);
}

int collection_doubles_delete(struct mongo *m, const struct collection *coll, struct error *err)
{
    struct doubles doubles = {.m = m, .name = coll->name};
    AUTO(mongo_bsonp)
    bson_t *opts =
        BCON_NEW("allowDiskUse", BCON_BOOL(true), "batchSize", BCON_INT32(GROUPS_A_BATCH));
    AUTO(mongo_bsonp) bson_t *pipeline = NULL;
    mongoc_collection_t *collection;
    mongoc_cursor_t *cursor;
    const bson_t *group;
    bson_t keys;
    int result = 0;

    if (mongo_open(m, err) < 0)
        return -1;
    converter_key_pattern(&keys, coll->converter);
    pipeline = doubles_pipeline(&keys);
    bson_destroy(&keys);
    collection = mongoc_client_get_collection(m->client, m->target->database, coll->name);
    cursor = mongoc_collection_aggregate(collection, MONGOC_QUERY_NONE, pipeline, opts, NULL);
    while (result == 0 && mongoc_cursor_next(cursor, &group))
        result = delete_copies(&doubles, group, err);
    if (result == 0)
        result = cursor_outcome(m, cursor, err);
    mongoc_cursor_destroy(cursor);
    mongoc_collection_destroy(collection);
    if (result < 0)
        return error_prefix(err, "doubled keys of %s", coll->name);
    return doubles.groups > 0 ? 0 : nothing_to_delete(coll->name, err);
}
