/* consumer/partition.h - one partition of one table: the states of its life, and what it has in
 * hand.
 *
 * Each state is a function (in the file of its prefix) that returns the next one; life.c calls
 * them and is the only place that sets `state`. What follows from a state stands in the list
 * below or is derived in life.c, not in fields beside it.
 *
 * A state's function is called when its time has come, or when something happened: messages, an
 * answer of the keeper, a receipt, a change of its table, a word of the group. A partition that
 * is not assigned may only finish its mark; it is never taken over.
 *
 * One thread at a time holds a partition (dispatcher.h); the fields of the holder need no lock.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>

#include "common/base/backoff.h"
#include "common/run/health.h"
#include "common/run/step_pool.h"
#include "consumer/batch.h"
#include "consumer/dead_letters.h"
#include "consumer/fetch_stream.h"
#include "consumer/keeper.h"
#include "consumer/position.h"
#include "consumer/retention_search.h"
#include "consumer/seen.h"
#include "consumer/suspects.h"
#include "consumer/sweeper.h"
#include "consumer/table.h"
#include "consumer/topic_identity.h"

/*   state      waits for                                 what it is to others
 *
 *   RESTING    the group: it is not ours                 released
 *   WAITING    its table: known, prepared, not halted
 *   LEFT_OUT   nothing: the filter leaves its table out  released
 *   TAKING     its document: read, then taken
 *   CHECKING   the log to show that it is the position's  taken
 *   RUNNING    messages, which it applies                taken, idle when all is applied
 *   LETTERS    the receipt of its dead letters           taken
 *   SWEEPING   what its generation has left over to be    taken
 *              deleted
 *   HELD       the back-off, and the grace after an      taken
 *              unknown outcome
 *   READING    its document, whose word it follows       taken
 *   REWINDING  its document to be set back               taken
 *   HALTED     someone to act, or a newer generation     taken, red at once
 *   LEAVING    what is on its way, then its goodbye      taken
 *   MARKING    the grace, then its mark for the owner    released
 *
 * released: the group may give it away. taken: the document may say that it is ours, so when
 * the group takes it away it goes to LEAVING, from wherever it is.
 *
 *   columns: name, function, released, taken, the states that may follow (life.c checks) */
#define PARTITION_STATES(X)                                                                    \
    X(RESTING, takeover_resting, true, false, TO(WAITING))                                     \
    X(WAITING, takeover_waiting, false, false, TO(TAKING) | TO(LEFT_OUT) | TO(RESTING))        \
    X(LEFT_OUT, takeover_left_out, true, false, TO(RESTING))                                   \
    X(TAKING, takeover_taking, false, false, TO(CHECKING) | TO(WAITING) | TO(RESTING))         \
    X(CHECKING, topic_check_checking, false, true,                                             \
      TO(RUNNING) | TO(HELD) | TO(HALTED) | TO(LEAVING))                                       \
    X(RUNNING, run_running, false, true,                                                       \
      TO(LETTERS) | TO(SWEEPING) | TO(CHECKING) | TO(HELD) | TO(REWINDING) | TO(HALTED) |      \
          TO(MARKING) | TO(LEAVING))                                                           \
    X(LETTERS, run_letters, false, true, TO(RUNNING) | TO(HELD) | TO(LEAVING))                 \
    X(SWEEPING, pass_sweeping, false, true, TO(RUNNING) | TO(HELD) | TO(LEAVING))              \
    X(HELD, ownership_held, false, true, TO(READING) | TO(LEAVING))                            \
    X(READING, ownership_reading, false, true,                                                 \
      TO(CHECKING) | TO(REWINDING) | TO(HELD) | TO(MARKING) | TO(LEAVING))                     \
    X(REWINDING, ownership_rewinding, false, true,                                             \
      TO(CHECKING) | TO(HELD) | TO(MARKING) | TO(LEAVING))                                     \
    X(HALTED, ownership_halted, false, true, TO(HELD) | TO(LEAVING))                           \
    X(LEAVING, takeover_leaving, false, true, TO(MARKING) | TO(WAITING) | TO(RESTING))         \
    X(MARKING, takeover_marking, true, false, TO(LEAVING) | TO(WAITING) | TO(RESTING))

enum partition_state {
#define X(name, ...) PARTITION_##name,
    PARTITION_STATES(X)
#undef X
};

/* What a state's function returns: the next state, and when to look at it. */
struct partition_next {
    enum partition_state state;
    int64_t delay_ms; /* as a step's (step_pool.h); 0: it is called at once */
};

struct refusal { /* a message that is no event of this table */
    rd_kafka_message_t *message;
    char *reason;
};

struct pass_begin { /* a begin with a pass of its own, which is next */
    int64_t offset;
    int64_t generation;
    char log_id[POSITION_TEXT_MAX];
};

struct pass_notes {  /* what a batch has seen */
    bool begun;      /* since the partition was read from where it stands */
    bool unreadable; /* the batch has a record whose key can't be told */
    unsigned char (*hashes)[SEEN_HASH_BYTES];
    size_t count;
    size_t capacity;
};

struct consumer;
struct dispatcher_share;

struct partition {
    /* set once */
    struct consumer *consumer;
    char *topic;
    int32_t number;
    char *id; /* of the position document: "<topic>/<number>" */
    struct fetch_stream *stream;
    struct step_pool *pool;
    struct step step;

    /* under the dispatcher's lock */
    UT_hash_handle hh;              /* of all, by id */
    struct dispatcher_share *share; /* of its table */
    struct partition *prev, *next;  /* of its table's that are in a step */
    int64_t step_began_ms;
    bool in_step;  /* a thread holds it */
    bool has_turn; /* it was woken to take the turn that it had to wait for */
    bool revoked;  /* and not assigned since */

    /* of the holder; state also under the dispatcher's lock when not in a step */
    struct mongo_writer *writer; /* the holder's own */
    enum partition_state state;
    int64_t until;           /* the state does nothing before, but for leaving */
    struct table *table;     /* NULL: not known yet */
    struct table_view *view; /* a reference, from TAKING on */
    struct position position;
    struct position_ask ask;
    bool taking; /* TAKING: a change was asked for */
    enum position_start start;
    int64_t go_back; /* REWINDING: where to; POSITION_NONE: apply once more */
    struct batch batch;
    rd_kafka_message_t **messages; /* that the batch borrows from */
    size_t message_count;
    size_t message_capacity;
    struct refusal *refusals;
    size_t refusal_count;
    int64_t oldest_at;                  /* when the first message of the batch came */
    int64_t begin;                      /* offset of the last begin in the batch */
    bool begin_rows;                    /* its generation has rows */
    struct dead_letters_round *letters; /* LETTERS: what is on its way */
    size_t letter_count;                /* of the batch */
    char *refused; /* errors.tolerance = none: what of the batch can't be applied, and why */
    int64_t refused_offset; /* the first of it */
    struct suspects suspects;
    struct backoff backoff;
    struct pass_notes notes;
    int64_t end_seen; /* offset of the log's end, when all before it was taken in; -1 */
    enum {
        PARTITION_STOP_NOT,
        PARTITION_STOP_SCHEMA, /* a begin of another key schema is next */
        PARTITION_STOP_BEGIN,  /* a begin with a pass is next: next_begin */
        PARTITION_STOP_END,    /* the end of the pass's generation is next: end_at */
        PARTITION_STOP_LOG     /* the log does not bring what has to follow */
    } stop;                    /* nothing may be taken in past it */
    struct pass_begin next_begin;
    int64_t end_at;
    int64_t swept_to;       /* documents that a sweep has reached, also one that failed */
    struct sweep_ask sweep; /* SWEEPING */
    struct log_look look;   /* CHECKING */
    bool log_doubted;       /* it stopped with PARTITION_STOP_LOG: is it the same log? */
    bool skip;    /* to be taken from the newest begin: the log does not bring what is before */
    char *halted; /* why; kept until it has applied something again */
    struct health *health;
    bool said; /* health tells of a halt */
    bool used; /* the preparer was told that its table is */

    /* any thread reads */
    atomic_bool assigned;
    atomic_bool idle; /* all that was in the log up to end_shown is applied, for good */
    atomic_bool left_out;
    atomic_bool halted_shown; /* it, or its table */
    atomic_llong offset;      /* confirmed; -1: none yet */
    atomic_llong end_shown;   /* end_seen */
    atomic_llong log_end;     /* as the brokers say (end_offsets.h); -1: not known */
    atomic_bool log_shrank; /* they said an end below what was confirmed before, or no topic */

    /* of the thread of end_offsets */
    int64_t offset_before; /* what was confirmed before it asked for the end */
    struct retention_place place;
};

/* The caller frees. */
char *partition_id(const char *topic, int32_t number);
struct partition *partition_new(struct consumer *c, const char *topic, int32_t number);
void partition_free(struct partition *p);
/* Something happened to it: its state is called soon. Any thread. */
static inline void partition_wake(struct partition *p)
{
    step_wake(p->pool, &p->step);
}

bool partition_is_released(const struct partition *p);
/* Records that are not applied yet, as far as the log's end is known. Any thread. */
int64_t partition_lag(const struct partition *p);
bool partition_is_taken(const struct partition *p);
/* Is it ours to take? Not what the group has taken away. */
bool partition_may_be_taken(const struct partition *p);

/* ---- what a state's function returns ---- */

struct partition_next partition_go(enum partition_state state);
/* Stays, until something happens ... */
struct partition_next partition_wait(const struct partition *p);
/* ... or it is at_ms of clock_mono_ms. */
struct partition_next partition_wait_until(const struct partition *p, int64_t at_ms);
/* HELD: drops what is in hand and waits before it goes on from what its document says: for
 * growing delays, and for the grace when the outcome is unknown. what: at which step. */
struct partition_next partition_hold(struct partition *p, enum mongo_result result,
                                     const struct error *err, const char *what);
/* HALTED, with the reason. Tried again at a time of the state's own. */
struct partition_next partition_halt(struct partition *p, const char *reason);
/* LEAVING. */
struct partition_next partition_leave(struct partition *p);
/* The same, to begin it anew, its table looked at first. */
struct partition_next partition_restart(struct partition *p, const char *why);
/* MARKING: it is not to be read any more. */
struct partition_next partition_mark(struct partition *p);
/* CHECKING, and then RUNNING: reads from the position on. */
struct partition_next partition_run(struct partition *p);

/* ---- progress ---- */

/* Something was applied, or there is nothing to apply: it lives, and is not halted any more. */
void partition_progressed(struct partition *p);
/* The next delay, for what is tried again without being held. */
int64_t partition_again_at(struct partition *p);

/* ---- what is in hand ---- */

/* Keeps a message until the batch is dropped. */
void partition_keep(struct partition *p, rd_kafka_message_t *m);
void partition_refuse(struct partition *p, rd_kafka_message_t *m, const char *reason);
/* Empties the batch and gives its messages back. */
void partition_drop_batch(struct partition *p);
bool partition_has_batch(const struct partition *p);
/* All of it, and the reading, the letters and the view; the position is forgotten. */
void partition_release(struct partition *p);
/* The part of it that comes after a position was given up: no reading, no batch, no letters. */
void partition_stop_reading(struct partition *p);
