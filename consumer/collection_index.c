/* The indexes of a collection, and its shard key. */
#include <string.h>

#include "consumer/bson_read.h"
#include "consumer/collection.h"

#define DUPLICATE_KEY 11000
#define PATTERN_MAX 8192

struct wanted_indexes {
    bson_t keys[2];
    struct index_wanted index[2];
    int count;
};

static void wanted_release(struct wanted_indexes *w)
{
    for (int i = 0; i < w->count; i++)
        bson_destroy(&w->keys[i]);
}

void index_key_pattern(bson_t *ret, const struct converter *c)
{
    struct buf pattern;
    bson_t view;

    buf_init(&pattern, PATTERN_MAX);
    convert_index_pattern(&pattern, c);
    if (!pattern.overflow && bson_init_static(&view, (const uint8_t *)pattern.p, pattern.len))
        bson_copy_to(&view, ret);
    else
        bson_init(ret);
    buf_release(&pattern);
}

/* The name under which the partition key's value stands: "pk" or "pk.S". */
static void partition_pattern(bson_t *ret, const struct converter *c, bool hashed)
{
    bson_t whole;
    bson_iter_t it;

    index_key_pattern(&whole, c);
    bson_init(ret);
    if (bson_iter_init(&it, &whole) && bson_iter_next(&it)) {
        if (hashed)
            BSON_APPEND_UTF8(ret, bson_iter_key(&it), "hashed");
        else
            BSON_APPEND_INT32(ret, bson_iter_key(&it), 1);
    }
    bson_destroy(&whole);
}

static bson_t *wanted_add(struct wanted_indexes *w, const char *name, bool unique)
{
    bson_t *keys = &w->keys[w->count];

    w->index[w->count++] = (struct index_wanted){.keys = keys, .name = name, .unique = unique};
    return keys;
}

/* In place: a bson_t must not be moved. */
static void wanted_init(struct wanted_indexes *w, const struct mongo *m,
                        const struct collection *c)
{
    const struct converter *v = c->converter;
    bool primary = c->want_index && v->identity == IDENTITY_OBJECTID;
    bool hashed = m->target->sharded;

    w->count = 0;
    if (!convert_key_indexable(v->schema))
        return;
    if (primary)
        index_key_pattern(wanted_add(w, "dynaferry_key", true), v);
    /* Without a sort key the unique one is on the partition key already. */
    if (hashed || (primary && v->schema->range.name))
        partition_pattern(wanted_add(w, "dynaferry_partition_key", false), v, hashed);
}

bool collection_wants_indexes(const struct mongo *m, const struct collection *c)
{
    struct wanted_indexes w;

    wanted_init(&w, m, c);
    wanted_release(&w);
    return w.count > 0;
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

bool index_is_listed(const bson_t *reply, const struct index_wanted *w)
{
    bson_iter_t it, list, unique;

    if (!bson_iter_init(&it, reply) ||
        !bson_iter_find_descendant(&it, "cursor.firstBatch", &list) ||
        !bson_iter_recurse(&list, &it))
        return false;
    while (bson_iter_next(&it)) {
        const uint8_t *data;
        uint32_t len;
        bson_t index, keys;

        if (!BSON_ITER_HOLDS_DOCUMENT(&it))
            continue;
        bson_iter_document(&it, &len, &data);
        if (!bson_init_static(&index, data, len) || !bson_read_document(&keys, &index, "key") ||
            !same_pattern(&keys, w->keys))
            continue;
        if (!w->unique ||
            (bson_iter_init_find(&unique, &index, "unique") && bson_iter_as_bool(&unique)))
            return true;
    }
    return false;
}

enum mongo_result index_list(struct mongo *m, const char *collection, bson_t *reply,
                             struct error *err)
{
    AUTO(mongo_bsonp)
    bson_t *command = BCON_NEW("listIndexes", BCON_UTF8(collection), "cursor", "{", "batchSize",
                               BCON_INT32(1000), "}");

    return mongo_read(m, m->target->database, command, reply, err);
}

int collection_indexed(struct mongo *m, const struct collection *c, bool *ret,
                       struct error *err)
{
    struct wanted_indexes w;
    bool all = true;
    enum mongo_result result = MONGO_DONE;
    bson_t reply;

    wanted_init(&w, m, c);
    if (w.count > 0) {
        result = index_list(m, c->name, &reply, err);
        for (int i = 0; result == MONGO_DONE && i < w.count; i++)
            all = all && index_is_listed(&reply, &w.index[i]);
        bson_destroy(&reply);
    }
    wanted_release(&w);
    if (result != MONGO_DONE)
        return error_prefix(err, "indexes of %s", c->name);
    *ret = all;
    return 0;
}

enum mongo_result index_create(struct mongo *m, const char *collection,
                               const struct index_wanted *w, int32_t *code, struct error *err)
{
    AUTO(mongo_bsonp)
    bson_t *command = BCON_NEW("createIndexes", BCON_UTF8(collection), "indexes", "[", "{",
                               "key", BCON_DOCUMENT(w->keys), "name", BCON_UTF8(w->name),
                               "unique", BCON_BOOL(w->unique), "}", "]");
    bson_t reply;
    enum mongo_result result = mongo_write(m, m->target->database, command, &reply, err);

    *code = m->answered_no ? mongo_reply_code(&reply) : 0;
    bson_destroy(&reply);
    if (result != MONGO_DONE)
        error_prefix(err, "index %s on %s", w->name, collection);
    return result;
}

int collection_index(struct mongo *m, const struct collection *c, bool *doubled,
                     struct error *err)
{
    struct wanted_indexes w;
    enum mongo_result result = MONGO_DONE;
    int32_t code = 0;

    wanted_init(&w, m, c);
    for (int i = 0; i < w.count && result == MONGO_DONE; i++)
        result = index_create(m, c->name, &w.index[i], &code, err);
    wanted_release(&w);
    *doubled = result != MONGO_DONE && code == DUPLICATE_KEY;
    return result == MONGO_DONE || *doubled ? 0 : -1;
}

/* ---- sharding ---- */

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
static int shard_key(bson_t *ret, struct mongo *m, const struct collection *c,
                     struct error *err)
{
    const struct index_wanted on_id = {.keys = ret, .name = "dynaferry_id_hashed"};
    int32_t code;

    if (convert_key_indexable(c->converter->schema)) { /* it is one of the wanted indexes */
        partition_pattern(ret, c->converter, true);
        return 0;
    }
    bson_init(ret);
    BSON_APPEND_UTF8(ret, "_id", "hashed");
    return index_create(m, c->name, &on_id, &code, err) == MONGO_DONE ? 0 : -1;
}

int collection_shard(struct mongo *m, const struct collection *c, struct error *err)
{
    AUTO(free_charp) char *namespace = xasprintf("%s.%s", m->target->database, c->name);
    enum mongo_result result;
    int32_t code;
    bson_t key;

    if (enable_sharding(m, err) < 0)
        return -1;
    if (shard_key(&key, m, c, err) < 0) {
        bson_destroy(&key);
        return -1;
    }
    result =
        admin(m, BCON_NEW("shardCollection", BCON_UTF8(namespace), "key", BCON_DOCUMENT(&key)),
              &code, err);
    bson_destroy(&key);
    return result == MONGO_DONE ? 0 : error_prefix(err, "shardCollection %s", namespace);
}
