#include "status/proof.h"

#include <inttypes.h>
#include <string.h>

#include "common/base/time_text.h"
#include "status/applied.h"

static enum proof missing(enum proof verdict, struct buf *out, const char *text)
{
    buf_bytes(out, bytes_of(text));
    return verdict;
}

/* ---- the producer ---- */

static enum proof proof_of_phase(const struct bridge_table *table, struct buf *out)
{
    const struct ledger_table *record = &table->record;

    if (!table->has_record)
        return missing(PROOF_WAIT, out, "no producer has begun it");
    switch (record->phase) {
    case PHASE_TAIL:
        return PROOF_HELD;
    case PHASE_SNAPSHOT:
        return missing(PROOF_WAIT, out, "its snapshot has not ended");
    case PHASE_GAP:
        if (record->renew)
            return missing(PROOF_WAIT, out, "it has a gap, and is copied again");
        break;
    default:
        break;
    }
    buf_printf(out, "it is halted in phase %s: %s", ledger_phase_name(record->phase),
               record->reason);
    return PROOF_NEVER;
}

/* A shard that was read to its end goes on in others. */
static bool goes_on(const struct bridge_table *table, const struct ledger_shard *shard)
{
    for (size_t i = 0; i < table->shard_count; i++)
        if (strcmp(table->shards[i].parent, shard->id) == 0)
            return true;
    return false;
}

static const struct ledger_shard *end_without_child(const struct bridge_table *table)
{
    for (size_t i = 0; i < table->shard_count; i++)
        if (table->shards[i].status == SHARD_DONE && !goes_on(table, &table->shards[i]))
            return &table->shards[i];
    return NULL;
}

static enum proof proof_of_list(const struct bridge_table *table, int64_t before_ms,
                                struct buf *out)
{
    if (table->record.listed_ms >= before_ms)
        return PROOF_HELD;
    return missing(PROOF_ASK, out, "its shards have not been listed since then");
}

/* A child that was not read yet has its parent's: it says nothing of what the child holds. What
 * was adopted has the begin of a copy, which holds all that is older. */
static bool is_own_time(const struct ledger_shard *shard)
{
    return shard->adopted || shard->status == SHARD_IN_PROCESSING;
}

static enum proof proof_of_shards(const struct bridge_table *table, int64_t before_ms,
                                  struct buf *out)
{
    const struct ledger_shard *oldest = NULL, *closed = end_without_child(table);
    char time[TIME_TEXT_SIZE];
    size_t behind = 0;

    if (table->shard_count == 0)
        return missing(PROOF_ASK, out, "no shard of its stream is known");
    if (closed) {
        buf_printf(out, "the shard that follows %s is not listed yet", closed->id);
        return PROOF_ASK;
    }
    for (size_t i = 0; i < table->shard_count; i++) {
        const struct ledger_shard *shard = &table->shards[i];

        if (!bridge_shard_is_open(shard) ||
            (is_own_time(shard) && shard->complete_to_ms > before_ms))
            continue;
        behind++;
        if (!oldest || shard->complete_to_ms < oldest->complete_to_ms)
            oldest = shard;
    }
    if (!oldest)
        return PROOF_HELD;
    time_text_write(time, oldest->complete_to_ms);
    buf_printf(out, "%zu shard%s not proven to be read so far: %s is read to %s", behind,
               behind == 1 ? " is" : "s are", oldest->id, time);
    return PROOF_ASK;
}

enum proof proof_of_log(const struct bridge_table *table, int64_t before_ms, bool is_strict,
                        struct buf *ret_why)
{
    enum proof verdict = proof_of_phase(table, ret_why);

    if (verdict == PROOF_HELD)
        verdict = proof_of_shards(table, before_ms, ret_why);
    return verdict == PROOF_HELD && is_strict ? proof_of_list(table, before_ms, ret_why)
                                              : verdict;
}

/* ---- the consumer ---- */

/* Behind the position there may be nothing but markers, but only up to the end of what is
 * committed. */
static bool is_applied_to(const struct bridge_table *table, int32_t partition, int64_t end)
{
    return applied_offset(table, partition) >= end || table->partitions[partition].first >= end;
}

static enum proof proof_of_partitions(const struct bridge_table *table, const int64_t *ends,
                                      struct buf *out)
{
    int64_t all = 0;
    int32_t behind = 0;

    for (int32_t p = 0; p < table->record.partitions; p++) {
        const struct bridge_partition *at = &table->partitions[p];
        int64_t lag = applied_lag(table, p);

        if (lag < 0)
            return missing(PROOF_UNKNOWN, out, "its positions or topic can't be read");
        if (is_applied_to(table, p, ends[p]) && at->position.found)
            continue;
        behind++;
        all += MAX(ends[p] - applied_offset(table, p), 0);
    }
    if (behind == 0)
        return PROOF_HELD;
    buf_printf(out, "%" PRId32 " partition%s not applied to the end: %" PRId64 " records left",
               behind, behind == 1 ? " is" : "s are", all);
    return PROOF_WAIT;
}

static enum proof proof_of_letters(const struct bridge *bridge,
                                   const struct bridge_table *table, struct buf *out)
{
    int64_t count = bridge_table_letters(table);

    if (!bridge->letters_known)
        return missing(PROOF_UNKNOWN, out, "the dead letters can't be read");
    if (count == 0)
        return PROOF_HELD;
    buf_printf(out, "%" PRId64 " dead letters are not handled (%s)", count,
               table->letters[0].reason);
    return PROOF_NEVER;
}

enum proof proof_of_target(const struct bridge *bridge, const struct bridge_table *table,
                           const int64_t *ends, struct buf *ret_why)
{
    enum proof verdict = proof_of_partitions(table, ends, ret_why);

    return verdict == PROOF_HELD ? proof_of_letters(bridge, table, ret_why) : verdict;
}
