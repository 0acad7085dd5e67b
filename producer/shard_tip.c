#include "producer/shard_tip.h"

#include "common/base/mutation.h"

void shard_tip_answer(struct shard_tip *t, int64_t records, int64_t source_ms, int64_t asked_ms,
                      int64_t mono_ms)
{
    if (records > 0) {
        *t = (struct shard_tip){.young = source_ms >= asked_ms - TIP_RECORD_MS};
        return;
    }
    if (t->quiet_ms == 0)
        t->quiet_ms = mono_ms;
    if (t->idle_ms == 0)
        t->idle_ms = mono_ms;
    t->proven = t->young || mono_ms - t->quiet_ms >= TIP_QUIET_MS || MUTATED(unproven);
}

void shard_tip_chain_ends(struct shard_tip *t)
{
    *t = (struct shard_tip){.idle_ms = t->idle_ms};
}
