#include "support_position_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/auto.h"
#include "support_position_command.h"
#include "support_position_state.h"
#include "support_position_write.h"

/* ---- the group, and the end of a consumer ---- */

static void assign(struct model *m, struct state s, int to)
{
    owners_assign(&s.o, to);
    state_add(m, &s);
}

static void tell(struct model *m, struct state s, int i)
{
    owners_tell(&s.o, i);
    state_add(m, &s);
}

static void end_one(struct model *m, struct state s, int i)
{
    owners_end(&s.o, i);
    state_add(m, &s);
}

/* A signal while something may still come: marked at once, and no goodbye. */
static void end_with_mark(struct model *m, struct state s, int i)
{
    struct owner *c = &s.o.w[i];
    struct command command = c->command;

    if (!owners_mark(&s.o, i))
        return;
    state_change(m, &s.o.doc, &c->command);
    c->command = command;
    end_one(m, s, i);
}

static bool may_assign(const struct model *m, const struct state *s, int to)
{
    if (!owners_may_assign(&s->o, to, m->c->moves))
        return false;
    for (int i = 0; m->c->told && i < m->c->consumers; i++)
        if (s->o.w[i].assigned && i != s->o.holder)
            return false;
    return true;
}

static void step_group(struct model *m, const struct state *s, int i)
{
    const struct owner *c = &s->o.w[i];

    if (c->stage == DEAD)
        return;
    if (may_assign(m, s, i))
        assign(m, *s, i);
    if (s->o.holder != i && c->assigned)
        tell(m, *s, i);
    if (s->o.ends < m->c->ends && !c->stale && i + 1 < m->c->consumers && c->stage > WAITING) {
        end_one(m, *s, i);
        if (owners_now_of(c) < GRACE_MS && !m->former->no_marks)
            end_with_mark(m, *s, i);
    }
}

/* ---- one step of anyone ---- */

/* Memory's offset may be too high for a goodbye: that leaves the document's. What may still
 * come is marked. */
static void leave_held(struct model *m, struct state s, int i)
{
    struct position p = owners_position_of(&s.o.w[i]);

    if (m->former->goodbye_held || position_is_quiet(&p, owners_now_of(&s.o.w[i]))) {
        command_say_goodbye(m, s, i, !m->former->goodbye_held);
        return;
    }
    s.o.w[i].stage = MARKING;
    state_add(m, &s);
}

static void step_consumer(struct model *m, const struct state *s, int i)
{
    const struct owner *c = &s->o.w[i];
    struct position p = owners_position_of(c);
    bool over = owners_nothing_outstanding(c) && position_is_quiet(&p, owners_now_of(c));

    switch ((enum stage)c->stage) {
    case WAITING:
        command_take(m, *s, i);
        break;
    case RUNNING:
        if (c->assigned)
            write_run_on(m, s, i);
        break;
    case HELD:
        if (over && c->assigned)
            command_read_held(m, *s, i);
        break;
    case MARKING:
        if (over)
            command_mark(m, *s, i);
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
        const struct owner *c = &s->o.w[i];
        bool leaves = !c->assigned && owners_nothing_outstanding(c);
        bool asked = c->command.flight == OUT && c->command.kind != POSITION_CHANGE_TAKE;

        if (m->c->at_once && asked)
            command_execute(m, *s, i);
        else if (m->c->at_once && c->command.flight == UNCLEAR && c->stage == RUNNING)
            command_step_unclear(m, *s, i);
        else if (leaves && c->stage == RUNNING)
            command_say_goodbye(m, *s, i, false);
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
    write_step(m, s, i);
    command_step(m, s, i);
    step_group(m, s, i);
    if (s->o.w[i].command.flight == UNCLEAR)
        command_step_unclear(m, *s, i);
    else
        step_consumer(m, s, i);
}

/* ---- all of them ---- */

static bool is_right(const struct model *m, const struct state *s)
{
    int right[KEYS] = {0};

    for (int i = 0; i < m->c->log_len; i++)
        right[state_log[i].key] = state_log[i].value;
    for (int key = 0; key < KEYS; key++)
        if (s->values[key] != right[key])
            return false;
    return s->o.doc.offset == m->c->log_len && s->o.doc.rewind == NO && s->o.doc.again == NO &&
           s->o.doc.owner == s->o.holder;
}

static void explore(struct model *m)
{
    struct state s;

    memset(&s, 0, sizeof(s));
    owners_init(&s.o);
    state_add(m, &s);
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
                      s->values[0], s->values[1], s->o.doc.offset, s->o.doc.epoch,
                      s->o.doc.owner, s->o.doc.rewind, s->o.doc.again, s->o.holder);
        for (int i = 0; i < m->c->consumers; i++) {
            const struct owner *c = &s->o.w[i];

            print_message(" | %s%s epoch %d offset %d applied %d sent %d again %d/%d",
                          stages[c->stage], c->assigned ? "" : " (not its own)", c->epoch,
                          c->offset, c->applied, c->sent, c->again, c->late);
            if (c->writing)
                print_message(" write %d-%d %s", s->writes[i].from, s->writes[i].end,
                              flights[c->writing]);
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
