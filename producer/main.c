/* producer/main.c - dynaferry-producer: tables and their streams into Kafka, exactly once.
 *
 * Sets up what all modules share, lets the owner run on this thread, and takes it down in the
 * opposite order. With a flag of command.h it only asks another producer for something. */
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/exit_code.h"
#include "common/dynamodb/ddb_names.h"
#include "common/dynamodb/ddb_table.h"
#include "common/kafka/kafka.h"
#include "common/kafka/kafka_topic.h"
#include "common/run/health.h"
#include "common/run/log.h"
#include "common/run/notify.h"
#include "common/run/program.h"
#include "producer/command_run.h"
#include "producer/nimoshake.h"
#include "producer/owner.h"
#include "producer/poison.h"
#include "producer/signal_topic.h"
#include "producer/source_check.h"
#include "producer/source_identity.h"

#define MESSAGE_KEY_CEILING (64 * 1024)
#define ENDS_WITHIN_MS 9000

/* ---- threads of the pool ---- */

static void *local_begin(void *arg)
{
    struct producer *p = arg;
    struct append_context *a = xcalloc(1, sizeof(*a));
    size_t largest = (size_t)config_int(p->config, "topic.max.message.bytes");

    a->client = ddb_client_new(p->source);
    buf_init(&a->message_key, MESSAGE_KEY_CEILING);
    buf_init(&a->keys, MESSAGE_KEY_CEILING);
    buf_init(&a->value, 2 * largest);
    buf_init(&a->text, 2 * largest);
    return a;
}

static void local_end(void *arg)
{
    struct append_context *a = arg;

    ddb_client_free(a->client);
    buf_release(&a->message_key);
    buf_release(&a->keys);
    buf_release(&a->value);
    buf_release(&a->text);
    free(a);
}

/* ---- set up ---- */

static enum sync_mode mode_of(const struct config *c)
{
    const char *mode = config_string(c, "sync_mode");

    if (strcmp(mode, "full") == 0)
        return SYNC_FULL;
    return strcmp(mode, "incr") == 0 ? SYNC_INCR : SYNC_ALL;
}

static int open_ledger(struct producer *p, int64_t end, struct error *err)
{
    if (kafka_topic_ensure_own(p->admin, p->config, err) < 0 ||
        kafka_topic_check_ledger(p->admin, p->config, err) < 0 ||
        (!p->cache && ledger_cache_new(&p->cache, p->config, err) < 0))
        return -1;
    return ledger_cache_sync(p->cache, MAX(end - clock_mono_ms(), 1), err);
}

static int open_kafka(struct producer *p, struct error *err)
{
    static const struct kafka_setting settings[] = {{"group.id", "dynaferry-admin"},
                                                    {"isolation.level", "read_uncommitted"},
                                                    {"enable.auto.commit", "false"},
                                                    {NULL, NULL}};
    rd_kafka_conf_t *conf = NULL;
    int64_t timeout_ms = config_int(p->config, "start.timeout") * 1000;
    int64_t end = clock_mono_ms() + timeout_ms;

    if (kafka_conf_new(&conf, p->config, "admin", settings, err) < 0 ||
        kafka_handle_new(&p->admin, RD_KAFKA_CONSUMER, &conf, err) < 0 ||
        kafka_wait_broker(p->admin, p->config, timeout_ms, err) < 0)
        return -1;
    while (open_ledger(p, end, err) < 0) {
        if (kafka_start_again(p->config, end, err) < 0)
            return -1;
        log_warn("ledger can't be read now", "reason=%s", err->message);
    }
    ledger_cache_watch(p->cache, config_int(p->config, "health.limit.ms"));
    return 0;
}

static void open_pool(struct producer *p)
{
    const struct config *c = p->config;

    p->poison_count = ledger_cache_partitions(p->cache);
    p->poison = xcalloc((size_t)p->poison_count, sizeof(*p->poison));
    for (int32_t i = 0; i < p->poison_count; i++)
        p->poison[i] = poison_new();

    p->throttle = throttle_new(config_int(c, "memory.bytes"), config_int(c, "threads"),
                               config_int(c, "qps.full"), config_int(c, "qps.incr"),
                               config_int(c, "full.concurrency"));
    throttle_on_room(p->throttle, producer_room_came, p);
    p->pool = step_pool_new((int)config_int(c, "threads"),
                            (struct step_pool_hooks){local_begin, local_end, p});
}

static int open_all(struct producer *p, struct error *err)
{
    const struct config *c = p->config;

    p->mode = mode_of(c);
    p->event_before = config_bool(c, "event.before");
    p->errors_halt = strcmp(config_string(c, "errors.tolerance"), "none") == 0;
    p->renews_gaps = strcmp(config_string(c, "on_gap"), "resnapshot") == 0;
    p->prefix = config_string(c, "topic.prefix");
    p->ledger_topic = kafka_ledger_topic(c);
    p->dead_letter_topic = kafka_dead_letter_topic(c);
    if (ddb_source_new(&p->source, c, err) < 0 || open_kafka(p, err) < 0 ||
        source_check(p, err) < 0 || signal_topic_new(&p->signals, c, p->cache, err) < 0)
        return -1;
    p->started_ms = ddb_source_now_ms(p->source); /* as the end of a snapshot is noted */
    open_pool(p);
    return 0;
}

static void close_all(struct producer *p)
{
    signal_topic_stop(p->signals); /* it wakes steps of the pool */
    step_pool_free(p->pool);
    signal_topic_free(p->signals);
    for (int32_t i = 0; i < p->poison_count; i++)
        poison_free(p->poison[i]);
    free(p->poison);
    throttle_free(p->throttle);
    source_identity_free(p->identity);
    nimoshake_free(p->nimoshake);
    ddb_names_free(p->listed, p->listed_count);
    ledger_cache_free(p->cache);
    if (p->admin)
        rd_kafka_destroy(p->admin);
    ddb_source_free(p->source);
    free(p->ledger_topic);
    free(p->dead_letter_topic);
}

/* ---- the program ---- */

/* Without rows to copy there is nothing to spare; and changes alone may not begin later. */
static int load_nimoshake(struct producer *p, struct error *err)
{
    if (p->mode != SYNC_ALL)
        return error_fatal(err, EXIT_CONFIGURATION,
                           "--take-over-nimoshake needs sync_mode = all");
    return nimoshake_load(&p->nimoshake, p->config, err);
}

static int carry(const struct config *c, bool takes_over, struct error *err)
{
    AUTO(notify_freep) struct notify *notify = NULL;
    struct producer p = {.config = c};
    int result;

    if (notify_start(&notify, err) < 0)
        return -1;
    result = open_all(&p, err);
    if (result == 0 && takes_over)
        result = load_nimoshake(&p, err);
    if (result == 0) {
        health_ready(true);
        result = owner_run(&p, err);
        health_ready(false);
    }
    close_all(&p);
    return result;
}

static int run(const struct config *c, const struct config_extra *extras, struct error *err)
{
    struct command command;
    int asked = command_read(&command, extras, err);

    if (asked < 0)
        return -1;
    return asked ? command_run(&command, c, err) : carry(c, command_takes_over(extras), err);
}

/* A command is run beside the producer whose file it reads. */
static int serve(struct metrics_http **ret, const struct config *c, struct error *err)
{
    struct command command;

    return command_read(&command, command_extras, err) == 0 ? metrics_http_start(ret, c, err)
                                                            : 0;
}

int main(int argc, char **argv)
{
    const struct program program = {.which = CONFIG_PRODUCER,
                                    .name = "dynaferry-producer",
                                    .extras = command_extras,
                                    .ends_within_ms = ENDS_WITHIN_MS,
                                    .serve = serve,
                                    .run = run};

    return program_main(&program, argc, argv);
}
