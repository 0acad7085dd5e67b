/* consumer/fetch.h - the messages of all partitions, each from any offset, within one budget.
 *
 * The group (group.h) only says whose a partition is; messages come through a second handle
 * that is no member of it, because there each partition is started and stopped by itself, while
 * a new assignment would drop what was fetched of all the others. read_committed.
 *
 * One thread reads: librdkafka puts the messages of all streams into one queue, whose limit
 * holds for all of them together, and the thread moves them to the stream that each belongs to.
 * What was moved counts with its overhead until it is freed. When the budget is used up the
 * thread stops, then the queue is full, then librdkafka stops. A table that takes nothing while
 * the budget is full loses what it has in hand, so that it does not keep the others waiting: it
 * is read again when it goes on.
 *
 * A stream is of the thread that holds its partition; `wake` is called from the reading thread
 * when messages come to a stream that had none. */
#pragma once

#include "common/base/error.h"
#include "common/config/config.h"
#include "common/kafka/kafka.h"

struct fetch;
struct fetch_stream;

int fetch_new(struct fetch **ret, const struct config *c, struct error *err);
void fetch_stop(struct fetch *f); /* ends the thread: no wake after it */
void fetch_free(struct fetch *f); /* after its streams */
DEFINE_FREEP(struct fetch, fetch_freep, fetch_free)
rd_kafka_t *fetch_handle(struct fetch *f);
/* What one batch may hold, so that all writers' together leave room for others. */
size_t fetch_batch_bytes(const struct fetch *f, int writers);

/* Of one thread alone. */
struct fetch_stream *fetch_stream_new(struct fetch *f, const char *topic, int32_t partition,
                                      void (*wake)(void *arg), void *arg);
void fetch_stream_free(struct fetch_stream *s);

/* Closes first when it is open; what was fetched before is dropped. */
void fetch_stream_open(struct fetch_stream *s, int64_t offset);
void fetch_stream_close(struct fetch_stream *s);
/* What is there, up to max messages, without waiting; given back by fetch_stream_release. Each
 * may be an error: at the end of the partition RD_KAFKA_RESP_ERR__PARTITION_EOF with the end's
 * offset, at a start that the log has lost RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET. */
size_t fetch_stream_pull(struct fetch_stream *s, rd_kafka_message_t **messages, size_t max);
void fetch_stream_release(struct fetch_stream *s, rd_kafka_message_t **messages, size_t count);
