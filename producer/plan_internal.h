/* producer/plan_internal.h - for plan.c and its test. */
#pragma once

#include <stdatomic.h>

#include "common/run/metrics.h"
#include "producer/halted.h"
#include "producer/ledger_handle.h"
#include "producer/name_map.h"

struct plan {
    /* set once */
    struct ledger_handle *zero;
    struct topic_writer_member member;
    struct step step;
    struct health *health; /* "discovery" */
    int64_t started_ms;    /* monotonic */

    atomic_int refs; /* its step's, which may end by itself when fenced, and the owner's */
    atomic_bool alone;
    atomic_bool stopping;
    atomic_bool settled;
    atomic_bool undecided; /* appended, and neither committed nor aborted yet */

    /* of the step */
    struct halted *halted;
    struct name_map gone; /* placement.h */
};
