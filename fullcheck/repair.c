#include "fullcheck/repair.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/exit_code.h"
#include "common/kafka/kafka.h"
#include "common/kafka/kafka_topic.h"
#include "common/messages/ledger_cache.h"
#include "common/run/log.h"

#define MESSAGE_TIMEOUT "10000"
#define SERVE_MS 100
#define LEDGER_MS 10000

struct repair {
    rd_kafka_t *rk;
    char *topic;
    struct ledger_cache *ledger;

    pthread_mutex_t lock; /* all below */
    unsigned sent;
    int64_t newest_offset; /* of a request */
};

/* ---- life ---- */

struct delivery {
    bool over;
    rd_kafka_resp_err_t err;
    int64_t offset;
};

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *arg)
{
    struct delivery *delivery = message->_private;

    (void)rk;
    (void)arg;
    *delivery = (struct delivery){true, message->err, message->offset};
}

static int open_producer(struct repair *repair, const struct config *config, struct error *err)
{
    AUTO(free_charp) char *limit = xasprintf("%zu", TABLE_SIGNAL_BYTES_AT_MOST);
    const struct kafka_setting settings[] = {{"enable.idempotence", "true"},
                                             {"acks", "all"},
                                             {"message.max.bytes", limit},
                                             {"message.timeout.ms", MESSAGE_TIMEOUT},
                                             {"linger.ms", "0"},
                                             {NULL, NULL}};
    rd_kafka_conf_t *conf = NULL;

    if (kafka_conf_new(&conf, config, "repair", settings, err) < 0)
        return -1;
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    return kafka_handle_new(&repair->rk, RD_KAFKA_PRODUCER, &conf, err);
}

static int find_topics(struct repair *repair, const struct config *config, struct error *err)
{
    int32_t partitions;

    if (kafka_topic_partition_count(&partitions, repair->rk, repair->topic, err) < 0)
        return -1;
    if (partitions == 0)
        return error_fatal(err, EXIT_UNREACHABLE,
                           "there is no topic %s: no producer has run with this topic.prefix",
                           repair->topic);
    return ledger_cache_new(&repair->ledger, config, err);
}

int repair_new(struct repair **ret, const struct config *config, struct error *err)
{
    AUTO(repair_freep) struct repair *repair = xcalloc(1, sizeof(*repair));

    pthread_mutex_init(&repair->lock, NULL);
    repair->topic = kafka_signal_topic(config);
    repair->newest_offset = -1;
    if (open_producer(repair, config, err) < 0 ||
        kafka_wait_broker(repair->rk, config, config_int(config, "start.timeout") * 1000, err) <
            0 ||
        find_topics(repair, config, err) < 0)
        return error_prefix(err, "--repair");
    *ret = TAKE(repair);
    return 0;
}

void repair_free(struct repair *repair)
{
    if (!repair)
        return;
    ledger_cache_free(repair->ledger);
    if (repair->rk)
        rd_kafka_destroy(repair->rk);
    pthread_mutex_destroy(&repair->lock);
    free(repair->topic);
    free(repair);
}

/* ---- requests ---- */

static void encode(struct buf *out, unsigned number, const char *table,
                   const struct bytes *keys, size_t count)
{
    char *copies[TABLE_SIGNAL_KEYS_AT_MOST];
    AUTO(free_charp) char *id = xasprintf("%" PRId64 "-%u", clock_wall_ms(), number);
    const struct table_signal signal = {.id = id,
                                        .type = TABLE_SIGNAL_REPAIR,
                                        .table = (char *)table,
                                        .sender = (char *)"dynaferry-fullcheck",
                                        .ts_ms = clock_wall_ms(),
                                        .keys = copies,
                                        .key_count = count};

    for (size_t i = 0; i < count; i++)
        copies[i] = bytes_dup(keys[i]);
    table_signal_encode(out, &signal);
    for (size_t i = 0; i < count; i++)
        free(copies[i]);
}

/* Under lock: one request at a time. Delivery reports come within the message's own timeout. */
static rd_kafka_resp_err_t produce(struct repair *repair, const char *table,
                                   struct bytes message)
{
    struct delivery delivery = {0};
    rd_kafka_resp_err_t code = rd_kafka_producev(
        repair->rk, RD_KAFKA_V_TOPIC(repair->topic), RD_KAFKA_V_PARTITION(0),
        RD_KAFKA_V_KEY(table, strlen(table)), RD_KAFKA_V_VALUE((void *)message.p, message.len),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_OPAQUE(&delivery), RD_KAFKA_V_END);

    if (code)
        return code;
    while (!delivery.over)
        rd_kafka_poll(repair->rk, SERVE_MS);
    if (!delivery.err)
        repair->newest_offset = MAX(repair->newest_offset, delivery.offset);
    return delivery.err;
}

bool repair_send(struct repair *repair, const char *table, const struct bytes *keys,
                 size_t count)
{
    AUTO(buf_release) struct buf message = {.ceiling = TABLE_SIGNAL_BYTES_AT_MOST};
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;

    AUTO_LOCK(&repair->lock);
    encode(&message, repair->sent++, table, keys, count);
    if (!message.overflow)
        code = produce(repair, table, buf_slice(&message));
    if (code)
        log_error("repair not requested", "table=%s keys=%zu reason=%s", table, count,
                  rd_kafka_err2str(code));
    else
        log_info("repair requested", "table=%s keys=%zu offset=%" PRId64, table, count,
                 repair->newest_offset);
    return code == 0;
}

static const char *why_no_effect(const struct ledger_table *record, int64_t newest)
{
    switch (record->phase) {
    case PHASE_SNAPSHOT:
    case PHASE_TAIL:
        return record->signal_offset > newest
                   ? "the producer took the requests: look at the consumer and the dead letters"
                   : "the producer has not taken the requests: is it running?";
    default:
        return "the table is halted: see the producer's log";
    }
}

void repair_had_no_effect(struct repair *repair, const char *table, const char *key)
{
    AUTO(ledger_table_release) struct ledger_table record = {0};
    struct error err = {0};
    int found;

    AUTO_LOCK(&repair->lock);
    if (ledger_cache_sync(repair->ledger, LEDGER_MS, &err) < 0)
        found = -1;
    else
        found = ledger_cache_table(repair->ledger, table, &record, &err);
    log_error("repair had no effect", "table=%s key=%s phase=%s reason=%s", table, key,
              found > 0 ? ledger_phase_name(record.phase) : "unknown",
              found < 0    ? err.message
              : found == 0 ? "the ledger does not know this table: no producer carries it"
                           : why_no_effect(&record, repair->newest_offset));
}
