#include "producer/owner_group.h"

#include "common/base/clock.h"
#include "common/base/exit_code.h"
#include "common/kafka/kafka.h"
#include "common/run/log.h"

#define POLL_MS 50

static void set_assigned(struct owner_group *group, const rd_kafka_topic_partition_list_t *list)
{
    group->is_member = list != NULL;
    group->assigned(group->arg, list);
    group->assigned_ms = clock_mono_ms();
}

/* Nothing is read through this handle, so what is assigned is paused. */
static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t code,
                         rd_kafka_topic_partition_list_t *list, void *opaque)
{
    struct owner_group *group = opaque;

    if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        rd_kafka_assign(rk, list);
        rd_kafka_pause_partitions(rk, list);
        log_info("ledger partitions assigned", "count=%d", list->cnt);
        set_assigned(group, list);
        return;
    }
    set_assigned(group, NULL);
    rd_kafka_assign(rk, NULL);
}

static int open_handle(struct owner_group *group, struct error *err)
{
    const struct config *c = group->p->config;
    AUTO(free_charp) char *id = kafka_producer_group(c);
    AUTO(free_charp) char *session = xasprintf("%d", OWNER_GROUP_SESSION_MS);
    bool is_static = config_is_set(c, "instance.id");
    const struct kafka_setting settings[] = {
        {"group.id", id},
        {"partition.assignment.strategy", "roundrobin"},
        {"session.timeout.ms", session},
        {"heartbeat.interval.ms", "2000", true},
        {"enable.auto.commit", "false"},
        {"auto.offset.reset", "latest"},
        {is_static ? "group.instance.id" : NULL, config_string(c, "instance.id")},
        {NULL, NULL}};
    rd_kafka_conf_t *conf = NULL;

    if (kafka_conf_new(&conf, c, "owner", settings, err) < 0)
        return -1;
    rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
    rd_kafka_conf_set_opaque(conf, group);
    return kafka_handle_new(&group->rk, RD_KAFKA_CONSUMER, &conf, err);
}

int owner_group_join(struct owner_group *group, struct error *err)
{
    AUTO(rd_kafka_listp)
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
    rd_kafka_resp_err_t code;

    group->health = health_new("group", config_int(group->p->config, "health.limit.ms"));
    if (open_handle(group, err) < 0)
        return -1;
    rd_kafka_poll_set_consumer(group->rk);
    rd_kafka_topic_partition_list_add(topics, group->p->ledger_topic, RD_KAFKA_PARTITION_UA);
    code = rd_kafka_subscribe(group->rk, topics);
    return code ? error_set(err, ERR_FATAL, "subscribe: %s", rd_kafka_err2str(code)) : 0;
}

int owner_group_poll(struct owner_group *group, struct error *err)
{
    AUTO(rd_kafka_messagep)
    rd_kafka_message_t *message = rd_kafka_consumer_poll(group->rk, POLL_MS);
    char text[256];
    rd_kafka_resp_err_t fatal;

    if (message && message->err) {
        log_warn("group error", "reason=%s", rd_kafka_message_errstr(message));
        health_say(group->health, rd_kafka_message_errstr(message));
    }
    fatal = rd_kafka_fatal_error(group->rk, text, sizeof(text));
    if (fatal == RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID)
        return error_fatal(err, EXIT_CONFIGURATION, "another instance runs with instance.id %s",
                           config_string(group->p->config, "instance.id"));
    if (fatal)
        return error_fatal(err, EXIT_FATAL, "group: %s", text);
    if (message && message->err == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED)
        return error_fatal(err, EXIT_NO_RIGHT, "no right to join the group %s-producer",
                           group->p->prefix);
    return 0;
}

void owner_group_leave(struct owner_group *group)
{
    if (group->rk) {
        rd_kafka_consumer_close(group->rk);
        rd_kafka_destroy(group->rk);
    }
    health_remove(group->health);
}
