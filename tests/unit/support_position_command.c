/* An answer is taken in the moment of the execution: what comes in between does not touch the
 * consumer's memory, so every order with a late answer ends like one with an early answer or
 * with none. */
#include "support_position_command.h"

/* ---- taking over and leaving ---- */

static void rest(struct model *m, struct state *s, int i)
{
    struct consumer *c = &s->w[i];
    bool again = m->former->stray || position_may_take_again(c->assigned);

    state_forget_position(c);
    c->stage = RESTING;
    if (!again)
        return;
    if (c->assigned && s->holder != i && s->undecided == m->c->undecided)
        return; /* it is told before it comes to that */
    s->undecided = state_narrow(s->undecided + (c->assigned && s->holder != i));
    c->stage = WAITING;
}

void command_take(struct model *m, struct state s, int i)
{
    struct consumer *c = &s.w[i];
    struct position_source source = {.log_id = "log", .generation = 1, .begin = 0};
    struct position_doc old = state_doc_of(&s.doc);
    struct position_change change;

    position_take(&change, &old, &source, state_names[i]);
    if (m->former->no_again)
        change.next.again = POSITION_NONE;
    state_issue(c, &change);
    c->stage = TAKING;
    if (!c->assigned) {
        m->outcome.strayed = true;
        m->bad = m->search.at;
        return;
    }
    state_add(m, &s);
}

static void taken(struct consumer *c, const struct position_doc *stored)
{
    struct position p;

    position_taken(&p, stored, 0, GRACE_MS);
    state_keep(c, &p);
    c->late = c->stale = 0;
    c->stage = RUNNING;
}

static void look_after_take(struct model *m, struct state s, int i)
{
    struct consumer *c = &s.w[i];
    struct position_change take = {.kind = POSITION_CHANGE_TAKE,
                                   .next = state_doc_of(&c->command.next)};
    struct position_doc doc = state_doc_of(&s.doc);

    if (position_is_taken(&take, &doc))
        taken(c, &doc);
    else
        c->stage = c->assigned ? WAITING : RESTING;
    state_forget_command(c);
    state_add(m, &s);
}

void command_say_goodbye(struct model *m, struct state s, int i, bool in_doubt)
{
    struct position p = state_position_of(&s.w[i]);
    struct position_change change;

    if (in_doubt)
        position_doubt(&p);
    position_goodbye(&change, &p, state_names[i]);
    state_issue(&s.w[i], &change);
    s.w[i].stage = LEAVING;
    state_add(m, &s);
}

void command_mark(struct model *m, struct state s, int i)
{
    struct position p = state_position_of(&s.w[i]);
    struct position_doc doc = state_doc_of(&s.doc);
    struct position_change change;

    if (!m->former->no_marks && position_late_mark(&change, &p, &doc))
        state_issue(&s.w[i], &change);
    else
        rest(m, &s, i);
    state_add(m, &s);
}

void command_ask(struct model *m, struct state s, int i, bool again)
{
    struct position p = state_position_of(&s.w[i]);
    struct position_change change;

    if (again)
        position_begin_again(&change, &p, state_names[i]);
    else
        position_move(&change, &p, state_names[i]);
    state_issue(&s.w[i], &change);
    state_add(m, &s);
}

/* ---- what a document that was read says ---- */

static void adopt(const struct model *m, struct consumer *c, const struct position_doc *doc)
{
    struct position p = state_position_of(c);

    if (m->former->memory)
        p.applied = p.offset;
    else
        position_adopt(&p, doc, state_now_of(c), GRACE_MS);
    state_keep(c, &p);
    c->stage = RUNNING;
}

void command_read_held(struct model *m, struct state s, int i)
{
    struct consumer *c = &s.w[i];
    struct position p = state_position_of(c);
    struct position_doc doc = state_doc_of(&s.doc);
    struct position_change change;
    int64_t back;

    switch (position_judge(&p, &doc, state_names[i], &back)) {
    case POSITION_MINE:
        adopt(m, c, &doc);
        break;
    case POSITION_REWIND:
        position_set_back(&change, &doc, back);
        state_issue(c, &change);
        c->stage = REWINDING;
        break;
    case POSITION_LOST:
    case POSITION_GONE:
        c->stage = MARKING;
        break;
    }
    state_add(m, &s);
}

static void look_after_move(struct state *s, int i)
{
    struct consumer *c = &s->w[i];
    struct position p = state_position_of(c);
    struct position_doc doc = state_doc_of(&s->doc);
    int64_t moved = c->command.next.offset, back;

    state_forget_command(c);
    if (position_judge(&p, &doc, state_names[i], &back) != POSITION_MINE ||
        !position_agrees(&p, &doc, moved)) {
        c->stage = HELD;
        return;
    }
    position_confirmed(&p, doc.offset);
    state_keep(c, &p);
}

/* ---- answers of position commands ---- */

static void command_matched(struct model *m, struct state *s, int i)
{
    struct consumer *c = &s->w[i];
    struct position p = state_position_of(c);
    struct position_doc stored = state_doc_of(&c->command.next);
    enum position_change_kind kind = (enum position_change_kind)c->command.kind;

    state_forget_command(c);
    if (kind == POSITION_CHANGE_TAKE) {
        taken(c, &stored);
        return;
    }
    if (kind == POSITION_CHANGE_GOODBYE || kind == POSITION_CHANGE_MARK) {
        rest(m, s, i);
        return;
    }
    if (kind == POSITION_CHANGE_MOVE)
        position_confirmed(&p, stored.offset);
    else if (kind == POSITION_CHANGE_SET_BACK)
        position_went_back(&p, stored.offset);
    else
        position_begins_again(&p);
    state_keep(c, &p);
    if (c->stage == REWINDING)
        c->stage = RUNNING;
}

/* It matched nothing, or whether it was executed is not known: unclear. */
static void command_missed(struct model *m, struct state *s, int i, bool unclear)
{
    struct consumer *c = &s->w[i];

    switch ((enum position_change_kind)c->command.kind) {
    case POSITION_CHANGE_TAKE:
        if (unclear) {
            c->command.flight = UNCLEAR;
            return;
        }
        c->stage = c->assigned ? WAITING : RESTING;
        break;
    case POSITION_CHANGE_MOVE:
        if (c->stage == RUNNING && !m->former->memory) {
            c->command.flight = UNCLEAR;
            return;
        }
        if (c->stage == RUNNING)
            c->stage = HELD;
        break;
    case POSITION_CHANGE_SET_BACK:
    case POSITION_CHANGE_BEGIN_AGAIN:
        c->stage = HELD;
        break;
    case POSITION_CHANGE_GOODBYE:
        c->stage = MARKING;
        if (unclear && m->former->goodbye_lost)
            rest(m, s, i);
        break;
    case POSITION_CHANGE_MARK:
        break;
    }
    state_forget_command(c);
}

/* Executed or not. A taker asks which; everyone else reads the document in any case. */
static void over_after_cut(struct model *m, struct state *s, int i)
{
    struct consumer *c = &s->w[i];
    bool lost = c->stage == MARKING && c->command.kind == POSITION_CHANGE_GOODBYE;

    if (c->stage == TAKING) {
        c->command.flight = UNCLEAR;
        return;
    }
    state_forget_command(c);
    if (lost && m->former->goodbye_lost)
        rest(m, s, i);
}

void command_execute(struct model *m, struct state s, int i)
{
    struct consumer *c = &s.w[i];
    struct state unclear;
    bool matched = state_change(m, &s.doc, &c->command);

    if (c->command.flight == CUT) {
        over_after_cut(m, &s, i);
        state_add(m, &s);
        return;
    }
    unclear = s;
    if (matched)
        command_matched(m, &s, i);
    else
        command_missed(m, &s, i, false);
    state_add(m, &s);
    if (matched && unclear.faults < m->c->faults) {
        unclear.faults++;
        command_missed(m, &unclear, i, true);
        state_add(m, &unclear);
    }
}

static void cut_command(struct model *m, struct state s, int i)
{
    struct consumer *c = &s.w[i];
    struct position p = state_position_of(c);

    s.faults++;
    position_unknown(&p, 0, GRACE_MS);
    state_keep(c, &p);
    c->command.flight = CUT;
    if (c->stage == RUNNING || c->stage == REWINDING)
        c->stage = HELD;
    else if (c->stage == LEAVING)
        c->stage = MARKING;
    state_add(m, &s);
}

static void never_executed(struct model *m, struct state s, int i)
{
    over_after_cut(m, &s, i);
    state_add(m, &s);
}

void command_step(struct model *m, const struct state *s, int i)
{
    const struct consumer *c = &s->w[i];

    if (c->command.flight == OUT) {
        command_execute(m, *s, i);
        if (s->faults < m->c->faults)
            cut_command(m, *s, i);
    } else if (c->command.flight == CUT) {
        command_execute(m, *s, i);
        never_executed(m, *s, i);
    }
}

void command_step_unclear(struct model *m, struct state s, int i)
{
    if (s.w[i].stage == TAKING) {
        look_after_take(m, s, i);
        return;
    }
    look_after_move(&s, i);
    state_add(m, &s);
}
