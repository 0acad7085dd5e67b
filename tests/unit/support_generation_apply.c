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

static void send(struct state *s, int i, struct write write)
{
    s->o.w[i].writing = OUT;
    s->work[i].write = write;
}

/* It is over, executed or not. */
static void forget_write(struct state *s, int i)
{
    s->o.w[i].writing = NONE;
    s->work[i].write = (struct write){0};
}

static void send_delete(struct state *s, int i)
{
    for (int key = 0; key < KEYS; key++)
        if (s->work[i].documents & 1u << key) {
            send(s, i, (struct write){WRITE_SWEEP, owners_narrow(key), 0, 0});
            return;
        }
}

static void event_done(struct owner *c)
{
    struct position p = owners_position_of(c);

    position_written(&p, c->applied + 1);
    owners_keep(c, &p);
}

/* All documents without a note are deleted. */
static void swept(struct state *s, int i)
{
    struct owner *c = &s->o.w[i];
    struct position p = owners_position_of(c);

    s->work[i].swept = c->pass;
    s->work[i].sweeping = NOT_SWEEPING;
    position_swept(&p, c->applied + 1);
    owners_keep(c, &p);
}

static struct write put_of(const struct model *m, const struct owner *c)
{
    const struct generation_event *e = event_at(m, c->applied);

    return (struct write){WRITE_PUT, owners_narrow(e->key), owners_narrow(e->value), 0};
}

static void put_acknowledged(const struct model *m, struct state *s, int i, struct write put)
{
    struct owner *c = &s->o.w[i];
    bool to_note = put.value && c->pass && !m->former->noted_first;

    if (!to_note || m->former->note_unwaited)
        event_done(c);
    if (to_note)
        send(s, i, (struct write){WRITE_NOTE, put.key, 0, c->pass});
}

static void note_acknowledged(const struct model *m, struct state *s, int i)
{
    if (m->former->noted_first)
        send(s, i, put_of(m, &s->o.w[i]));
    else if (!m->former->note_unwaited)
        event_done(&s->o.w[i]);
}

/* What follows from its acknowledgement. */
static void acknowledged(const struct model *m, struct state *s, int i)
{
    struct write w = s->work[i].write;

    forget_write(s, i);
    switch ((enum write_kind)w.kind) {
    case WRITE_PUT:
        put_acknowledged(m, s, i, w);
        break;
    case WRITE_NOTE:
        note_acknowledged(m, s, i);
        break;
    case WRITE_SWEEP:
        s->work[i].documents &= (unsigned char)~(1u << w.key);
        if (s->work[i].documents)
            send_delete(s, i);
        else
            swept(s, i);
        break;
    }
}

static void cut(struct model *m, struct state s, int i)
{
    struct owner *c = &s.o.w[i];
    struct position p = owners_position_of(c);

    s.o.faults++;
    position_unknown(&p, 0, GRACE_MS);
    owners_keep(c, &p);
    c->writing = CUT;
    if (c->stage == RUNNING)
        c->stage = HELD;
    generation_add(m, &s);
}

void generation_write_step(struct model *m, const struct state *s, int i)
{
    struct state never = *s, done = *s;

    if (s->o.w[i].writing == NONE)
        return;
    execute(m, &done, &s->work[i].write);
    if (s->o.w[i].writing == OUT) {
        acknowledged(m, &done, i);
        generation_add(m, &done);
        if (s->o.faults < m->c->faults)
            cut(m, *s, i);
        return;
    }
    forget_write(&done, i);
    generation_add(m, &done);
    forget_write(&never, i);
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
    struct owner *c = &s->o.w[i];
    struct work *work = &s->work[i];
    struct position p = owners_position_of(c);
    struct position_doc doc = owners_doc_of(&s->o.doc);

    if (!position_may_sweep(&p, &doc, owners_names[i])) {
        c->stage = HELD;
        return;
    }
    work->documents &= (unsigned char)~work->notes;
    work->notes = 0;
    work->sweeping = DELETES;
    if (work->documents & held_at(m, c->applied))
        s->took = 1;
    if (work->documents)
        send_delete(s, i);
    else
        swept(s, i);
}

static void sweep_on(struct model *m, struct state s, int i)
{
    struct owner *c = &s.o.w[i];
    struct work *work = &s.work[i];
    struct position p = owners_position_of(c);
    bool documents = (work->sweeping == NOT_SWEEPING) != m->former->notes_first;

    if (work->sweeping == NOT_SWEEPING && !m->former->untold) {
        position_sending(&p, c->applied + 1);
        owners_keep(c, &p);
    }
    if (work->sweeping == KNOWS_BOTH) {
        decide(m, &s, i);
        generation_add(m, &s);
        return;
    }
    if (documents)
        work->documents = documents_of(&s);
    else
        work->notes = s.notes[generation_place(m, c->pass)];
    work->sweeping++;
    generation_add(m, &s);
}

/* ---- an owner that runs ---- */

static bool needs_pass(const struct model *m, const struct owner *c)
{
    const struct generation_event *e = event_at(m, c->applied);
    struct position p = owners_position_of(c);
    bool first = e->kind == GENERATION_BEGIN_FIRST;

    if (e->kind == GENERATION_BEGIN_CHANGES)
        return false;
    if (first && m->former->first_is_first)
        return false;
    return position_needs_pass(&p, c->applied, first);
}

static void begin(struct model *m, struct state s, int i)
{
    struct owner *c = &s.o.w[i];
    struct position p = owners_position_of(c);
    const struct generation_event *e = event_at(m, c->applied);
    int pass = needs_pass(m, c) ? generation_new_pass(&s) : 0;

    if (m->former->one_for_all)
        s.notes[0] = 0;
    if (e->kind == GENERATION_BEGIN_CHANGES && !m->former->rows_expected)
        position_begun_without_rows(&p, e->generation, c->applied, "log");
    else
        position_begun(&p, e->generation, c->applied, "log", owners_passes[pass]);
    position_written(&p, c->applied + 1);
    owners_keep(c, &p);
    generation_add(m, &s);
}

static void send_event(struct model *m, struct state s, int i)
{
    struct owner *c = &s.o.w[i];
    struct position p = owners_position_of(c);
    struct write put = put_of(m, c);

    position_sending(&p, c->applied + 1);
    owners_keep(c, &p);
    if (m->former->noted_first && put.value && c->pass)
        send(&s, i, (struct write){WRITE_NOTE, put.key, 0, c->pass});
    else
        send(&s, i, put);
    generation_add(m, &s);
}

static void pass_end(struct model *m, struct state s, int i)
{
    event_done(&s.o.w[i]);
    generation_add(m, &s);
}

/* A pass, or that there is none any more, must be in the document before anything follows. */
static bool waits_for_the_position(const struct model *m, const struct state *s, int i)
{
    const struct owner *c = &s->o.w[i];
    bool begun = c->applied > 0 && c->pass && c->begin == c->applied - 1;

    return c->offset < c->applied && (s->work[i].swept || (begun && !m->former->early_notes));
}

static void apply_next(struct model *m, const struct state *s, int i)
{
    const struct owner *c = &s->o.w[i];
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

static void grace_is_over(struct model *m, struct state s, int i)
{
    owners_grace_is_over(&s.o, i);
    generation_add(m, &s);
}

/* An owner that has nothing to do reads its document now and then. */
static void look_when_idle(struct model *m, struct state s, int i)
{
    if (owners_agree(&s.o, i, POSITION_NONE))
        return;
    s.o.w[i].stage = HELD;
    generation_add(m, &s);
}

void generation_run_on(struct model *m, const struct state *s, int i)
{
    const struct owner *c = &s->o.w[i];
    struct position p = owners_position_of(c);
    int64_t now = owners_now_of(c);
    bool due = position_again_due(&p, c->late ? GRACE_MS : 0);
    bool idle = c->writing == NONE;

    if (c->again != NO && !c->late && !owners_dead_may_write(&s->o))
        grace_is_over(m, *s, i);
    if (position_is_ahead(&p) && (idle || m->former->note_unwaited))
        generation_ask(m, *s, i, false);
    if (!idle)
        return;
    if (due)
        generation_ask(m, *s, i, true);
    else if (c->applied < m->c->log_len && position_may_send(&p, now, now, 10) &&
             !waits_for_the_position(m, s, i))
        apply_next(m, s, i);
    if (c->offset == m->c->log_len && !position_is_ahead(&p))
        look_when_idle(m, *s, i);
}
