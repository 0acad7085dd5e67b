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
    if (s.w[s.holder].stage != DEAD)
        s.moves++;
    s.holder = generation_narrow(to);
    s.w[to].assigned = 1;
    if (s.w[to].stage == RESTING)
        s.w[to].stage = WAITING;
    generation_add(m, &s);
}

static void tell(struct model *m, struct state s, int i)
{
    s.w[i].assigned = 0;
    if (s.w[i].stage == WAITING)
        s.w[i].stage = RESTING;
    generation_add(m, &s);
}

/* What it sent may still come. */
static void end_one(struct model *m, struct state s, int i)
{
    struct consumer *c = &s.w[i];

    s.ends++;
    c->stage = DEAD;
    c->assigned = 0;
    generation_forget_position(c);
    if (c->write.flight == OUT)
        c->write.flight = CUT;
    if (c->command.flight == OUT)
        c->command.flight = CUT;
    generation_add(m, &s);
}

static bool may_assign(const struct model *m, const struct state *s, int to)
{
    if (s->holder == to || (s->moves == m->c->moves && s->w[s->holder].stage != DEAD))
        return false;
    if (s->holder == 0 && s->moves == 0 && to == 2)
        return false; /* what was never its own makes them alike: the lower one first */
    return s->w[to].stage != DEAD;
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
    if (s->ends < m->c->ends && !c->stale && i + 1 < m->c->consumers && c->stage > WAITING)
        end_one(m, *s, i);
}

/* ---- what is done beside the consumers ---- */

static void replay(struct model *m, struct state s)
{
    signed char *rewind = &s.doc.rewind;

    s.replays++;
    *rewind =
        generation_narrow(*rewind == NO ? m->c->replay_to : MIN(*rewind, m->c->replay_to));
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
        if (s.listed & 1u << pass && s.doc.pass != pass)
            s.notes[pass] = 0;
    s.listed = 0;
    generation_add(m, &s);
}

static void drop_swept(struct model *m, struct state s, int i)
{
    for (int pass = 1; pass < PASSES; pass++)
        if (s.w[i].dropping & 1u << pass)
            s.notes[generation_place(m, pass)] = 0;
    s.w[i].dropping = 0;
    generation_add(m, &s);
}

static void step_beside(struct model *m, const struct state *s)
{
    if (s->replays < m->c->replays && s->doc.found && s->doc.offset >= m->c->replay_to)
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
    struct position p = generation_position_of(&s.w[i]);

    if (position_is_quiet(&p, generation_now_of(&s.w[i]))) {
        generation_goodbye(m, s, i, true);
        return;
    }
    s.w[i].stage = MARKING;
    generation_add(m, &s);
}

static void step_consumer(struct model *m, const struct state *s, int i)
{
    const struct consumer *c = &s->w[i];
    struct position p = generation_position_of(c);
    bool over =
        generation_nothing_outstanding(c) && position_is_quiet(&p, generation_now_of(c));

    switch ((enum stage)c->stage) {
    case WAITING:
        if (generation_nothing_outstanding(c))
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
    case DEAD:
        break;
    }
}

/* Steps that nobody else can notice need no other order than: at once. */
static bool step_alone(struct model *m, const struct state *s)
{
    for (int i = 0; i < m->c->consumers; i++) {
        const struct consumer *c = &s->w[i];
        bool leaves = !c->assigned && generation_nothing_outstanding(c);

        if (leaves && c->stage == RUNNING)
            generation_goodbye(m, *s, i, false);
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
    generation_write_step(m, s, i);
    generation_command_step(m, s, i);
    step_group(m, s, i);
    step_consumer(m, s, i);
    if (s->w[i].dropping)
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
    return s->doc.offset == m->c->log_len && s->doc.rewind == NO && s->doc.again == NO &&
           s->doc.owner == s->holder && s->doc.pass == 0;
}

static void start(struct model *m)
{
    struct state s;

    memset(&s, 0, sizeof(s));
    s.doc = generation_no_doc;
    if (!m->c->starts_at_begin) {
        s.doc.found = 1;
        s.doc.offset = 0;
    }
    for (int i = 0; i < CONSUMERS_MAX; i++) {
        generation_forget_position(&s.w[i]);
        generation_forget_command(&s.w[i]);
    }
    s.w[0].stage = WAITING;
    s.w[0].assigned = 1;
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
    static const char *const stages[] = {"rests", "waits", "takes", "runs",
                                         "held",  "marks", "dead"};
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
                      s->doc.offset, s->doc.generation, s->doc.begin, s->doc.pass, s->doc.epoch,
                      s->doc.owner, s->doc.rewind, s->doc.again, s->holder);
        for (int i = 0; i < m->c->consumers; i++) {
            const struct consumer *c = &s->w[i];

            print_message(" | %s%s%s epoch %d offset %d applied %d sent %d begin %d pass %d "
                          "again %d/%d",
                          stages[c->stage], c->assigned ? "" : " (not its own)",
                          sweeps[c->sweeping], c->epoch, c->offset, c->applied, c->sent,
                          c->begin, c->pass, c->again, c->late);
            if (c->write.flight)
                print_message(" %s %d=%d pass %d %s", writes[c->write.kind], c->write.key,
                              c->write.value, c->write.pass, flights[c->write.flight]);
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
