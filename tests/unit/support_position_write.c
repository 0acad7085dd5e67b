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
    struct consumer *c = &s.w[i];
    struct position p = state_position_of(c);

    c->write = (struct write){OUT, c->applied, state_narrow(end),
                              state_narrow(keys_between(c->applied, end))};
    position_sending(&p, end);
    state_keep(c, &p);
    state_add(m, &s);
}

static void written(struct model *m, struct state s, int i)
{
    struct consumer *c = &s.w[i];
    struct position p = state_position_of(c);

    for (int key = 0; key < KEYS; key++)
        if (c->write.keys & 1 << key)
            write_key(&s, &c->write, key);
    position_written(&p, c->write.end);
    state_keep(c, &p);
    c->write = (struct write){0};
    state_add(m, &s);
}

static void cut_write(struct model *m, struct state s, int i)
{
    struct consumer *c = &s.w[i];
    struct position p = state_position_of(c);

    s.faults++;
    position_unknown(&p, 0, GRACE_MS);
    state_keep(c, &p);
    c->write.flight = CUT;
    if (c->stage == RUNNING)
        c->stage = HELD;
    state_add(m, &s);
}

/* Key by key, as an unordered command that the server breaks off may be. */
static void write_late(struct model *m, struct state s, int i, int key)
{
    struct write *w = &s.w[i].write;

    write_key(&s, w, key);
    w->keys = state_narrow(w->keys & ~(1 << key));
    if (!w->keys)
        *w = (struct write){0};
    state_add(m, &s);
}

void write_step(struct model *m, const struct state *s, int i)
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
        state_add(m, &never);
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
    state_add(m, &s);
}

/* An owner that has nothing to do reads its document now and then. */
static void look_when_idle(struct model *m, struct state s, int i)
{
    struct position p = state_position_of(&s.w[i]);
    struct position_doc doc = state_doc_of(&s.doc);
    int64_t back;

    if (position_judge(&p, &doc, state_names[i], &back) == POSITION_MINE &&
        position_agrees(&p, &doc, POSITION_NONE))
        return;
    s.w[i].stage = HELD;
    state_add(m, &s);
}

void write_run_on(struct model *m, const struct state *s, int i)
{
    const struct consumer *c = &s->w[i];
    struct position p = state_position_of(c);
    bool due = position_again_due(&p, c->late ? GRACE_MS : 0);
    bool idle = c->write.flight == NONE && c->command.flight == NONE;

    if (c->write.flight == NONE && !due &&
        position_may_send(&p, state_now_of(c), state_now_of(c), 10))
        for (int end = c->applied + 1; end <= MIN(m->c->log_len, c->applied + m->c->batch_max);
             end++)
            send(m, *s, i, end);
    if (c->command.flight == NONE && position_is_ahead(&p))
        command_ask(m, *s, i, false);
    if (idle && due)
        command_ask(m, *s, i, true);
    if (c->again != NO && !c->late && !the_dead_may_still_write(s))
        grace_is_over(m, *s, i);
    if (idle && c->offset == m->c->log_len && !position_is_ahead(&p))
        look_when_idle(m, *s, i);
}
