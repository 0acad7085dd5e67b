#include "consumer/table_doc.h"

#include <inttypes.h>

#include "consumer/bson_read.h"
#include "consumer/position_store.h"

#define DUPLICATE_KEY 11000

void table_doc_init(struct table_doc *d)
{
    *d = (struct table_doc){0};
    buf_init(&d->schema, 1 << 16);
}

void table_doc_release(struct table_doc *d)
{
    buf_release(&d->schema);
}

static void read_members(struct table_doc *d, const bson_t *doc)
{
    char text[POSITION_TEXT_MAX];
    bson_iter_t it;

    bson_read_text(text, doc, "state");
    d->state = table_doc_state_of(text);
    bson_read_text(text, doc, "clear");
    d->clear = table_clear_of(text);
    bson_read_text(d->form, doc, "form");
    d->epoch = bson_read_int64(doc, "epoch", 0);
    d->doubled = bson_iter_init_find(&it, doc, "doubled") && bson_iter_as_bool(&it);
    bson_read_uuid(&d->uuid, doc, "uuid");
    buf_reset(&d->schema);
    if (bson_iter_init_find(&it, doc, "key_schema") && BSON_ITER_HOLDS_UTF8(&it))
        buf_bytes(&d->schema, bytes_of(bson_iter_utf8(&it, NULL)));
}

int table_doc_read(struct table_doc *d, struct mongo *m, const char *topic, struct error *err)
{
    AUTO(mongo_bsonp)
    bson_t *command =
        BCON_NEW("find", BCON_UTF8(POSITION_COLLECTION), "filter", "{", "_id", BCON_UTF8(topic),
                 "}", "limit", BCON_INT32(1), "singleBatch", BCON_BOOL(true), "maxTimeMS",
                 BCON_INT64(m->target->max_time_ms));
    bson_t reply, doc;
    enum mongo_result result = mongo_read(m, m->target->database, command, &reply, err);

    d->state = TABLE_DOC_NONE;
    d->epoch = 0;
    d->doubled = false;
    if (result == MONGO_DONE && bson_read_document(&doc, &reply, "cursor.firstBatch.0"))
        read_members(d, &doc);
    bson_destroy(&reply);
    return result == MONGO_DONE ? 0 : error_prefix(err, "table document");
}

static void take_write_error(void *arg, const struct mongo_write_error *e)
{
    struct error *err = arg;

    if (e->code != DUPLICATE_KEY) /* another's upsert came first: it is looked at again */
        error_set(err, ERR_RETRY, "%s (code %" PRId32 ")", e->message, e->code);
}

/* Where there was none, another preparer's may be there by now: it is left as it is. */
int table_doc_update(const struct table_doc *d, struct mongo *m, const char *topic,
                     const bson_t *set, bool *matched, struct error *err)
{
    bool none = d->state == TABLE_DOC_NONE;
    AUTO(mongo_bsonp)
    bson_t *query = BCON_NEW("_id", BCON_UTF8(topic), "epoch", BCON_INT64(d->epoch));
    AUTO(mongo_bsonp) bson_t *command = NULL;
    struct error refused = {0};
    bson_t reply;
    enum mongo_result result;

    if (!none)
        BCON_APPEND(query, "state", BCON_UTF8(table_doc_state_name(d->state)), "doubled", "{",
                    d->doubled ? "$eq" : "$ne", BCON_BOOL(true), "}");
    command = BCON_NEW("update", BCON_UTF8(POSITION_COLLECTION), "updates", "[", "{", "q",
                       BCON_DOCUMENT(query), "u", "{", none ? "$setOnInsert" : "$set",
                       BCON_DOCUMENT(set), "}", "upsert", BCON_BOOL(none), "}", "]",
                       "maxTimeMS", BCON_INT64(m->target->max_time_ms));
    result = mongo_write(m, m->target->database, command, &reply, err);
    if (result == MONGO_DONE)
        mongo_reply_write_errors(&reply, take_write_error, &refused);
    if (matched)
        *matched = mongo_reply_n(&reply) == 1;
    bson_destroy(&reply);
    if (refused.kind) {
        m->answered_no = true;
        *err = refused;
    }
    return result == MONGO_DONE && !refused.kind ? 0 : error_prefix(err, "table document");
}
