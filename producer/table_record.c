#include "producer/table_record.h"

#include "producer/append.h"

int table_record_append(struct table_worker *w, struct pool_local *local,
                        void (*change)(struct table_worker *w, void *arg), void *arg,
                        struct error *err)
{
    AUTO(ledger_table_release) struct ledger_table copy = {0};
    int result;

    AUTO_LOCK(&w->record_lock);
    pthread_mutex_lock(&w->lock);
    change(w, arg);
    table_state_recorded(&w->appended);
    ledger_table_copy(&copy, &w->appended.now);
    pthread_mutex_unlock(&w->lock);
    result = append_ledger_table(w, local, &copy, err);
    if (result < 0)
        topic_writer_request_abort(w->writer, err->message);
    return result;
}

int table_record_change(struct table_worker *w, struct pool_local *local, struct step *s,
                        void (*change)(struct table_worker *w, void *arg), void *arg,
                        struct error *err)
{
    int result;

    if (topic_writer_gate_enter(w->writer, &w->member, s, err) < 0)
        return -1;
    result = table_record_append(w, local, change, arg, err);
    topic_writer_gate_exit(w->writer);
    topic_writer_commit_soon(w->writer);
    return result;
}
