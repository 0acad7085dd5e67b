/* Taking over and marking are read and stored in two steps; every other command is executed as
 * soon as it is asked for, but its answer may be lost, or it comes late. */
#include "support_generation_command.h"

/* ---- taking over and leaving ---- */

static void rest(struct model *m, struct state *s, int i)
{
    struct consumer *c = &s->w[i];
    bool again = position_may_take_again(c->assigned);

    generation_forget_position(c);
    c->stage = RESTING;
    if (!again)
        return;
    if (c->assigned && s->holder != i && s->undecided == m->c->undecided)
        return; /* it is told before it comes to that */
    s->undecided = generation_narrow(s->undecided + (c->assigned && s->holder != i));
    c->stage = WAITING;
}

/* The newest begin in the log, as the ledger has it. */
static struct position_source newest(const struct model *m)
{
    const struct generation_case *c = m->c;
    struct position_source source = {.log_id = "log", .uuid = {.known = true}};

    source.begin = POSITION_NONE;
    for (int i = 0; i < c->log_len; i++)
        if (c->log[i].kind != GENERATION_PUT && c->log[i].kind != GENERATION_END) {
            source.begin = i;
            source.generation = c->log[i].generation;
            source.rows =
                c->log[i].kind != GENERATION_BEGIN_CHANGES || m->former->rows_expected;
        }
    return source;
}

void generation_take(struct model *m, struct state s, int i)
{
    struct position_source source = newest(m);
    struct position_doc old = generation_doc_of(&s.doc);
    struct position_change change;

    position_take(&change, &old, &source, generation_names[i]);
    generation_issue(&s.w[i], &change);
    s.w[i].stage = TAKING;
    generation_add(m, &s);
}

static void taken(struct consumer *c, const struct position_doc *stored)
{
    struct position p;

    position_taken(&p, stored, 0, GRACE_MS);
    generation_keep(c, &p);
    c->late = c->stale = 0;
    c->stage = RUNNING;
}

void generation_mark(struct model *m, struct state s, int i)
{
    struct position p = generation_position_of(&s.w[i]);
    struct position_doc doc = generation_doc_of(&s.doc);
    struct position_change change;

    if (position_late_mark(&change, &p, &doc))
        generation_issue(&s.w[i], &change);
    else
        rest(m, &s, i);
    generation_add(m, &s);
}

/* ---- answers ---- */

/* What a sweep read before says nothing when its end is reached again. */
static void forget_sweep(const struct model *m, struct consumer *c)
{
    if (m->former->remembers)
        return;
    c->sweeping = NOT_SWEEPING;
    c->documents = c->notes = 0;
    c->swept = 0;
}

static void confirmed(struct consumer *c, struct position *p, int64_t offset)
{
    position_confirmed(p, offset);
    if (c->swept && offset == p->applied) {
        c->dropping |= (unsigned char)(1u << c->swept);
        c->swept = 0;
    }
}

static void matched(struct model *m, struct state *s, int i, const struct command *command)
{
    struct consumer *c = &s->w[i];
    struct position p = generation_position_of(c);
    struct position_doc stored = generation_doc_of(&command->next);

    generation_forget_command(c);
    switch ((enum position_change_kind)command->kind) {
    case POSITION_CHANGE_TAKE:
        taken(c, &stored);
        return;
    case POSITION_CHANGE_GOODBYE:
    case POSITION_CHANGE_MARK:
        rest(m, s, i);
        return;
    case POSITION_CHANGE_MOVE:
        confirmed(c, &p, stored.offset);
        break;
    case POSITION_CHANGE_SET_BACK:
        position_went_back(&p, stored.offset);
        forget_sweep(m, c);
        break;
    case POSITION_CHANGE_BEGIN_AGAIN:
        position_begins_again(&p);
        forget_sweep(m, c);
        break;
    }
    generation_keep(c, &p);
    c->stage = RUNNING;
}

/* The document is read: was it executed? */
static void look_after_move(struct state *s, int i, int64_t moved)
{
    struct consumer *c = &s->w[i];
    struct position p = generation_position_of(c);
    struct position_doc doc = generation_doc_of(&s->doc);
    int64_t back;

    if (position_judge(&p, &doc, generation_names[i], &back) != POSITION_MINE ||
        !position_agrees(&p, &doc, moved)) {
        c->stage = HELD;
        return;
    }
    confirmed(c, &p, doc.offset);
    generation_keep(c, &p);
}

static void look_after_take(struct state *s, int i, const struct command *command)
{
    struct consumer *c = &s->w[i];
    struct position_change take = {.kind = POSITION_CHANGE_TAKE,
                                   .next = generation_doc_of(&command->next)};
    struct position_doc doc = generation_doc_of(&s->doc);

    if (position_is_taken(&take, &doc))
        taken(c, &doc);
    else
        c->stage = c->assigned ? WAITING : RESTING;
}

/* It matched nothing, or its answer does not say whether it was executed. */
static void missed(struct state *s, int i, const struct command *command)
{
    struct consumer *c = &s->w[i];

    generation_forget_command(c);
    switch ((enum position_change_kind)command->kind) {
    case POSITION_CHANGE_TAKE:
        look_after_take(s, i, command);
        break;
    case POSITION_CHANGE_MOVE:
        look_after_move(s, i, command->next.offset);
        break;
    case POSITION_CHANGE_SET_BACK:
    case POSITION_CHANGE_BEGIN_AGAIN:
        c->stage = HELD;
        break;
    case POSITION_CHANGE_GOODBYE:
    case POSITION_CHANGE_MARK:
        c->stage = MARKING;
        break;
    }
}

/* ---- executing ---- */

static void cut(struct model *m, struct state s, int i)
{
    struct consumer *c = &s.w[i];
    struct position p = generation_position_of(c);

    s.faults++;
    position_unknown(&p, 0, GRACE_MS);
    generation_keep(c, &p);
    c->command.flight = CUT;
    c->stage = c->command.kind == POSITION_CHANGE_GOODBYE ? MARKING : HELD;
    generation_add(m, &s);
}

static void execute(struct model *m, struct state s, int i)
{
    struct command command = s.w[i].command;
    bool found = generation_change(m, &s.doc, &command);
    struct state unclear = s;

    if (found)
        matched(m, &s, i, &command);
    else
        missed(&s, i, &command);
    generation_add(m, &s);
    if (!found || unclear.faults == m->c->faults)
        return;
    unclear.faults++;
    missed(&unclear, i, &command);
    generation_add(m, &unclear);
}

static void issue(struct model *m, struct state s, int i, const struct position_change *change)
{
    generation_issue(&s.w[i], change);
    if (s.faults < m->c->faults)
        cut(m, s, i);
    execute(m, s, i);
}

void generation_command_step(struct model *m, const struct state *s, int i)
{
    struct state after = *s;

    if (s->w[i].command.flight == OUT) {
        execute(m, *s, i);
    } else if (s->w[i].command.flight == CUT) {
        generation_forget_command(&after.w[i]);
        generation_add(m, &after);
        if (generation_change(m, &after.doc, &s->w[i].command))
            generation_add(m, &after);
    }
}

/* ---- asking ---- */

void generation_goodbye(struct model *m, struct state s, int i, bool in_doubt)
{
    struct position p = generation_position_of(&s.w[i]);
    struct position_change change;

    if (in_doubt)
        position_doubt(&p);
    position_goodbye(&change, &p, generation_names[i]);
    issue(m, s, i, &change);
}

void generation_ask(struct model *m, struct state s, int i, bool again)
{
    struct position p = generation_position_of(&s.w[i]);
    struct position_change change;

    if (again)
        position_begin_again(&change, &p, generation_names[i]);
    else
        position_move(&change, &p, generation_names[i]);
    issue(m, s, i, &change);
}

void generation_read_held(struct model *m, struct state s, int i)
{
    struct consumer *c = &s.w[i];
    struct position p = generation_position_of(c);
    struct position_doc doc = generation_doc_of(&s.doc);
    struct position_change change;
    int64_t back;

    switch (position_judge(&p, &doc, generation_names[i], &back)) {
    case POSITION_MINE:
        position_adopt(&p, &doc, generation_now_of(c), GRACE_MS);
        generation_keep(c, &p);
        c->stage = RUNNING;
        break;
    case POSITION_REWIND:
        position_set_back(&change, &doc, back);
        issue(m, s, i, &change);
        return;
    case POSITION_LOST:
    case POSITION_GONE:
        c->stage = MARKING;
        break;
    }
    generation_add(m, &s);
}
