#include "producer/carried_table.h"

#include <stdlib.h>

#include "common/base/clock.h"
#include "common/kafka/kafka.h"
#include "producer/segment_reader.h"
#include "producer/shard_reader.h"
#include "producer/table_control.h"
#include "producer/table_health.h"
#include "producer/table_look.h"
#include "producer/table_record.h"
#include "producer/table_requests.h"
#include "producer/table_trim.h"

static void destroy(struct table_worker *w)
{
    void (*released)(void *home) = w->released;
    void *home = w->home;

    atomic_fetch_sub(&w->p->tables, 1);
    topic_writer_remove_member(w->writer, &w->member);
    table_requests_release(w);
    if (w->topic_handle)
        rd_kafka_topic_destroy(w->topic_handle);
    if (w->scan_slot)
        throttle_scan_end(w->p->throttle);
    health_remove(w->health);
    table_metrics_remove(&w->metrics);
    table_trim_free(w->trim);
    table_look_release(w);
    table_state_release(&w->appended, w->reader_free);
    key_schema_release(&w->schema);
    ledger_table_release(&w->known);
    segment_reader_free_all(w);
    barrier_free(w->barrier);
    pthread_mutex_destroy(&w->lock);
    pthread_mutex_destroy(&w->record_lock);
    free(w->begin_offsets);
    free(w->halt_reason);
    free(w->topic);
    free(w->table);
    free(w);
    released(home);
}

struct table_worker *carried_table_new(struct producer *p,
                                       const struct carried_table_setup *setup)
{
    struct table_worker *w = xcalloc(1, sizeof(*w));

    w->p = p;
    w->destroy = destroy;
    w->reader_free = shard_reader_free;
    w->released = setup->released;
    w->home = setup->home;
    w->writer = setup->writer;
    w->ledger_partition = setup->ledger_partition;
    w->poison = p->poison[setup->ledger_partition];
    w->table = xstrdup(setup->table);
    w->topic = kafka_data_topic(p->config, setup->table);
    w->barrier = barrier_new();
    table_worker_member_init(w);
    pthread_mutex_init(&w->lock, NULL);
    pthread_mutex_init(&w->record_lock, NULL);
    atomic_init(&w->refs, 1);
    table_control_init(w);
    table_look_init(w);
    table_requests_init(w);
    table_metrics_get(&w->metrics, w->table);
    w->trim = table_trim_new();
    w->health = table_health_new(w);
    w->state_ms = clock_mono_ms();
    atomic_fetch_add(&p->tables, 1);
    table_record_load(w);
    return w;
}

void carried_table_begin(struct table_worker *w)
{
    /* what an older worker has in a transaction of unknown outcome is found again, if it must
     */
    poison_committed(w->poison, bytes_of(w->topic));
    topic_writer_add_member(w->writer, &w->member);
    if (w->state != WORKER_UNREADABLE)
        table_requests_start(w);
    table_worker_schedule(w, &w->control, 0);
}

void carried_table_stop(struct table_worker *w)
{
    atomic_store(&w->stopping, true);
    pthread_mutex_lock(&w->lock);
    step_wake(w->p->pool, &w->control);
    step_wake(w->p->pool, &w->look.step);
    step_wake(w->p->pool, &w->requests.step);
    segment_reader_wake_all(w);
    shard_reader_wake_all(w);
    pthread_mutex_unlock(&w->lock);
    table_worker_unref(w);
}
