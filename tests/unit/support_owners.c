#include "support_owners.h"

#include <string.h>

#include "common/base/auto.h"
#include "common/base/check.h"

const char *const owners_names[CONSUMERS_MAX] = {"w0", "w1", "w2"};
const char *const owners_passes[PASSES] = {"", "p1", "p2", "p3", "p4", "p5", "p6"};
const struct doc owners_no_doc = {0, NO, 0, NO, NO, 0, 0, NO, NO, NO};

void owners_init(struct owners *o)
{
    memset(o, 0, sizeof(*o));
    o->doc = owners_no_doc;
    for (int i = 0; i < CONSUMERS_MAX; i++) {
        owners_forget_position(&o->w[i]);
        owners_forget_command(&o->w[i]);
    }
    o->w[0].stage = WAITING;
    o->w[0].assigned = 1;
}

/* ---- between the model's small numbers and the real structs ---- */

signed char owners_narrow(int64_t n)
{
    CHECK(n >= NO && n < 100);
    return (signed char)n;
}

/* Of a name: w0, p1. */
static signed char number_of(const char *name, int none)
{
    return owners_narrow(name[0] ? name[1] - '0' : none);
}

struct position_doc owners_doc_of(const struct doc *d)
{
    struct position_doc doc = {.found = d->found,
                               .offset = d->offset,
                               .generation = d->generation,
                               .begin = d->begin,
                               .rows_begin = d->rows_begin,
                               .epoch = d->epoch,
                               .rewind = d->rewind,
                               .again = d->again,
                               .uuid = {.known = true},
                               .log_id = "log"};

    if (d->owner != NO)
        strcpy(doc.owner, owners_names[d->owner]);
    strcpy(doc.pass, owners_passes[d->pass]);
    return doc;
}

static struct doc doc_kept(const struct position_doc *doc)
{
    return (struct doc){.found = doc->found,
                        .offset = owners_narrow(doc->offset),
                        .generation = owners_narrow(doc->generation),
                        .begin = owners_narrow(doc->begin),
                        .rows_begin = owners_narrow(doc->rows_begin),
                        .pass = number_of(doc->pass, 0),
                        .epoch = owners_narrow(doc->epoch),
                        .owner = number_of(doc->owner, NO),
                        .rewind = owners_narrow(doc->rewind),
                        .again = owners_narrow(doc->again)};
}

struct position owners_position_of(const struct owner *c)
{
    struct position p;

    position_init(&p);
    p.epoch = c->epoch;
    p.offset = c->offset;
    p.applied = c->applied;
    p.sent = c->sent;
    p.generation = c->generation;
    p.begin = c->begin;
    p.rows_begin = c->rows_begin;
    p.quiet_until = c->quiet;
    p.again = c->again;
    p.again_at = GRACE_MS;
    strcpy(p.pass, owners_passes[c->pass]);
    strcpy(p.log_id, "log");
    return p;
}

void owners_keep(struct owner *c, const struct position *p)
{
    c->epoch = owners_narrow(p->epoch);
    c->offset = owners_narrow(p->offset);
    c->applied = owners_narrow(p->applied);
    c->sent = owners_narrow(p->sent);
    c->generation = owners_narrow(p->generation);
    c->begin = owners_narrow(p->begin);
    c->rows_begin = owners_narrow(p->rows_begin);
    c->pass = number_of(p->pass, 0);
    c->quiet = owners_narrow(p->quiet_until);
    c->again = owners_narrow(p->again);
}

int64_t owners_now_of(const struct owner *c)
{
    return c->writing == CUT || c->command.flight == CUT ? 0 : GRACE_MS;
}

bool owners_nothing_outstanding(const struct owner *c)
{
    return c->writing == NONE && c->command.flight == NONE;
}

void owners_forget_command(struct owner *c)
{
    c->command = (struct command){.seen = owners_no_doc, .next = owners_no_doc};
}

void owners_forget_position(struct owner *c)
{
    struct position p;

    position_init(&p);
    owners_keep(c, &p);
    c->late = c->stale = 0;
}

/* ---- what is alike becomes the same ---- */

static void forget_unused(struct owner *c)
{
    if (c->stage == MARKING) {
        c->again = c->begin = c->rows_begin = NO;
        c->generation = c->pass = 0;
    }
    if (c->again == NO)
        c->late = 0;
    if (owners_now_of(c) == GRACE_MS)
        c->quiet = 0;
}

static void lower_epoch(struct doc *d, int by)
{
    if (d->epoch > 0)
        d->epoch = owners_narrow(d->epoch - by);
}

static int lowest_epoch(const struct owners *o)
{
    int lowest = o->doc.epoch;

    for (int i = 0; i < CONSUMERS_MAX; i++) {
        if (o->w[i].epoch > 0)
            lowest = MIN(lowest, o->w[i].epoch);
        if (o->w[i].command.seen.epoch > 0)
            lowest = MIN(lowest, o->w[i].command.seen.epoch);
    }
    return lowest;
}

/* Only the differences of epochs matter: the lowest that anyone still knows becomes 1. */
static void renumber_epochs(struct owners *o)
{
    int lowest = lowest_epoch(o);

    if (lowest < 2)
        return;
    lower_epoch(&o->doc, lowest - 1);
    for (int i = 0; i < CONSUMERS_MAX; i++) {
        struct owner *c = &o->w[i];

        c->epoch = c->epoch ? owners_narrow(c->epoch - lowest + 1) : 0;
        lower_epoch(&c->command.seen, lowest - 1);
        lower_epoch(&c->command.next, lowest - 1);
    }
}

void owners_forget_unused(struct owners *o)
{
    for (int i = 0; i < CONSUMERS_MAX; i++)
        forget_unused(&o->w[i]);
    renumber_epochs(o);
}

/* ---- the group, and the end of a consumer ---- */

void owners_assign(struct owners *o, int to)
{
    if (o->w[o->holder].stage != DEAD)
        o->moves++;
    o->holder = owners_narrow(to);
    o->w[to].assigned = 1;
    if (o->w[to].stage == RESTING)
        o->w[to].stage = WAITING;
}

void owners_tell(struct owners *o, int i)
{
    o->w[i].assigned = 0;
    if (o->w[i].stage == WAITING)
        o->w[i].stage = RESTING;
}

bool owners_may_assign(const struct owners *o, int to, int moves)
{
    if (o->holder == to || (o->moves == moves && o->w[o->holder].stage != DEAD))
        return false;
    if (o->holder == 0 && o->moves == 0 && to == 2)
        return false; /* what was never its own makes them alike: the lower one first */
    return o->w[to].stage != DEAD;
}

void owners_end(struct owners *o, int i)
{
    struct owner *c = &o->w[i];

    o->ends++;
    c->stage = DEAD;
    c->assigned = 0;
    owners_forget_position(c);
    if (c->writing == OUT)
        c->writing = CUT;
    if (c->command.flight == OUT)
        c->command.flight = CUT;
    else if (c->command.flight == UNCLEAR)
        owners_forget_command(c);
}

void owners_grace_is_over(struct owners *o, int i)
{
    o->w[i].late = 1;
    for (int k = 0; k < CONSUMERS_MAX; k++)
        if (o->w[k].epoch < o->w[i].epoch && o->w[k].epoch > 0 && o->w[k].stage != DEAD)
            o->w[k].stale = 1;
}

bool owners_dead_may_write(const struct owners *o)
{
    for (int i = 0; i < CONSUMERS_MAX; i++)
        if (o->w[i].stage == DEAD && o->w[i].writing != NONE)
            return true;
    return false;
}

/* ---- the position document ---- */

static void set_place(struct doc *d, const struct doc *next)
{
    d->offset = next->offset;
    d->generation = next->generation;
    d->begin = next->begin;
    d->rows_begin = next->rows_begin;
    d->pass = next->pass;
}

void owners_issue(struct owner *c, const struct position_change *change)
{
    struct doc seen = doc_kept(&change->seen), next = doc_kept(&change->next);
    struct doc compared = owners_no_doc, set = owners_no_doc;

    compared.found = set.found = 1;
    if (change->kind == POSITION_CHANGE_TAKE) {
        compared = seen;
        set = next;
    } else if (change->kind == POSITION_CHANGE_MARK) {
        compared.generation = seen.generation;
        set.rewind = next.rewind;
    } else {
        compared.epoch = seen.epoch;
        compared.owner = seen.owner;
        compared.rewind = seen.rewind;
        set_place(&set, &next);
    }
    c->command = (struct command){OUT, (signed char)change->kind, compared, set};
}

static bool matches(const struct doc *d, const struct command *command, enum blind blind)
{
    bool owners =
        d->found && d->epoch == command->seen.epoch && d->owner == command->seen.owner;

    switch ((enum position_change_kind)command->kind) {
    case POSITION_CHANGE_TAKE:
        if (!command->seen.found || !d->found)
            return command->seen.found == d->found;
        return owners && d->rewind == command->seen.rewind && d->again == command->seen.again &&
               (d->offset == command->seen.offset || blind == BLIND_OFFSET) &&
               (d->pass == command->seen.pass || blind == BLIND_PASS);
    case POSITION_CHANGE_MOVE:
    case POSITION_CHANGE_SET_BACK:
    case POSITION_CHANGE_BEGIN_AGAIN:
        return owners && d->rewind == command->seen.rewind;
    case POSITION_CHANGE_GOODBYE:
        return owners;
    case POSITION_CHANGE_MARK:
        return d->found && d->generation == command->seen.generation;
    }
    return false;
}

static void go_back(struct doc *d, const struct doc *next)
{
    d->offset = next->offset;
    d->rows_begin = next->rows_begin;
    d->pass = next->pass;
}

bool owners_change(struct doc *d, const struct command *command, enum blind blind)
{
    if (!matches(d, command, blind))
        return false;
    switch ((enum position_change_kind)command->kind) {
    case POSITION_CHANGE_TAKE:
        *d = command->next;
        break;
    case POSITION_CHANGE_GOODBYE:
        d->owner = NO;
        if (command->next.offset != NO) /* in doubt it stays */
            set_place(d, &command->next);
        break;
    case POSITION_CHANGE_MOVE:
        set_place(d, &command->next);
        break;
    case POSITION_CHANGE_SET_BACK:
        go_back(d, &command->next);
        d->rewind = NO;
        break;
    case POSITION_CHANGE_BEGIN_AGAIN:
        go_back(d, &command->next);
        d->again = NO;
        break;
    case POSITION_CHANGE_MARK:
        d->rewind =
            d->rewind == NO ? command->next.rewind : MIN(d->rewind, command->next.rewind);
        break;
    }
    return true;
}

/* ---- taking over and leaving ---- */

void owners_taken(struct owner *c, const struct position_doc *stored)
{
    struct position p;

    position_taken(&p, stored, 0, GRACE_MS);
    owners_keep(c, &p);
    c->late = c->stale = 0;
    c->stage = RUNNING;
}

void owners_look_after_take(struct owners *o, int i, const struct command *take)
{
    struct owner *c = &o->w[i];
    struct position_change change = {.kind = POSITION_CHANGE_TAKE,
                                     .next = owners_doc_of(&take->next)};
    struct position_doc doc = owners_doc_of(&o->doc);

    if (position_is_taken(&change, &doc))
        owners_taken(c, &doc);
    else
        c->stage = c->assigned ? WAITING : RESTING;
}

void owners_rest(struct owners *o, int i, int undecided, bool stray)
{
    struct owner *c = &o->w[i];
    bool again = stray || position_may_take_again(c->assigned);
    bool untold = c->assigned && o->holder != i;

    owners_forget_position(c);
    c->stage = RESTING;
    if (!again || (untold && o->undecided == undecided))
        return; /* it is told before it comes to that */
    o->undecided = owners_narrow(o->undecided + untold);
    c->stage = WAITING;
}

void owners_say_goodbye(struct owners *o, int i, bool in_doubt)
{
    struct position p = owners_position_of(&o->w[i]);
    struct position_change change;

    if (in_doubt)
        position_doubt(&p);
    position_goodbye(&change, &p, owners_names[i]);
    owners_issue(&o->w[i], &change);
}

bool owners_mark(struct owners *o, int i)
{
    struct position p = owners_position_of(&o->w[i]);
    struct position_doc doc = owners_doc_of(&o->doc);
    struct position_change change;

    if (!position_late_mark(&change, &p, &doc))
        return false;
    owners_issue(&o->w[i], &change);
    return true;
}

void owners_ask(struct owners *o, int i, bool again)
{
    struct position p = owners_position_of(&o->w[i]);
    struct position_change change;

    if (again)
        position_begin_again(&change, &p, owners_names[i]);
    else
        position_move(&change, &p, owners_names[i]);
    owners_issue(&o->w[i], &change);
}

bool owners_agree(const struct owners *o, int i, int64_t moved)
{
    struct position p = owners_position_of(&o->w[i]);
    struct position_doc doc = owners_doc_of(&o->doc);
    int64_t back;

    return position_judge(&p, &doc, owners_names[i], &back) == POSITION_MINE &&
           position_agrees(&p, &doc, moved);
}
