/* producer/barrier.h - keeps a change behind every scan page that was asked for before it. One
 * a table.
 *
 * The rule: a batch of changes may be appended only after every page that was asked for before
 * the batch was received has been appended. Why it suffices: a strongly consistent page shows
 * each of its items as of some moment p of its request. A change that the page lacks was
 * written after p, so it was received after the page was asked for, and the rule puts the page
 * before it. A change that the page contains may stand on either side: every later change of
 * that item follows both, since changes keep their order.
 *
 * What callers owe: the ticket is taken before the request is sent, the stamp after the whole
 * answer is there; every retry of a request is a new ticket; a verdict is asked for, and acted
 * on, while an abort can't happen (under the gate of topic_writer). An abort starts a new
 * epoch: answers of requests made before it are stale, and what they hold is asked for again.
 *
 * Pure but for its mutex: no clock, no I/O. Any thread may call. */
#pragma once

#include <stdint.h>

#include "common/base/auto.h"

struct barrier;

struct barrier_ticket {
    uint64_t epoch;
    uint64_t number;
};

enum barrier_verdict {
    BARRIER_APPEND,
    BARRIER_WAIT,  /* a page asked for earlier is still out */
    BARRIER_STALE, /* an abort came between: drop the answer */
};

struct barrier *barrier_new(void);
void barrier_free(struct barrier *b);
DEFINE_FREEP(struct barrier, barrier_freep, barrier_free)

/* Before a page is asked for. Each ticket is handed back by appended or dropped. */
struct barrier_ticket barrier_page_asked(struct barrier *b);
enum barrier_verdict barrier_page_verdict(struct barrier *b, struct barrier_ticket page);
void barrier_page_appended(struct barrier *b, struct barrier_ticket page);
/* Failed or stale. */
void barrier_page_dropped(struct barrier *b, struct barrier_ticket page);

/* Before changes are asked for, and when their whole answer is there. */
struct barrier_ticket barrier_change_asked(struct barrier *b);
void barrier_change_received(struct barrier *b, struct barrier_ticket *change);
enum barrier_verdict barrier_change_verdict(struct barrier *b, struct barrier_ticket change);

/* A new epoch: every ticket before it is stale. */
void barrier_abort(struct barrier *b);
