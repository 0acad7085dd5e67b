/* consumer/main.c - dynaferry-consumer: the log into MongoDB.
 *
 * Checks the target, opens Kafka and the ledger, starts the writers, and serves the group until
 * a stop is requested; then everything goes down in the opposite order. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/exit_code.h"
#include "common/base/random.h"
#include "common/config/config.h"
#include "common/kafka/kafka.h"
#include "common/kafka/kafka_topic.h"
#include "common/messages/ledger_cache.h"
#include "common/mongo/mongo.h"
#include "common/mongo/mongo_target.h"
#include "common/run/health.h"
#include "common/run/log.h"
#include "common/run/notify.h"
#include "common/run/program.h"
#include "common/run/stop.h"
#include "consumer/adopt_restored.h"
#include "consumer/checkpoint_view.h"
#include "consumer/consumer_options.h"
#include "consumer/database_owner.h"
#include "consumer/dead_letters.h"
#include "consumer/dispatcher.h"
#include "consumer/end_offsets.h"
#include "consumer/fetch.h"
#include "consumer/group.h"
#include "consumer/keeper.h"
#include "consumer/letters_replay.h"
#include "consumer/life.h"
#include "consumer/position_store.h"
#include "consumer/preparer.h"
#include "consumer/replay.h"
#include "consumer/snapshot_request.h"
#include "consumer/sweeper.h"
#include "consumer/tables.h"

#define LEAVE_MS 7000
#define STOP_MS 1500
#define LEDGER_SYNC_MS 5000
#define LEDGER_LIMIT_MS 60000
#define ENDS_WITHIN_MS 9000 /* above the one of a write that is not answered */

/* Two runs on one host are two owners. */
static void name_owner(char *ret)
{
    char host[64] = "?";
    uint64_t random;

    gethostname(host, sizeof(host) - 1);
    random_bytes(&random, sizeof(random));
    snprintf(ret, POSITION_TEXT_MAX, "%s-%d-%016" PRIx64, host, (int)getpid(), random);
}

/* ---- opening ---- */

static int64_t start_timeout_ms(const struct config *config)
{
    return config_int(config, "start.timeout") * 1000;
}

/* Until it is done, refused for good, or start.timeout is over. */
static int try_target(const struct consumer *c,
                      int (*attempt)(const struct consumer *c, struct mongo *mongo,
                                     struct error *err),
                      struct error *err)
{
    AUTO(mongo_freep) struct mongo *mongo = mongo_new(c->target);
    int64_t end = clock_mono_ms() + start_timeout_ms(c->config);
    int result;

    while ((result = attempt(c, mongo, err)) < 0 && err->kind != ERR_FATAL &&
           clock_mono_ms() < end && !stop_wait_ms(500))
        ;
    if (result == 0 || stop_requested() || err->kind == ERR_FATAL)
        return stop_requested() ? 0 : result;
    err->kind = ERR_FATAL;
    err->code = mongo->answered_no ? EXIT_NO_RIGHT : EXIT_UNREACHABLE;
    return -1;
}

/* Nothing is written into another's database. A ping needs no right, so what a consumer does
 * all the time is tried. */
static int may_write(const struct consumer *c, struct mongo *mongo, struct error *err)
{
    static const struct database_source not_known = {0};
    const char *prefix = config_string(c->config, "topic.prefix");

    if (database_owner_check(mongo, prefix, &not_known, NULL, err) < 0)
        return -1;
    return position_store_prove_rights(mongo, err);
}

/* Once the ledger can tell whose source it is. */
static int is_of_its_source(const struct consumer *c, struct mongo *mongo, struct error *err)
{
    struct database_source source;

    if (database_source_read(&source, c->ledger, err) < 0)
        return -1;
    return database_owner_check(mongo, config_string(c->config, "topic.prefix"), &source,
                                c->ledger, err);
}

/* Topics of its own may be missing when this program starts first. */
static int open_topics(struct consumer *c, struct error *err)
{
    rd_kafka_t *rk = fetch_handle(c->fetch);
    int64_t end = clock_mono_ms() + start_timeout_ms(c->config);

    if (kafka_wait_broker(rk, c->config, start_timeout_ms(c->config), err) < 0)
        return -1;
    while (kafka_topic_ensure_own(rk, c->config, err) < 0 ||
           ledger_cache_new(&c->ledger, c->config, err) < 0)
        if (kafka_start_again(c->config, end, err) < 0)
            return -1;
    while (ledger_cache_sync(c->ledger, LEDGER_SYNC_MS, err) < 0)
        if (kafka_start_again(c->config, end, err) < 0)
            return -1;
    ledger_cache_watch(c->ledger, LEDGER_LIMIT_MS);
    return 0;
}

static int open_parts(struct consumer *c, struct error *err)
{
    if (mongo_target_new(&c->target, c->config, "dynaferry-consumer", err) < 0 ||
        fetch_new(&c->fetch, c->config, err) < 0 ||
        dead_letters_new(&c->letters, c->config, err) < 0 ||
        snapshot_request_new(&c->snapshots, c->config, err) < 0 ||
        mongo_wait(c->target, start_timeout_ms(c->config), err) < 0 ||
        try_target(c, may_write, err) < 0 || stop_requested() || open_topics(c, err) < 0)
        return -1;
    return try_target(c, is_of_its_source, err);
}

static void set_limits(struct consumer *c)
{
    const struct config *config = c->config;
    size_t most = fetch_batch_bytes(c->fetch, (int)config_int(config, "target.writers"));

    c->batch_count = (size_t)config_int(config, "target.batch.count");
    c->batch_bytes = MIN((size_t)config_int(config, "target.batch.bytes"), most);
    c->linger_ms = config_int(config, "target.batch.ms");
    c->session_ms = GROUP_SESSION_MS;
    c->errors_halt = strcmp(config_string(config, "errors.tolerance"), "none") == 0;
    atomic_store(&c->last_poll, clock_mono_ms());
    name_owner(c->me);
}

/* ---- what one of its threads asks of another ---- */

/* By the keeper or the sweeper. */
static void partition_answered(void *owner)
{
    partition_wake(owner);
}

static bool owns_first(void *arg, const char *topic)
{
    const struct consumer *c = arg;
    struct partition *p = dispatcher_find(c->dispatcher, topic, 0);

    return p && atomic_load(&p->assigned);
}

static void table_changed(void *arg, struct table *table)
{
    const struct consumer *c = arg;

    dispatcher_wake_topic(c->dispatcher, table->topic);
}

static void start_threads(struct consumer *c)
{
    const struct dispatcher_work work = {
        .step = life_step, .open = life_writer_open, .close = life_writer_close, .arg = c};
    struct preparer_setup prepare = {.config = c->config,
                                     .target = c->target,
                                     .ledger = c->ledger,
                                     .rk = fetch_handle(c->fetch),
                                     .owns_first = owns_first,
                                     .changed = table_changed,
                                     .arg = c};
    struct end_offsets_setup ends = {
        .config = c->config, .rk = fetch_handle(c->fetch), .ledger = c->ledger};
    const struct checkpoint_view_setup view = {.config = c->config,
                                               .target = c->target,
                                               .ledger = c->ledger,
                                               .owns_first = owns_first,
                                               .arg = c};

    c->tables = prepare.tables = ends.tables = tables_new(c->config, c->ledger);
    c->keeper = keeper_new(c->target, partition_answered);
    c->sweeper = sweeper_new(c->target, c->me, partition_answered);
    c->dispatcher = dispatcher_new((int)config_int(c->config, "target.writers"), &work);
    c->preparer = preparer_new(&prepare);
    ends.dispatcher = c->dispatcher;
    c->ends = end_offsets_new(&ends);
    c->checkpoints = checkpoint_view_new(&view);
}

/* ---- closing ---- */

/* false: one of them still waits for an answer. */
static bool stop_threads(struct consumer *c, int64_t timeout_ms)
{
    return (!c->ends || end_offsets_stop(c->ends, timeout_ms)) &&
           (!c->preparer || preparer_stop(c->preparer, timeout_ms)) &&
           (!c->sweeper || sweeper_stop(c->sweeper, timeout_ms)) &&
           (!c->dispatcher || dispatcher_stop(c->dispatcher, timeout_ms)) &&
           (!c->keeper || keeper_stop(c->keeper, timeout_ms)) &&
           checkpoint_view_stop(c->checkpoints, timeout_ms);
}

static void close_all(struct consumer *c, struct group *g)
{
    group_free(g);
    checkpoint_view_free(c->checkpoints);
    end_offsets_free(c->ends);
    preparer_free(c->preparer);
    fetch_stop(c->fetch);
    sweeper_free(c->sweeper);
    dispatcher_free(c->dispatcher);
    keeper_free(c->keeper);
    tables_free(c->tables);
    ledger_cache_free(c->ledger);
    dead_letters_free(c->letters);
    snapshot_request_free(c->snapshots);
    fetch_free(c->fetch);
    mongo_target_free(c->target);
}

/* ---- running ---- */

/* A thread that still waits for an answer would hold up the end: whoever takes its partition
 * sees that there was no goodbye. */
static bool leave(struct consumer *c, struct group *g)
{
    bool all = !g || group_leave(g, LEAVE_MS);

    if (!all)
        log_warn("command not answered in time", NULL);
    return stop_threads(c, all ? STOP_MS : 0) && all;
}

static int serve(struct consumer *c, struct group **g, int64_t idle_ms, struct error *err)
{
    if (open_parts(c, err) < 0 || stop_requested())
        return stop_requested() ? 0 : -1;
    set_limits(c);
    start_threads(c);
    if (group_new(g, c, err) < 0)
        return -1;
    health_ready(true);
    return group_run(*g, idle_ms, err);
}

static int apply(const struct config *config, int64_t idle_ms, struct error *err)
{
    AUTO(notify_freep) struct notify *notify = NULL;
    struct consumer consumer = {.config = config};
    struct group *g = NULL;
    int result, code;

    if (notify_start(&notify, err) < 0)
        return -1;
    result = serve(&consumer, &g, idle_ms, err);
    code = result == 0 || stop_requested() ? EXIT_WELL : err->code ? err->code : EXIT_FATAL;
    program_ends(code);
    if (!leave(&consumer, g)) {
        log_event(code ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO, "ended", "exit=%d reason=%s", code,
                  code ? err->message : "");
        log_close();
        _exit(code);
    }
    close_all(&consumer, g);
    return result;
}

static int run(const struct config *config, const struct config_extra *extras,
               struct error *err)
{
    struct consumer_options options;
    int result = -1;

    if (consumer_options_read(&options, extras, err) < 0)
        return -1;
    mongoc_init();
    switch (options.task) {
    case CONSUMER_APPLIES:
        result = apply(config, options.until_idle_ms, err);
        break;
    case CONSUMER_REPLAYS:
        result = replay_run(&options, config, err);
        break;
    case CONSUMER_REPLAYS_LETTERS:
        result = letters_replay_run(&options, config, err);
        break;
    case CONSUMER_ADOPTS_RESTORED:
        result = adopt_restored_run(config, err);
        break;
    }
    mongoc_cleanup();
    return result;
}

/* What is done by hand is done beside the consumer whose file it reads. */
static int serve_metrics(struct metrics_http **ret, const struct config *config,
                         struct error *err)
{
    struct consumer_options options;

    if (consumer_options_read(&options, consumer_options_extras, err) < 0)
        return -1;
    return options.task == CONSUMER_APPLIES ? metrics_http_start(ret, config, err) : 0;
}

int main(int argc, char **argv)
{
    const struct program program = {.which = CONFIG_CONSUMER,
                                    .name = "dynaferry-consumer",
                                    .extras = consumer_options_extras,
                                    .ends_within_ms = ENDS_WITHIN_MS,
                                    .serve = serve_metrics,
                                    .run = run};

    return program_main(&program, argc, argv);
}
