#include "producer/ledger_keeper.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "common/base/check.h"
#include "common/run/log.h"
#include "producer/carriers.h"

#define AGAIN_MS 50
#define FAILED_MS 2000
#define NOTHING_MS 3600000 /* it is woken when there is something to do */

struct keys { /* of records, or names of tables */
    char **all;
    size_t count;
};

struct ledger_keeper {
    /* set once */
    struct ledger_handle *handle;
    struct topic_writer_member member;
    struct step step;
    atomic_int refs; /* its step's and the owner's */
    atomic_bool stopping;
    atomic_bool undecided; /* appended, and neither committed nor aborted yet */

    bool stale; /* of the step: what was committed may not be in the cache yet */

    pthread_mutex_t lock; /* all below */
    struct keys forgotten;
};

static void keys_add(struct keys *keys, char *name)
{
    keys->all = xrealloc(keys->all, sizeof(*keys->all) * (keys->count + 1));
    keys->all[keys->count++] = name;
}

static void keys_release(struct keys *keys)
{
    for (size_t i = 0; i < keys->count; i++)
        free(keys->all[i]);
    free(keys->all);
    *keys = (struct keys){0};
}

/* ---- what there is to do ---- */

struct collect {
    const char *prefix;
    int32_t partition;
    struct keys *keys;
};

static void note_key(void *arg, struct bytes rest, struct bytes value, int32_t partition)
{
    struct collect *collect = arg;

    (void)value;
    if (partition == collect->partition)
        keys_add(collect->keys, xasprintf("%s" BYTES_FMT, collect->prefix, BYTES_ARG(rest)));
}

static void note_exact(void *arg, struct bytes rest, struct bytes value, int32_t partition)
{
    if (rest.len == 0)
        note_key(arg, rest, value, partition);
}

static void collect_keys(struct ledger_keeper *keeper, const char *prefix, bool exact,
                         struct keys *ret)
{
    struct collect collect = {prefix, keeper->handle->partition, ret};

    ledger_cache_each(keeper->handle->p->cache, prefix, exact ? note_exact : note_key,
                      &collect);
}

/* The table's own record comes last: while it is there, so is everything that it speaks of. */
static void collect_records(struct ledger_keeper *keeper, const char *table, struct keys *ret)
{
    AUTO(free_charp) char *segments = xasprintf("segment/%s/", table);
    AUTO(free_charp) char *shards = xasprintf("shard/%s/", table);
    AUTO(free_charp) char *record = xasprintf("table/%s", table);

    collect_keys(keeper, shards, false, ret);
    collect_keys(keeper, segments, false, ret);
    collect_keys(keeper, record, true, ret);
}

/* A table that has no records any more is dropped from the list. */
static void collect_forgotten(struct ledger_keeper *keeper, struct keys *ret)
{
    size_t kept = 0;

    AUTO_LOCK(&keeper->lock);
    for (size_t i = 0; i < keeper->forgotten.count; i++) {
        char *table = keeper->forgotten.all[i];
        size_t before = ret->count;

        collect_records(keeper, table, ret);
        if (ret->count > before)
            keeper->forgotten.all[kept++] = table;
        else
            free(table);
    }
    keeper->forgotten.count = kept;
}

static bool carrier_is_due(struct ledger_keeper *keeper)
{
    AUTO(carriers_freep)
    struct carriers *carriers =
        carriers_read(keeper->handle->p->cache, keeper->handle->p->config);

    return !carriers_are_ours(carriers, keeper->handle->partition);
}

/* ---- appending ---- */

static int append(struct ledger_keeper *keeper, struct bytes key, struct bytes value,
                  struct error *err)
{
    const struct topic_record record = {.topic = keeper->handle->p->ledger_topic,
                                        .partition = keeper->handle->partition,
                                        .key = key,
                                        .value = value};

    atomic_store(&keeper->undecided, true);
    return topic_writer_append(keeper->handle->writer, &record, err);
}

static int append_carrier(struct ledger_keeper *keeper, struct append_context *a,
                          struct error *err)
{
    buf_reset(&a->keys);
    buf_reset(&a->text);
    ledger_carrier_key(&a->keys, keeper->handle->partition);
    carriers_encode(&a->text, keeper->handle->p->config);
    return append(keeper, buf_slice(&a->keys), buf_slice(&a->text), err);
}

static int append_all(struct ledger_keeper *keeper, struct append_context *a, bool carrier,
                      const struct keys *records, struct error *err)
{
    struct topic_writer *writer = keeper->handle->writer;
    int result = 0;

    if (topic_writer_gate_enter(writer, &keeper->member, &keeper->step, err) < 0)
        return -1;
    if (carrier)
        result = append_carrier(keeper, a, err);
    for (size_t i = 0; i < records->count && result == 0; i++)
        result = append(keeper, bytes_of(records->all[i]), (struct bytes){0}, err);
    if (result < 0)
        topic_writer_request_abort(writer, err->message);
    topic_writer_gate_exit(writer);
    topic_writer_commit_soon(writer);
    return result;
}

static int64_t keep(struct ledger_keeper *keeper, struct append_context *a)
{
    AUTO(keys_release) struct keys records = {0};
    bool carrier = carrier_is_due(keeper);
    struct error err;

    collect_forgotten(keeper, &records);
    if (!carrier && records.count == 0)
        return NOTHING_MS;
    if (append_all(keeper, a, carrier, &records, &err) == 0) {
        keeper->stale = true;
        return AGAIN_MS;
    }
    if (err.kind == ERR_FENCED)
        return STEP_END;
    return err.kind == ERR_RETRY ? TOPIC_WRITER_WAIT_MS : AGAIN_MS;
}

static int64_t keeper_step(void *arg, void *a)
{
    struct ledger_keeper *keeper = arg;
    struct error err;

    if (atomic_load(&keeper->stopping))
        return STEP_END;
    if (atomic_load(&keeper->undecided))
        return AGAIN_MS;
    if (keeper->stale && ledger_handle_sync(keeper->handle, &err) < 0) {
        log_warn("ledger partition can't be read to its end now",
                 "ledger_partition=%" PRId32 " reason=%s", keeper->handle->partition,
                 err.message);
        return FAILED_MS;
    }
    keeper->stale = false;
    return keep(keeper, a);
}

/* ---- life ---- */

static void on_decided(void *arg)
{
    struct ledger_keeper *keeper = arg;

    atomic_store(&keeper->undecided, false);
}

static void keeper_unref(struct ledger_keeper *keeper)
{
    if (atomic_fetch_sub(&keeper->refs, 1) != 1)
        return;
    keys_release(&keeper->forgotten);
    pthread_mutex_destroy(&keeper->lock);
    free(keeper);
}

static void keeper_ended(void *arg)
{
    struct ledger_keeper *keeper = arg;
    struct ledger_handle *handle = keeper->handle;

    topic_writer_remove_member(handle->writer, &keeper->member);
    keeper_unref(keeper);
    ledger_handle_unref(handle);
}

struct ledger_keeper *ledger_keeper_start(struct ledger_handle *handle)
{
    struct ledger_keeper *keeper = xcalloc(1, sizeof(*keeper));

    keeper->handle = handle;
    keeper->member = (struct topic_writer_member){.committed = on_decided,
                                                  .aborted = on_decided,
                                                  .table = "",
                                                  .topic = handle->p->ledger_topic,
                                                  .arg = keeper};
    keeper->step = (struct step){.run = keeper_step, .ended = keeper_ended, .arg = keeper};
    atomic_init(&keeper->refs, 2);
    pthread_mutex_init(&keeper->lock, NULL);
    ledger_handle_ref(handle);
    topic_writer_add_member(handle->writer, &keeper->member);
    CHECK(step_schedule(handle->p->pool, &keeper->step, 0));
    return keeper;
}

void ledger_keeper_forget(struct ledger_keeper *keeper, const char *table)
{
    bool known = false;

    pthread_mutex_lock(&keeper->lock);
    for (size_t i = 0; i < keeper->forgotten.count; i++)
        known = known || strcmp(keeper->forgotten.all[i], table) == 0;
    if (!known)
        keys_add(&keeper->forgotten, xstrdup(table));
    pthread_mutex_unlock(&keeper->lock);
    step_wake(keeper->handle->p->pool, &keeper->step);
}

void ledger_keeper_keep(struct ledger_keeper *keeper, const char *table)
{
    struct keys *forgotten = &keeper->forgotten;
    size_t kept = 0;

    AUTO_LOCK(&keeper->lock);
    for (size_t i = 0; i < forgotten->count; i++) {
        if (strcmp(forgotten->all[i], table) == 0)
            free(forgotten->all[i]);
        else
            forgotten->all[kept++] = forgotten->all[i];
    }
    forgotten->count = kept;
}

void ledger_keeper_stop(struct ledger_keeper *keeper)
{
    atomic_store(&keeper->stopping, true);
    step_wake(keeper->handle->p->pool, &keeper->step);
    keeper_unref(keeper);
}
