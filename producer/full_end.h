/* producer/full_end.h - when sync_mode full is over, and whether it ended well: the snapshot of
 * every wanted table is committed, or each that is not has a reason that only time or a person
 * can change. Of the owner's thread. */
#pragma once

#include "producer/halted.h"
#include "producer/producer.h"

/* How it stands with a table by its worker. */
enum full_table {
    FULL_ELSEWHERE, /* another instance's */
    FULL_UNDER_WAY,
    FULL_OVER, /* the ledger says how */
    FULL_STUCK /* no progress for start.timeout; reason is filled */
};

struct full_asked {
    struct producer *p;
    struct halted *halted; /* of the owner */
    bool is_settled;       /* who places tables (we) has none left to place */
    bool is_stable;        /* the group has been as it is for so long that whoever owns a table
                              elsewhere lives, and would have begun to repeat it */
    /* partition: of the ledger */
    enum full_table (*table)(void *arg, const char *table, int32_t partition, char *reason,
                             size_t size);
    void *arg;
};

/* Pure. Is the record's snapshot finished in this run? One from before this program's start may
 * be of a former run, and its owner about to repeat it. */
bool full_end_is_finished(const struct ledger_table *t, int64_t program_started_ms,
                          bool is_elsewhere, bool is_stable);

/* 0: go on. 1: all is committed. -1, ERR_FATAL: over, and not all is: 78 when only names are to
 * blame, 77 when only missing rights are, else 1. */
int full_end(const struct full_asked *asked, struct error *err);
