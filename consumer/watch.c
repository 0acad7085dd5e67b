#include "consumer/watch.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/base/check.h"
#include "common/run/log.h"

#define WAIT_MS 500 /* for the producer's records, or another preparer */
/* Is the collection still the same? Has someone mended it? */
#define AGAIN_MS 10000
#define FAILED_MAX_MS 10000
#define REBUILD_MAX_MS 600000 /* after a long command was refused */
#define NOES_TO_HALT 5        /* and over so long: an election is over by then */
#define NOES_OVER_MS 15000
#define NOT_READY_MAX_MS 120000
#define SECONDARY_MIN_MS 30000 /* a refused index of the user's */
#define SECONDARY_MAX_MS 3600000
#define TELL_MS 60000 /* how often a long command is told of */
/* Work that takes longer is alive; shorter work that fails again and again is no progress. */
#define LONG_MS 30000

struct watch *watch_new(struct table *t)
{
    struct watch *w = xcalloc(1, sizeof(*w));

    w->table = t;
    backoff_init(&w->backoff, WAIT_MS, FAILED_MAX_MS, NULL, NULL);
    backoff_init(&w->index_backoff, SECONDARY_MIN_MS, SECONDARY_MAX_MS, NULL, NULL);
    return w;
}

void watch_free(struct watch *w)
{
    health_remove(w->health);
    free(w);
}

/* ---- what a look means ---- */

static void show(struct watch *w, enum watch_shown what)
{
    AUTO(free_charp) char *name = xasprintf("table %s", w->table->name);

    if (what == SHOWN_NOTHING)
        health_remove(TAKE(w->health));
    else if (what != w->shown)
        w->health = health_get(name, what == SHOWN_HALTED ? 0 : NOT_READY_MAX_MS);
    else if (what == SHOWN_WELL)
        health_alive(w->health);
    w->shown = what;
}

static void forget_failures(struct watch *w)
{
    w->failing = false;
    w->noes = 0;
    w->build_due = 0;
    backoff_reset(&w->backoff);
}

static bool halt(struct watch *w, enum watch_role role, const struct look *l, int64_t now)
{
    w->due = now + AGAIN_MS;
    if (role == ROLE_BUILDS)
        w->build_due = now + MAX(AGAIN_MS, MIN(l->took_ms * 10, REBUILD_MAX_MS));
    show(w, SHOWN_HALTED);
    return table_halt(w->table, l->err.message);
}

/* A no is a reason to halt only when it stays one: an election may be going on. */
static bool is_for_good(struct watch *w, const struct look *l, int64_t now)
{
    if (l->err.kind == ERR_FATAL && !l->err.code)
        return true;
    if (!l->answered_no && l->err.kind != ERR_FATAL)
        return false;
    if (w->noes++ == 0)
        w->noes_since = now;
    return w->noes >= NOES_TO_HALT && now - w->noes_since >= NOES_OVER_MS;
}

static bool look_failed(struct watch *w, enum watch_role role, const struct look *l,
                        int64_t now)
{
    int64_t delay = WAIT_MS + backoff_next_ms(&w->backoff);

    w->failing = true;
    if (is_for_good(w, l, now))
        return halt(w, role, l, now);
    log_warn("table can't be looked at", "table=%s for_ms=%" PRId64 " reason=%s",
             w->table->name, delay, l->err.message);
    w->due = now + (w->shown == SHOWN_HALTED ? AGAIN_MS : delay);
    return false;
}

static bool look_ready(struct watch *w, struct look *l, int64_t now)
{
    forget_failures(w);
    w->due = now + AGAIN_MS;
    w->to_index = l->index_missing;
    show(w, SHOWN_WELL);
    return table_ready(w->table, &l->view);
}

static bool look_waits(struct watch *w, const struct look *l, int64_t now)
{
    forget_failures(w);
    w->due = now + WAIT_MS;
    show(w, l->producers ? SHOWN_WELL : SHOWN_WAITING);
    return table_waits(w->table);
}

/* Halted because of long work, a table stays so until that was done. */
static bool look_wants_building(struct watch *w, int64_t now)
{
    w->to_build = true;
    w->due = now + AGAIN_MS;
    if (w->shown == SHOWN_HALTED && w->build_due)
        return false;
    show(w, SHOWN_WAITING);
    return table_waits(w->table);
}

static bool look_means(struct watch *w, enum watch_role role, struct look *l, int64_t now)
{
    if (w->uses == 0) { /* taken away meanwhile */
        table_view_put(TAKE(l->view));
        return false;
    }
    switch (l->result) {
    case PREPARATION_READY:
        return look_ready(w, l, now);
    case PREPARATION_WAITS:
        return look_waits(w, l, now);
    case PREPARATION_LONG:
        return look_wants_building(w, now);
    case PREPARATION_FAILED:
        break;
    }
    return look_failed(w, role, l, now);
}

/* ---- long work ---- */

static void long_begins(const struct watch *w, struct long_work *l, const char *what,
                        int64_t now)
{
    *l = (struct long_work){what, now, now};
    log_info("work on a table begins", "table=%s what=%s", w->table->name, what);
}

static void long_ends(const struct watch *w, struct long_work *l, int64_t now)
{
    log_info("work on a table ended", "table=%s what=%s took_ms=%" PRId64, w->table->name,
             l->what, now - l->since);
    l->since = 0;
}

static void tell(const struct watch *w, struct long_work *l, int64_t now)
{
    if (!l->since || now < l->told_at + TELL_MS)
        return;
    l->told_at = now;
    log_info("work on a table goes on", "table=%s what=%s for_s=%" PRId64, w->table->name,
             l->what, (now - l->since) / 1000);
}

/* A view, or a halt, is good for as long as it would have been between two looks: partitions
 * that come back within that time go on from memory. */
static void unused_for_long(struct watch *w, int64_t now)
{
    if (!w->unused_since || now < w->unused_since + AGAIN_MS)
        return;
    w->unused_since = 0;
    table_waits(w->table);
}

void watch_tick(struct watch *w, int64_t now)
{
    if (w->uses == 0)
        unused_for_long(w, now);
    else if (w->building.since && now > w->building.since + LONG_MS && w->shown != SHOWN_HALTED)
        health_alive(w->health);
    tell(w, &w->building, now);
    tell(w, &w->indexing, now);
}

void watch_look_begins(struct watch *w, enum watch_role role, int64_t now)
{
    w->busy = true;
    if (role != ROLE_BUILDS)
        return;
    w->to_build = false;
    long_begins(w, &w->building, "preparation", now);
}

bool watch_look_ended(struct watch *w, enum watch_role role, struct look *l, int64_t now)
{
    w->busy = false;
    if (role == ROLE_BUILDS)
        long_ends(w, &w->building, now);
    return look_means(w, role, l, now);
}

void watch_index_begins(struct watch *w, int64_t now)
{
    w->to_index = false;
    w->index_due = INT64_MAX; /* one at a time */
    long_begins(w, &w->indexing, "secondary indexes", now);
}

void watch_index_ended(struct watch *w, bool all, int64_t now)
{
    long_ends(w, &w->indexing, now);
    w->index_due = 0;
    if (all)
        backoff_reset(&w->index_backoff);
    else
        w->index_due = now + SECONDARY_MIN_MS + backoff_next_ms(&w->index_backoff);
}

/* ---- when ---- */

bool watch_is_due(const struct watch *w, enum watch_role role, int64_t now, int64_t *due)
{
    if (w->uses == 0)
        return false;
    switch (role) {
    case ROLE_LOOKS:
        *due = w->due;
        return !w->busy && w->due <= now;
    case ROLE_BUILDS:
        *due = w->build_due;
        return !w->busy && w->to_build && w->build_due <= now;
    case ROLE_INDEXES:
        *due = w->index_due;
        return w->to_index && w->index_due <= now;
    }
    return false;
}

static void use_again(struct watch *w, int64_t now)
{
    unused_for_long(w, now);
    w->unused_since = 0;
    show(w, table_is_halted(w->table) ? SHOWN_HALTED : SHOWN_WAITING);
}

static void unused(struct watch *w, int64_t now)
{
    w->unused_since = now;
    w->to_build = w->to_index = false;
    forget_failures(w);
    show(w, SHOWN_NOTHING);
}

void watch_use(struct watch *w, bool used, int64_t now)
{
    w->uses += used ? 1 : -1;
    CHECK(w->uses >= 0);
    if (used && w->uses == 1)
        use_again(w, now);
    else if (w->uses == 0)
        unused(w, now);
    watch_look_soon(w, now);
}

void watch_look_soon(struct watch *w, int64_t now)
{
    if (!w->failing)
        w->due = MIN(w->due, now);
}
