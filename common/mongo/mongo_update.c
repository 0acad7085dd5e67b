#include "common/mongo/mongo_update.h"

#include <inttypes.h>

struct refused_statements {
    enum mongo_result result; /* MONGO_DONE: none was */
    struct error *err;
};

/* One that was broken off may still come. */
static void note_refusal(void *arg, const struct mongo_write_error *e)
{
    struct refused_statements *refused = arg;

    if (e->code == MONGO_DUPLICATE_KEY || refused->result == MONGO_UNKNOWN)
        return;
    refused->result =
        mongo_reply_fault(e->code) == MONGO_FAULT_OUTCOME ? MONGO_UNKNOWN : MONGO_AGAIN;
    error_set(refused->err, ERR_RETRY, "%s (code %" PRId32 ")", e->message, e->code);
}

enum mongo_result mongo_update(struct mongo *m, const char *collection,
                               const bson_t *statements, int64_t *matched, struct error *err)
{
    AUTO(mongo_bsonp)
    bson_t *command =
        BCON_NEW("update", BCON_UTF8(collection), "updates", BCON_ARRAY(statements), "ordered",
                 BCON_BOOL(false), "maxTimeMS", BCON_INT64(m->target->max_time_ms));
    struct refused_statements refused = {MONGO_DONE, err};
    bson_t reply;
    enum mongo_result result = mongo_write(m, m->target->database, command, &reply, err);

    if (result == MONGO_DONE) {
        mongo_reply_write_errors(&reply, note_refusal, &refused);
        result = refused.result;
        m->answered_no = result == MONGO_AGAIN;
    }
    if (result == MONGO_DONE)
        *matched = mongo_reply_n(&reply);
    bson_destroy(&reply);
    return result;
}

enum mongo_result mongo_update_one(struct mongo *m, const char *collection, const bson_t *query,
                                   const bson_t *change, bool upsert, bool *matched,
                                   struct error *err)
{
    AUTO(mongo_bsonp)
    bson_t *statements = BCON_NEW("0", "{", "q", BCON_DOCUMENT(query), "u",
                                  BCON_DOCUMENT(change), "upsert", BCON_BOOL(upsert), "}");
    int64_t n;
    enum mongo_result result = mongo_update(m, collection, statements, &n, err);

    if (result == MONGO_DONE && matched)
        *matched = n == 1;
    return result;
}
