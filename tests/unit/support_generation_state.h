/* tests/unit/support_generation_state.h - a state of the model of generations. */
#pragma once

#include "support_generation_model.h"
#include "support_owners.h"
#include "support_search.h"

#define KEYS 3

enum sweeping {
    NOT_SWEEPING,
    KNOWS_DOCUMENTS, /* or, by a former rule, the notes */
    KNOWS_BOTH,
    DELETES, /* the position was read again between */
};

enum write_kind {
    WRITE_PUT,
    WRITE_NOTE,
    WRITE_SWEEP
};

struct write { /* of one document, or of one note; all zeros when there is none */
    signed char kind, key, value, pass;
};

struct work { /* of a consumer, besides what it thinks of its position */
    struct write write;
    signed char sweeping;
    unsigned char documents, notes; /* what a sweep read; while DELETES: what it deletes */
    signed char swept;              /* the pass whose notes go when the position says so */
    unsigned char dropping;         /* passes whose notes may be gone at any time from now on */
};

struct state {
    struct owners o;
    signed char values[KEYS];
    unsigned char notes[PASSES]; /* of each pass: a bit for each key */
    signed char replays, collects;
    signed char took;
    unsigned char listed; /* passes that the collecting found */
    struct work work[CONSUMERS_MAX];
};

struct model {
    const struct generation_case *c;
    const struct generation_former *former;
    struct search search;
    struct generation_outcome outcome;
    uint32_t bad; /* a state, or SEARCH_NOBODY */
};

/* A name for a pass that nobody has. */
int generation_new_pass(const struct state *s);
/* Where the notes of a pass are. */
int generation_place(const struct model *m, int pass);
/* A state that follows the visited one. */
void generation_add(struct model *m, const struct state *s);
/* Does what the command says, if the document is as it compares. */
bool generation_change(const struct model *m, struct doc *d, const struct command *command);
