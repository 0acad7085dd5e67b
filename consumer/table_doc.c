#include "consumer/table_doc.h"

#include <string.h>

#include "common/mongo/mongo_find.h"
#include "common/mongo/mongo_update.h"
#include "common/mongo/bson_read.h"
#include "consumer/position_store.h"

static const char *const state_names[] = {"none", "clearing", "building", "ready"};
static const char *const clear_names[] = {"", "drop", "rename"};

/* 0, nothing, for another name. */
static size_t index_of(const char *const names[], size_t count, const char *name)
{
    while (count-- > 0)
        if (strcmp(names[count], name) == 0)
            return count;
    return 0;
}

const char *table_doc_state_name(enum table_doc_state s)
{
    return state_names[s];
}

enum table_doc_state table_doc_state_of(const char *name)
{
    return (enum table_doc_state)index_of(state_names, ARRAY_LEN(state_names), name);
}

const char *table_doc_clear_name(enum table_doc_clear c)
{
    return clear_names[c];
}

enum table_doc_clear table_doc_clear_of(const char *name)
{
    return (enum table_doc_clear)index_of(clear_names, ARRAY_LEN(clear_names), name);
}

void table_doc_init(struct table_doc *doc)
{
    *doc = (struct table_doc){0};
    buf_init(&doc->schema, 1 << 16);
}

void table_doc_release(struct table_doc *doc)
{
    buf_release(&doc->schema);
}

static void read_members(struct table_doc *doc, const bson_t *found)
{
    char text[16];
    bson_iter_t it;

    bson_read_text(text, sizeof(text), found, "state");
    doc->state = table_doc_state_of(text);
    bson_read_text(text, sizeof(text), found, "clear");
    doc->clear = table_doc_clear_of(text);
    bson_read_text(doc->form, sizeof(doc->form), found, "form");
    bson_read_text(doc->collection, sizeof(doc->collection), found, "collection");
    doc->epoch = bson_read_int64(found, "epoch", 0);
    doc->first = bson_read_int64(found, "first", 0);
    doc->doubled = bson_read_bool(found, "doubled");
    uuid_read(&doc->uuid, found, "uuid");
    buf_reset(&doc->schema);
    if (bson_iter_init_find(&it, found, "key_schema") && BSON_ITER_HOLDS_UTF8(&it))
        buf_bytes(&doc->schema, bytes_of(bson_iter_utf8(&it, NULL)));
}

int table_doc_read(struct table_doc *doc, struct mongo *m, const char *topic, struct error *err)
{
    AUTO(mongo_bsonp) bson_t *filter = BCON_NEW("_id", BCON_UTF8(topic));
    AUTO(mongo_bsonp) bson_t *found = NULL;

    doc->state = TABLE_DOC_NONE;
    doc->epoch = doc->first = 0;
    doc->doubled = false;
    if (mongo_find_one(&found, m, POSITION_COLLECTION, filter, err) < 0)
        return error_prefix(err, "table document");
    if (found)
        read_members(doc, found);
    return 0;
}

/* Where there was none, another preparer's may be there by now: it is left as it is. */
int table_doc_update(const struct table_doc *doc, struct mongo *m, const char *topic,
                     const bson_t *set, bool *matched, struct error *err)
{
    bool none = doc->state == TABLE_DOC_NONE;
    AUTO(mongo_bsonp)
    bson_t *query = BCON_NEW("_id", BCON_UTF8(topic), "epoch", BCON_INT64(doc->epoch));
    AUTO(mongo_bsonp)
    bson_t *change = BCON_NEW(none ? "$setOnInsert" : "$set", BCON_DOCUMENT(set));
    enum mongo_result result;

    if (!none)
        BCON_APPEND(query, "state", BCON_UTF8(table_doc_state_name(doc->state)), "doubled", "{",
                    doc->doubled ? "$eq" : "$ne", BCON_BOOL(true), "}");
    result = mongo_update_one(m, POSITION_COLLECTION, query, change, none, matched, err);
    return result == MONGO_DONE ? 0 : error_prefix(err, "table document");
}
