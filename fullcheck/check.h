/* fullcheck/check.h - the whole check: what all of its tables and threads share.
 *
 * Tables are checked one after the other (table_check.h), each by all workers. */
#pragma once

#include <pthread.h>

#include "common/config/config.h"
#include "fullcheck/canon.h"
#include "fullcheck/ddb_side.h"
#include "fullcheck/fullcheck_options.h"
#include "fullcheck/mongo_side.h"
#include "fullcheck/report.h"

struct progress;
struct repair;
struct table_check;

struct check { /* set once */
    const struct config *config;
    struct fullcheck_options options;
    struct canon_form form;
    bool by_id; /* target.id = key */
    struct mongo_target *target;
    struct ddb_source *source;
    struct throttle *throttle;
    struct repair *repair;  /* NULL: not asked for */
    int64_t retry_limit_ms; /* how long one end may stay away */
    struct report report;
    struct progress *progress; /* of the main thread */
};

/* A thread's own connections and memory. */
struct worker {
    struct check *check;
    struct mongo *mongo;
    struct ddb_side ddb;
    struct canon_arena arena;
    struct table_check *table; /* at hand */
    pthread_t thread;
};
