#include "consumer/position_store.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/base/check.h"
#include "common/base/mutation.h"
#include "common/mongo/mongo_find.h"
#include "common/mongo/mongo_update.h"

/* ---- reading ---- */

/* Where each id stands, sorted by id. */
struct place {
    const char *id;
    size_t index;
};

static int compare_places(const void *a, const void *b)
{
    return strcmp(((const struct place *)a)->id, ((const struct place *)b)->id);
}

static void take_doc(struct position_doc *ret, const struct place *places, size_t count,
                     const bson_t *doc)
{
    struct place wanted, *found;
    bson_iter_t id;

    if (!bson_iter_init_find(&id, doc, "_id") || !BSON_ITER_HOLDS_UTF8(&id))
        return;
    wanted.id = bson_iter_utf8(&id, NULL);
    found = bsearch(&wanted, places, count, sizeof(*places), compare_places);
    if (found)
        position_doc_read(&ret[found->index], doc);
}

static void take_reply(struct position_doc *ret, const char *const *ids, size_t count,
                       const bson_t *reply)
{
    struct place *places = xcalloc(count, sizeof(*places));
    bson_iter_t it;
    bson_t doc;

    for (size_t i = 0; i < count; i++) {
        ret[i] = position_doc_absent;
        places[i] = (struct place){ids[i], i};
    }
    qsort(places, count, sizeof(*places), compare_places);
    if (mongo_find_begin(&it, reply))
        while (mongo_find_next(&it, &doc))
            take_doc(ret, places, count, &doc);
    free(places);
}

static bson_t *filter_of(const char *const *ids, size_t count)
{
    bson_t list = BSON_INITIALIZER;
    bson_t *filter;

    for (size_t i = 0; i < count; i++) {
        char digits[16];
        const char *key;

        bson_uint32_to_string((uint32_t)i, &key, digits, sizeof(digits));
        BSON_APPEND_UTF8(&list, key, ids[i]);
    }
    filter = BCON_NEW("_id", "{", "$in", BCON_ARRAY(&list), "}");
    bson_destroy(&list);
    return filter;
}

enum mongo_result position_store_read(struct mongo *m, const char *const *ids, size_t count,
                                      struct position_doc *ret, struct error *err)
{
    AUTO(mongo_bsonp) bson_t *filter = filter_of(ids, count);
    enum mongo_result result;
    bson_t reply;

    CHECK(count <= POSITION_MANY_MAX);
    result = mongo_find(m, POSITION_COLLECTION, filter, (int32_t)count, &reply, err);
    if (result == MONGO_DONE)
        take_reply(ret, ids, count, &reply);
    bson_destroy(&reply);
    return result;
}

/* ---- statements ---- */

static void append_offset(bson_t *q, const char *name, int64_t offset)
{
    if (offset == POSITION_NONE) /* also true for a document without the field */
        BSON_APPEND_NULL(q, name);
    else
        BSON_APPEND_INT64(q, name, offset);
}

static void append_pass(bson_t *q, const char *pass)
{
    if (pass[0])
        BSON_APPEND_UTF8(q, "pass", pass);
    else /* also in a document without the field */
        BCON_APPEND(q, "pass", "{", "$in", "[", BCON_UTF8(""), BCON_NULL, "]", "}");
}

static void append_query(bson_t *q, const char *id, const struct position_change *change)
{
    const struct position_doc *seen = &change->seen;

    BSON_APPEND_UTF8(q, "_id", id);
    if (!seen->found) {
        BCON_APPEND(q, "epoch", "{", "$exists", BCON_BOOL(false), "}");
        return;
    }
    if (change->kind == POSITION_CHANGE_MARK) {
        BSON_APPEND_INT64(q, "generation", seen->generation);
        BSON_APPEND_UTF8(q, "log_id", seen->log_id);
        return;
    }
    BSON_APPEND_INT64(q, "epoch", seen->epoch);
    BSON_APPEND_UTF8(q, "owner", seen->owner);
    if (change->kind != POSITION_CHANGE_GOODBYE)
        append_offset(q, "rewind", seen->rewind);
    if (change->kind != POSITION_CHANGE_TAKE)
        return;
    append_offset(q, "again", seen->again);
    append_offset(q, "offset", seen->offset);
    if (!MUTATED(take_pass))
        append_pass(q, seen->pass);
}

static void set_place(bson_t *set, const struct position_doc *next)
{
    BSON_APPEND_INT64(set, "offset", next->offset);
    BSON_APPEND_INT64(set, "generation", next->generation);
    BSON_APPEND_INT64(set, "begin", next->begin);
    BSON_APPEND_INT64(set, "rows_begin", next->rows_begin);
    BSON_APPEND_UTF8(set, "log_id", next->log_id);
    BSON_APPEND_UTF8(set, "pass", next->pass);
}

static void set_way_back(bson_t *set, const struct position_doc *next)
{
    BSON_APPEND_INT64(set, "offset", next->offset);
    BSON_APPEND_INT64(set, "rows_begin", next->rows_begin);
    BSON_APPEND_UTF8(set, "pass", next->pass);
}

static void set_all(bson_t *set, bson_t *unset, const struct position_doc *next)
{
    set_place(set, next);
    BSON_APPEND_INT64(set, "epoch", next->epoch);
    BSON_APPEND_UTF8(set, "owner", next->owner);
    uuid_append(set, "uuid", &next->uuid);
    BSON_APPEND_BOOL(unset, "rewind", true);
    if (next->again == POSITION_NONE)
        BSON_APPEND_BOOL(unset, "again", true);
    else
        BSON_APPEND_INT64(set, "again", next->again);
}

static void append_update(bson_t *u, const struct position_change *change)
{
    bson_t set = BSON_INITIALIZER, unset = BSON_INITIALIZER;

    switch (change->kind) {
    case POSITION_CHANGE_TAKE:
        set_all(&set, &unset, &change->next);
        break;
    case POSITION_CHANGE_GOODBYE:
        BSON_APPEND_UTF8(&set, "owner", "");
        if (change->next.offset != POSITION_NONE)
            set_place(&set, &change->next);
        break;
    case POSITION_CHANGE_MOVE:
        set_place(&set, &change->next);
        break;
    case POSITION_CHANGE_SET_BACK:
        set_way_back(&set, &change->next);
        BSON_APPEND_BOOL(&unset, "rewind", true);
        break;
    case POSITION_CHANGE_BEGIN_AGAIN:
        set_way_back(&set, &change->next);
        BSON_APPEND_BOOL(&unset, "again", true);
        break;
    case POSITION_CHANGE_MARK:
        BCON_APPEND(u, "$min", "{", "rewind", BCON_INT64(change->next.rewind), "}");
        break;
    }
    if (bson_count_keys(&set) > 0)
        BSON_APPEND_DOCUMENT(u, "$set", &set);
    if (bson_count_keys(&unset) > 0)
        BSON_APPEND_DOCUMENT(u, "$unset", &unset);
    bson_destroy(&set);
    bson_destroy(&unset);
}

static void append_statement(bson_t *list, size_t index, const char *id,
                             const struct position_change *change)
{
    char digits[16];
    const char *key;
    bson_t statement, q, u;

    bson_uint32_to_string((uint32_t)index, &key, digits, sizeof(digits));
    BSON_APPEND_DOCUMENT_BEGIN(list, key, &statement);
    BSON_APPEND_DOCUMENT_BEGIN(&statement, "q", &q);
    append_query(&q, id, change);
    bson_append_document_end(&statement, &q);
    BSON_APPEND_DOCUMENT_BEGIN(&statement, "u", &u);
    append_update(&u, change);
    bson_append_document_end(&statement, &u);
    if (!change->seen.found)
        BSON_APPEND_BOOL(&statement, "upsert", true);
    bson_append_document_end(list, &statement);
}

/* ---- commands ---- */

enum mongo_result position_store_change(struct mongo *m, const char *const *ids,
                                        const struct position_change *const *changes,
                                        size_t count, bool *all, struct error *err)
{
    bson_t list = BSON_INITIALIZER;
    enum mongo_result result;
    int64_t matched = 0;

    CHECK(count <= POSITION_MANY_MAX);
    for (size_t i = 0; i < count; i++)
        append_statement(&list, i, ids[i], changes[i]);
    result = mongo_update(m, POSITION_COLLECTION, &list, &matched, err);
    bson_destroy(&list);
    if (result == MONGO_DONE)
        *all = matched == (int64_t)count; /* the error of a racing upsert lowers it */
    return result;
}

int position_store_rewind(struct mongo *m, const char *id, int64_t offset, struct error *err)
{
    AUTO(mongo_bsonp) bson_t *query = BCON_NEW("_id", BCON_UTF8(id));
    AUTO(mongo_bsonp)
    bson_t *change = BCON_NEW("$min", "{", "rewind", BCON_INT64(offset), "}");
    enum mongo_result result =
        mongo_update_one(m, POSITION_COLLECTION, query, change, false, NULL, err);

    return result == MONGO_DONE ? 0 : error_prefix(err, "rewind");
}

int position_store_any(bool *ret, struct mongo *m, const char *topic, struct error *err)
{
    AUTO(free_charp) char *from = xasprintf("%s/", topic), *to = xasprintf("%s0", topic);
    AUTO(mongo_bsonp)
    bson_t *filter = BCON_NEW("_id", "{", "$gte", BCON_UTF8(from), "$lt", BCON_UTF8(to), "}");
    AUTO(mongo_bsonp) bson_t *first = NULL;

    if (mongo_find_one(&first, m, POSITION_COLLECTION, filter, err) < 0)
        return error_prefix(err, "positions");
    *ret = first;
    return 0;
}

/* ---- the right to write ---- */

#define PROOF_ID "right to write"

/* Runs and frees the command. */
static int prove(struct mongo *m, bson_t *command, const char *what, struct error *err)
{
    bson_t reply;
    enum mongo_result result = mongo_write(m, m->target->database, command, &reply, err);
    bool done = result == MONGO_DONE && mongo_reply_n(&reply) == 1;

    bson_destroy(&reply);
    bson_destroy(command);
    if (done)
        return 0;
    if (result == MONGO_DONE)
        error_set(err, ERR_RETRY, "it was not done");
    return error_prefix(err, "%s in database %s", what, m->target->database);
}

int position_store_prove_rights(struct mongo *m, struct error *err)
{
    bson_t *put = BCON_NEW("update", BCON_UTF8(POSITION_COLLECTION), "updates", "[", "{", "q",
                           "{", "_id", BCON_UTF8(PROOF_ID), "}", "u", "{", "$set", "{", "by",
                           BCON_UTF8("start"), "}", "}", "upsert", BCON_BOOL(true), "}", "]",
                           "maxTimeMS", BCON_INT64(m->target->max_time_ms));
    bson_t *take = BCON_NEW("delete", BCON_UTF8(POSITION_COLLECTION), "deletes", "[", "{", "q",
                            "{", "_id", BCON_UTF8(PROOF_ID), "}", "limit", BCON_INT32(1), "}",
                            "]", "maxTimeMS", BCON_INT64(m->target->max_time_ms));

    if (prove(m, put, "writing", err) == 0)
        return prove(m, take, "removing", err);
    bson_destroy(take);
    return -1;
}
