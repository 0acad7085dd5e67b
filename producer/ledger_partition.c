#include "producer/ledger_partition.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "common/base/check.h"
#include "producer/carried_table.h"
#include "common/kafka/kafka_topic.h"
#include "producer/ledger_keeper.h"

struct ledger_partition {
    struct producer *p;
    int32_t partition;
    struct topic_writer *writer;
    atomic_int refs;

    /* of the owner's thread */
    struct ledger_keeper *keeper; /* from the start on */
    struct table_worker **tables;
    size_t count;
    struct table_worker **leaving; /* stopped for good; each with a reference of ours */
    size_t leaving_count;
};

/* ---- the partition ---- */

/* To the high watermark as a read_uncommitted handle sees it: what was just committed may not
 * be readable yet, and another end would stop short of it. */
int ledger_partition_sync(struct ledger_partition *lp, struct error *err)
{
    struct producer *p = lp->p;
    int64_t high;

    if (kafka_topic_end_offsets(&high, p->admin, p->ledger_topic, lp->partition, 1,
                                LEDGER_PARTITION_CALL_MS, err) < 0)
        return -1;
    return ledger_cache_sync_to(p->cache, lp->partition, high, LEDGER_PARTITION_CALL_MS, err);
}

int ledger_partition_open(struct ledger_partition **ret, struct producer *p, int32_t partition,
                          struct error *err)
{
    struct ledger_partition *lp = xcalloc(1, sizeof(*lp));

    lp->p = p;
    lp->partition = partition;
    atomic_init(&lp->refs, 1);
    if (topic_writer_open(&lp->writer, p->config, partition, p->poison[partition], p->pool,
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
    free(lp->leaving);
    free(lp);
}

void ledger_partition_close(struct ledger_partition *lp)
{
    size_t count = lp->count, leaving = lp->leaving_count;

    topic_writer_close(lp->writer);
    lp->count = lp->leaving_count = 0;
    if (lp->keeper)
        ledger_keeper_stop(TAKE(lp->keeper));
    for (size_t i = 0; i < count; i++)
        carried_table_stop(lp->tables[i]);
    for (size_t i = 0; i < leaving; i++)
        table_worker_unref(lp->leaving[i]);
    ledger_partition_unref(lp);
}

/* ---- its tables ---- */

static struct table_worker **find(const struct ledger_partition *lp, const char *table)
{
    for (size_t i = 0; i < lp->count; i++)
        if (strcmp(lp->tables[i]->table, table) == 0)
            return &lp->tables[i];
    return NULL;
}

static bool is_leaving(const struct ledger_partition *lp, const char *table)
{
    for (size_t i = 0; i < lp->leaving_count; i++)
        if (strcmp(lp->leaving[i]->table, table) == 0)
            return true;
    return false;
}

static void table_released(void *home)
{
    ledger_partition_unref(home);
}

static void start_table(struct ledger_partition *lp, const char *table)
{
    const struct carried_table_setup setup = {.table = table,
                                              .ledger_partition = lp->partition,
                                              .writer = lp->writer,
                                              .released = table_released,
                                              .home = lp};
    struct table_worker *w;

    ledger_partition_ref(lp);
    w = carried_table_new(lp->p, &setup);

    lp->tables = xrealloc(lp->tables, sizeof(*lp->tables) * (lp->count + 1));
    lp->tables[lp->count++] = w;
    carried_table_begin(w);
}

void ledger_partition_start(struct ledger_partition *lp)
{
    if (!lp->keeper)
        lp->keeper = ledger_keeper_start(lp->p, lp, lp->writer, lp->partition);
}

void ledger_partition_start_tables(struct ledger_partition *lp, char *const *tables,
                                   size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!find(lp, tables[i]) && !is_leaving(lp, tables[i]))
            start_table(lp, tables[i]);
}

/* A worker is kept until its last step has ended: no append of its own may come behind the
 * tombstones. */
void ledger_partition_forget(struct ledger_partition *lp, const char *table)
{
    struct table_worker **at = find(lp, table), *w;

    if (is_leaving(lp, table))
        return;
    if (!at) {
        ledger_keeper_forget(lp->keeper, table);
        return;
    }
    w = *at;
    *at = lp->tables[--lp->count];
    table_worker_ref(w);
    carried_table_stop(w);
    lp->leaving =
        xrealloc(lp->leaving, sizeof(struct table_worker *) * (lp->leaving_count + 1));
    lp->leaving[lp->leaving_count++] = w;
}

void ledger_partition_tend(struct ledger_partition *lp)
{
    size_t kept = 0;

    for (size_t i = 0; i < lp->leaving_count; i++) {
        struct table_worker *w = lp->leaving[i];

        if (atomic_load(&w->refs) > 1) {
            lp->leaving[kept++] = w;
            continue;
        }
        ledger_keeper_forget(lp->keeper, w->table);
        table_worker_unref(w);
    }
    lp->leaving_count = kept;
}

struct table_worker *ledger_partition_table(struct ledger_partition *lp, const char *table)
{
    struct table_worker **at = find(lp, table);

    return at ? *at : NULL;
}

/* ---- asked ---- */

bool ledger_partition_is_idle(const struct ledger_partition *lp)
{
    return lp->count == 0 && lp->leaving_count == 0;
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
