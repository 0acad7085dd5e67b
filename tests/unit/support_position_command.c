/* An answer is taken in the moment of the execution: what comes in between does not touch the
 * consumer's memory, so every order with a late answer ends like one with an early answer or
 * with none. */
#include "support_position_command.h"

/* ---- taking over and leaving ---- */

static void rest(struct model *m, struct state *s, int i)
{
    owners_rest(&s->o, i, m->c->undecided, m->former->stray);
}

void command_take(struct model *m, struct state s, int i)
{
    struct owner *c = &s.o.w[i];
    struct position_source source = {
        .log_id = "log", .uuid = {.known = true}, .generation = 1, .begin = 0, .rows = true};
    struct position_doc old = owners_doc_of(&s.o.doc);
    struct position_change change;

    position_take(&change, &old, &source, owners_names[i]);
    if (m->former->no_again)
        change.next.again = POSITION_NONE;
    owners_issue(c, &change);
    c->stage = TAKING;
    if (!c->assigned) {
        m->outcome.strayed = true;
        m->bad = m->search.at;
        return;
    }
    state_add(m, &s);
}

static void look_after_take(struct model *m, struct state s, int i)
{
    owners_look_after_take(&s.o, i, &s.o.w[i].command);
    owners_forget_command(&s.o.w[i]);
    state_add(m, &s);
}

void command_say_goodbye(struct model *m, struct state s, int i, bool in_doubt)
{
    owners_say_goodbye(&s.o, i, in_doubt);
    s.o.w[i].stage = LEAVING;
    state_add(m, &s);
}

void command_mark(struct model *m, struct state s, int i)
{
    if (m->former->no_marks || !owners_mark(&s.o, i))
        rest(m, &s, i);
    state_add(m, &s);
}

void command_ask(struct model *m, struct state s, int i, bool again)
{
    owners_ask(&s.o, i, again);
    state_add(m, &s);
}

/* ---- what a document that was read says ---- */

static void adopt(const struct model *m, struct owner *c, const struct position_doc *doc)
{
    struct position p = owners_position_of(c);

    if (m->former->memory)
        p.applied = p.offset;
    else
        position_adopt(&p, doc, owners_now_of(c), GRACE_MS);
    owners_keep(c, &p);
    c->stage = RUNNING;
}

void command_read_held(struct model *m, struct state s, int i)
{
    struct owner *c = &s.o.w[i];
    struct position p = owners_position_of(c);
    struct position_doc doc = owners_doc_of(&s.o.doc);
    struct position_change change;
    int64_t back;

    switch (position_judge(&p, &doc, owners_names[i], &back)) {
    case POSITION_MINE:
        adopt(m, c, &doc);
        break;
    case POSITION_REWIND:
        position_set_back(&change, &doc, back);
        owners_issue(c, &change);
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
    struct owner *c = &s->o.w[i];
    struct position p = owners_position_of(c);
    int64_t moved = c->command.next.offset;

    owners_forget_command(c);
    if (!owners_agree(&s->o, i, moved)) {
        c->stage = HELD;
        return;
    }
    position_confirmed(&p, s->o.doc.offset);
    owners_keep(c, &p);
}

/* ---- answers of position commands ---- */

static void command_matched(struct model *m, struct state *s, int i)
{
    struct owner *c = &s->o.w[i];
    struct position p = owners_position_of(c);
    struct position_doc stored = owners_doc_of(&c->command.next);
    enum position_change_kind kind = (enum position_change_kind)c->command.kind;

    owners_forget_command(c);
    if (kind == POSITION_CHANGE_TAKE) {
        owners_taken(c, &stored);
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
    owners_keep(c, &p);
    if (c->stage == REWINDING)
        c->stage = RUNNING;
}

/* It matched nothing, or whether it was executed is not known: unclear. */
static void command_missed(struct model *m, struct state *s, int i, bool unclear)
{
    struct owner *c = &s->o.w[i];

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
    owners_forget_command(c);
}

/* Executed or not. A taker asks which; everyone else reads the document in any case. */
static void over_after_cut(struct model *m, struct state *s, int i)
{
    struct owner *c = &s->o.w[i];
    bool lost = c->stage == MARKING && c->command.kind == POSITION_CHANGE_GOODBYE;

    if (c->stage == TAKING) {
        c->command.flight = UNCLEAR;
        return;
    }
    owners_forget_command(c);
    if (lost && m->former->goodbye_lost)
        rest(m, s, i);
}

void command_execute(struct model *m, struct state s, int i)
{
    struct owner *c = &s.o.w[i];
    struct state unclear;
    bool matched = state_change(m, &s.o.doc, &c->command);

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
    if (matched && unclear.o.faults < m->c->faults) {
        unclear.o.faults++;
        command_missed(m, &unclear, i, true);
        state_add(m, &unclear);
    }
}

static void cut_command(struct model *m, struct state s, int i)
{
    struct owner *c = &s.o.w[i];
    struct position p = owners_position_of(c);

    s.o.faults++;
    position_unknown(&p, 0, GRACE_MS);
    owners_keep(c, &p);
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
    const struct owner *c = &s->o.w[i];

    if (c->command.flight == OUT) {
        command_execute(m, *s, i);
        if (s->o.faults < m->c->faults)
            cut_command(m, *s, i);
    } else if (c->command.flight == CUT) {
        command_execute(m, *s, i);
        never_executed(m, *s, i);
    }
}

void command_step_unclear(struct model *m, struct state s, int i)
{
    if (s.o.w[i].stage == TAKING) {
        look_after_take(m, s, i);
        return;
    }
    look_after_move(&s, i);
    state_add(m, &s);
}
