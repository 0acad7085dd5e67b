#include "producer/signal_queue.h"

#include <stdlib.h>

#include "common/base/check.h"

void signal_queue_init(struct signal_queue *q, int64_t next)
{
    *q = (struct signal_queue){.next = next, .missed = true};
}

void signal_queue_begin(struct signal_queue *q, int64_t first)
{
    if (q->next < first)
        q->next = first;
}

static void drop_first(struct signal_queue *q)
{
    struct pending_signal *pending = q->first;

    q->first = pending->next;
    if (!q->first)
        q->last = NULL;
    q->bytes -= pending->bytes;
    table_signal_release(&pending->signal);
    free(pending);
}

void signal_queue_release(struct signal_queue *q)
{
    while (q->first)
        drop_first(q);
}

bool signal_queue_takes(struct signal_queue *q, int64_t offset, size_t bytes)
{
    if (q->missed || q->next < 0 || offset < q->next)
        return false;
    if (q->first && q->bytes + bytes > SIGNAL_QUEUE_BYTES) {
        q->missed = true;
        q->missed_bytes = bytes;
        q->next = offset;
        return false;
    }
    return true;
}

void signal_queue_put(struct signal_queue *q, int64_t offset, size_t bytes,
                      struct table_signal *signal)
{
    struct pending_signal *pending = xcalloc(1, sizeof(*pending));

    CHECK(!q->last || q->last->offset < offset);
    pending->offset = offset;
    pending->bytes = bytes;
    pending->signal = *signal;
    *signal = (struct table_signal){0};
    if (q->last)
        q->last->next = pending;
    else
        q->first = pending;
    q->last = pending;
    q->bytes += bytes;
    q->next = offset + 1;
}

/* Only when half of it is free, so that going back is worth it. */
static bool has_room(const struct signal_queue *q)
{
    return !q->first || (q->bytes <= SIGNAL_QUEUE_BYTES / 2 &&
                         q->bytes + q->missed_bytes <= SIGNAL_QUEUE_BYTES);
}

int64_t signal_queue_wants(const struct signal_queue *q, int64_t position)
{
    bool waits = q->missed && q->next >= 0 && has_room(q);

    return waits && (position < 0 || q->next < position) ? q->next : -1;
}

void signal_queue_moved(struct signal_queue *q, int64_t position)
{
    if (q->next >= position && has_room(q))
        q->missed = false;
}

const struct pending_signal *signal_queue_from(const struct signal_queue *q, int64_t offset)
{
    const struct pending_signal *pending = q->first;

    while (pending && pending->offset < offset)
        pending = pending->next;
    return pending;
}

void signal_queue_forget(struct signal_queue *q, int64_t below)
{
    while (q->first && q->first->offset < below)
        drop_first(q);
}
