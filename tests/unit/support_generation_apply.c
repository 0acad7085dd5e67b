#include "support_generation_apply.h"

#include "common/base/auto.h"
#include "support_generation_command.h"

static const struct generation_event *event_at(const struct model *m, int64_t offset)
{
    return &m->c->log[offset];
}

/* ---- writes ---- */

static void execute(const struct model *m, struct state *s, const struct write *w)
{
    switch ((enum write_kind)w->kind) {
    case WRITE_PUT:
    case WRITE_SWEEP:
        s->values[w->key] = w->value;
        break;
    case WRITE_NOTE: /* a pass without a name: nobody reads its notes any more */
        if (w->pass)
            s->notes[generation_place(m, w->pass)] |= (unsigned char)(1u << w->key);
        break;
    }
}

static void send_delete(struct consumer *c)
{
    for (int key = 0; key < KEYS; key++)
        if (c->documents & 1u << key) {
            c->write = (struct write){OUT, WRITE_SWEEP, generation_narrow(key), 0, 0};
            return;
        }
}

static void event_done(struct consumer *c)
{
    struct position p = generation_position_of(c);

    position_written(&p, c->applied + 1);
    generation_keep(c, &p);
}

/* All documents without a note are deleted. */
static void swept(struct consumer *c)
{
    struct position p = generation_position_of(c);

    c->swept = c->pass;
    c->sweeping = NOT_SWEEPING;
    position_swept(&p, c->applied + 1);
    generation_keep(c, &p);
}

/* What follows from its acknowledgement. */
static void acknowledged(const struct model *m, struct consumer *c)
{
    struct write w = c->write;

    c->write = (struct write){0};
    switch ((enum write_kind)w.kind) {
    case WRITE_PUT:
        if (!w.value || !c->pass) {
            event_done(c);
            break;
        }
        if (m->former->note_unwaited)
            event_done(c);
        c->write = (struct write){OUT, WRITE_NOTE, w.key, 0, c->pass};
        break;
    case WRITE_NOTE:
        if (!m->former->note_unwaited)
            event_done(c);
        break;
    case WRITE_SWEEP:
        c->documents &= (unsigned char)~(1u << w.key);
        if (c->documents)
            send_delete(c);
        else
            swept(c);
        break;
    }
}

static void cut(struct model *m, struct state s, int i)
{
    struct consumer *c = &s.w[i];
    struct position p = generation_position_of(c);

    s.faults++;
    position_unknown(&p, 0, GRACE_MS);
    generation_keep(c, &p);
    c->write.flight = CUT;
    if (c->stage == RUNNING)
        c->stage = HELD;
    generation_add(m, &s);
}

void generation_write_step(struct model *m, const struct state *s, int i)
{
    struct state never = *s, done = *s;
    struct consumer *c = &done.w[i];

    if (s->w[i].write.flight == NONE)
        return;
    execute(m, &done, &s->w[i].write);
    if (s->w[i].write.flight == OUT) {
        acknowledged(m, c);
        generation_add(m, &done);
        if (s->faults < m->c->faults)
            cut(m, *s, i);
        return;
    }
    c->write = (struct write){0};
    generation_add(m, &done);
    never.w[i].write = (struct write){0};
    generation_add(m, &never);
}

/* ---- the sweep ---- */

static unsigned char documents_of(const struct state *s)
{
    unsigned char documents = 0;

    for (int key = 0; key < KEYS; key++)
        if (s->values[key])
            documents |= (unsigned char)(1u << key);
    return documents;
}

/* What the generation that ends there holds. */
static unsigned char held_at(const struct model *m, int end)
{
    unsigned char documents = 0;

    for (int i = 0; i < end; i++) {
        const struct generation_event *e = event_at(m, i);

        if (e->kind == GENERATION_BEGIN || e->kind == GENERATION_BEGIN_FIRST)
            documents = 0;
        else if (e->kind == GENERATION_PUT && e->value)
            documents |= (unsigned char)(1u << e->key);
        else if (e->kind == GENERATION_PUT)
            documents &= (unsigned char)~(1u << e->key);
    }
    return documents;
}

/* The position is read again; only then may anything be deleted. */
static void decide(struct model *m, struct state *s, int i)
{
    struct consumer *c = &s->w[i];
    struct position p = generation_position_of(c);
    struct position_doc doc = generation_doc_of(&s->doc);

    if (!position_may_sweep(&p, &doc, generation_names[i])) {
        c->stage = HELD;
        return;
    }
    c->documents &= (unsigned char)~c->notes;
    c->notes = 0;
    c->sweeping = DELETES;
    if (c->documents & held_at(m, c->applied))
        s->took = 1;
    if (c->documents)
        send_delete(c);
    else
        swept(c);
}

static void sweep_on(struct model *m, struct state s, int i)
{
    struct consumer *c = &s.w[i];
    struct position p = generation_position_of(c);
    bool documents = (c->sweeping == NOT_SWEEPING) != m->former->notes_first;

    if (c->sweeping == NOT_SWEEPING && !m->former->untold) {
        position_sending(&p, c->applied + 1);
        generation_keep(c, &p);
    }
    if (c->sweeping == KNOWS_BOTH) {
        decide(m, &s, i);
        generation_add(m, &s);
        return;
    }
    if (documents)
        c->documents = documents_of(&s);
    else
        c->notes = s.notes[generation_place(m, c->pass)];
    c->sweeping++;
    generation_add(m, &s);
}

/* ---- an owner that runs ---- */

static bool needs_pass(const struct model *m, const struct consumer *c)
{
    const struct generation_event *e = event_at(m, c->applied);
    struct position p = generation_position_of(c);
    bool first = e->kind == GENERATION_BEGIN_FIRST;

    if (e->kind == GENERATION_BEGIN_CHANGES)
        return false;
    if (first && m->former->first_is_first)
        return false;
    return position_needs_pass(&p, c->applied, first);
}

static void begin(struct model *m, struct state s, int i)
{
    struct consumer *c = &s.w[i];
    struct position p = generation_position_of(c);
    const struct generation_event *e = event_at(m, c->applied);
    int pass = needs_pass(m, c) ? generation_new_pass(&s) : 0;

    if (m->former->one_for_all)
        s.notes[0] = 0;
    if (e->kind == GENERATION_BEGIN_CHANGES && !m->former->rows_expected)
        position_begun_without_rows(&p, e->generation, c->applied, "log");
    else
        position_begun(&p, e->generation, c->applied, "log", generation_pass_name(pass));
    position_written(&p, c->applied + 1);
    generation_keep(c, &p);
    generation_add(m, &s);
}

static void send_event(struct model *m, struct state s, int i)
{
    struct consumer *c = &s.w[i];
    struct position p = generation_position_of(c);
    const struct generation_event *e = event_at(m, c->applied);

    position_sending(&p, c->applied + 1);
    generation_keep(c, &p);
    c->write = (struct write){OUT, WRITE_PUT, generation_narrow(e->key),
                              generation_narrow(e->value), 0};
    generation_add(m, &s);
}

static void pass_end(struct model *m, struct state s, int i)
{
    event_done(&s.w[i]);
    generation_add(m, &s);
}

/* A pass, or that there is none any more, must be in the document before anything follows. */
static bool waits_for_the_position(const struct model *m, const struct consumer *c)
{
    bool begun = c->applied > 0 && c->pass && c->begin == c->applied - 1;

    return c->offset < c->applied && (c->swept || (begun && !m->former->early_notes));
}

static void apply_next(struct model *m, const struct state *s, int i)
{
    const struct consumer *c = &s->w[i];
    const struct generation_event *e = event_at(m, c->applied);
    bool confirmed = c->offset == c->applied;

    switch (e->kind) {
    case GENERATION_PUT:
        if (c->applied - c->offset < m->c->lag)
            send_event(m, *s, i);
        break;
    case GENERATION_BEGIN:
    case GENERATION_BEGIN_FIRST:
    case GENERATION_BEGIN_CHANGES:
        if (confirmed || !needs_pass(m, c))
            begin(m, *s, i);
        break;
    case GENERATION_END:
        if (!c->pass)
            pass_end(m, *s, i);
        else if (confirmed)
            sweep_on(m, *s, i);
        break;
    }
}

static bool the_dead_may_still_write(const struct state *s)
{
    for (int i = 0; i < CONSUMERS_MAX; i++)
        if (s->w[i].stage == DEAD && s->w[i].write.flight != NONE)
            return true;
    return false;
}

static void grace_is_over(struct model *m, struct state s, int i)
{
    s.w[i].late = 1;
    for (int k = 0; k < CONSUMERS_MAX; k++)
        if (s.w[k].epoch < s.w[i].epoch && s.w[k].epoch > 0 && s.w[k].stage != DEAD)
            s.w[k].stale = 1;
    generation_add(m, &s);
}

/* An owner that has nothing to do reads its document now and then. */
static void look_when_idle(struct model *m, struct state s, int i)
{
    struct position p = generation_position_of(&s.w[i]);
    struct position_doc doc = generation_doc_of(&s.doc);
    int64_t back;

    if (position_judge(&p, &doc, generation_names[i], &back) == POSITION_MINE &&
        position_agrees(&p, &doc, POSITION_NONE))
        return;
    s.w[i].stage = HELD;
    generation_add(m, &s);
}

void generation_run_on(struct model *m, const struct state *s, int i)
{
    const struct consumer *c = &s->w[i];
    struct position p = generation_position_of(c);
    int64_t now = generation_now_of(c);
    bool due = position_again_due(&p, c->late ? GRACE_MS : 0);
    bool idle = c->write.flight == NONE;

    if (c->again != NO && !c->late && !the_dead_may_still_write(s))
        grace_is_over(m, *s, i);
    if (position_is_ahead(&p) && (idle || m->former->note_unwaited))
        generation_ask(m, *s, i, false);
    if (!idle)
        return;
    if (due)
        generation_ask(m, *s, i, true);
    else if (c->applied < m->c->log_len && position_may_send(&p, now, now, 10) &&
             !waits_for_the_position(m, c))
        apply_next(m, s, i);
    if (c->offset == m->c->log_len && !position_is_ahead(&p))
        look_when_idle(m, *s, i);
}
