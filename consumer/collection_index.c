/* The indexes of a collection, and its shard key. */
#include <string.h>

#include "consumer/bson_member.h"
#include "consumer/collection.h"

#define DUPLICATE_KEY 11000
#define PATTERN_MAX 8192

struct wanted_index {
    bson_t keys;
    bool unique;
    const char *name;
};
struct wanted_indexes {
    struct wanted_index index[2];
    int count;
};

static void wanted_release(struct wanted_indexes *w)
{
    for (int i = 0; i < w->count; i++)
        bson_destroy(&w->index[i].keys);
}

static void key_pattern(bson_t *ret, const struct converter *c)
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

    key_pattern(&whole, c);
    bson_init(ret);
    if (bson_iter_init(&it, &whole) && bson_iter_next(&it)) {
        if (hashed)
            BSON_APPEND_UTF8(ret, bson_iter_key(&it), "hashed");
        else
            BSON_APPEND_INT32(ret, bson_iter_key(&it), 1);
    }
    bson_destroy(&whole);
}

static struct wanted_index *wanted_add(struct wanted_indexes *w, const char *name, bool unique)
{
    struct wanted_index *index = &w->index[w->count++];

    index->name = name;
    index->unique = unique;
    return index;
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
        key_pattern(&wanted_add(w, "dynaferry_key", true)->keys, v);
    /* Without a sort key the unique one is on the partition key already. */
    if (hashed || (primary && v->schema->range.name))
        partition_pattern(&wanted_add(w, "dynaferry_partition_key", false)->keys, v, hashed);
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

static bool reply_has(const bson_t *reply, const struct wanted_index *w)
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
        if (!bson_init_static(&index, data, len) || !member_document(&keys, &index, "key") ||
            !same_pattern(&keys, &w->keys))
            continue;
        if (!w->unique ||
            (bson_iter_init_find(&unique, &index, "unique") && bson_iter_as_bool(&unique)))
            return true;
    }
    return false;
}

static enum mongo_result list_indexes(struct mongo *m, const char *name, bson_t *reply,
                                      struct error *err)
{
    AUTO(mongo_bsonp)
    bson_t *command = BCON_NEW("listIndexes", BCON_UTF8(name), "cursor", "{", "batchSize",
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
        result = list_indexes(m, c->name, &reply, err);
        for (int i = 0; result == MONGO_DONE && i < w.count; i++)
            all = all && reply_has(&reply, &w.index[i]);
        bson_destroy(&reply);
    }
    wanted_release(&w);
    if (result != MONGO_DONE)
        return error_prefix(err, "indexes of %s", c->name);
    *ret = all;
    return 0;
}

static enum mongo_result create_index(struct mongo *m, const char *name,
                                      const struct wanted_index *w, bool *doubled,
                                      struct error *err)
{
    AUTO(mongo_bsonp)
    bson_t *command = BCON_NEW("createIndexes", BCON_UTF8(name), "indexes", "[", "{", "key",
                               BCON_DOCUMENT(&w->keys), "name", BCON_UTF8(w->name), "unique",
                               BCON_BOOL(w->unique), "}", "]");
    bson_t reply;
    enum mongo_result result = mongo_write(m, m->target->database, command, &reply, err);

    *doubled = result == MONGO_REFUSED && mongo_reply_code(&reply) == DUPLICATE_KEY;
    bson_destroy(&reply);
    return result;
}

/* ---- documents that share a key ---- */

/* {$group: {_id: {a: "$pk", b: "$sk"}, ids: {$push: "$_id"}, n: {$sum: 1}}}, n > 1. Documents
 * without the whole key are the user's own and never touched. */
static bson_t *doubles_command(const char *name, const bson_t *keys)
{
    bson_t *command = bson_new();
    bson_t have = BSON_INITIALIZER, by = BSON_INITIALIZER;
    bson_iter_t it;
    char label[2] = "a";

    for (bson_iter_init(&it, keys); bson_iter_next(&it); label[0]++) {
        AUTO(free_charp) char *path = xasprintf("$%s", bson_iter_key(&it));

        BSON_APPEND_UTF8(&by, label, path);
        BCON_APPEND(&have, bson_iter_key(&it), "{", "$exists", BCON_BOOL(true), "}");
    }
    BCON_APPEND(command, "aggregate", BCON_UTF8(name), "pipeline", "[", "{", "$match",
                BCON_DOCUMENT(&have), "}", "{", "$group", "{", "_id", BCON_DOCUMENT(&by), "ids",
                "{", "$push", "$_id", "}", "n", "{", "$sum", BCON_INT32(1), "}", "}", "}", "{",
                "$match", "{", "n", "{", "$gt", BCON_INT32(1), "}", "}", "}", "]", "cursor",
                "{", "batchSize", BCON_INT32(1000), "}", "allowDiskUse", BCON_BOOL(true));
    bson_destroy(&have);
    bson_destroy(&by);
    return command;
}

/* Deletes all ids of a group but its first. */
static enum mongo_result delete_copies(struct mongo *m, const char *name, bson_iter_t *ids,
                                       struct error *err)
{
    bson_t list = BSON_INITIALIZER, reply;
    bson_t *command;
    enum mongo_result result;
    char digits[16];
    const char *key;
    uint32_t n = 0;

    bson_iter_next(ids); /* the one that stays */
    while (bson_iter_next(ids)) {
        bson_uint32_to_string(n++, &key, digits, sizeof(digits));
        bson_append_iter(&list, key, -1, ids);
    }
    command = BCON_NEW("delete", BCON_UTF8(name), "deletes", "[", "{", "q", "{", "_id", "{",
                       "$in", BCON_ARRAY(&list), "}", "}", "limit", BCON_INT32(0), "}", "]");
    result = mongo_write(m, m->target->database, command, &reply, err);
    bson_destroy(&reply);
    bson_destroy(command);
    bson_destroy(&list);
    return result;
}

/* One answer's worth of doubled keys; the caller tries the index again until none stands in its
 * way. */
static int delete_doubles(struct mongo *m, const char *name, const bson_t *keys,
                          struct error *err)
{
    AUTO(mongo_bsonp) bson_t *command = doubles_command(name, keys);
    bson_t reply;
    bson_iter_t it, groups, ids;
    enum mongo_result result = mongo_read(m, m->target->database, command, &reply, err);
    int count = 0;

    if (result == MONGO_DONE && bson_iter_init(&it, &reply) &&
        bson_iter_find_descendant(&it, "cursor.firstBatch", &groups) &&
        bson_iter_recurse(&groups, &it))
        while (result == MONGO_DONE && bson_iter_next(&it)) {
            bson_iter_t group, list;

            if (!bson_iter_recurse(&it, &group) || !bson_iter_find(&group, "ids") ||
                !bson_iter_recurse(&group, &list))
                continue;
            ids = list;
            result = delete_copies(m, name, &ids, err);
            count++;
        }
    bson_destroy(&reply);
    if (result != MONGO_DONE)
        return error_prefix(err, "doubled keys of %s", name);
    if (count == 0)
        return error_fatal(err, 0,
                           "the unique index on %s is refused, and not because of documents "
                           "with whole keys: documents without the key attributes stand in its "
                           "way; set full.enable_index.primary = false or move them",
                           name);
    return count;
}

static int make_index(struct mongo *m, const struct collection *c, const struct wanted_index *w,
                      bool *doubled, struct error *err)
{
    for (;;) {
        bool refused = false;
        enum mongo_result result = create_index(m, c->name, w, &refused, err);

        if (result == MONGO_DONE)
            return 0;
        if (!refused) {
            if (err->kind == ERR_DATA)
                err->kind = ERR_FATAL;
            return error_prefix(err, "index %s on %s", w->name, c->name);
        }
        if (delete_doubles(m, c->name, &w->keys, err) < 0)
            return -1;
        *doubled = true;
    }
}

int collection_index(struct mongo *m, const struct collection *c, bool *doubled,
                     struct error *err)
{
    struct wanted_indexes w;
    int result = 0;

    wanted_init(&w, m, c);
    for (int i = 0; i < w.count && result == 0; i++)
        result = make_index(m, c, &w.index[i], doubled, err);
    wanted_release(&w);
    return result;
}

/* ---- sharding ---- */

static int admin(struct mongo *m, bson_t *command, const char *what, struct error *err)
{
    bson_t reply;
    enum mongo_result result = mongo_write(m, "admin", command, &reply, err);

    bson_destroy(&reply);
    bson_destroy(command);
    if (result == MONGO_DONE)
        return 0;
    if (err->kind == ERR_DATA)
        err->kind = ERR_FATAL;
    return error_prefix(err, "%s", what);
}

int collection_shard(struct mongo *m, const struct collection *c, struct error *err)
{
    AUTO(free_charp) char *namespace = xasprintf("%s.%s", m->target->database, c->name);
    bson_t key;
    int result;

    if (admin(m, BCON_NEW("enableSharding", BCON_UTF8(m->target->database)), "enableSharding",
              err) < 0)
        return -1;
    if (convert_key_indexable(c->converter->schema)) {
        partition_pattern(&key, c->converter, true);
    } else {
        bson_init(&key);
        BSON_APPEND_UTF8(&key, "_id", "hashed");
    }
    result =
        admin(m, BCON_NEW("shardCollection", BCON_UTF8(namespace), "key", BCON_DOCUMENT(&key)),
              namespace, err);
    bson_destroy(&key);
    return result;
}
