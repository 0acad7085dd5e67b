#include "producer/ledger_partition.h"

#include <stdlib.h>

#include "common/run/progress.h"
#include "producer/carried_table.h"
#include "producer/ledger_keeper.h"

struct ledger_partition {
    struct ledger_handle *handle;
    struct ledger_keeper *keeper; /* from the start on */
    struct table_worker **tables;
    size_t count;
    struct table_worker **leaving; /* stopped for good; each with a reference of ours */
    size_t leaving_count;
};

/* ---- the partition ---- */

int ledger_partition_open(struct ledger_partition **ret, struct producer *p, int32_t partition,
                          struct error *err)
{
    struct ledger_handle *handle;

    if (ledger_handle_open(&handle, p, partition, err) < 0)
        return -1;
    *ret = xcalloc(1, sizeof(**ret));
    (*ret)->handle = handle;
    return 0;
}

void ledger_partition_start(struct ledger_partition *lp)
{
    if (!lp->keeper)
        lp->keeper = ledger_keeper_start(lp->handle);
}

/* Nothing is appended once the handle is closed; it is freed when all steps have ended. */
void ledger_partition_close(struct ledger_partition *lp)
{
    ledger_handle_close(lp->handle);
    if (lp->keeper)
        ledger_keeper_stop(lp->keeper);
    for (size_t i = 0; i < lp->count; i++)
        carried_table_stop(lp->tables[i]);
    for (size_t i = 0; i < lp->leaving_count; i++)
        table_worker_unref(lp->leaving[i]);
    ledger_handle_unref(lp->handle);
    free(lp->tables);
    free(lp->leaving);
    free(lp);
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

static void table_released(void *handle)
{
    ledger_handle_unref(handle);
}

static void start_table(struct ledger_partition *lp, const char *table)
{
    const struct carried_table_setup setup = {.table = table,
                                              .ledger_partition = lp->handle->partition,
                                              .writer = lp->handle->writer,
                                              .released = table_released,
                                              .home = lp->handle};
    struct table_worker *worker;

    ledger_keeper_keep(lp->keeper, table);
    ledger_handle_ref(lp->handle);
    worker = carried_table_new(lp->handle->p, &setup);
    lp->tables = xrealloc(lp->tables, sizeof(*lp->tables) * (lp->count + 1));
    lp->tables[lp->count++] = worker;
    carried_table_begin(worker);
}

void ledger_partition_start_tables(struct ledger_partition *lp, char *const *tables,
                                   size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!find(lp, tables[i]) && !is_leaving(lp, tables[i]))
            start_table(lp, tables[i]);
}

/* The worker is kept until its last step has ended: it may append nothing behind the
 * tombstones. */
static void stop_for_good(struct ledger_partition *lp, struct table_worker **at)
{
    struct table_worker *worker = *at;

    *at = lp->tables[--lp->count];
    table_worker_ref(worker);
    carried_table_stop(worker);
    lp->leaving = xrealloc(lp->leaving, sizeof(*lp->leaving) * (lp->leaving_count + 1));
    lp->leaving[lp->leaving_count++] = worker;
}

void ledger_partition_forget(struct ledger_partition *lp, const char *table)
{
    struct table_worker **at = find(lp, table);

    if (at)
        stop_for_good(lp, at);
    else if (!is_leaving(lp, table))
        ledger_keeper_forget(lp->keeper, table);
}

void ledger_partition_tend(struct ledger_partition *lp)
{
    size_t kept = 0;

    for (size_t i = 0; i < lp->leaving_count; i++) {
        struct table_worker *worker = lp->leaving[i];

        if (atomic_load(&worker->refs) > 1) {
            lp->leaving[kept++] = worker;
            continue;
        }
        ledger_keeper_forget(lp->keeper, worker->table);
        table_worker_unref(worker);
    }
    lp->leaving_count = kept;
}

/* ---- asked ---- */

struct ledger_handle *ledger_partition_handle(struct ledger_partition *lp)
{
    return lp->handle;
}

struct table_worker *ledger_partition_table(struct ledger_partition *lp, const char *table)
{
    struct table_worker **at = find(lp, table);

    return at ? *at : NULL;
}

bool ledger_partition_is_idle(const struct ledger_partition *lp)
{
    return lp->count == 0 && lp->leaving_count == 0;
}

void ledger_partition_note_progress(struct ledger_partition *lp, struct progress *progress)
{
    for (size_t i = 0; i < lp->count; i++) {
        struct progress_work work;

        table_worker_work(lp->tables[i], &work);
        progress_note(progress, &work);
    }
}
