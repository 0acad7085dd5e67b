#include "consumer/checkpoint_store.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/mongo/bson_read.h"
#include "common/mongo/mongo_find.h"
#include "common/mongo/mongo_update.h"
#include "consumer/checkpoint_doc.h"
#include "consumer/collection.h"

#define STATEMENTS_MAX 500

/* ---- removing ---- */

static void note_refusal(void *arg, const struct mongo_write_error *e)
{
    error_set(arg, ERR_RETRY, "%s (code %" PRId32 ")", e->message, e->code);
}

static int delete (struct mongo *m, const char *collection, const bson_t *query,
                   struct error *err)
{
    AUTO(mongo_bsonp)
    bson_t *command = BCON_NEW("delete", BCON_UTF8(collection), "deletes", "[", "{", "q",
                               BCON_DOCUMENT(query), "limit", BCON_INT32(0), "}", "]",
                               "maxTimeMS", BCON_INT64(m->target->max_time_ms));
    struct error refusal = {.kind = ERR_NONE};
    bson_t reply;
    enum mongo_result result = mongo_write(m, m->target->database, command, &reply, err);

    if (result == MONGO_DONE)
        mongo_reply_write_errors(&reply, note_refusal, &refusal);
    bson_destroy(&reply);
    if (refusal.kind == ERR_NONE)
        return result == MONGO_DONE ? 0 : -1;
    *err = refusal;
    m->answered_no = true;
    return -1;
}

/* Ours, but for these. */
static int remove_others(struct mongo *m, const struct checkpoint_collection *c,
                         struct error *err)
{
    AUTO(mongo_bsonp) bson_t *query = checkpoint_doc_ours(c->mark);
    bson_t in, list;

    BSON_APPEND_DOCUMENT_BEGIN(query, "_id", &in);
    BSON_APPEND_ARRAY_BEGIN(&in, "$nin", &list);
    for (size_t i = 0; i < c->count; i++) {
        char digits[16];
        const char *index;

        bson_uint32_to_string((uint32_t)i, &index, digits, sizeof(digits));
        BSON_APPEND_UTF8(&list, index, checkpoint_doc_id(c->docs[i]));
    }
    bson_append_array_end(&in, &list);
    bson_append_document_end(query, &in);
    return delete (m, c->name, query, err);
}

static int remove_ours(struct mongo *m, const char *collection, const char *mark,
                       struct error *err)
{
    AUTO(mongo_bsonp) bson_t *query = checkpoint_doc_ours(mark);

    return delete (m, collection, query, err);
}

/* ---- looking ---- */

struct place { /* of a document that is wanted */
    const char *id;
    const bson_t *doc;
    bool held; /* it is there already */
};

struct look {
    const char *mark;
    struct place *places; /* by id */
    size_t count;
    bool ours;    /* there are documents of ours */
    bool foreign; /* or of others: nothing behind the first one was looked at */
    bool surplus; /* ours, and not wanted */
};

static int compare_places(const void *a, const void *b)
{
    return strcmp(((const struct place *)a)->id, ((const struct place *)b)->id);
}

static bool take_document(void *arg, const bson_t *doc)
{
    struct place wanted = {.id = checkpoint_doc_id(doc)}, *found;
    struct look *look = arg;

    if (!checkpoint_doc_is_ours(doc, look->mark)) {
        look->foreign = true;
        return false;
    }
    look->ours = true;
    found = bsearch(&wanted, look->places, look->count, sizeof(wanted), compare_places);
    if (found)
        found->held = bson_equal(found->doc, doc);
    else
        look->surplus = true;
    return true;
}

static void look_init(struct look *look, const struct checkpoint_collection *c)
{
    *look = (struct look){.mark = c->mark, .count = c->count};
    look->places = xcalloc(MAX(c->count, 1), sizeof(*look->places));
    for (size_t i = 0; i < c->count; i++)
        look->places[i] =
            (struct place){.id = checkpoint_doc_id(c->docs[i]), .doc = c->docs[i]};
    qsort(look->places, c->count, sizeof(*look->places), compare_places);
}

/* ---- writing ---- */

static void add_statement(bson_t *statements, uint32_t index, const struct place *place,
                          const char *mark)
{
    AUTO(mongo_bsonp) bson_t *query = checkpoint_doc_ours(mark);
    char digits[16];
    const char *key;
    bson_t statement;

    BSON_APPEND_UTF8(query, "_id", place->id);
    bson_uint32_to_string(index, &key, digits, sizeof(digits));
    BSON_APPEND_DOCUMENT_BEGIN(statements, key, &statement);
    BSON_APPEND_DOCUMENT(&statement, "q", query);
    BSON_APPEND_DOCUMENT(&statement, "u", place->doc);
    BSON_APPEND_BOOL(&statement, "upsert", true);
    bson_append_document_end(statements, &statement);
}

/* Up to STATEMENTS_MAX of those that are not held, from *at on, which moves behind them. */
static int write_some(struct mongo *m, const char *collection, struct look *look, size_t *at,
                      struct error *err)
{
    bson_t statements = BSON_INITIALIZER;
    uint32_t count = 0;
    int64_t ignored;
    enum mongo_result result = MONGO_DONE;

    for (; *at < look->count && count < STATEMENTS_MAX; ++*at)
        if (!look->places[*at].held)
            add_statement(&statements, count++, &look->places[*at], look->mark);
    if (count > 0)
        result = mongo_update(m, collection, &statements, &ignored, err);
    bson_destroy(&statements);
    return result == MONGO_DONE ? 0 : -1;
}

static enum checkpoint_outcome settle(struct mongo *m, const struct checkpoint_collection *c,
                                      struct look *look, struct error *err)
{
    size_t at = 0;

    if (look->foreign) {
        if (look->ours && remove_ours(m, c->name, c->mark, err) < 0)
            return CHECKPOINT_FAILED;
        return CHECKPOINT_FOREIGN;
    }
    while (at < look->count)
        if (write_some(m, c->name, look, &at, err) < 0)
            return CHECKPOINT_FAILED;
    if (look->surplus && remove_others(m, c, err) < 0)
        return CHECKPOINT_FAILED;
    return CHECKPOINT_HELD;
}

enum checkpoint_outcome
checkpoint_store_put(struct mongo *m, const struct checkpoint_collection *c, struct error *err)
{
    struct look look;
    const struct mongo_find_all all = {
        .collection = c->name, .each = take_document, .arg = &look};
    enum checkpoint_outcome outcome = CHECKPOINT_FAILED;

    look_init(&look, c);
    if (mongo_find_all(m, &all, err) == MONGO_DONE)
        outcome = settle(m, c, &look, err);
    free(look.places);
    return outcome;
}

/* ---- what is not wanted any more ---- */

static int drop_when_empty(struct mongo *m, const char *collection, struct error *err)
{
    const bson_t any = BSON_INITIALIZER;
    AUTO(mongo_bsonp) bson_t *doc = NULL;

    if (mongo_find_one(&doc, m, collection, &any, err) < 0)
        return -1;
    return doc ? 0 : collection_drop(m, collection, err);
}

static int clean_one(struct mongo *m, const char *collection, const char *mark,
                     struct error *err)
{
    AUTO(mongo_bsonp) bson_t *filter = checkpoint_doc_ours(mark);
    AUTO(mongo_bsonp) bson_t *doc = NULL;

    if (mongo_find_one(&doc, m, collection, filter, err) < 0)
        return -1;
    if (!doc)
        return 0;
    return remove_ours(m, collection, mark, err) < 0 ? -1 : drop_when_empty(m, collection, err);
}

struct cleaning {
    struct mongo *m;
    const char *mark;
    bool (*wanted)(void *arg, const char *collection);
    void *arg;
    struct error *err;
    int result;
};

static bool clean_unwanted(void *arg, const char *collection)
{
    struct cleaning *cleaning = arg;

    if (!cleaning->wanted(cleaning->arg, collection))
        cleaning->result = clean_one(cleaning->m, collection, cleaning->mark, cleaning->err);
    return cleaning->result == 0;
}

int checkpoint_store_clean(struct mongo *m, const char *mark,
                           bool (*wanted)(void *arg, const char *collection), void *arg,
                           struct error *err)
{
    struct cleaning cleaning = {m, mark, wanted, arg, err, 0};

    return mongo_find_collections(m, clean_unwanted, &cleaning, err) < 0 ? -1 : cleaning.result;
}
