/* tests/unit/support_position_state.h - a state of the model of positions. */
#pragma once

#include "support_owners.h"
#include "support_position_model.h"
#include "support_search.h"

#define LOG_MAX 4
#define KEYS 2

struct write {
    signed char from, end, keys; /* keys: a bit for each that is not written yet */
};

struct state {
    struct owners o;
    signed char values[KEYS];
    struct write writes[CONSUMERS_MAX]; /* all zeros when there is none */
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

/* A state that follows the visited one. */
void state_add(struct model *m, const struct state *s);
/* Does what the command says, if the document is as it compares. */
bool state_change(const struct model *m, struct doc *d, const struct command *command);
