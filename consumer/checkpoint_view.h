/* consumer/checkpoint_view.h - keeps checkpoint.db up to date, where scripts written for
 * NimoShake look: a collection per table with a document per shard, and status_table.
 *
 * A thread of its own, every few seconds. What it shows is what the target holds
 * (checkpoint_cut.h), so it is behind the ledger and never ahead of the target. Nobody here
 * reads it, and whatever becomes of it nothing else waits: a refused or failed write is a line
 * in the log, a metric and another try, later each time.
 *
 * One consumer of the group writes it, for all tables: the owner of partition 0 of the first
 * one by name. Two may believe so for a moment, and write something older over something newer:
 * it is compared again within half a minute. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/config/config.h"
#include "common/messages/ledger_cache.h"
#include "common/mongo/mongo_target.h"

struct checkpoint_view;

struct checkpoint_view_setup { /* all borrowed for the view's life */
    const struct config *config;
    const struct mongo_target *target;
    struct ledger_cache *ledger;
    /* Is partition 0 of the topic assigned to this consumer? Called without a lock. */
    bool (*owns_first)(void *arg, const char *topic);
    void *arg;
};

/* NULL: checkpoint.db is empty. */
struct checkpoint_view *checkpoint_view_new(const struct checkpoint_view_setup *setup);
/* false: after timeout_ms it still waits for an answer: nothing may be freed. */
bool checkpoint_view_stop(struct checkpoint_view *view, int64_t timeout_ms);
/* After checkpoint_view_stop; NULL is fine, here and there. */
void checkpoint_view_free(struct checkpoint_view *view);
