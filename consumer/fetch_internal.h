/* consumer/fetch_internal.h - what the two files of fetch share: the handle and its thread
 * (fetch.c), the streams (fetch_stream.c). */
#pragma once

#include <pthread.h>
#include <uthash.h>

#include "consumer/fetch.h"

#define STREAM_CLOSED (-1)
#define STREAM_PULL_MAX 512 /* messages at once */

struct stream_topic {
    char *name;
    rd_kafka_topic_t *rkt;
    int64_t taken_at; /* under the lock: when something was pulled or given back */
    UT_hash_handle hh;
};

struct fetch_stream {
    /* set once */
    struct fetch *fetch;
    struct stream_topic *topic;
    int32_t partition;
    char *id;
    void (*wake)(void *arg);
    void *arg;
    UT_hash_handle hh;

    /* under the lock */
    rd_kafka_message_t **ring; /* the messages, from first on */
    size_t first, count, capacity;
    size_t bytes;    /* of them */
    int64_t wanted;  /* the offset to start at; STREAM_CLOSED: to be closed */
    int64_t resume;  /* closed by the thread: to be opened here at the next pull; STREAM_CLOSED:
                        not */
    unsigned asked;  /* grows with each open and close */
    bool in_changes; /* waits for the thread to do that */
    struct fetch_stream *next_change;

    /* of the thread */
    unsigned done; /* the `asked` that librdkafka follows */
    bool open;
};

struct fetch {
    /* set once */
    rd_kafka_t *rk;
    rd_kafka_queue_t *queue;
    size_t budget;
    size_t queue_bytes;
    pthread_t thread;
    bool started;

    /* under the lock */
    pthread_mutex_t lock;
    pthread_cond_t changed;       /* messages, a change, or budget given back */
    struct fetch_stream *streams; /* by id */
    struct fetch_stream *changes;
    size_t used;
    rd_kafka_message_t **discarded; /* to be destroyed by the thread, without the lock */
    size_t discarded_count, discarded_capacity;
    int64_t full_at; /* since when the budget is used up; 0: it is not */
    bool arrived;    /* librdkafka's queue is not empty */
    bool stopping;

    /* of the thread */
    size_t pulled; /* bytes since librdkafka was last nudged */

    struct stream_topic *topics; /* by name; of the caller of fetch_stream_new */
};

/* What a message counts for. */
size_t stream_size_of(const rd_kafka_message_t *m);
/* Under the lock: */
void stream_put(struct fetch_stream *s, rd_kafka_message_t *m);
void stream_drop(struct fetch_stream *s); /* all that it has in hand */
void stream_discard(struct fetch *f, rd_kafka_message_t *m);
/* Of the first message that is no error; STREAM_CLOSED: there is none. */
int64_t stream_first_offset(const struct fetch_stream *s);
/* The thread is to open it at wanted, or to close it. */
void stream_ask(struct fetch_stream *s, int64_t wanted);

/* Without the lock, which librdkafka's threads want while they hold its own: destroys what was
 * discarded. */
void stream_bury(struct fetch *f);
