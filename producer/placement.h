/* producer/placement.h - in which ledger partition each table's records are, and what has to
 * change: new tables get a place, those that are gone for good lose theirs.
 *
 * A place never moves. A table that is gone is forgotten when it was not listed for long
 * enough, or when its record says that somebody asked for it. That takes three steps, each
 * written by the only owner that may: its place is marked (by the owner of partition 0, who
 * places tables), its records are removed (by the owner of its partition), its place is removed
 * (partition 0 again). So there are never records without a place, and a table that comes back
 * begins with nothing. Of one thread. */
#pragma once

#include "common/messages/ledger_cache.h"
#include "producer/halted.h"
#include "producer/name_map.h"

struct placed {
    char *table;
    struct ledger_place place;
};

struct placement { /* in the order of the ledger */
    struct placed *all;
    size_t count;
    struct name_map by_name; /* -> index */
};

void placement_read(struct placement *ret, struct ledger_cache *cache);
void placement_release(struct placement *places);

/* ---- what has to change ---- */

struct placement_change {
    char *table;
    struct ledger_place place;
    bool remove; /* the place goes */
};

struct placement_changes {
    struct placement_change *all;
    size_t count;
    bool postponed; /* new tables wait until it is known who carries what */
};

struct placement_asked {
    const struct config *config;
    struct ledger_cache *cache;
    char *const *names; /* all tables of the source, sorted */
    size_t count;
    bool alone;            /* there are no other owners: ignore what they recorded */
    bool may_postpone;     /* new tables may wait for owners that recorded nothing yet */
    struct name_map *gone; /* since when tables that are gone were not listed; the caller's */
    int64_t now_ms;        /* monotonic */
    int64_t forget_after_ms;
    struct halted *halted; /* receives the tables that can't be placed */
};

void placement_decide(struct placement_changes *ret, const struct placement_asked *asked);
void placement_changes_release(struct placement_changes *changes);
