/* tests/component/test_topic_writer.c - the gate, the end of a writer, and records that the
 * broker refuses, on librdkafka's mock cluster. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <stdatomic.h>
#include <time.h>

#include "common/base/check.h"
#include "common/base/clock.h"
#include "producer/topic_writer.h"
#include "support_mock_cluster.h"

#define TOPIC "dynaferry.t"

static const char *const topics[] = {TOPIC, NULL}, *const no_sets[] = {NULL};

struct counts { /* a member that counts what is in committed transactions */
    struct topic_writer_member member;
    atomic_int appended;
    atomic_int aborted;
    int committed; /* of the writer's thread and of who closed it */
};

static void on_committed(void *arg)
{
    struct counts *c = arg;

    c->committed = atomic_load(&c->appended);
}

static void on_aborted(void *arg)
{
    (void)arg;
    fail_msg("nothing is aborted here");
}

static void on_topic_failed(void *arg, const char *topic, const char *reason)
{
    (void)arg;
    fail_msg("topic %s: %s", topic, reason);
}

static void counts_init(struct counts *c)
{
    *c = (struct counts){.member = {.committed = on_committed,
                                    .aborted = on_aborted,
                                    .topic_failed = on_topic_failed,
                                    .table = "t",
                                    .topic = TOPIC,
                                    .arg = c}};
}

struct appender {
    struct topic_writer *writer;
    struct counts *counts;
    pthread_t thread;
};

static void *append_until_fenced(void *arg)
{
    struct appender *a = arg;
    const struct topic_record r = {
        .member = &a->counts->member, .topic = TOPIC, .value = BYTES_LIT("x")};
    struct error err;

    for (;;) {
        if (topic_writer_gate_enter(a->writer, &a->counts->member, NULL, &err) < 0) {
            if (err.kind == ERR_RETRY)
                continue;
            CHECK(err.kind == ERR_FENCED);
            return NULL;
        }
        CHECK(topic_writer_append(a->writer, &r, &err) == 0);
        atomic_fetch_add(&a->counts->appended, 1);
        topic_writer_gate_exit(a->writer);
    }
}

/* An appender that waits for the gate while the last commit is made must not begin another
 * transaction: nobody would end it. */
static void a_close_beside_appenders_leaves_no_transaction_open(void **state)
{
    struct timespec pause = {.tv_nsec = 300 * 1000000};
    struct mock_cluster cluster;
    AUTO(poison_freep) struct poison *poison = poison_new();
    struct topic_writer *w = NULL;
    struct counts counts;
    struct appender appenders[3];
    struct error err = {0};

    (void)state;
    mock_cluster_begin(&cluster, topics, no_sets);
    counts_init(&counts);
    if (topic_writer_open(&w, cluster.config, 0, poison, NULL, &err) < 0)
        fail_msg("%s", err.message);
    topic_writer_add_member(w, &counts.member);
    for (size_t i = 0; i < ARRAY_LEN(appenders); i++) {
        appenders[i] = (struct appender){.writer = w, .counts = &counts};
        pthread_create(&appenders[i].thread, NULL, append_until_fenced, &appenders[i]);
    }
    while (atomic_load(&counts.appended) == 0)
        nanosleep(&pause, NULL);
    topic_writer_close(w);
    for (size_t i = 0; i < ARRAY_LEN(appenders); i++)
        pthread_join(appenders[i].thread, NULL);
    assert_true(counts.committed > 0);
    assert_int_equal(counts.committed, counts.appended);
    topic_writer_remove_member(w, &counts.member);
    topic_writer_free(w);
    mock_cluster_end(&cluster);
}

/* ---- refused records ---- */

static void on_expected_abort(void *arg)
{
    atomic_fetch_add(&((struct counts *)arg)->aborted, 1);
}

static void append_three(struct topic_writer *w, struct counts *counts)
{
    static const char *const values[] = {"{\"keys\":{\"k\":1}}", "{\"keys\":{\"k\":2}}",
                                         "{\"keys\":{\"k\":3}}"};
    struct topic_record r = {.member = &counts->member, .topic = TOPIC};
    struct error err;

    assert_int_equal(topic_writer_gate_enter(w, &counts->member, NULL, &err), 0);
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        r.value = bytes_of(values[i]);
        assert_int_equal(topic_writer_append(w, &r, &err), 0);
    }
    topic_writer_gate_exit(w);
}

static void wait_broken(const struct topic_writer *w)
{
    struct timespec pause = {.tv_nsec = 10 * 1000000};

    for (int i = 0; i < 3000 && topic_writer_state(w) == WRITER_OPEN; i++)
        nanosleep(&pause, NULL);
    assert_int_equal(topic_writer_state(w), WRITER_BROKEN);
}

/* Three records, the broker refuses the first request that holds any. */
static void append_to_a_refusing_broker(struct mock_cluster *cluster, struct poison *poison)
{
    struct topic_writer *w = NULL;
    struct counts counts;
    struct error err = {0};

    counts_init(&counts);
    counts.member.aborted = on_expected_abort;
    if (topic_writer_open(&w, cluster->config, 0, poison, NULL, &err) < 0)
        fail_msg("%s", err.message);
    topic_writer_add_member(w, &counts.member);
    rd_kafka_mock_push_request_errors(cluster->mock, MOCK_PRODUCE_REQUEST, 1,
                                      RD_KAFKA_RESP_ERR_INVALID_RECORD);
    append_three(w, &counts);
    wait_broken(w);
    assert_int_equal(counts.aborted, 1);
    assert_int_equal(counts.committed, 0);
    topic_writer_remove_member(w, &counts.member);
    topic_writer_close(w);
    topic_writer_free(w);
}

static bool is_poison(struct poison *r, const char *keys)
{
    struct poison_record record = {.topic = bytes_of(TOPIC), .keys = bytes_of(keys)};
    char reason[64];

    return poison_take(r, &record, reason, sizeof(reason));
}

static void only_a_record_refused_alone_is_poison(void **state)
{
    AUTO(poison_freep) struct poison *poison = poison_new();
    struct mock_cluster cluster;

    (void)state;
    mock_cluster_begin(&cluster, topics, no_sets);
    append_to_a_refusing_broker(&cluster, poison);
    assert_true(poison_sends_alone(poison, clock_mono_ms()));
    assert_false(poison_any(poison));
    append_to_a_refusing_broker(&cluster, poison);
    assert_true(is_poison(poison, "{\"k\":1}"));
    assert_false(is_poison(poison, "{\"k\":2}"));
    assert_false(is_poison(poison, "{\"k\":3}"));
    mock_cluster_end(&cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_close_beside_appenders_leaves_no_transaction_open),
        cmocka_unit_test(only_a_record_refused_alone_is_poison),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
