/* consumer/fetch_stream.h - the messages that were read of one partition, and what is wanted of
 * it.
 *
 * The thread that holds a partition opens its stream at an offset and pulls what has come. The
 * thread that reads (fetch.c) follows: it starts and stops librdkafka and puts messages in. All
 * streams share one lock and one budget, in which a message counts with its overhead until it
 * is released. librdkafka's threads take the lock while they hold their own: none of its
 * functions is called under it. */
#pragma once

#include <pthread.h>
#include <uthash.h>

#include "common/base/error.h"
#include "common/kafka/kafka.h"

#define FETCH_STREAM_CLOSED (-1)
#define FETCH_STREAM_PULL_MAX 512 /* messages at once */

struct fetch_topic {
    char *name;
    rd_kafka_topic_t *rkt;
    int64_t taken_at; /* under the lock: when something was pulled or released */
    UT_hash_handle hh;
};

struct fetch_streams { /* all of them */
    /* set once */
    rd_kafka_t *rk;
    size_t budget;
    bool reading; /* the thread was started, and not ended yet */

    /* under the lock */
    pthread_mutex_t lock;
    pthread_cond_t changed; /* messages, a change, or budget given back */
    struct fetch_stream *by_id;
    struct fetch_stream *changes;
    size_t used;
    rd_kafka_message_t **discarded; /* to be destroyed by the thread, without the lock */
    size_t discarded_count, discarded_capacity;

    struct fetch_topic *topics; /* by name; of the caller of fetch_stream_new */
};

struct fetch_stream {
    /* set once */
    struct fetch_streams *streams;
    struct fetch_topic *topic;
    int32_t partition;
    char *id;
    void (*wake)(void *arg);
    void *arg;
    UT_hash_handle hh;

    /* under the lock */
    rd_kafka_message_t **ring; /* the messages, from first on */
    size_t first, count, capacity;
    size_t bytes;    /* of them */
    int64_t wanted;  /* the offset to start at, or FETCH_STREAM_CLOSED */
    int64_t resume;  /* closed by the thread: where the next pull opens it; else
                        FETCH_STREAM_CLOSED */
    unsigned asked;  /* grows with each open and close */
    bool in_changes; /* waits for the thread to do that */
    struct fetch_stream *next_change;

    /* of the thread that reads */
    unsigned done; /* the `asked` that librdkafka follows */
    bool started;
};

/* ---- for the holder of the partition ---- */

/* Of one thread alone. wake is called by the thread that reads when messages come to a stream
 * that had none. */
struct fetch_stream *fetch_stream_new(struct fetch_streams *streams, const char *topic,
                                      int32_t partition, void (*wake)(void *arg), void *arg);
/* After fetch_stop; NULL is fine. */
void fetch_stream_free(struct fetch_stream *stream);

/* Closes first when it is open; what was read before is dropped. */
void fetch_stream_open(struct fetch_stream *stream, int64_t offset);
void fetch_stream_close(struct fetch_stream *stream);
/* What is there, up to max messages, without waiting; given back by fetch_stream_release. Each
 * may be an error: at the end of the partition RD_KAFKA_RESP_ERR__PARTITION_EOF with the end's
 * offset, at a start that the log has lost RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET. */
size_t fetch_stream_pull(struct fetch_stream *stream, rd_kafka_message_t **messages,
                         size_t max);
void fetch_stream_release(struct fetch_stream *stream, rd_kafka_message_t **messages,
                          size_t count);

/* ---- for the thread that reads ---- */

void fetch_stream_begin_all(struct fetch_streams *streams, size_t budget);
/* After each is freed. */
void fetch_stream_end_all(struct fetch_streams *streams);
/* What a message counts for. */
size_t fetch_stream_size_of(const rd_kafka_message_t *m);
/* Without the lock: destroys what was discarded. */
void fetch_stream_bury(struct fetch_streams *streams);

/* Under the lock: */
void fetch_stream_put(struct fetch_stream *stream, rd_kafka_message_t *m);
void fetch_stream_discard(struct fetch_streams *streams, rd_kafka_message_t *m);
/* Takes away what it holds; the next pull opens it where that began. */
void fetch_stream_suspend(struct fetch_stream *stream);
