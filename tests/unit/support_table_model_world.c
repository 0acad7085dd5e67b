#include "support_table_model_state.h"

#include <stdlib.h>
#include <string.h>

#define ALL (-1)

/* ---- the ledger ---- */

void model_append(struct model_state *s, const struct tree_shard *shard)
{
    s->shards[model_number(shard->now.id)].open =
        (struct position){1, (signed char)shard->now.status,
                          (signed char)atoi(shard->now.sequence), shard->now.adopted};
}

static void check_ledger(struct model *m, const struct model_state *s)
{
    for (int i = 0; i < m->c->shards; i++) {
        const struct model_shard *shard = &s->shards[i];
        int parent = m->c->parent[i];

        if (shard->ledger.there && !shard->ledger.adopted &&
            shard->ledger.status != SHARD_NO_NEED && parent >= 0 &&
            !s->shards[parent].ledger.there && !s->shards[parent].trimmed)
            model_broken(m, "the ledger has a shard, and not its parent");
        if (shard->place && shard->recorded_committed != shard->ledger.there)
            model_broken(m, "what is recorded is not what the ledger has");
        if (shard->place && shard->ledger.there &&
            (shard->committed.status != shard->ledger.status ||
             shard->committed.sequence != shard->ledger.sequence))
            model_broken(m, "what is committed is not what the ledger has");
    }
}

static void start_again(struct model *m, struct model_state s);

/* What the record that was just committed means to the table's life. */
static enum stage stage_after_commit(struct model *m, const struct model_state *s,
                                     const struct table_state *t)
{
    bool is_paused = t->committed.phase == PHASE_PAUSED;

    if (s->asked && !is_paused)
        model_broken(m, "a pause was taken, and the table is not paused");
    return s->stage == HALTED || is_paused ? HALTED : RUNNING;
}

void model_commit(struct model *m, struct model_state s)
{
    bool resumes = s.stage == RESUMING;
    struct table_state t;

    model_build(&t, m->c, &s);
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
    s.stage = (signed char)stage_after_commit(m, &s, &t);
    s.asked = 0;
    model_keep(&s, m->c, &t);
    check_ledger(m, &s);
    if (resumes)
        start_again(m, s);
    else
        model_add(m, &s);
}

static void take_back(struct model_state *s, const struct model_case *c)
{
    for (int i = 0; i < c->shards; i++)
        s->shards[i].open = (struct position){0};
    for (int i = 0; i < c->items; i++) {
        s->items[i].value = s->items[i].value_committed;
        s->items[i].change = s->items[i].change_committed;
    }
    s->pauses += s->asked; /* the request is the next one again */
    s->asked = 0;
}

void model_abort(struct model *m, struct model_state s)
{
    struct table_state t;

    model_build(&t, m->c, &s);
    s.faults--;
    take_back(&s, m->c);
    if (table_state_aborted(&t, NULL))
        s.stage = STARTING;
    else if (s.stage == RESUMING)
        s.stage = HALTED;
    model_keep(&s, m->c, &t);
    model_add(m, &s);
}

static void load_shards(struct table_state *t, const struct model_case *c,
                        const struct model_state *s)
{
    for (int i = 0; i < c->shards; i++) {
        int shard = c->backwards ? c->shards - 1 - i : i;
        struct ledger_shard loaded;

        if (!s->shards[shard].ledger.there)
            continue;
        loaded = model_ledger_shard(c, shard, &s->shards[shard].ledger);
        table_state_load_shard(t, &loaded);
    }
}

/* As table_resume.c does. */
static void load(struct table_state *t, const struct model_case *c, const struct model_state *s)
{
    table_state_resume(t, NULL);
    for (int i = 0; i < c->items; i++) {
        struct ledger_segment seg = {1, i, NULL, 0, 0, s->items[i].scanned_committed};

        table_state_load_segment(t, &seg);
    }
    load_shards(t, c, s);
    table_state_loaded(t);
}

static enum stage stage_after_crash(const struct model_state *s)
{
    if (s->stage < RUNNING)
        return STARTING;
    return s->paused_committed ? HALTED : RUNNING;
}

/* From what is committed. */
static void start_again(struct model *m, struct model_state s)
{
    struct model_record committed = {s.offsets_committed, s.ended_committed,
                                     s.paused_committed};
    struct ledger_table record;
    struct table_state t;

    s.stage = stage_after_crash(&s);
    if (s.stage == STARTING)
        model_blank_record(&record);
    else
        model_table_record(&record, &committed);
    record.segments = m->c->items;
    table_state_init(&t, &record);
    if (s.stage == RUNNING)
        load(&t, m->c, &s);
    for (int i = 0; i < m->c->items && s.stage != RUNNING; i++)
        s.items[i].scanned = s.items[i].scan_dirty = 0;
    model_keep(&s, m->c, &t);
    model_add(m, &s);
}

/* The program ends, and another one goes on from the ledger as table_start.c does. */
void model_crash(struct model *m, struct model_state s)
{
    s.faults--;
    s.paged = s.ending = 0;
    for (int i = 0; i < m->c->shards; i++)
        s.shards[i].page = UNSEEN;
    take_back(&s, m->c);
    start_again(m, s);
}

/* ---- listings ---- */

static struct ddb_shard listed_shard(const struct model_case *c, int shard, bool open)
{
    int parent = c->parent[shard];

    return (struct ddb_shard){(char *)model_shard_ids[shard],
                              (char *)(parent < 0 ? "" : model_shard_ids[parent]), (char *)"1",
                              (char *)(open ? "" : "9")};
}

static void adopt(struct model *m, struct model_state s, const struct ddb_stream *stream)
{
    struct shard_tree tree = {0};
    struct ledger_table record;
    struct table_state t;

    model_build(&t, m->c, &s);
    shard_listing_adopt(&tree, stream, 1, 0, NULL);
    for (struct tree_shard *shard = tree.shards; shard; shard = shard->hh.next)
        model_append(&s, shard);
    model_table_record(&record, &(struct model_record){0});
    record.segments = m->c->items;
    table_state_adopt(&t, &record, &tree, NULL);
    s.stage = ADOPTING;
    model_keep(&s, m->c, &t);
    model_add(m, &s);
}

static void merge(struct model *m, struct model_state s, const struct ddb_stream *stream,
                  bool whole, bool is_true)
{
    struct listing_result found;
    struct table_state t;

    model_build(&t, m->c, &s);
    shard_listing_merge(&t.tree, stream, whole, 1, 0, &found);
    if (found.reversed || (is_true && whole && (found.orphan || found.stray)))
        model_gap(m, &s);
    model_keep(&s, m->c, &t);
    model_add(m, &s);
}

/* What one listing shows: views[i] of each shard. */
static void list(struct model *m, struct model_state s, const signed char *views, bool whole,
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

static void first_page(struct model *m, struct model_state s, const signed char *views)
{
    bool moved = m->moved;

    s.paged = 1;
    for (int i = 0; i < m->c->first_page; i++)
        s.shards[i].page = views[i];
    model_add(m, &s);
    m->moved = moved;
}

static signed char true_view(const struct model_state *s, const struct model_case *c, int shard)
{
    if (!model_exists(s, c, shard))
        return UNSEEN;
    return model_is_closed(s, c, shard) ? SEEN_CLOSED : SEEN_OPEN;
}

struct listing {  /* a choice of what is shown */
    int from, to; /* the shards that are asked for */
    int below;    /* only the children of this one; ALL */
};

static void show(struct model *m, struct model_state s, const struct listing *l,
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
static void choose(struct model *m, const struct model_state *s, const struct listing *l,
                   int at, signed char *views, bool is_true)
{
    if (at == l->to) {
        if (is_true || s->lies > 0)
            show(m, *s, l, views, is_true);
        return;
    }
    views[at] = UNSEEN;
    if (!model_exists(s, m->c, at) || (l->below != ALL && m->c->parent[at] != l->below)) {
        choose(m, s, l, at + 1, views, is_true);
        return;
    }
    views[at] = true_view(s, m->c, at);
    choose(m, s, l, at + 1, views, is_true);
    if (s->lies == 0 || (s->stage != STARTING && s->shards[at].place))
        return; /* what is known is not looked at */
    views[at] = UNSEEN;
    choose(m, s, l, at + 1, views, false);
    if (!model_is_closed(s, m->c, at) || m->c->never_stale)
        return;
    views[at] = SEEN_OPEN;
    choose(m, s, l, at + 1, views, false);
}

void model_look(struct model *m, const struct model_state *s)
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
