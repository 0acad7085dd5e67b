/* consumer/checkpoint_cut.h - what the ledger said of a table at one moment, and whether the
 * target holds all of it.
 *
 * A shard's position in the ledger is committed together with its records, but these are spread
 * over all partitions of the topic, and the target may be far behind. So a cut takes the shards
 * first, and then the ends of the partitions, open transactions included (their markers reach
 * the partitions one after another). Once each partition is applied to its end, what the shards
 * said then is true of the target. Until then the former cut is. Pure. */
#pragma once

#include <bson/bson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/auto.h"
#include "common/messages/ledger.h"
#include "common/mongo/position_doc.h"

struct checkpoint_cut {
    int64_t generation;
    char *log_id;
    int32_t partitions;
    int64_t *ends; /* one per partition; NULL: not asked for yet */
    bool copied;   /* the snapshot had ended */
    bson_t **docs; /* of the shards, as checkpoint_doc_shard makes them */
    size_t count;
};

struct checkpoint_cut *checkpoint_cut_new(const struct ledger_table *table);
void checkpoint_cut_free(struct checkpoint_cut *cut);
DEFINE_FREEP(struct checkpoint_cut, checkpoint_cut_freep, checkpoint_cut_free)
void checkpoint_cut_add(struct checkpoint_cut *cut, const struct ledger_shard *shard,
                        const char *mark);

/* Of the same generation in the same log: only then its ends will be reached. */
bool checkpoint_cut_is_of(const struct checkpoint_cut *cut, const struct ledger_table *table);
/* Do both say the same, whenever they were made? */
bool checkpoint_cut_equal(const struct checkpoint_cut *cut, const struct checkpoint_cut *other);
/* positions: one per partition, as the target holds them. With ends. */
bool checkpoint_cut_is_applied(const struct checkpoint_cut *cut,
                               const struct position_doc *positions);

/* ---- all tables ---- */

/* Is the table one that is copied and followed, or about to be? Not one that does not exist any
 * more. */
bool checkpoint_cut_counts(const struct ledger_table *table);
/* Has its snapshot ended, or had it none? Not in a gap, or behind one, from which it is copied
 * again. */
bool checkpoint_cut_is_copied(const struct ledger_table *table);

struct checkpoint_census { /* of the tables that count */
    int tables;
    int uncopied; /* the ledger says so, or their last applied cut */
    int unknown;  /* the ledger says that they are copied, and nobody has seen yet that the
                     target holds it */
};

/* NimoShake's word for all tables together; NULL: it can't be told yet, so whatever was said
 * stays. */
const char *checkpoint_cut_status(const struct checkpoint_census *census);
