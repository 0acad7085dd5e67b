/* producer/start_decision.h - a new generation, going on, or halting: from the ledger,
 * the source and the topic. Pure. */
#pragma once

#include "common/dynamodb/ddb_table.h"
#include "common/messages/ledger.h"
#include "producer/producer.h"

/* What every reason begins with for which the next generation is in another log. */
#define START_LOST_LOG "the data topic "
#define START_NO_LOG START_LOST_LOG "is gone"
#define START_OTHER_LOG START_LOST_LOG "was made anew, or lost its end"

enum start_verdict {
    START_NEW,    /* a new generation */
    START_RESUME, /* go on where the ledger says */
    START_OVER,   /* sync_mode full: it was finished in this run */
    START_WAIT,   /* the table is being deleted: soon it is gone, or another one */
    START_HALT,   /* halted, if it stays like this: phase and reason */
};

struct start_asked {
    enum sync_mode mode;
    bool renews_gaps; /* on_gap = resnapshot */
    int64_t program_started_ms;
    const struct ledger_table *known; /* the ledger's record; NULL: none */
    const struct ddb_table *now;
    int32_t topic_partitions; /* 0: the data topic does not exist */
    bool is_other_log;        /* it is not the log that `known` speaks of */
};

struct start_decision {
    enum start_verdict verdict;
    enum ledger_phase phase; /* START_HALT */
    const char *reason;      /* START_HALT: a constant text, or known's own reason */
    bool is_told;            /* START_HALT: the source names another table or stream, which no
                                lack of an answer can look like */
};

struct start_decision start_decision_make(const struct start_asked *asked);
/* For how long the source has to say so before it is believed; doubt_ms: source.doubt.ms. */
int64_t start_decision_doubt_ms(const struct start_decision *decision, int64_t doubt_ms);
/* Does the record, of a table that is halted, ask for a new generation? Then one begins by
 * itself. */
bool start_decision_renews(const struct ledger_table *known, bool renews_gaps);
