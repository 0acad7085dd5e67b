#include "producer/table_look.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/dynamodb/ddb_names.h"
#include "common/dynamodb/ddb_table.h"
#include "common/run/log.h"
#include "producer/log_look.h"
#include "producer/start_decision.h"
#include "producer/stream_listing.h"
#include "producer/table_report.h"

#define CHILD_FIRST_MS 50 /* a closed shard's child is looked for, then ever more slowly */
#define CHILD_SLOWEST_MS 2000
#define UNREAD_SLOWEST_MS 60000 /* of a shard that was closed when the generation began */
#define UNREAD_EAGER 6          /* looks at the usual pace before that */
#define SHARDS_A_PAGE 100
#define ROUTINE_FIRST_MS 5000
#define ROUTINE_MS 40000
#define ROUTINE_TABLE_MS 500 /* all tables together: two looks per second without cause */
#define ROUTINE_PAGE_MS 2000
#define IDLE_MS 5000

enum look {
    LOOK_NONE,
    LOOK_TABLE,
    LOOK_LOG,
    LOOK_LIST,
    LOOK_CHILD,
};

struct looking { /* one look */
    struct append_context *a;
    enum look what;
    int64_t delay_ms; /* LOOK_NONE */
    char *arn;
    char *parent;    /* LOOK_CHILD */
    bool scanned;    /* LOOK_TABLE: all pages were there before it was asked */
    uint64_t aborts; /* of the table, until then */
};

/* ---- what is due: under lock ---- */

static int64_t routine_ms(const struct table_worker *w)
{
    int64_t ms = ROUTINE_MS + atomic_load(&w->p->tables) * (int64_t)ROUTINE_TABLE_MS +
                 shard_tree_count(&w->appended.tree) / SHARDS_A_PAGE * (int64_t)ROUTINE_PAGE_MS;

    return ms * 3 / 4 + rand() % (ms / 2);
}

static int64_t child_pause_ms(const struct tree_shard *leaf)
{
    bool unread = leaf->now.status == SHARD_NO_NEED && leaf->asks >= UNREAD_EAGER;

    return MIN((int64_t)CHILD_FIRST_MS << MIN(leaf->asks, 12),
               unread ? UNREAD_SLOWEST_MS : CHILD_SLOWEST_MS);
}

static void leaf_asked(struct tree_shard *leaf)
{
    leaf->asks++;
    leaf->ask_at_ms = clock_mono_ms() + child_pause_ms(leaf);
}

/* The first leaf that is due; *ret_count: how many are. */
static struct tree_shard *due_leaf(const struct table_worker *w, int64_t now, size_t *ret_count,
                                   int64_t *next_ms)
{
    struct tree_shard *first = NULL, *shard;

    *ret_count = 0;
    for (shard = w->appended.tree.leaves; shard; shard = shard->next) {
        if (shard->ask_at_ms > now) {
            *next_ms = MIN(*next_ms, shard->ask_at_ms);
            continue;
        }
        if (!first)
            first = shard;
        ++*ret_count;
    }
    return first;
}

static bool list_is_due(const struct table_worker *w, int64_t now, int64_t *next_ms)
{
    const struct worker_look *l = &w->look;
    bool listed = w->appended.tree.listed;
    int64_t report_ms = table_report_list_ms(w);

    if (l->listing || report_ms == 0)
        return true;
    if (report_ms > 0)
        *next_ms = MIN(*next_ms, now + report_ms);
    if (listed && !l->wants_list && !doubt_is_on(&l->shards))
        return false;
    *next_ms = MIN(*next_ms, l->list_at_ms);
    return l->list_at_ms <= now;
}

static enum look choose_shards(struct looking *looking, int64_t now, int64_t *next_ms)
{
    struct table_worker *w = looking->a->w;
    const struct shard_tree *tree = &w->appended.tree;
    struct tree_shard *leaf;
    size_t leaves;

    if (w->p->mode == SYNC_FULL)
        return LOOK_NONE;
    if (w->look.stream_at_ms > now) {
        *next_ms = MIN(*next_ms, w->look.stream_at_ms);
        return LOOK_NONE;
    }
    if (list_is_due(w, now, next_ms))
        return LOOK_LIST;
    leaf = due_leaf(w, now, &leaves, next_ms);
    if (!leaf)
        return LOOK_NONE;
    if (w->look.filter_unknown || leaves > shard_tree_count(tree) / SHARDS_A_PAGE + 1)
        return LOOK_LIST; /* cheaper than to ask for each */
    looking->parent = xstrdup(leaf->now.id);
    return LOOK_CHILD;
}

static void routine(struct table_worker *w, int64_t now, int64_t *next_ms)
{
    struct worker_look *l = &w->look;

    if (l->routine_at_ms > now) {
        *next_ms = MIN(*next_ms, l->routine_at_ms);
        return;
    }
    l->routine_at_ms = now + routine_ms(w);
    l->wants_table = l->wants_list = true;
}

static void choose(struct looking *looking)
{
    struct table_worker *w = looking->a->w;
    struct worker_look *l = &w->look;
    int64_t now = clock_mono_ms(), next = now + IDLE_MS;

    AUTO_LOCK(&w->lock);
    routine(w, now, &next);
    looking->arn = xstrdup(w->appended.now.stream_arn);
    looking->aborts = w->aborts_ever;
    looking->scanned = w->appended.now.phase == PHASE_SNAPSHOT &&
                       table_state_all_scanned(&w->appended) && !w->scan_confirmed;
    if (!l->listing && (l->wants_table || looking->scanned) && l->table_at_ms <= now)
        looking->what = LOOK_TABLE;
    else if (log_look_is_due(&l->log, now, routine_ms(w), &next))
        looking->what = LOOK_LOG;
    else
        looking->what = choose_shards(looking, now, &next);
    if (l->wants_table || looking->scanned)
        next = MIN(next, MAX(l->table_at_ms, now));
    looking->delay_ms = MAX(next - now, 1);
}

/* ---- the table ---- */

/* Meanwhile its shards are looked after. Returns when to come again, to choose what is due. */
static int64_t table_later(struct table_worker *w, int64_t delay_ms)
{
    AUTO_LOCK(&w->lock);
    w->look.table_at_ms = clock_mono_ms() + delay_ms;
    return 0;
}

int table_look_is_listed(struct append_context *a, struct error *err)
{
    struct table_worker *w = a->w;
    char **names;
    size_t count;
    int listed = 0;

    if (ddb_names_list(&names, &count, a->client, err) < 0)
        return -1;
    for (size_t i = 0; i < count; i++)
        listed = listed || strcmp(names[i], w->table) == 0;
    ddb_names_free(names, count);
    return listed;
}

/* 1: DynamoDB confirms by another call that there is no such table. 0: it contradicts. */
static int confirm_gone(struct looking *looking, struct error *err)
{
    AUTO(ddb_stream_freep) struct ddb_stream *stream = NULL;
    int listed = table_look_is_listed(looking->a, err);

    if (listed >= 0)
        return !listed;
    if (!looking->arn[0])
        return -1;
    if (ddb_stream_describe(&stream, looking->a->client, looking->arn, err) == 0)
        return 0;
    return ddb_client_error(looking->a->client) == DDB_NOT_FOUND ? 1 : -1;
}

/* Something was said against the table: d, to halt. Proven: it becomes a phase. */
static int64_t table_is_doubtful(struct looking *looking, const struct start_decision *d)
{
    struct table_worker *w = looking->a->w;
    struct worker_look *l = &w->look;
    int64_t doubt_ms = start_decision_doubt_ms(d, config_int(w->p->config, "source.doubt.ms"));
    struct error err = {0};
    int confirmed = 1;
    int64_t again;
    bool held;

    pthread_mutex_lock(&w->lock);
    held = doubt_said(&l->table, d->reason, clock_mono_ms(), doubt_ms);
    l->wants_table = true;
    again = doubt_again_ms(&l->table, doubt_ms);
    pthread_mutex_unlock(&w->lock);
    error_set(&err, ERR_RETRY, "%s", d->reason);
    table_worker_trouble(w, "DynamoDB is asked again", &err);
    table_later(w, again);
    if (!held)
        return 0;
    if (d->phase == PHASE_GONE)
        confirmed = confirm_gone(looking, &err);
    if (confirmed > 0)
        table_worker_halt(w, d->phase, d->reason);
    else if (confirmed == 0)
        doubt_clear(&l->table); /* only this step says and clears it */
    else
        table_worker_trouble(w, "that the table is gone can't be confirmed", &err);
    return 0;
}

static void table_is_well(struct looking *looking, const struct ddb_table *desc)
{
    struct table_worker *w = looking->a->w;
    struct worker_look *l = &w->look;

    AUTO_LOCK(&w->lock);
    doubt_clear(&l->table);
    l->wants_table = false;
    l->table_seen_ms = clock_mono_ms();
    w->read_capacity = desc->read_capacity;
    table_worker_source_is_well(w);
    if (!looking->scanned || looking->aborts != w->aborts_ever ||
        !table_state_all_scanned(&w->appended))
        return;
    w->scan_confirmed = true;
    step_wake(w->p->pool, &w->control);
}

static int64_t not_described(struct looking *looking, const struct error *err)
{
    static const struct start_decision gone = {START_HALT, PHASE_GONE,
                                               "the table does not exist", false};
    struct table_worker *w = looking->a->w;
    enum ddb_error kind = ddb_client_error(looking->a->client);

    if (kind == DDB_NOT_FOUND)
        return table_is_doubtful(looking, &gone);
    table_worker_trouble(w, "the table can't be described", err);
    return table_later(w, ddb_error_retry_ms(kind, &w->look.table_tries));
}

/* Beside a running table its topic is not looked at: what it takes says enough. */
static struct start_decision decide(struct table_worker *w, const struct ledger_table *known,
                                    const struct ddb_table *desc)
{
    const struct start_asked asked = {.mode = w->p->mode,
                                      .renews_gaps = w->p->renews_gaps,
                                      .program_started_ms = w->p->started_ms,
                                      .known = known,
                                      .now = desc,
                                      .topic_partitions = w->partitions};

    return start_decision_make(&asked);
}

static int64_t look_at_table(struct looking *looking)
{
    struct table_worker *w = looking->a->w;
    AUTO(ddb_table_freep) struct ddb_table *desc = NULL;
    AUTO(ledger_table_release) struct ledger_table now = {0}; /* an abort replaces it */
    struct start_decision d;
    struct error err;

    if (ddb_table_describe(&desc, looking->a->client, w->table, &err) < 0)
        return not_described(looking, &err);
    w->look.table_tries = 0;
    pthread_mutex_lock(&w->lock);
    ledger_table_copy(&now, &w->appended.now);
    pthread_mutex_unlock(&w->lock);
    d = decide(w, &now, desc);
    if (d.verdict == START_HALT)
        return table_is_doubtful(looking, &d);
    if (d.verdict == START_WAIT) {
        error_set(&err, ERR_RETRY, "it is %s", desc->status);
        table_worker_trouble(w, "DynamoDB is asked again", &err);
        return table_later(w, ddb_error_retry_ms(DDB_IN_USE, &w->look.table_tries));
    }
    table_is_well(looking, desc);
    return 0;
}

/* ---- its shards ---- */

/* Under lock: what a listing left open. */
static void note_open_ends(struct table_worker *w, const struct listing_result *found,
                           bool whole)
{
    struct worker_look *l = &w->look;
    int64_t doubt_ms = config_int(w->p->config, "source.doubt.ms");
    AUTO(free_charp) char *why = NULL;

    if (found->orphan)
        why = xasprintf("the parent of shard %s is neither read nor listed", found->orphan);
    else if (found->stray)
        why = xasprintf("no child is listed of shard %s, which was closed", found->stray);
    if (!whole) {
        l->wants_list = l->wants_list || why;
        return;
    }
    l->wants_list = false;
    if (!why) {
        doubt_clear(&l->shards);
        return;
    }
    if (doubt_said(&l->shards, why, clock_mono_ms(), doubt_ms))
        table_worker_halt_locked(w, PHASE_GAP, why);
    l->list_at_ms = clock_mono_ms() + doubt_again_ms(&l->shards, doubt_ms);
}

/* Under lock. */
static void halt_for_order(struct table_worker *w, const char *shard)
{
    AUTO(free_charp)
    char *why = xasprintf("the parent of shard %s was listed after it had been read", shard);

    table_worker_halt_locked(w, PHASE_GAP, why);
}

static void take_listing(struct table_worker *w, const struct ddb_stream *stream, bool whole)
{
    struct listing_result found;
    int64_t started = clock_mono_ms(), now = ddb_source_now_ms(w->p->source);

    pthread_mutex_lock(&w->lock);
    if (w->appended.tree.listed_ms == 0) /* the generation began without shards, so long ago */
        w->appended.tree.listed_ms = now - (clock_wall_ms() - w->appended.now.started_ms);
    shard_listing_merge(&w->appended.tree, stream, whole, w->appended.now.generation, now,
                        &found);
    w->look.stream_seen_ms = started;
    note_open_ends(w, &found, whole);
    if (strcmp(stream->status, "ENABLED") != 0)
        w->look.wants_table = true;
    if (found.reversed)
        halt_for_order(w, found.reversed);
    step_wake(w->p->pool, &w->control);
    pthread_mutex_unlock(&w->lock);
    if (found.added)
        log_info("shards found", "table=%s added=%zu", w->table, found.added);
}

/* Under lock: every leaf that still is one was asked for. */
static void leaves_asked(struct table_worker *w)
{
    for (struct tree_shard *shard = w->appended.tree.leaves; shard; shard = shard->next)
        leaf_asked(shard);
}

static int64_t stream_failed(struct looking *looking, struct error *err)
{
    struct table_worker *w = looking->a->w;
    enum ddb_error kind = ddb_client_error(looking->a->client);

    if (kind == DDB_NOT_FOUND)
        table_worker_doubt(w); /* the table's description tells whether it has another one */
    table_worker_trouble(w, "the stream can't be described", err);
    AUTO_LOCK(&w->lock);
    w->look.stream_at_ms = clock_mono_ms() + ddb_error_retry_ms(kind, &w->look.tries);
    return 0;
}

static int64_t look_at_list(struct looking *looking)
{
    struct table_worker *w = looking->a->w;
    struct error err;
    bool done;
    int64_t delay;

    if (!w->look.listing)
        table_report_list_begins(w);
    delay = stream_listing_page(looking->a, looking->arn, &done, &err);
    if (delay < 0)
        return stream_failed(looking, &err);
    if (!done)
        return delay;
    w->look.tries = 0;
    take_listing(w, w->look.listing, true);
    stream_listing_drop(w);
    pthread_mutex_lock(&w->lock);
    table_report_listed(w);
    leaves_asked(w);
    pthread_mutex_unlock(&w->lock);
    return 0;
}

/* Under lock. */
static void child_asked(struct looking *looking, bool filtered)
{
    struct tree_shard *leaf = shard_tree_find(&looking->a->w->appended.tree, looking->parent);

    if (!filtered && !looking->a->w->look.filter_unknown) {
        log_info("the endpoint lists all shards where children are asked for", "table=%s",
                 looking->a->w->table);
        looking->a->w->look.filter_unknown = true;
    }
    if (leaf && leaf->list == TREE_LIST_LEAF)
        leaf_asked(leaf);
}

static int64_t look_for_child(struct looking *looking)
{
    struct table_worker *w = looking->a->w;
    AUTO(ddb_stream_freep) struct ddb_stream *stream = NULL;
    struct error err;
    bool filtered = false;
    int64_t wait = stream_listing_slot_ms(w);

    if (wait > 0)
        return wait;
    if (ddb_stream_children(&stream, &filtered, looking->a->client, looking->arn,
                            looking->parent, &err) < 0) {
        if (ddb_client_error(looking->a->client) != DDB_OTHER)
            return stream_failed(looking, &err);
        filtered = false; /* it is refused: all shards are listed */
    } else {
        take_listing(w, stream, false);
    }
    w->look.tries = 0;
    AUTO_LOCK(&w->lock);
    child_asked(looking, filtered);
    return 0;
}

/* ---- the step ---- */

static int64_t look(struct looking *looking)
{
    switch (looking->what) {
    case LOOK_TABLE:
        return look_at_table(looking);
    case LOOK_LOG:
        return log_look_at_ends(looking->a->w);
    case LOOK_LIST:
        return look_at_list(looking);
    case LOOK_CHILD:
        return look_for_child(looking);
    case LOOK_NONE:
        break;
    }
    return looking->delay_ms;
}

static int64_t look_step(void *arg, void *context)
{
    struct table_worker *w = arg;
    struct looking looking = {.a = table_worker_context(w, context)};
    int64_t delay;

    if (!table_worker_runs(w)) {
        stream_listing_drop(w);
        return STEP_END;
    }
    choose(&looking);
    delay = look(&looking);
    free(looking.arn);
    free(looking.parent);
    return delay;
}

static void look_ended(void *arg)
{
    table_worker_part_ended(arg);
}

void table_look_init(struct table_worker *w)
{
    w->look.step = (struct step){.run = look_step, .ended = look_ended, .arg = w};
}

void table_look_start(struct table_worker *w)
{
    struct worker_look *l = &w->look;

    if (!table_worker_part_begins(w, &l->step))
        return;
    l->routine_at_ms = clock_mono_ms() + ROUTINE_FIRST_MS +
                       atomic_load(&w->p->tables) * (int64_t)ROUTINE_TABLE_MS / 5;
    log_look_begin(&l->log, l->routine_at_ms);
    l->table_seen_ms = l->stream_seen_ms = clock_mono_ms();
    l->wants_table = false;
    doubt_clear(&l->table);
    doubt_clear(&l->shards);
}

void table_look_release(struct table_worker *w)
{
    stream_listing_drop(w);
    log_look_release(&w->look.log);
}
