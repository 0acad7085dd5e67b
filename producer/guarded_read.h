/* producer/guarded_read.h - reads from the source and appends what came: the order of steps
 * that the barrier's promise rests on, in one place.
 *
 * A read is: reserve its bytes, wait for the rate, take the ticket, *then* look where to start,
 * ask; with the whole answer, enter the gate, hear the barrier's verdict there, append, leave,
 * give everything back. The ticket comes before the position because an abort takes positions
 * back and then makes older tickets stale: a position that was read too early always comes with
 * a ticket that is refused. The verdict is heard under the gate because no abort can come
 * between it and the append.
 *
 * Who reads (a segment, a shard, a repair) says what it asks for and what it appends; nothing
 * of it is called in another order. An answer that has to wait for the gate, or a change behind
 * a page, is kept: its step comes again with it. Of one step. */
#pragma once

#include "common/dynamodb/http.h"
#include "producer/table_worker.h"

/* What a stage returns when the next one is to follow. Anything else is what the step returns:
 * a delay in ms, or STEP_END. */
#define GUARDED_READ_ON (-2)

struct guarded_read_calls {
    /* May it read now? read->expected is set, by now or here. NULL: it may. */
    int64_t (*ready)(void *arg, struct append_context *a);
    /* The last one before the ticket: capacity that is charged. NULL: none. */
    int64_t (*pace)(void *arg);
    /* Where to start. */
    int64_t (*position)(void *arg, struct barrier_ticket ticket);
    /* One request. When it fails, the step's delay. */
    int64_t (*request)(void *arg, struct append_context *a, struct http_answer *ret);
    /* The whole answer is there. Not GUARDED_READ_ON: there is nothing in it to append. */
    int64_t (*received)(void *arg, struct append_context *a);
    /* Under the gate, never stale. */
    int64_t (*append)(void *arg, struct append_context *a);
    /* The answer came and neither received nor append saw to it: it was stale, or nothing of
     * the table can be appended. */
    void (*dropped)(void *arg);
};

struct guarded_read {
    /* set once */
    struct table_worker *w;
    struct step *step; /* is woken when there is room, or the gate opens */
    const struct guarded_read_calls *calls;
    void *arg;
    enum throttle_use use; /* THROTTLE_SCAN: a page; THROTTLE_STREAM: changes */

    size_t expected; /* bytes of the next answer, by the last one */
    size_t held;     /* of the budget, when reserved */
    bool reserved;
    bool asked;   /* the ticket is out */
    bool arrived; /* answer is there, and neither appended nor dropped */
    struct barrier_ticket ticket;
    struct http_answer answer;
};

/* Goes on as far as it can; returns as a step does. */
int64_t guarded_read_step(struct guarded_read *read, struct append_context *a);
/* Drops what it has in hand; nothing to do is fine. */
void guarded_read_end(struct guarded_read *read);
