#include "consumer/checkpoint_cut.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "consumer/checkpoint_doc.h"

struct checkpoint_cut *checkpoint_cut_new(const struct ledger_table *table)
{
    struct checkpoint_cut *cut = xcalloc(1, sizeof(*cut));

    cut->generation = table->generation;
    cut->log_id = xstrdup(table->log_id);
    cut->partitions = table->partitions;
    cut->copied = checkpoint_cut_is_copied(table);
    return cut;
}

void checkpoint_cut_free(struct checkpoint_cut *cut)
{
    if (!cut)
        return;
    for (size_t i = 0; i < cut->count; i++)
        bson_destroy(cut->docs[i]);
    free(cut->docs);
    free(cut->ends);
    free(cut->log_id);
    free(cut);
}

void checkpoint_cut_add(struct checkpoint_cut *cut, const struct ledger_shard *shard,
                        const char *mark)
{
    cut->docs = xrealloc(cut->docs, (cut->count + 1) * sizeof(bson_t *));
    cut->docs[cut->count++] = checkpoint_doc_shard(shard, mark);
}

bool checkpoint_cut_is_of(const struct checkpoint_cut *cut, const struct ledger_table *table)
{
    return cut->generation == table->generation && cut->partitions == table->partitions &&
           strcmp(cut->log_id, table->log_id) == 0;
}

bool checkpoint_cut_equal(const struct checkpoint_cut *cut, const struct checkpoint_cut *other)
{
    if (cut->generation != other->generation || cut->copied != other->copied ||
        cut->count != other->count || strcmp(cut->log_id, other->log_id) != 0)
        return false;
    for (size_t i = 0; i < cut->count; i++)
        if (!bson_equal(cut->docs[i], other->docs[i]))
            return false;
    return true;
}

/* What is to be applied again does not count. */
static int64_t applied(const struct position_doc *position)
{
    int64_t offset = position->offset;

    if (position->rewind != POSITION_NONE)
        offset = MIN(offset, position->rewind);
    if (position->again != POSITION_NONE)
        offset = MIN(offset, position->again);
    return offset;
}

bool checkpoint_cut_is_applied(const struct checkpoint_cut *cut,
                               const struct position_doc *positions)
{
    CHECK(cut->ends);
    for (int32_t p = 0; p < cut->partitions; p++)
        if (!positions[p].found || strcmp(positions[p].log_id, cut->log_id) != 0 ||
            applied(&positions[p]) < cut->ends[p])
            return false;
    return true;
}

bool checkpoint_cut_counts(const struct ledger_table *table)
{
    return table->phase != PHASE_GONE;
}

bool checkpoint_cut_is_copied(const struct ledger_table *table)
{
    if (table->renew)
        return false;
    switch (table->phase) {
    case PHASE_TAIL:
        return true;
    case PHASE_PAUSED:
    case PHASE_FAILED:
    case PHASE_GONE:
        return table->generation > 0 && (table->finished_ms > 0 || !table->rows);
    case PHASE_SNAPSHOT:
    case PHASE_GAP:
        break;
    }
    return false;
}

const char *checkpoint_cut_status(const struct checkpoint_census *census)
{
    if (census->tables == 0)
        return "";
    if (census->uncopied > 0)
        return "full_sync";
    return census->unknown > 0 ? NULL : "incr_sync";
}
