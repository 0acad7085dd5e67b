#include "producer/table_start.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/random.h>

#include "common/check.h"
#include "common/clock.h"
#include "common/ddb_streams.h"
#include "common/ddb_table.h"
#include "common/kafka.h"
#include "common/log.h"
#include "common/mutation.h"
#include "producer/appender.h"
#include "producer/log_search.h"
#include "producer/signals.h"
#include "producer/start_decision.h"

#define AGAIN_MS 200
#define AGAIN_SLOWLY_MS 2000
#define TOPIC_MISSES 5 /* a broker that just began may not know its topics yet */

/* ---- the source ---- */

static bool view_suffices(const char *view)
{
    return strcmp(view, "NEW_IMAGE") == 0 || strcmp(view, "NEW_AND_OLD_IMAGES") == 0;
}

/* 0: the table can be read, and its stream is there or not needed; else when to come again. */
static int64_t ensure_stream(struct table_worker *w, struct pool_local *local,
                             const struct ddb_table *desc)
{
    struct error err;

    if (strcmp(desc->status, "CREATING") == 0) /* a scan would be told that it does not exist */
        return AGAIN_MS;
    if (w->p->mode == SYNC_FULL)
        return 0;
    if (desc->stream_enabled && !view_suffices(desc->stream_view)) {
        AUTO(free_charp)
        char *why =
            xasprintf("its stream has the view %s, which lacks the new images: disable the "
                      "stream and enable it with NEW_AND_OLD_IMAGES (or let dynaferry do that)",
                      desc->stream_view);

        table_worker_fail(w, PHASE_FAILED, why);
        return AGAIN_MS;
    }
    if (desc->stream_enabled)
        return 0; /* its own state is looked at when its shards are described */
    if (!config_bool(w->p->config, "stream.enable")) {
        table_worker_fail(w, PHASE_FAILED, "it has no stream, and stream.enable is false");
        return AGAIN_MS;
    }
    if (strcmp(desc->status, "ACTIVE") != 0)
        return AGAIN_MS;
    log_info("stream is being enabled", "table=%s", w->table);
    if (ddb_enable_stream(local->client, w->table, "NEW_AND_OLD_IMAGES", &err) < 0 &&
        ddb_client_error(local->client) != DDB_IN_USE) {
        if (err.kind == ERR_FATAL) {
            table_worker_fail(w, PHASE_FAILED, err.message);
            return AGAIN_MS;
        }
        log_warn("stream can't be enabled now", "table=%s reason=%s", w->table, err.message);
    }
    return AGAIN_MS;
}

static int64_t describe_failed(struct table_worker *w, struct pool_local *local,
                               struct error *err)
{
    if (ddb_client_error(local->client) == DDB_NOT_FOUND) {
        table_worker_fail(w, PHASE_GONE, "the table does not exist");
        return AGAIN_MS;
    }
    if (err->kind == ERR_FATAL) {
        table_worker_fail(w, PHASE_FAILED, err->message);
        return AGAIN_MS;
    }
    log_warn("table can't be described now", "table=%s reason=%s", w->table, err->message);
    return AGAIN_SLOWLY_MS;
}

/* ---- the topic ---- */

static int create_topic(struct table_worker *w, struct error *err)
{
    const struct config *c = w->p->config;
    AUTO(free_charp)
    char *retention = xasprintf("%" PRId64, config_int(c, "topic.retention.ms"));
    AUTO(free_charp)
    char *bytes = xasprintf("%" PRId64, config_int(c, "topic.max.message.bytes"));
    const struct kafka_setting settings[] = {{"cleanup.policy", "delete"},
                                             {"retention.ms", retention},
                                             {"max.message.bytes", bytes},
                                             {NULL, NULL}};
    const struct kafka_topic_spec spec = {
        .name = w->topic,
        .partitions = (int32_t)config_int(c, "topic.partitions"),
        .replication = (int16_t)config_int(c, "topic.replication.factor"),
        .configs = settings,
    };

    if (kafka_topic_create(w->p->admin, &spec, err) < 0)
        return -1;
    w->partitions = spec.partitions;
    return 0;
}

static char *random_id(void)
{
    uint64_t r[2];

    CHECK(getrandom(r, sizeof(r), 0) == sizeof(r));
    return xasprintf("%016" PRIx64 "%016" PRIx64, r[0], r[1]);
}

/* The message key is the item's only without a sort key: compaction would drop its siblings. */
static bool policy_suffices(struct table_worker *w, const char *policy, struct error *err)
{
    if (!w->schema.range.name || !strstr(policy, "compact"))
        return true;
    error_fatal(
        err, 0,
        "topic %s has cleanup.policy=%s, which would drop items of a table with a sort key: "
        "set it to delete",
        w->topic, policy);
    return false;
}

static bool ceiling_suffices(struct table_worker *w, const char *bytes, struct error *err)
{
    int64_t wanted = config_int(w->p->config, "topic.max.message.bytes");

    if (strtoll(bytes, NULL, 10) >= wanted)
        return true;
    error_fatal(err, 0,
                "topic %s has max.message.bytes=%s, less than topic.max.message.bytes=%" PRId64
                ": raise the one or lower the other",
                w->topic, bytes, wanted);
    return false;
}

/* A topic that is there may have been made by somebody else. */
static int check_topic(struct table_worker *w, struct error *err)
{
    AUTO(free_charp) char *policy = NULL;
    AUTO(free_charp) char *bytes = NULL;

    if (kafka_topic_setting(&policy, w->p->admin, w->topic, "cleanup.policy", err) < 0 ||
        kafka_topic_setting(&bytes, w->p->admin, w->topic, "max.message.bytes", err) < 0)
        return -1;
    return policy_suffices(w, policy, err) && ceiling_suffices(w, bytes, err) ? 0 : -1;
}

/* The generation and the log id of a new begin; a topic that the ledger does not know counts
 * too. */
static int prepare_log(struct table_worker *w, struct ledger_table *t, struct error *err)
{
    int64_t newest = w->committed.generation, in_log = 0;
    bool missing = w->partitions == 0;
    bool known = w->committed.generation > 0 && !missing;

    if (missing ? create_topic(w, err) < 0 : check_topic(w, err) < 0)
        return -1;
    if (!known && !missing &&
        log_search_generation(&in_log, w->p->config, w->topic, w->partitions, err) < 0)
        return -1;
    newest = MAX(newest, in_log);
    t->generation = MAX(clock_wall_ms(), newest + 1);
    t->log_id = known ? xstrdup(w->committed.log_id) : random_id();
    t->partitions = w->partitions;
    return 0;
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
    t->signal_offset = w->committed.signal_offset;
    if (t->signal_offset < 0)
        t->signal_offset = signal_queue_start(w->signals.queue);
}

static int append_adoption(struct table_worker *w, struct pool_local *local,
                           const struct ledger_table *t, struct shard_tree *tree,
                           struct error *err)
{
    struct tree_shard *s;

    if (append_control(w, local, CONTROL_SNAPSHOT_BEGIN, t, w->begin_offsets, err) < 0 ||
        append_ledger_table(w, local, t, err) < 0)
        return -1;
    for (s = tree->shards; s; s = s->hh.next) {
        if (append_ledger_shard(w, local, &s->now, err) < 0)
            return -1;
        s->recorded = true;
    }
    return 0;
}

static void make_segments(struct table_worker *w, const struct ledger_table *t)
{
    table_worker_release_segments(w);
    w->segments = xcalloc((size_t)t->segments, sizeof(*w->segments));
    w->segment_count = t->segments;
    w->segments_done = 0;
    for (int64_t i = 0; i < t->segments; i++) {
        w->segments[i].worker = w;
        w->segments[i].now = (struct ledger_segment){.generation = t->generation, .segment = i};
        w->segments[i].committed = w->segments[i].now;
    }
}

/* Takes t and tree. */
static void enter_generation(struct table_worker *w, struct ledger_table *t,
                             struct shard_tree *tree)
{
    AUTO_LOCK(&w->lock);
    ledger_table_release(&w->now);
    w->now = *t;
    *t = (struct ledger_table){0};
    w->dirty = true;
    shard_tree_release(&w->tree, NULL);
    w->tree = *tree;
    tree->shards = NULL;
    make_segments(w, &w->now);
    w->state = WORKER_ADOPTED;
    w->adoption_committed = false;
    w->begin_offsets_recorded =
        false; /* an abort may have gone back to an older generation's */
    w->described_ms = clock_mono_ms();
}

static int adopt(struct table_worker *w, struct pool_local *local, struct ledger_table *t,
                 struct shard_tree *tree, struct error *err)
{
    w->begin_offsets =
        xrealloc(w->begin_offsets, sizeof(*w->begin_offsets) * (size_t)t->partitions);
    if (topic_writer_enter(w->writer, &w->member, NULL, err) < 0)
        return -1;
    if (append_adoption(w, local, t, tree, err) < 0) {
        topic_writer_fail(w->writer, err->message);
        topic_writer_exit(w->writer);
        return -1;
    }
    log_info("generation begins",
             "table=%s generation=%" PRId64 " rows=%s segments=%" PRId64 " shards=%u", w->table,
             t->generation, t->rows ? "true" : "false", t->segments, HASH_COUNT(tree->shards));
    enter_generation(w, t, tree);
    topic_writer_exit(w->writer);
    topic_writer_hurry(w->writer);
    return 0;
}

static int describe_shards(struct pool_local *local, const struct ledger_table *t,
                           struct shard_tree *tree, struct error *err)
{
    AUTO(ddb_stream_freep) struct ddb_stream *stream = NULL;

    if (!t->stream_arn[0])
        return 0;
    if (ddb_describe_stream(&stream, local->client, t->stream_arn, err) < 0)
        return -1;
    if (strcmp(stream->status, "ENABLED") != 0)
        return error_set(err, ERR_RETRY, "stream is %s", stream->status);
    shard_tree_adopt(tree, stream, t->generation, clock_wall_ms(), NULL);
    return 0;
}

static int64_t start_new(struct table_worker *w, struct pool_local *local,
                         const struct ddb_table *desc)
{
    AUTO(ledger_table_release) struct ledger_table t = {0};
    struct shard_tree tree = {0};
    struct error err = {0};

    fill_table(w, &t, desc);
    key_schema_release(&w->schema);
    key_schema_copy(&w->schema, &desc->key_schema);
    if (prepare_log(w, &t, &err) == 0 && describe_shards(local, &t, &tree, &err) == 0 &&
        adopt(w, local, &t, &tree, &err) == 0)
        return AGAIN_MS;
    shard_tree_release(&tree, NULL);
    if (err.kind == ERR_FATAL) {
        table_worker_fail(w, PHASE_FAILED, err.message);
        return AGAIN_MS;
    }
    log_warn("table can't start now", "table=%s reason=%s", w->table, err.message);
    return AGAIN_SLOWLY_MS;
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
    struct table_worker *w = l->w;

    (void)rest;
    (void)partition;
    if (ledger_segment_decode(&s, value, &l->err) < 0) {
        l->failed = true;
        return;
    }
    if (s.generation != w->now.generation || s.segment < 0 || s.segment >= w->segment_count) {
        ledger_segment_release(&s);
        return;
    }
    w->segments[s.segment].now = s;
    w->segments[s.segment].committed = s;
    w->segments[s.segment].committed.last_key = s.last_key ? xstrdup(s.last_key) : NULL;
    w->segments_done += s.done;
}

static void load_shard(void *arg, struct bytes rest, struct bytes value, int32_t partition)
{
    struct loading *l = arg;
    struct ledger_shard s = {0};

    (void)rest;
    (void)partition;
    if (ledger_shard_decode(&s, value, &l->err) < 0) {
        l->failed = true;
        return;
    }
    if (s.generation == l->w->now.generation)
        shard_tree_load(&l->w->tree, &s);
    ledger_shard_release(&s);
}

static int load_records(struct table_worker *w, struct error *err)
{
    AUTO(free_charp) char *segments = xasprintf("segment/%s/", w->table);
    AUTO(free_charp) char *shards = xasprintf("shard/%s/", w->table);
    struct loading l = {.w = w};

    ledger_cache_each(w->p->cache, segments, load_segment, &l);
    ledger_cache_each(w->p->cache, shards, load_shard, &l);
    if (!l.failed)
        return 0;
    *err = l.err;
    return -1;
}

/* A crash right after the begin: its offsets are in the log only. */
static int find_begin_offsets(struct table_worker *w, struct error *err)
{
    int32_t n = w->partitions;

    w->begin_offsets = xrealloc(w->begin_offsets, sizeof(*w->begin_offsets) * (size_t)n);
    return log_search_begin(w->begin_offsets, w->p->config, w->topic, n,
                            w->committed.generation, w->committed.started_ms - 60000, err);
}

static int64_t resume_failed(struct table_worker *w, const struct error *err)
{
    if (err->kind == ERR_DATA) {
        table_worker_fail(w, PHASE_FAILED, err->message);
        return 0;
    }
    log_warn("table can't go on now", "table=%s reason=%s", w->table, err->message);
    return AGAIN_SLOWLY_MS;
}

/* The ledger may say `failed`: that stop is over, so an abort must not go back to it, and the
 * record is written again, with its begin offsets. */
static void end_the_stop(struct table_worker *w)
{
    struct ledger_table *t = &w->committed;
    enum ledger_phase phase = t->rows && t->finished_ms == 0 ? PHASE_SNAPSHOT : PHASE_TAIL;
    size_t n = sizeof(*t->begin_offsets) * (size_t)t->partitions;

    if (t->phase == phase)
        return;
    t->phase = phase;
    free(t->reason);
    t->reason = xstrdup("");
    if (t->begin_offsets)
        w->begin_offsets = memcpy(xrealloc(w->begin_offsets, n), t->begin_offsets, n);
}

static int load_generation(struct table_worker *w, struct error *err)
{
    AUTO_LOCK(&w->lock);
    end_the_stop(w);
    ledger_table_release(&w->now);
    ledger_table_copy(&w->now, &w->committed);
    make_segments(w, &w->now);
    shard_tree_release(&w->tree, NULL);
    if (load_records(w, err) < 0)
        return -1;
    w->adoption_committed = true;
    w->begin_offsets_recorded = w->begin_offsets == NULL;
    w->state = WORKER_RUN;
    log_info("table goes on",
             "table=%s generation=%" PRId64 " phase=%s segments=%" PRId64 "/%" PRId64
             " shards=%u",
             w->table, w->now.generation, ledger_phase_name(w->now.phase), w->segments_done,
             w->segment_count, HASH_COUNT(w->tree.shards));
    return 0;
}

static int64_t start_resume(struct table_worker *w)
{
    struct error err = {0};

    key_schema_release(&w->schema);
    key_schema_copy(&w->schema, &w->committed.key_schema);
    if ((!w->committed.begin_offsets && find_begin_offsets(w, &err) < 0) ||
        load_generation(w, &err) < 0)
        return resume_failed(w, &err);
    return 0;
}

static int64_t start_over(struct table_worker *w)
{
    AUTO_LOCK(&w->lock);
    ledger_table_release(&w->now);
    ledger_table_copy(&w->now, &w->committed);
    w->state = WORKER_STOPPED;
    return AGAIN_MS;
}

int64_t table_start(struct table_worker *w, struct pool_local *local)
{
    AUTO(ddb_table_freep) struct ddb_table *desc = NULL;
    struct start_decision d;
    struct error err;
    int64_t delay;

    if (ddb_describe_table(&desc, local->client, w->table, &err) < 0)
        return describe_failed(w, local, &err);
    if (kafka_partition_count(&w->partitions, w->p->admin, w->topic, &err) < 0) {
        log_warn("topic can't be described now", "table=%s reason=%s", w->table, err.message);
        return AGAIN_SLOWLY_MS;
    }
    if (w->partitions == 0 && w->committed.generation > 0 && w->topic_misses++ < TOPIC_MISSES)
        return AGAIN_SLOWLY_MS;
    d = start_decide(w->p->mode, w->p->started_ms,
                     w->committed.generation ? &w->committed : NULL, desc, w->partitions);
    switch (d.verdict) {
    case START_NEW:
        delay = ensure_stream(w, local, desc);
        return delay ? delay : start_new(w, local, desc);
    case START_RESUME:
        return start_resume(w);
    case START_OVER:
        return start_over(w);
    case START_STOP:
        break;
    }
    table_worker_fail(w, d.phase, d.reason);
    return AGAIN_MS;
}
