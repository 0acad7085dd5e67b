#include "producer/table_resume.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/run/log.h"
#include "producer/segment_reader.h"
#include "producer/start_trouble.h"
#include "producer/table_topic.h"

static void free_found(int64_t **offsets)
{
    free(*offsets);
}

struct loading {
    struct table_worker *w;
    struct error err;
    bool failed;
};

static void load_segment(void *arg, struct bytes rest, struct bytes value, int32_t partition)
{
    struct loading *loading = arg;
    struct ledger_segment segment_record = {0};

    (void)rest;
    (void)partition;
    if (ledger_segment_decode(&segment_record, value, &loading->err) < 0)
        loading->failed = true;
    else
        table_state_load_segment(&loading->w->appended, &segment_record);
}

static void load_shard(void *arg, struct bytes rest, struct bytes value, int32_t partition)
{
    struct loading *loading = arg;
    struct ledger_shard shard_record = {0};

    (void)rest;
    (void)partition;
    if (ledger_shard_decode(&shard_record, value, &loading->err) < 0)
        loading->failed = true;
    else
        table_state_load_shard(&loading->w->appended, &shard_record);
}

static int load_records(struct table_worker *w, struct error *err)
{
    AUTO(free_charp) char *segments = xasprintf("segment/%s/", w->table);
    AUTO(free_charp) char *shards = xasprintf("shard/%s/", w->table);
    struct loading loading = {.w = w};

    ledger_cache_each(w->p->cache, segments, load_segment, &loading);
    ledger_cache_each(w->p->cache, shards, load_shard, &loading);
    table_state_loaded(&w->appended);
    if (!loading.failed)
        return 0;
    *err = loading.err;
    return error_prefix(err, "the ledger");
}

static void log_resume(const struct table_worker *w)
{
    const struct table_state *state = &w->appended;

    log_info("table resumed",
             "table=%s generation=%" PRId64 " phase=%s segments=%" PRId64 "/%" PRId64
             " shards=%u",
             w->table, state->now.generation, ledger_phase_name(state->now.phase),
             state->segments_done, state->segment_count, shard_tree_count(&state->tree));
}

int table_resume_load(struct table_worker *w, int64_t **found, struct error *err)
{
    AUTO_LOCK(&w->lock);
    if (*found) {
        free(w->begin_offsets);
        w->begin_offsets = TAKE(*found);
    }
    w->begin_delivered = w->known.begin_offsets == NULL;
    table_state_resume(&w->appended, w->reader_free);
    if (load_records(w, err) < 0)
        return -1;
    segment_reader_make_all(w);
    w->adoption_committed = true;
    w->scan_confirmed = false;
    table_worker_set_state(w, WORKER_RUNNING);
    log_resume(w);
    return 0;
}

int64_t table_resume(struct table_worker *w)
{
    AUTO(free_found) int64_t *found = NULL;
    struct error err = {0};
    bool same;

    if (table_topic_is_same_log(w, &same, &found, &err) < 0)
        return start_trouble_retry(w, "its topic can't be looked at", &err);
    if (!same)
        return start_trouble_doubt(w, PHASE_GAP, START_OTHER_LOG);
    key_schema_release(&w->schema);
    key_schema_copy(&w->schema, &w->known.key_schema);
    topic_writer_note_ends(w->writer, &w->member, found ? found : w->known.begin_offsets,
                           w->known.partitions);
    if (!w->topic_handle)
        w->topic_handle = topic_writer_topic(w->writer, w->topic);
    return table_resume_load(w, &found, &err) < 0
               ? start_trouble_retry(w, "it can't go on", &err)
               : 0;
}
