#include "producer/poison.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"

struct poisoned {
    struct poison_record record; /* its own copies */
    char *reason;
    bool taken; /* its dead letter is in the open transaction */
    struct poisoned *next;
};

struct refusing_topic {
    char *name;
    struct poisoned *poisoned;
    int count; /* within the window */
    int64_t window_ms;
    bool bare; /* dead letters go without the record's bytes */
    struct refusing_topic *next;
};

struct poison {
    struct trust *trust;
    atomic_bool any; /* a topic is known: so every append of a topic that takes all is free */

    pthread_mutex_t lock; /* all below */
    struct refusing_topic *topics;
    int64_t alone_ms;    /* how long the newest time of it is; 0: there was none */
    int64_t alone_until; /* monotonic */
};

/* ---- life ---- */

struct poison *poison_new(void)
{
    struct poison *r = xcalloc(1, sizeof(*r));

    r->trust = trust_new();
    pthread_mutex_init(&r->lock, NULL);
    return r;
}

static void poisoned_free(struct poisoned *p)
{
    free((char *)p->record.shard.p);
    free((char *)p->record.sequence.p);
    free((char *)p->record.keys.p);
    free(p->reason);
    free(p);
}

static void topic_free(struct refusing_topic *t)
{
    struct poisoned *p, *next;

    for (p = t->poisoned; p; p = next) {
        next = p->next;
        poisoned_free(p);
    }
    free(t->name);
    free(t);
}

void poison_clear(struct poison *r)
{
    struct refusing_topic *t, *next;

    trust_clear(r->trust);
    AUTO_LOCK(&r->lock);
    for (t = r->topics; t; t = next) {
        next = t->next;
        topic_free(t);
    }
    r->topics = NULL;
    r->alone_ms = r->alone_until = 0;
    atomic_store(&r->any, false);
}

void poison_free(struct poison *r)
{
    if (!r)
        return;
    poison_clear(r);
    trust_free(r->trust);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

struct trust *poison_trust(struct poison *r)
{
    return r->trust;
}

/* ---- alone, for a while ---- */

void poison_suspect(struct poison *r, int64_t now_ms)
{
    AUTO_LOCK(&r->lock);
    if (now_ms < r->alone_until) /* another batch of the same transaction */
        return;
    if (r->alone_ms == 0 || now_ms - r->alone_until > r->alone_ms)
        r->alone_ms = POISON_ALONE_MS;
    else /* it ended too early, or the topic takes no batch */
        r->alone_ms = MIN(2 * r->alone_ms, POISON_ALONE_LONGEST_MS);
    r->alone_until = now_ms + r->alone_ms;
}

bool poison_alone(struct poison *r, int64_t now_ms)
{
    AUTO_LOCK(&r->lock);
    return now_ms < r->alone_until;
}

/* ---- records ---- */

static struct refusing_topic *topic_find(const struct poison *r, struct bytes name)
{
    struct refusing_topic *t = r->topics;

    while (t && !bytes_equal(name, bytes_of(t->name)))
        t = t->next;
    return t;
}

static struct refusing_topic *topic_get(struct poison *r, struct bytes name)
{
    struct refusing_topic *t = topic_find(r, name);

    if (t)
        return t;
    t = xcalloc(1, sizeof(*t));
    t->name = bytes_dup(name);
    t->next = r->topics;
    r->topics = t;
    atomic_store(&r->any, true);
    return t;
}

/* A change is told by its number: its key may have other changes before and after it. */
static bool is_same(const struct poison_record *a, const struct poison_record *b)
{
    if (a->sequence.len || b->sequence.len)
        return bytes_equal(a->sequence, b->sequence) && bytes_equal(a->shard, b->shard);
    return bytes_equal(a->keys, b->keys);
}

static struct poisoned *poisoned_find(const struct refusing_topic *t,
                                      const struct poison_record *record)
{
    struct poisoned *p = t->poisoned;

    while (p && !is_same(&p->record, record))
        p = p->next;
    return p;
}

static struct bytes copy_of(struct bytes from)
{
    return (struct bytes){bytes_dup(from), from.len};
}

static void poisoned_add(struct refusing_topic *t, const struct poison_record *record,
                         const char *reason)
{
    struct poisoned *p = xcalloc(1, sizeof(*p));

    p->record.shard = copy_of(record->shard);
    p->record.sequence = copy_of(record->sequence);
    p->record.keys = copy_of(record->keys);
    p->reason = xstrdup(reason);
    p->next = t->poisoned;
    t->poisoned = p;
}

enum poison_verdict poison_add(struct poison *r, const struct poison_record *record,
                               const char *reason, int64_t now_ms)
{
    struct refusing_topic *t;

    AUTO_LOCK(&r->lock);
    r->alone_until = MAX(r->alone_until, now_ms + r->alone_ms);
    t = topic_get(r, record->topic);
    if (poisoned_find(t, record))
        return POISON_REMEMBERED;
    if (t->count == 0 || now_ms - t->window_ms > POISON_WINDOW_MS) {
        t->count = 0;
        t->window_ms = now_ms;
    }
    if (t->count == POISON_AT_MOST)
        return POISON_TOO_MANY;
    t->count++;
    poisoned_add(t, record, reason);
    return POISON_REMEMBERED;
}

enum poison_verdict poison_add_dead_letter(struct poison *r, struct bytes topic)
{
    struct refusing_topic *t;

    AUTO_LOCK(&r->lock);
    t = topic_get(r, topic);
    if (t->bare)
        return POISON_TOO_MANY;
    t->bare = true;
    return POISON_REMEMBERED;
}

bool poison_bare_dead_letters(struct poison *r, struct bytes topic)
{
    struct refusing_topic *t;

    if (!atomic_load(&r->any))
        return false;
    AUTO_LOCK(&r->lock);
    t = topic_find(r, topic);
    return t && t->bare;
}

/* ---- while they are appended ---- */

bool poison_any(struct poison *r)
{
    return atomic_load_explicit(&r->any, memory_order_relaxed);
}

bool poison_take(struct poison *r, const struct poison_record *record, char *reason,
                 size_t size)
{
    struct refusing_topic *t;
    struct poisoned *p;

    AUTO_LOCK(&r->lock);
    t = topic_find(r, record->topic);
    p = t ? poisoned_find(t, record) : NULL;
    if (!p)
        return false;
    p->taken = true;
    snprintf(reason, size, "%s", p->reason);
    return true;
}

void poison_committed(struct poison *r, struct bytes topic)
{
    struct refusing_topic *t;
    struct poisoned **at, *p;

    if (!atomic_load(&r->any))
        return;
    AUTO_LOCK(&r->lock);
    t = topic_find(r, topic);
    for (at = t ? &t->poisoned : NULL; at && (p = *at);) {
        if (p->taken) {
            *at = p->next;
            poisoned_free(p);
        } else {
            at = &p->next;
        }
    }
}

void poison_aborted(struct poison *r, struct bytes topic)
{
    struct refusing_topic *t;

    AUTO_LOCK(&r->lock);
    t = topic_find(r, topic);
    for (struct poisoned *p = t ? t->poisoned : NULL; p; p = p->next)
        p->taken = false;
}
