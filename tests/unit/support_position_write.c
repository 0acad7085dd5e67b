#include "support_position_write.h"

#include "common/base/auto.h"
#include "support_position_command.h"

/* ---- writes ---- */

static int keys_between(int from, int end)
{
    int keys = 0;

    for (int i = from; i < end; i++)
        keys |= 1 << state_log[i].key;
    return keys;
}

/* The last event of the key in the batch. */
static void write_key(struct state *s, const struct write *w, int key)
{
    for (int i = w->from; i < w->end; i++)
        if (state_log[i].key == key)
            s->values[key] = (signed char)state_log[i].value;
}

static void send(struct model *m, struct state s, int i, int end)
{
    struct owner *c = &s.o.w[i];
    struct position p = owners_position_of(c);

    c->writing = OUT;
    s.writes[i] = (struct write){c->applied, owners_narrow(end),
                                 owners_narrow(keys_between(c->applied, end))};
    position_sending(&p, end);
    owners_keep(c, &p);
    state_add(m, &s);
}

/* It is over, executed or not. */
static void forget_write(struct state *s, int i)
{
    s->o.w[i].writing = NONE;
    s->writes[i] = (struct write){0};
}

static void written(struct model *m, struct state s, int i)
{
    struct owner *c = &s.o.w[i];
    struct position p = owners_position_of(c);

    for (int key = 0; key < KEYS; key++)
        if (s.writes[i].keys & 1 << key)
            write_key(&s, &s.writes[i], key);
    position_written(&p, s.writes[i].end);
    owners_keep(c, &p);
    forget_write(&s, i);
    state_add(m, &s);
}

static void cut_write(struct model *m, struct state s, int i)
{
    struct owner *c = &s.o.w[i];
    struct position p = owners_position_of(c);

    s.o.faults++;
    position_unknown(&p, 0, GRACE_MS);
    owners_keep(c, &p);
    c->writing = CUT;
    if (c->stage == RUNNING)
        c->stage = HELD;
    state_add(m, &s);
}

/* Key by key, as an unordered command that the server breaks off may be. */
static void write_late(struct model *m, struct state s, int i, int key)
{
    struct write *w = &s.writes[i];

    write_key(&s, w, key);
    w->keys = owners_narrow(w->keys & ~(1 << key));
    if (!w->keys)
        forget_write(&s, i);
    state_add(m, &s);
}

void write_step(struct model *m, const struct state *s, int i)
{
    struct state never = *s;

    if (s->o.w[i].writing == OUT) {
        written(m, *s, i);
        if (s->o.faults < m->c->faults)
            cut_write(m, *s, i);
    } else if (s->o.w[i].writing == CUT) {
        for (int key = 0; key < KEYS; key++)
            if (s->writes[i].keys & 1 << key)
                write_late(m, *s, i, key);
        forget_write(&never, i);
        state_add(m, &never);
    }
}

/* ---- an owner that runs ---- */

static void grace_is_over(struct model *m, struct state s, int i)
{
    owners_grace_is_over(&s.o, i);
    state_add(m, &s);
}

/* An owner that has nothing to do reads its document now and then. */
static void look_when_idle(struct model *m, struct state s, int i)
{
    if (owners_agree(&s.o, i, POSITION_NONE))
        return;
    s.o.w[i].stage = HELD;
    state_add(m, &s);
}

void write_run_on(struct model *m, const struct state *s, int i)
{
    const struct owner *c = &s->o.w[i];
    struct position p = owners_position_of(c);
    bool due = position_again_due(&p, c->late ? GRACE_MS : 0);
    bool idle = c->writing == NONE && c->command.flight == NONE;

    if (c->writing == NONE && !due &&
        position_may_send(&p, owners_now_of(c), owners_now_of(c), 10))
        for (int end = c->applied + 1; end <= MIN(m->c->log_len, c->applied + m->c->batch_max);
             end++)
            send(m, *s, i, end);
    if (c->command.flight == NONE && position_is_ahead(&p))
        command_ask(m, *s, i, false);
    if (idle && due)
        command_ask(m, *s, i, true);
    if (c->again != NO && !c->late && !owners_dead_may_write(&s->o))
        grace_is_over(m, *s, i);
    if (idle && c->offset == m->c->log_len && !position_is_ahead(&p))
        look_when_idle(m, *s, i);
}
