#include "support_table_model.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "producer/shard_listing.h"
#include "producer/table_state.h"
#include "support_search.h"

#define LONG_AFTER_MS (1000 * 3600 * 1000LL)
#define ALL (-1)

enum stage {
    STARTING,
    ADOPTING,
    RUNNING,
    STANDING, /* a gap */
};

enum view { /* of a shard in a listing */
    UNSEEN,
    SEEN_OPEN,
    SEEN_CLOSED,
};

struct position { /* of a shard, as the ledger has it */
    signed char there, status, sequence, adopted;
};

struct model_shard {
    signed char recorded, recorded_committed, forgotten, dirty, started, place;
    struct position now, committed; /* committed.there: unused */
    struct position ledger, open;   /* open.there: 0 not appended, 1 a record, 2 a tombstone */
    signed char trimmed;            /* the service has it no more */
    signed char page;               /* as the first page showed it */
};

struct model_item {
    signed char value, change; /* of the last record, of the last change */
    signed char value_committed, change_committed;
    signed char scanned, scanned_committed, scan_dirty;
};

struct state {
    signed char stage, script, lies, faults, days, paged, listed;
    signed char offsets, offsets_committed, ended, ended_committed, record_dirty, record_due;
    struct model_shard shards[MODEL_SHARDS];
    struct model_item items[MODEL_ITEMS];
};

struct model {
    const struct model_case *c;
    struct search search;
    struct model_outcome outcome;
    uint32_t bad; /* a state, or SEARCH_NOBODY */
    uint32_t gap; /* one before a gap */
    const char *why;
    bool moved; /* the visited state is not the end */
};

static const char *const shard_ids[MODEL_SHARDS] = {"s0", "s1", "s2", "s3", "s4"};

static signed char number_of(const char *id)
{
    return (signed char)(id[1] - '0');
}

static char *text_of(int sequence)
{
    return sequence ? xasprintf("%d", sequence) : xstrdup("");
}

/* ---- the source ---- */

static bool has_happened(const struct state *s, const struct model_case *c, int kind, int shard)
{
    for (int i = 0; i < s->script; i++)
        if (c->script[i].kind == (enum model_event_kind)kind && c->script[i].shard == shard)
            return true;
    return false;
}

static bool is_closed(const struct state *s, const struct model_case *c, int shard)
{
    return has_happened(s, c, MODEL_ROLL, shard);
}

static bool exists(const struct state *s, const struct model_case *c, int shard)
{
    return !s->shards[shard].trimmed &&
           (c->parent[shard] < 0 || is_closed(s, c, c->parent[shard]));
}

static int version(const struct state *s, const struct model_case *c, int item)
{
    int n = 0;

    for (int i = 0; i < s->script; i++)
        n += c->script[i].kind == MODEL_WRITE && c->script[i].item == item;
    return n;
}

/* Its record after so many; false: there is none yet. */
static bool record_of(const struct state *s, const struct model_case *c, int shard, int after,
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

static void table_record(struct ledger_table *t, bool offsets, bool ended)
{
    *t = (struct ledger_table){
        .table = xstrdup("t"),
        .topic = xstrdup("dynaferry.t"),
        .phase = ended ? PHASE_TAIL : PHASE_SNAPSHOT,
        .reason = xstrdup(""),
        .generation = 1,
        .table_id = xstrdup("id"),
        .stream_arn = xstrdup("arn"),
        .partitions = 1,
        .log_id = xstrdup("log"),
        .rows = true,
        .started_ms = 1,
        .finished_ms = ended ? 2 : 0,
        .signal_offset = -1,
    };
    if (offsets)
        t->begin_offsets = xcalloc(1, sizeof(*t->begin_offsets));
}

static void blank_record(struct ledger_table *t)
{
    table_record(t, false, false);
    t->generation = 0;
}

static struct ledger_shard ledger_shard_of(const struct model_case *c, int shard,
                                           const struct position *p)
{
    return (struct ledger_shard){
        .generation = 1,
        .id = xstrdup(shard_ids[shard]),
        .parent = xstrdup(c->parent[shard] < 0 ? "" : shard_ids[c->parent[shard]]),
        .status = (enum shard_status)p->status,
        .sequence = text_of(p->sequence),
        .adopted = p->adopted,
    };
}

static void build_shard(struct shard_tree *t, const struct model_case *c,
                        const struct model_shard *from, int shard)
{
    struct ledger_shard s = ledger_shard_of(c, shard, &from->now);
    struct tree_shard *to;

    if (from->recorded)
        shard_tree_load(t, &s);
    else
        shard_tree_add(t, &s);
    to = shard_tree_find(t, shard_ids[shard]);
    to->recorded_committed = from->recorded_committed;
    to->committed.status = (enum shard_status)from->committed.status;
    free(to->committed.sequence);
    to->committed.sequence = text_of(from->committed.sequence);
    to->reader = from->started ? t : NULL;
    if (from->dirty)
        shard_recorded(t, to);
    if (from->forgotten)
        shard_forgotten(t, to);
}

static void build_tree(struct shard_tree *t, const struct model_case *c, const struct state *s)
{
    for (int place = 1; place <= c->shards; place++)
        for (int i = 0; i < c->shards; i++)
            if (s->shards[i].place == place)
                build_shard(t, c, &s->shards[i], i);
    shard_tree_link(t);
    t->listed = s->listed;
}

static void build_segments(struct table_state *t, const struct model_case *c,
                           const struct state *s)
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

static void build(struct table_state *t, const struct model_case *c, const struct state *s)
{
    struct ledger_table record;

    if (s->stage >= RUNNING)
        table_record(&record, s->offsets_committed, s->ended_committed);
    else
        blank_record(&record);
    record.segments = c->items;
    table_state_init(t, &record);
    if (s->stage == STARTING)
        return;
    ledger_table_release(&t->now);
    table_record(&t->now, s->offsets, s->ended);
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
static void keep(struct state *s, const struct model_case *c, struct table_state *t)
{
    struct tree_shard *shard;
    int place = 0;

    for (int i = 0; i < c->shards; i++) {
        struct model_shard was = s->shards[i];

        s->shards[i] = (struct model_shard){
            .ledger = was.ledger, .open = was.open, .trimmed = was.trimmed, .page = was.page};
    }
    for (shard = t->tree.shards; shard; shard = shard->hh.next)
        keep_shard(&s->shards[number_of(shard->now.id)], shard, ++place);
    for (int i = 0; i < c->items && t->segment_count > 0; i++) {
        s->items[i].scanned = t->segments[i].now.done;
        s->items[i].scanned_committed = t->segments[i].committed.done;
        s->items[i].scan_dirty = t->segments[i].dirty;
    }
    s->listed = t->tree.listed;
    s->offsets = t->now.begin_offsets != NULL;
    s->offsets_committed = t->committed.begin_offsets != NULL;
    s->ended = t->now.phase == PHASE_TAIL;
    s->ended_committed = t->committed.phase == PHASE_TAIL;
    s->record_dirty = t->dirty;
    s->record_due = t->record_due;
    table_state_release(t, NULL);
}

/* ---- what goes wrong ---- */

static void broken(struct model *m, const char *why)
{
    if (m->bad != SEARCH_NOBODY)
        return;
    m->outcome.wrong = true;
    m->why = why;
}

static void add(struct model *m, const struct state *s)
{
    uint32_t count = m->search.count;

    m->moved = m->moved || memcmp(s, search_state(&m->search, m->search.at), sizeof(*s)) != 0;
    search_add(&m->search, s);
    if (m->why && m->bad == SEARCH_NOBODY)
        m->bad = m->search.count > count ? count : m->search.at;
}

static void gap(struct model *m, struct state *s)
{
    if (!m->outcome.false_gap)
        m->gap = m->search.at;
    m->outcome.false_gap = true;
    s->stage = STANDING;
}

/* ---- the ledger ---- */

static void ledger_append(struct state *s, const struct tree_shard *shard)
{
    s->shards[number_of(shard->now.id)].open =
        (struct position){1, (signed char)shard->now.status,
                          (signed char)atoi(shard->now.sequence), shard->now.adopted};
}

static void check_ledger(struct model *m, const struct state *s)
{
    for (int i = 0; i < m->c->shards; i++) {
        const struct model_shard *shard = &s->shards[i];
        int parent = m->c->parent[i];

        if (shard->ledger.there && !shard->ledger.adopted &&
            shard->ledger.status != SHARD_NO_NEED && parent >= 0 &&
            !s->shards[parent].ledger.there && !s->shards[parent].trimmed)
            broken(m, "the ledger has a shard, and not its parent");
        if (shard->place && shard->recorded_committed != shard->ledger.there)
            broken(m, "what is recorded is not what the ledger has");
        if (shard->place && shard->ledger.there &&
            (shard->committed.status != shard->ledger.status ||
             shard->committed.sequence != shard->ledger.sequence))
            broken(m, "what is committed is not what the ledger has");
    }
}

static void commit(struct model *m, struct state s)
{
    struct table_state t;

    build(&t, m->c, &s);
    table_state_committed(&t, 1, NULL);
    for (int i = 0; i < m->c->shards; i++) {
        if (s.shards[i].open.there)
            s.shards[i].ledger = s.shards[i].open;
        if (s.shards[i].open.there == 2)
            s.shards[i].ledger = (struct position){0};
        s.shards[i].open = (struct position){0};
    }
    for (int i = 0; i < m->c->items; i++) {
        s.items[i].value_committed = s.items[i].value;
        s.items[i].change_committed = s.items[i].change;
    }
    s.stage = MAX(s.stage, RUNNING);
    keep(&s, m->c, &t);
    check_ledger(m, &s);
    add(m, &s);
}

static void take_back(struct state *s, const struct model_case *c)
{
    for (int i = 0; i < c->shards; i++)
        s->shards[i].open = (struct position){0};
    for (int i = 0; i < c->items; i++) {
        s->items[i].value = s->items[i].value_committed;
        s->items[i].change = s->items[i].change_committed;
    }
}

static void abort_it(struct model *m, struct state s)
{
    struct table_state t;

    build(&t, m->c, &s);
    s.faults--;
    take_back(&s, m->c);
    if (table_state_aborted(&t, NULL))
        s.stage = STARTING;
    keep(&s, m->c, &t);
    add(m, &s);
}

static void load_shards(struct table_state *t, const struct model_case *c,
                        const struct state *s)
{
    for (int i = 0; i < c->shards; i++) {
        int shard = c->backwards ? c->shards - 1 - i : i;
        struct ledger_shard loaded;

        if (!s->shards[shard].ledger.there)
            continue;
        loaded = ledger_shard_of(c, shard, &s->shards[shard].ledger);
        table_state_load_shard(t, &loaded);
    }
}

/* The program ends, and another one goes on from the ledger as table_start.c does. */
static void crash(struct model *m, struct state s)
{
    struct ledger_table record;
    struct table_state t;

    s.faults--;
    s.paged = 0;
    for (int i = 0; i < m->c->shards; i++)
        s.shards[i].page = UNSEEN;
    take_back(&s, m->c);
    if (s.stage < RUNNING)
        blank_record(&record);
    else
        table_record(&record, s.offsets_committed, s.ended_committed);
    s.stage = s.stage < RUNNING ? STARTING : RUNNING;
    record.segments = m->c->items;
    table_state_init(&t, &record);
    if (s.stage == RUNNING) {
        table_state_resume(&t, NULL);
        for (int i = 0; i < m->c->items; i++) {
            struct ledger_segment seg = {1, i, NULL, 0, 0, s.items[i].scanned_committed};

            table_state_load_segment(&t, &seg);
        }
        load_shards(&t, m->c, &s);
        table_state_loaded(&t);
    } else {
        for (int i = 0; i < m->c->items; i++)
            s.items[i].scanned = s.items[i].scan_dirty = 0;
    }
    keep(&s, m->c, &t);
    add(m, &s);
}

/* ---- listings ---- */

static struct ddb_shard listed_shard(const struct model_case *c, int shard, bool open)
{
    int parent = c->parent[shard];

    return (struct ddb_shard){(char *)shard_ids[shard],
                              (char *)(parent < 0 ? "" : shard_ids[parent]), (char *)"1",
                              (char *)(open ? "" : "9")};
}

static void adopt(struct model *m, struct state s, const struct ddb_stream *stream)
{
    struct shard_tree tree = {0};
    struct ledger_table record;
    struct table_state t;

    build(&t, m->c, &s);
    shard_listing_adopt(&tree, stream, 1, 0, NULL);
    for (struct tree_shard *shard = tree.shards; shard; shard = shard->hh.next)
        ledger_append(&s, shard);
    table_record(&record, false, false);
    record.segments = m->c->items;
    table_state_adopt(&t, &record, &tree, NULL);
    s.stage = ADOPTING;
    keep(&s, m->c, &t);
    add(m, &s);
}

static void merge(struct model *m, struct state s, const struct ddb_stream *stream, bool whole,
                  bool is_true)
{
    struct listing_result found;
    struct table_state t;

    build(&t, m->c, &s);
    shard_listing_merge(&t.tree, stream, whole, 1, 0, &found);
    if (found.reversed || (is_true && whole && (found.orphan || found.stray)))
        gap(m, &s);
    keep(&s, m->c, &t);
    add(m, &s);
}

/* What one listing shows: views[i] of each shard. */
static void list(struct model *m, struct state s, const signed char *views, bool whole,
                 bool is_true)
{
    struct ddb_shard shards[MODEL_SHARDS];
    struct ddb_stream stream = {.status = "ENABLED", .shards = shards};

    for (int i = 0; i < m->c->shards; i++)
        if (views[i] != UNSEEN)
            shards[stream.shard_count++] = listed_shard(m->c, i, views[i] == SEEN_OPEN);
    s.paged = 0;
    for (int i = 0; i < m->c->shards; i++)
        s.shards[i].page = UNSEEN;
    if (s.stage == STARTING)
        adopt(m, s, &stream);
    else
        merge(m, s, &stream, whole, is_true);
}

static void first_page(struct model *m, struct state s, const signed char *views)
{
    bool moved = m->moved;

    s.paged = 1;
    for (int i = 0; i < m->c->first_page; i++)
        s.shards[i].page = views[i];
    add(m, &s);
    m->moved = moved;
}

static signed char true_view(const struct state *s, const struct model_case *c, int shard)
{
    if (!exists(s, c, shard))
        return UNSEEN;
    return is_closed(s, c, shard) ? SEEN_CLOSED : SEEN_OPEN;
}

struct listing {  /* a choice of what is shown */
    int from, to; /* the shards that are asked for */
    int below;    /* only the children of this one; ALL */
};

static void show(struct model *m, struct state s, const struct listing *l,
                 const signed char *views, bool is_true)
{
    signed char all[MODEL_SHARDS] = {0};

    s.lies -= !is_true;
    if (l->to < m->c->shards) {
        first_page(m, s, views);
        return;
    }
    for (int i = 0; i < m->c->shards; i++) {
        all[i] = i < l->from ? s.shards[i].page : views[i];
        is_true = is_true && (i >= l->from || all[i] == true_view(&s, m->c, i));
    }
    list(m, s, all, l->below == ALL, is_true);
}

/* Every choice of views for the shards from `at`. */
static void choose(struct model *m, const struct state *s, const struct listing *l, int at,
                   signed char *views, bool is_true)
{
    if (at == l->to) {
        if (is_true || s->lies > 0)
            show(m, *s, l, views, is_true);
        return;
    }
    views[at] = UNSEEN;
    if (!exists(s, m->c, at) || (l->below != ALL && m->c->parent[at] != l->below)) {
        choose(m, s, l, at + 1, views, is_true);
        return;
    }
    views[at] = true_view(s, m->c, at);
    choose(m, s, l, at + 1, views, is_true);
    if (s->lies == 0 || (s->stage != STARTING && s->shards[at].place))
        return; /* what is known is not looked at */
    views[at] = UNSEEN;
    choose(m, s, l, at + 1, views, false);
    if (!is_closed(s, m->c, at) || m->c->never_stale)
        return;
    views[at] = SEEN_OPEN;
    choose(m, s, l, at + 1, views, false);
}

static void look(struct model *m, const struct state *s)
{
    struct listing l = {0, m->c->shards, ALL};
    signed char views[MODEL_SHARDS] = {0};

    if (s->paged)
        l.from = m->c->first_page;
    choose(m, s, &l, l.from, views, true);
    if (m->c->first_page && !s->paged) {
        l.to = m->c->first_page;
        choose(m, s, &l, 0, views, true);
    }
    for (int i = 0; i < m->c->shards && s->stage == RUNNING && !s->paged; i++) {
        struct listing children = {0, m->c->shards, i};

        if (s->shards[i].place &&
            (s->shards[i].now.status == SHARD_DONE || s->shards[i].now.status == SHARD_NO_NEED))
            choose(m, s, &children, 0, views, true);
    }
}

/* ---- the table's steps ---- */

static void row(struct model *m, struct state s, int item)
{
    struct table_state t;

    build(&t, m->c, &s);
    t.segments[item].now.done = true;
    table_state_segment_recorded(&t, item);
    s.items[item].value = (signed char)version(&s, m->c, item);
    keep(&s, m->c, &t);
    add(m, &s);
}

static void record(struct model *m, struct state s)
{
    struct table_state t;

    build(&t, m->c, &s);
    if (!t.now.begin_offsets)
        t.now.begin_offsets = xcalloc(1, sizeof(*t.now.begin_offsets));
    if (table_state_all_scanned(&t)) {
        t.now.phase = PHASE_TAIL;
        t.now.finished_ms = 2;
    }
    table_state_recorded(&t);
    keep(&s, m->c, &t);
    add(m, &s);
}

static void append_unrecorded(struct model *m, struct state s, int at_once)
{
    struct tree_shard *shard;
    struct table_state t;

    build(&t, m->c, &s);
    while (at_once-- > 0 && (shard = shard_tree_unrecorded(&t.tree))) {
        ledger_append(&s, shard);
        shard_recorded(&t.tree, shard);
    }
    keep(&s, m->c, &t);
    add(m, &s);
}

static void check_parent(struct model *m, const struct state *s, int shard)
{
    int parent = m->c->parent[shard];

    if (s->shards[shard].now.adopted || parent < 0 || s->shards[parent].trimmed)
        return;
    if (!s->shards[parent].place)
        broken(m, "a shard is read, and its parent is not known");
    else if (s->shards[parent].now.status != SHARD_DONE &&
             s->shards[parent].now.status != SHARD_NO_NEED)
        broken(m, "a shard is read before its parent");
}

/* A record, the end, or the word that there is nothing. */
static void read_shard(struct model *m, struct state s, int number)
{
    struct table_state t;
    struct tree_shard *shard;
    int item, new_version, sequence = s.shards[number].now.sequence;

    build(&t, m->c, &s);
    shard = shard_tree_find(&t.tree, shard_ids[number]);
    if (!shard_is_ready(&t.tree, shard)) {
        table_state_release(&t, NULL);
        return;
    }
    check_parent(m, &s, number);
    shard->reader = &t;
    if (record_of(&s, m->c, number, sequence, &item, &new_version)) {
        AUTO(free_charp) char *text = text_of(sequence + 1);

        if (new_version <= s.items[item].change)
            broken(m, "a change stands behind a later one");
        s.items[item].value = s.items[item].change = (signed char)new_version;
        shard_advance(&t.tree, shard, bytes_of(text), 1, 0, 0);
    } else if (is_closed(&s, m->c, number)) {
        shard_finish(&t.tree, shard, 0);
    } else if (shard->recorded && shard->now.status == SHARD_IN_PROCESSING) {
        table_state_release(&t, NULL); /* that was said */
        return;
    } else {
        shard_idle(&t.tree, shard, 0, 0);
    }
    ledger_append(&s, shard);
    keep(&s, m->c, &t);
    add(m, &s);
}

/* Two days later, by which time every listing is true and the service has forgotten it too. */
static void forget(struct model *m, struct state s)
{
    struct table_state t;
    struct tree_shard *shard;

    build(&t, m->c, &s);
    shard = shard_tree_forgettable(&t.tree, LONG_AFTER_MS);
    if (shard) {
        int number = number_of(shard->now.id);

        s.days--;
        shard_forgotten(&t.tree, shard);
        s.shards[number].open = (struct position){.there = 2};
        for (; number >= 0; number = m->c->parent[number])
            s.shards[number].trimmed = 1;
    }
    keep(&s, m->c, &t);
    add(m, &s);
}

/* ---- all of them ---- */

static bool anything_is_open(const struct state *s, const struct model_case *c)
{
    bool open = s->stage == ADOPTING || s->record_dirty;

    for (int i = 0; i < c->shards; i++)
        open = open || s->shards[i].dirty || s->shards[i].open.there;
    for (int i = 0; i < c->items; i++)
        open = open || s->items[i].scan_dirty;
    return open;
}

static bool record_is_due(const struct state *s, const struct model_case *c)
{
    bool scanned = true;

    for (int i = 0; i < c->items; i++)
        scanned = scanned && s->items[i].scanned;
    return !s->offsets || s->record_due || (scanned && !s->ended);
}

static void run_steps(struct model *m, const struct state *s)
{
    for (int i = 0; i < m->c->items; i++)
        if (!s->items[i].scanned)
            row(m, *s, i);
    if (record_is_due(s, m->c))
        record(m, *s);
    for (int at_once = 1; at_once <= 2; at_once++)
        append_unrecorded(m, *s, at_once);
    for (int i = 0; i < m->c->shards; i++)
        if (s->shards[i].place)
            read_shard(m, *s, i);
}

static bool is_read(const struct state *s, const struct model_case *c, int shard)
{
    int status = s->shards[shard].now.status;

    return status == SHARD_DONE || status == SHARD_NO_NEED ||
           (status == SHARD_IN_PROCESSING && !is_closed(s, c, shard));
}

/* Nothing is left to do. */
static void check_end(struct model *m, const struct state *s)
{
    m->outcome.ends++;
    for (int i = 0; i < m->c->items; i++)
        if (s->items[i].value_committed != version(s, m->c, i))
            broken(m, "an item's last record is not the source's value");
    for (int i = 0; i < m->c->shards; i++) {
        const struct model_shard *shard = &s->shards[i];

        if (!shard->trimmed && !shard->place)
            broken(m, "a shard is not known in the end");
        if (shard->place && !shard->ledger.there)
            broken(m, "a shard is not in the ledger in the end");
        if (shard->place && !is_read(s, m->c, i))
            broken(m, "a shard is not read in the end");
    }
    if (!s->offsets_committed || !s->ended_committed || s->record_due)
        broken(m, "the table's record does not come to its end");
    if (m->why && m->bad == SEARCH_NOBODY)
        m->bad = m->search.at;
}

static void visit(struct model *m, const struct state *s)
{
    bool open = anything_is_open(s, m->c);

    m->moved = false;
    if (s->stage == STANDING)
        return;
    if (m->c->script[s->script].kind != MODEL_END) {
        struct state next = *s;

        next.script++;
        add(m, &next);
    }
    if (s->stage == RUNNING)
        run_steps(m, s);
    if (s->stage != ADOPTING)
        look(m, s);
    if (open)
        commit(m, *s);
    if (!m->moved)
        check_end(m, s);
    if (s->days > 0 && s->stage == RUNNING)
        forget(m, *s);
    if (open && s->faults > 0)
        abort_it(m, *s);
    if (s->faults > 0)
        crash(m, *s);
}

/* ---- telling ---- */

static void tell_shard(const struct state *s, const struct model_case *c, int i)
{
    static const char *const words[] = {"not process",   "no need",     "prepare",
                                        "in processing", "wait father", "done"};
    const struct model_shard *shard = &s->shards[i];

    if (!shard->place && !shard->page && !exists(s, c, i))
        return;
    printf(" %s%s[", shard_ids[i], is_closed(s, c, i) ? "" : " open");
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
    static const char *const stages[] = {"starting", "adopting", "running", "standing"};
    const struct state *s = search_state(&m->search, number);

    printf("  %s%s%s, script %d, lies %d, faults %d:", stages[s->stage],
           s->listed ? " listed" : "", s->paged ? " paged" : "", s->script, s->lies, s->faults);
    for (int i = 0; i < m->c->shards; i++)
        tell_shard(s, m->c, i);
    for (int i = 0; i < m->c->items; i++)
        printf(" item %d: %d of %d%s", i, s->items[i].value, version(s, m->c, i),
               s->items[i].scanned ? "" : " unscanned");
    printf("\n");
}

static void tell_way(const struct model *m, uint32_t number)
{
    if (m->search.from[number] != SEARCH_NOBODY)
        tell_way(m, m->search.from[number]);
    tell_state(m, number);
}

struct model_outcome table_model_run(const struct model_case *c, bool tell)
{
    struct model m = {.c = c, .bad = SEARCH_NOBODY};
    struct state s = {.lies = (signed char)c->lies,
                      .faults = (signed char)c->faults,
                      .days = (signed char)c->days};

    search_init(&m.search, sizeof(s));
    search_add(&m.search, &s);
    while (m.bad == SEARCH_NOBODY && search_next(&m.search, &s))
        visit(&m, &s);
    m.outcome.states = m.search.count;
    m.outcome.steps = m.search.steps;
    printf("states=%" PRIu32 " steps=%zu ends=%zu%s%s%s\n", m.outcome.states, m.outcome.steps,
           m.outcome.ends, m.outcome.false_gap ? " a gap, though listings came true" : "",
           m.why ? " " : "", m.why ? m.why : "");
    if (tell && m.bad != SEARCH_NOBODY)
        tell_way(&m, m.bad);
    else if (tell && m.outcome.false_gap)
        tell_way(&m, m.gap);
    search_release(&m.search);
    return m.outcome;
}
