#include "consumer/replay.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/exit_code.h"
#include "common/kafka/kafka.h"
#include "common/kafka/kafka_topic.h"
#include "common/messages/ledger_cache.h"
#include "common/run/log.h"
#include "common/run/program.h"
#include "common/run/stop.h"
#include "consumer/position_store.h"

#define AGAIN_MS 200
#define LOOK_MS 500
#define ASK_MS 10000

struct part { /* of the table: a partition */
    char *id; /* of its position */
    struct replay_place place;
    enum replay_verdict verdict;
    int64_t to;      /* of REPLAY_GO_BACK */
    const char *why; /* of REPLAY_NOTHING */
    bool was_set;
};

struct replay {
    const struct consumer_options *options;
    const struct config *config;
    int64_t end_ms; /* of attempts */

    rd_kafka_t *rk;
    struct ledger_cache *ledger;
    struct mongo_target *target;
    struct mongo *mongo;

    struct ledger_table table; /* what the ledger says of it */
    struct part *parts;
};

static void replay_release(struct replay *replay)
{
    for (int32_t p = 0; replay->parts && p < replay->table.partitions; p++)
        free(replay->parts[p].id);
    free(replay->parts);
    ledger_table_release(&replay->table);
    mongo_free(replay->mongo);
    mongo_target_free(replay->target);
    ledger_cache_free(replay->ledger);
    if (replay->rk)
        rd_kafka_destroy(replay->rk);
}

/* ---- opening ---- */

static int open_kafka(struct replay *replay, struct error *err)
{
    static const struct kafka_setting settings[] = {{"group.id", "dynaferry-replay"},
                                                    {"isolation.level", "read_committed"},
                                                    {"enable.auto.commit", "false"},
                                                    {NULL, NULL}};
    int64_t limit_ms = config_int(replay->config, "start.timeout") * 1000;
    rd_kafka_conf_t *conf = NULL;

    if (kafka_conf_new(&conf, replay->config, "replay", settings, err) < 0 ||
        kafka_handle_new(&replay->rk, RD_KAFKA_CONSUMER, &conf, err) < 0 ||
        kafka_wait_broker(replay->rk, replay->config, limit_ms, err) < 0)
        return -1;
    return ledger_cache_open(&replay->ledger, replay->config, err);
}

static int open_target(struct replay *replay, struct error *err)
{
    int64_t limit_ms = config_int(replay->config, "start.timeout") * 1000;

    if (mongo_target_new(&replay->target, replay->config, "dynaferry-consumer", err) < 0 ||
        mongo_wait(replay->target, limit_ms, err) < 0)
        return -1;
    replay->mongo = mongo_new(replay->target);
    return 0;
}

/* 0: to be tried again, after a pause. */
static int try_again(struct replay *replay, struct error *err)
{
    if (stop_wait_ms(AGAIN_MS))
        return error_fatal(err, EXIT_FATAL, "interrupted");
    if (err->kind == ERR_FATAL || clock_mono_ms() >= replay->end_ms)
        return -1;
    return 0;
}

/* ---- what there is ---- */

/* A generation that is just beginning tells its begins a moment later. */
static int read_table(struct replay *replay, struct error *err)
{
    const char *table = replay->options->table;
    int found = ledger_cache_table(replay->ledger, table, &replay->table, err);

    if (found < 0)
        return -1;
    if (found == 0)
        return error_fatal(err, EXIT_FATAL,
                           "the ledger knows no table %s: no producer carries it", table);
    if (replay->table.begin_offsets)
        return 0;
    ledger_table_release(&replay->table);
    replay->table = (struct ledger_table){0};
    return error_set(err, ERR_RETRY, "no generation of %s has begun yet", table);
}

static int find_table(struct replay *replay, struct error *err)
{
    const struct replay_point *from = &replay->options->from;
    const struct ledger_table *table = &replay->table;

    while (read_table(replay, err) < 0)
        if (try_again(replay, err) < 0)
            return -1;
    if (from->kind == REPLAY_FROM_OFFSET && from->partition >= table->partitions)
        return error_fatal(err, EXIT_FATAL,
                           "%s has no partition %" PRId32 ", but 0 to %" PRId32, table->topic,
                           from->partition, table->partitions - 1);
    replay->parts = xcalloc((size_t)table->partitions, sizeof(*replay->parts));
    for (int32_t p = 0; p < table->partitions; p++) {
        replay->parts[p].id = xasprintf("%s/%" PRId32, table->topic, p);
        replay->parts[p].place = (struct replay_place){
            .partition = p, .log_id = table->log_id, .begin = table->begin_offsets[p]};
    }
    return 0;
}

static int ask_log(struct replay *replay, struct error *err)
{
    const struct replay_point *from = &replay->options->from;
    const char *topic = replay->table.topic;
    int32_t count = replay->table.partitions;
    int64_t *low = xcalloc((size_t)count, sizeof(*low));
    int64_t *since = xcalloc((size_t)count, sizeof(*since));
    int result = kafka_topic_begin_offsets(low, replay->rk, topic, 0, count, ASK_MS, err);

    if (result == 0 && from->kind == REPLAY_FROM_TIME)
        result = kafka_topic_time_offsets(since, replay->rk, topic, count, from->time_ms,
                                          ASK_MS, err);
    for (int32_t p = 0; p < count && result == 0; p++) {
        replay->parts[p].place.low = low[p];
        replay->parts[p].place.at_time = since[p] < 0 ? POSITION_NONE : since[p];
    }
    free(low);
    free(since);
    return result;
}

/* Of all partitions, as many at a time as one command takes; the caller frees. */
static int read_positions(struct position_doc **ret, const struct replay *replay,
                          struct error *err)
{
    size_t count = (size_t)replay->table.partitions, n;
    struct position_doc *docs = xcalloc(count, sizeof(*docs));
    const char *ids[POSITION_MANY_MAX];

    for (size_t at = 0; at < count; at += n) {
        for (n = 0; n < ARRAY_LEN(ids) && at + n < count; n++)
            ids[n] = replay->parts[at + n].id;
        if (position_store_read(replay->mongo, ids, n, docs + at, err) != MONGO_DONE) {
            free(docs);
            return error_prefix(err, "positions");
        }
    }
    *ret = docs;
    return 0;
}

/* ---- setting back ---- */

/* What was set stays as it is. */
static int look_at_all(struct replay *replay, struct error *err)
{
    struct position_doc *docs = NULL;

    if (ask_log(replay, err) < 0 || read_positions(&docs, replay, err) < 0)
        return -1;
    for (int32_t p = 0; p < replay->table.partitions; p++) {
        struct part *part = &replay->parts[p];

        if (part->was_set)
            continue;
        part->place.doc = docs[p];
        part->verdict =
            replay_point_judge(&replay->options->from, &part->place, &part->to, &part->why);
    }
    free(docs);
    return 0;
}

/* Before anything is set. */
static int check_log(const struct replay *replay, struct error *err)
{
    for (int32_t p = 0; p < replay->table.partitions; p++)
        if (replay->parts[p].verdict == REPLAY_LOST)
            return error_fatal(err, EXIT_FATAL,
                               "the log of partition %" PRId32 " begins at offset %" PRId64
                               " and does not reach back to what was asked for: "
                               "dynaferry-producer --resnapshot %s copies the table again",
                               p, replay->parts[p].place.low, replay->options->table);
    return 0;
}

/* By compare-and-set: a newer generation may have begun there since the position was read. */
static int set_back(struct replay *replay, struct part *part, struct error *err)
{
    struct position_change change = {POSITION_CHANGE_MARK, part->place.doc, part->place.doc};
    const struct position_change *const changes = &change;
    const char *const id = part->id;

    change.next.rewind = part->to;
    if (position_store_change(replay->mongo, &id, &changes, 1, &part->was_set, err) !=
        MONGO_DONE)
        return error_prefix(err, "rewind of %s", part->id);
    if (!part->was_set)
        return error_set(err, ERR_RETRY, "the position of %s has changed", part->id);
    log_info("replay set", "topic=%s partition=%" PRId32 " from=%" PRId64 " offset=%" PRId64,
             replay->table.topic, part->place.partition, part->to, part->place.doc.offset);
    return 0;
}

static int set_all(struct replay *replay, struct error *err)
{
    if (look_at_all(replay, err) < 0 || check_log(replay, err) < 0)
        return -1;
    for (int32_t p = 0; p < replay->table.partitions; p++) {
        struct part *part = &replay->parts[p];

        if (!part->was_set && part->verdict == REPLAY_GO_BACK &&
            set_back(replay, part, err) < 0)
            return -1;
    }
    return 0;
}

static void tell_the_others(const struct replay *replay)
{
    for (int32_t p = 0; p < replay->table.partitions; p++) {
        const struct part *part = &replay->parts[p];

        if (!part->was_set)
            log_info("nothing to replay",
                     "topic=%s partition=%" PRId32 " offset=%" PRId64 " reason=%s",
                     replay->table.topic, p, part->place.doc.offset, part->why);
    }
}

/* ---- waiting ---- */

/* 1: not yet. */
static int look(const struct replay *replay, struct error *err)
{
    struct position_doc *docs = NULL;
    int result = read_positions(&docs, replay, err);

    for (int32_t p = 0; p < replay->table.partitions && result == 0; p++)
        if (replay->parts[p].was_set &&
            !replay_point_is_back(&replay->parts[p].place.doc, &docs[p]))
            result = 1;
    free(docs);
    return result;
}

/* An outage of the target is waited out, as the owners do. */
static int wait_back(const struct replay *replay, struct error *err)
{
    int result;

    while ((result = look(replay, err)) != 0) {
        if (result < 0)
            log_warn("positions can't be read now", "reason=%s", err->message);
        if (stop_wait_ms(LOOK_MS))
            return error_fatal(
                err, EXIT_FATAL,
                "interrupted: the positions are set back, and the consumers go on");
    }
    log_info("replay done", "topic=%s", replay->table.topic);
    return 0;
}

static int run_all(struct replay *replay, struct error *err)
{
    if (open_kafka(replay, err) < 0 || open_target(replay, err) < 0 ||
        find_table(replay, err) < 0)
        return -1;
    while (set_all(replay, err) < 0)
        if (try_again(replay, err) < 0)
            return -1;
    tell_the_others(replay);
    return replay->options->wait ? wait_back(replay, err) : 0;
}

int replay_run(const struct consumer_options *options, const struct config *config,
               struct error *err)
{
    AUTO(replay_release)
    struct replay replay = {.options = options,
                            .config = config,
                            .end_ms =
                                clock_mono_ms() + config_int(config, "start.timeout") * 1000};

    return run_all(&replay, err) < 0 ? program_not_done(err) : 0;
}
