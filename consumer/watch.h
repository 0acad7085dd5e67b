/* consumer/watch.h - one table that is looked at: when next, what its last looks said, who is
 * at it.
 *
 * What a look means is decided here alone: the table's view and its being halted, its part of
 * health, the time of the next look. Time is passed in; no I/O but the log. Under the
 * preparer's lock. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/backoff.h"
#include "common/base/error.h"
#include "common/run/health.h"
#include "consumer/preparation.h"
#include "consumer/table.h"

enum watch_role {
    ROLE_LOOKS,
    ROLE_BUILDS,  /* what takes long */
    ROLE_INDEXES, /* the user's secondary indexes */
};

/* What the health part says: it is made anew only when that changes. */
enum watch_shown {
    SHOWN_NOTHING,
    SHOWN_HALTED,  /* red */
    SHOWN_WAITING, /* red after a while */
    SHOWN_WELL,    /* the same, but each look makes it alive */
};

struct long_work { /* on one table */
    const char *what;
    int64_t since; /* 0: there is none */
    int64_t told_at;
};

struct watch {
    struct table *table; /* set once */
    struct watch *next;

    int uses; /* partitions of this consumer */
    int64_t unused_since;
    bool busy; /* a thread looks at it, or builds */
    int64_t due;
    bool to_build;
    int64_t build_due; /* set when long work was refused: not before */
    bool failing;      /* due is the delay of a failure */
    struct backoff backoff;
    int noes; /* answers "no" in a row */
    int64_t noes_since;
    struct health *health;
    enum watch_shown shown;
    struct long_work building;

    bool to_index;
    int64_t index_due;
    struct backoff index_backoff;
    struct long_work indexing;
};

struct look { /* what came of one */
    enum preparation_result result;
    struct table_view *view;
    struct error err;
    bool answered_no;
    bool producers; /* it is the producer that is waited for: nothing is wrong here */
    bool index_missing;
    int64_t took_ms;
};

struct watch *watch_new(struct table *t);
void watch_free(struct watch *watch);

/* One more partition uses the table, or one less. */
void watch_use(struct watch *watch, bool used, int64_t now);
/* Look at once, but keep to the delay of a failure. */
void watch_look_soon(struct watch *watch, int64_t now);
/* Is there something to do for this role? *due says since when, to be fair. */
bool watch_is_due(const struct watch *watch, enum watch_role role, int64_t now, int64_t *due);

/* A look, or a preparation by the builder, begins and ends. Takes what the look owns; true: the
 * view or the halt has changed. */
void watch_look_begins(struct watch *watch, enum watch_role role, int64_t now);
bool watch_look_ended(struct watch *watch, enum watch_role role, struct look *look,
                      int64_t now);
/* The same for the user's indexes. */
void watch_index_begins(struct watch *watch, int64_t now);
void watch_index_ended(struct watch *watch, bool all, int64_t now);
/* About every second: long work is alive, and the log says so. */
void watch_tick(struct watch *watch, int64_t now);
