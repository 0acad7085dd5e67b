#include "producer/plan.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/dynamodb/ddb_names.h"
#include "common/dynamodb/ddb_table.h"
#include "common/run/health.h"
#include "common/run/log.h"
#include "producer/placement.h"
#include "producer/source_check.h"
#include "producer/source_identity.h"

#define AGAIN_MS 50
#define POSTPONED_MS 200
#define POSTPONED_LONGEST_MS 10000 /* then an owner without a record is taken to carry all */
#define FAILED_MS 2000
#define SYNC_TIMEOUT_MS 10000

struct plan {
    /* set once */
    struct ledger_handle *zero;
    struct topic_writer_member member;
    struct step step;
    struct health *health; /* "discovery" */
    int64_t started_ms;    /* monotonic */

    atomic_int refs; /* its step's, which may end by itself when fenced, and the owner's */
    atomic_bool alone;
    atomic_bool stopping;
    atomic_bool settled;
    atomic_bool undecided; /* appended, and neither committed nor aborted yet */

    /* of the step */
    struct halted *halted;
    struct name_map gone; /* placement.h */
};

/* ---- appending ---- */

static int append(struct plan *plan, struct append_context *a, bool tombstone,
                  struct error *err)
{
    const struct topic_record record = {
        .member = &plan->member,
        .topic = plan->zero->p->ledger_topic,
        .partition = 0,
        .key = buf_slice(&a->keys),
        .value = tombstone ? (struct bytes){0} : buf_slice(&a->text),
    };

    atomic_store(&plan->undecided, true);
    return topic_writer_append(plan->zero->writer, &record, err);
}

static int append_source(struct plan *plan, struct append_context *a, struct error *err)
{
    buf_reset(&a->keys);
    buf_reset(&a->text);
    if (!source_identity_to_write(plan->zero->p->identity, &a->text))
        return 0;
    buf_lit(&a->keys, LEDGER_SOURCE_KEY);
    return append(plan, a, false, err);
}

static int append_change(struct plan *plan, struct append_context *a,
                         const struct placement_change *change, struct error *err)
{
    buf_reset(&a->keys);
    buf_reset(&a->text);
    ledger_place_key(&a->keys, change->table);
    ledger_place_encode(&a->text, &change->place);
    log_info(change->remove         ? "table forgotten"
             : change->place.forget ? "table is to be forgotten"
                                    : "table placed",
             "table=%s ledger_partition=%" PRId32, change->table, change->place.partition);
    return append(plan, a, change->remove, err);
}

static int append_all(struct plan *plan, struct append_context *a,
                      const struct placement_changes *changes, struct error *err)
{
    int result;

    if (topic_writer_gate_enter(plan->zero->writer, &plan->member, NULL, err) < 0)
        return -1;
    result = append_source(plan, a, err);
    for (size_t i = 0; i < changes->count && result == 0; i++)
        result = append_change(plan, a, &changes->all[i], err);
    if (result < 0)
        topic_writer_request_abort(plan->zero->writer, err->message);
    topic_writer_gate_exit(plan->zero->writer);
    return result;
}

/* ---- a look ---- */

static bool source_is_due(struct plan *plan, struct append_context *a)
{
    buf_reset(&a->text);
    return source_identity_to_write(plan->zero->p->identity, &a->text);
}

/* The cache is synced first, so that what was committed is not written again. */
static int decide(struct plan *plan, struct placement_changes *ret, char *const *names,
                  size_t count, struct error *err)
{
    struct producer *p = plan->zero->p;
    bool alone = atomic_load(&plan->alone);
    int64_t now_ms = clock_mono_ms();
    const struct placement_asked asked = {
        .config = p->config,
        .cache = p->cache,
        .names = names,
        .count = count,
        .alone = alone,
        .may_postpone = !alone && now_ms - plan->started_ms < POSTPONED_LONGEST_MS,
        .gone = &plan->gone,
        .now_ms = now_ms,
        .forget_after_ms = config_int(p->config, "gone.forget.ms"),
        .halted = plan->halted,
    };

    if (ledger_handle_sync(plan->zero, err) < 0 ||
        ledger_cache_sync(p->cache, SYNC_TIMEOUT_MS, err) < 0)
        return -1;
    placement_decide(ret, &asked);
    return 0;
}

static int look(struct plan *plan, struct append_context *a, struct placement_changes *ret,
                struct error *err)
{
    char **names;
    size_t count;
    int result;

    if (source_check_list(&names, &count, a->client, err) < 0)
        return -1;
    result = decide(plan, ret, names, count, err);
    ddb_names_free(names, count);
    if (result == 0 && (ret->count > 0 || source_is_due(plan, a)))
        result = append_all(plan, a, ret, err);
    return result;
}

static int64_t looked(struct plan *plan, const struct placement_changes *changes)
{
    atomic_store(&plan->settled, changes->count == 0 && !changes->postponed);
    health_say(plan->health, "");
    health_alive(plan->health);
    if (changes->count > 0)
        return AGAIN_MS;
    return changes->postponed ? POSTPONED_MS
                              : config_int(plan->zero->p->config, "discovery.interval.ms");
}

static int64_t plan_step(void *arg, void *a)
{
    AUTO(placement_changes_release) struct placement_changes changes = {0};
    struct plan *plan = arg;
    struct error err;

    if (atomic_load(&plan->stopping))
        return STEP_END;
    if (atomic_load(&plan->undecided))
        return AGAIN_MS;
    if (look(plan, a, &changes, &err) == 0)
        return looked(plan, &changes);
    if (err.kind == ERR_FENCED)
        return STEP_END;
    health_say(plan->health, err.message);
    log_warn("discovery failed, will be repeated", "reason=%s", err.message);
    return FAILED_MS;
}

/* ---- life ---- */

static void on_decided(void *arg)
{
    struct plan *plan = arg;

    atomic_store(&plan->undecided, false);
}

static void plan_unref(struct plan *plan)
{
    if (atomic_fetch_sub(&plan->refs, 1) != 1)
        return;
    halted_free(plan->halted);
    name_map_release(&plan->gone);
    free(plan);
}

static void plan_ended(void *arg)
{
    struct plan *plan = arg;
    struct ledger_handle *zero = plan->zero;

    topic_writer_remove_member(zero->writer, &plan->member);
    health_remove(plan->health);
    plan_unref(plan);
    ledger_handle_unref(zero);
}

struct plan *plan_start(struct ledger_handle *zero, bool alone)
{
    const struct config *c = zero->p->config;
    struct plan *plan = xcalloc(1, sizeof(*plan));

    plan->zero = zero;
    atomic_init(&plan->refs, 2);
    atomic_init(&plan->alone, alone);
    plan->started_ms = clock_mono_ms();
    plan->halted = halted_new();
    plan->health = health_new("discovery", config_int(c, "health.limit.ms") +
                                               config_int(c, "discovery.interval.ms"));
    plan->member = (struct topic_writer_member){.committed = on_decided,
                                                .aborted = on_decided,
                                                .table = "",
                                                .topic = zero->p->ledger_topic,
                                                .arg = plan};
    plan->step = (struct step){.run = plan_step, .ended = plan_ended, .arg = plan};
    ledger_handle_ref(zero);
    topic_writer_add_member(zero->writer, &plan->member);
    CHECK(step_schedule(zero->p->pool, &plan->step, 0));
    return plan;
}

void plan_set_alone(struct plan *plan, bool alone)
{
    atomic_store(&plan->alone, alone);
}

bool plan_is_settled(const struct plan *plan)
{
    return atomic_load(&plan->settled);
}

void plan_stop(struct plan *plan)
{
    atomic_store(&plan->stopping, true);
    step_wake(plan->zero->p->pool, &plan->step);
    plan_unref(plan);
}
