#include "support_mock_cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/auto.h"
#include "common/config/config_load.h"

#define SETS_AT_MOST 8

static struct config *config_for(const char *servers, const char *const *sets)
{
    AUTO(free_charp) char *setting = xasprintf("kafka.bootstrap.servers=%s", servers);
    char *argv[1 + 2 * SETS_AT_MOST] = {"test", "--set", setting};
    int argc = 3;
    struct config *c = NULL;
    struct error err = {0};

    for (; *sets; sets++) {
        assert_in_range(argc, 0, (int)ARRAY_LEN(argv) - 2);
        argv[argc++] = "--set";
        argv[argc++] = (char *)*sets;
    }
    if (config_load(&c, CONFIG_PRODUCER, argc, argv, NULL, &err) < 0)
        fail_msg("%s", err.message);
    return c;
}

void mock_cluster_begin(struct mock_cluster *c, const char *const *topics,
                        const char *const *sets)
{
    char reason[256];

    c->rk = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), reason, sizeof(reason));
    assert_non_null(c->rk);
    c->mock = rd_kafka_mock_cluster_new(c->rk, 1);
    for (; *topics; topics++)
        assert_int_equal(rd_kafka_mock_topic_create(c->mock, *topics, 1, 1), 0);
    c->config = config_for(rd_kafka_mock_cluster_bootstraps(c->mock), sets);
}

void mock_cluster_end(struct mock_cluster *c)
{
    config_free(c->config);
    rd_kafka_mock_cluster_destroy(c->mock);
    rd_kafka_destroy(c->rk);
}
