/* producer/request_decision.h - what a request means to its table as the table is now.
 *
 * A request that finds what it asks for is handled without a change, so asking twice does no
 * harm. Pure. */
#pragma once

#include "common/messages/ledger.h"
#include "common/messages/table_signal.h"

struct request_situation {
    const struct ledger_table *table; /* its record, as it was last appended */
    bool runs;                        /* it is read */
    bool halted;                      /* neither: it begins or halts, or is about to */
    bool is_committed;                /* its record */
    bool readers_ended;               /* nothing that read it runs any more */
    bool renews;                      /* halted in a gap from which it goes on by itself */
    bool over; /* sync_mode full: its snapshot is finished, and soon the program ends */
};

enum request_verdict {
    REQUEST_WAIT,   /* it can't be told yet */
    REQUEST_REPAIR, /* the keys are read again */
    REQUEST_PAUSE,  /* nothing is read any more */
    REQUEST_RENEW,  /* phase gap: a new generation begins by itself */
    REQUEST_START,  /* what halted it is looked at again, or its pause is over */
    REQUEST_FORGET, /* its records are to be removed */
    REQUEST_REPORT, /* its shards are to say how far they are read */
    REQUEST_PASS,   /* there is nothing to do: why */
    REQUEST_REFUSE, /* why */
};

struct request_decision {
    enum request_verdict verdict;
    char why[400];
};

void request_decision_make(struct request_decision *ret, const struct table_signal *request,
                           const struct request_situation *at);
/* Why the table is halted then: who asked, and their reason. The caller frees. */
char *request_decision_reason(const struct table_signal *request);
