/* consumer/consumer.h - what all partitions of this program share: its parts, each made and
 * freed by main.c, and the few numbers that threads tell each other. Sees none of the parts. */
#pragma once

#include <stdatomic.h>

#include "consumer/position.h"

struct consumer { /* set once, but for the atomics */
    const struct config *config;
    struct mongo_target *target;
    struct fetch *fetch;
    struct ledger_cache *ledger;
    struct dead_letters *letters;
    struct tables *tables;
    struct preparer *preparer;
    struct keeper *keeper;
    struct sweeper *sweeper;
    struct snapshot_request *snapshots;
    struct dispatcher *dispatcher;
    struct end_offsets *ends;
    struct checkpoint_view *checkpoints; /* NULL: checkpoint.db is empty */
    char me[POSITION_TEXT_MAX];
    size_t batch_count;     /* keys in a batch */
    size_t batch_bytes;     /* of its messages */
    int64_t linger_ms;      /* target.batch.ms */
    int64_t session_ms;     /* of the group */
    bool errors_halt;       /* errors.tolerance = none */
    atomic_llong last_poll; /* of the group, clock_mono_ms */
    atomic_bool ending;     /* nothing waits for a grace any more */
};
