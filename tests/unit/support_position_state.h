/* tests/unit/support_position_state.h - a state of the model of positions: small numbers, so
 * that millions of states fit, and their way to and from the structs of consumer/position.h. */
#pragma once

#include "consumer/position.h"
#include "support_position_model.h"
#include "support_search.h"

#define CONSUMERS_MAX 3
#define LOG_MAX 4
#define KEYS 2
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
    signed char found, offset, epoch, owner, rewind, again;
};

struct command {
    signed char flight, kind;
    struct doc seen, next;
};

struct write {
    signed char flight, from, end, keys; /* keys: a bit for each that is not written yet */
};

struct consumer {
    signed char stage;
    signed char assigned; /* as far as the consumer was told */
    signed char late;     /* the grace after its take-over is over */
    signed char stale;    /* the grace of its successor is over */
    signed char epoch, offset, applied, sent, quiet, again; /* struct position */
    struct write write;
    struct command command;
};

struct state {
    signed char values[KEYS];
    signed char holder; /* the group's word */
    signed char faults, ends, moves, undecided;
    struct doc doc;
    struct consumer w[CONSUMERS_MAX];
};

struct model {
    const struct position_case *c;
    const struct position_former *former;
    struct search search;
    struct position_outcome outcome;
    uint32_t bad; /* a state, or SEARCH_NOBODY */
};

/* What the log holds: a key and its value. */
struct log_event {
    int key;
    int value;
};
extern const struct log_event state_log[LOG_MAX];
extern const char *const state_names[CONSUMERS_MAX];
extern const struct doc state_no_doc;

signed char state_narrow(int64_t n);
struct position_doc state_doc_of(const struct doc *d);
struct position state_position_of(const struct consumer *c);
void state_keep(struct consumer *c, const struct position *p);
/* Its grace is over when nothing of a cut connection is left. */
int64_t state_now_of(const struct consumer *c);
bool state_nothing_outstanding(const struct consumer *c);
void state_forget_command(struct consumer *c);
void state_forget_position(struct consumer *c);
/* A state that follows the visited one. */
void state_add(struct model *m, const struct state *s);
void state_issue(struct consumer *c, const struct position_change *change);
/* As position_store.c does it. false: it matched nothing. */
bool state_change(const struct model *m, struct doc *d, const struct command *c);
