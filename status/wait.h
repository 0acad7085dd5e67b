/* status/wait.h - waits until the target provably holds what was written to the source before a
 * time (proof.h). Of the main thread. */
#pragma once

#include "common/config/config.h"
#include "status/bridge_reader.h"

struct wait_for {
    const char *table;  /* NULL: all that the configuration carries */
    int64_t before_ms;  /* by the source's clock; -1: the time at which an owner is asked */
    int64_t timeout_ms; /* 0: none */
    bool is_alarm;      /* --max-lag: nothing on standard output, and the last listing of shards
                           counts, so that no DescribeStream is asked for */
};

/* ERR_FATAL: the ledger knows no such table. 0: it holds all; 1: not within the time, or it
 * never will without a person; -1: ERR_RETRY at a stop. What can't be read is waited for, too.
 * *ret_why says what is missing. */
int wait_run(const struct wait_for *wait, struct bridge_reader *reader,
             const struct config *config, struct buf *ret_why, struct error *err);
