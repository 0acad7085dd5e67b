/* fullcheck/compare.h - does a document say what its item says, and if not, where?
 *
 * By value: numbers as exact decimals, sets without an order, attributes without an order,
 * lists with one. With convert.type = change a list stands for a set or a list, and a text of
 * all digits for a number of more than 34 of them. Pure; of one thread. */
#pragma once

#include "fullcheck/canon.h"

/* A place in the item, from the innermost step to the top. */
struct compare_path {
    const struct compare_path *up;
    struct bytes name; /* of an attribute; p NULL: a position in a list */
    size_t position;
};

struct compare {
    const struct canon_form *form;
    struct canon_arena *arena; /* scratch */
    /* Called for each place where the values part; a side that has nothing there is NULL.
     * NULL: only whether they part. */
    void (*parts)(void *arg, const struct compare_path *path, const struct canon *source,
                  const struct canon *target);
    void *arg;
    /* A member of the top that is never a double: the primary key's attributes. */
    bool (*is_key)(void *arg, struct bytes name);
    bool different; /* out */
};

/* Two maps: an item's and a document's. false: they part. */
bool compare_maps(struct compare *cmp, const struct canon *source, const struct canon *target);
/* Two _ids, which part as a whole: one call of parts, at _id, with both. Numbers must be exact,
 * and in maps the order counts; their members' names must be equal too. */
bool compare_ids(struct compare *cmp, const struct canon *source, const struct canon *target);
