/* consumer/fetch.h - reads the messages of all partitions, each from any offset.
 *
 * The group (group.h) only says whose a partition is. Messages come through a second handle
 * that is no member of it and takes part in no rebalance: each partition is started at an
 * offset and stopped by itself, whatever becomes of the others. read_committed.
 *
 * One thread reads: librdkafka puts the messages of all partitions into one queue, whose limit
 * holds for all of them together, and the thread moves them to the stream that each belongs to
 * (fetch_stream.h). When the budget of the streams is used up the thread stops, then the queue
 * is full, then librdkafka stops. A table that takes nothing while the budget is full loses
 * what its streams hold, so that it does not keep the others waiting: it is read again when it
 * goes on. */
#pragma once

#include "common/config/config.h"
#include "consumer/fetch_stream.h"

struct fetch;

int fetch_new(struct fetch **ret, const struct config *config, struct error *err);
/* Ends the thread: no wake after it. */
void fetch_stop(struct fetch *fetch);
/* After its streams. */
void fetch_free(struct fetch *fetch);
DEFINE_FREEP(struct fetch, fetch_freep, fetch_free)
rd_kafka_t *fetch_handle(struct fetch *fetch);
struct fetch_streams *fetch_streams(struct fetch *fetch);
/* What one batch may hold, so that all writers' together leave room for others. */
size_t fetch_batch_bytes(const struct fetch *fetch, int writers);
