#include "consumer/position_store.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/base/check.h"
#include "consumer/bson_read.h"

#define FIRST_BATCH "cursor.firstBatch"
#define DUPLICATE_KEY 11000

/* ---- reading ---- */

static const struct position_doc absent = {.offset = POSITION_NONE,
                                           .begin = POSITION_NONE,
                                           .rewind = POSITION_NONE,
                                           .again = POSITION_NONE};

static void doc_from_bson(struct position_doc *ret, const bson_t *doc)
{
    *ret = (struct position_doc){.found = true,
                                 .offset = bson_read_int64(doc, "offset", POSITION_NONE),
                                 .generation = bson_read_int64(doc, "generation", 0),
                                 .begin = bson_read_int64(doc, "begin", POSITION_NONE),
                                 .epoch = bson_read_int64(doc, "epoch", 0),
                                 .rewind = bson_read_int64(doc, "rewind", POSITION_NONE),
                                 .again = bson_read_int64(doc, "again", POSITION_NONE)};
    bson_read_text(ret->log_id, doc, "log_id");
    bson_read_text(ret->owner, doc, "owner");
    bson_read_text(ret->pass, doc, "pass");
    bson_read_uuid(&ret->uuid, doc, "uuid");
}

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
                     const bson_iter_t *it)
{
    const uint8_t *data;
    uint32_t len;
    bson_t doc;
    bson_iter_t id;
    struct place wanted, *found;

    if (!BSON_ITER_HOLDS_DOCUMENT(it))
        return;
    bson_iter_document(it, &len, &data);
    if (!bson_init_static(&doc, data, len) || !bson_iter_init_find(&id, &doc, "_id") ||
        !BSON_ITER_HOLDS_UTF8(&id))
        return;
    wanted.id = bson_iter_utf8(&id, NULL);
    found = bsearch(&wanted, places, count, sizeof(*places), compare_places);
    if (found)
        doc_from_bson(&ret[found->index], &doc);
}

static void take_reply(struct position_doc *ret, const char *const *ids, size_t count,
                       const bson_t *reply)
{
    struct place *places = xcalloc(count, sizeof(*places));
    bson_iter_t it, list, batch;

    for (size_t i = 0; i < count; i++) {
        ret[i] = absent;
        places[i] = (struct place){ids[i], i};
    }
    qsort(places, count, sizeof(*places), compare_places);
    if (bson_iter_init(&it, reply) && bson_iter_find_descendant(&it, FIRST_BATCH, &list) &&
        bson_iter_recurse(&list, &batch))
        while (bson_iter_next(&batch))
            take_doc(ret, places, count, &batch);
    free(places);
}

enum mongo_result position_read_many(struct mongo *m, const char *const *ids, size_t count,
                                     struct position_doc *ret, struct error *err)
{
    AUTO(mongo_bsonp) bson_t *command = NULL;
    bson_t list = BSON_INITIALIZER, reply;
    enum mongo_result result;

    CHECK(count <= POSITION_MANY_MAX);
    for (size_t i = 0; i < count; i++) {
        char digits[16];
        const char *key;

        bson_uint32_to_string((uint32_t)i, &key, digits, sizeof(digits));
        BSON_APPEND_UTF8(&list, key, ids[i]);
    }
    command = BCON_NEW("find", BCON_UTF8(POSITION_COLLECTION), "filter", "{", "_id", "{", "$in",
                       BCON_ARRAY(&list), "}", "}", "batchSize", BCON_INT32((int32_t)count),
                       "singleBatch", BCON_BOOL(true), "maxTimeMS",
                       BCON_INT64(m->target->max_time_ms));
    result = mongo_read(m, m->target->database, command, &reply, err);
    if (result == MONGO_DONE)
        take_reply(ret, ids, count, &reply);
    bson_destroy(&reply);
    bson_destroy(&list);
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

static void append_query(bson_t *q, const char *id, const struct position_change *c)
{
    const struct position_doc *seen = &c->seen;

    BSON_APPEND_UTF8(q, "_id", id);
    if (!seen->found) {
        BCON_APPEND(q, "epoch", "{", "$exists", BCON_BOOL(false), "}");
        return;
    }
    if (c->kind == POSITION_CHANGE_MARK) {
        BSON_APPEND_INT64(q, "generation", seen->generation);
        BSON_APPEND_UTF8(q, "log_id", seen->log_id);
        return;
    }
    BSON_APPEND_INT64(q, "epoch", seen->epoch);
    BSON_APPEND_UTF8(q, "owner", seen->owner);
    if (c->kind != POSITION_CHANGE_GOODBYE)
        append_offset(q, "rewind", seen->rewind);
    if (c->kind != POSITION_CHANGE_TAKE)
        return;
    append_offset(q, "again", seen->again);
    append_offset(q, "offset", seen->offset);
}

static void set_place(bson_t *set, const struct position_doc *next)
{
    BSON_APPEND_INT64(set, "offset", next->offset);
    BSON_APPEND_INT64(set, "generation", next->generation);
    BSON_APPEND_INT64(set, "begin", next->begin);
    BSON_APPEND_UTF8(set, "log_id", next->log_id);
}

static void set_all(bson_t *set, bson_t *unset, const struct position_doc *next)
{
    set_place(set, next);
    BSON_APPEND_INT64(set, "epoch", next->epoch);
    BSON_APPEND_UTF8(set, "owner", next->owner);
    BSON_APPEND_UTF8(set, "pass", next->pass);
    append_uuid(set, "uuid", &next->uuid);
    BSON_APPEND_BOOL(unset, "rewind", true);
    if (next->again == POSITION_NONE)
        BSON_APPEND_BOOL(unset, "again", true);
    else
        BSON_APPEND_INT64(set, "again", next->again);
}

static void append_update(bson_t *u, const struct position_change *c)
{
    bson_t set = BSON_INITIALIZER, unset = BSON_INITIALIZER;

    switch (c->kind) {
    case POSITION_CHANGE_TAKE:
        set_all(&set, &unset, &c->next);
        break;
    case POSITION_CHANGE_GOODBYE:
        BSON_APPEND_UTF8(&set, "owner", "");
        if (c->next.offset != POSITION_NONE)
            set_place(&set, &c->next);
        break;
    case POSITION_CHANGE_MOVE:
        set_place(&set, &c->next);
        break;
    case POSITION_CHANGE_SET_BACK:
        BSON_APPEND_INT64(&set, "offset", c->next.offset);
        BSON_APPEND_BOOL(&unset, "rewind", true);
        break;
    case POSITION_CHANGE_BEGIN_AGAIN:
        BSON_APPEND_INT64(&set, "offset", c->next.offset);
        BSON_APPEND_BOOL(&unset, "again", true);
        break;
    case POSITION_CHANGE_MARK:
        BCON_APPEND(u, "$min", "{", "rewind", BCON_INT64(c->next.rewind), "}");
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
                             const struct position_change *c)
{
    char digits[16];
    const char *key;
    bson_t statement, q, u;

    bson_uint32_to_string((uint32_t)index, &key, digits, sizeof(digits));
    BSON_APPEND_DOCUMENT_BEGIN(list, key, &statement);
    BSON_APPEND_DOCUMENT_BEGIN(&statement, "q", &q);
    append_query(&q, id, c);
    bson_append_document_end(&statement, &q);
    BSON_APPEND_DOCUMENT_BEGIN(&statement, "u", &u);
    append_update(&u, c);
    bson_append_document_end(&statement, &u);
    if (!c->seen.found)
        BSON_APPEND_BOOL(&statement, "upsert", true);
    bson_append_document_end(list, &statement);
}

/* ---- commands ---- */

/* A statement that was refused, but for a racing upsert of the same document. */
static void note_refusal(void *arg, const struct mongo_write_error *e)
{
    struct error *err = arg;

    if (e->code != DUPLICATE_KEY && err->kind == ERR_NONE)
        error_set(err, ERR_RETRY, "%s (code %" PRId32 ")", e->message, e->code);
}

static enum mongo_result update(struct mongo *m, const bson_t *statements, int64_t *matched,
                                struct error *err)
{
    AUTO(mongo_bsonp)
    bson_t *command =
        BCON_NEW("update", BCON_UTF8(POSITION_COLLECTION), "updates", BCON_ARRAY(statements),
                 "ordered", BCON_BOOL(false), "maxTimeMS", BCON_INT64(m->target->max_time_ms));
    bson_t reply;
    enum mongo_result result = mongo_write(m, m->target->database, command, &reply, err);

    if (result == MONGO_DONE) {
        *matched = mongo_reply_n(&reply);
        err->kind = ERR_NONE;
        mongo_reply_write_errors(&reply, note_refusal, err);
        if (err->kind != ERR_NONE)
            result = MONGO_AGAIN;
    }
    bson_destroy(&reply);
    return result;
}

enum mongo_result position_change_many(struct mongo *m, const char *const *ids,
                                       const struct position_change *const *changes,
                                       size_t count, bool *all, struct error *err)
{
    bson_t list = BSON_INITIALIZER;
    enum mongo_result result;
    int64_t matched = 0;

    CHECK(count <= POSITION_MANY_MAX);
    for (size_t i = 0; i < count; i++)
        append_statement(&list, i, ids[i], changes[i]);
    result = update(m, &list, &matched, err);
    bson_destroy(&list);
    if (result == MONGO_DONE)
        *all = matched == (int64_t)count; /* the error of a racing upsert lowers it */
    return result;
}

enum mongo_result position_rewind(struct mongo *m, const char *id, int64_t offset,
                                  struct error *err)
{
    AUTO(mongo_bsonp)
    bson_t *statements = BCON_NEW("0", "{", "q", "{", "_id", BCON_UTF8(id), "}", "u", "{",
                                  "$min", "{", "rewind", BCON_INT64(offset), "}", "}", "}");
    int64_t matched;

    return update(m, statements, &matched, err);
}

enum mongo_result position_any(struct mongo *m, const char *topic, bool *any, struct error *err)
{
    AUTO(free_charp) char *from = xasprintf("%s/", topic), *to = xasprintf("%s0", topic);
    AUTO(mongo_bsonp)
    bson_t *command = BCON_NEW("find", BCON_UTF8(POSITION_COLLECTION), "filter", "{", "_id",
                               "{", "$gte", BCON_UTF8(from), "$lt", BCON_UTF8(to), "}", "}",
                               "limit", BCON_INT32(1), "singleBatch", BCON_BOOL(true),
                               "maxTimeMS", BCON_INT64(m->target->max_time_ms));
    bson_t reply, first;
    enum mongo_result result = mongo_read(m, m->target->database, command, &reply, err);

    if (result == MONGO_DONE)
        *any = bson_read_document(&first, &reply, FIRST_BATCH ".0");
    bson_destroy(&reply);
    return result;
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

int position_prove_rights(struct mongo *m, struct error *err)
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
