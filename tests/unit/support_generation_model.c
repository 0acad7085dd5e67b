#include "support_generation_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/auto.h"
#include "support_generation_apply.h"
#include "support_generation_command.h"
#include "support_generation_state.h"

/* ---- the group, and the end of a consumer ---- */

static void assign(struct model *m, struct state s, int to)
{
    owners_assign(&s.o, to);
    generation_add(m, &s);
}

static void tell(struct model *m, struct state s, int i)
{
    owners_tell(&s.o, i);
    generation_add(m, &s);
}

static void end_one(struct model *m, struct state s, int i)
{
    owners_end(&s.o, i);
    generation_add(m, &s);
}

static void step_group(struct model *m, const struct state *s, int i)
{
    const struct owner *c = &s->o.w[i];

    if (c->stage == DEAD)
        return;
    if (owners_may_assign(&s->o, i, m->c->moves))
        assign(m, *s, i);
    if (s->o.holder != i && c->assigned)
        tell(m, *s, i);
    if (s->o.ends < m->c->ends && !c->stale && i + 1 < m->c->consumers && c->stage > WAITING)
        end_one(m, *s, i);
}

/* ---- what is done beside the consumers ---- */

static void replay(struct model *m, struct state s)
{
    signed char *rewind = &s.o.doc.rewind;

    s.replays++;
    *rewind = owners_narrow(*rewind == NO ? m->c->replay_to : MIN(*rewind, m->c->replay_to));
    generation_add(m, &s);
}

static void list_passes(struct model *m, struct state s)
{
    for (int pass = 1; pass < PASSES; pass++)
        if (s.notes[pass])
            s.listed |= (unsigned char)(1u << pass);
    if (!s.listed)
        return;
    s.collects++;
    generation_add(m, &s);
}

static void drop_listed(struct model *m, struct state s)
{
    for (int pass = 1; pass < PASSES; pass++)
        if (s.listed & 1u << pass && s.o.doc.pass != pass)
            s.notes[pass] = 0;
    s.listed = 0;
    generation_add(m, &s);
}

static void drop_swept(struct model *m, struct state s, int i)
{
    for (int pass = 1; pass < PASSES; pass++)
        if (s.work[i].dropping & 1u << pass)
            s.notes[generation_place(m, pass)] = 0;
    s.work[i].dropping = 0;
    generation_add(m, &s);
}

static void step_beside(struct model *m, const struct state *s)
{
    if (s->replays < m->c->replays && s->o.doc.found && s->o.doc.offset >= m->c->replay_to)
        replay(m, *s);
    if (s->listed)
        drop_listed(m, *s);
    else if (s->collects < m->c->collects)
        list_passes(m, *s);
}

/* ---- one step of anyone ---- */

/* Memory's offset may be too high for a goodbye: that leaves the document's. What may still
 * come is marked. */
static void leave_held(struct model *m, struct state s, int i)
{
    struct position p = owners_position_of(&s.o.w[i]);

    if (position_is_quiet(&p, owners_now_of(&s.o.w[i]))) {
        generation_goodbye(m, s, i, true);
        return;
    }
    s.o.w[i].stage = MARKING;
    generation_add(m, &s);
}

static void step_consumer(struct model *m, const struct state *s, int i)
{
    const struct owner *c = &s->o.w[i];
    struct position p = owners_position_of(c);
    bool over = owners_nothing_outstanding(c) && position_is_quiet(&p, owners_now_of(c));

    switch ((enum stage)c->stage) {
    case WAITING:
        if (owners_nothing_outstanding(c))
            generation_take(m, *s, i);
        break;
    case RUNNING:
        if (c->assigned)
            generation_run_on(m, s, i);
        break;
    case HELD:
        if (over && c->assigned)
            generation_read_held(m, *s, i);
        break;
    case MARKING:
        if (over)
            generation_mark(m, *s, i);
        break;
    case RESTING:
    case TAKING:
    case REWINDING: /* these two take no time here */
    case LEAVING:
    case DEAD:
        break;
    }
}

/* Steps that nobody else can notice need no other order than: at once. */
static bool step_alone(struct model *m, const struct state *s)
{
    for (int i = 0; i < m->c->consumers; i++) {
        const struct owner *c = &s->o.w[i];
        bool leaves = !c->assigned && owners_nothing_outstanding(c);

        if (leaves && c->stage == RUNNING)
            generation_goodbye(m, *s, i, false);
        else if (leaves && c->stage == HELD)
            leave_held(m, *s, i);
        else if (c->assigned && s->o.holder != i && c->stage == RESTING)
            tell(m, *s, i);
        else
            continue;
        return true;
    }
    return false;
}

static void step(struct model *m, const struct state *s, int i)
{
    generation_write_step(m, s, i);
    generation_command_step(m, s, i);
    step_group(m, s, i);
    step_consumer(m, s, i);
    if (s->work[i].dropping)
        drop_swept(m, *s, i);
}

/* ---- all of them ---- */

static bool is_right(const struct model *m, const struct state *s)
{
    int right[KEYS] = {0};

    for (int i = 0; i < m->c->log_len; i++) {
        const struct generation_event *e = &m->c->log[i];

        if (e->kind == GENERATION_BEGIN || e->kind == GENERATION_BEGIN_FIRST)
            memset(right, 0, sizeof(right)); /* its rows bring what there is */
        else if (e->kind == GENERATION_PUT)
            right[e->key] = e->value;
    }
    for (int key = 0; key < KEYS; key++)
        if (s->values[key] != right[key])
            return false;
    return s->o.doc.offset == m->c->log_len && s->o.doc.rewind == NO && s->o.doc.again == NO &&
           s->o.doc.owner == s->o.holder && s->o.doc.pass == 0;
}

static void start(struct model *m)
{
    struct state s;

    memset(&s, 0, sizeof(s));
    owners_init(&s.o);
    if (!m->c->starts_at_begin) {
        s.o.doc.found = 1;
        s.o.doc.offset = 0;
    }
    generation_add(m, &s);
}

static void judge_end(struct model *m, const struct state *s)
{
    m->outcome.ends++;
    if (is_right(m, s))
        return;
    m->outcome.wrong = true;
    m->bad = m->search.at;
}

static void explore(struct model *m)
{
    struct state s;

    start(m);
    while (m->bad == SEARCH_NOBODY && search_next(&m->search, &s)) {
        size_t steps = m->search.steps;

        if (s.took) {
            m->outcome.took = true;
            m->bad = m->search.at;
            break;
        }
        if (!step_alone(m, &s)) {
            for (int i = 0; i < m->c->consumers; i++)
                step(m, &s, i);
            step_beside(m, &s);
        }
        if (m->search.steps == steps)
            judge_end(m, &s);
    }
    m->outcome.states = m->search.count;
}

/* How it came to that, from the end to the begin. */
static void print_story(const struct model *m)
{
    static const char *const stages[] = {"rests",     "waits",  "takes", "runs", "held",
                                         "rewinding", "leaves", "marks", "dead"};
    static const char *const sweeps[] = {"", " knows documents", " knows both", " deletes"};
    static const char *const writes[] = {"put", "note", "sweep"};
    static const char *const flights[] = {"", "out", "cut"};

    for (uint32_t n = m->bad; n != SEARCH_NOBODY; n = m->search.from[n]) {
        const struct state *s = search_state(&m->search, n);

        print_message("  values %d %d %d, notes", s->values[0], s->values[1], s->values[2]);
        for (int pass = 0; pass < PASSES; pass++)
            print_message(" %x", s->notes[pass]);
        print_message(", document: offset %d generation %d begin %d pass %d epoch %d owner %d "
                      "rewind %d again %d; the group: %d",
                      s->o.doc.offset, s->o.doc.generation, s->o.doc.begin, s->o.doc.pass,
                      s->o.doc.epoch, s->o.doc.owner, s->o.doc.rewind, s->o.doc.again,
                      s->o.holder);
        for (int i = 0; i < m->c->consumers; i++) {
            const struct owner *c = &s->o.w[i];
            const struct write *w = &s->work[i].write;

            print_message(" | %s%s%s epoch %d offset %d applied %d sent %d begin %d pass %d "
                          "again %d/%d",
                          stages[c->stage], c->assigned ? "" : " (not its own)",
                          sweeps[s->work[i].sweeping], c->epoch, c->offset, c->applied, c->sent,
                          c->begin, c->pass, c->again, c->late);
            if (c->writing)
                print_message(" %s %d=%d pass %d %s", writes[w->kind], w->key, w->value,
                              w->pass, flights[c->writing]);
            if (c->command.flight)
                print_message(" command %d to %d rewind %d pass %d %s", c->command.kind,
                              c->command.next.offset, c->command.next.rewind,
                              c->command.next.pass, flights[c->command.flight]);
        }
        print_message("\n");
    }
}

struct generation_outcome generation_model_run(const struct generation_case *c,
                                               const struct generation_former *former,
                                               bool story)
{
    struct model m = {.c = c, .former = former, .bad = SEARCH_NOBODY};

    search_init(&m.search, sizeof(struct state));
    explore(&m);
    print_message("%s, %d consumers, %d faults, %d ended, %d moves, %d replays: %u states, "
                  "%zu ends, %s\n",
                  c->name, c->consumers, c->faults, c->ends, c->moves, c->replays,
                  m.outcome.states, m.outcome.ends,
                  m.bad == SEARCH_NOBODY ? "holds" : "broken");
    if (m.bad != SEARCH_NOBODY && story)
        print_story(&m);
    search_release(&m.search);
    return m.outcome;
}
