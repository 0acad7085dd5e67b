#include "support_table_model_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const model_shard_ids[MODEL_SHARDS] = {"s0", "s1", "s2", "s3", "s4"};

signed char model_number(const char *id)
{
    return (signed char)(id[1] - '0');
}

char *model_text(int sequence)
{
    return sequence ? xasprintf("%d", sequence) : xstrdup("");
}

/* ---- the source ---- */

static bool has_happened(const struct model_state *s, const struct model_case *c, int kind,
                         int shard)
{
    for (int i = 0; i < s->script; i++)
        if (c->script[i].kind == (enum model_event_kind)kind && c->script[i].shard == shard)
            return true;
    return false;
}

bool model_is_closed(const struct model_state *s, const struct model_case *c, int shard)
{
    return has_happened(s, c, MODEL_ROLL, shard);
}

bool model_exists(const struct model_state *s, const struct model_case *c, int shard)
{
    return !s->shards[shard].trimmed &&
           (c->parent[shard] < 0 || model_is_closed(s, c, c->parent[shard]));
}

int model_version(const struct model_state *s, const struct model_case *c, int item)
{
    int n = 0;

    for (int i = 0; i < s->script; i++)
        n += c->script[i].kind == MODEL_WRITE && c->script[i].item == item;
    return n;
}

/* Its record after so many; false: there is none yet. */
bool model_record(const struct model_state *s, const struct model_case *c, int shard, int after,
                  int *ret_item, int *ret_version)
{
    int versions[MODEL_ITEMS] = {0};

    for (int i = 0; i < s->script; i++) {
        const struct model_event *e = &c->script[i];

        if (e->kind != MODEL_WRITE)
            continue;
        versions[e->item]++;
        if (e->shard != shard || after-- > 0)
            continue;
        *ret_item = e->item;
        *ret_version = versions[e->item];
        return true;
    }
    return false;
}

/* ---- a state, and the real one ---- */

static enum ledger_phase phase_of(const struct model_record *from)
{
    if (from->paused)
        return PHASE_PAUSED;
    return from->ended ? PHASE_TAIL : PHASE_SNAPSHOT;
}

void model_table_record(struct ledger_table *t, const struct model_record *from)
{
    *t = (struct ledger_table){
        .table = xstrdup("t"),
        .topic = xstrdup("dynaferry.t"),
        .phase = phase_of(from),
        .reason = xstrdup(""),
        .generation = 1,
        .table_id = xstrdup("id"),
        .stream_arn = xstrdup("arn"),
        .partitions = 1,
        .log_id = xstrdup("log"),
        .rows = true,
        .started_ms = 1,
        .finished_ms = from->ended ? 2 : 0,
        .signal_offset = -1,
    };
    if (from->offsets)
        t->begin_offsets = xcalloc(1, sizeof(*t->begin_offsets));
}

void model_blank_record(struct ledger_table *t)
{
    model_table_record(t, &(struct model_record){0});
    t->generation = 0;
}

struct ledger_shard model_ledger_shard(const struct model_case *c, int shard,
                                       const struct position *p)
{
    return (struct ledger_shard){
        .generation = 1,
        .id = xstrdup(model_shard_ids[shard]),
        .parent = xstrdup(c->parent[shard] < 0 ? "" : model_shard_ids[c->parent[shard]]),
        .status = (enum shard_status)p->status,
        .sequence = model_text(p->sequence),
        .adopted = p->adopted,
    };
}

static void build_shard(struct shard_tree *t, const struct model_case *c,
                        const struct model_shard *from, int shard)
{
    struct ledger_shard s = model_ledger_shard(c, shard, &from->now);
    struct tree_shard *to;

    if (from->recorded)
        shard_tree_load(t, &s);
    else
        shard_tree_add(t, &s);
    to = shard_tree_find(t, model_shard_ids[shard]);
    to->recorded_committed = from->recorded_committed;
    to->committed.status = (enum shard_status)from->committed.status;
    free(to->committed.sequence);
    to->committed.sequence = model_text(from->committed.sequence);
    to->reader = from->started ? t : NULL;
    if (from->dirty)
        shard_recorded(t, to);
    if (from->forgotten)
        shard_forgotten(t, to);
}

static void build_tree(struct shard_tree *t, const struct model_case *c,
                       const struct model_state *s)
{
    for (int place = 1; place <= c->shards; place++)
        for (int i = 0; i < c->shards; i++)
            if (s->shards[i].place == place)
                build_shard(t, c, &s->shards[i], i);
    shard_tree_link(t);
    t->listed = s->listed;
}

static void build_segments(struct table_state *t, const struct model_case *c,
                           const struct model_state *s)
{
    t->segments = xcalloc((size_t)c->items, sizeof(*t->segments));
    t->segment_count = c->items;
    for (int i = 0; i < c->items; i++) {
        t->segments[i].now = (struct ledger_segment){1, i, NULL, 0, 0, s->items[i].scanned};
        t->segments[i].committed = t->segments[i].now;
        t->segments[i].committed.done = s->items[i].scanned_committed;
        t->segments[i].dirty = s->items[i].scan_dirty;
        t->segments_done += s->items[i].scanned;
    }
}

void model_build(struct table_state *t, const struct model_case *c, const struct model_state *s)
{
    struct model_record now = {s->offsets, s->ended, s->paused};
    struct model_record committed = {s->offsets_committed, s->ended_committed,
                                     s->paused_committed};
    struct ledger_table record;

    if (s->stage >= RUNNING)
        model_table_record(&record, &committed);
    else
        model_blank_record(&record);
    record.segments = c->items;
    table_state_init(t, &record);
    if (s->stage == STARTING)
        return;
    ledger_table_release(&t->now);
    model_table_record(&t->now, &now);
    t->now.segments = c->items;
    t->dirty = s->record_dirty;
    t->record_due = t->record_due_committed = s->record_due;
    t->generation_loaded = 1;
    build_segments(t, c, s);
    build_tree(&t->tree, c, s);
}

static void keep_shard(struct model_shard *to, const struct tree_shard *from, int place)
{
    to->place = (signed char)place;
    to->recorded = from->recorded;
    to->recorded_committed = from->recorded_committed;
    to->forgotten = from->forgotten;
    to->dirty = from->dirty;
    to->started = from->reader != NULL;
    to->now.there = 1;
    to->now.status = (signed char)from->now.status;
    to->now.sequence = (signed char)atoi(from->now.sequence);
    to->now.adopted = from->now.adopted;
    to->committed = to->now;
    to->committed.status = (signed char)from->committed.status;
    to->committed.sequence = (signed char)atoi(from->committed.sequence);
}

/* Takes t. */
void model_keep(struct model_state *s, const struct model_case *c, struct table_state *t)
{
    struct tree_shard *shard;
    int place = 0;

    for (int i = 0; i < c->shards; i++) {
        struct model_shard was = s->shards[i];

        s->shards[i] = (struct model_shard){
            .ledger = was.ledger, .open = was.open, .trimmed = was.trimmed, .page = was.page};
    }
    for (shard = t->tree.shards; shard; shard = shard->hh.next)
        keep_shard(&s->shards[model_number(shard->now.id)], shard, ++place);
    for (int i = 0; i < c->items && t->segment_count > 0; i++) {
        s->items[i].scanned = t->segments[i].now.done;
        s->items[i].scanned_committed = t->segments[i].committed.done;
        s->items[i].scan_dirty = t->segments[i].dirty;
    }
    s->listed = t->tree.listed;
    s->offsets = t->now.begin_offsets != NULL;
    s->offsets_committed = t->committed.begin_offsets != NULL;
    s->ended = t->now.finished_ms > 0;
    s->ended_committed = t->committed.finished_ms > 0;
    s->paused = t->now.phase == PHASE_PAUSED;
    s->paused_committed = t->committed.phase == PHASE_PAUSED;
    s->record_dirty = t->dirty;
    s->record_due = t->record_due;
    table_state_release(t, NULL);
}

/* ---- what goes wrong ---- */

void model_broken(struct model *m, const char *why)
{
    if (m->bad != SEARCH_NOBODY)
        return;
    m->outcome.wrong = true;
    m->why = why;
}

void model_add(struct model *m, const struct model_state *s)
{
    uint32_t count = m->search.count;

    m->moved = m->moved || memcmp(s, search_state(&m->search, m->search.at), sizeof(*s)) != 0;
    search_add(&m->search, s);
    if (m->why && m->bad == SEARCH_NOBODY)
        m->bad = m->search.count > count ? count : m->search.at;
}

void model_gap(struct model *m, struct model_state *s)
{
    if (!m->outcome.false_gap)
        m->gap = m->search.at;
    m->outcome.false_gap = true;
    s->stage = STANDING;
}

/* ---- telling ---- */

static void tell_shard(const struct model_state *s, const struct model_case *c, int i)
{
    static const char *const words[] = {"not process",   "no need",     "prepare",
                                        "in processing", "wait father", "done"};
    const struct model_shard *shard = &s->shards[i];

    if (!shard->place && !shard->page && !model_exists(s, c, i))
        return;
    printf(" %s%s[", model_shard_ids[i], model_is_closed(s, c, i) ? "" : " open");
    if (shard->place)
        printf("%s %d%s%s%s", words[shard->now.status], shard->now.sequence,
               shard->now.adopted ? " adopted" : "", shard->recorded ? "" : " unrecorded",
               shard->dirty ? " dirty" : "");
    if (shard->ledger.there)
        printf(", ledger: %s %d", words[shard->ledger.status], shard->ledger.sequence);
    printf("]");
}

static void tell_state(const struct model *m, uint32_t number)
{
    static const char *const stages[] = {"starting", "adopting", "running",
                                         "halted",   "resuming", "standing"};
    const struct model_state *s = search_state(&m->search, number);

    printf("  %s%s%s%s%s%s, script %d, lies %d, faults %d:", stages[s->stage],
           s->paused ? " paused" : "", s->ending ? " ending" : "", s->ended ? " ended" : "",
           s->listed ? " listed" : "", s->paged ? " paged" : "", s->script, s->lies, s->faults);
    for (int i = 0; i < m->c->shards; i++)
        tell_shard(s, m->c, i);
    for (int i = 0; i < m->c->items; i++)
        printf(" item %d: %d of %d%s", i, s->items[i].value, model_version(s, m->c, i),
               s->items[i].scanned ? "" : " unscanned");
    printf("\n");
}

void model_tell_way(const struct model *m, uint32_t number)
{
    if (m->search.from[number] != SEARCH_NOBODY)
        model_tell_way(m, m->search.from[number]);
    tell_state(m, number);
}
