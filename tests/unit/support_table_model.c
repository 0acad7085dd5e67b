#include "support_table_model.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support_table_model_state.h"

#define LONG_AFTER_MS (1000 * 3600 * 1000LL)

/* ---- the table's steps ---- */

static void row(struct model *m, struct model_state s, int item)
{
    struct table_state t;

    model_build(&t, m->c, &s);
    t.segments[item].now.done = true;
    table_state_segment_recorded(&t, item);
    s.items[item].value = (signed char)model_version(&s, m->c, item);
    model_keep(&s, m->c, &t);
    model_add(m, &s);
}

static void record(struct model *m, struct model_state s)
{
    struct table_state t;

    model_build(&t, m->c, &s);
    if (!t.now.begin_offsets)
        t.now.begin_offsets = xcalloc(1, sizeof(*t.now.begin_offsets));
    table_state_recorded(&t);
    model_keep(&s, m->c, &t);
    model_add(m, &s);
}

static void decide_end(struct model *m, struct model_state s)
{
    s.ending = 1;
    model_add(m, &s);
}

/* In the same hold of the gate as the decision: no commit or abort comes between. */
static void end_snapshot(struct model *m, struct model_state s)
{
    struct table_state t;

    s.ending = 0;
    model_build(&t, m->c, &s);
    table_state_end_snapshot(&t.now, 2);
    table_state_recorded(&t);
    model_keep(&s, m->c, &t);
    model_add(m, &s);
}

static void pause_table(struct model *m, struct model_state s)
{
    struct table_state t;

    s.pauses--;
    s.asked = 1;
    model_build(&t, m->c, &s);
    t.now.phase = PHASE_PAUSED;
    table_state_recorded(&t);
    model_keep(&s, m->c, &t);
    model_add(m, &s);
}

static void resume_table(struct model *m, struct model_state s)
{
    struct table_state t;

    model_build(&t, m->c, &s);
    table_state_end_halt(&t.now);
    table_state_recorded(&t);
    s.stage = RESUMING;
    model_keep(&s, m->c, &t);
    model_add(m, &s);
}

static void append_unrecorded(struct model *m, struct model_state s, int at_once)
{
    struct tree_shard *shard;
    struct table_state t;

    model_build(&t, m->c, &s);
    while (at_once-- > 0 && (shard = shard_tree_unrecorded(&t.tree))) {
        model_append(&s, shard);
        shard_recorded(&t.tree, shard);
    }
    model_keep(&s, m->c, &t);
    model_add(m, &s);
}

static void check_parent(struct model *m, const struct model_state *s, int shard)
{
    int parent = m->c->parent[shard];

    if (s->shards[shard].now.adopted || parent < 0 || s->shards[parent].trimmed)
        return;
    if (!s->shards[parent].place)
        model_broken(m, "a shard is read, and its parent is not known");
    else if (s->shards[parent].now.status != SHARD_DONE &&
             s->shards[parent].now.status != SHARD_NO_NEED)
        model_broken(m, "a shard is read before its parent");
}

/* A record, the end, or the word that there is nothing. */
static void read_shard(struct model *m, struct model_state s, int number)
{
    struct table_state t;
    struct tree_shard *shard;
    int item, new_version, sequence = s.shards[number].now.sequence;

    model_build(&t, m->c, &s);
    shard = shard_tree_find(&t.tree, model_shard_ids[number]);
    if (!shard_is_ready(&t.tree, shard)) {
        table_state_release(&t, NULL);
        return;
    }
    check_parent(m, &s, number);
    shard->reader = &t;
    if (model_record(&s, m->c, number, sequence, &item, &new_version)) {
        AUTO(free_charp) char *text = model_text(sequence + 1);

        if (new_version <= s.items[item].change && !m->c->gap_ends)
            model_broken(m, "a change stands behind a later one");
        s.items[item].value = s.items[item].change = (signed char)new_version;
        shard_advance(&t.tree, shard, bytes_of(text), 1, 0, 0);
    } else if (model_is_closed(&s, m->c, number)) {
        shard_finish(&t.tree, shard, 0);
    } else if (shard->recorded && shard->now.status == SHARD_IN_PROCESSING) {
        table_state_release(&t, NULL); /* that was said */
        return;
    } else {
        shard_idle(&t.tree, shard, 0, 0);
    }
    model_append(&s, shard);
    model_keep(&s, m->c, &t);
    model_add(m, &s);
}

/* Two days later, by which time every listing is true and the service has forgotten it too. */
static void forget(struct model *m, struct model_state s)
{
    struct table_state t;
    struct tree_shard *shard;

    model_build(&t, m->c, &s);
    shard = shard_tree_forgettable(&t.tree, NULL, LONG_AFTER_MS);
    if (shard) {
        int number = model_number(shard->now.id);

        s.days--;
        shard_forgotten(&t.tree, shard);
        s.shards[number].open = (struct position){.there = 2};
        for (; number >= 0; number = m->c->parent[number])
            s.shards[number].trimmed = 1;
    }
    model_keep(&s, m->c, &t);
    model_add(m, &s);
}

/* ---- all of them ---- */

static bool anything_is_open(const struct model_state *s, const struct model_case *c)
{
    bool open = s->stage == ADOPTING || s->record_dirty;

    for (int i = 0; i < c->shards; i++)
        open = open || s->shards[i].dirty || s->shards[i].open.there;
    for (int i = 0; i < c->items; i++)
        open = open || s->items[i].scan_dirty;
    return open;
}

static bool end_is_due(const struct model_state *s, const struct model_case *c)
{
    bool scanned = true;

    for (int i = 0; i < c->items; i++)
        scanned = scanned && s->items[i].scanned;
    return scanned && !s->ended && !s->ending;
}

static void run_steps(struct model *m, const struct model_state *s)
{
    for (int i = 0; i < m->c->items; i++)
        if (!s->items[i].scanned)
            row(m, *s, i);
    if (m->c->records && (!s->offsets || s->record_due))
        record(m, *s);
    if (m->c->records && end_is_due(s, m->c))
        decide_end(m, *s);
    for (int at_once = 1; at_once <= 2; at_once++)
        append_unrecorded(m, *s, at_once);
    for (int i = 0; i < m->c->shards; i++)
        if (s->shards[i].place)
            read_shard(m, *s, i);
}

static bool is_read(const struct model_state *s, const struct model_case *c, int shard)
{
    int status = s->shards[shard].now.status;

    return status == SHARD_DONE || status == SHARD_NO_NEED ||
           (status == SHARD_IN_PROCESSING && !model_is_closed(s, c, shard));
}

/* Nothing is left to do. */
static void check_end(struct model *m, const struct model_state *s)
{
    m->outcome.ends++;
    for (int i = 0; i < m->c->items; i++)
        if (s->items[i].value_committed != model_version(s, m->c, i))
            model_broken(m, "an item's last record is not the source's value");
    for (int i = 0; i < m->c->shards; i++) {
        const struct model_shard *shard = &s->shards[i];

        if (!shard->trimmed && !shard->place)
            model_broken(m, "a shard is not known in the end");
        if (shard->place && !shard->ledger.there)
            model_broken(m, "a shard is not in the ledger in the end");
        if (shard->place && !is_read(s, m->c, i))
            model_broken(m, "a shard is not read in the end");
    }
    if (m->c->records &&
        (!s->offsets_committed || !s->ended_committed || s->record_due || s->paused_committed))
        model_broken(m, "the table's record does not come to its end");
    if (m->why && m->bad == SEARCH_NOBODY)
        m->bad = m->search.at;
}

static void visit(struct model *m, const struct model_state *s)
{
    bool open = anything_is_open(s, m->c) && !s->ending;
    bool runs = s->stage == RUNNING && !s->paused;

    m->moved = false;
    if (s->stage == STANDING)
        return;
    if (m->c->script[s->script].kind != MODEL_END) {
        struct model_state next = *s;

        next.script++;
        model_add(m, &next);
    }
    if (runs)
        run_steps(m, s);
    if (runs || s->stage == STARTING)
        model_look(m, s);
    if (s->ending)
        end_snapshot(m, *s);
    if (runs && s->pauses > 0)
        pause_table(m, *s);
    if (s->stage == HALTED)
        resume_table(m, *s);
    if (open)
        model_commit(m, *s);
    if (!m->moved)
        check_end(m, s);
    if (s->days > 0 && runs)
        forget(m, *s);
    if (open && s->faults > 0)
        model_abort(m, *s);
    if (s->faults > 0)
        model_crash(m, *s);
}

struct model_outcome table_model_run(const struct model_case *c, bool tell)
{
    struct model m = {.c = c, .bad = SEARCH_NOBODY};
    struct model_state s = {.lies = (signed char)c->lies,
                            .faults = (signed char)c->faults,
                            .days = (signed char)c->days,
                            .pauses = (signed char)c->pauses,
                            .script = (signed char)c->begun};

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
        model_tell_way(&m, m.bad);
    else if (tell && m.outcome.false_gap)
        model_tell_way(&m, m.gap);
    search_release(&m.search);
    return m.outcome;
}
