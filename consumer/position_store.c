#include "consumer/position_store.h"

#include "common/bytes.h"
#include "consumer/bson_member.h"

#define DUPLICATE_KEY 11000
#define FIRST_FOUND "cursor.firstBatch.0"

/* ---- reading a document ---- */

static void doc_from_bson(struct position_doc *ret, const bson_t *doc)
{
    *ret = (struct position_doc){.found = true,
                                 .offset = member_int64(doc, "offset", POSITION_NONE),
                                 .generation = member_int64(doc, "generation", 0),
                                 .epoch = member_int64(doc, "epoch", 0),
                                 .rewind = member_int64(doc, "rewind", POSITION_NONE),
                                 .again = member_int64(doc, "again", POSITION_NONE)};
    member_text(ret->log_id, doc, "log_id");
    member_text(ret->owner, doc, "owner");
    member_text(ret->pass, doc, "pass");
    member_uuid(&ret->uuid, doc, "uuid");
}

/* The document under path in a reply; null and absent are "not found". */
static void doc_from_reply(struct position_doc *ret, const bson_t *reply, const char *path)
{
    bson_t doc;

    *ret = (struct position_doc){
        .offset = POSITION_NONE, .rewind = POSITION_NONE, .again = POSITION_NONE};
    if (member_document(&doc, reply, path))
        doc_from_bson(ret, &doc);
}

enum mongo_result position_read(struct mongo *m, const char *id, struct position_doc *ret,
                                struct error *err)
{
    AUTO(mongo_bsonp)
    bson_t *command =
        BCON_NEW("find", BCON_UTF8(POSITION_COLLECTION), "filter", "{", "_id", BCON_UTF8(id),
                 "}", "limit", BCON_INT32(1), "singleBatch", BCON_BOOL(true), "maxTimeMS",
                 BCON_INT64(m->target->max_time_ms));
    bson_t reply;
    enum mongo_result result = mongo_read(m, m->target->database, command, &reply, err);

    if (result == MONGO_DONE)
        doc_from_reply(ret, &reply, FIRST_FOUND);
    bson_destroy(&reply);
    return result;
}

/* ---- taking over ---- */

static enum mongo_result grab_once(struct mongo *m, const char *id, const char *me,
                                   struct position_doc *old, struct error *err)
{
    AUTO(mongo_bsonp)
    bson_t *command =
        BCON_NEW("findAndModify", BCON_UTF8(POSITION_COLLECTION), "query", "{", "_id",
                 BCON_UTF8(id), "}", "update", "{", "$inc", "{", "epoch", BCON_INT64(1), "}",
                 "$set", "{", "owner", BCON_UTF8(me), "}", "}", "upsert", BCON_BOOL(true),
                 "new", BCON_BOOL(false), "maxTimeMS", BCON_INT64(m->target->max_time_ms));
    bson_t reply;
    enum mongo_result result = mongo_write(m, m->target->database, command, &reply, err);

    if (result == MONGO_DONE)
        doc_from_reply(old, &reply, "value");
    else if (result == MONGO_REFUSED && mongo_reply_code(&reply) == DUPLICATE_KEY)
        result = MONGO_AGAIN; /* another upsert of the same document came first */
    bson_destroy(&reply);
    return result;
}

enum mongo_result position_grab(struct mongo *m, const char *id, const char *me,
                                struct position_doc *old, struct error *err)
{
    enum mongo_result result = MONGO_AGAIN;

    for (int tries = 0; tries < 3 && result == MONGO_AGAIN; tries++)
        result = grab_once(m, id, me, old, err);
    return result;
}

/* ---- compare and set ---- */

static enum mongo_result update_one(struct mongo *m, bson_t *query, bson_t *update,
                                    bool *matched, struct error *err)
{
    AUTO(mongo_bsonp)
    bson_t *command = BCON_NEW("update", BCON_UTF8(POSITION_COLLECTION), "updates", "[", "{",
                               "q", BCON_DOCUMENT(query), "u", BCON_DOCUMENT(update), "}", "]",
                               "maxTimeMS", BCON_INT64(m->target->max_time_ms));
    bson_t reply;
    enum mongo_result result = mongo_write(m, m->target->database, command, &reply, err);

    if (result == MONGO_DONE)
        *matched = mongo_reply_n(&reply) == 1;
    bson_destroy(&reply);
    return result;
}

static bson_t *query_of(const char *id, int64_t epoch, int64_t rewind)
{
    if (rewind == POSITION_NONE) /* also true for a document without the field */
        return BCON_NEW("_id", BCON_UTF8(id), "epoch", BCON_INT64(epoch), "rewind", BCON_NULL);
    return BCON_NEW("_id", BCON_UTF8(id), "epoch", BCON_INT64(epoch), "rewind",
                    BCON_INT64(rewind));
}

static void append_optional(bson_t *set, bson_t *unset, const char *name, int64_t offset)
{
    if (offset == POSITION_NONE)
        BSON_APPEND_BOOL(unset, name, true);
    else
        BSON_APPEND_INT64(set, name, offset);
}

enum mongo_result position_store_start(struct mongo *m, const char *id,
                                       const struct position_doc *doc, int64_t seen_rewind,
                                       bool *matched, struct error *err)
{
    AUTO(mongo_bsonp) bson_t *query = query_of(id, doc->epoch, seen_rewind);
    AUTO(mongo_bsonp) bson_t *update = bson_new();
    bson_t set = BSON_INITIALIZER, unset = BSON_INITIALIZER;

    BSON_APPEND_INT64(&set, "offset", doc->offset);
    BSON_APPEND_INT64(&set, "generation", doc->generation);
    BSON_APPEND_UTF8(&set, "log_id", doc->log_id);
    BSON_APPEND_UTF8(&set, "pass", doc->pass);
    append_uuid(&set, "uuid", &doc->uuid);
    append_optional(&set, &unset, "again", doc->again);
    BSON_APPEND_BOOL(&unset, "rewind", true);
    BSON_APPEND_DOCUMENT(update, "$set", &set);
    BSON_APPEND_DOCUMENT(update, "$unset", &unset);
    bson_destroy(&set);
    bson_destroy(&unset);
    return update_one(m, query, update, matched, err);
}

enum mongo_result position_move(struct mongo *m, const char *id, const struct position *p,
                                int64_t offset, int64_t generation, const char *log_id,
                                bool *matched, struct error *err)
{
    AUTO(mongo_bsonp) bson_t *query = query_of(id, p->epoch, POSITION_NONE);
    AUTO(mongo_bsonp)
    bson_t *update = BCON_NEW("$set", "{", "offset", BCON_INT64(offset), "generation",
                              BCON_INT64(generation), "log_id", BCON_UTF8(log_id), "}");

    return update_one(m, query, update, matched, err);
}

enum mongo_result position_set_back(struct mongo *m, const char *id, const struct position *p,
                                    int64_t offset, int64_t seen_rewind, bool *matched,
                                    struct error *err)
{
    AUTO(mongo_bsonp) bson_t *query = query_of(id, p->epoch, seen_rewind);
    AUTO(mongo_bsonp)
    bson_t *update = BCON_NEW("$set", "{", "offset", BCON_INT64(offset), "}", "$unset", "{",
                              "rewind", BCON_BOOL(true), "}");

    return update_one(m, query, update, matched, err);
}

enum mongo_result position_set_again(struct mongo *m, const char *id, const struct position *p,
                                     bool *matched, struct error *err)
{
    AUTO(mongo_bsonp) bson_t *query = query_of(id, p->epoch, POSITION_NONE);
    AUTO(mongo_bsonp)
    bson_t *update = BCON_NEW("$set", "{", "offset", BCON_INT64(position_again_from(p)), "}",
                              "$unset", "{", "again", BCON_BOOL(true), "}");

    return update_one(m, query, update, matched, err);
}

enum mongo_result position_mark(struct mongo *m, const char *id, int64_t offset,
                                struct error *err)
{
    AUTO(mongo_bsonp) bson_t *query = BCON_NEW("_id", BCON_UTF8(id));
    AUTO(mongo_bsonp)
    bson_t *update = BCON_NEW("$min", "{", "rewind", BCON_INT64(offset), "}");
    bool matched;

    return update_one(m, query, update, &matched, err);
}

enum mongo_result position_goodbye(struct mongo *m, const char *id, const struct position *p,
                                   bool *matched, struct error *err)
{
    AUTO(mongo_bsonp)
    bson_t *query = BCON_NEW("_id", BCON_UTF8(id), "epoch", BCON_INT64(p->epoch));
    AUTO(mongo_bsonp) bson_t *update = BCON_NEW("$set", "{", "owner", BCON_UTF8(""), "}");

    return update_one(m, query, update, matched, err);
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
        *any = member_document(&first, &reply, FIRST_FOUND);
    bson_destroy(&reply);
    return result;
}
