#include "consumer/fetch_stream.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/base/check.h"
#include "common/base/clock.h"

#define MESSAGE_OVERHEAD 600 /* librdkafka's own around a message */

size_t fetch_stream_size_of(const rd_kafka_message_t *m)
{
    return m->err ? 0 : m->len + m->key_len + MESSAGE_OVERHEAD;
}

/* ---- a stream's messages, under the lock ---- */

void fetch_stream_put(struct fetch_stream *stream, rd_kafka_message_t *m)
{
    if (stream->count == stream->capacity) {
        size_t capacity = stream->capacity ? 2 * stream->capacity : 16;
        rd_kafka_message_t **ring = xcalloc(capacity, sizeof(*ring));

        for (size_t i = 0; i < stream->count; i++)
            ring[i] = stream->ring[(stream->first + i) % stream->capacity];
        free(stream->ring);
        stream->ring = ring;
        stream->first = 0;
        stream->capacity = capacity;
    }
    stream->ring[(stream->first + stream->count++) % stream->capacity] = m;
    stream->bytes += fetch_stream_size_of(m);
    stream->streams->used += fetch_stream_size_of(m);
}

static rd_kafka_message_t *take(struct fetch_stream *stream)
{
    rd_kafka_message_t *m = stream->ring[stream->first];

    stream->first = (stream->first + 1) % stream->capacity;
    stream->bytes -= fetch_stream_size_of(m);
    if (--stream->count == 0 && stream->capacity > FETCH_STREAM_PULL_MAX) {
        free(TAKE(stream->ring));
        stream->capacity = stream->first = 0;
    }
    return m;
}

static void drop(struct fetch_stream *stream)
{
    while (stream->count > 0) {
        rd_kafka_message_t *m = take(stream);

        stream->streams->used -= fetch_stream_size_of(m);
        fetch_stream_discard(stream->streams, m);
    }
}

void fetch_stream_discard(struct fetch_streams *streams, rd_kafka_message_t *m)
{
    if (streams->discarded_count == streams->discarded_capacity) {
        streams->discarded_capacity =
            streams->discarded_capacity ? 2 * streams->discarded_capacity : 64;
        streams->discarded = xrealloc(streams->discarded, streams->discarded_capacity *
                                                              sizeof(*streams->discarded));
    }
    streams->discarded[streams->discarded_count++] = m;
    pthread_cond_signal(&streams->changed);
}

void fetch_stream_bury(struct fetch_streams *streams)
{
    rd_kafka_message_t **messages;
    size_t count;

    pthread_mutex_lock(&streams->lock);
    messages = TAKE(streams->discarded);
    count = streams->discarded_count;
    streams->discarded_count = streams->discarded_capacity = 0;
    pthread_mutex_unlock(&streams->lock);
    for (size_t i = 0; i < count; i++)
        rd_kafka_message_destroy(messages[i]);
    free(messages);
}

static int64_t first_offset(const struct fetch_stream *stream)
{
    for (size_t i = 0; i < stream->count; i++) {
        const rd_kafka_message_t *m = stream->ring[(stream->first + i) % stream->capacity];

        if (!m->err)
            return m->offset;
    }
    return FETCH_STREAM_CLOSED;
}

static void ask(struct fetch_stream *stream, int64_t wanted)
{
    struct fetch_streams *streams = stream->streams;

    stream->wanted = wanted;
    stream->resume = FETCH_STREAM_CLOSED;
    stream->asked++;
    if (!stream->in_changes) {
        stream->in_changes = true;
        stream->next_change = streams->changes;
        streams->changes = stream;
    }
    pthread_cond_signal(&streams->changed);
}

void fetch_stream_suspend(struct fetch_stream *stream)
{
    int64_t from = first_offset(stream);

    if (from == FETCH_STREAM_CLOSED)
        return;
    drop(stream);
    ask(stream, FETCH_STREAM_CLOSED);
    stream->resume = from;
}

/* ---- streams ---- */

void fetch_stream_begin_all(struct fetch_streams *streams, size_t budget)
{
    streams->budget = budget;
    pthread_mutex_init(&streams->lock, NULL);
    clock_cond_init(&streams->changed);
}

void fetch_stream_end_all(struct fetch_streams *streams)
{
    struct fetch_topic *topic, *next;

    fetch_stream_bury(streams);
    free(streams->discarded);
    HASH_ITER(hh, streams->topics, topic, next) {
        HASH_DEL(streams->topics, topic);
        rd_kafka_topic_destroy(topic->rkt);
        free(topic->name);
        free(topic);
    }
    pthread_cond_destroy(&streams->changed);
    pthread_mutex_destroy(&streams->lock);
}

/* Without the lock. */
static struct fetch_topic *topic_of(struct fetch_streams *streams, const char *name)
{
    struct fetch_topic *topic;

    HASH_FIND_STR(streams->topics, name, topic);
    if (topic)
        return topic;
    topic = xcalloc(1, sizeof(*topic));
    topic->name = xstrdup(name);
    topic->rkt = rd_kafka_topic_new(streams->rk, name, NULL);
    CHECK(topic->rkt);
    HASH_ADD_KEYPTR(hh, streams->topics, topic->name, strlen(topic->name), topic);
    return topic;
}

struct fetch_stream *fetch_stream_new(struct fetch_streams *streams, const char *topic,
                                      int32_t partition, void (*wake)(void *arg), void *arg)
{
    struct fetch_stream *stream = xcalloc(1, sizeof(*stream));

    stream->streams = streams;
    stream->topic = topic_of(streams, topic);
    stream->partition = partition;
    stream->id = xasprintf("%s/%" PRId32, topic, partition);
    stream->wake = wake;
    stream->arg = arg;
    stream->wanted = stream->resume = FETCH_STREAM_CLOSED;
    AUTO_LOCK(&streams->lock);
    HASH_ADD_KEYPTR(hh, streams->by_id, stream->id, strlen(stream->id), stream);
    return stream;
}

void fetch_stream_free(struct fetch_stream *stream)
{
    if (!stream)
        return;
    CHECK(!stream->streams->reading);
    pthread_mutex_lock(&stream->streams->lock);
    drop(stream);
    HASH_DEL(stream->streams->by_id, stream);
    pthread_mutex_unlock(&stream->streams->lock);
    if (stream->started)
        rd_kafka_consume_stop(stream->topic->rkt, stream->partition);
    free(stream->ring);
    free(stream->id);
    free(stream);
}

void fetch_stream_open(struct fetch_stream *stream, int64_t offset)
{
    AUTO_LOCK(&stream->streams->lock);
    drop(stream);
    stream->topic->taken_at = clock_mono_ms();
    ask(stream, offset);
}

void fetch_stream_close(struct fetch_stream *stream)
{
    AUTO_LOCK(&stream->streams->lock);
    if (stream->wanted == FETCH_STREAM_CLOSED && stream->resume == FETCH_STREAM_CLOSED)
        return;
    drop(stream);
    ask(stream, FETCH_STREAM_CLOSED);
}

size_t fetch_stream_pull(struct fetch_stream *stream, rd_kafka_message_t **messages, size_t max)
{
    size_t n = 0;

    AUTO_LOCK(&stream->streams->lock);
    stream->topic->taken_at = clock_mono_ms();
    while (n < max && stream->count > 0)
        messages[n++] = take(stream);
    if (n == 0 && stream->resume != FETCH_STREAM_CLOSED)
        ask(stream, stream->resume);
    return n;
}

void fetch_stream_release(struct fetch_stream *stream, rd_kafka_message_t **messages,
                          size_t count)
{
    struct fetch_streams *streams = stream->streams;
    size_t bytes = 0;
    bool was_full;

    for (size_t i = 0; i < count; i++) {
        bytes += fetch_stream_size_of(messages[i]);
        rd_kafka_message_destroy(messages[i]);
    }
    AUTO_LOCK(&streams->lock);
    stream->topic->taken_at = clock_mono_ms();
    was_full = streams->used >= streams->budget;
    streams->used -= bytes;
    if (was_full && streams->used < streams->budget)
        pthread_cond_signal(&streams->changed);
}
