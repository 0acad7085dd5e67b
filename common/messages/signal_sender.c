#include "common/messages/signal_sender.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/exit_code.h"
#include "common/base/random.h"
#include "common/kafka/kafka.h"
#include "common/kafka/kafka_topic.h"
#include "common/run/log.h"

#define MESSAGE_TIMEOUT "10000"
#define QUEUE_KBYTES "16384"
#define SERVE_MS 100
#define PURGE_MS 1000

struct signal_sender { /* set once */
    const struct config *config;
    rd_kafka_t *rk;
    char *topic;
    char *client;

    pthread_mutex_t lock; /* of the deliveries that are waited for */
};

/* A request under way. */
struct delivery {
    bool waited; /* by signal_sender_send, whose it is; else on_delivery frees it */
    char *table; /* these two, of a request that nobody waits for, for the log */
    const char *type;

    bool over; /* under the sender's lock, like all below */
    rd_kafka_resp_err_t code;
    int64_t offset;
};

/* ---- life ---- */

static void posted_ended(struct delivery *delivery, rd_kafka_resp_err_t code)
{
    if (code)
        log_error("request not sent", "table=%s type=%s reason=%s", delivery->table,
                  delivery->type, rd_kafka_err2str(code));
    free(delivery->table);
    free(delivery);
}

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *arg)
{
    struct signal_sender *sender = arg;
    struct delivery *delivery = message->_private;

    (void)rk;
    if (!delivery->waited) {
        posted_ended(delivery, message->err);
        return;
    }
    AUTO_LOCK(&sender->lock);
    delivery->over = true;
    delivery->code = message->err;
    delivery->offset = message->offset;
}

static int open_producer(struct signal_sender *sender, struct error *err)
{
    AUTO(free_charp) char *limit = xasprintf("%zu", TABLE_SIGNAL_BYTES_AT_MOST);
    const struct kafka_setting settings[] = {{"enable.idempotence", "false"},
                                             {"acks", "all"},
                                             {"message.max.bytes", limit},
                                             {"message.timeout.ms", MESSAGE_TIMEOUT},
                                             {"queue.buffering.max.kbytes", QUEUE_KBYTES},
                                             {"linger.ms", "0"},
                                             {NULL, NULL}};
    rd_kafka_conf_t *conf = NULL;

    if (kafka_conf_new(&conf, sender->config, "signal", settings, err) < 0)
        return -1;
    rd_kafka_conf_set_opaque(conf, sender);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    return kafka_handle_new(&sender->rk, RD_KAFKA_PRODUCER, &conf, err);
}

int signal_sender_new(struct signal_sender **ret, const struct config *config,
                      const char *client, struct error *err)
{
    AUTO(signal_sender_freep) struct signal_sender *sender = xcalloc(1, sizeof(*sender));

    pthread_mutex_init(&sender->lock, NULL);
    sender->config = config;
    sender->topic = kafka_signal_topic(config);
    sender->client = xstrdup(client);
    if (open_producer(sender, err) < 0)
        return -1;
    *ret = TAKE(sender);
    return 0;
}

void signal_sender_free(struct signal_sender *sender)
{
    if (!sender)
        return;
    if (sender->rk) {
        rd_kafka_purge(sender->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        rd_kafka_flush(sender->rk, PURGE_MS); /* what was posted is freed, or logged */
        rd_kafka_destroy(sender->rk);
    }
    pthread_mutex_destroy(&sender->lock);
    free(sender->topic);
    free(sender->client);
    free(sender);
}

int signal_sender_wait(struct signal_sender *sender, struct error *err)
{
    int64_t limit_ms = config_int(sender->config, "start.timeout") * 1000;
    int32_t partitions;

    if (kafka_wait_broker(sender->rk, sender->config, limit_ms, err) < 0 ||
        kafka_topic_partition_count(&partitions, sender->rk, sender->topic, err) < 0)
        return -1;
    return partitions > 0
               ? 0
               : error_fatal(err, EXIT_UNREACHABLE,
                             "there is no topic %s: no producer has run with this topic.prefix",
                             sender->topic);
}

/* ---- requests ---- */

char *signal_sender_id(void)
{
    uint64_t number;

    random_bytes(&number, sizeof(number));
    return xasprintf("%016" PRIx64, number);
}

static void encode(struct buf *out, const struct signal_sender *sender,
                   const struct table_signal *signal)
{
    AUTO(free_charp) char *id = signal->id ? NULL : signal_sender_id();
    struct table_signal whole = *signal;

    whole.id = id ? id : signal->id;
    whole.sender = signal->sender ? signal->sender : sender->client;
    whole.ts_ms = signal->ts_ms ? signal->ts_ms : clock_wall_ms();
    table_signal_encode(out, &whole);
}

/* 0: on_delivery will be called with the delivery. */
static rd_kafka_resp_err_t produce(struct signal_sender *sender,
                                   const struct table_signal *signal, struct delivery *delivery)
{
    AUTO(buf_release) struct buf message = {.ceiling = TABLE_SIGNAL_BYTES_AT_MOST};

    encode(&message, sender, signal);
    if (message.overflow)
        return RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
    return rd_kafka_producev(
        sender->rk, RD_KAFKA_V_TOPIC(sender->topic), RD_KAFKA_V_PARTITION(0),
        RD_KAFKA_V_KEY(signal->table, strlen(signal->table)),
        RD_KAFKA_V_VALUE(message.p, message.len), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
        RD_KAFKA_V_OPAQUE(delivery), RD_KAFKA_V_END);
}

/* A report comes within the message's own timeout. It may be served by another thread. */
static void await(struct signal_sender *sender, const struct delivery *delivery)
{
    for (;;) {
        {
            AUTO_LOCK(&sender->lock);
            if (delivery->over)
                return;
        }
        rd_kafka_poll(sender->rk, SERVE_MS);
    }
}

int signal_sender_send(struct signal_sender *sender, const struct table_signal *signal,
                       int64_t *ret_offset, struct error *err)
{
    struct delivery delivery = {.waited = true};
    rd_kafka_resp_err_t code = produce(sender, signal, &delivery);

    if (!code) {
        await(sender, &delivery);
        code = delivery.code;
    }
    if (code)
        return error_set(err,
                         code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE ? ERR_DATA : ERR_RETRY,
                         "request to %s not sent: %s", table_signal_type_name(signal->type),
                         rd_kafka_err2str(code));
    *ret_offset = delivery.offset;
    return 0;
}

void signal_sender_post(struct signal_sender *sender, const struct table_signal *signal)
{
    struct delivery *delivery = xcalloc(1, sizeof(*delivery));
    rd_kafka_resp_err_t code;

    delivery->table = xstrdup(signal->table);
    delivery->type = table_signal_type_name(signal->type);
    code = produce(sender, signal, delivery);
    if (code)
        posted_ended(delivery, code);
    signal_sender_serve(sender);
}

void signal_sender_serve(struct signal_sender *sender)
{
    rd_kafka_poll(sender->rk, 0);
}
