#include "producer/barrier.h"

#include <stdlib.h>

#include "common/base/check.h"
#include "common/base/mutation.h"

struct barrier {
    pthread_mutex_t lock;
    uint64_t epoch;
    uint64_t next; /* the number of the next page */
    uint64_t *out; /* numbers of the pages that are out, ascending: they are given in order */
    size_t count;
    size_t cap;
};

struct barrier *barrier_new(void)
{
    struct barrier *b = xcalloc(1, sizeof(*b));

    pthread_mutex_init(&b->lock, NULL);
    b->next = 1;
    return b;
}

void barrier_free(struct barrier *b)
{
    if (!b)
        return;
    pthread_mutex_destroy(&b->lock);
    free(b->out);
    free(b);
}

struct barrier_ticket barrier_page_asked(struct barrier *b)
{
    AUTO_LOCK(&b->lock);
    if (b->count == b->cap) {
        b->cap = b->cap ? b->cap * 2 : 8;
        b->out = xrealloc(b->out, b->cap * sizeof(*b->out));
    }
    b->out[b->count++] = b->next;
    return (struct barrier_ticket){b->epoch, b->next++};
}

static bool ticket_is_stale(const struct barrier *b, struct barrier_ticket t)
{
    return t.epoch != b->epoch && !MUTATED(epoch);
}

enum barrier_verdict barrier_page_verdict(struct barrier *b, struct barrier_ticket page)
{
    AUTO_LOCK(&b->lock);
    return ticket_is_stale(b, page) ? BARRIER_STALE : BARRIER_APPEND;
}

/* An abort took all tickets back, so a stale one is not found. */
static void page_back(struct barrier *b, struct barrier_ticket page)
{
    size_t i = 0;

    AUTO_LOCK(&b->lock);
    while (i < b->count && b->out[i] != page.number)
        i++;
    if (i == b->count)
        return;
    b->count--;
    for (; i < b->count; i++)
        b->out[i] = b->out[i + 1];
}

void barrier_page_appended(struct barrier *b, struct barrier_ticket page)
{
    page_back(b, page);
}

void barrier_page_dropped(struct barrier *b, struct barrier_ticket page)
{
    page_back(b, page);
}

struct barrier_ticket barrier_change_asked(struct barrier *b)
{
    AUTO_LOCK(&b->lock);
    return (struct barrier_ticket){b->epoch, 0};
}

void barrier_change_received(struct barrier *b, struct barrier_ticket *change)
{
    AUTO_LOCK(&b->lock);
    change->number = b->next;
}

enum barrier_verdict barrier_change_verdict(struct barrier *b, struct barrier_ticket change)
{
    CHECK(change.number > 0);
    AUTO_LOCK(&b->lock);
    if (ticket_is_stale(b, change))
        return BARRIER_STALE;
    if (b->count > 0 && b->out[0] < change.number && !MUTATED(barrier))
        return BARRIER_WAIT;
    return BARRIER_APPEND;
}

void barrier_abort(struct barrier *b)
{
    AUTO_LOCK(&b->lock);
    b->epoch++;
    b->count = 0;
}
