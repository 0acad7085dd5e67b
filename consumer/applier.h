/* consumer/applier.h - what is done with a partition when its turn comes: the phases of its
 * life.
 *
 * parked -> table (known and prepared?) -> take (epoch, start) -> run (pull, write, move the
 * position) -> parked again with a goodbye. An error of the transport holds the partition,
 * which then goes on from its position; a lost epoch marks and parks it. This is the loop that
 * decides, so it is the one that logs. A step is run by one thread of the pool. */
#pragma once

#include <stdatomic.h>

#include "common/config.h"
#include "common/ledger_cache.h"
#include "consumer/dead_letter.h"
#include "consumer/intake.h"
#include "consumer/mongo_writer.h"
#include "consumer/pool.h"
#include "consumer/position.h"
#include "consumer/preparer.h"
#include "consumer/tables.h"

struct applier { /* set once, shared by all threads */
    const struct config *config;
    const struct target *target;
    struct ledger_cache *ledger;
    struct dead_letters *letters;
    struct tables *tables;
    struct preparer *preparer; /* set before the group is joined */
    struct pool *pool;         /* set before the group is joined */
    char me[POSITION_TEXT_MAX];
    struct intake_limits limits;
    int64_t linger_ms;      /* target.batch.ms */
    int64_t session_ms;     /* of the group */
    atomic_llong last_poll; /* of the group, clock_mono_ms */
    atomic_llong records;   /* written or deleted */
};

/* For pool_work: arg is the struct applier. */
void *applier_worker_open(void *arg);
void applier_worker_close(void *context);
int64_t applier_step(void *context, struct partition *p);
