/* tests/unit/support_owners.h - what the models of positions and of generations share: a
 * partition's position document, the consumers that own it one after another, and the group
 * that moves it.
 *
 * Small numbers, so that millions of states fit, and their way to and from the structs of
 * consumer/position.h, which decides. The document is changed as position_store.c does it.
 *
 * Assumed of time: a grace is over only when nothing that waited in a cut connection, or of a
 * consumer that ended, can come any more; and who did not notice for a whole grace of its
 * successor that the partition is another's lives until it has told that one. */
#pragma once

#include "consumer/position.h"

#define CONSUMERS_MAX 3
#define PASSES 7 /* number 0: none */
#define NO (-1)
#define GRACE_MS 1

enum stage {
    RESTING,
    WAITING, /* to take over */
    TAKING,
    RUNNING,
    HELD, /* what is outstanding ends first, then the document is read */
    REWINDING,
    LEAVING,
    MARKING, /* like HELD, then the mark */
    DEAD,
};

enum flight {
    NONE,
    OUT,     /* its answer is waited for */
    CUT,     /* given up, but it may be executed until the grace is over */
    UNCLEAR, /* it is over; the document has to say whether it was executed */
};

struct doc { /* the position document */
    signed char found, offset, generation, begin, rows_begin, pass, epoch, owner, rewind, again;
};

struct command { /* a change of it */
    signed char flight, kind;
    struct doc seen, next;
};

struct owner { /* a consumer, whether it owns the partition or not */
    signed char stage;
    signed char assigned; /* as far as the consumer was told */
    signed char late;     /* the grace after its take-over is over */
    signed char stale;    /* the grace of its successor is over */
    signed char writing;  /* the flight of what it writes besides the document */
    /* struct position */
    signed char epoch, offset, applied, sent, generation, begin, rows_begin, pass, quiet, again;
    struct command command;
};

struct owners { /* padding-free, as support_search.h wants it */
    struct doc doc;
    signed char holder; /* the group's word */
    signed char faults, ends, moves, undecided;
    struct owner w[CONSUMERS_MAX];
};

/* Of what a taker compares, what it leaves out. */
enum blind {
    BLIND_NOT,
    BLIND_OFFSET,
    BLIND_PASS,
};

extern const char *const owners_names[CONSUMERS_MAX];
extern const char *const owners_passes[PASSES];
extern const struct doc owners_no_doc;

/* The first consumer is about to take the partition over, which has no position yet. */
void owners_init(struct owners *o);

signed char owners_narrow(int64_t n);
struct position_doc owners_doc_of(const struct doc *d);
struct position owners_position_of(const struct owner *c);
void owners_keep(struct owner *c, const struct position *p);
/* Its grace is over when nothing of a cut connection is left. */
int64_t owners_now_of(const struct owner *c);
bool owners_nothing_outstanding(const struct owner *c);
void owners_forget_command(struct owner *c);
void owners_forget_position(struct owner *c);
/* What nobody looks at any more becomes the same everywhere, so that fewer states differ. */
void owners_forget_unused(struct owners *o);

/* ---- the group ---- */

void owners_assign(struct owners *o, int to);
/* The consumer hears that the partition is not its own. */
void owners_tell(struct owners *o, int i);
bool owners_may_assign(const struct owners *o, int to, int moves);
/* Killed: what it sent may still come. */
void owners_end(struct owners *o, int i);
void owners_grace_is_over(struct owners *o, int i);
bool owners_dead_may_write(const struct owners *o);

/* ---- the position document ---- */

/* Keeps of a change only what it compares and sets. */
void owners_issue(struct owner *c, const struct position_change *change);
/* false: it matched nothing. */
bool owners_change(struct doc *d, const struct command *command, enum blind blind);

void owners_taken(struct owner *c, const struct position_doc *stored);
/* A take-over without a clear answer: the document says what became of it. */
void owners_look_after_take(struct owners *o, int i, const struct command *take);
/* After a goodbye or a mark. undecided: how often one may take again that was not told yet. */
void owners_rest(struct owners *o, int i, int undecided, bool stray);
void owners_say_goodbye(struct owners *o, int i, bool in_doubt);
/* The mark, or, when nothing can have come late, false. */
bool owners_mark(struct owners *o, int i);
void owners_ask(struct owners *o, int i, bool again);
/* Does the document say what the owner thinks? moved: as in position_agrees. */
bool owners_agree(const struct owners *o, int i, int64_t moved);
