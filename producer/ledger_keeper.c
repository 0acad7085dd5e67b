#include "producer/ledger_keeper.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "common/base/check.h"
#include "common/run/log.h"
#include "producer/carriers.h"
#include "producer/ledger_partition.h"

#define AGAIN_MS 50
#define FAILED_MS 2000
#define NOTHING_MS 3600000 /* it is woken */

struct keys {
    char **all;
    size_t count;
};

struct ledger_keeper {
    /* set once */
    struct producer *p;
    struct ledger_partition *home;
    struct topic_writer *writer;
    int32_t partition;
    struct topic_writer_member member;
    struct step step;
    atomic_int refs; /* its step's and the owner's */
    atomic_bool stopping;
    atomic_bool undecided; /* appended, and neither committed nor aborted yet */

    bool stale; /* of the step: what was decided may not be in the cache yet */

    pthread_mutex_t lock; /* all below */
    struct keys forgotten;
};

/* ---- names ---- */

static void keys_add(struct keys *k, char *name)
{
    k->all = xrealloc(k->all, sizeof(*k->all) * (k->count + 1));
    k->all[k->count++] = name;
}

static void keys_release(struct keys *k)
{
    for (size_t i = 0; i < k->count; i++)
        free(k->all[i]);
    free(k->all);
    *k = (struct keys){0};
}

/* ---- what there is to do ---- */

struct collect {
    const char *prefix;
    int32_t partition;
    struct keys *keys;
};

static void note_key(void *arg, struct bytes rest, struct bytes value, int32_t partition)
{
    struct collect *c = arg;

    (void)value;
    if (partition == c->partition)
        keys_add(c->keys, xasprintf("%s" BYTES_FMT, c->prefix, BYTES_ARG(rest)));
}

static void note_exact(void *arg, struct bytes rest, struct bytes value, int32_t partition)
{
    if (rest.len == 0)
        note_key(arg, rest, value, partition);
}

/* The table's own record last: while it is there, so is everything that it speaks of. */
static void collect_records(struct ledger_keeper *k, const char *table, struct keys *ret)
{
    AUTO(free_charp) char *segments = xasprintf("segment/%s/", table);
    AUTO(free_charp) char *shards = xasprintf("shard/%s/", table);
    AUTO(free_charp) char *record = xasprintf("table/%s", table);
    struct collect c = {.partition = k->partition, .keys = ret};

    c.prefix = shards;
    ledger_cache_each(k->p->cache, shards, note_key, &c);
    c.prefix = segments;
    ledger_cache_each(k->p->cache, segments, note_key, &c);
    c.prefix = record;
    ledger_cache_each(k->p->cache, record, note_exact, &c);
}

/* Tables without records are done with. */
static void collect_forgotten(struct ledger_keeper *k, struct keys *ret)
{
    size_t kept = 0;

    AUTO_LOCK(&k->lock);
    for (size_t i = 0; i < k->forgotten.count; i++) {
        char *table = k->forgotten.all[i];
        size_t before = ret->count;

        collect_records(k, table, ret);
        if (ret->count > before)
            k->forgotten.all[kept++] = table;
        else
            free(table);
    }
    k->forgotten.count = kept;
}

static bool carrier_is_due(struct ledger_keeper *k)
{
    AUTO(carriers_freep)
    struct carriers *carriers = carriers_read(k->p->cache, k->p->config);

    return !carriers_are_ours(carriers, k->partition);
}

/* ---- appending ---- */

static int append(struct ledger_keeper *k, struct bytes key, struct bytes value,
                  struct error *err)
{
    const struct topic_record r = {
        .topic = k->p->ledger_topic, .partition = k->partition, .key = key, .value = value};

    atomic_store(&k->undecided, true);
    return topic_writer_append(k->writer, &r, err);
}

static int append_carrier(struct ledger_keeper *k, struct append_context *local,
                          struct error *err)
{
    buf_reset(&local->keys);
    buf_reset(&local->text);
    ledger_carrier_key(&local->keys, k->partition);
    carriers_encode(&local->text, k->p->config);
    return append(k, buf_slice(&local->keys), buf_slice(&local->text), err);
}

static int append_all(struct ledger_keeper *k, struct append_context *local, bool carrier,
                      const struct keys *records, struct error *err)
{
    int result = 0;

    if (topic_writer_gate_enter(k->writer, &k->member, &k->step, err) < 0)
        return -1;
    if (carrier)
        result = append_carrier(k, local, err);
    for (size_t i = 0; i < records->count && result == 0; i++)
        result = append(k, bytes_of(records->all[i]), (struct bytes){0}, err);
    if (result < 0)
        topic_writer_request_abort(k->writer, err->message);
    topic_writer_gate_exit(k->writer);
    topic_writer_commit_soon(k->writer);
    return result;
}

static int64_t keep(struct ledger_keeper *k, struct append_context *local)
{
    AUTO(keys_release) struct keys records = {0};
    bool carrier = carrier_is_due(k);
    struct error err;

    collect_forgotten(k, &records);
    if (!carrier && records.count == 0)
        return NOTHING_MS;
    if (append_all(k, local, carrier, &records, &err) == 0) {
        k->stale = true;
        return AGAIN_MS;
    }
    if (err.kind == ERR_FENCED)
        return STEP_END;
    return err.kind == ERR_RETRY ? TOPIC_WRITER_WAIT_MS : AGAIN_MS;
}

static int64_t keeper_step(void *arg, void *local)
{
    struct ledger_keeper *k = arg;
    struct error err;

    if (atomic_load(&k->stopping))
        return STEP_END;
    if (atomic_load(&k->undecided))
        return AGAIN_MS;
    if (k->stale && ledger_partition_sync(k->home, &err) < 0) {
        log_warn("ledger partition can't be read to its end now",
                 "ledger_partition=%" PRId32 " reason=%s", k->partition, err.message);
        return FAILED_MS;
    }
    k->stale = false;
    return keep(k, local);
}

/* ---- life ---- */

static void on_decided(void *arg)
{
    struct ledger_keeper *k = arg;

    atomic_store(&k->undecided, false);
}

static void on_topic_failed(void *arg, const char *topic, const char *reason)
{
    (void)arg; /* of a table; the ledger's own failure shows in the abort */
    (void)topic;
    (void)reason;
}

static void keeper_unref(struct ledger_keeper *k)
{
    if (atomic_fetch_sub(&k->refs, 1) != 1)
        return;
    keys_release(&k->forgotten);
    pthread_mutex_destroy(&k->lock);
    free(k);
}

static void keeper_ended(void *arg)
{
    struct ledger_keeper *k = arg;
    struct ledger_partition *home = k->home;

    topic_writer_remove_member(k->writer, &k->member);
    keeper_unref(k);
    ledger_partition_unref(home);
}

struct ledger_keeper *ledger_keeper_start(struct producer *p, struct ledger_partition *home,
                                          struct topic_writer *writer, int32_t partition)
{
    struct ledger_keeper *k = xcalloc(1, sizeof(*k));

    k->p = p;
    k->home = home;
    k->writer = writer;
    k->partition = partition;
    k->member = (struct topic_writer_member){.committed = on_decided,
                                             .aborted = on_decided,
                                             .topic_failed = on_topic_failed,
                                             .table = "",
                                             .topic = p->ledger_topic,
                                             .arg = k};
    k->step = (struct step){.run = keeper_step, .ended = keeper_ended, .arg = k};
    atomic_init(&k->refs, 2);
    pthread_mutex_init(&k->lock, NULL);
    ledger_partition_ref(home);
    topic_writer_add_member(writer, &k->member);
    CHECK(step_schedule(p->pool, &k->step, 0));
    return k;
}

void ledger_keeper_forget(struct ledger_keeper *k, const char *table)
{
    bool known = false;

    pthread_mutex_lock(&k->lock);
    for (size_t i = 0; i < k->forgotten.count; i++)
        known = known || strcmp(k->forgotten.all[i], table) == 0;
    if (!known)
        keys_add(&k->forgotten, xstrdup(table));
    pthread_mutex_unlock(&k->lock);
    step_wake(k->p->pool, &k->step);
}

void ledger_keeper_stop(struct ledger_keeper *k)
{
    atomic_store(&k->stopping, true);
    step_wake(k->p->pool, &k->step);
    keeper_unref(k);
}
