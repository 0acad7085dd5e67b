#include "producer/shard_tip.h"

#include "common/base/mutation.h"

void shard_tip_answer(struct shard_tip *tip, int64_t records, int64_t source_ms,
                      int64_t asked_ms, int64_t mono_ms)
{
    if (records > 0) {
        *tip = (struct shard_tip){.young = source_ms >= asked_ms - TIP_RECORD_MS};
        return;
    }
    if (tip->quiet_ms == 0)
        tip->quiet_ms = mono_ms;
    if (tip->idle_ms == 0)
        tip->idle_ms = mono_ms;
    tip->proven = tip->young || mono_ms - tip->quiet_ms >= TIP_QUIET_MS || MUTATED(unproven);
}

int64_t shard_tip_complete_to(int64_t asked_ms)
{
    return asked_ms - TIP_DELAY_MS;
}

void shard_tip_chain_ends(struct shard_tip *tip)
{
    *tip = (struct shard_tip){.idle_ms = tip->idle_ms};
}
