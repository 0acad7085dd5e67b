#include "consumer/watch.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/base/check.h"
#include "common/run/log.h"

/* For the producer's records, or another preparer. */
#define WAIT_MS 500
/* Is the collection still the same? Has someone mended it? */
#define AGAIN_MS 10000
#define FAILED_MAX_MS 10000
/* After a long command was refused. */
#define REBUILD_MAX_MS 600000
/* An election is over by then. */
#define NOES_TO_HALT 5
#define NOES_OVER_MS 15000
#define NOT_READY_MAX_MS 120000
/* After a secondary index was refused. */
#define SECONDARY_MIN_MS 30000
#define SECONDARY_MAX_MS 3600000
/* How often the log says that long work continues. */
#define TELL_MS 60000
/* Work that takes longer is alive; shorter work that fails again and again is no progress. */
#define LONG_MS 30000

struct watch *watch_new(struct table *t)
{
    struct watch *watch = xcalloc(1, sizeof(*watch));

    watch->table = t;
    backoff_init(&watch->backoff, WAIT_MS, FAILED_MAX_MS, NULL, NULL);
    backoff_init(&watch->index_backoff, SECONDARY_MIN_MS, SECONDARY_MAX_MS, NULL, NULL);
    return watch;
}

void watch_free(struct watch *watch)
{
    health_remove(watch->health);
    free(watch);
}

/* ---- what a look means ---- */

static void show(struct watch *watch, enum watch_shown what)
{
    AUTO(free_charp) char *name = xasprintf("table %s", watch->table->name);

    if (what == SHOWN_NOTHING)
        health_remove(TAKE(watch->health));
    else if (what != watch->shown)
        watch->health = health_get(name, what == SHOWN_HALTED ? 0 : NOT_READY_MAX_MS);
    else if (what == SHOWN_WELL)
        health_alive(watch->health);
    watch->shown = what;
}

static void forget_failures(struct watch *watch)
{
    watch->failing = false;
    watch->noes = 0;
    watch->build_due = 0;
    backoff_reset(&watch->backoff);
}

static bool halt(struct watch *watch, enum watch_role role, const struct look *look,
                 int64_t now)
{
    watch->due = now + AGAIN_MS;
    if (role == ROLE_BUILDS)
        watch->build_due = now + MAX(AGAIN_MS, MIN(look->took_ms * 10, REBUILD_MAX_MS));
    show(watch, SHOWN_HALTED);
    return table_halt(watch->table, look->err.message);
}

/* A no is a reason to halt only when it stays one: an election may be going on. */
static bool is_for_good(struct watch *watch, const struct look *look, int64_t now)
{
    if (look->err.kind == ERR_FATAL && !look->err.code)
        return true;
    if (!look->answered_no && look->err.kind != ERR_FATAL)
        return false;
    if (watch->noes++ == 0)
        watch->noes_since = now;
    return watch->noes >= NOES_TO_HALT && now - watch->noes_since >= NOES_OVER_MS;
}

static bool look_failed(struct watch *watch, enum watch_role role, const struct look *look,
                        int64_t now)
{
    int64_t delay = WAIT_MS + backoff_next_ms(&watch->backoff);

    watch->failing = true;
    if (is_for_good(watch, look, now))
        return halt(watch, role, look, now);
    log_warn("look at table failed", "table=%s for_ms=%" PRId64 " reason=%s",
             watch->table->name, delay, look->err.message);
    watch->due = now + (watch->shown == SHOWN_HALTED ? AGAIN_MS : delay);
    return false;
}

static bool look_ready(struct watch *watch, struct look *look, int64_t now)
{
    forget_failures(watch);
    watch->due = now + AGAIN_MS;
    watch->to_index = look->index_missing;
    show(watch, SHOWN_WELL);
    return table_ready(watch->table, &look->view);
}

static bool look_waits(struct watch *watch, const struct look *look, int64_t now)
{
    forget_failures(watch);
    watch->due = now + WAIT_MS;
    show(watch, look->producers ? SHOWN_WELL : SHOWN_WAITING);
    return table_waits(watch->table);
}

/* Halted because of long work, a table stays so until that was done. */
static bool look_wants_building(struct watch *watch, int64_t now)
{
    watch->to_build = true;
    watch->due = now + AGAIN_MS;
    if (watch->shown == SHOWN_HALTED && watch->build_due)
        return false;
    show(watch, SHOWN_WAITING);
    return table_waits(watch->table);
}

static bool look_means(struct watch *watch, enum watch_role role, struct look *look,
                       int64_t now)
{
    if (watch->uses == 0) { /* taken away meanwhile */
        table_view_put(TAKE(look->view));
        return false;
    }
    switch (look->result) {
    case PREPARATION_READY:
        return look_ready(watch, look, now);
    case PREPARATION_WAITS:
        return look_waits(watch, look, now);
    case PREPARATION_LONG:
        return look_wants_building(watch, now);
    case PREPARATION_FAILED:
        break;
    }
    return look_failed(watch, role, look, now);
}

/* ---- long work ---- */

static void long_begins(const struct watch *watch, struct long_work *work, const char *what,
                        int64_t now)
{
    *work = (struct long_work){what, now, now};
    log_info("work on table started", "table=%s what=%s", watch->table->name, what);
}

static void long_ends(const struct watch *watch, struct long_work *work, int64_t now)
{
    log_info("work on table ended", "table=%s what=%s took_ms=%" PRId64, watch->table->name,
             work->what, now - work->since);
    work->since = 0;
}

static void tell(const struct watch *watch, struct long_work *work, int64_t now)
{
    if (!work->since || now < work->told_at + TELL_MS)
        return;
    work->told_at = now;
    log_info("work on table continues", "table=%s what=%s for_s=%" PRId64, watch->table->name,
             work->what, (now - work->since) / 1000);
}

/* A view, or a halt, is good for as long as it would have been between two looks: partitions
 * that come back within that time go on from memory. */
static void unused_for_long(struct watch *watch, int64_t now)
{
    if (!watch->unused_since || now < watch->unused_since + AGAIN_MS)
        return;
    watch->unused_since = 0;
    table_waits(watch->table);
}

void watch_tick(struct watch *watch, int64_t now)
{
    if (watch->uses == 0)
        unused_for_long(watch, now);
    else if (watch->building.since && now > watch->building.since + LONG_MS &&
             watch->shown != SHOWN_HALTED)
        health_alive(watch->health);
    tell(watch, &watch->building, now);
    tell(watch, &watch->indexing, now);
}

void watch_look_begins(struct watch *watch, enum watch_role role, int64_t now)
{
    watch->busy = true;
    if (role != ROLE_BUILDS)
        return;
    watch->to_build = false;
    long_begins(watch, &watch->building, "preparation", now);
}

bool watch_look_ended(struct watch *watch, enum watch_role role, struct look *look, int64_t now)
{
    watch->busy = false;
    if (role == ROLE_BUILDS)
        long_ends(watch, &watch->building, now);
    return look_means(watch, role, look, now);
}

void watch_index_begins(struct watch *watch, int64_t now)
{
    watch->to_index = false;
    watch->index_due = INT64_MAX; /* one at a time */
    long_begins(watch, &watch->indexing, "secondary indexes", now);
}

void watch_index_ended(struct watch *watch, bool all, int64_t now)
{
    long_ends(watch, &watch->indexing, now);
    watch->index_due = 0;
    if (all)
        backoff_reset(&watch->index_backoff);
    else
        watch->index_due = now + SECONDARY_MIN_MS + backoff_next_ms(&watch->index_backoff);
}

/* ---- when ---- */

bool watch_is_due(const struct watch *watch, enum watch_role role, int64_t now, int64_t *due)
{
    if (watch->uses == 0)
        return false;
    switch (role) {
    case ROLE_LOOKS:
        *due = watch->due;
        return !watch->busy && watch->due <= now;
    case ROLE_BUILDS:
        *due = watch->build_due;
        return !watch->busy && watch->to_build && watch->build_due <= now;
    case ROLE_INDEXES:
        *due = watch->index_due;
        return watch->to_index && watch->index_due <= now;
    }
    return false;
}

static void use_again(struct watch *watch, int64_t now)
{
    unused_for_long(watch, now);
    watch->unused_since = 0;
    show(watch, table_is_halted(watch->table) ? SHOWN_HALTED : SHOWN_WAITING);
}

static void unused(struct watch *watch, int64_t now)
{
    watch->unused_since = now;
    watch->to_build = watch->to_index = false;
    forget_failures(watch);
    show(watch, SHOWN_NOTHING);
}

void watch_use(struct watch *watch, bool used, int64_t now)
{
    watch->uses += used ? 1 : -1;
    CHECK(watch->uses >= 0);
    if (used && watch->uses == 1)
        use_again(watch, now);
    else if (watch->uses == 0)
        unused(watch, now);
    watch_look_soon(watch, now);
}

void watch_look_soon(struct watch *watch, int64_t now)
{
    if (!watch->failing)
        watch->due = MIN(watch->due, now);
}
