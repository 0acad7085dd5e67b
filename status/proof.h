/* status/proof.h - does the target hold everything that was written to a table before a time?
 *
 * It does when two things are so, the second looked at after the first:
 * - the log holds it: the snapshot has ended, all shards were listed after the time, each open
 *   one was read past it, and the successor of each closed one is known;
 * - the target holds the log: each partition is applied to an end that was asked for after the
 *   first was so, with nothing to be applied again, and no dead letter waits.
 *
 * A shard's position is committed with its records. So the end has to be the last offset of
 * all, open transactions included: their markers reach the partitions one after another. Pure.
 */
#pragma once

#include "common/base/bytes.h"
#include "status/bridge.h"

enum proof {
    PROOF_HELD,
    PROOF_ASK,     /* shards do not say that they were read so far: the owner can be asked */
    PROOF_WAIT,    /* it comes by itself */
    PROOF_NEVER,   /* not without a person: a halted table, dead letters */
    PROOF_UNKNOWN, /* something could not be read */
};

/* before_ms: by the source's clock. What is missing is appended to ret_why. Without is_strict
 * the last listing, which may be a minute old, is trusted. */
enum proof proof_of_log(const struct bridge_table *table, int64_t before_ms, bool is_strict,
                        struct buf *ret_why);
/* ends: one per partition, of an earlier look or this one (bridge_partition.high). */
enum proof proof_of_target(const struct bridge *bridge, const struct bridge_table *table,
                           const int64_t *ends, struct buf *ret_why);
