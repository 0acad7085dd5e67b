#include "consumer/collection_index.h"

#include <string.h>

#include "common/mongo/mongo_find.h"
#include "common/mongo/bson_read.h"

struct wanted_indexes {
    bson_t keys[2];
    struct collection_index index[2];
    int count;
};

static void wanted_release(struct wanted_indexes *wanted)
{
    for (int i = 0; i < wanted->count; i++)
        bson_destroy(&wanted->keys[i]);
}

void collection_index_partition_key(bson_t *ret, const struct converter *converter, bool hashed)
{
    bson_t whole;
    bson_iter_t it;

    converter_key_pattern(&whole, converter);
    bson_init(ret);
    if (bson_iter_init(&it, &whole) && bson_iter_next(&it)) {
        if (hashed)
            BSON_APPEND_UTF8(ret, bson_iter_key(&it), "hashed");
        else
            BSON_APPEND_INT32(ret, bson_iter_key(&it), 1);
    }
    bson_destroy(&whole);
}

static bson_t *wanted_add(struct wanted_indexes *wanted, const char *name, bool unique)
{
    bson_t *keys = &wanted->keys[wanted->count];

    wanted->index[wanted->count++] =
        (struct collection_index){.keys = keys, .name = name, .unique = unique};
    return keys;
}

/* In place: a bson_t must not be moved. */
static void wanted_init(struct wanted_indexes *wanted, const struct mongo *m,
                        const struct collection *coll)
{
    const struct converter *converter = coll->converter;
    bool primary = coll->want_index && converter->identity == IDENTITY_OBJECTID;
    bool hashed = m->target->sharded;

    wanted->count = 0;
    if (!converter_can_index(converter->schema))
        return;
    if (primary)
        converter_key_pattern(wanted_add(wanted, "dynaferry_key", true), converter);
    /* Without a sort key the unique one is on the partition key already. */
    if (hashed || (primary && converter->schema->range.name))
        collection_index_partition_key(wanted_add(wanted, "dynaferry_partition_key", false),
                                       converter, hashed);
}

bool collection_index_is_wanted(const struct mongo *m, const struct collection *coll)
{
    struct wanted_indexes wanted;

    wanted_init(&wanted, m, coll);
    wanted_release(&wanted);
    return wanted.count > 0;
}

/* Compares names and directions; a number may come back as another type. */
static bool same_pattern(const bson_t *a, const bson_t *b)
{
    bson_iter_t x, y;

    if (bson_count_keys(a) != bson_count_keys(b) || !bson_iter_init(&x, a) ||
        !bson_iter_init(&y, b))
        return false;
    while (bson_iter_next(&x) && bson_iter_next(&y)) {
        bool text = BSON_ITER_HOLDS_UTF8(&x);

        if (strcmp(bson_iter_key(&x), bson_iter_key(&y)) != 0 ||
            text != (bool)BSON_ITER_HOLDS_UTF8(&y))
            return false;
        if (text ? strcmp(bson_iter_utf8(&x, NULL), bson_iter_utf8(&y, NULL)) != 0
                 : bson_iter_as_int64(&x) != bson_iter_as_int64(&y))
            return false;
    }
    return true;
}

bool collection_index_is_listed(const bson_t *reply, const struct collection_index *index)
{
    bson_iter_t it;
    bson_t listed, keys;

    if (!mongo_find_begin(&it, reply))
        return false;
    while (mongo_find_next(&it, &listed))
        if (bson_read_document(&keys, &listed, "key") && same_pattern(&keys, index->keys) &&
            (!index->unique || bson_read_bool(&listed, "unique")))
            return true;
    return false;
}

enum mongo_result collection_index_list(struct mongo *m, const char *collection, bson_t *reply,
                                        struct error *err)
{
    AUTO(mongo_bsonp)
    bson_t *command = BCON_NEW("listIndexes", BCON_UTF8(collection), "cursor", "{", "batchSize",
                               BCON_INT32(1000), "}");

    return mongo_read(m, m->target->database, command, reply, err);
}

int collection_index_look(bool *ret, struct mongo *m, const struct collection *coll,
                          struct error *err)
{
    struct wanted_indexes wanted;
    bool all = true;
    enum mongo_result result = MONGO_DONE;
    bson_t reply;

    wanted_init(&wanted, m, coll);
    if (wanted.count > 0) {
        result = collection_index_list(m, coll->name, &reply, err);
        for (int i = 0; result == MONGO_DONE && i < wanted.count; i++)
            all = all && collection_index_is_listed(&reply, &wanted.index[i]);
        bson_destroy(&reply);
    }
    wanted_release(&wanted);
    if (result != MONGO_DONE)
        return error_prefix(err, "indexes of %s", coll->name);
    *ret = all;
    return 0;
}

enum mongo_result collection_index_create(struct mongo *m, const char *collection,
                                          const struct collection_index *index, int32_t *code,
                                          struct error *err)
{
    AUTO(mongo_bsonp)
    bson_t *command =
        BCON_NEW("createIndexes", BCON_UTF8(collection), "indexes", "[", "{", "key",
                 BCON_DOCUMENT(index->keys), "name", BCON_UTF8(index->name), "unique",
                 BCON_BOOL(index->unique), "}", "]");
    bson_t reply;
    enum mongo_result result = mongo_write(m, m->target->database, command, &reply, err);

    *code = m->answered_no ? mongo_reply_code(&reply) : 0;
    bson_destroy(&reply);
    if (result != MONGO_DONE)
        error_prefix(err, "index %s on %s", index->name, collection);
    return result;
}

int collection_index_build(bool *doubled, struct mongo *m, const struct collection *coll,
                           struct error *err)
{
    struct wanted_indexes wanted;
    enum mongo_result result = MONGO_DONE;
    int32_t code = 0;

    wanted_init(&wanted, m, coll);
    for (int i = 0; i < wanted.count && result == MONGO_DONE; i++)
        result = collection_index_create(m, coll->name, &wanted.index[i], &code, err);
    wanted_release(&wanted);
    *doubled = result != MONGO_DONE && code == MONGO_DUPLICATE_KEY;
    return result == MONGO_DONE || *doubled ? 0 : -1;
}
