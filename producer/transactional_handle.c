#include "producer/transactional_handle.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/base/auto.h"
#include "common/base/check.h"
#include "common/base/exit_code.h"
#include "common/kafka/kafka.h"

/* After a crash readers wait for no longer than this. Messages time out before it. */
#define TRANSACTION_TIMEOUT "15000"
#define MESSAGE_TIMEOUT "12000"
#define QUEUE_BYTES (4 * 1024 * 1024) /* on top of the largest message */

static bool code_is_fenced(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR__FENCED || code == RD_KAFKA_RESP_ERR_PRODUCER_FENCED ||
           code == RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH ||
           code == RD_KAFKA_RESP_ERR_INVALID_PRODUCER_ID_MAPPING;
}

bool transactional_handle_is_fenced(rd_kafka_t *rk, rd_kafka_resp_err_t code)
{
    char text[256];

    return code_is_fenced(code) || code_is_fenced(rd_kafka_fatal_error(rk, text, sizeof(text)));
}

static int open_handle(rd_kafka_t **ret, const struct config *c, int32_t ledger_partition,
                       bool alone,
                       void (*on_delivery)(rd_kafka_t *, const rd_kafka_message_t *, void *),
                       void *opaque, struct error *err)
{
    int64_t largest = config_int(c, "topic.max.message.bytes") - 65536;
    AUTO(free_charp)
    char *id = xasprintf("%s-%" PRId32, config_string(c, "topic.prefix"), ledger_partition);
    AUTO(free_charp) char *message_bytes = xasprintf("%" PRId64, largest);
    AUTO(free_charp) char *batch_bytes = xasprintf("%" PRId64, MIN(largest / 2, 1000000));
    AUTO(free_charp) char *queue_kbytes = xasprintf("%" PRId64, (largest + QUEUE_BYTES) / 1024);
    const struct kafka_setting settings[] = {
        {"transactional.id", id},
        {"transaction.timeout.ms", TRANSACTION_TIMEOUT},
        {"message.timeout.ms", MESSAGE_TIMEOUT},
        {"message.max.bytes", message_bytes},
        {"batch.size", batch_bytes},
        /* lz4 inflates at most 255-fold, so readers' memory stays bounded. */
        {"compression.codec", "lz4", true},
        {"queue.buffering.max.kbytes", queue_kbytes, true},
        {alone ? "batch.num.messages" : NULL, "1"},
        {NULL, NULL}};
    rd_kafka_conf_t *conf = NULL;

    if (kafka_conf_new(&conf, c, "producer", settings, err) < 0)
        return -1;
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_conf_set_opaque(conf, opaque);
    return kafka_handle_new(ret, RD_KAFKA_PRODUCER, &conf, err);
}

static int init_transactions(rd_kafka_t *rk, struct error *err)
{
    rd_kafka_error_t *error = rd_kafka_init_transactions(rk, TRANSACTIONAL_HANDLE_OPEN_MS);
    rd_kafka_resp_err_t code;

    if (!error)
        return 0;
    code = rd_kafka_error_code(error);
    if (code == RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED ||
        code == RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED)
        error_fatal(err, EXIT_NO_RIGHT, "no right to write transactions: %s",
                    rd_kafka_error_string(error));
    else
        error_set(err, ERR_RETRY, "init_transactions: %s", rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
    return -1;
}

int transactional_handle_open(
    rd_kafka_t **ret, const struct config *c, int32_t ledger_partition, bool alone,
    void (*on_delivery)(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque),
    void *opaque, struct error *err)
{
    if (open_handle(ret, c, ledger_partition, alone, on_delivery, opaque, err) < 0)
        return -1;
    return init_transactions(*ret, err);
}

/* As the user's kafka.NAME may have set it. */
static size_t setting_of(rd_kafka_t *rk, const char *name)
{
    char text[32];
    size_t size = sizeof(text);

    CHECK(rd_kafka_conf_get(rd_kafka_conf(rk), name, text, &size) == RD_KAFKA_CONF_OK);
    return (size_t)strtoull(text, NULL, 10);
}

size_t transactional_handle_queue_bytes(rd_kafka_t *rk)
{
    return setting_of(rk, "queue.buffering.max.kbytes") * 1024;
}

size_t transactional_handle_queue_records(rd_kafka_t *rk)
{
    return setting_of(rk, "queue.buffering.max.messages");
}
