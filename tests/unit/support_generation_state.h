/* tests/unit/support_generation_state.h - a state of the model of generations: small numbers,
 * so that millions of states fit, and their way to and from the structs of
 * consumer/position.h. */
#pragma once

#include "consumer/position.h"
#include "support_generation_model.h"
#include "support_search.h"

#define CONSUMERS_MAX 3
#define KEYS 3
#define PASSES 7 /* number 0: none */
#define NO (-1)
#define GRACE_MS 1

enum stage {
    RESTING,
    WAITING, /* to take over */
    TAKING,
    RUNNING,
    HELD,    /* what is outstanding ends first, then the document is read */
    MARKING, /* like HELD, then the mark */
    DEAD,
};

enum sweeping {
    NOT_SWEEPING,
    KNOWS_DOCUMENTS, /* or, by a former rule, the notes */
    KNOWS_BOTH,
    DELETES, /* the position was read again between */
};

enum flight {
    NONE,
    OUT, /* its answer is waited for */
    CUT, /* given up, but it may be executed until the grace is over */
};

struct doc { /* the position document */
    signed char found, offset, generation, begin, rows_begin, pass, epoch, owner, rewind, again;
};

struct command {
    signed char flight, kind;
    struct doc seen, next;
};

enum write_kind {
    WRITE_PUT,
    WRITE_NOTE,
    WRITE_SWEEP
};

struct write { /* of one document, or of one note */
    signed char flight, kind, key, value, pass;
};

struct consumer {
    signed char stage;
    signed char assigned; /* as far as the consumer was told */
    signed char late;     /* the grace after its take-over is over */
    signed char stale;    /* the grace of its successor is over */
    /* struct position */
    signed char epoch, offset, applied, sent, generation, begin, rows_begin, pass, quiet, again;
    signed char sweeping;
    unsigned char documents, notes; /* what a sweep read; while DELETES: what it deletes */
    signed char swept;              /* the pass whose notes go when the position says so */
    unsigned char dropping;         /* passes whose notes may be gone at any time from now on */
    struct write write;
    struct command command;
};

struct state {
    signed char values[KEYS];
    unsigned char notes[PASSES]; /* of each pass: a bit for each key */
    signed char holder;          /* the group's word */
    signed char faults, ends, moves, undecided, replays, collects;
    signed char took;
    unsigned char listed; /* passes that the collecting found */
    struct doc doc;
    struct consumer w[CONSUMERS_MAX];
};

struct model {
    const struct generation_case *c;
    const struct generation_former *former;
    struct search search;
    struct generation_outcome outcome;
    uint32_t bad; /* a state, or SEARCH_NOBODY */
};

extern const char *const generation_names[CONSUMERS_MAX];
extern const struct doc generation_no_doc;

signed char generation_narrow(int64_t n);
struct position_doc generation_doc_of(const struct doc *d);
struct position generation_position_of(const struct consumer *c);
void generation_keep(struct consumer *c, const struct position *p);
/* Its grace is over when nothing of a cut connection is left. */
int64_t generation_now_of(const struct consumer *c);
bool generation_nothing_outstanding(const struct consumer *c);
void generation_forget_command(struct consumer *c);
void generation_forget_position(struct consumer *c);
/* A name for a pass that nobody has. */
int generation_new_pass(const struct state *s);
const char *generation_pass_name(int pass);
/* Where the notes of a pass are. */
int generation_place(const struct model *m, int pass);
/* A state that follows the visited one. */
void generation_add(struct model *m, const struct state *s);
void generation_issue(struct consumer *c, const struct position_change *change);
/* As position_store.c does it. false: it matched nothing. */
bool generation_change(const struct model *m, struct doc *d, const struct command *c);
