/* tests/component/test_topic_writer_members.c - members that share a handle: who is told what,
 * who is held, and that nobody's thread waits for another, on librdkafka's mock cluster. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#include "common/base/check.h"
#include "producer/topic_writer.h"
#include "producer/trust.h"
#include "support_mock_cluster.h"

#define TOPIC "dynaferry.t"
#define OTHER "dynaferry.other"

#define LEDGER "dynaferry-ledger"

static const char *const topics[] = {TOPIC, OTHER, LEDGER, NULL};
static const char *const patient[] = {"kafka.queue.buffering.max.messages=40",
                                      "commit.stall.ms=6000", NULL};
static const char *const impatient[] = {"kafka.queue.buffering.max.messages=40",
                                        "commit.stall.ms=2000", NULL};

struct told { /* a member that keeps what it was told, in order */
    struct topic_writer_member member;
    pthread_mutex_t lock;
    char story[512];
};

static void tell(struct told *t, const char *what)
{
    size_t len;

    AUTO_LOCK(&t->lock);
    len = strlen(t->story);
    snprintf(t->story + len, sizeof(t->story) - len, "%s ", what);
}

static void told_committed(void *arg)
{
    tell(arg, "committed");
}

static void told_aborted(void *arg)
{
    tell(arg, "aborted");
}

static void told_held(void *arg, const char *topic, const char *reason)
{
    AUTO(free_charp) char *text = xasprintf("held(%s: %s)", topic, reason);

    tell(arg, text);
}

static void told_free_again(void *arg)
{
    tell(arg, "free");
}

static void told_log_lost(void *arg, int32_t partition, int64_t offset, int64_t before)
{
    AUTO(free_charp)
    char *text = xasprintf("lost(%d: %d after %d)", (int)partition, (int)offset, (int)before);

    tell(arg, text);
}

static void told_topic_failed(void *arg, const char *topic, const char *reason)
{
    (void)arg;
    fail_msg("topic %s: %s", topic, reason);
}

static void told_init(struct told *t, const char *topic)
{
    *t = (struct told){.member = {.committed = told_committed,
                                  .aborted = told_aborted,
                                  .topic_failed = told_topic_failed,
                                  .held = told_held,
                                  .free_again = told_free_again,
                                  .log_lost = told_log_lost,
                                  .table = topic,
                                  .topic = topic,
                                  .arg = t}};
    pthread_mutex_init(&t->lock, NULL);
}

static bool has_been_told(struct told *t, const char *story)
{
    AUTO_LOCK(&t->lock);
    return strcmp(t->story, story) == 0;
}

static void wait_told(struct told *t, const char *story)
{
    struct timespec pause = {.tv_nsec = 10 * 1000000};

    for (int i = 0; i < 6000 && !has_been_told(t, story); i++)
        nanosleep(&pause, NULL);
    assert_string_equal(t->story, story);
}

/* A writer with two members. */
struct shared {
    struct mock_cluster cluster;
    struct poison *poison;
    struct step_pool *pool;
    struct topic_writer *writer;
    struct told one;
    struct told other;
};

static void shared_begin_with(struct shared *s, const char *const *sets)
{
    struct error err;

    mock_cluster_begin(&s->cluster, topics, sets);
    s->poison = poison_new();
    s->pool = step_pool_new(2, (struct step_pool_hooks){0});
    if (topic_writer_open(&s->writer, s->cluster.config, 0, s->poison, s->pool, &err) < 0)
        fail_msg("%s", err.message);
    told_init(&s->one, TOPIC);
    told_init(&s->other, OTHER);
    topic_writer_add_member(s->writer, &s->one.member);
    topic_writer_add_member(s->writer, &s->other.member);
}

static void shared_begin(struct shared *s)
{
    shared_begin_with(s, patient);
}

static void shared_end(struct shared *s)
{
    topic_writer_close(s->writer);
    topic_writer_remove_member(s->writer, &s->one.member);
    topic_writer_remove_member(s->writer, &s->other.member);
    step_pool_free(s->pool);
    topic_writer_free(s->writer);
    poison_free(s->poison);
    mock_cluster_end(&s->cluster);
}

/* When it may: turns and holds are waited for. */
static void enter(struct topic_writer *w, struct told *t)
{
    struct error err;

    while (topic_writer_gate_enter(w, &t->member, NULL, &err) < 0)
        if (err.kind != ERR_RETRY)
            fail_msg("%s", err.message);
}

static void append_to(struct topic_writer *w, struct told *t, const char *topic)
{
    struct topic_record r = {.member = &t->member, .topic = topic, .value = BYTES_LIT("x")};
    struct error err;

    r.handle = topic_writer_topic(w, topic);
    enter(w, t);
    if (topic_writer_append(w, &r, &err) < 0)
        fail_msg("%s", err.message);
    topic_writer_gate_exit(w);
    rd_kafka_topic_destroy(r.handle);
}

static bool has_committed(struct told *t)
{
    AUTO_LOCK(&t->lock);
    return strstr(t->story, "committed") != NULL;
}

static size_t story_length(struct told *t)
{
    AUTO_LOCK(&t->lock);
    return strlen(t->story);
}

/* librdkafka may give a further transaction up for what it counted before. */
static void append_until_committed(struct topic_writer *w, struct told *t, const char *topic)
{
    struct timespec pause = {.tv_nsec = 10 * 1000000};
    size_t before;

    for (int tries = 0; tries < 10 && !has_committed(t); tries++) {
        before = story_length(t);
        append_to(w, t, topic);
        for (int i = 0; i < 3000 && story_length(t) == before; i++)
            nanosleep(&pause, NULL);
    }
    assert_true(has_committed(t));
}

static void a_transaction_without_records_is_no_commit(void **state)
{
    struct shared s;

    (void)state;
    shared_begin(&s);
    enter(s.writer, &s.one);
    topic_writer_gate_exit(s.writer);
    topic_writer_commit_soon(s.writer);
    append_to(s.writer, &s.other, OTHER);
    wait_told(&s.other, "committed ");
    assert_true(topic_writer_was_of_use(s.writer));
    enter(s.writer, &s.one);
    topic_writer_gate_exit(s.writer);
    shared_end(&s);
    assert_true(has_been_told(&s.other, "committed "));
}

static void who_was_named_is_held_and_its_neighbour_goes_on(void **state)
{
    struct shared s;

    (void)state;
    shared_begin(&s);
    append_to(s.writer, &s.other, OTHER);
    wait_told(&s.other, "committed ");
    rd_kafka_mock_push_request_errors(s.cluster.mock, MOCK_PRODUCE_REQUEST, 1,
                                      RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    append_to(s.writer, &s.one, TOPIC);
    wait_told(&s.one, "held(" TOPIC ": no right to write to it) aborted ");
    append_to(s.writer, &s.other, OTHER);
    wait_told(&s.other, "committed committed ");
    append_until_committed(s.writer, &s.one, TOPIC);
    assert_non_null(strstr(s.one.story, "aborted free committed "));
    assert_null(strstr(s.one.story + 1, "held"));
    assert_int_equal(topic_writer_gate_wait_ms(s.writer, &s.one.member), 0);
    shared_end(&s);
}

/* Another topic stands for one that was made anew: its offsets begin at 0. */
static void an_offset_that_goes_back_is_a_lost_log(void **state)
{
    struct shared s;

    (void)state;
    shared_begin(&s);
    for (int i = 1; i <= 3; i++)
        append_to(s.writer, &s.one, TOPIC);
    while (!topic_writer_was_of_use(s.writer))
        sched_yield();
    append_to(s.writer, &s.one, TOPIC); /* in order: no loss */
    topic_writer_close(s.writer);
    assert_null(strstr(s.one.story, "aborted"));
    topic_writer_remove_member(s.writer, &s.one.member);
    topic_writer_remove_member(s.writer, &s.other.member);
    topic_writer_free(TAKE(s.writer));
    mock_cluster_end(&s.cluster);
    poison_free(s.poison);
    step_pool_free(s.pool);

    shared_begin(&s);
    append_to(s.writer, &s.one, TOPIC);
    wait_told(&s.one, "committed ");
    append_to(s.writer, &s.one, OTHER);
    wait_told(&s.one, "committed lost(0: 0 after 0) aborted ");
    shared_end(&s);
}

/* A topic made anew where this handle has appended nothing yet. */
static void an_offset_that_an_earlier_handle_was_given_is_a_lost_log(void **state)
{
    static const int64_t begin[] = {0};
    struct shared s;

    (void)state;
    shared_begin(&s);
    topic_writer_note_ends(s.writer, &s.one.member, begin, 1);
    append_to(s.writer, &s.one, TOPIC);
    wait_told(&s.one, "lost(0: 0 after 0) aborted ");
    shared_end(&s);
}

struct waiting_step { /* enters, once it may */
    struct step step;
    struct shared *s;
    atomic_int refused;
    atomic_int entered;
    atomic_bool ended;
};

static int64_t try_to_enter(void *arg, void *local)
{
    struct waiting_step *ws = arg;
    struct error err;

    (void)local;
    if (topic_writer_gate_enter(ws->s->writer, &ws->s->one.member, &ws->step, &err) < 0) {
        CHECK(err.kind == ERR_RETRY);
        atomic_fetch_add(&ws->refused, 1);
        return 1000 * TOPIC_WRITER_WAIT_MS; /* only a wake helps */
    }
    atomic_fetch_add(&ws->entered, 1);
    topic_writer_gate_exit(ws->s->writer);
    return STEP_END;
}

static void has_ended(void *arg)
{
    atomic_store(&((struct waiting_step *)arg)->ended, true);
}

static void wait_for(const atomic_int *count)
{
    struct timespec pause = {.tv_nsec = 2 * 1000000};

    for (int i = 0; i < 30000 && atomic_load(count) == 0; i++)
        nanosleep(&pause, NULL);
    assert_true(atomic_load(count) > 0);
}

static void a_step_gives_its_thread_back_and_is_woken(void **state)
{
    struct topic_record r = {.topic = OTHER, .value = BYTES_LIT("x")};
    struct waiting_step ws = {0};
    struct shared s;
    struct error err;

    (void)state;
    shared_begin(&s);
    ws.s = &s;
    ws.step = (struct step){.run = try_to_enter, .ended = has_ended, .arg = &ws};
    r.member = &s.other.member;
    enter(s.writer, &s.other);
    rd_kafka_mock_broker_set_rtt(s.cluster.mock, 1, 200); /* so that half of the queue fills */
    for (int i = 0; i < 25; i++)
        assert_int_equal(topic_writer_append(s.writer, &r, &err), 0);
    assert_true(step_schedule(s.pool, &ws.step, 0));
    wait_for(&ws.refused);
    topic_writer_gate_exit(s.writer);
    wait_for(&ws.entered);
    while (!atomic_load(&ws.ended))
        sched_yield();
    shared_end(&s);
}

static void wait_broken(struct topic_writer *w)
{
    struct timespec pause = {.tv_nsec = 2 * 1000000};

    for (int i = 0; i < 30000 && topic_writer_state(w) == WRITER_OPEN; i++)
        nanosleep(&pause, NULL);
    assert_int_equal(topic_writer_state(w), WRITER_BROKEN);
}

static void append_to_ledger(struct topic_writer *w, struct told *t)
{
    struct topic_record r = {
        .member = &t->member, .topic = LEDGER, .value = BYTES_LIT("x"), .key = BYTES_LIT("k")};
    struct error err;

    enter(w, t);
    assert_int_equal(topic_writer_append(w, &r, &err), 0);
    topic_writer_gate_exit(w);
}

/* Its topic is not to blame: everybody waits. */
static void who_only_wrote_to_the_ledger_is_no_suspect(void **state)
{
    struct trust_member *one, *other;
    struct trust *trust;
    struct shared s;

    (void)state;
    shared_begin_with(&s, impatient);
    trust = poison_trust(s.poison);
    one = trust_member(trust, TOPIC);
    other = trust_member(trust, OTHER);
    append_to(s.writer, &s.other, OTHER);
    wait_told(&s.other, "committed ");
    append_to_ledger(s.writer, &s.one);
    wait_told(&s.one, "committed ");
    rd_kafka_mock_broker_set_down(s.cluster.mock, 1);
    append_to_ledger(s.writer, &s.one);
    wait_broken(s.writer);
    topic_writer_remove_member(s.writer, &s.one.member); /* all is decided */
    assert_false(trust_is_special(trust, one));
    assert_false(trust_may_enter(trust, other, 0));
    rd_kafka_mock_broker_set_up(s.cluster.mock, 1);
    shared_end(&s);
}

struct leaver {
    struct shared *s;
    atomic_int told;
};

static void leave_both(void *arg)
{
    struct leaver *l = arg;

    topic_writer_remove_member(l->s->writer, &l->s->one.member);
    topic_writer_remove_member(l->s->writer, &l->s->other.member);
    atomic_fetch_add(&l->told, 1);
}

/* The last of a member may go in a callback: its own, or another's. */
static void members_may_leave_in_a_callback(void **state)
{
    struct leaver l = {0};
    struct told third;
    struct shared s;

    (void)state;
    shared_begin(&s);
    l.s = &s;
    s.one.member.committed = s.other.member.committed = leave_both;
    s.one.member.arg = s.other.member.arg = &l;
    enter(s.writer, &s.other);
    append_to(s.writer, &s.one, TOPIC);
    topic_writer_gate_exit(s.writer);
    wait_for(&l.told);
    told_init(&third, TOPIC);
    topic_writer_add_member(s.writer, &third.member);
    append_to(s.writer, &third, TOPIC);
    wait_told(&third, "committed ");
    topic_writer_close(s.writer);
    topic_writer_remove_member(s.writer, &third.member);
    assert_int_equal(atomic_load(&l.told), 1); /* the first was told, the second is gone */
    shared_end(&s);
}

static void an_offset_is_not_given_to_who_has_left(void **state)
{
    struct topic_record r = {.topic = TOPIC, .value = BYTES_LIT("x")};
    int64_t offset = -5, when_it_left;
    struct shared s;
    struct error err;

    (void)state;
    shared_begin(&s);
    rd_kafka_mock_broker_set_rtt(s.cluster.mock, 1, 200);
    r.member = &s.one.member;
    r.ret_offset = &offset;
    enter(s.writer, &s.one);
    assert_int_equal(topic_writer_append(s.writer, &r, &err), 0);
    topic_writer_remove_member(s.writer, &s.one.member);
    when_it_left = offset; /* -5, unless this thread was held up for long */
    topic_writer_gate_exit(s.writer);
    while (!topic_writer_was_of_use(s.writer))
        sched_yield();
    assert_int_equal(offset, when_it_left);
    shared_end(&s);
}

static void a_full_queue_is_not_waited_for_when_nothing_is_delivered(void **state)
{
    struct topic_record r = {.topic = OTHER, .value = BYTES_LIT("x")};
    struct error err = {0};
    struct shared s;
    int appended = 0;

    (void)state;
    shared_begin_with(&s, impatient);
    append_to(s.writer, &s.other, OTHER);
    wait_told(&s.other, "committed ");
    rd_kafka_mock_broker_set_down(s.cluster.mock, 1);
    r.member = &s.other.member;
    enter(s.writer, &s.other);
    while (topic_writer_append(s.writer, &r, &err) == 0)
        appended++;
    assert_int_equal(err.kind, ERR_ABORT);
    assert_int_equal(appended, 40);
    topic_writer_gate_exit(s.writer);
    wait_broken(s.writer); /* what is under way may come late */
    rd_kafka_mock_broker_set_up(s.cluster.mock, 1);
    shared_end(&s);
    assert_true(has_been_told(&s.other, "committed "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_transaction_without_records_is_no_commit),
        cmocka_unit_test(who_was_named_is_held_and_its_neighbour_goes_on),
        cmocka_unit_test(an_offset_that_goes_back_is_a_lost_log),
        cmocka_unit_test(an_offset_that_an_earlier_handle_was_given_is_a_lost_log),
        cmocka_unit_test(a_step_gives_its_thread_back_and_is_woken),
        cmocka_unit_test(who_only_wrote_to_the_ledger_is_no_suspect),
        cmocka_unit_test(members_may_leave_in_a_callback),
        cmocka_unit_test(an_offset_is_not_given_to_who_has_left),
        cmocka_unit_test(a_full_queue_is_not_waited_for_when_nothing_is_delivered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
