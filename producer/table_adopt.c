#include "producer/table_adopt.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/exit_code.h"
#include "common/run/log.h"
#include "producer/append.h"
#include "producer/nimoshake.h"
#include "producer/old_records.h"
#include "producer/segment_reader.h"
#include "producer/shard_take_over.h"
#include "producer/signal_topic.h"
#include "producer/start_trouble.h"
#include "producer/stream_listing.h"
#include "producer/table_topic.h"

#define WRITER_OPENS_MS 1000

static void fill_table(struct table_worker *w, struct ledger_table *t,
                       const struct ddb_table *desc)
{
    bool rows = w->p->mode != SYNC_INCR;

    t->table = xstrdup(w->table);
    t->topic = xstrdup(w->topic);
    t->phase = rows ? PHASE_SNAPSHOT : PHASE_TAIL;
    t->reason = xstrdup("");
    t->table_id = xstrdup(desc->id);
    t->stream_arn = xstrdup(w->p->mode == SYNC_FULL ? "" : desc->stream_arn);
    key_schema_copy(&t->key_schema, &desc->key_schema);
    ddb_indexes_copy(&t->indexes, &desc->indexes);
    t->item_count = desc->item_count;
    t->segments = rows ? config_int(w->p->config, "full.read.concurrency") : 0;
    t->rows = rows;
    t->started_ms = clock_wall_ms();
    t->signal_offset = w->known.signal_offset;
    if (t->signal_offset < 0)
        t->signal_offset = signal_topic_start_of(w->requests.subscription);
    for (size_t i = 0; i < w->known.handled_count; i++)
        ledger_table_handled(t, &w->known.handled[i]);
    t->taken_over = w->known.taken_over;
    if (w->known.phase == PHASE_GAP || w->known.renew)
        t->gaps = w->known.gaps;
}

static int append_adoption(struct append_context *a, const struct ledger_table *t,
                           struct shard_tree *tree, struct error *err)
{
    struct table_worker *w = a->w;
    struct tree_shard *shard;

    if (append_control(a, CONTROL_SNAPSHOT_BEGIN, t, w->begin_offsets, err) < 0 ||
        append_ledger_table(a, t, err) < 0 ||
        old_records_append_tombstones(a, t, tree, err) < 0)
        return -1;
    for (shard = tree->shards; shard; shard = shard->hh.next)
        if (append_ledger_shard(a, &shard->now, err) < 0)
            return -1;
    return 0;
}

/* Takes t and tree. */
static void enter_generation(struct table_worker *w, struct ledger_table *t,
                             struct shard_tree *tree)
{
    AUTO_LOCK(&w->lock);
    table_state_adopt(&w->appended, t, tree, w->reader_free);
    segment_reader_make_all(w);
    w->adoption_committed = false;
    w->begin_delivered = false;
    w->scan_confirmed = false;
    table_worker_set_state(w, WORKER_ADOPTING);
}

static void log_begin(const struct table_worker *w, const struct ledger_table *t,
                      const struct shard_tree *tree)
{
    log_info("generation began",
             "table=%s generation=%" PRId64 " rows=%s segments=%" PRId64 " shards=%u", w->table,
             t->generation, t->rows ? "true" : "false", t->segments, shard_tree_count(tree));
}

int table_adopt_append(struct append_context *a, struct ledger_table *t,
                       struct shard_tree *tree, struct error *err)
{
    struct table_worker *w = a->w;

    w->begin_offsets =
        xrealloc(w->begin_offsets, sizeof(*w->begin_offsets) * (size_t)t->partitions);
    if (topic_writer_gate_enter(w->writer, &w->member, &w->control, err) < 0)
        return err->kind == ERR_RETRY ? 1 : -1;
    if (!w->topic_handle) { /* now the topic is there: librdkafka asks for what it knows */
        w->topic_handle = topic_writer_topic(w->writer, w->topic);
        w->topic_handle_since = w->known.generation;
    }
    if (append_adoption(a, t, tree, err) < 0) {
        topic_writer_request_abort(w->writer, err->message);
        topic_writer_gate_exit(w->writer);
        return -1;
    }
    log_begin(w, t, tree);
    enter_generation(w, t, tree);
    topic_writer_gate_exit(w->writer);
    topic_writer_commit_soon(w->writer);
    return 0;
}

/* What the last generation read of the same stream stands in the same log. */
static bool positions_hold(const struct table_worker *w, const struct ledger_table *t)
{
    const struct ledger_table *last = &w->known;

    return last->generation > 0 && strcmp(last->stream_arn, t->stream_arn) == 0 &&
           strcmp(last->table_id, t->table_id) == 0 && strcmp(last->log_id, t->log_id) == 0;
}

struct old_shards {
    int64_t generation;
    struct shard_tree *tree;
};

/* One that can't be read is none: the shard is read from its horizon. */
static void load_old_shard(void *arg, struct bytes rest, struct bytes value, int32_t partition)
{
    struct old_shards *old = arg;
    AUTO(ledger_shard_release) struct ledger_shard shard_record = {0};
    struct error err;

    (void)rest;
    (void)partition;
    if (ledger_shard_decode(&shard_record, value, &err) == 0 &&
        shard_record.generation == old->generation &&
        !shard_tree_find(old->tree, shard_record.id))
        shard_tree_load(old->tree, &shard_record);
}

static void load_old_shards(struct table_worker *w, struct shard_tree *tree)
{
    AUTO(free_charp) char *prefix = xasprintf("shard/%s/", w->table);
    struct old_shards old = {w->known.generation, tree};

    ledger_cache_each(w->p->cache, prefix, load_old_shard, &old);
}

/* 0: all shards are listed, in w->look.listing; else when to come again. -1: err. */
static int64_t list_shards(struct append_context *a, const char *arn, struct error *err)
{
    struct table_worker *w = a->w;
    bool done;
    int64_t wait = stream_listing_page(a, arn, &done, err);

    if (wait < 0)
        return -1;
    if (!done)
        return MAX(wait, 1);
    if (strcmp(w->look.listing->status, "ENABLED") == 0)
        return 0;
    error_set(err, ERR_RETRY, "stream is %s", w->look.listing->status);
    stream_listing_drop(w);
    return -1;
}

static void adopt_listing(struct table_worker *w, const struct ledger_table *t,
                          struct shard_tree *tree)
{
    struct shard_tree old = {0};

    if (positions_hold(w, t))
        load_old_shards(w, &old);
    shard_listing_adopt(tree, w->look.listing, t->generation, ddb_source_now_ms(w->p->source),
                        &old);
    shard_tree_release(&old, NULL);
}

/* The first generation of the table goes on where NimoShake was. False: it does not, or can't.
 */
static bool take_over(struct table_worker *w, struct ledger_table *t, struct shard_tree *tree)
{
    const struct nimoshake_table *checkpoints = nimoshake_find(w->p->nimoshake, w->table);
    AUTO(free_charp) char *why = NULL;

    if (!w->p->nimoshake || w->known.generation > 0)
        return false;
    t->taken_over = checkpoints != NULL;
    why = checkpoints ? shard_take_over(tree, w->look.listing, checkpoints, t->generation,
                                        ddb_source_now_ms(w->p->source))
                      : xstrdup("it had none of this table");
    if (why) {
        log_warn("NimoShake's positions can't be taken over, the table is copied",
                 "table=%s reason=%s", w->table, why);
        shard_tree_release(tree, NULL);
        return false;
    }
    log_info("NimoShake's positions taken over", "table=%s", w->table);
    t->rows = false;
    t->phase = PHASE_TAIL;
    t->segments = 0;
    return true;
}

/* A new log, and a handle that has written to the one before: another writer is opened, and
 * comes here with a handle that knows nothing. */
static bool handle_is_of_old_log(const struct table_worker *w, const struct ledger_table *t)
{
    return w->topic_handle && w->topic_handle_since != w->known.generation &&
           strcmp(t->log_id, w->known.log_id) != 0;
}

static int64_t begin_failed(struct table_worker *w, const struct error *err)
{
    if (err->kind == ERR_FATAL && err->code != EXIT_NO_RIGHT)
        return start_trouble_doubt(w, PHASE_FAILED, err->message);
    return start_trouble_retry(w, "its generation can't begin", err);
}

/* The shards are listed, if there are any. */
static int64_t begin_generation(struct append_context *a, struct ledger_table *t)
{
    struct table_worker *w = a->w;
    struct shard_tree tree = {0};
    struct error err = {0};
    int begun = -1;

    if (table_topic_prepare(w, t, &err) == 0) {
        if (handle_is_of_old_log(w, t)) {
            topic_writer_outdate(w->writer, w->topic);
            return WRITER_OPENS_MS;
        }
        if (t->stream_arn[0] && !take_over(w, t, &tree))
            adopt_listing(w, t, &tree);
        begun = table_adopt_append(a, t, &tree, &err);
        shard_tree_release(&tree, NULL);
    }
    if (begun > 0)
        return TOPIC_WRITER_WAIT_MS;
    stream_listing_drop(w);
    return begun < 0 ? begin_failed(w, &err) : 0;
}

int64_t table_adopt(struct append_context *a, const struct ddb_table *desc)
{
    struct table_worker *w = a->w;
    AUTO(ledger_table_release) struct ledger_table t = {0};
    struct error err = {0};
    int64_t wait = 0;

    fill_table(w, &t, desc);
    key_schema_release(&w->schema);
    key_schema_copy(&w->schema, &desc->key_schema);
    if (t.stream_arn[0])
        wait = list_shards(a, t.stream_arn, &err);
    if (wait < 0)
        return begin_failed(w, &err);
    return wait > 0 ? wait : begin_generation(a, &t);
}
