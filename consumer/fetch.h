/* consumer/fetch.h - the messages of one partition, from any offset, one reader at a time.
 *
 * The group (intake) only says whose a partition is; messages come through a second handle that
 * is no member of it, because there each partition is started, stopped and started elsewhere by
 * itself, while a new assignment would drop what was fetched of all the others. librdkafka's
 * own queue of each partition is the only queue, bounded in bytes. read_committed.
 *
 * A stream is of the thread that holds its partition; `wake` is called from librdkafka's
 * threads when messages come to an empty queue. */
#pragma once

#include "common/config.h"
#include "common/error.h"
#include "common/kafka.h"

struct fetch;

int fetch_new(struct fetch **ret, const struct config *c, struct error *err);
void fetch_free(struct fetch *f);
DEFINE_FREEP(struct fetch, fetch_freep, fetch_free)
rd_kafka_t *fetch_handle(struct fetch *f);

struct fetch_stream {
    struct fetch *fetch;
    rd_kafka_topic_t *topic;
    rd_kafka_queue_t *queue;
    int32_t partition;
    bool open;
    size_t pulled; /* bytes since the fetcher was last nudged */
};

void fetch_stream_init(struct fetch_stream *s, struct fetch *f, const char *topic,
                       int32_t partition, void (*wake)(rd_kafka_t *rk, void *arg), void *arg);
void fetch_stream_release(struct fetch_stream *s);

/* Closes first when it is open; what was fetched before is dropped. */
int fetch_stream_open(struct fetch_stream *s, int64_t offset, struct error *err);
void fetch_stream_close(struct fetch_stream *s);
/* What is there, up to max messages, without waiting. Each may be an error: at the end of the
 * partition RD_KAFKA_RESP_ERR__PARTITION_EOF, at a start that the log has lost
 * RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET. */
size_t fetch_stream_pull(struct fetch_stream *s, rd_kafka_message_t **messages, size_t max);
/* The last known end of the partition, or -1. No request. */
int64_t fetch_stream_end(const struct fetch_stream *s);
