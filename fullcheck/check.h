/* fullcheck/check.h - what a check is made of: its ends, its threads, the table at hand.
 *
 * Tables are checked one after the other, each by all threads. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "common/config/config.h"
#include "fullcheck/canon.h"
#include "fullcheck/ddb_side.h"
#include "fullcheck/fingerprint.h"
#include "fullcheck/fullcheck_options.h"
#include "fullcheck/key.h"
#include "fullcheck/misplaced.h"
#include "fullcheck/mongo_side.h"
#include "fullcheck/pending.h"
#include "fullcheck/report.h"
#include "fullcheck/sample.h"

struct repair;

struct check { /* set once */
    const struct config *config;
    struct fullcheck_options options;
    struct canon_form form;
    bool by_id; /* target.id = key */
    struct mongo_target *target;
    struct ddb_source *source;
    struct throttle *throttle;
    struct repair *repair; /* NULL: not asked for */
    int64_t patience_ms;
    struct report report;
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

struct scan_segment {
    int64_t number;
    char *start; /* of the next page; NULL: from the begin */
    bool busy;   /* a thread is at a page of it */
    bool done;
};

struct table_check {
    /* set once */
    struct check *check;
    const char *name;
    char *collection;
    struct key_schema schema;
    struct key_form key;
    int64_t estimate; /* of the items, for the progress line */
    struct fingerprint *of_items;
    struct fingerprint *of_documents; /* NULL: no reverse direction */
    struct misplaced misplaced;       /* not changed while threads run */

    atomic_llong items;
    atomic_llong checked;
    /* Changed under the lock, so that who waits is woken; looked at for each document without.
     */
    atomic_bool over; /* threads leave */
    atomic_bool failed;

    pthread_mutex_t lock; /* all below */
    pthread_cond_t changed;
    struct scan_segment *segments;
    int64_t segment_count;
    struct pending pending;
    struct sample sample; /* most 0: none */
    int64_t differences[DIFFERENCE_KINDS];
    int64_t repaired;
    int64_t undecided;    /* keys that changed too often */
    struct error failure; /* the first */
};

/* Stops the table's check; the first reason stays. */
void table_check_fail(struct table_check *t, const struct error *err);
bool table_check_goes_on(const struct table_check *t);
