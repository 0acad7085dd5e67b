/* producer/transactional_handle.h - a transactional producer of librdkafka that has fenced its
 * predecessors. */
#pragma once

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/base/error.h"
#include "common/config/config.h"

#define TRANSACTIONAL_HANDLE_OPEN_MS 10000 /* the longest that opening one takes */

/* transactional.id is <prefix>-<ledger partition>: init_transactions aborts what a predecessor
 * left open and fences it for good. alone: each record is a batch of its own. ERR_RETRY when
 * Kafka can't now; ERR_FATAL 77 for a missing right. *ret may be set on failure too: the caller
 * destroys it. */
int transactional_handle_open(
    rd_kafka_t **ret, const struct config *c, int32_t ledger_partition, bool alone,
    void (*on_delivery)(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque),
    void *opaque, struct error *err);

/* Does this error of a transactional call, or the handle's own fatal error, say that another
 * producer took over? */
bool transactional_handle_is_fenced(rd_kafka_t *rk, rd_kafka_resp_err_t code);

/* The ceilings of the handle's queue. */
size_t transactional_handle_queue_bytes(rd_kafka_t *rk);
size_t transactional_handle_queue_records(rd_kafka_t *rk);
