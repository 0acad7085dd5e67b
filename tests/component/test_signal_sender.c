/* tests/component/test_signal_sender.c - requests and their receipts, on librdkafka's mock
 * cluster. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/check.h"
#include "common/kafka/kafka.h"
#include "common/messages/signal_sender.h"
#include "common/run/log.h"
#include "support_mock_cluster.h"

#define TOPIC "dynaferry-signal"
#define WAIT_MS 30000
#define SENDERS 4
#define EACH 25

static const char *const topics[] = {TOPIC, NULL}, *const no_topics[] = {NULL},
                         *const no_sets[] = {NULL};

static struct signal_sender *sender_of(const struct mock_cluster *c)
{
    struct signal_sender *sender = NULL;
    struct error err;

    assert_int_equal(signal_sender_new(&sender, c->config, "dynaferry-test", &err), 0);
    return sender;
}

/* The request at an offset; the caller releases. */
static void read_request(struct table_signal *ret, const struct mock_cluster *c, int64_t offset)
{
    rd_kafka_conf_t *conf = NULL;
    AUTO(rd_kafka_freep) rd_kafka_t *reader = NULL;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    AUTO(rd_kafka_messagep) rd_kafka_message_t *message = NULL;
    const struct kafka_setting settings[] = {{"group.id", "test"}, {NULL, NULL}};
    struct error err;

    assert_int_equal(kafka_conf_new(&conf, c->config, "test", settings, &err), 0);
    assert_int_equal(kafka_handle_new(&reader, RD_KAFKA_CONSUMER, &conf, &err), 0);
    rd_kafka_topic_partition_list_add(list, TOPIC, 0)->offset = offset;
    assert_int_equal(rd_kafka_assign(reader, list), 0);
    rd_kafka_topic_partition_list_destroy(list);
    message = rd_kafka_consumer_poll(reader, WAIT_MS);
    assert_non_null(message);
    assert_int_equal(message->err, 0);
    assert_int_equal(
        table_signal_decode(ret, (struct bytes){message->payload, message->len}, &err), 0);
    rd_kafka_message_destroy(TAKE(message));
    rd_kafka_consumer_close(reader);
}

static void a_request_that_was_sent_is_in_the_topic_where_its_receipt_says(void **state)
{
    struct mock_cluster c;
    AUTO(table_signal_release) struct table_signal got = {0};
    const struct table_signal signal = {
        .type = TABLE_SIGNAL_SNAPSHOT, .table = (char *)"orders", .generation = 7};
    struct signal_sender *sender;
    struct error err;
    int64_t first = -1, second = -1;

    (void)state;
    mock_cluster_begin(&c, topics, no_sets);
    sender = sender_of(&c);
    assert_int_equal(signal_sender_wait(sender, &err), 0);
    assert_int_equal(signal_sender_send(sender, &signal, &first, &err), 0);
    assert_int_equal(signal_sender_send(sender, &signal, &second, &err), 0);
    assert_int_equal(second, first + 1);
    read_request(&got, &c, second);
    assert_int_equal(got.type, TABLE_SIGNAL_SNAPSHOT);
    assert_int_equal(got.generation, 7);
    assert_string_equal(got.table, "orders");
    assert_string_equal(got.sender, "dynaferry-test");
    assert_int_equal(strlen(got.id), 16);
    assert_true(got.ts_ms > 0);
    signal_sender_free(sender);
    mock_cluster_end(&c);
}

static void what_the_caller_says_of_itself_stays(void **state)
{
    struct mock_cluster c;
    AUTO(table_signal_release) struct table_signal got = {0};
    const struct table_signal signal = {.id = (char *)"mine",
                                        .type = TABLE_SIGNAL_PAUSE,
                                        .table = (char *)"orders",
                                        .sender = (char *)"somebody",
                                        .ts_ms = 5};
    struct signal_sender *sender;
    struct error err;
    int64_t offset = -1;

    (void)state;
    mock_cluster_begin(&c, topics, no_sets);
    sender = sender_of(&c);
    assert_int_equal(signal_sender_send(sender, &signal, &offset, &err), 0);
    read_request(&got, &c, offset);
    assert_string_equal(got.id, "mine");
    assert_string_equal(got.sender, "somebody");
    assert_int_equal(got.ts_ms, 5);
    signal_sender_free(sender);
    mock_cluster_end(&c);
}

static void a_request_that_is_posted_comes_before_one_sent_after_it(void **state)
{
    struct mock_cluster c;
    AUTO(table_signal_release) struct table_signal got = {0};
    const struct table_signal posted = {.type = TABLE_SIGNAL_PAUSE, .table = (char *)"orders"},
                              sent = {.type = TABLE_SIGNAL_RESUME, .table = (char *)"orders"};
    struct signal_sender *sender;
    struct error err;
    int64_t offset = -1;

    (void)state;
    mock_cluster_begin(&c, topics, no_sets);
    sender = sender_of(&c);
    signal_sender_post(sender, &posted);
    assert_int_equal(signal_sender_send(sender, &sent, &offset, &err), 0);
    read_request(&got, &c, offset - 1);
    assert_int_equal(got.type, TABLE_SIGNAL_PAUSE);
    signal_sender_free(sender);
    mock_cluster_end(&c);
}

struct many {
    struct signal_sender *sender;
    int64_t offsets[EACH];
};

static void *send_many(void *arg)
{
    const struct table_signal signal = {.type = TABLE_SIGNAL_PAUSE, .table = (char *)"orders"};
    struct many *many = arg;
    struct error err;

    for (int i = 0; i < EACH; i++)
        CHECK(signal_sender_send(many->sender, &signal, &many->offsets[i], &err) == 0);
    return NULL;
}

static void threads_that_send_at_once_get_each_its_own_receipts(void **state)
{
    struct mock_cluster c;
    struct many many[SENDERS] = {0};
    pthread_t threads[SENDERS];
    bool seen[SENDERS * EACH] = {false};

    (void)state;
    mock_cluster_begin(&c, topics, no_sets);
    many[0].sender = sender_of(&c);
    for (int i = 0; i < SENDERS; i++) {
        many[i].sender = many[0].sender;
        CHECK(pthread_create(&threads[i], NULL, send_many, &many[i]) == 0);
    }
    for (int i = 0; i < SENDERS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < SENDERS; i++)
        for (int j = 0; j < EACH; j++) {
            assert_in_range(many[i].offsets[j], 0, SENDERS * EACH - 1);
            assert_false(seen[many[i].offsets[j]]);
            seen[many[i].offsets[j]] = true;
        }
    signal_sender_free(many[0].sender);
    mock_cluster_end(&c);
}

static void a_request_that_the_broker_refuses_is_an_error_of_its_sender_alone(void **state)
{
    struct mock_cluster c;
    const struct table_signal signal = {.type = TABLE_SIGNAL_PAUSE, .table = (char *)"orders"};
    struct signal_sender *sender;
    struct error err = {0};
    int64_t offset = -1;

    (void)state;
    mock_cluster_begin(&c, topics, no_sets);
    sender = sender_of(&c);
    rd_kafka_mock_push_request_errors(c.mock, MOCK_PRODUCE_REQUEST, 1,
                                      RD_KAFKA_RESP_ERR_INVALID_RECORD);
    assert_int_equal(signal_sender_send(sender, &signal, &offset, &err), -1);
    assert_int_equal(err.kind, ERR_RETRY);
    assert_non_null(strstr(err.message, "request to pause not sent"));
    assert_int_equal(offset, -1);
    assert_int_equal(signal_sender_send(sender, &signal, &offset, &err), 0);
    signal_sender_free(sender);
    mock_cluster_end(&c);
}

static void without_the_topic_nothing_can_be_asked_for(void **state)
{
    struct mock_cluster c;
    const struct table_signal signal = {.type = TABLE_SIGNAL_PAUSE, .table = (char *)"orders"};
    struct signal_sender *sender;
    struct error err = {0};

    (void)state;
    mock_cluster_begin(&c, no_topics, no_sets);
    rd_kafka_mock_topic_set_error(c.mock, TOPIC, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
    sender = sender_of(&c);
    assert_int_equal(signal_sender_wait(sender, &err), -1);
    assert_int_equal(err.kind, ERR_FATAL);
    assert_non_null(strstr(err.message, "no topic " TOPIC));
    signal_sender_post(sender, &signal); /* which frees what it never could send */
    signal_sender_free(sender);
    mock_cluster_end(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_that_was_sent_is_in_the_topic_where_its_receipt_says),
        cmocka_unit_test(what_the_caller_says_of_itself_stays),
        cmocka_unit_test(a_request_that_is_posted_comes_before_one_sent_after_it),
        cmocka_unit_test(threads_that_send_at_once_get_each_its_own_receipts),
        cmocka_unit_test(a_request_that_the_broker_refuses_is_an_error_of_its_sender_alone),
        cmocka_unit_test(without_the_topic_nothing_can_be_asked_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
