#include "support_generation_state.h"

#include <string.h>

#include "common/base/auto.h"
#include "common/base/check.h"

const char *const generation_names[CONSUMERS_MAX] = {"w0", "w1", "w2"};
const struct doc generation_no_doc = {0, NO, 0, NO, NO, 0, 0, NO, NO, NO};
static const char *const pass_names[PASSES] = {"", "p1", "p2", "p3", "p4", "p5", "p6"};

/* ---- between the model's small numbers and the real structs ---- */

signed char generation_narrow(int64_t n)
{
    CHECK(n >= NO && n < 100);
    return (signed char)n;
}

const char *generation_pass_name(int pass)
{
    return pass_names[pass];
}

static signed char pass_number(const char *name)
{
    return name[0] ? generation_narrow(name[1] - '0') : 0;
}

struct position_doc generation_doc_of(const struct doc *d)
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
        strcpy(doc.owner, generation_names[d->owner]);
    strcpy(doc.pass, pass_names[d->pass]);
    return doc;
}

static struct doc doc_kept(const struct position_doc *doc)
{
    return (struct doc){.found = doc->found,
                        .offset = generation_narrow(doc->offset),
                        .generation = generation_narrow(doc->generation),
                        .begin = generation_narrow(doc->begin),
                        .rows_begin = generation_narrow(doc->rows_begin),
                        .pass = pass_number(doc->pass),
                        .epoch = generation_narrow(doc->epoch),
                        .owner = doc->owner[0] ? generation_narrow(doc->owner[1] - '0') : NO,
                        .rewind = generation_narrow(doc->rewind),
                        .again = generation_narrow(doc->again)};
}

struct position generation_position_of(const struct consumer *c)
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
    strcpy(p.pass, pass_names[c->pass]);
    strcpy(p.log_id, "log");
    return p;
}

void generation_keep(struct consumer *c, const struct position *p)
{
    c->epoch = generation_narrow(p->epoch);
    c->offset = generation_narrow(p->offset);
    c->applied = generation_narrow(p->applied);
    c->sent = generation_narrow(p->sent);
    c->generation = generation_narrow(p->generation);
    c->begin = generation_narrow(p->begin);
    c->rows_begin = generation_narrow(p->rows_begin);
    c->pass = pass_number(p->pass);
    c->quiet = generation_narrow(p->quiet_until);
    c->again = generation_narrow(p->again);
}

int64_t generation_now_of(const struct consumer *c)
{
    return c->write.flight == CUT || c->command.flight == CUT ? 0 : GRACE_MS;
}

bool generation_nothing_outstanding(const struct consumer *c)
{
    return c->write.flight == NONE && c->command.flight == NONE;
}

void generation_forget_command(struct consumer *c)
{
    c->command = (struct command){.seen = generation_no_doc, .next = generation_no_doc};
}

void generation_forget_position(struct consumer *c)
{
    struct position p;

    position_init(&p);
    generation_keep(c, &p);
    c->late = c->stale = 0;
    c->sweeping = NOT_SWEEPING;
    c->documents = c->notes = 0;
    c->swept = 0;
}

/* ---- passes ---- */

static unsigned bit(int pass)
{
    return pass ? 1u << pass : 0;
}

/* Whose notes may still be read, or be the document's again. */
static unsigned passes_in_use(const struct state *s)
{
    unsigned used = s->listed | bit(s->doc.pass);

    for (int i = 0; i < CONSUMERS_MAX; i++) {
        const struct consumer *c = &s->w[i];

        used |= bit(c->pass) | bit(c->swept) | bit(c->command.seen.pass) |
                bit(c->command.next.pass);
    }
    return used;
}

int generation_new_pass(const struct state *s)
{
    unsigned used = passes_in_use(s);

    for (int i = 0; i < CONSUMERS_MAX; i++)
        used |= s->w[i].dropping | bit(s->w[i].write.pass);
    for (int pass = 1; pass < PASSES; pass++)
        if (!(used & bit(pass)))
            return pass;
    CHECK(false);
    return 0;
}

int generation_place(const struct model *m, int pass)
{
    return m->former->one_for_all ? 0 : pass;
}

/* Nobody can read the notes of a pass that nobody has. */
static void forget_passes(struct state *s)
{
    unsigned used = passes_in_use(s);

    for (int pass = 1; pass < PASSES; pass++)
        if (!(used & bit(pass)))
            s->notes[pass] = 0;
    for (int i = 0; i < CONSUMERS_MAX; i++) {
        s->w[i].dropping &= (unsigned char)used;
        if (!(used & bit(s->w[i].write.pass)))
            s->w[i].write.pass = 0;
    }
}

struct renaming {
    signed char to[PASSES];
    signed char count;
};

static signed char rename_pass(struct renaming *r, signed char pass)
{
    if (pass && !r->to[pass])
        r->to[pass] = ++r->count;
    return r->to[pass];
}

static unsigned char rename_set(struct renaming *r, unsigned char set)
{
    unsigned char renamed = 0;

    for (signed char pass = 1; pass < PASSES; pass++)
        if (set & bit(pass))
            renamed |= (unsigned char)bit(rename_pass(r, pass));
    return renamed;
}

/* Which name a pass has does not matter: they are counted as they appear. */
static void rename_passes(struct state *s)
{
    unsigned char notes[PASSES];
    struct renaming r = {0};

    s->doc.pass = rename_pass(&r, s->doc.pass);
    for (int i = 0; i < CONSUMERS_MAX; i++) {
        struct consumer *c = &s->w[i];

        c->pass = rename_pass(&r, c->pass);
        c->swept = rename_pass(&r, c->swept);
        c->command.seen.pass = rename_pass(&r, c->command.seen.pass);
        c->command.next.pass = rename_pass(&r, c->command.next.pass);
        c->write.pass = rename_pass(&r, c->write.pass);
        c->dropping = rename_set(&r, c->dropping);
    }
    s->listed = rename_set(&r, s->listed);
    memcpy(notes, s->notes, sizeof(notes));
    memset(s->notes, 0, sizeof(s->notes));
    s->notes[0] = notes[0];
    for (int pass = 1; pass < PASSES; pass++)
        if (r.to[pass])
            s->notes[r.to[pass]] = notes[pass];
}

/* ---- what is alike becomes the same ---- */

static void lower_epoch(struct doc *d, int by)
{
    if (d->epoch > 0)
        d->epoch = generation_narrow(d->epoch - by);
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
        s->w[i].epoch = s->w[i].epoch ? generation_narrow(s->w[i].epoch - lowest + 1) : 0;
        lower_epoch(&s->w[i].command.seen, lowest - 1);
        lower_epoch(&s->w[i].command.next, lowest - 1);
    }
}

/* What the consumer does not look at any more becomes the same everywhere. */
static void forget_unused(struct consumer *c)
{
    if (c->stage == MARKING) {
        c->again = c->begin = c->rows_begin = NO;
        c->generation = c->pass = 0;
    }
    if (c->stage == MARKING || c->stage == HELD)
        c->applied = c->offset;
    if (c->stage != RUNNING) {
        c->sweeping = NOT_SWEEPING;
        c->documents = c->notes = 0;
        c->swept = 0;
    }
    if (c->again == NO)
        c->late = 0;
    if (generation_now_of(c) == GRACE_MS)
        c->quiet = 0;
    if (c->write.flight == NONE)
        c->write = (struct write){0};
}

void generation_add(struct model *m, const struct state *s)
{
    struct state smaller = *s;

    for (int i = 0; i < CONSUMERS_MAX; i++)
        forget_unused(&smaller.w[i]);
    if (!m->former->one_for_all)
        forget_passes(&smaller);
    rename_passes(&smaller);
    renumber_epochs(&smaller);
    search_add(&m->search, &smaller);
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

/* Keeps of a change only what it compares and sets, so that fewer states differ. */
void generation_issue(struct consumer *c, const struct position_change *change)
{
    struct doc seen = doc_kept(&change->seen), next = doc_kept(&change->next);
    struct doc compared = generation_no_doc, set = generation_no_doc;

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

static bool matches(const struct model *m, const struct doc *d, const struct command *c)
{
    bool owners = d->found && d->epoch == c->seen.epoch && d->owner == c->seen.owner;

    switch ((enum position_change_kind)c->kind) {
    case POSITION_CHANGE_TAKE:
        if (!c->seen.found || !d->found)
            return c->seen.found == d->found;
        return owners && d->rewind == c->seen.rewind && d->again == c->seen.again &&
               d->offset == c->seen.offset &&
               (d->pass == c->seen.pass || m->former->blind_take);
    case POSITION_CHANGE_MOVE:
    case POSITION_CHANGE_SET_BACK:
    case POSITION_CHANGE_BEGIN_AGAIN:
        return owners && d->rewind == c->seen.rewind;
    case POSITION_CHANGE_GOODBYE:
        return owners;
    case POSITION_CHANGE_MARK:
        return d->found && d->generation == c->seen.generation;
    }
    return false;
}

bool generation_change(const struct model *m, struct doc *d, const struct command *c)
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
            set_place(d, &c->next);
        break;
    case POSITION_CHANGE_MOVE:
        set_place(d, &c->next);
        break;
    case POSITION_CHANGE_SET_BACK:
        d->offset = c->next.offset;
        d->rows_begin = c->next.rows_begin;
        d->pass = c->next.pass;
        d->rewind = NO;
        break;
    case POSITION_CHANGE_BEGIN_AGAIN:
        d->offset = c->next.offset;
        d->rows_begin = c->next.rows_begin;
        d->pass = c->next.pass;
        d->again = NO;
        break;
    case POSITION_CHANGE_MARK:
        d->rewind = d->rewind == NO ? c->next.rewind : MIN(d->rewind, c->next.rewind);
        break;
    }
    return true;
}
