/* producer/owner_view.h - what the ledger's places mean for this instance: which tables it
 * carries and which it forgets, per ledger partition. Of the owner's thread. */
#pragma once

#include "common/run/health.h"
#include "producer/halted.h"
#include "producer/producer.h"

struct view_partition {
    char **tables; /* to carry */
    size_t count;
    char **forgotten;
    size_t forgotten_count;
    bool announce; /* the ledger does not say yet that we carry it with our filters */
};

struct owner_view {
    struct view_partition *partitions;
    int32_t count;
    size_t unplaced; /* tables that passed our filters at the start and have no place */
    char *unplaced_first;
};

/* assigned: one per partition; NULL while it is not known what is ours. Puts tables that are
 * placed and can't be carried into halted: because of their names, or because another instance
 * owns their partition and its filters leave them out. */
void owner_view_read(struct owner_view *ret, struct producer *p, const bool *assigned,
                     struct halted *halted);
/* The part "placement" of /healthz, kept by the caller (NULL at first): stuck when we want a
 * table that has no place, and own no partition in which we could announce that. */
void owner_view_tell_unplaced(struct health **part, const struct owner_view *view,
                              const struct config *c, bool owns_any);
void owner_view_release(struct owner_view *view);
