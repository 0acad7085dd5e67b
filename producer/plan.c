#include "producer/plan.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "common/check.h"
#include "common/clock.h"
#include "common/ddb_table.h"
#include "common/exit_code.h"
#include "common/kafka.h"
#include "common/log.h"
#include "common/stop.h"

#define AGAIN_MS 50

/* ---- which tables ---- */

int plan_tables(char ***ret, size_t *ret_count, const struct config *c,
                struct ddb_client *client, struct error *err)
{
    char **names;
    size_t all, kept = 0;

    if (ddb_list_tables(&names, &all, client, err) < 0)
        return -1;
    for (size_t i = 0; i < all; i++) {
        if (config_wants_table(c, names[i]))
            names[kept++] = names[i];
        else
            free(names[i]);
    }
    if (kafka_check_topic_names(c, names, kept, err) < 0) {
        ddb_names_free(names, kept);
        return -1;
    }
    *ret = names;
    *ret_count = kept;
    return 0;
}

/* ---- the check at the start ---- */

static bool has_name(char *const *names, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static void note_known(void *arg, struct bytes rest, struct bytes value, int32_t partition)
{
    (void)rest;
    (void)value;
    (void)partition;
    *(bool *)arg = true;
}

static bool ledger_knows(struct producer *p, const char *table)
{
    AUTO(free_charp) char *key = xasprintf("place/%s", table);
    bool known = false;

    ledger_cache_each(p->cache, key, note_known, &known);
    return known;
}

static int check_white_list(struct producer *p, char *const *names, size_t count,
                            struct error *err)
{
    AUTO(free_charp) char *list = xstrdup(config_string(p->config, "filter.collection.white"));
    char *rest = NULL;

    for (char *name = strtok_r(list, "; ", &rest); name; name = strtok_r(NULL, "; ", &rest))
        if (!has_name(names, count, name) &&
            !config_list_has(p->config, "filter.collection.black", name) &&
            !ledger_knows(p, name))
            return error_fatal(err, EXIT_CONFIGURATION,
                               "table %s of filter.collection.white does not exist", name);
    return 0;
}

static int list_with_patience(struct producer *p, struct ddb_client *client, char ***ret,
                              size_t *ret_count, struct error *err)
{
    int64_t end = clock_mono_ms() + config_int(p->config, "start.timeout") * 1000;

    for (;;) {
        if (plan_tables(ret, ret_count, p->config, client, err) == 0)
            return 0;
        if (err->kind == ERR_FATAL)
            return -1;
        if (clock_mono_ms() > end)
            break;
        if (stop_wait_ms(500))
            return error_set(err, ERR_RETRY, "stopped");
    }
    err->kind = ERR_FATAL;
    err->code = EXIT_UNREACHABLE;
    return error_prefix(err, "DynamoDB does not answer");
}

int plan_check_source(struct producer *p, struct error *err)
{
    struct ddb_client *client = ddb_client_new(p->source);
    char **names;
    size_t count;
    int result = list_with_patience(p, client, &names, &count, err);

    if (result == 0) {
        result = check_white_list(p, names, count, err);
        ddb_names_free(names, count);
    }
    ddb_client_free(client);
    return result;
}

/* ---- discovery and placement ---- */

struct plan {
    struct producer *p;
    atomic_int refs; /* its step's, which may end by itself when fenced, and the owner's */
    struct ledger_partition *zero;
    struct topic_writer *writer;
    struct topic_writer_member member;
    struct step step;
    atomic_bool stopping;
    atomic_bool settled;
    atomic_bool undecided; /* places were appended and neither committed nor aborted yet */
};

int32_t plan_choose(const size_t *tables_placed, int32_t partitions)
{
    int32_t best = 0;

    for (int32_t p = 1; p < partitions; p++)
        if (tables_placed[p] < tables_placed[best])
            best = p;
    return best;
}

struct load {
    size_t *placed;
    int32_t partitions;
    char **tables;
    size_t count;
};

static void note_load(void *arg, struct bytes table, struct bytes value, int32_t partition)
{
    struct load *load = arg;
    struct error err;
    int32_t placed;

    (void)partition;
    load->tables = xrealloc(load->tables, sizeof(*load->tables) * (load->count + 1));
    load->tables[load->count++] = bytes_dup(table);
    if (ledger_place_decode(&placed, value, &err) == 0 && placed < load->partitions)
        load->placed[placed]++;
}

static int append_place(struct plan *plan, struct pool_local *local, const char *table,
                        int32_t partition, struct error *err)
{
    struct topic_record r = {
        .member = &plan->member, .topic = plan->p->ledger_topic, .partition = 0};

    buf_reset(&local->keys);
    buf_reset(&local->text);
    ledger_place_key(&local->keys, table);
    ledger_place_encode(&local->text, partition);
    r.key = buf_slice(&local->keys);
    r.value = buf_slice(&local->text);
    log_info("table is placed", "table=%s ledger_partition=%" PRId32, table, partition);
    return topic_writer_append(plan->writer, &r, err);
}

static int place_new(struct plan *plan, struct pool_local *local, char *const *names,
                     size_t count, size_t *ret_placed, struct error *err)
{
    struct load load = {.partitions = ledger_cache_partitions(plan->p->cache)};
    int result = 0;

    load.placed = xcalloc((size_t)load.partitions, sizeof(*load.placed));
    ledger_cache_each(plan->p->cache, "place/", note_load, &load);
    for (size_t i = 0; i < count && result == 0; i++) {
        int32_t to = plan_choose(load.placed, load.partitions);

        if (has_name(load.tables, load.count, names[i]))
            continue;
        atomic_store(&plan->undecided, true);
        load.placed[to]++;
        ++*ret_placed;
        result = append_place(plan, local, names[i], to, err);
    }
    ddb_names_free(load.tables, load.count);
    free(load.placed);
    return result;
}

static int look(struct plan *plan, struct pool_local *local, size_t *ret_placed,
                struct error *err)
{
    char **names;
    size_t count;
    int result;

    if (plan_tables(&names, &count, plan->p->config, local->client, err) < 0)
        return -1;
    if (ledger_partition_sync(plan->zero, err) < 0 ||
        topic_writer_enter(plan->writer, &plan->member, NULL, err) < 0) {
        ddb_names_free(names, count);
        return -1;
    }
    result = place_new(plan, local, names, count, ret_placed, err);
    if (result < 0)
        topic_writer_fail(plan->writer, err->message);
    topic_writer_exit(plan->writer);
    ddb_names_free(names, count);
    return result;
}

static int64_t plan_step(void *arg, void *local)
{
    struct plan *plan = arg;
    size_t placed = 0;
    struct error err;

    if (atomic_load(&plan->stopping))
        return STEP_END;
    if (atomic_load(&plan->undecided))
        return AGAIN_MS;
    if (look(plan, local, &placed, &err) == 0) {
        atomic_store(&plan->settled, placed == 0);
        return placed ? AGAIN_MS : config_int(plan->p->config, "discovery.interval.ms");
    }
    if (err.kind == ERR_FENCED)
        return STEP_END;
    log_warn("tables can't be looked for now", "reason=%s", err.message);
    return 2000;
}

static void on_decided(void *arg)
{
    struct plan *plan = arg;

    atomic_store(&plan->undecided, false);
}

static void on_topic_failed(void *arg, const char *topic, const char *reason)
{
    (void)arg; /* of a table; the ledger's own failure shows in the abort */
    (void)topic;
    (void)reason;
}

static void plan_unref(struct plan *plan)
{
    if (atomic_fetch_sub(&plan->refs, 1) == 1)
        free(plan);
}

static void plan_ended(void *arg)
{
    struct plan *plan = arg;
    struct ledger_partition *zero = plan->zero;

    topic_writer_leave(plan->writer, &plan->member);
    plan_unref(plan);
    ledger_partition_unref(zero);
}

struct plan *plan_start(struct producer *p, struct ledger_partition *zero)
{
    struct plan *plan = xcalloc(1, sizeof(*plan));

    plan->p = p;
    atomic_init(&plan->refs, 2);
    plan->zero = zero;
    plan->writer = ledger_partition_writer(zero);
    plan->member = (struct topic_writer_member){.committed = on_decided,
                                                .aborted = on_decided,
                                                .topic_failed = on_topic_failed,
                                                .table = "",
                                                .topic = p->ledger_topic,
                                                .arg = plan};
    plan->step = (struct step){.run = plan_step, .ended = plan_ended, .arg = plan};
    ledger_partition_ref(zero);
    topic_writer_join(plan->writer, &plan->member);
    CHECK(step_schedule(p->pool, &plan->step, 0));
    return plan;
}

bool plan_is_settled(const struct plan *plan)
{
    return atomic_load(&plan->settled);
}

void plan_stop(struct plan *plan)
{
    atomic_store(&plan->stopping, true);
    step_wake(plan->p->pool, &plan->step);
    plan_unref(plan);
}
