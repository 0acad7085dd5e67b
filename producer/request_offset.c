#include "producer/request_offset.h"

#include <stdlib.h>

#include "producer/table_record.h"

#define ID_BYTES 100 /* of a sender's id, at most */

static bool set_offset(struct table_worker *w, void *arg)
{
    w->appended.now.signal_offset = *(const int64_t *)arg;
    return true;
}

int64_t request_offset_handled(struct table_worker *w)
{
    AUTO_LOCK(&w->lock);
    return w->appended.now.signal_offset;
}

void request_offset_forget_committed(struct table_worker *w)
{
    int64_t committed;

    pthread_mutex_lock(&w->lock);
    committed = w->appended.committed.signal_offset;
    pthread_mutex_unlock(&w->lock);
    signal_topic_forget(w->requests.subscription, committed);
}

bool request_offset_is_next(struct table_worker *w, const struct pending_signal *pending)
{
    return signal_topic_from(w->requests.subscription, request_offset_handled(w)) == pending;
}

void request_offset_note(struct table_worker *w, const struct pending_signal *pending,
                         const char *refused)
{
    AUTO(free_charp) char *id = xasprintf("%.*s", ID_BYTES, pending->signal.id);

    const struct ledger_handled handled = {.offset = pending->offset,
                                           .id = id,
                                           .refused = (char *)refused,
                                           .ts_ms = ddb_source_now_ms(w->p->source)};

    w->appended.now.signal_offset = pending->offset + 1;
    ledger_table_handled(&w->appended.now, &handled);
}

static bool note_done(struct table_worker *w, void *arg)
{
    request_offset_note(w, arg, "");
    return true;
}

int request_offset_pass(struct append_context *a, const struct pending_signal *pending,
                        struct error *err)
{
    return table_record_append(a, note_done, (void *)pending, err);
}

int request_offset_begin(struct append_context *a, int64_t offset, struct error *err)
{
    return table_record_change(a, &a->w->requests.step, set_offset, &offset, err);
}
