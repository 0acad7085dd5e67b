#include "support_position_state.h"

#include <string.h>

#include "common/base/auto.h"
#include "common/base/check.h"

const struct log_event state_log[LOG_MAX] = {{0, 1}, {0, 2}, {1, 3}, {0, 4}};
const char *const state_names[CONSUMERS_MAX] = {"w0", "w1", "w2"};
const struct doc state_no_doc = {0, NO, 0, NO, NO, NO};

/* ---- between the model's small numbers and the real structs ---- */

signed char state_narrow(int64_t n)
{
    CHECK(n >= NO && n < 100);
    return (signed char)n;
}

struct position_doc state_doc_of(const struct doc *d)
{
    struct position_doc doc = {.found = d->found,
                               .offset = d->offset,
                               .generation = 1,
                               .epoch = d->epoch,
                               .rewind = d->rewind,
                               .again = d->again,
                               .log_id = "log"};

    if (d->owner != NO)
        strcpy(doc.owner, state_names[d->owner]);
    return doc;
}

static struct doc doc_kept(const struct position_doc *doc)
{
    return (struct doc){.found = doc->found,
                        .offset = state_narrow(doc->offset),
                        .epoch = state_narrow(doc->epoch),
                        .owner = doc->owner[0] ? state_narrow(doc->owner[1] - '0') : NO,
                        .rewind = state_narrow(doc->rewind),
                        .again = state_narrow(doc->again)};
}

struct position state_position_of(const struct consumer *c)
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

void state_keep(struct consumer *c, const struct position *p)
{
    c->epoch = state_narrow(p->epoch);
    c->offset = state_narrow(p->offset);
    c->applied = state_narrow(p->applied);
    c->sent = state_narrow(p->sent);
    c->quiet = state_narrow(p->quiet_until);
    c->again = state_narrow(p->again);
}

int64_t state_now_of(const struct consumer *c)
{
    return c->write.flight == CUT || c->command.flight == CUT ? 0 : GRACE_MS;
}

bool state_nothing_outstanding(const struct consumer *c)
{
    return c->write.flight == NONE && c->command.flight == NONE;
}

void state_forget_command(struct consumer *c)
{
    c->command = (struct command){.seen = state_no_doc, .next = state_no_doc};
}

void state_forget_position(struct consumer *c)
{
    struct position p;

    position_init(&p);
    state_keep(c, &p);
    c->late = c->stale = 0;
}

static void lower_epoch(struct doc *d, int by)
{
    if (d->epoch > 0)
        d->epoch = state_narrow(d->epoch - by);
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
        s->w[i].epoch = s->w[i].epoch ? state_narrow(s->w[i].epoch - lowest + 1) : 0;
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
    if (state_now_of(c) == GRACE_MS)
        c->quiet = 0;
}

void state_add(struct model *m, const struct state *s)
{
    struct state smaller = *s;

    for (int i = 0; i < CONSUMERS_MAX; i++)
        forget_unused(m, &smaller.w[i]);
    renumber_epochs(&smaller);
    search_add(&m->search, &smaller);
}

/* ---- the position document ---- */

/* Keeps of a change only what it compares and sets, so that fewer states differ. */
void state_issue(struct consumer *c, const struct position_change *change)
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

bool state_change(const struct model *m, struct doc *d, const struct command *c)
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
