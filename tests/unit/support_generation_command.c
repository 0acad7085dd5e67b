/* Taking over and marking are read and stored in two steps; every other command is executed as
 * soon as it is asked for, but its answer may be lost, or it comes late. */
#include "support_generation_command.h"

/* ---- taking over and leaving ---- */

static void rest(struct model *m, struct state *s, int i)
{
    owners_rest(&s->o, i, m->c->undecided, false);
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
    struct position_doc old = owners_doc_of(&s.o.doc);
    struct position_change change;

    position_take(&change, &old, &source, owners_names[i]);
    owners_issue(&s.o.w[i], &change);
    s.o.w[i].stage = TAKING;
    generation_add(m, &s);
}

void generation_mark(struct model *m, struct state s, int i)
{
    if (!owners_mark(&s.o, i))
        rest(m, &s, i);
    generation_add(m, &s);
}

/* ---- answers ---- */

/* What a sweep read before says nothing when its end is reached again. */
static void forget_sweep(const struct model *m, struct work *work)
{
    if (m->former->remembers)
        return;
    work->sweeping = NOT_SWEEPING;
    work->documents = work->notes = 0;
    work->swept = 0;
}

static void confirmed(struct work *work, struct position *p, int64_t offset)
{
    position_confirmed(p, offset);
    if (work->swept && offset == p->applied) {
        work->dropping |= (unsigned char)(1u << work->swept);
        work->swept = 0;
    }
}

static void matched(struct model *m, struct state *s, int i, const struct command *command)
{
    struct owner *c = &s->o.w[i];
    struct position p = owners_position_of(c);
    struct position_doc stored = owners_doc_of(&command->next);

    owners_forget_command(c);
    switch ((enum position_change_kind)command->kind) {
    case POSITION_CHANGE_TAKE:
        owners_taken(c, &stored);
        return;
    case POSITION_CHANGE_GOODBYE:
    case POSITION_CHANGE_MARK:
        rest(m, s, i);
        return;
    case POSITION_CHANGE_MOVE:
        confirmed(&s->work[i], &p, stored.offset);
        break;
    case POSITION_CHANGE_SET_BACK:
        position_went_back(&p, stored.offset);
        forget_sweep(m, &s->work[i]);
        break;
    case POSITION_CHANGE_BEGIN_AGAIN:
        position_begins_again(&p);
        forget_sweep(m, &s->work[i]);
        break;
    }
    owners_keep(c, &p);
    c->stage = RUNNING;
}

/* The document is read: was it executed? */
static void look_after_move(struct state *s, int i, int64_t moved)
{
    struct owner *c = &s->o.w[i];
    struct position p = owners_position_of(c);

    if (!owners_agree(&s->o, i, moved)) {
        c->stage = HELD;
        return;
    }
    confirmed(&s->work[i], &p, s->o.doc.offset);
    owners_keep(c, &p);
}

/* It matched nothing, or its answer does not say whether it was executed. */
static void missed(struct state *s, int i, const struct command *command)
{
    struct owner *c = &s->o.w[i];

    owners_forget_command(c);
    switch ((enum position_change_kind)command->kind) {
    case POSITION_CHANGE_TAKE:
        owners_look_after_take(&s->o, i, command);
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
    struct owner *c = &s.o.w[i];
    struct position p = owners_position_of(c);

    s.o.faults++;
    position_unknown(&p, 0, GRACE_MS);
    owners_keep(c, &p);
    c->command.flight = CUT;
    c->stage = c->command.kind == POSITION_CHANGE_GOODBYE ? MARKING : HELD;
    generation_add(m, &s);
}

static void execute(struct model *m, struct state s, int i)
{
    struct command command = s.o.w[i].command;
    bool found = generation_change(m, &s.o.doc, &command);
    struct state unclear = s;

    if (found)
        matched(m, &s, i, &command);
    else
        missed(&s, i, &command);
    generation_add(m, &s);
    if (!found || unclear.o.faults == m->c->faults)
        return;
    unclear.o.faults++;
    missed(&unclear, i, &command);
    generation_add(m, &unclear);
}

/* What is issued. */
static void send(struct model *m, struct state s, int i)
{
    if (s.o.faults < m->c->faults)
        cut(m, s, i);
    execute(m, s, i);
}

void generation_command_step(struct model *m, const struct state *s, int i)
{
    struct state after = *s;

    if (s->o.w[i].command.flight == OUT) {
        execute(m, *s, i);
    } else if (s->o.w[i].command.flight == CUT) {
        owners_forget_command(&after.o.w[i]);
        generation_add(m, &after);
        if (generation_change(m, &after.o.doc, &s->o.w[i].command))
            generation_add(m, &after);
    }
}

/* ---- asking ---- */

void generation_goodbye(struct model *m, struct state s, int i, bool in_doubt)
{
    owners_say_goodbye(&s.o, i, in_doubt);
    send(m, s, i);
}

void generation_ask(struct model *m, struct state s, int i, bool again)
{
    owners_ask(&s.o, i, again);
    send(m, s, i);
}

void generation_read_held(struct model *m, struct state s, int i)
{
    struct owner *c = &s.o.w[i];
    struct position p = owners_position_of(c);
    struct position_doc doc = owners_doc_of(&s.o.doc);
    struct position_change change;
    int64_t back;

    switch (position_judge(&p, &doc, owners_names[i], &back)) {
    case POSITION_MINE:
        position_adopt(&p, &doc, owners_now_of(c), GRACE_MS);
        owners_keep(c, &p);
        c->stage = RUNNING;
        break;
    case POSITION_REWIND:
        position_set_back(&change, &doc, back);
        owners_issue(c, &change);
        send(m, s, i);
        return;
    case POSITION_LOST:
    case POSITION_GONE:
        c->stage = MARKING;
        break;
    }
    generation_add(m, &s);
}
