/* producer/start_decision.h - a new generation, going on, or halting: from the ledger,
 * the source and the topic. Pure. */
#pragma once

#include "common/dynamodb/ddb_table.h"
#include "common/messages/ledger.h"
#include "producer/producer.h"

enum start_verdict {
    START_NEW,    /* a new generation */
    START_RESUME, /* go on where the ledger says */
    START_OVER,   /* sync_mode full: it was finished in this run */
    START_WAIT,   /* the table is being deleted: soon it is gone, or another one */
    START_HALT,   /* halted, if it stays like this: phase and reason */
};

struct start_decision {
    enum start_verdict verdict;
    enum ledger_phase phase; /* START_HALT */
    const char *reason;      /* START_HALT: a constant text, or known's own reason */
};

/* known: the ledger's record, NULL for none. topic_partitions: 0 when the data topic does not
 * exist. */
struct start_decision start_decision_make(enum sync_mode mode, int64_t program_started_ms,
                                          const struct ledger_table *known,
                                          const struct ddb_table *now,
                                          int32_t topic_partitions);
