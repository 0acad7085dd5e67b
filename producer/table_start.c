#include "producer/table_start.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/exit_code.h"
#include "common/dynamodb/ddb_stream.h"
#include "common/dynamodb/ddb_table.h"
#include "common/kafka/kafka.h"
#include "common/run/log.h"
#include "producer/append.h"
#include "producer/shard_reader.h"
#include "producer/signal_topic.h"
#include "producer/start_decision.h"
#include "producer/table_look.h"
#include "producer/table_topic.h"
#include "producer/topic_search.h"

#define SOON_LONGEST_MS 2000

static void free_found(int64_t **offsets)
{
    free(*offsets);
}

/* ---- what keeps it from starting ---- */

static int64_t later(struct table_worker *w)
{
    int64_t delay = ddb_error_retry_ms(DDB_THROTTLED, &w->start_tries);

    return MAX(delay, 1);
}

/* For something that is under way. */
static int64_t soon(struct table_worker *w)
{
    int64_t delay = later(w);

    return MIN(delay, SOON_LONGEST_MS);
}

/* Retriable: waited out. */
static int64_t retry(struct table_worker *w, const char *what, const struct error *err)
{
    table_worker_trouble(w, what, err);
    return later(w);
}

/* Something that would stop the table: believed when it stays like this. What the ledger says
 * already is no news. */
static int64_t doubtful(struct table_worker *w, enum ledger_phase phase, const char *reason)
{
    int64_t doubt_ms = config_int(w->p->config, "source.doubt.ms");
    const struct ledger_table *t = &w->known;
    struct error err = {0};

    pthread_mutex_lock(&w->lock);
    if (t->phase == phase && strcmp(t->reason, reason) == 0) {
        table_worker_set_state(w, WORKER_STOPPED);
        pthread_mutex_unlock(&w->lock);
        return 0;
    }
    pthread_mutex_unlock(&w->lock);
    error_set(&err, ERR_RETRY, "%s", reason);
    table_worker_trouble(w, "it can't start", &err);
    if (doubt_said(&w->start, reason, clock_mono_ms(), doubt_ms))
        table_worker_fail(w, phase, reason);
    return doubt_again_ms(&w->start, doubt_ms);
}

/* ---- the source ---- */

static bool view_suffices(const char *view)
{
    return strcmp(view, "NEW_IMAGE") == 0 || strcmp(view, "NEW_AND_OLD_IMAGES") == 0;
}

static int64_t enable_stream(struct table_worker *w, struct pool_local *local)
{
    struct error err;

    log_info("stream is being enabled", "table=%s", w->table);
    if (ddb_table_enable_stream(local->client, w->table, "NEW_AND_OLD_IMAGES", &err) < 0 &&
        ddb_client_error(local->client) != DDB_IN_USE)
        return retry(w, "its stream can't be enabled", &err);
    return soon(w);
}

/* True: the table can be read, and its stream is there or not needed. Else *ret_delay: when to
 * come again, unless the table has stopped. */
static bool has_stream(struct table_worker *w, struct pool_local *local,
                       const struct ddb_table *desc, int64_t *ret_delay)
{
    *ret_delay = 0;
    if (strcmp(desc->status, "CREATING") == 0) { /* a scan would be told that it is not there */
        *ret_delay = soon(w);
    } else if (w->p->mode == SYNC_FULL) {
        return true;
    } else if (desc->stream_enabled && !view_suffices(desc->stream_view)) {
        AUTO(free_charp)
        char *why =
            xasprintf("its stream has the view %s, which lacks the new images: disable the "
                      "stream and enable it with NEW_AND_OLD_IMAGES (or let dynaferry do that)",
                      desc->stream_view);

        *ret_delay = doubtful(w, PHASE_FAILED, why);
    } else if (desc->stream_enabled) {
        return desc->stream_arn[0]; /* its state is looked at when its shards are described */
    } else if (!config_bool(w->p->config, "stream.enable")) {
        *ret_delay = doubtful(w, PHASE_FAILED, "it has no stream, and stream.enable is false");
    } else {
        *ret_delay = strcmp(desc->status, "ACTIVE") == 0 ? enable_stream(w, local) : soon(w);
    }
    return false;
}

/* The source says that there is no such table: who has just listed it says so too. */
static int64_t not_found(struct table_worker *w, struct pool_local *local)
{
    static const char reason[] = "the table does not exist";
    int64_t doubt_ms = config_int(w->p->config, "source.doubt.ms");
    struct error err;
    int listed = 0;

    if (doubt_is_on(&w->start) || w->known.phase == PHASE_GONE)
        listed = table_look_is_listed(w, local, &err);
    if (listed < 0)
        return retry(w, "the tables can't be listed", &err);
    if (!listed)
        return doubtful(w, PHASE_GONE, reason);
    doubt_clear(&w->start);
    error_set(&err, ERR_RETRY, "it is listed, and DescribeTable does not know it");
    table_worker_trouble(w, "it can't start", &err);
    return doubt_again_ms(&w->start, doubt_ms);
}

/* ---- adoption: shards, begin and phase are one transaction ---- */

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
        t->signal_offset = signal_topic_start_of(w->requests.queue);
}

static int append_adoption(struct table_worker *w, struct pool_local *local,
                           const struct ledger_table *t, struct shard_tree *tree,
                           struct error *err)
{
    struct tree_shard *s;

    if (append_control(w, local, CONTROL_SNAPSHOT_BEGIN, t, w->begin_offsets, err) < 0 ||
        append_ledger_table(w, local, t, err) < 0)
        return -1;
    for (s = tree->shards; s; s = s->hh.next)
        if (append_ledger_shard(w, local, &s->now, err) < 0)
            return -1;
    return 0;
}

/* Takes t and tree. */
static void enter_generation(struct table_worker *w, struct ledger_table *t,
                             struct shard_tree *tree)
{
    AUTO_LOCK(&w->lock);
    table_state_adopt(&w->appended, t, tree, shard_reader_free);
    table_worker_make_segments(w);
    w->adoption_committed = false;
    w->begin_delivered = false;
    w->scan_confirmed = false;
    table_worker_set_state(w, WORKER_ADOPTING);
}

static void log_begin(const struct table_worker *w, const struct ledger_table *t,
                      const struct shard_tree *tree)
{
    log_info("generation begins",
             "table=%s generation=%" PRId64 " rows=%s segments=%" PRId64 " shards=%u", w->table,
             t->generation, t->rows ? "true" : "false", t->segments, shard_tree_count(tree));
}

/* 1: not now; the step is woken. */
static int adopt(struct table_worker *w, struct pool_local *local, struct ledger_table *t,
                 struct shard_tree *tree, struct error *err)
{
    w->begin_offsets =
        xrealloc(w->begin_offsets, sizeof(*w->begin_offsets) * (size_t)t->partitions);
    if (topic_writer_gate_enter(w->writer, &w->member, &w->control, err) < 0)
        return err->kind == ERR_RETRY ? 1 : -1;
    if (!w->topic_handle) /* now the topic is there: librdkafka asks for what it knows */
        w->topic_handle = topic_writer_topic(w->writer, w->topic);
    if (append_adoption(w, local, t, tree, err) < 0) {
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
    AUTO(ledger_shard_release) struct ledger_shard s = {0};
    struct error err;

    (void)rest;
    (void)partition;
    if (ledger_shard_decode(&s, value, &err) == 0 && s.generation == old->generation &&
        !shard_tree_find(old->tree, s.id))
        shard_tree_load(old->tree, &s);
}

static void load_old_shards(struct table_worker *w, struct shard_tree *tree)
{
    AUTO(free_charp) char *prefix = xasprintf("shard/%s/", w->table);
    struct old_shards old = {w->known.generation, tree};

    ledger_cache_each(w->p->cache, prefix, load_old_shard, &old);
}

/* 0: all shards are listed, in w->look.listing; else when to come again. -1: err. */
static int64_t list_shards(struct table_worker *w, struct pool_local *local, const char *arn,
                           struct error *err)
{
    bool done;
    int64_t wait = table_look_list(w, local, arn, &done, err);

    if (wait < 0)
        return -1;
    if (!done)
        return MAX(wait, 1);
    if (strcmp(w->look.listing->status, "ENABLED") == 0)
        return 0;
    error_set(err, ERR_RETRY, "stream is %s", w->look.listing->status);
    table_look_drop_listing(w);
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

static int64_t begin_failed(struct table_worker *w, const struct error *err)
{
    if (err->kind == ERR_FATAL && err->code != EXIT_NO_RIGHT)
        return doubtful(w, PHASE_FAILED, err->message);
    return retry(w, "its generation can't begin", err);
}

/* The shards are listed, if there are any. */
static int64_t begin_generation(struct table_worker *w, struct pool_local *local,
                                struct ledger_table *t)
{
    struct shard_tree tree = {0};
    struct error err = {0};
    int begun = -1;

    if (table_topic_prepare(w, t, &err) == 0) {
        if (t->stream_arn[0])
            adopt_listing(w, t, &tree);
        begun = adopt(w, local, t, &tree, &err);
        shard_tree_release(&tree, NULL);
    }
    if (begun > 0)
        return TOPIC_WRITER_WAIT_MS;
    table_look_drop_listing(w);
    return begun < 0 ? begin_failed(w, &err) : 0;
}

static int64_t start_new(struct table_worker *w, struct pool_local *local,
                         const struct ddb_table *desc)
{
    AUTO(ledger_table_release) struct ledger_table t = {0};
    struct error err = {0};
    int64_t wait = 0;

    fill_table(w, &t, desc);
    key_schema_release(&w->schema);
    key_schema_copy(&w->schema, &desc->key_schema);
    if (t.stream_arn[0])
        wait = list_shards(w, local, t.stream_arn, &err);
    if (wait < 0)
        return begin_failed(w, &err);
    return wait > 0 ? wait : begin_generation(w, local, &t);
}

/* ---- going on from the ledger ---- */

struct loading {
    struct table_worker *w;
    struct error err;
    bool failed;
};

static void load_segment(void *arg, struct bytes rest, struct bytes value, int32_t partition)
{
    struct loading *l = arg;
    struct ledger_segment s = {0};

    (void)rest;
    (void)partition;
    if (ledger_segment_decode(&s, value, &l->err) < 0)
        l->failed = true;
    else
        table_state_load_segment(&l->w->appended, &s);
}

static void load_shard(void *arg, struct bytes rest, struct bytes value, int32_t partition)
{
    struct loading *l = arg;
    struct ledger_shard s = {0};

    (void)rest;
    (void)partition;
    if (ledger_shard_decode(&s, value, &l->err) < 0)
        l->failed = true;
    else
        table_state_load_shard(&l->w->appended, &s);
}

static int load_records(struct table_worker *w, struct error *err)
{
    AUTO(free_charp) char *segments = xasprintf("segment/%s/", w->table);
    AUTO(free_charp) char *shards = xasprintf("shard/%s/", w->table);
    struct loading l = {.w = w};

    ledger_cache_each(w->p->cache, segments, load_segment, &l);
    ledger_cache_each(w->p->cache, shards, load_shard, &l);
    table_state_loaded(&w->appended);
    if (!l.failed)
        return 0;
    *err = l.err;
    return error_prefix(err, "the ledger");
}

/* A crash right after the begin: its offsets are in the log only. */
static int find_begin_offsets(struct table_worker *w, int64_t **ret, struct error *err)
{
    const struct ledger_table *t = &w->known;
    int64_t *offsets = xcalloc((size_t)w->partitions, sizeof(*offsets));

    if (topic_search_begin(offsets, w->p->config, w->topic, w->partitions, t->generation,
                           t->started_ms - 60000, err) < 0) {
        free(offsets);
        return -1;
    }
    *ret = offsets;
    return 0;
}

/* 1: what the ledger knows of the topic is there. 0: it is another log. */
static int check_log(struct table_worker *w, int64_t **found, struct error *err)
{
    const struct ledger_table *t = &w->known;
    bool is_same;

    if (!t->begin_offsets) {
        if (find_begin_offsets(w, found, err) == 0)
            return 1;
        return err->kind == ERR_DATA ? 0 : -1;
    }
    if (topic_search_is_same(&is_same, w->p->config, w->topic, w->partitions,
                              t->begin_offsets, t->generation, t->log_id, err) < 0)
        return -1;
    return is_same;
}

static void log_resume(const struct table_worker *w)
{
    const struct table_state *s = &w->appended;

    log_info("table goes on",
             "table=%s generation=%" PRId64 " phase=%s segments=%" PRId64 "/%" PRId64
             " shards=%u",
             w->table, s->now.generation, ledger_phase_name(s->now.phase), s->segments_done,
             s->segment_count, shard_tree_count(&s->tree));
}

static int load_generation(struct table_worker *w, int64_t **found, struct error *err)
{
    AUTO_LOCK(&w->lock);
    if (*found) {
        free(w->begin_offsets);
        w->begin_offsets = TAKE(*found);
    }
    w->begin_delivered = w->known.begin_offsets == NULL;
    table_state_resume(&w->appended, shard_reader_free);
    if (load_records(w, err) < 0)
        return -1;
    table_worker_make_segments(w);
    w->adoption_committed = true;
    w->scan_confirmed = false;
    table_worker_set_state(w, WORKER_RUNNING);
    log_resume(w);
    return 0;
}

static int64_t start_resume(struct table_worker *w)
{
    AUTO(free_found) int64_t *found = NULL;
    struct error err = {0};
    int same = check_log(w, &found, &err);

    if (same < 0)
        return retry(w, "its topic can't be looked at", &err);
    if (same == 0)
        return doubtful(w, PHASE_GAP, "the data topic was made anew, or lost its end");
    key_schema_release(&w->schema);
    key_schema_copy(&w->schema, &w->known.key_schema);
    if (!w->topic_handle)
        w->topic_handle = topic_writer_topic(w->writer, w->topic);
    return load_generation(w, &found, &err) < 0 ? retry(w, "it can't go on", &err) : 0;
}

static int64_t start_over(struct table_worker *w)
{
    AUTO_LOCK(&w->lock);
    table_worker_set_state(w, WORKER_STOPPED);
    return 0;
}

/* ---- the decision ---- */

static int64_t decide(struct table_worker *w, struct pool_local *local,
                      const struct ddb_table *desc)
{
    const struct ledger_table *t = &w->known;
    struct start_decision d = start_decision_make(
        w->p->mode, w->p->started_ms, t->generation ? t : NULL, desc, w->partitions);
    struct error err = {0};
    int64_t wait;

    if (d.verdict == START_STOP)
        return doubtful(w, d.phase, d.reason);
    switch (d.verdict) {
    case START_NEW:
        return has_stream(w, local, desc, &wait) ? start_new(w, local, desc) : wait;
    case START_RESUME:
        return start_resume(w);
    case START_OVER:
        return start_over(w);
    default:
        error_set(&err, ERR_RETRY, "it is %s", desc->status);
        return retry(w, "it can't start", &err);
    }
}

/* Commits of requests may still change what was committed. */
static void note_known(struct table_worker *w)
{
    AUTO_LOCK(&w->lock);
    ledger_table_release(&w->known);
    ledger_table_copy(&w->known, &w->appended.committed);
}

int64_t table_start(struct table_worker *w, struct pool_local *local)
{
    AUTO(ddb_table_freep) struct ddb_table *desc = NULL;
    struct error err;
    int64_t delay;

    note_known(w);
    if (ddb_table_describe(&desc, local->client, w->table, &err) < 0)
        return ddb_client_error(local->client) == DDB_NOT_FOUND
                   ? not_found(w, local)
                   : retry(w, "the table can't be described", &err);
    if (kafka_topic_partition_count(&w->partitions, w->p->admin, w->topic, &err) < 0)
        return retry(w, "its topic can't be described", &err);
    w->read_capacity = desc->read_capacity;
    delay = decide(w, local, desc);
    if (w->state != WORKER_STARTING) { /* only this step leaves it */
        w->start_tries = 0;
        doubt_clear(&w->start);
    }
    return delay;
}
