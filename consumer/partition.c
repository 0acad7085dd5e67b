#include "consumer/partition.h"

#include <inttypes.h>
#include <stdlib.h>

#include "consumer/pool.h"

#define BACKOFF_BASE_MS 200
#define BACKOFF_CAP_MS 10000

static void wake(rd_kafka_t *rk, void *arg)
{
    struct partition *p = arg;

    (void)rk;
    pool_wake(p->pool, p);
}

struct partition *partition_new(struct pool *pool, struct fetch *f, const char *topic,
                                int32_t number)
{
    struct partition *p = xcalloc(1, sizeof(*p));

    p->topic = xstrdup(topic);
    p->number = number;
    p->id = xasprintf("%s/%" PRId32, topic, number);
    p->pool = pool;
    p->parked = true;
    p->due = INT64_MAX;
    position_init(&p->position);
    batch_init(&p->batch);
    suspects_init(&p->suspects);
    backoff_init(&p->backoff, BACKOFF_BASE_MS, BACKOFF_CAP_MS, NULL, NULL);
    atomic_init(&p->offset, POSITION_NONE);
    fetch_stream_init(&p->stream, f, topic, number, wake, p);
    return p;
}

void partition_free(struct partition *p)
{
    if (!p)
        return;
    partition_drop_batch(p);
    fetch_stream_release(&p->stream);
    batch_release(&p->batch);
    suspects_release(&p->suspects);
    table_view_put(p->view);
    health_remove(p->health);
    free(p->messages);
    free(p->refusals);
    free(p->topic);
    free(p->id);
    free(p);
}

void partition_keep(struct partition *p, rd_kafka_message_t *m)
{
    if (p->message_count == p->message_capacity) {
        p->message_capacity = p->message_capacity ? 2 * p->message_capacity : 64;
        p->messages = xrealloc(p->messages, p->message_capacity * sizeof(*p->messages));
    }
    p->messages[p->message_count++] = m;
}

void partition_refuse(struct partition *p, rd_kafka_message_t *m, const char *reason)
{
    p->refusals = xrealloc(p->refusals, (p->refusal_count + 1) * sizeof(*p->refusals));
    p->refusals[p->refusal_count++] = (struct refusal){m, xstrdup(reason)};
}

bool partition_has_batch(const struct partition *p)
{
    return p->batch.seen > 0;
}

void partition_drop_batch(struct partition *p)
{
    for (size_t i = 0; i < p->message_count; i++)
        rd_kafka_message_destroy(p->messages[i]);
    for (size_t i = 0; i < p->refusal_count; i++)
        free(p->refusals[i].reason);
    p->message_count = p->refusal_count = 0;
    batch_reset(&p->batch);
}
