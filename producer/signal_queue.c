#include "producer/signal_queue.h"

#include <stdlib.h>

#include "common/base/check.h"

void signal_queue_init(struct signal_queue *l, int64_t next)
{
    *l = (struct signal_queue){.next = next, .missed = true};
}

void signal_queue_begin(struct signal_queue *l, int64_t first)
{
    if (l->next < first)
        l->next = first;
}

static void drop_first(struct signal_queue *l)
{
    struct pending_signal *p = l->first;

    l->first = p->next;
    if (!l->first)
        l->last = NULL;
    l->bytes -= p->bytes;
    table_signal_release(&p->signal);
    free(p);
}

void signal_queue_release(struct signal_queue *l)
{
    while (l->first)
        drop_first(l);
}

bool signal_queue_takes(struct signal_queue *l, int64_t offset, size_t bytes)
{
    if (l->missed || l->next < 0 || offset < l->next)
        return false;
    if (l->first && l->bytes + bytes > SIGNAL_QUEUE_BYTES) {
        l->missed = true;
        l->missed_bytes = bytes;
        l->next = offset;
        return false;
    }
    return true;
}

void signal_queue_put(struct signal_queue *l, int64_t offset, size_t bytes,
                      struct table_signal *s)
{
    struct pending_signal *p = xcalloc(1, sizeof(*p));

    CHECK(!l->last || l->last->offset < offset);
    p->offset = offset;
    p->bytes = bytes;
    p->signal = *s;
    *s = (struct table_signal){0};
    if (l->last)
        l->last->next = p;
    else
        l->first = p;
    l->last = p;
    l->bytes += bytes;
    l->next = offset + 1;
}

/* Half of it, so that going back is worth it. */
static bool has_room(const struct signal_queue *l)
{
    return !l->first || (l->bytes <= SIGNAL_QUEUE_BYTES / 2 &&
                         l->bytes + l->missed_bytes <= SIGNAL_QUEUE_BYTES);
}

int64_t signal_queue_wants(const struct signal_queue *l, int64_t position)
{
    bool waits = l->missed && l->next >= 0 && has_room(l);

    return waits && (position < 0 || l->next < position) ? l->next : -1;
}

void signal_queue_moved(struct signal_queue *l, int64_t position)
{
    if (l->next >= position && has_room(l))
        l->missed = false;
}

const struct pending_signal *signal_queue_from(const struct signal_queue *l, int64_t offset)
{
    const struct pending_signal *p = l->first;

    while (p && p->offset < offset)
        p = p->next;
    return p;
}

void signal_queue_forget(struct signal_queue *l, int64_t below)
{
    while (l->first && l->first->offset < below)
        drop_first(l);
}
