#include "producer/table_health.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/base/check.h"
#include "common/base/clock.h"
#include "producer/segment_reader.h"

struct health *table_health_new(const struct table_worker *w)
{
    AUTO(free_charp) char *name = xasprintf("table %s", w->table);

    return health_new(name, config_int(w->p->config, "health.limit.ms"));
}

struct worst {
    int64_t ms;
    char what[200];
};

static void worse(struct worst *worst, int64_t ms, const char *what, const char *name)
{
    if (ms >= worst->ms)
        return;
    worst->ms = ms;
    snprintf(worst->what, sizeof(worst->what), "%s%s", what, name);
}

/* Under lock, as the next ones. A shard whose turn has just come is as well as its parent was.
 */
static int64_t shard_progress(const struct table_worker *w, const struct tree_shard *shard)
{
    int64_t ms = MAX(shard->progress_ms, shard->parent ? shard->parent->progress_ms : 0);

    return ms > 0 ? ms : w->state_ms;
}

static void shards_progress(const struct table_worker *w, struct worst *worst)
{
    const struct shard_tree *tree = &w->appended.tree;

    for (const struct tree_shard *shard = tree->live; shard; shard = shard->next)
        if (shard_is_ready(tree, shard))
            worse(worst, shard_progress(w, shard), "nothing comes from shard ", shard->now.id);
    for (const struct tree_shard *shard = tree->leaves; shard; shard = shard->next)
        if (shard->now.status == SHARD_DONE)
            worse(worst, MAX(shard->progress_ms, w->state_ms),
                  "no child is listed of closed shard ", shard->now.id);
}

static void segments_progress(const struct table_worker *w, struct worst *worst)
{
    bool waits = !w->scan_slot && w->scan_again_ms == 0; /* other tables have their turn */
    int64_t last = w->state_ms;
    char number[32];

    for (int64_t i = 0; i < w->segment_count; i++) {
        const struct segment_reader *seg = &w->segments[i];
        const struct segment_state *state = &w->appended.segments[i];

        last = MAX(last, state->progress_ms);
        if (waits || (state->now.done && !state->dirty))
            continue;
        snprintf(number, sizeof(number), "%" PRId64, i);
        worse(worst, MAX(seg->progress_ms, state->progress_ms), "no page of segment ", number);
    }
    if (table_state_all_scanned(&w->appended))
        worse(worst, MAX(w->look.table_seen_ms, last), "the scanned table is not described",
              "");
}

static struct worst progress(const struct table_worker *w)
{
    struct worst worst = {.ms = clock_mono_ms()};

    switch (w->state) {
    case WORKER_STARTING:
    case WORKER_START_APPENDED:
    case WORKER_ADOPTING:
    case WORKER_HALTING:
        worse(&worst, w->state_ms, "it can't start", "");
        break;
    case WORKER_HALT_APPENDED:
        worse(&worst, w->state_ms, "its halt can't be written", "");
        break;
    case WORKER_RUNNING:
        if (w->halt_reason)
            worse(&worst, w->state_ms, "its halt can't be written", "");
        if (w->appended.now.phase == PHASE_SNAPSHOT)
            segments_progress(w, &worst);
        shards_progress(w, &worst);
        break;
    case WORKER_HALTED:
        if (table_worker_renews(w))
            worse(&worst, w->state_ms, "no new generation begins", "");
        break;
    default:
        break;
    }
    return worst;
}

/* Under lock, as the next one: also while it is looked at again. */
static bool is_in_phase(const struct table_worker *w, enum ledger_phase phase)
{
    return (w->state == WORKER_HALTED || w->state == WORKER_STARTING) &&
           w->appended.now.phase == phase;
}

/* A gap that the table goes on from by itself is no halt, as long as it does not come again and
 * again. */
static bool is_halted(const struct table_worker *w)
{
    return w->state == WORKER_UNREADABLE || is_in_phase(w, PHASE_FAILED) ||
           (is_in_phase(w, PHASE_GAP) && (!table_worker_renews(w) || w->appended.now.gaps > 1));
}

static void say_halted(const struct table_worker *w)
{
    const struct ledger_table *t = &w->appended.now;
    AUTO(free_charp) char *text = NULL;

    if (table_worker_renews(w))
        text = xasprintf("%" PRId64 " gaps in a row: %s", t->gaps, t->reason);
    health_say(w->health, text ? text : t->reason);
}

void table_health_show(struct table_worker *w)
{
    struct worst worst;
    const struct ledger_table *t = &w->appended.now;
    char note[200];
    bool halted;

    AUTO_LOCK(&w->lock);
    halted = is_halted(w);
    worst = progress(w);
    health_set_limit(w->health, halted ? 0 : config_int(w->p->config, "health.limit.ms"));
    health_alive_at(w->health, halted ? w->state_ms : worst.ms);
    snprintf(note, sizeof(note), "%s: %s", ledger_phase_name(t->phase), t->reason);
    health_note(w->health,
                is_in_phase(w, PHASE_GONE) || is_in_phase(w, PHASE_PAUSED) ? note : "");
    if (halted)
        say_halted(w);
    else if (!w->trouble[0])
        health_say(w->health, worst.what);
}
