/* tests/unit/test_topic_search.c - a broker that does not say where a topic's records are has
 * not said that there are none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <librdkafka/rdkafka.h>

#include "support_config.h"

#include "producer/topic_search.h"

static rd_kafka_resp_err_t said; /* of each partition */

rd_kafka_resp_err_t __wrap_rd_kafka_offsets_for_times(rd_kafka_t *rk,
                                                      rd_kafka_topic_partition_list_t *offsets,
                                                      int timeout_ms);
rd_kafka_resp_err_t __wrap_rd_kafka_offsets_for_times(rd_kafka_t *rk,
                                                      rd_kafka_topic_partition_list_t *offsets,
                                                      int timeout_ms)
{
    (void)rk;
    (void)timeout_ms;
    for (int i = 0; i < offsets->cnt; i++) {
        offsets->elems[i].offset = RD_KAFKA_OFFSET_END; /* no record since then */
        offsets->elems[i].err = said;
    }
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static enum error_kind search(void)
{
    struct config *c = config_loaded("kafka.bootstrap.servers = localhost:1", NULL);
    struct error err = {0};
    int64_t offset;

    assert_int_equal(topic_search_begin(&offset, c, "t", 1, 1, 1, &err), -1);
    config_free(c);
    return err.kind;
}

static void a_partition_in_error_is_asked_again(void **state)
{
    (void)state;
    said = RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION;
    assert_int_equal(search(), ERR_RETRY);
}

static void a_partition_without_records_has_no_begin(void **state)
{
    (void)state;
    said = RD_KAFKA_RESP_ERR_NO_ERROR;
    assert_int_equal(search(), ERR_DATA);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_partition_in_error_is_asked_again),
        cmocka_unit_test(a_partition_without_records_has_no_begin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
