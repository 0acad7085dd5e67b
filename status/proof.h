/* status/proof.h - does the target hold everything that was written to a table before a time?
 *
 * It does when the snapshot has ended, each open shard was read past the time, the successor of
 * each closed one is known, each partition is applied to an end that was asked for after that,
 * with nothing to be applied again, and no dead letter waits. Then a shard's position was
 * committed with its records, before the end. Pure. */
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

/* before_ms: by the source's clock. What is missing is appended to ret_why. */
enum proof proof_of(const struct bridge *bridge, const struct bridge_table *table,
                    int64_t before_ms, struct buf *ret_why);
