/* fullcheck/table_check.h - a table under check: what its threads share.
 *
 * How it is gone through is in table_passes.h. Any thread may call, but for init and release.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "fullcheck/check.h"
#include "fullcheck/fingerprint.h"
#include "fullcheck/key.h"
#include "fullcheck/misplaced.h"
#include "fullcheck/pending.h"
#include "fullcheck/sample.h"

struct scan_segment {
    int64_t number;
    char *start; /* of the next page; NULL: from the beginning */
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
    int64_t estimate; /* of the items; 0: not known */
    struct fingerprint *of_items;
    struct fingerprint *of_documents; /* NULL: no reverse direction */
    struct misplaced misplaced;       /* not changed while threads run */

    atomic_llong items;
    atomic_llong checked;
    /* Changed under the lock, so that who waits is woken; read without it for each document. */
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

/* schema, key and estimate are still to be set. */
void table_check_init(struct table_check *t, struct check *check, const char *name);
void table_check_release(struct table_check *t);

/* Ends the table's check; the first reason stays. */
void table_check_fail(struct table_check *t, const struct error *err);
/* false: it failed, is over, or a stop was requested. */
bool table_check_goes_on(const struct table_check *t);
/* Under the lock: until something changes or the time has come. Returns early now and then,
 * because nobody wakes it when a stop is requested. */
void table_check_wait(struct table_check *t, int64_t until_ms);
/* Of the main thread: what a pass does, how much of it was done and is left. Shown once a
 * second, until the pass ends (table_check_pass_over). */
void table_check_show(const struct table_check *t, const char *what, const char *did,
                      int64_t done, int64_t left);
void table_check_pass_over(const struct table_check *t);
/* Of the items, as the service counted them (every six hours: none yet of a new table). */
int64_t table_check_left(const struct table_check *t, int64_t done);
/* Adds a key to be checked as soon as there is room. false: the check does not go on. */
bool table_check_add(struct table_check *t, struct bytes key, enum pending_origin origin);
