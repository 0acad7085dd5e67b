#include "producer/ledger_partition.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "common/check.h"
#include "common/kafka.h"
#include "common/log.h"
#include "producer/table_worker.h"

#define SYNC_TIMEOUT_MS 30000

struct ledger_partition {
    struct producer *p;
    int32_t partition;
    struct topic_writer *writer;
    atomic_int refs;
    struct table_worker **tables; /* of the owner's thread */
    size_t count;
};

/* ---- places ---- */

struct places {
    const struct config *config;
    int32_t partition;
    char **tables;
    size_t count;
};

static void note_place(void *arg, struct bytes table, struct bytes value, int32_t partition)
{
    struct places *places = arg;
    struct error err;
    int32_t placed;
    char *name;

    (void)partition;
    if (ledger_place_decode(&placed, value, &err) < 0) {
        log_error("place can't be read", "table=" BYTES_FMT " reason=%s", BYTES_ARG(table),
                  err.message);
        return;
    }
    if (placed != places->partition)
        return;
    name = bytes_dup(table);
    if (!config_wants_table(places->config, name)) { /* the filters have changed since */
        free(name);
        return;
    }
    places->tables = xrealloc(places->tables, sizeof(*places->tables) * (places->count + 1));
    places->tables[places->count++] = name;
}

char **ledger_places(struct producer *p, int32_t partition, size_t *ret_count)
{
    struct places places = {.config = p->config, .partition = partition};

    ledger_cache_each(p->cache, "place/", note_place, &places);
    *ret_count = places.count;
    return places.tables;
}

/* ---- the partition ---- */

/* To the high watermark as a read_uncommitted handle sees it: what was just committed may not
 * be readable yet, and another end would stop short of it. */
int ledger_partition_sync(struct ledger_partition *lp, struct error *err)
{
    struct producer *p = lp->p;
    int64_t high;

    if (kafka_end_offsets(&high, p->admin, p->ledger_topic, lp->partition, 1, SYNC_TIMEOUT_MS,
                          err) < 0)
        return -1;
    return ledger_cache_sync_to(p->cache, lp->partition, high, SYNC_TIMEOUT_MS, err);
}

int ledger_partition_open(struct ledger_partition **ret, struct producer *p, int32_t partition,
                          struct error *err)
{
    struct ledger_partition *lp = xcalloc(1, sizeof(*lp));

    lp->p = p;
    lp->partition = partition;
    atomic_init(&lp->refs, 1);
    if (topic_writer_open(&lp->writer, p->config, partition, p->refusals[partition], p->pool,
                          err) < 0 ||
        ledger_partition_sync(lp, err) < 0) {
        if (lp->writer)
            topic_writer_close(lp->writer);
        ledger_partition_unref(lp);
        return -1;
    }
    *ret = lp;
    return 0;
}

void ledger_partition_ref(struct ledger_partition *lp)
{
    atomic_fetch_add(&lp->refs, 1);
}

void ledger_partition_unref(struct ledger_partition *lp)
{
    if (atomic_fetch_sub(&lp->refs, 1) != 1)
        return;
    topic_writer_free(lp->writer);
    free(lp->tables);
    free(lp);
}

void ledger_partition_close(struct ledger_partition *lp)
{
    size_t count = lp->count;

    topic_writer_close(lp->writer);
    lp->count = 0;
    for (size_t i = 0; i < count; i++)
        table_worker_stop(lp->tables[i]);
    ledger_partition_unref(lp);
}

static bool is_started(const struct ledger_partition *lp, const char *table)
{
    for (size_t i = 0; i < lp->count; i++)
        if (strcmp(lp->tables[i]->table, table) == 0)
            return true;
    return false;
}

static void start_table(struct ledger_partition *lp, const char *table)
{
    struct table_worker *w = table_worker_new(lp->p, lp, lp->writer, lp->partition, table);

    lp->tables = xrealloc(lp->tables, sizeof(*lp->tables) * (lp->count + 1));
    lp->tables[lp->count++] = w;
    table_worker_start(w);
}

void ledger_partition_start_tables(struct ledger_partition *lp)
{
    size_t count;
    char **tables = ledger_places(lp->p, lp->partition, &count);

    for (size_t i = 0; i < count; i++) {
        if (!is_started(lp, tables[i]))
            start_table(lp, tables[i]);
        free(tables[i]);
    }
    free(tables);
}

struct topic_writer *ledger_partition_writer(struct ledger_partition *lp)
{
    return lp->writer;
}

void ledger_partition_add_progress(struct ledger_partition *lp, int64_t *rows, int64_t *left)
{
    for (size_t i = 0; i < lp->count; i++)
        table_worker_add_progress(lp->tables[i], rows, left);
}

bool ledger_partition_is_over(struct ledger_partition *lp)
{
    for (size_t i = 0; i < lp->count; i++)
        if (!table_worker_is_over(lp->tables[i]))
            return false;
    return true;
}
