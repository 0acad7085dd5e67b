/* producer/full_end.h - when sync_mode full is over, and whether it ended well.
 *
 * It is over when the snapshot of every wanted table is committed, or can't be for a reason
 * that does not go away by itself. Of the owner's thread. */
#pragma once

#include "producer/halted.h"
#include "producer/producer.h"

/* What its worker says of a table. */
enum full_table {
    FULL_ELSEWHERE, /* another instance's */
    FULL_UNDER_WAY,
    FULL_OVER, /* the ledger says how it ended */
    FULL_STUCK /* no progress for start.timeout; reason is filled */
};

struct full_asked {
    struct producer *p;
    struct halted *halted; /* of the owner */
    bool is_settled;       /* we place the tables, and none is left to place */
    bool is_stable; /* the group has been the same for so long that the owner of any other
                       table is alive, and has begun to repeat it if it was to */
    /* partition: of the ledger */
    enum full_table (*table)(void *arg, const char *table, int32_t partition, char *reason,
                             size_t size);
    void *arg;
};

/* Pure. Did the record's snapshot finish in this run? One that finished before this program
 * started may be of a former run, and its owner about to repeat it. */
bool full_end_is_finished(const struct ledger_table *t, int64_t program_started_ms,
                          bool is_elsewhere, bool is_stable);

/* 0: not over yet. 1: everything is committed. -1, ERR_FATAL: over, and not everything is. Its
 * code is 78 when only names are to blame, 77 when only missing rights are, else 1. */
int full_end(const struct full_asked *asked, struct error *err);
