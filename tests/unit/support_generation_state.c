#include "support_generation_state.h"

#include <string.h>

#include "common/base/check.h"

/* ---- passes ---- */

static unsigned bit(int pass)
{
    return pass ? 1u << pass : 0;
}

/* Whose notes may still be read, or be the document's again. */
static unsigned passes_in_use(const struct state *s)
{
    unsigned used = s->listed | bit(s->o.doc.pass);

    for (int i = 0; i < CONSUMERS_MAX; i++) {
        const struct owner *c = &s->o.w[i];

        used |= bit(c->pass) | bit(s->work[i].swept) | bit(c->command.seen.pass) |
                bit(c->command.next.pass);
    }
    return used;
}

int generation_new_pass(const struct state *s)
{
    unsigned used = passes_in_use(s);

    for (int i = 0; i < CONSUMERS_MAX; i++)
        used |= s->work[i].dropping | bit(s->work[i].write.pass);
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
        s->work[i].dropping &= (unsigned char)used;
        if (!(used & bit(s->work[i].write.pass)))
            s->work[i].write.pass = 0;
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

    s->o.doc.pass = rename_pass(&r, s->o.doc.pass);
    for (int i = 0; i < CONSUMERS_MAX; i++) {
        struct owner *c = &s->o.w[i];
        struct work *work = &s->work[i];

        c->pass = rename_pass(&r, c->pass);
        work->swept = rename_pass(&r, work->swept);
        c->command.seen.pass = rename_pass(&r, c->command.seen.pass);
        c->command.next.pass = rename_pass(&r, c->command.next.pass);
        work->write.pass = rename_pass(&r, work->write.pass);
        work->dropping = rename_set(&r, work->dropping);
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

/* What the consumer does not look at any more. */
static void forget_unused(struct owner *c, struct work *work)
{
    if (c->stage == MARKING || c->stage == HELD)
        c->applied = c->offset;
    if (c->writing == NONE)
        work->write = (struct write){0};
    if (c->stage == RUNNING)
        return;
    work->sweeping = NOT_SWEEPING;
    work->documents = work->notes = 0;
    work->swept = 0;
}

void generation_add(struct model *m, const struct state *s)
{
    struct state smaller = *s;

    for (int i = 0; i < CONSUMERS_MAX; i++)
        forget_unused(&smaller.o.w[i], &smaller.work[i]);
    owners_forget_unused(&smaller.o);
    if (!m->former->one_for_all)
        forget_passes(&smaller);
    rename_passes(&smaller);
    search_add(&m->search, &smaller);
}

bool generation_change(const struct model *m, struct doc *d, const struct command *command)
{
    return owners_change(d, command, m->former->blind_take ? BLIND_PASS : BLIND_NOT);
}
