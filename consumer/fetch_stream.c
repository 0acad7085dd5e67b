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

void fetch_stream_put(struct fetch_stream *s, rd_kafka_message_t *m)
{
    if (s->count == s->capacity) {
        size_t capacity = s->capacity ? 2 * s->capacity : 16;
        rd_kafka_message_t **ring = xcalloc(capacity, sizeof(*ring));

        for (size_t i = 0; i < s->count; i++)
            ring[i] = s->ring[(s->first + i) % s->capacity];
        free(s->ring);
        s->ring = ring;
        s->first = 0;
        s->capacity = capacity;
    }
    s->ring[(s->first + s->count++) % s->capacity] = m;
    s->bytes += fetch_stream_size_of(m);
    s->streams->used += fetch_stream_size_of(m);
}

static rd_kafka_message_t *take(struct fetch_stream *s)
{
    rd_kafka_message_t *m = s->ring[s->first];

    s->first = (s->first + 1) % s->capacity;
    s->bytes -= fetch_stream_size_of(m);
    if (--s->count == 0 && s->capacity > FETCH_STREAM_PULL_MAX) {
        free(TAKE(s->ring));
        s->capacity = s->first = 0;
    }
    return m;
}

static void drop(struct fetch_stream *s)
{
    while (s->count > 0) {
        rd_kafka_message_t *m = take(s);

        s->streams->used -= fetch_stream_size_of(m);
        fetch_stream_discard(s->streams, m);
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

static int64_t first_offset(const struct fetch_stream *s)
{
    for (size_t i = 0; i < s->count; i++) {
        const rd_kafka_message_t *m = s->ring[(s->first + i) % s->capacity];

        if (!m->err)
            return m->offset;
    }
    return FETCH_STREAM_CLOSED;
}

static void ask(struct fetch_stream *s, int64_t wanted)
{
    struct fetch_streams *streams = s->streams;

    s->wanted = wanted;
    s->resume = FETCH_STREAM_CLOSED;
    s->asked++;
    if (!s->in_changes) {
        s->in_changes = true;
        s->next_change = streams->changes;
        streams->changes = s;
    }
    pthread_cond_signal(&streams->changed);
}

void fetch_stream_suspend(struct fetch_stream *s)
{
    int64_t from = first_offset(s);

    if (from == FETCH_STREAM_CLOSED)
        return;
    drop(s);
    ask(s, FETCH_STREAM_CLOSED);
    s->resume = from;
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
    HASH_ITER(hh, streams->topics, topic, next)
    {
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
    struct fetch_stream *s = xcalloc(1, sizeof(*s));

    s->streams = streams;
    s->topic = topic_of(streams, topic);
    s->partition = partition;
    s->id = xasprintf("%s/%" PRId32, topic, partition);
    s->wake = wake;
    s->arg = arg;
    s->wanted = s->resume = FETCH_STREAM_CLOSED;
    AUTO_LOCK(&streams->lock);
    HASH_ADD_KEYPTR(hh, streams->by_id, s->id, strlen(s->id), s);
    return s;
}

void fetch_stream_free(struct fetch_stream *s)
{
    if (!s)
        return;
    CHECK(!s->streams->reading);
    pthread_mutex_lock(&s->streams->lock);
    drop(s);
    HASH_DEL(s->streams->by_id, s);
    pthread_mutex_unlock(&s->streams->lock);
    if (s->started)
        rd_kafka_consume_stop(s->topic->rkt, s->partition);
    free(s->ring);
    free(s->id);
    free(s);
}

void fetch_stream_open(struct fetch_stream *s, int64_t offset)
{
    AUTO_LOCK(&s->streams->lock);
    drop(s);
    s->topic->taken_at = clock_mono_ms();
    ask(s, offset);
}

void fetch_stream_close(struct fetch_stream *s)
{
    AUTO_LOCK(&s->streams->lock);
    if (s->wanted == FETCH_STREAM_CLOSED && s->resume == FETCH_STREAM_CLOSED)
        return;
    drop(s);
    ask(s, FETCH_STREAM_CLOSED);
}

size_t fetch_stream_pull(struct fetch_stream *s, rd_kafka_message_t **messages, size_t max)
{
    size_t n = 0;

    AUTO_LOCK(&s->streams->lock);
    s->topic->taken_at = clock_mono_ms();
    while (n < max && s->count > 0)
        messages[n++] = take(s);
    if (n == 0 && s->resume != FETCH_STREAM_CLOSED)
        ask(s, s->resume);
    return n;
}

void fetch_stream_release(struct fetch_stream *s, rd_kafka_message_t **messages, size_t count)
{
    struct fetch_streams *streams = s->streams;
    size_t bytes = 0;
    bool was_full;

    for (size_t i = 0; i < count; i++) {
        bytes += fetch_stream_size_of(messages[i]);
        rd_kafka_message_destroy(messages[i]);
    }
    AUTO_LOCK(&streams->lock);
    s->topic->taken_at = clock_mono_ms();
    was_full = streams->used >= streams->budget;
    streams->used -= bytes;
    if (was_full && streams->used < streams->budget)
        pthread_cond_signal(&streams->changed);
}
