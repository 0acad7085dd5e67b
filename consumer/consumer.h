/* consumer/consumer.h - what all partitions of this program share, and what a writer brings. */
#pragma once

#include <stdatomic.h>

#include "common/base/clock.h"
#include "common/config/config.h"
#include "common/messages/ledger_cache.h"
#include "consumer/dead_letters.h"
#include "consumer/dispatcher.h"
#include "consumer/end_offsets.h"
#include "consumer/fetch.h"
#include "consumer/intake.h"
#include "consumer/keeper.h"
#include "consumer/mongo_writer.h"
#include "consumer/preparer.h"
#include "consumer/tables.h"

struct consumer { /* set once, but for the atomics */
    const struct config *config;
    struct mongo_target *target;
    struct fetch *fetch;
    struct ledger_cache *ledger;
    struct dead_letters *letters;
    struct tables *tables;
    struct preparer *preparer;
    struct keeper *keeper;
    struct dispatcher *dispatcher;
    struct end_offsets *ends;
    char me[POSITION_TEXT_MAX];
    struct intake_limits limits;
    int64_t linger_ms;      /* target.batch.ms */
    int64_t session_ms;     /* of the group */
    atomic_llong last_poll; /* of the group, clock_mono_ms */
    atomic_llong records;   /* written or deleted */
    atomic_bool ending;     /* nothing waits for a grace any more */
};

struct worker { /* of one thread of the dispatcher */
    struct consumer *consumer;
    struct mongo *mongo;
    struct mongo_writer writer;
};
