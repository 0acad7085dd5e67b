/* consumer/checkpoint_writer.h - writing the collections of checkpoint.db: when each is due,
 * and what becomes of those that fail or are another's.
 *
 * A collection that was shown is compared again every half minute. One that failed is tried
 * again at one time for all of them, later after each round that failed, so that a missing
 * right costs one line in the log and not one for each table. When MongoDB does not answer at
 * all, the round is over. Of the thread of checkpoint_view. */
#pragma once

#include "common/mongo/mongo_target.h"
#include "consumer/checkpoint_store.h"

struct checkpoint_writer;

struct checkpoint_shown { /* a collection; zeroed but for the name: due */
    const char *name;
    enum checkpoint_outcome outcome; /* of the last time */
    int64_t compare_ms;              /* 0: it is to show something else now */
};

/* target: with checkpoint.db as its database; borrowed, as mark. */
struct checkpoint_writer *checkpoint_writer_new(const struct mongo_target *target,
                                                const char *mark);
void checkpoint_writer_free(struct checkpoint_writer *w);

/* false: there is to be none now. */
bool checkpoint_writer_round_begins(struct checkpoint_writer *w);
/* Is the rest of it to be left out? */
bool checkpoint_writer_round_is_over(const struct checkpoint_writer *w);
/* Logs what came of it, and sets the metric. */
void checkpoint_writer_round_ends(struct checkpoint_writer *w);

/* If it is due. */
void checkpoint_writer_show(struct checkpoint_writer *w, struct checkpoint_shown *shown,
                            bson_t *const *docs, size_t count);
/* Without a look: its name is not for us. */
void checkpoint_writer_leave(struct checkpoint_writer *w, struct checkpoint_shown *shown);
/* It is not counted any more. */
void checkpoint_writer_forget(struct checkpoint_writer *w, struct checkpoint_shown *shown);
/* Somebody else writes from now on. Each shown is forgotten. */
void checkpoint_writer_hand_over(struct checkpoint_writer *w);
/* Every half minute, or when soon: removes what is not wanted (checkpoint_store_clean). */
void checkpoint_writer_clean(struct checkpoint_writer *w, bool soon,
                             bool (*wanted)(void *arg, const char *collection), void *arg);
