/* common/kafka/kafka.h - what all programs share of librdkafka: settings, names, partitioner.
 *
 * Settings: the user's kafka.* as they are, then what dynaferry can't do without. Callbacks of
 * librdkafka only record or log through one common place. */
#pragma once

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/auto.h"
#include "common/base/bytes.h"
#include "common/base/error.h"
#include "common/config/config.h"

DEFINE_FREEP(rd_kafka_t, rd_kafka_freep, rd_kafka_destroy)
DEFINE_FREEP(rd_kafka_topic_partition_list_t, rd_kafka_listp,
             rd_kafka_topic_partition_list_destroy)
DEFINE_FREEP(rd_kafka_message_t, rd_kafka_messagep, rd_kafka_message_destroy)

struct kafka_setting {
    const char *name;
    const char *value;
    bool yields; /* to the user's kafka.NAME */
};

/* A conf with the user's settings, bootstrap.servers, allow.auto.create.topics=false, log and
 * error callbacks, then ours (which win). settings ends with name NULL. role goes into
 * client.id. Errors: ERR_FATAL, 78. */
int kafka_conf_new(rd_kafka_conf_t **ret, const struct config *c, const char *role,
                   const struct kafka_setting *settings, struct error *err);
/* Takes the conf, also on failure. */
int kafka_handle_new(rd_kafka_t **ret, rd_kafka_type_t type, rd_kafka_conf_t **conf,
                     struct error *err);

/* Waits for any broker, up to timeout_ms: ERR_FATAL 69 names the servers. ERR_RETRY at a stop.
 */
int kafka_wait_broker(rd_kafka_t *rk, const struct config *c, int64_t timeout_ms,
                      struct error *err);
/* At the start, after err: 0 to try again, after a short wait. -1 when err is no ERR_RETRY, at
 * a stop, and when end_ms is over: then err is ERR_FATAL 69 and names the servers. */
int kafka_start_again(const struct config *c, int64_t end_ms, struct error *err);

/* Names; the caller frees. */
char *kafka_data_topic(const struct config *c, const char *table);
char *kafka_ledger_topic(const struct config *c);
char *kafka_signal_topic(const struct config *c);
char *kafka_dead_letter_topic(const struct config *c);
char *kafka_producer_group(const struct config *c);

/* The partition that Java's client computes (murmur2). */
int32_t kafka_partition_of(struct bytes key, int32_t partitions);

/* The text of a header; false: not there. Slices live as long as the message. */
bool kafka_header(const rd_kafka_message_t *m, const char *name, struct bytes *ret);
bool kafka_header_int64(const rd_kafka_message_t *m, const char *name, int64_t *ret);
