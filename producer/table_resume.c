#include "producer/table_resume.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/run/log.h"
#include "producer/segment_reader.h"
#include "producer/start_trouble.h"
#include "producer/topic_search.h"

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
    struct loading *l = arg;
    struct ledger_segment s = {0};

    (void)rest;
    (void)partition;
    if (ledger_segment_decode(&s, value, &l->err) < 0)
        l->failed = true;
    else
        table_state_load_segment(&l->w->appended, &s);
}

static void load_shard(void *arg, struct bytes rest, struct bytes value, int32_t partition)
{
    struct loading *l = arg;
    struct ledger_shard s = {0};

    (void)rest;
    (void)partition;
    if (ledger_shard_decode(&s, value, &l->err) < 0)
        l->failed = true;
    else
        table_state_load_shard(&l->w->appended, &s);
}

static int load_records(struct table_worker *w, struct error *err)
{
    AUTO(free_charp) char *segments = xasprintf("segment/%s/", w->table);
    AUTO(free_charp) char *shards = xasprintf("shard/%s/", w->table);
    struct loading l = {.w = w};

    ledger_cache_each(w->p->cache, segments, load_segment, &l);
    ledger_cache_each(w->p->cache, shards, load_shard, &l);
    table_state_loaded(&w->appended);
    if (!l.failed)
        return 0;
    *err = l.err;
    return error_prefix(err, "the ledger");
}

/* A crash right after the begin: its offsets are in the log only. */
static int find_begin_offsets(struct table_worker *w, int64_t **ret, struct error *err)
{
    const struct ledger_table *t = &w->known;
    int64_t *offsets = xcalloc((size_t)w->partitions, sizeof(*offsets));

    if (topic_search_begin(offsets, w->p->config, w->topic, w->partitions, t->generation,
                           t->started_ms - 60000, err) < 0) {
        free(offsets);
        return -1;
    }
    *ret = offsets;
    return 0;
}

/* 1: what the ledger knows of the topic is there. 0: it is another log. */
static int check_log(struct table_worker *w, int64_t **found, struct error *err)
{
    const struct ledger_table *t = &w->known;
    bool is_same;

    if (!t->begin_offsets) {
        if (find_begin_offsets(w, found, err) == 0)
            return 1;
        return err->kind == ERR_DATA ? 0 : -1;
    }
    if (topic_search_is_same(&is_same, w->p->config, w->topic, w->partitions, t->begin_offsets,
                             t->generation, t->log_id, err) < 0)
        return -1;
    return is_same;
}

static void log_resume(const struct table_worker *w)
{
    const struct table_state *s = &w->appended;

    log_info("table resumed",
             "table=%s generation=%" PRId64 " phase=%s segments=%" PRId64 "/%" PRId64
             " shards=%u",
             w->table, s->now.generation, ledger_phase_name(s->now.phase), s->segments_done,
             s->segment_count, shard_tree_count(&s->tree));
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
    int same = check_log(w, &found, &err);

    if (same < 0)
        return start_trouble_retry(w, "its topic can't be looked at", &err);
    if (same == 0)
        return start_trouble_doubt(w, PHASE_GAP,
                                   "the data topic was made anew, or lost its end");
    key_schema_release(&w->schema);
    key_schema_copy(&w->schema, &w->known.key_schema);
    if (!w->topic_handle)
        w->topic_handle = topic_writer_topic(w->writer, w->topic);
    return table_resume_load(w, &found, &err) < 0
               ? start_trouble_retry(w, "it can't go on", &err)
               : 0;
}
