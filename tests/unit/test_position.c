/* Positions: every order of a small case. Consumers take one partition in turn; their writes
 * come when they please, also after the take-over; connections are cut, one consumer is killed,
 * some leave well. The model keeps the documents and the target's position document and does to
 * it what position_store.c asks for; all decisions are those of position.c.
 *
 * Assumed of time: a grace is over only when no write of a cut connection (its own grace) or of
 * a killed consumer (the successor's) can come any more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <uthash.h>

#include "common/auto.h"
#include "common/check.h"
#include "consumer/position.h"

#define WORKERS_MAX 3
#define LOG_LEN 3
#define NO (-1)
#define GRACE_MS 1

/* What the log holds: a key and its value. */
static const struct {
    int key;
    int value;
} log_events[LOG_LEN] = {{0, 1}, {1, 2}, {0, 3}};
static const int right[2] = {3, 2};

enum stage {
    FRESH,   /* was assigned, took nothing yet */
    GRABBED, /* the epoch is its own, the start not stored yet */
    RUNS,
    SENT,     /* waits for the answer of a write */
    ANSWERED, /* the position is to be moved */
    MISSED,   /* a compare-and-set matched nothing: the document is to be read */
    QUIET,    /* its connection was cut: waits for the grace */
    MARKS,    /* lost */
    LEFT,     /* said goodbye, or marked and stopped */
    KILLED,
};

struct doc { /* the target's position document */
    signed char found, offset, epoch, owner, rewind, again;
};

struct consumer {
    signed char stage;
    signed char flying; /* offset of a write that is not executed yet, NO: none */
    signed char epoch, offset, sent, quiet, again, again_late;
    struct doc seen; /* as it was when grabbed */
};

struct state {
    signed char values[2];
    signed char kills;
    struct doc doc;
    struct consumer w[WORKERS_MAX];
};

struct model {
    int workers;
    bool marks; /* false: losers tell nobody */
    bool again; /* false: nobody applies once more */
    bool kill;
    struct node *seen;
    const struct node **todo;
    const struct node *at; /* its successors are being added */
    size_t todo_count, todo_capacity;
    size_t steps; /* taken, also to states that were seen before */
    size_t ends;
    bool broken;
    const struct node *end; /* a broken one */
};

struct node {
    struct state state;
    const struct node *from;
    UT_hash_handle hh;
};

/* ---- between the model's small numbers and the real structs ---- */

static int64_t wide(signed char c)
{
    return c == NO ? POSITION_NONE : c;
}

static signed char narrow(int64_t n)
{
    CHECK(n >= -1 && n < 120);
    return n == POSITION_NONE ? NO : (signed char)n;
}

static struct position_doc doc_of(const struct doc *d)
{
    struct position_doc doc = {.found = d->found,
                               .offset = wide(d->offset),
                               .epoch = d->epoch,
                               .rewind = wide(d->rewind),
                               .again = wide(d->again),
                               .log_id = "log"};

    if (d->owner != NO)
        snprintf(doc.owner, sizeof(doc.owner), "w%d", d->owner);
    return doc;
}

static struct position position_of(const struct consumer *c)
{
    struct position p;

    position_init(&p);
    p.epoch = c->epoch;
    p.offset = wide(c->offset);
    p.sent = wide(c->sent);
    p.quiet_until = c->quiet;
    p.again = wide(c->again);
    p.again_at = GRACE_MS;
    return p;
}

static void keep(struct consumer *c, const struct position *p)
{
    c->epoch = (signed char)p->epoch;
    c->offset = narrow(p->offset);
    c->sent = narrow(p->sent);
    c->quiet = (signed char)p->quiet_until;
    c->again = narrow(p->again);
}

/* ---- states ---- */

static void add(struct model *m, const struct state *s)
{
    struct node *n;

    m->steps++;
    HASH_FIND(hh, m->seen, s, sizeof(*s), n);
    if (n)
        return;
    n = xcalloc(1, sizeof(*n));
    n->state = *s;
    n->from = m->at;
    HASH_ADD(hh, m->seen, state, sizeof(n->state), n);
    if (m->todo_count == m->todo_capacity) {
        m->todo_capacity = m->todo_capacity ? 2 * m->todo_capacity : 1024;
        m->todo = xrealloc(m->todo, m->todo_capacity * sizeof(*m->todo));
    }
    m->todo[m->todo_count++] = n;
}

static bool cas(const struct state *s, const struct consumer *c, signed char rewind)
{
    return s->doc.found && s->doc.epoch == c->epoch && s->doc.rewind == rewind;
}

/* ---- what a consumer may do next; each adds the states that follow ---- */

static void take(struct model *m, struct state s, int i)
{
    struct consumer *c = &s.w[i];

    c->seen = s.doc;
    c->stage = GRABBED;
    c->epoch = ++s.doc.epoch;
    s.doc.owner = (signed char)i;
    s.doc.found = 1;
    add(m, &s);
}

static void store_start(struct model *m, struct state s, int i)
{
    struct consumer *c = &s.w[i];
    struct position_source source = {.log_id = "log", .generation = 1, .begin = 0};
    struct position_doc old = doc_of(&c->seen), stored;
    struct position p;
    char me[8];

    snprintf(me, sizeof(me), "w%d", i);
    position_take(&stored, &old, &source, me);
    if (!m->again)
        stored.again = POSITION_NONE;
    if (!cas(&s, c, c->seen.rewind)) {
        if (s.doc.epoch == c->epoch)
            take(m, s, i); /* a mark came in between */
        else {
            c->stage = LEFT;
            add(m, &s);
        }
        return;
    }
    position_taken(&p, &stored, 0, GRACE_MS);
    keep(c, &p);
    c->again_late = 0;
    s.doc.offset = narrow(stored.offset);
    s.doc.rewind = NO;
    s.doc.again = narrow(stored.again);
    c->stage = RUNS;
    add(m, &s);
}

static void obey(struct model *m, struct state s, int i)
{
    struct consumer *c = &s.w[i];
    struct position p = position_of(c);
    struct position_doc doc = doc_of(&s.doc);
    int64_t back;

    switch (position_judge(&p, &doc, &back)) {
    case POSITION_MINE:
        c->stage = RUNS;
        break;
    case POSITION_REWIND: /* the read and the compare-and-set that follows are one step here:
                             the set itself compares, and a miss would only read again */
        position_went_back(&p, back);
        keep(c, &p);
        s.doc.offset = narrow(back);
        s.doc.rewind = NO;
        c->stage = RUNS;
        break;
    case POSITION_LOST:
    case POSITION_GONE:
        c->stage = MARKS;
        break;
    }
    add(m, &s);
}

static void send_next(struct model *m, struct state s, int i)
{
    struct consumer *c = &s.w[i];
    struct position p = position_of(c);

    CHECK(position_may_send(&p, c->quiet, c->quiet, 10));
    position_sending(&p, p.offset + 1);
    keep(c, &p);
    c->flying = c->offset;
    c->stage = SENT;
    add(m, &s);
}

static void begin_again(struct model *m, struct state s, int i)
{
    struct consumer *c = &s.w[i];
    struct position p = position_of(c);

    if (!cas(&s, c, NO)) {
        c->stage = MISSED;
    } else {
        s.doc.offset = narrow(position_again_from(&p));
        s.doc.again = NO;
        position_begins_again(&p);
        keep(c, &p);
    }
    add(m, &s);
}

static void say_goodbye(struct model *m, struct state s, int i)
{
    struct consumer *c = &s.w[i];

    if (s.doc.epoch == c->epoch)
        s.doc.owner = NO;
    c->stage = LEFT;
    add(m, &s);
}

static void move(struct model *m, struct state s, int i)
{
    struct consumer *c = &s.w[i];
    struct position p = position_of(c);

    if (!cas(&s, c, NO)) {
        c->stage = MISSED;
    } else {
        position_confirmed(&p, p.offset + 1);
        keep(c, &p);
        s.doc.offset = c->offset;
        c->stage = RUNS;
    }
    add(m, &s);
}

static void mark(struct model *m, struct state s, int i)
{
    struct consumer *c = &s.w[i];
    struct position p = position_of(c);
    int64_t offset = position_late_mark(&p);

    if (offset != POSITION_NONE && m->marks)
        s.doc.rewind =
            s.doc.rewind == NO ? narrow(offset) : (signed char)MIN(s.doc.rewind, offset);
    c->stage = LEFT;
    add(m, &s);
}

static void execute(struct model *m, struct state s, int i)
{
    struct consumer *c = &s.w[i];

    s.values[log_events[c->flying].key] = (signed char)log_events[c->flying].value;
    c->flying = NO;
    if (c->stage == SENT)
        c->stage = ANSWERED;
    add(m, &s);
}

static void never_executed(struct model *m, struct state s, int i)
{
    s.w[i].flying = NO;
    add(m, &s);
}

static void cut(struct model *m, struct state s, int i)
{
    struct consumer *c = &s.w[i];
    struct position p = position_of(c);

    position_unknown(&p, 0, GRACE_MS);
    keep(c, &p);
    c->stage = QUIET;
    add(m, &s);
}

static void kill_one(struct model *m, struct state s, int i)
{
    s.w[i].stage = KILLED;
    s.kills++;
    add(m, &s);
}

static bool killed_may_still_write(const struct model *m, const struct state *s)
{
    for (int i = 0; i < m->workers; i++)
        if (s->w[i].stage == KILLED && s->w[i].flying != NO)
            return true;
    return false;
}

static bool successors_grace_is_over(const struct model *m, const struct state *s, int i)
{
    while (++i < m->workers)
        if (s->w[i].again_late)
            return true;
    return false;
}

static void running(struct model *m, const struct state *s, int i)
{
    const struct consumer *c = &s->w[i];
    struct position p = position_of(c);

    if (!position_again_due(&p, c->again_late ? GRACE_MS : 0)) {
        if (c->offset < LOG_LEN)
            send_next(m, *s, i);
        if (position_settled(&p) && i + 1 < m->workers)
            say_goodbye(m, *s, i);
    } else {
        begin_again(m, *s, i);
    }
    if (c->again != NO && !c->again_late && !killed_may_still_write(m, s)) {
        struct state later = *s;

        later.w[i].again_late = 1;
        add(m, &later);
    }
    if (c->offset == LOG_LEN && (s->doc.epoch != c->epoch || s->doc.rewind != NO))
        obey(m, *s, i); /* the look of an idle owner */
}

static void one(struct model *m, const struct state *s, int i)
{
    const struct consumer *c = &s->w[i];

    if (c->flying != NO) {
        execute(m, *s, i);
        if (c->stage == KILLED || c->stage == QUIET)
            never_executed(m, *s, i);
    }
    if (m->kill && !s->kills && i + 1 < m->workers && c->stage != FRESH && c->stage != LEFT &&
        c->stage != KILLED && !successors_grace_is_over(m, s, i))
        kill_one(m, *s, i);
    switch ((enum stage)c->stage) {
    case FRESH: /* in turn: the group gives it to the next one */
        if (i == 0 || s->w[i - 1].stage != FRESH)
            take(m, *s, i);
        break;
    case GRABBED:
        store_start(m, *s, i);
        break;
    case RUNS:
        running(m, s, i);
        break;
    case SENT:
        cut(m, *s, i);
        break;
    case ANSWERED:
        move(m, *s, i);
        break;
    case QUIET:
        if (c->flying == NO)
            obey(m, *s, i);
        break;
    case MISSED:
        obey(m, *s, i);
        break;
    case MARKS:
        if (c->flying == NO)
            mark(m, *s, i);
        break;
    case LEFT:
    case KILLED:
        break;
    }
}

static void judge_end(struct model *m, const struct state *s)
{
    m->ends++;
    if (m->broken)
        return;
    if (s->doc.offset != LOG_LEN || s->doc.rewind != NO || s->doc.again != NO ||
        s->values[0] != right[0] || s->values[1] != right[1])
        m->broken = true;
    m->end = m->at;
}

static void explore(struct model *m)
{
    struct state first = {.doc = {.offset = NO, .owner = NO, .rewind = NO, .again = NO}};

    for (int i = 0; i < WORKERS_MAX; i++)
        first.w[i] =
            (struct consumer){.flying = NO,
                              .offset = NO,
                              .sent = NO,
                              .again = NO,
                              .seen = {.offset = NO, .owner = NO, .rewind = NO, .again = NO}};
    add(m, &first);
    while (m->todo_count > 0) {
        size_t steps = m->steps;

        m->at = m->todo[--m->todo_count];
        for (int i = 0; i < m->workers; i++)
            one(m, &m->at->state, i);
        if (m->steps == steps)
            judge_end(m, &m->at->state);
    }
}

static void model_release(struct model *m)
{
    struct node *n, *next;

    HASH_ITER(hh, m->seen, n, next)
    {
        HASH_DEL(m->seen, n);
        free(n);
    }
    free(m->todo);
}

/* How it came to that, from the end to the begin. */
static void print_story(const struct model *m)
{
    for (const struct node *n = m->end; n; n = n->from) {
        const struct state *s = &n->state;

        print_message(
            "  values %d %d, document: offset %d epoch %d owner %d rewind %d again %d;",
            s->values[0], s->values[1], s->doc.offset, s->doc.epoch, s->doc.owner,
            s->doc.rewind, s->doc.again);
        for (int i = 0; i < m->workers; i++)
            print_message(" | stage %d epoch %d offset %d flying %d again %d/%d", s->w[i].stage,
                          s->w[i].epoch, s->w[i].offset, s->w[i].flying, s->w[i].again,
                          s->w[i].again_late);
        print_message("\n");
    }
}

static struct model run(struct model m)
{
    explore(&m);
    print_message("%d consumers%s%s%s: %u states, %zu ends, %s\n", m.workers,
                  m.kill ? ", one may be killed" : "", m.marks ? "" : ", no marks",
                  m.again ? "" : ", nothing applied again", HASH_COUNT(m.seen), m.ends,
                  m.broken ? "broken" : "holds");
    if (m.broken && m.marks && m.again)
        print_story(&m);
    model_release(&m);
    return m;
}

static void late_writers_heal_in_every_order_of_two_consumers(void **state)
{
    struct model m = run((struct model){.workers = 2, .marks = true, .again = true});

    (void)state;
    assert_true(m.ends > 0);
    assert_false(m.broken);
}

static void late_writers_heal_when_one_of_two_is_killed(void **state)
{
    struct model m =
        run((struct model){.workers = 2, .marks = true, .again = true, .kill = true});

    (void)state;
    assert_true(m.ends > 0);
    assert_false(m.broken);
}

static void late_writers_heal_in_every_order_of_three_consumers(void **state)
{
    struct model m =
        run((struct model){.workers = 3, .marks = true, .again = true, .kill = true});

    (void)state;
    assert_true(m.ends > 0);
    assert_false(m.broken);
}

static void without_marks_a_late_write_stays(void **state)
{
    (void)state;
    assert_true(run((struct model){.workers = 2, .again = true}).broken);
}

static void without_applying_again_a_killed_consumers_write_stays(void **state)
{
    (void)state;
    assert_true(run((struct model){.workers = 2, .marks = true, .kill = true}).broken);
}

/* ---- single decisions ---- */

static const struct position_source source = {
    .log_id = "log", .uuid = {.known = true, .bytes = {7}}, .generation = 9, .begin = 100};

static struct position_doc standing(void)
{
    return (struct position_doc){.found = true,
                                 .offset = 500,
                                 .generation = 8,
                                 .log_id = "log",
                                 .uuid = source.uuid,
                                 .epoch = 4,
                                 .rewind = POSITION_NONE,
                                 .again = POSITION_NONE};
}

static void a_position_of_this_log_and_collection_is_continued(void **state)
{
    struct position_doc old = standing(), doc;

    (void)state;
    assert_int_equal(position_take(&doc, &old, &source, "me"), POSITION_CONTINUE);
    assert_int_equal(doc.offset, 500);
    assert_int_equal(doc.generation, 8);
    assert_int_equal(doc.epoch, 5);
    assert_string_equal(doc.owner, "me");
    assert_int_equal(doc.again, POSITION_NONE);
}

static void a_mark_moves_the_start_back_and_is_cleared(void **state)
{
    struct position_doc old = standing(), doc;

    (void)state;
    old.rewind = 300;
    assert_int_equal(position_take(&doc, &old, &source, "me"), POSITION_CONTINUE);
    assert_int_equal(doc.offset, 300);
    assert_int_equal(doc.rewind, POSITION_NONE);
}

static void another_log_collection_or_none_starts_at_the_newest_begin(void **state)
{
    struct position_doc old[4] = {
        standing(), standing(), standing(), {.offset = POSITION_NONE}};
    struct position_doc doc;

    (void)state;
    strcpy(old[0].log_id, "older");
    old[1].uuid.bytes[0] = 1;
    old[2].uuid.known = false;
    for (size_t i = 0; i < ARRAY_LEN(old); i++) {
        assert_int_equal(position_take(&doc, &old[i], &source, "me"), POSITION_FROM_BEGIN);
        assert_int_equal(doc.offset, 100);
        assert_int_equal(doc.generation, 9);
        assert_string_equal(doc.log_id, "log");
        assert_true(uuid_equal(&doc.uuid, &source.uuid));
    }
}

static void without_a_begin_only_a_valid_position_starts(void **state)
{
    struct position_doc old = standing(), doc = {.offset = 77};
    struct position_source early = source;

    (void)state;
    early.begin = POSITION_NONE;
    assert_int_equal(position_take(&doc, &old, &early, "me"), POSITION_CONTINUE);
    doc.offset = 77;
    strcpy(old.log_id, "older");
    assert_int_equal(position_take(&doc, &old, &early, "me"), POSITION_WAIT);
    assert_int_equal(doc.offset, 77);
}

/* Crash after crash within the grace: the oldest take-over offset must not get lost. */
static void a_successor_without_a_goodbye_keeps_the_oldest_offset_to_apply_again(void **state)
{
    struct position_doc old = standing(), doc;

    (void)state;
    strcpy(old.owner, "dead");
    position_take(&doc, &old, &source, "me");
    assert_int_equal(doc.again, 500);
    doc.offset = 600;
    old = doc;
    position_take(&doc, &old, &source, "next");
    assert_int_equal(doc.again, 500);
    old = doc;
    old.owner[0] = '\0'; /* a goodbye within the grace: what the dead one sent may still come */
    position_take(&doc, &old, &source, "third");
    assert_int_equal(doc.again, 500);
}

static void nothing_is_sent_after_an_old_poll_or_in_the_quiet_time(void **state)
{
    struct position p;

    (void)state;
    position_init(&p);
    assert_true(position_may_send(&p, 10000, 9000, 10000));
    assert_false(position_may_send(&p, 10000, 5000, 10000));
    position_unknown(&p, 10000, 500);
    assert_false(position_may_send(&p, 10499, 10400, 10000));
    assert_true(position_may_send(&p, 10500, 10400, 10000));
}

static void applying_again_never_moves_forward(void **state)
{
    struct position_doc doc = standing();
    struct position p;

    (void)state;
    doc.again = 450;
    position_taken(&p, &doc, 0, 10);
    assert_int_equal(position_again_from(&p), 450);
    position_went_back(&p, 100); /* a mark of a late writer */
    assert_int_equal(position_again_from(&p), 100);
    position_begins_again(&p);
    assert_int_equal(p.offset, 100);
    assert_false(position_again_due(&p, 1000));
}

static void no_goodbye_while_a_write_may_come(void **state)
{
    struct position_doc doc = standing();
    struct position p;

    (void)state;
    position_taken(&p, &doc, 0, 10);
    assert_true(position_settled(&p));
    position_sending(&p, 510);
    assert_false(position_settled(&p));
    assert_int_equal(position_late_mark(&p), 500);
    position_confirmed(&p, 510);
    assert_true(position_settled(&p));
    assert_int_equal(position_late_mark(&p), POSITION_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_position_of_this_log_and_collection_is_continued),
        cmocka_unit_test(a_mark_moves_the_start_back_and_is_cleared),
        cmocka_unit_test(another_log_collection_or_none_starts_at_the_newest_begin),
        cmocka_unit_test(without_a_begin_only_a_valid_position_starts),
        cmocka_unit_test(a_successor_without_a_goodbye_keeps_the_oldest_offset_to_apply_again),
        cmocka_unit_test(nothing_is_sent_after_an_old_poll_or_in_the_quiet_time),
        cmocka_unit_test(applying_again_never_moves_forward),
        cmocka_unit_test(no_goodbye_while_a_write_may_come),
        cmocka_unit_test(late_writers_heal_in_every_order_of_two_consumers),
        cmocka_unit_test(late_writers_heal_when_one_of_two_is_killed),
        cmocka_unit_test(late_writers_heal_in_every_order_of_three_consumers),
        cmocka_unit_test(without_marks_a_late_write_stays),
        cmocka_unit_test(without_applying_again_a_killed_consumers_write_stays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
