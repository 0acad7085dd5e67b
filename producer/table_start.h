/* producer/table_start.h - how a table begins: a new generation, going on from the ledger, or
 * standing still.
 *
 * start_decide is pure. The rest are the requests and appends of the control step before
 * WORKER_RUN. */
#pragma once

#include "common/ddb_table.h"
#include "producer/table_worker.h"

enum start_verdict {
    START_NEW,    /* a new generation */
    START_RESUME, /* go on where the ledger says */
    START_OVER,   /* sync_mode full: it was finished in this run */
    START_STOP,   /* stand still in a clear state: phase and reason */
};

struct start_decision {
    enum start_verdict verdict;
    enum ledger_phase phase; /* START_STOP */
    const char *reason;      /* START_STOP: a constant text, or known's own reason */
};

/* known: the ledger's record, NULL for none. topic_partitions: 0 when the data topic does not
 * exist. */
struct start_decision start_decide(enum sync_mode mode, int64_t program_started_ms,
                                   const struct ledger_table *known,
                                   const struct ddb_table *now, int32_t topic_partitions);

/* One try to start: sets w->state or fails the table. Returns when to come again. */
int64_t table_start(struct table_worker *w, struct pool_local *local);
