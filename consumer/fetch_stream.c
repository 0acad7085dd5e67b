/* The streams: the messages that each has in hand, and what is wanted of it. */
#include <inttypes.h>
#include <stdlib.h>

#include "common/base/check.h"
#include "common/base/clock.h"
#include "consumer/fetch_internal.h"

#define MESSAGE_OVERHEAD 600 /* librdkafka's own around a message */

size_t stream_size_of(const rd_kafka_message_t *m)
{
    return m->err ? 0 : m->len + m->key_len + MESSAGE_OVERHEAD;
}

/* ---- a stream's messages, under the lock ---- */

void stream_put(struct fetch_stream *s, rd_kafka_message_t *m)
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
    s->bytes += stream_size_of(m);
    s->fetch->used += stream_size_of(m);
}

static rd_kafka_message_t *stream_take(struct fetch_stream *s)
{
    rd_kafka_message_t *m = s->ring[s->first];

    s->first = (s->first + 1) % s->capacity;
    s->bytes -= stream_size_of(m);
    if (--s->count == 0 && s->capacity > STREAM_PULL_MAX) {
        free(TAKE(s->ring));
        s->capacity = s->first = 0;
    }
    return m;
}

void stream_drop(struct fetch_stream *s)
{
    while (s->count > 0) {
        rd_kafka_message_t *m = stream_take(s);

        s->fetch->used -= stream_size_of(m);
        stream_discard(s->fetch, m);
    }
}

void stream_discard(struct fetch *f, rd_kafka_message_t *m)
{
    if (f->discarded_count == f->discarded_capacity) {
        f->discarded_capacity = f->discarded_capacity ? 2 * f->discarded_capacity : 64;
        f->discarded = xrealloc(f->discarded, f->discarded_capacity * sizeof(*f->discarded));
    }
    f->discarded[f->discarded_count++] = m;
    pthread_cond_signal(&f->changed);
}

void stream_bury(struct fetch *f)
{
    rd_kafka_message_t **messages;
    size_t count;

    auto_lock(&f->lock);
    messages = TAKE(f->discarded);
    count = f->discarded_count;
    f->discarded_count = f->discarded_capacity = 0;
    pthread_mutex_unlock(&f->lock);
    for (size_t i = 0; i < count; i++)
        rd_kafka_message_destroy(messages[i]);
    free(messages);
}

int64_t stream_first_offset(const struct fetch_stream *s)
{
    for (size_t i = 0; i < s->count; i++) {
        const rd_kafka_message_t *m = s->ring[(s->first + i) % s->capacity];

        if (!m->err)
            return m->offset;
    }
    return STREAM_CLOSED;
}

void stream_ask(struct fetch_stream *s, int64_t wanted)
{
    struct fetch *f = s->fetch;

    s->wanted = wanted;
    s->resume = STREAM_CLOSED;
    s->asked++;
    if (!s->in_changes) {
        s->in_changes = true;
        s->next_change = f->changes;
        f->changes = s;
    }
    pthread_cond_signal(&f->changed);
}

/* ---- streams ---- */

/* Without the lock, which librdkafka's threads want while they hold its own. */
static struct stream_topic *topic_of(struct fetch *f, const char *name)
{
    struct stream_topic *t;

    HASH_FIND_STR(f->topics, name, t);
    if (t)
        return t;
    t = xcalloc(1, sizeof(*t));
    t->name = xstrdup(name);
    t->rkt = rd_kafka_topic_new(f->rk, name, NULL);
    CHECK(t->rkt);
    HASH_ADD_KEYPTR(hh, f->topics, t->name, strlen(t->name), t);
    return t;
}

struct fetch_stream *fetch_stream_new(struct fetch *f, const char *topic, int32_t partition,
                                      void (*wake)(void *arg), void *arg)
{
    struct fetch_stream *s = xcalloc(1, sizeof(*s));

    s->fetch = f;
    s->topic = topic_of(f, topic);
    s->partition = partition;
    s->id = xasprintf("%s/%" PRId32, topic, partition);
    s->wake = wake;
    s->arg = arg;
    s->wanted = s->resume = STREAM_CLOSED;
    AUTO_LOCK(&f->lock);
    HASH_ADD_KEYPTR(hh, f->streams, s->id, strlen(s->id), s);
    return s;
}

void fetch_stream_free(struct fetch_stream *s)
{
    struct fetch *f;

    if (!s)
        return;
    f = s->fetch;
    CHECK(!f->started);
    auto_lock(&f->lock);
    stream_drop(s);
    HASH_DEL(f->streams, s);
    pthread_mutex_unlock(&f->lock);
    if (s->open)
        rd_kafka_consume_stop(s->topic->rkt, s->partition);
    free(s->ring);
    free(s->id);
    free(s);
}

void fetch_stream_open(struct fetch_stream *s, int64_t offset)
{
    AUTO_LOCK(&s->fetch->lock);
    stream_drop(s);
    s->topic->taken_at = clock_mono_ms();
    stream_ask(s, offset);
}

void fetch_stream_close(struct fetch_stream *s)
{
    AUTO_LOCK(&s->fetch->lock);
    if (s->wanted == STREAM_CLOSED && s->resume == STREAM_CLOSED)
        return;
    stream_drop(s);
    stream_ask(s, STREAM_CLOSED);
}

size_t fetch_stream_pull(struct fetch_stream *s, rd_kafka_message_t **messages, size_t max)
{
    size_t n = 0;

    AUTO_LOCK(&s->fetch->lock);
    s->topic->taken_at = clock_mono_ms();
    while (n < max && s->count > 0)
        messages[n++] = stream_take(s);
    if (n == 0 && s->resume != STREAM_CLOSED)
        stream_ask(s, s->resume);
    return n;
}

void fetch_stream_release(struct fetch_stream *s, rd_kafka_message_t **messages, size_t count)
{
    struct fetch *f = s->fetch;
    size_t bytes = 0;
    bool was_full;

    for (size_t i = 0; i < count; i++) {
        bytes += stream_size_of(messages[i]);
        rd_kafka_message_destroy(messages[i]);
    }
    AUTO_LOCK(&f->lock);
    s->topic->taken_at = clock_mono_ms();
    was_full = f->used >= f->budget;
    f->used -= bytes;
    if (was_full && f->used < f->budget)
        pthread_cond_signal(&f->changed);
}
