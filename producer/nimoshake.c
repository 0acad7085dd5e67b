#include "producer/nimoshake.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/exit_code.h"
#include "common/mongo/mongo_find.h"
#include "common/run/log.h"
#include "common/run/stop.h"

#define STATUS_TABLE "status_table"
#define OURS "dynaferry" /* a field of the documents that are our own view of the positions */
#define NAMESPACE_NOT_FOUND 26
#define AGAIN_MS 500

struct loading {
    struct mongo *m;
    struct nimoshake *nimoshake;
    char **names; /* of the collections in checkpoint.db */
    size_t count;
};

static void free_names(struct loading *loading)
{
    for (size_t i = 0; i < loading->count; i++)
        free(loading->names[i]);
    free(TAKE(loading->names));
    loading->count = 0;
}

static bool is_aside(const char *name)
{
    return strncmp(name, NIMOSHAKE_ASIDE, strlen(NIMOSHAKE_ASIDE)) == 0;
}

/* ---- which collections are there ---- */

static bool add_name(void *arg, const char *name)
{
    struct loading *loading = arg;

    if (strncmp(name, "system.", 7) == 0)
        return true;
    loading->names = xrealloc(loading->names, (loading->count + 1) * sizeof(*loading->names));
    loading->names[loading->count++] = xstrdup(name);
    return true;
}

static int list(struct loading *loading, struct error *err)
{
    free_names(loading);
    return mongo_find_collections(loading->m, add_name, loading, err) < 0
               ? error_prefix(err, "list collections")
               : 0;
}

static bool there_is(const struct loading *loading, const char *name)
{
    for (size_t i = 0; i < loading->count; i++)
        if (strcmp(loading->names[i], name) == 0)
            return true;
    return false;
}

/* ---- documents ---- */

/* NULL in *ret: the collection has no document that is not ours. */
static int find_foreign(bson_t **ret, struct mongo *m, const char *collection,
                        struct error *err)
{
    AUTO(mongo_bsonp)
    bson_t *filter = BCON_NEW(OURS, "{", "$exists", BCON_BOOL(false), "}");

    return mongo_find_one(ret, m, collection, filter, err);
}

static bool take_document(void *arg, const bson_t *document)
{
    struct nimoshake_table *table = arg;
    struct nimoshake_shard shard;
    bson_iter_t ours;

    if (bson_iter_init_find(&ours, document, OURS) ||
        !nimoshake_checkpoint_read(&shard, document))
        return true;
    table->shards = xrealloc(table->shards, (table->count + 1) * sizeof(*table->shards));
    table->shards[table->count++] = shard;
    return true;
}

static int load_table(struct loading *loading, const char *name, struct error *err)
{
    struct nimoshake *nimoshake = loading->nimoshake;
    struct nimoshake_table table = {.name = xstrdup(name + strlen(NIMOSHAKE_ASIDE))};
    const struct mongo_find_all all = {
        .collection = name, .each = take_document, .arg = &table};

    if (mongo_find_all(loading->m, &all, err) != MONGO_DONE) {
        nimoshake_checkpoint_table_release(&table);
        return error_prefix(err, "read checkpoints of %s", name);
    }
    nimoshake->tables =
        xrealloc(nimoshake->tables, (nimoshake->count + 1) * sizeof(*nimoshake->tables));
    nimoshake->tables[nimoshake->count++] = table;
    return 0;
}

static void forget_tables(struct nimoshake *nimoshake)
{
    for (size_t i = 0; i < nimoshake->count; i++)
        nimoshake_checkpoint_table_release(&nimoshake->tables[i]);
    free(TAKE(nimoshake->tables));
    nimoshake->count = 0;
}

static int load_tables(struct loading *loading, struct error *err)
{
    forget_tables(loading->nimoshake);
    for (size_t i = 0; i < loading->count; i++)
        if (is_aside(loading->names[i]) &&
            strcmp(loading->names[i], NIMOSHAKE_ASIDE STATUS_TABLE) != 0 &&
            load_table(loading, loading->names[i], err) < 0)
            return -1;
    return 0;
}

/* ---- moving them aside ---- */

static int both_are_there(const struct loading *loading, const char *name, struct error *err)
{
    return error_fatal(
        err, EXIT_CONFIGURATION,
        "%s has checkpoints in %s and, of an earlier take-over, in " NIMOSHAKE_ASIDE
        "%s: drop those that are out of date",
        loading->m->target->database, name, name);
}

static int move_aside(struct loading *loading, const char *name, struct error *err)
{
    const char *database = loading->m->target->database;
    AUTO(free_charp) char *from = xasprintf("%s.%s", database, name);
    AUTO(free_charp) char *to = xasprintf("%s." NIMOSHAKE_ASIDE "%s", database, name);
    AUTO(mongo_bsonp)
    bson_t *command = BCON_NEW("renameCollection", BCON_UTF8(from), "to", BCON_UTF8(to));
    enum mongo_result result;
    bson_t reply;

    result = mongo_write(loading->m, "admin", command, &reply, err);
    if (result != MONGO_DONE && mongo_reply_code(&reply) == NAMESPACE_NOT_FOUND)
        result = MONGO_DONE; /* by another producer, or by an attempt without an answer */
    bson_destroy(&reply);
    if (result != MONGO_DONE)
        return error_prefix(err, "rename collection %s to %s", from, to);
    log_info("checkpoints moved aside", "from=%s to=%s", from, to);
    return 0;
}

static int move_if_foreign(struct loading *loading, const char *name, struct error *err)
{
    AUTO(free_charp) char *aside = xasprintf(NIMOSHAKE_ASIDE "%s", name);
    AUTO(mongo_bsonp) bson_t *document = NULL;

    if (find_foreign(&document, loading->m, name, err) < 0)
        return -1;
    if (!document)
        return 0;
    if (there_is(loading, aside))
        return both_are_there(loading, name, err);
    return move_aside(loading, name, err);
}

static int move_all(struct loading *loading, struct error *err)
{
    for (size_t i = 0; i < loading->count; i++)
        if (!is_aside(loading->names[i]) &&
            move_if_foreign(loading, loading->names[i], err) < 0)
            return -1;
    return list(loading, err);
}

/* ---- is there something to take over? ---- */

static int nothing_there(const struct loading *loading, struct error *err)
{
    return error_fatal(
        err, EXIT_CONFIGURATION,
        "database %s has no checkpoints of NimoShake (no document in " STATUS_TABLE
        "): look at id and checkpoint.db",
        loading->m->target->database);
}

/* Before anything is moved: a NimoShake whose copy had not ended may go on with it. */
static int check_status(struct loading *loading, struct error *err)
{
    AUTO(mongo_bsonp) bson_t *document = NULL;
    char status[64];

    if (find_foreign(&document, loading->m, STATUS_TABLE, err) < 0 ||
        (!document &&
         find_foreign(&document, loading->m, NIMOSHAKE_ASIDE STATUS_TABLE, err) < 0))
        return error_prefix(err, "read " STATUS_TABLE);
    if (!document)
        return nothing_there(loading, err);
    nimoshake_checkpoint_status(status, sizeof(status), document);
    if (strcmp(status, "incr_sync") == 0)
        return 0;
    return error_fatal(err, EXIT_CONFIGURATION,
                       "NimoShake had not ended its copy (" STATUS_TABLE " says \"%s\"): leave "
                       "--take-over-nimoshake out, and the tables are copied",
                       status);
}

static int load(struct loading *loading, struct error *err)
{
    if (check_status(loading, err) < 0 || list(loading, err) < 0 ||
        move_all(loading, err) < 0 || load_tables(loading, err) < 0)
        return -1;
    log_info("checkpoints of NimoShake read", "database=%s tables=%zu",
             loading->m->target->database, loading->nimoshake->count);
    return 0;
}

static int load_patiently(struct loading *loading, int64_t timeout_ms, struct error *err)
{
    int64_t end = clock_mono_ms() + timeout_ms;

    while (load(loading, err) < 0) {
        if (err->kind == ERR_FATAL)
            return -1;
        if (clock_mono_ms() >= end)
            return error_fatal(err, EXIT_UNREACHABLE, "%s", err->message);
        if (stop_wait_ms(AGAIN_MS))
            return -1;
    }
    return 0;
}

static int load_from(struct nimoshake *nimoshake, const struct config *config,
                     struct error *err)
{
    int64_t timeout_ms = config_int(config, "start.timeout") * 1000;
    AUTO(mongo_target_freep) struct mongo_target *target = NULL, *checkpoints = NULL;
    AUTO(mongo_freep) struct mongo *m = NULL;
    AUTO(free_names) struct loading loading = {.nimoshake = nimoshake};

    if (!*config_string(config, "checkpoint.db"))
        return error_fatal(err, EXIT_CONFIGURATION,
                           "checkpoint.db is empty: it names the database of NimoShake's "
                           "checkpoints");
    if (mongo_target_new(&target, config, "dynaferry-producer", err) < 0 ||
        mongo_wait(target, timeout_ms, err) < 0)
        return -1;
    checkpoints = mongo_target_beside(target, config_string(config, "checkpoint.db"));
    loading.m = m = mongo_new(checkpoints);
    return load_patiently(&loading, timeout_ms, err);
}

int nimoshake_load(struct nimoshake **ret, const struct config *config, struct error *err)
{
    struct nimoshake *nimoshake = xcalloc(1, sizeof(*nimoshake));
    int result;

    mongoc_init();
    result = load_from(nimoshake, config, err);
    mongoc_cleanup();
    if (result < 0)
        nimoshake_free(nimoshake);
    else
        *ret = nimoshake;
    return result;
}

void nimoshake_free(struct nimoshake *nimoshake)
{
    if (!nimoshake)
        return;
    forget_tables(nimoshake);
    free(nimoshake);
}

const struct nimoshake_table *nimoshake_find(const struct nimoshake *nimoshake,
                                             const char *table)
{
    for (size_t i = 0; nimoshake && i < nimoshake->count; i++)
        if (strcmp(nimoshake->tables[i].name, table) == 0)
            return &nimoshake->tables[i];
    return NULL;
}
