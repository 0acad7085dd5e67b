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
    int count;         /* of poison records, within the window */
    int64_t window_ms; /* when it began; monotonic */
    bool bare;         /* dead letters go without the record's bytes */
    struct refusing_topic *next;
};

struct poison {
    struct trust *trust;
    atomic_bool any; /* a topic has refused something */

    pthread_mutex_t lock; /* all below */
    struct refusing_topic *topics;
    int64_t alone_ms;       /* how long records were last to be sent alone; 0: never */
    int64_t alone_until_ms; /* monotonic */
};

/* ---- life ---- */

struct poison *poison_new(void)
{
    struct poison *poison = xcalloc(1, sizeof(*poison));

    poison->trust = trust_new();
    pthread_mutex_init(&poison->lock, NULL);
    return poison;
}

static void poisoned_free(struct poisoned *entry)
{
    free((char *)entry->record.shard.p);
    free((char *)entry->record.sequence.p);
    free((char *)entry->record.keys.p);
    free(entry->reason);
    free(entry);
}

static void topic_free(struct refusing_topic *refusing)
{
    struct poisoned *entry, *next;

    for (entry = refusing->poisoned; entry; entry = next) {
        next = entry->next;
        poisoned_free(entry);
    }
    free(refusing->name);
    free(refusing);
}

void poison_clear(struct poison *poison)
{
    struct refusing_topic *refusing, *next;

    trust_clear(poison->trust);
    AUTO_LOCK(&poison->lock);
    for (refusing = poison->topics; refusing; refusing = next) {
        next = refusing->next;
        topic_free(refusing);
    }
    poison->topics = NULL;
    poison->alone_ms = poison->alone_until_ms = 0;
    atomic_store(&poison->any, false);
}

void poison_free(struct poison *poison)
{
    if (!poison)
        return;
    poison_clear(poison);
    trust_free(poison->trust);
    pthread_mutex_destroy(&poison->lock);
    free(poison);
}

struct trust *poison_trust(struct poison *poison)
{
    return poison->trust;
}

/* ---- sending alone ---- */

void poison_batch_refused(struct poison *poison, int64_t now_ms)
{
    AUTO_LOCK(&poison->lock);
    if (now_ms < poison->alone_until_ms) /* of the same transaction as the one before */
        return;
    if (poison->alone_ms == 0 || now_ms - poison->alone_until_ms > poison->alone_ms)
        poison->alone_ms = POISON_ALONE_MS;
    else /* it ended too early */
        poison->alone_ms = MIN(2 * poison->alone_ms, POISON_ALONE_LONGEST_MS);
    poison->alone_until_ms = now_ms + poison->alone_ms;
}

bool poison_sends_alone(struct poison *poison, int64_t now_ms)
{
    AUTO_LOCK(&poison->lock);
    return now_ms < poison->alone_until_ms;
}

/* ---- records ---- */

static struct refusing_topic *topic_find(const struct poison *poison, struct bytes name)
{
    struct refusing_topic *refusing = poison->topics;

    while (refusing && !bytes_equal(name, bytes_of(refusing->name)))
        refusing = refusing->next;
    return refusing;
}

static struct refusing_topic *topic_get(struct poison *poison, struct bytes name)
{
    struct refusing_topic *refusing = topic_find(poison, name);

    if (refusing)
        return refusing;
    refusing = xcalloc(1, sizeof(*refusing));
    refusing->name = bytes_dup(name);
    refusing->next = poison->topics;
    poison->topics = refusing;
    atomic_store(&poison->any, true);
    return refusing;
}

/* A change is known by its number, since other changes may have the same key. */
static bool is_same(const struct poison_record *a, const struct poison_record *b)
{
    if (a->sequence.len || b->sequence.len)
        return bytes_equal(a->sequence, b->sequence) && bytes_equal(a->shard, b->shard);
    return bytes_equal(a->keys, b->keys);
}

static struct poisoned *poisoned_find(const struct refusing_topic *refusing,
                                      const struct poison_record *record)
{
    struct poisoned *entry = refusing->poisoned;

    while (entry && !is_same(&entry->record, record))
        entry = entry->next;
    return entry;
}

static struct bytes copy_of(struct bytes from)
{
    return (struct bytes){bytes_dup(from), from.len};
}

static void poisoned_add(struct refusing_topic *refusing, const struct poison_record *record,
                         const char *reason)
{
    struct poisoned *entry = xcalloc(1, sizeof(*entry));

    entry->record.shard = copy_of(record->shard);
    entry->record.sequence = copy_of(record->sequence);
    entry->record.keys = copy_of(record->keys);
    entry->reason = xstrdup(reason);
    entry->next = refusing->poisoned;
    refusing->poisoned = entry;
}

enum poison_verdict poison_add(struct poison *poison, const struct poison_record *record,
                               const char *reason, int64_t now_ms)
{
    struct refusing_topic *refusing;

    AUTO_LOCK(&poison->lock);
    poison->alone_until_ms = MAX(poison->alone_until_ms, now_ms + poison->alone_ms);
    refusing = topic_get(poison, record->topic);
    if (poisoned_find(refusing, record))
        return POISON_REMEMBERED;
    if (refusing->count == 0 || now_ms - refusing->window_ms > POISON_WINDOW_MS) {
        refusing->count = 0;
        refusing->window_ms = now_ms;
    }
    if (refusing->count == POISON_AT_MOST)
        return POISON_TOO_MANY;
    refusing->count++;
    poisoned_add(refusing, record, reason);
    return POISON_REMEMBERED;
}

enum poison_verdict poison_add_dead_letter(struct poison *poison, struct bytes topic)
{
    struct refusing_topic *refusing;

    AUTO_LOCK(&poison->lock);
    refusing = topic_get(poison, topic);
    if (refusing->bare)
        return POISON_TOO_MANY;
    refusing->bare = true;
    return POISON_REMEMBERED;
}

bool poison_bare_dead_letters(struct poison *poison, struct bytes topic)
{
    struct refusing_topic *refusing;

    if (!atomic_load(&poison->any))
        return false;
    AUTO_LOCK(&poison->lock);
    refusing = topic_find(poison, topic);
    return refusing && refusing->bare;
}

/* ---- while they are appended ---- */

bool poison_any(struct poison *poison)
{
    return atomic_load_explicit(&poison->any, memory_order_relaxed);
}

bool poison_take(struct poison *poison, const struct poison_record *record, char *reason,
                 size_t size)
{
    struct refusing_topic *refusing;
    struct poisoned *entry;

    AUTO_LOCK(&poison->lock);
    refusing = topic_find(poison, record->topic);
    entry = refusing ? poisoned_find(refusing, record) : NULL;
    if (!entry)
        return false;
    entry->taken = true;
    snprintf(reason, size, "%s", entry->reason);
    return true;
}

void poison_forget(struct poison *poison, struct bytes topic)
{
    struct refusing_topic *refusing;
    struct poisoned *entry, *next;

    AUTO_LOCK(&poison->lock);
    refusing = topic_find(poison, topic);
    if (!refusing)
        return;
    for (entry = TAKE(refusing->poisoned); entry; entry = next) {
        next = entry->next;
        poisoned_free(entry);
    }
    refusing->count = 0;
}

void poison_committed(struct poison *poison, struct bytes topic)
{
    struct refusing_topic *refusing;
    struct poisoned **at, *entry;

    if (!atomic_load(&poison->any))
        return;
    AUTO_LOCK(&poison->lock);
    refusing = topic_find(poison, topic);
    for (at = refusing ? &refusing->poisoned : NULL; at && (entry = *at);) {
        if (entry->taken) {
            *at = entry->next;
            poisoned_free(entry);
        } else {
            at = &entry->next;
        }
    }
}

void poison_aborted(struct poison *poison, struct bytes topic)
{
    struct refusing_topic *refusing;

    AUTO_LOCK(&poison->lock);
    refusing = topic_find(poison, topic);
    for (struct poisoned *entry = refusing ? refusing->poisoned : NULL; entry;
         entry = entry->next)
        entry->taken = false;
}
