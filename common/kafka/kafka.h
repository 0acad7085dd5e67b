/* common/kafka/kafka.h - what all programs share of librdkafka: settings, names, topics,
 * partitioner.
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
/* At most 249 of letters, digits, '.', '_' and '-'. */
bool kafka_topic_name_is_legal(const char *name);

/* The number of partitions; 0: there is no such topic. */
int kafka_topic_partition_count(int32_t *ret, rd_kafka_t *rk, const char *topic,
                                struct error *err);
/* The ends of count partitions from first, as this handle's isolation level sees them:
 * ERR_RETRY within timeout_ms. (rd_kafka_query_watermark_offsets may take a minute longer than
 * it is told.) */
int kafka_topic_end_offsets(int64_t *ret, rd_kafka_t *rk, const char *topic, int32_t first,
                            int32_t count, int64_t timeout_ms, struct error *err);
/* The first offsets that are still there, likewise. */
int kafka_topic_begin_offsets(int64_t *ret, rd_kafka_t *rk, const char *topic, int32_t first,
                              int32_t count, int64_t timeout_ms, struct error *err);
struct kafka_topic_spec {
    const char *name;
    int32_t partitions;
    int16_t replication;
    const struct kafka_setting *configs; /* ends with name NULL */
};
/* Creates it and waits until metadata shows all partitions. Existing already is well.
 * ERR_RETRY, or ERR_FATAL for a refusal (policy, authorization: 77). */
int kafka_topic_create(rd_kafka_t *rk, const struct kafka_topic_spec *spec, struct error *err);
/* The topic's own setting, as the brokers have it; the caller frees. ERR_RETRY, ERR_DATA: these
 * brokers don't tell it, however often they are asked; or ERR_FATAL 77. */
int kafka_topic_setting(char **ret, rd_kafka_t *rk, const char *topic, const char *name,
                        struct error *err);
/* Creates ledger, signal and dead-letter topics where missing; another partition count is
 * refused (78). */
int kafka_topic_ensure_own(rd_kafka_t *rk, const struct config *c, struct error *err);

/* The ledger topic keeps the newest record of every key: another cleanup.policy than compact is
 * refused by name (78); what makes reading it slow only is warned about, and so is what may not
 * or can't be asked. Once it is there. */
int kafka_topic_check_ledger(rd_kafka_t *rk, const struct config *c, struct error *err);
/* ERR_FATAL 78: the topic has another number of partitions than wanted. 0 found: none yet,
 * which is well. */
int kafka_topic_check_partitions(const char *topic, int32_t found, int32_t wanted,
                                 struct error *err);

/* Java's murmur2, and the partition its client computes. */
uint32_t kafka_murmur2(struct bytes key);
int32_t kafka_partition_of(struct bytes key, int32_t partitions);

/* The text of a header; false: not there. Slices live as long as the message. */
bool kafka_header(const rd_kafka_message_t *m, const char *name, struct bytes *ret);
bool kafka_header_int64(const rd_kafka_message_t *m, const char *name, int64_t *ret);
