/* common/kafka/kafka_topic.h - topics: what there is of them, making them, and the ones that
 * all programs share (ledger, signal, dead letters). */
#pragma once

#include "common/kafka/kafka.h"

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
/* The offsets of the first records since a time, likewise; -1: there is none. */
int kafka_topic_time_offsets(int64_t *ret, rd_kafka_t *rk, const char *topic, int32_t count,
                             int64_t time_ms, int64_t timeout_ms, struct error *err);
struct kafka_topic_spec {
    const char *name;
    int32_t partitions;
    int16_t replication;
    const struct kafka_setting *configs; /* ends with name NULL */
};
/* Creates it and waits until metadata shows all partitions. *ret_made false: somebody else has
 * made it, maybe otherwise. ERR_RETRY, or ERR_FATAL for a refusal (policy, authorization: 77).
 */
int kafka_topic_create(bool *ret_made, rd_kafka_t *rk, const struct kafka_topic_spec *spec,
                       struct error *err);
/* The topic's own setting, as the brokers have it; the caller frees. ERR_RETRY, ERR_DATA: these
 * brokers don't tell it, however often they are asked; or ERR_FATAL 77. */
int kafka_topic_setting(char **ret, rd_kafka_t *rk, const char *topic, const char *name,
                        struct error *err);
/* Several of them with one question; ret[i] NULL: these brokers don't tell it. */
int kafka_topic_settings(char **ret, rd_kafka_t *rk, const char *topic,
                         const char *const *names, size_t count, int timeout_ms,
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
