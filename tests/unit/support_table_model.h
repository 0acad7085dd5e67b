/* tests/unit/support_table_model.h - every order of a small case of a table's life: what its
 * stream, its listings, its transactions and its program may do, and what the table's pure
 * rules (table_state, shard_tree, shard_listing) make of it.
 *
 * The source writes and rolls shards when it pleases. A listing shows each shard as it is, or
 * as open when it was closed, or not at all; of two pages the first is older. What is appended
 * is committed, aborted, or lost with the program. Records of shards that may be read are
 * appended when it pleases the readers, a row of each item once after the begin, with the
 * item's version of that moment.
 *
 * A request pauses the table at any time, also between the decision that its snapshot ends and
 * the record that says so, and another one ends the pause once it is committed.
 *
 * Assumed: a listing that lies is followed by a true one before a doubt becomes a gap. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MODEL_SHARDS 5
#define MODEL_ITEMS 2
#define MODEL_SCRIPT 12

enum model_event_kind {
    MODEL_END,
    MODEL_WRITE, /* of `item` into `shard` */
    MODEL_ROLL,  /* `shard` is closed; the shards that have it for a parent are there */
};

struct model_event {
    enum model_event_kind kind;
    int shard;
    int item;
};

struct model_case {
    int shards;
    int parent[MODEL_SHARDS]; /* -1: none */
    int items;
    struct model_event script[MODEL_SCRIPT];
    int begun;        /* of the script has happened before the program starts */
    int lies;         /* listings that are not what the stream is */
    bool never_stale; /* they lack shards, but show none as open that was closed */
    int faults;       /* aborts and crashes */
    int days;         /* tombstones */
    int first_page;   /* shards on the first of two pages; 0: one page */
    bool gap_ends;    /* a gap may be the end of a wrong order */
    bool records;     /* the table's own record goes its way too */
    int pauses;       /* requests to pause the table; each is ended by another one */
    bool backwards;   /* shards come from the ledger in another order */
};

struct model_outcome {
    uint32_t states;
    size_t steps;
    size_t ends;
    bool wrong;     /* a rule was broken, or an item's last record is not the source's value */
    bool false_gap; /* a gap, though the listings came to what the stream is */
};

/* The way to what is wrong is printed when `tell` says so. */
struct model_outcome table_model_run(const struct model_case *c, bool tell);
