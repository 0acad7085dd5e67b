#include "fullcheck/mongo_side.h"

#include "common/mongo/mongo_find.h"

#define NAMESPACE_NOT_FOUND 26

int mongo_side_find(struct mongo *mongo, const struct mongo_find_all *find, struct error *err)
{
    if (mongo_find_all(mongo, find, err) == MONGO_DONE)
        return 0;
    return error_prefix(err, "MongoDB");
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
