#include "producer/table_record.h"

#include <stdlib.h>

#include "common/kafka/kafka_topic.h"
#include "producer/append.h"

#define SYNC_MS 10000

/* ---- from the ledger ---- */

static void blank_record(struct ledger_table *t, const struct table_worker *w)
{
    t->table = xstrdup(w->table);
    t->topic = xstrdup(w->topic);
    t->phase = PHASE_SNAPSHOT;
    t->reason = xstrdup("");
    t->table_id = xstrdup("");
    t->stream_arn = xstrdup("");
    t->log_id = xstrdup("");
    t->signal_offset = -1;
}

static bool read_record(struct table_worker *w, struct error *err)
{
    struct ledger_table t = {0};
    int found = ledger_cache_table(w->p->cache, w->table, &t, err);

    if (found == 0)
        blank_record(&t, w);
    else if (found < 0)
        return false;
    AUTO_LOCK(&w->lock);
    table_state_release(&w->appended, w->reader_free);
    table_state_init(&w->appended, &t);
    return true;
}

void table_record_load(struct table_worker *w)
{
    struct error err;
    bool readable = read_record(w, &err);

    if (!readable && !w->appended.now.table) {
        struct ledger_table blank = {0};

        blank_record(&blank, w);
        table_state_init(&w->appended, &blank);
    }
    if (!readable)
        table_worker_trouble(w, "its record in the ledger can't be read", &err);
    AUTO_LOCK(&w->lock);
    table_worker_set_state(w, readable ? WORKER_STARTING : WORKER_UNREADABLE);
}

int table_record_sync(struct table_worker *w, struct error *err)
{
    int64_t high;
    bool unseen;

    pthread_mutex_lock(&w->lock);
    unseen = w->ledger_unseen;
    pthread_mutex_unlock(&w->lock);
    if (!unseen)
        return 0;
    if (kafka_topic_end_offsets(&high, w->p->admin, w->p->ledger_topic, w->ledger_partition, 1,
                                SYNC_MS, err) < 0 ||
        ledger_cache_sync_to(w->p->cache, w->ledger_partition, high, SYNC_MS, err) < 0)
        return -1;
    AUTO_LOCK(&w->lock);
    w->ledger_unseen = false;
    return 0;
}

/* ---- into the ledger ---- */

int table_record_append(struct append_context *a,
                        bool (*change)(struct table_worker *w, void *arg), void *arg,
                        struct error *err)
{
    struct table_worker *w = a->w;
    AUTO(ledger_table_release) struct ledger_table copy = {0};
    bool changed;
    int result;

    AUTO_LOCK(&w->record_lock);
    pthread_mutex_lock(&w->lock);
    changed = change(w, arg);
    if (changed) {
        table_state_recorded(&w->appended);
        ledger_table_copy(&copy, &w->appended.now);
    }
    pthread_mutex_unlock(&w->lock);
    if (!changed)
        return 0;
    result = append_ledger_table(a, &copy, err);
    if (result < 0)
        topic_writer_request_abort(w->writer, err->message);
    return result;
}

int table_record_change(struct append_context *a, struct step *step,
                        bool (*change)(struct table_worker *w, void *arg), void *arg,
                        struct error *err)
{
    struct table_worker *w = a->w;
    int result;

    if (topic_writer_gate_enter(w->writer, &w->member, step, err) < 0)
        return -1;
    result = table_record_append(a, change, arg, err);
    topic_writer_gate_exit(w->writer);
    topic_writer_commit_soon(w->writer);
    return result;
}
