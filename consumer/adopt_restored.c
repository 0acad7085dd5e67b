/* The table's document is changed last: what was cut off before is done again. */
#include "consumer/adopt_restored.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/exit_code.h"
#include "common/mongo/mongo_find.h"
#include "common/mongo/mongo_update.h"
#include "common/run/log.h"
#include "common/run/program.h"
#include "consumer/collection.h"
#include "consumer/position_store.h"
#include "consumer/table_doc.h"

struct adoption {
    const struct config *config;
    struct mongo_target *target;
    struct mongo *mongo;
    char **topics; /* of the tables that the target knows */
    size_t count;
    unsigned left; /* tables that were not adopted */
};

static void adoption_release(struct adoption *adoption)
{
    for (size_t i = 0; i < adoption->count; i++)
        free(adoption->topics[i]);
    free(adoption->topics);
    mongo_free(adoption->mongo);
    mongo_target_free(adoption->target);
}

/* ---- which tables ---- */

static bool take_topic(void *arg, const bson_t *doc)
{
    struct adoption *adoption = arg;
    bson_iter_t id;

    if (!bson_iter_init_find(&id, doc, "_id") || !BSON_ITER_HOLDS_UTF8(&id))
        return true;
    adoption->topics =
        xrealloc(adoption->topics, (adoption->count + 1) * sizeof(*adoption->topics));
    adoption->topics[adoption->count++] = xstrdup(bson_iter_utf8(&id, NULL));
    return true;
}

/* The documents with a state are those of tables. */
static int find_topics(struct adoption *adoption, struct error *err)
{
    AUTO(mongo_bsonp)
    bson_t *filter = BCON_NEW("state", BCON_UTF8(table_doc_state_name(TABLE_DOC_READY)));
    AUTO(mongo_bsonp) bson_t *only_ids = BCON_NEW("_id", BCON_INT32(1));
    const struct mongo_find_all find = {.collection = POSITION_COLLECTION,
                                        .filter = filter,
                                        .projection = only_ids,
                                        .each = take_topic,
                                        .arg = adoption};

    return mongo_find_all(adoption->mongo, &find, err) == MONGO_DONE ? 0 : -1;
}

/* ---- a table ---- */

/* Positions of the collection that the dump was taken of become positions of the present one.
 */
static int adopt_positions(struct adoption *adoption, const char *topic, const struct uuid *of,
                           const struct uuid *now, int64_t *ret, struct error *err)
{
    AUTO(free_charp) char *from = xasprintf("%s/", topic), *to = xasprintf("%s0", topic);
    AUTO(mongo_bsonp)
    bson_t *query = BCON_NEW("_id", "{", "$gte", BCON_UTF8(from), "$lt", BCON_UTF8(to), "}");
    bson_t change = BSON_INITIALIZER, set, list = BSON_INITIALIZER, statement;
    enum mongo_result result;

    uuid_append(query, "uuid", of);
    BSON_APPEND_DOCUMENT_BEGIN(&change, "$set", &set);
    uuid_append(&set, "uuid", now);
    bson_append_document_end(&change, &set);
    BSON_APPEND_DOCUMENT_BEGIN(&list, "0", &statement);
    BSON_APPEND_DOCUMENT(&statement, "q", query);
    BSON_APPEND_DOCUMENT(&statement, "u", &change);
    BSON_APPEND_BOOL(&statement, "multi", true);
    bson_append_document_end(&list, &statement);
    result = mongo_update(adoption->mongo, POSITION_COLLECTION, &list, ret, err);
    bson_destroy(&change);
    bson_destroy(&list);
    return result == MONGO_DONE ? 0 : error_prefix(err, "positions of %s", topic);
}

static int adopt(struct adoption *adoption, const char *topic, const struct table_doc *doc,
                 const struct collection_found *found, struct error *err)
{
    bson_t set = BSON_INITIALIZER;
    int64_t positions = 0;
    bool matched = false;
    int result;

    if (adopt_positions(adoption, topic, &doc->uuid, &found->uuid, &positions, err) < 0)
        return -1;
    uuid_append(&set, "uuid", &found->uuid);
    result = table_doc_update(doc, adoption->mongo, topic, &set, &matched, err);
    bson_destroy(&set);
    if (result < 0)
        return -1;
    if (!matched)
        return error_set(err, ERR_RETRY, "its document has changed: a consumer is running");
    log_info("restored positions adopted", "topic=%s positions=%" PRId64, topic, positions);
    return 0;
}

static int look_at(struct adoption *adoption, const char *topic, struct table_doc *doc,
                   struct error *err)
{
    struct collection_found found;

    if (table_doc_read(doc, adoption->mongo, topic, err) < 0)
        return -1;
    if (!doc->collection[0])
        return error_set(err, ERR_RETRY, "an earlier version has made its document");
    if (collection_look(&found, adoption->mongo, doc->collection, err) < 0)
        return -1;
    if (doc->state != TABLE_DOC_READY || !found.exists)
        return error_set(err, ERR_RETRY, "there is no prepared collection %s", doc->collection);
    if (!uuid_equal(&found.uuid, &doc->uuid))
        return adopt(adoption, topic, doc, &found, err);
    log_info("nothing to adopt", "topic=%s reason=%s", topic,
             "its position is about this collection");
    return 0;
}

static void look_at_each(struct adoption *adoption)
{
    for (size_t i = 0; i < adoption->count; i++) {
        struct table_doc doc;
        struct error err;

        table_doc_init(&doc);
        if (look_at(adoption, adoption->topics[i], &doc, &err) < 0) {
            log_error("restored positions not adopted", "topic=%s reason=%s",
                      adoption->topics[i], err.message);
            adoption->left++;
        }
        table_doc_release(&doc);
    }
}

static int run_all(struct adoption *adoption, struct error *err)
{
    int64_t limit_ms = config_int(adoption->config, "start.timeout") * 1000;

    if (mongo_target_new(&adoption->target, adoption->config, "dynaferry-consumer", err) < 0 ||
        mongo_wait(adoption->target, limit_ms, err) < 0)
        return -1;
    adoption->mongo = mongo_new(adoption->target);
    if (find_topics(adoption, err) < 0)
        return error_prefix(err, "positions");
    if (adoption->count == 0)
        return error_fatal(err, EXIT_FATAL, "database %s holds no positions",
                           adoption->target->database);
    look_at_each(adoption);
    if (adoption->left > 0)
        return error_fatal(err, EXIT_FATAL, "%u of %zu tables were not adopted", adoption->left,
                           adoption->count);
    return 0;
}

int adopt_restored_run(const struct config *config, struct error *err)
{
    AUTO(adoption_release) struct adoption adoption = {.config = config};

    return run_all(&adoption, err) < 0 ? program_not_done(err) : 0;
}
