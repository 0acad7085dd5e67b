/* Each step of a consumer makes of one state those that follow it. An answer is taken in the
 * moment of the execution: what comes in between does not touch the consumer's memory, so every
 * order with a late answer ends like one with an early answer or with none. */
#include "support_position_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/auto.h"
#include "common/check.h"
#include "consumer/position.h"
#include "support_search.h"

#define CONSUMERS_MAX 3
#define LOG_MAX 4
#define KEYS 2
#define NO (-1)
#define GRACE_MS 1

/* What the log holds: a key and its value. */
static const struct {
    int key;
    int value;
} log_events[LOG_MAX] = {{0, 1}, {0, 2}, {1, 3}, {0, 4}};

static const char *const names[CONSUMERS_MAX] = {"w0", "w1", "w2"};

enum stage {
    RESTING,
    WAITING, /* to take over */
    TAKING,
    RUNNING,
    HELD, /* what is outstanding ends first, then the document is read */
    REWINDING,
    LEAVING,
    MARKING, /* like HELD, then the mark */
    DEAD,
};

enum flight {
    NONE,
    OUT,     /* its answer is waited for */
    CUT,     /* given up, but it may be executed until the grace is over */
    UNCLEAR, /* it is over; the document has to say whether it was executed */
};

struct doc { /* the position document */
    signed char found, offset, epoch, owner, rewind, again;
};

struct command {
    signed char flight, kind;
    struct doc seen, next;
};

struct write {
    signed char flight, from, end, keys; /* keys: a bit for each that is not written yet */
};

struct consumer {
    signed char stage;
    signed char assigned; /* as far as the consumer was told */
    signed char late;     /* the grace after its take-over is over */
    signed char stale;    /* the grace of its successor is over */
    signed char epoch, offset, applied, sent, quiet, again; /* struct position */
    struct write write;
    struct command command;
};

struct state {
    signed char values[KEYS];
    signed char holder; /* the group's word */
    signed char faults, ends, moves, untold;
    struct doc doc;
    struct consumer w[CONSUMERS_MAX];
};

struct model {
    const struct position_case *c;
    const struct position_former *former;
    struct search search;
    struct position_outcome outcome;
    uint32_t bad; /* a state, or SEARCH_NOBODY */
};

static const struct doc no_doc = {0, NO, 0, NO, NO, NO};

/* ---- between the model's small numbers and the real structs ---- */

static signed char narrow(int64_t n)
{
    CHECK(n >= NO && n < 100);
    return (signed char)n;
}

static struct position_doc doc_of(const struct doc *d)
{
    struct position_doc doc = {.found = d->found,
                               .offset = d->offset,
                               .generation = 1,
                               .epoch = d->epoch,
                               .rewind = d->rewind,
                               .again = d->again,
                               .log_id = "log"};

    if (d->owner != NO)
        strcpy(doc.owner, names[d->owner]);
    return doc;
}

static struct doc doc_kept(const struct position_doc *doc)
{
    return (struct doc){.found = doc->found,
                        .offset = narrow(doc->offset),
                        .epoch = narrow(doc->epoch),
                        .owner = doc->owner[0] ? narrow(doc->owner[1] - '0') : NO,
                        .rewind = narrow(doc->rewind),
                        .again = narrow(doc->again)};
}

static struct position position_of(const struct consumer *c)
{
    struct position p;

    position_init(&p);
    p.epoch = c->epoch;
    p.offset = c->offset;
    p.applied = c->applied;
    p.sent = c->sent;
    p.quiet_until = c->quiet;
    p.again = c->again;
    p.again_at = GRACE_MS;
    p.generation = 1;
    p.begin = 0;
    strcpy(p.log_id, "log");
    return p;
}

static void keep(struct consumer *c, const struct position *p)
{
    c->epoch = narrow(p->epoch);
    c->offset = narrow(p->offset);
    c->applied = narrow(p->applied);
    c->sent = narrow(p->sent);
    c->quiet = narrow(p->quiet_until);
    c->again = narrow(p->again);
}

static int64_t now_of(const struct consumer *c)
{
    return c->write.flight == CUT || c->command.flight == CUT ? 0 : GRACE_MS;
}

static void forget_command(struct consumer *c)
{
    c->command = (struct command){.seen = no_doc, .next = no_doc};
}

static void forget_position(struct consumer *c)
{
    struct position p;

    position_init(&p);
    keep(c, &p);
    c->late = c->stale = 0;
}

static void lower_epoch(struct doc *d, int by)
{
    if (d->epoch > 0)
        d->epoch = narrow(d->epoch - by);
}

/* Only the differences of epochs matter: the lowest that anyone still knows becomes 1. */
static void renumber_epochs(struct state *s)
{
    int lowest = s->doc.epoch;

    for (int i = 0; i < CONSUMERS_MAX; i++) {
        if (s->w[i].epoch > 0)
            lowest = MIN(lowest, s->w[i].epoch);
        if (s->w[i].command.seen.epoch > 0)
            lowest = MIN(lowest, s->w[i].command.seen.epoch);
    }
    if (lowest < 2)
        return;
    lower_epoch(&s->doc, lowest - 1);
    for (int i = 0; i < CONSUMERS_MAX; i++) {
        s->w[i].epoch = s->w[i].epoch ? narrow(s->w[i].epoch - lowest + 1) : 0;
        lower_epoch(&s->w[i].command.seen, lowest - 1);
        lower_epoch(&s->w[i].command.next, lowest - 1);
    }
}

/* What the consumer does not look at any more becomes the same everywhere. */
static void forget_unused(const struct model *m, struct consumer *c)
{
    if (c->stage == MARKING)
        c->again = NO;
    if (c->stage == MARKING || (c->stage == HELD && !m->former->goodbye_held))
        c->applied = c->offset;
    if (c->again == NO)
        c->late = 0;
    if (now_of(c) == GRACE_MS)
        c->quiet = 0;
}

static void add(struct model *m, const struct state *s)
{
    struct state smaller = *s;

    for (int i = 0; i < CONSUMERS_MAX; i++)
        forget_unused(m, &smaller.w[i]);
    renumber_epochs(&smaller);
    search_add(&m->search, &smaller);
}

/* ---- the position document ---- */

/* Keeps of a change only what it compares and sets, so that fewer states differ. */
static void issue(struct consumer *c, const struct position_change *change)
{
    struct doc seen = doc_kept(&change->seen), next = doc_kept(&change->next);

    if (change->kind == POSITION_CHANGE_MARK)
        seen = (struct doc){1, NO, 0, NO, NO, NO};
    else if (change->kind != POSITION_CHANGE_TAKE)
        seen = (struct doc){1, NO, seen.epoch, seen.owner, seen.rewind, NO};
    if (change->kind == POSITION_CHANGE_MARK)
        next = (struct doc){1, NO, 0, NO, next.rewind, NO};
    else if (change->kind != POSITION_CHANGE_TAKE)
        next = (struct doc){1, next.offset, 0, NO, NO, NO};
    c->command = (struct command){OUT, (signed char)change->kind, seen, next};
}

static bool matches(const struct model *m, const struct doc *d, const struct command *c)
{
    bool owners = d->found && d->epoch == c->seen.epoch && d->owner == c->seen.owner;

    switch ((enum position_change_kind)c->kind) {
    case POSITION_CHANGE_TAKE:
        if (!c->seen.found || !d->found)
            return c->seen.found == d->found;
        return owners && d->rewind == c->seen.rewind && d->again == c->seen.again &&
               (d->offset == c->seen.offset || m->former->blind_take);
    case POSITION_CHANGE_MOVE:
    case POSITION_CHANGE_SET_BACK:
    case POSITION_CHANGE_BEGIN_AGAIN:
        return owners && d->rewind == c->seen.rewind;
    case POSITION_CHANGE_GOODBYE:
        return owners;
    case POSITION_CHANGE_MARK:
        return d->found;
    }
    return false;
}

static bool change(const struct model *m, struct doc *d, const struct command *c)
{
    if (!matches(m, d, c))
        return false;
    switch ((enum position_change_kind)c->kind) {
    case POSITION_CHANGE_TAKE:
        *d = c->next;
        break;
    case POSITION_CHANGE_GOODBYE:
        d->owner = NO;
        if (c->next.offset != NO) /* in doubt it stays */
            d->offset = c->next.offset;
        break;
    case POSITION_CHANGE_MOVE:
        d->offset = c->next.offset;
        break;
    case POSITION_CHANGE_SET_BACK:
        d->offset = c->next.offset;
        d->rewind = NO;
        break;
    case POSITION_CHANGE_BEGIN_AGAIN:
        d->offset = c->next.offset;
        d->again = NO;
        break;
    case POSITION_CHANGE_MARK:
        d->rewind = d->rewind == NO ? c->next.rewind : MIN(d->rewind, c->next.rewind);
        break;
    }
    return true;
}

/* ---- taking over and leaving ---- */

static void rest(struct model *m, struct state *s, int i)
{
    struct consumer *c = &s->w[i];
    bool again = m->former->stray || position_may_take_again(c->assigned);

    forget_position(c);
    c->stage = RESTING;
    if (!again)
        return;
    if (c->assigned && s->holder != i && s->untold == m->c->untold)
        return; /* it is told before it comes to that */
    s->untold = narrow(s->untold + (c->assigned && s->holder != i));
    c->stage = WAITING;
}

static void take(struct model *m, struct state s, int i)
{
    struct consumer *c = &s.w[i];
    struct position_source source = {.log_id = "log", .generation = 1, .begin = 0};
    struct position_doc old = doc_of(&s.doc);
    struct position_change change;

    position_take(&change, &old, &source, names[i]);
    if (m->former->no_again)
        change.next.again = POSITION_NONE;
    issue(c, &change);
    c->stage = TAKING;
    if (!c->assigned) {
        m->outcome.strayed = true;
        m->bad = m->search.at;
        return;
    }
    add(m, &s);
}

static void taken(struct consumer *c, const struct position_doc *stored)
{
    struct position p;

    position_taken(&p, stored, 0, GRACE_MS);
    keep(c, &p);
    c->late = c->stale = 0;
    c->stage = RUNNING;
}

static void look_after_take(struct model *m, struct state s, int i)
{
    struct consumer *c = &s.w[i];
    struct position_change take = {.kind = POSITION_CHANGE_TAKE,
                                   .next = doc_of(&c->command.next)};
    struct position_doc doc = doc_of(&s.doc);

    if (position_is_taken(&take, &doc))
        taken(c, &doc);
    else
        c->stage = c->assigned ? WAITING : RESTING;
    forget_command(c);
    add(m, &s);
}

static void say_goodbye(struct model *m, struct state s, int i, bool in_doubt)
{
    struct position p = position_of(&s.w[i]);
    struct position_change change;

    if (in_doubt)
        position_doubt(&p);
    position_goodbye(&change, &p, names[i]);
    issue(&s.w[i], &change);
    s.w[i].stage = LEAVING;
    add(m, &s);
}

static void mark(struct model *m, struct state s, int i)
{
    struct position p = position_of(&s.w[i]);
    struct position_doc doc = doc_of(&s.doc);
    struct position_change change;

    if (!m->former->no_marks && position_late_mark(&change, &p, &doc))
        issue(&s.w[i], &change);
    else
        rest(m, &s, i);
    add(m, &s);
}

/* ---- what a document that was read says ---- */

static void adopt(const struct model *m, struct consumer *c, const struct position_doc *doc)
{
    struct position p = position_of(c);

    if (m->former->memory)
        p.applied = p.offset;
    else
        position_adopt(&p, doc, now_of(c), GRACE_MS);
    keep(c, &p);
    c->stage = RUNNING;
}

static void read_held(struct model *m, struct state s, int i)
{
    struct consumer *c = &s.w[i];
    struct position p = position_of(c);
    struct position_doc doc = doc_of(&s.doc);
    struct position_change change;
    int64_t back;

    switch (position_judge(&p, &doc, names[i], &back)) {
    case POSITION_MINE:
        adopt(m, c, &doc);
        break;
    case POSITION_REWIND:
        position_set_back(&change, &doc, back);
        issue(c, &change);
        c->stage = REWINDING;
        break;
    case POSITION_LOST:
    case POSITION_GONE:
        c->stage = MARKING;
        break;
    }
    add(m, &s);
}

static void look_after_move(struct state *s, int i)
{
    struct consumer *c = &s->w[i];
    struct position p = position_of(c);
    struct position_doc doc = doc_of(&s->doc);
    int64_t moved = c->command.next.offset, back;

    forget_command(c);
    if (position_judge(&p, &doc, names[i], &back) != POSITION_MINE ||
        !position_agrees(&p, &doc, moved)) {
        c->stage = HELD;
        return;
    }
    position_confirmed(&p, doc.offset);
    keep(c, &p);
}

/* ---- answers of position commands ---- */

static void command_matched(struct model *m, struct state *s, int i)
{
    struct consumer *c = &s->w[i];
    struct position p = position_of(c);
    struct position_doc stored = doc_of(&c->command.next);
    enum position_change_kind kind = (enum position_change_kind)c->command.kind;

    forget_command(c);
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
    keep(c, &p);
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
    forget_command(c);
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
    forget_command(c);
    if (lost && m->former->goodbye_lost)
        rest(m, s, i);
}

static void execute_command(struct model *m, struct state s, int i)
{
    struct consumer *c = &s.w[i];
    struct state unclear;
    bool matched = change(m, &s.doc, &c->command);

    if (c->command.flight == CUT) {
        over_after_cut(m, &s, i);
        add(m, &s);
        return;
    }
    unclear = s;
    if (matched)
        command_matched(m, &s, i);
    else
        command_missed(m, &s, i, false);
    add(m, &s);
    if (matched && unclear.faults < m->c->faults) {
        unclear.faults++;
        command_missed(m, &unclear, i, true);
        add(m, &unclear);
    }
}

static void cut_command(struct model *m, struct state s, int i)
{
    struct consumer *c = &s.w[i];
    struct position p = position_of(c);

    s.faults++;
    position_unknown(&p, 0, GRACE_MS);
    keep(c, &p);
    c->command.flight = CUT;
    if (c->stage == RUNNING || c->stage == REWINDING)
        c->stage = HELD;
    else if (c->stage == LEAVING)
        c->stage = MARKING;
    add(m, &s);
}

static void never_executed(struct model *m, struct state s, int i)
{
    over_after_cut(m, &s, i);
    add(m, &s);
}

static void step_command(struct model *m, const struct state *s, int i)
{
    const struct consumer *c = &s->w[i];

    if (c->command.flight == OUT) {
        execute_command(m, *s, i);
        if (s->faults < m->c->faults)
            cut_command(m, *s, i);
    } else if (c->command.flight == CUT) {
        execute_command(m, *s, i);
        never_executed(m, *s, i);
    }
}

static void step_unclear(struct model *m, struct state s, int i)
{
    if (s.w[i].stage == TAKING) {
        look_after_take(m, s, i);
        return;
    }
    look_after_move(&s, i);
    add(m, &s);
}

/* ---- writes ---- */

static int keys_between(int from, int end)
{
    int keys = 0;

    for (int i = from; i < end; i++)
        keys |= 1 << log_events[i].key;
    return keys;
}

/* The last event of the key in the batch. */
static void write_key(struct state *s, const struct write *w, int key)
{
    for (int i = w->from; i < w->end; i++)
        if (log_events[i].key == key)
            s->values[key] = (signed char)log_events[i].value;
}

static void send(struct model *m, struct state s, int i, int end)
{
    struct consumer *c = &s.w[i];
    struct position p = position_of(c);

    c->write =
        (struct write){OUT, c->applied, narrow(end), narrow(keys_between(c->applied, end))};
    position_sending(&p, end);
    keep(c, &p);
    add(m, &s);
}

static void written(struct model *m, struct state s, int i)
{
    struct consumer *c = &s.w[i];
    struct position p = position_of(c);

    for (int key = 0; key < KEYS; key++)
        if (c->write.keys & 1 << key)
            write_key(&s, &c->write, key);
    position_written(&p, c->write.end);
    keep(c, &p);
    c->write = (struct write){0};
    add(m, &s);
}

static void cut_write(struct model *m, struct state s, int i)
{
    struct consumer *c = &s.w[i];
    struct position p = position_of(c);

    s.faults++;
    position_unknown(&p, 0, GRACE_MS);
    keep(c, &p);
    c->write.flight = CUT;
    if (c->stage == RUNNING)
        c->stage = HELD;
    add(m, &s);
}

/* Key by key, as an unordered command that the server breaks off may be. */
static void write_late(struct model *m, struct state s, int i, int key)
{
    struct write *w = &s.w[i].write;

    write_key(&s, w, key);
    w->keys = narrow(w->keys & ~(1 << key));
    if (!w->keys)
        *w = (struct write){0};
    add(m, &s);
}

static void step_write(struct model *m, const struct state *s, int i)
{
    struct state never = *s;

    if (s->w[i].write.flight == OUT) {
        written(m, *s, i);
        if (s->faults < m->c->faults)
            cut_write(m, *s, i);
    } else if (s->w[i].write.flight == CUT) {
        for (int key = 0; key < KEYS; key++)
            if (s->w[i].write.keys & 1 << key)
                write_late(m, *s, i, key);
        never.w[i].write = (struct write){0};
        add(m, &never);
    }
}

/* ---- an owner that runs ---- */

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
    add(m, &s);
}

static void ask(struct model *m, struct state s, int i, bool again)
{
    struct position p = position_of(&s.w[i]);
    struct position_change change;

    if (again)
        position_begin_again(&change, &p, names[i]);
    else
        position_move(&change, &p, names[i]);
    issue(&s.w[i], &change);
    add(m, &s);
}

/* An owner that has nothing to do reads its document now and then. */
static void look_when_idle(struct model *m, struct state s, int i)
{
    struct position p = position_of(&s.w[i]);
    struct position_doc doc = doc_of(&s.doc);
    int64_t back;

    if (position_judge(&p, &doc, names[i], &back) == POSITION_MINE &&
        position_agrees(&p, &doc, POSITION_NONE))
        return;
    s.w[i].stage = HELD;
    add(m, &s);
}

static void run_on(struct model *m, const struct state *s, int i)
{
    const struct consumer *c = &s->w[i];
    struct position p = position_of(c);
    bool due = position_again_due(&p, c->late ? GRACE_MS : 0);
    bool idle = c->write.flight == NONE && c->command.flight == NONE;

    if (c->write.flight == NONE && !due && position_may_send(&p, now_of(c), now_of(c), 10))
        for (int end = c->applied + 1; end <= MIN(m->c->log_len, c->applied + m->c->batch_max);
             end++)
            send(m, *s, i, end);
    if (c->command.flight == NONE && position_is_ahead(&p))
        ask(m, *s, i, false);
    if (idle && due)
        ask(m, *s, i, true);
    if (c->again != NO && !c->late && !the_dead_may_still_write(s))
        grace_is_over(m, *s, i);
    if (idle && c->offset == m->c->log_len && !position_is_ahead(&p))
        look_when_idle(m, *s, i);
}

/* ---- the group, and the end of a consumer ---- */

static void assign(struct model *m, struct state s, int to)
{
    if (s.w[s.holder].stage != DEAD)
        s.moves++;
    s.holder = narrow(to);
    s.w[to].assigned = 1;
    if (s.w[to].stage == RESTING)
        s.w[to].stage = WAITING;
    add(m, &s);
}

static void tell(struct model *m, struct state s, int i)
{
    s.w[i].assigned = 0;
    if (s.w[i].stage == WAITING)
        s.w[i].stage = RESTING;
    add(m, &s);
}

static void end_one(struct model *m, struct state s, int i)
{
    struct consumer *c = &s.w[i];

    s.ends++;
    c->stage = DEAD;
    c->assigned = 0;
    forget_position(c);
    if (c->write.flight == OUT)
        c->write.flight = CUT;
    if (c->command.flight == OUT)
        c->command.flight = CUT;
    else if (c->command.flight == UNCLEAR)
        forget_command(c);
    add(m, &s);
}

/* A signal while something may still come: marked at once, and no goodbye. */
static void end_with_mark(struct model *m, struct state s, int i)
{
    struct position p = position_of(&s.w[i]);
    struct position_doc doc = doc_of(&s.doc);
    struct position_change mark;
    struct command command;

    if (!position_late_mark(&mark, &p, &doc))
        return;
    command = s.w[i].command;
    issue(&s.w[i], &mark);
    change(m, &s.doc, &s.w[i].command);
    s.w[i].command = command;
    end_one(m, s, i);
}

static bool may_assign(const struct model *m, const struct state *s, int to)
{
    if (s->holder == to || (s->moves == m->c->moves && s->w[s->holder].stage != DEAD))
        return false;
    if (s->holder == 0 && s->moves == 0 && to == 2)
        return false; /* what was never its own makes them alike: the lower one first */
    for (int i = 0; m->c->told && i < m->c->consumers; i++)
        if (s->w[i].assigned && i != s->holder)
            return false;
    return true;
}

static void step_group(struct model *m, const struct state *s, int i)
{
    const struct consumer *c = &s->w[i];

    if (c->stage == DEAD)
        return;
    if (may_assign(m, s, i))
        assign(m, *s, i);
    if (s->holder != i && c->assigned)
        tell(m, *s, i);
    if (s->ends < m->c->ends && !c->stale && i + 1 < m->c->consumers && c->stage > WAITING) {
        end_one(m, *s, i);
        if (now_of(c) < GRACE_MS && !m->former->no_marks)
            end_with_mark(m, *s, i);
    }
}

/* ---- one step of anyone ---- */

static bool nothing_outstanding(const struct consumer *c)
{
    return c->write.flight == NONE && c->command.flight == NONE;
}

/* Memory's offset may be too high for a goodbye: that leaves the document's. What may still
 * come is marked. */
static void leave_held(struct model *m, struct state s, int i)
{
    struct position p = position_of(&s.w[i]);

    if (m->former->goodbye_held || position_is_quiet(&p, now_of(&s.w[i]))) {
        say_goodbye(m, s, i, !m->former->goodbye_held);
        return;
    }
    s.w[i].stage = MARKING;
    add(m, &s);
}

static void step_consumer(struct model *m, const struct state *s, int i)
{
    const struct consumer *c = &s->w[i];
    struct position p = position_of(c);
    bool over = nothing_outstanding(c) && position_is_quiet(&p, now_of(c));

    switch ((enum stage)c->stage) {
    case WAITING:
        take(m, *s, i);
        break;
    case RUNNING:
        if (c->assigned)
            run_on(m, s, i);
        break;
    case HELD:
        if (over && c->assigned)
            read_held(m, *s, i);
        break;
    case MARKING:
        if (over)
            mark(m, *s, i);
        break;
    case RESTING:
    case TAKING:
    case REWINDING:
    case LEAVING:
    case DEAD:
        break;
    }
}

/* Steps that nobody else can notice need no other order than: at once. */
static bool step_alone(struct model *m, const struct state *s)
{
    for (int i = 0; i < m->c->consumers; i++) {
        const struct consumer *c = &s->w[i];
        bool leaves = !c->assigned && nothing_outstanding(c);
        bool asked = c->command.flight == OUT && c->command.kind != POSITION_CHANGE_TAKE;

        if (m->c->at_once && asked)
            execute_command(m, *s, i);
        else if (m->c->at_once && c->command.flight == UNCLEAR && c->stage == RUNNING)
            step_unclear(m, *s, i);
        else if (leaves && c->stage == RUNNING)
            say_goodbye(m, *s, i, false);
        else if (leaves && c->stage == HELD)
            leave_held(m, *s, i);
        else if (c->assigned && s->holder != i && c->stage == RESTING)
            tell(m, *s, i);
        else
            continue;
        return true;
    }
    return false;
}

static void step(struct model *m, const struct state *s, int i)
{
    step_write(m, s, i);
    step_command(m, s, i);
    step_group(m, s, i);
    if (s->w[i].command.flight == UNCLEAR)
        step_unclear(m, *s, i);
    else
        step_consumer(m, s, i);
}

/* ---- all of them ---- */

static bool is_right(const struct model *m, const struct state *s)
{
    int right[KEYS] = {0};

    for (int i = 0; i < m->c->log_len; i++)
        right[log_events[i].key] = log_events[i].value;
    for (int key = 0; key < KEYS; key++)
        if (s->values[key] != right[key])
            return false;
    return s->doc.offset == m->c->log_len && s->doc.rewind == NO && s->doc.again == NO &&
           s->doc.owner == s->holder;
}

static void explore(struct model *m)
{
    struct state s;

    memset(&s, 0, sizeof(s));
    s.doc = no_doc;
    for (int i = 0; i < CONSUMERS_MAX; i++) {
        forget_position(&s.w[i]);
        forget_command(&s.w[i]);
    }
    s.w[0].stage = WAITING;
    s.w[0].assigned = 1;
    add(m, &s);
    while (m->bad == SEARCH_NOBODY && search_next(&m->search, &s)) {
        size_t steps = m->search.steps;

        if (!step_alone(m, &s))
            for (int i = 0; i < m->c->consumers; i++)
                step(m, &s, i);
        if (m->search.steps > steps || m->bad != SEARCH_NOBODY)
            continue;
        m->outcome.ends++;
        if (is_right(m, &s))
            continue;
        m->outcome.wrong = true;
        m->bad = m->search.at;
    }
    m->outcome.states = m->search.count;
}

/* How it came to that, from the end to the begin. */
static void print_story(const struct model *m)
{
    static const char *const stages[] = {"rests",     "waits",  "takes", "runs", "held",
                                         "rewinding", "leaves", "marks", "dead"};
    static const char *const flights[] = {"", "out", "cut", "unclear"};

    for (uint32_t n = m->bad; n != SEARCH_NOBODY; n = m->search.from[n]) {
        const struct state *s = search_state(&m->search, n);

        print_message("  values %d %d, document: offset %d epoch %d owner %d rewind %d again "
                      "%d; the group: %d",
                      s->values[0], s->values[1], s->doc.offset, s->doc.epoch, s->doc.owner,
                      s->doc.rewind, s->doc.again, s->holder);
        for (int i = 0; i < m->c->consumers; i++) {
            const struct consumer *c = &s->w[i];

            print_message(" | %s%s epoch %d offset %d applied %d sent %d again %d/%d",
                          stages[c->stage], c->assigned ? "" : " (not its own)", c->epoch,
                          c->offset, c->applied, c->sent, c->again, c->late);
            if (c->write.flight)
                print_message(" write %d-%d %s", c->write.from, c->write.end,
                              flights[c->write.flight]);
            if (c->command.flight)
                print_message(" command %d to %d rewind %d %s", c->command.kind,
                              c->command.next.offset, c->command.next.rewind,
                              flights[c->command.flight]);
        }
        print_message("\n");
    }
}

struct position_outcome position_model_run(const struct position_case *c,
                                           const struct position_former *former)
{
    static const struct position_former present;
    struct model m = {.c = c, .former = former, .bad = SEARCH_NOBODY};

    search_init(&m.search, sizeof(struct state));
    explore(&m);
    print_message("%d consumers, %d events, %d faults, %d ended, %d moves: %u states, %zu "
                  "ends, %s\n",
                  c->consumers, c->log_len, c->faults, c->ends, c->moves, m.outcome.states,
                  m.outcome.ends, m.bad == SEARCH_NOBODY ? "holds" : "broken");
    if (m.bad != SEARCH_NOBODY && memcmp(former, &present, sizeof(present)) == 0)
        print_story(&m);
    search_release(&m.search);
    return m.outcome;
}
