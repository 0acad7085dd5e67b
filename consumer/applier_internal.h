/* consumer/applier_internal.h - shared by the files of the applier: phases (applier.c), taking
 * over and losing (applier_take.c), writing (applier_run.c). */
#pragma once

#include "consumer/applier.h"

struct worker { /* of one thread of the pool */
    struct applier *a;
    struct mongo *mongo;
    struct mongo_writer writer;
};

/* Each answers when to look again, or POOL_AT_ONCE. */
int64_t step_table(struct worker *w, struct partition *p);
int64_t step_take(struct worker *w, struct partition *p);
int64_t step_run(struct worker *w, struct partition *p);
int64_t step_held(struct worker *w, struct partition *p);
int64_t step_marking(struct worker *w, struct partition *p);
int64_t step_failed(struct worker *w, struct partition *p);

/* Writes what is in hand and moves the position. */
int64_t run_flush(struct worker *w, struct partition *p);

/* Reads, and prepares where that is ours, whether the collection is the one that was prepared:
 * if it is time. */

/* Drops what is in hand and waits before it goes on from the position: after growing delays, or
 * when the outcome is unknown after the grace. */
int64_t hold(struct worker *w, struct partition *p, enum mongo_result result,
             const struct error *err, const char *what);
/* Says goodbye where that is true, then takes over anew, with the table looked at first. */
int64_t start_over(struct worker *w, struct partition *p, const char *why);
/* What the document says, after a compare-and-set that matched nothing or when idle. */
int64_t obey(struct worker *w, struct partition *p, const struct position_doc *doc);
/* The same, reading it first. */
int64_t read_and_obey(struct worker *w, struct partition *p);
/* Reads messages from the position on. */
int64_t go_on(struct worker *w, struct partition *p);
/* In a clear state: it waits for a new generation, or for good (reason NULL: it is the
 * table's). */
int64_t stop_partition(struct partition *p, const char *reason);
void say_goodbye(struct worker *w, struct partition *p);
void park(struct partition *p);
