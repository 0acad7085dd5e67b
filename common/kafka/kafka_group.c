#include "common/kafka/kafka_group.h"

#include <stdio.h>
#include <string.h>

#include "common/base/exit_code.h"

static int refused(const char *group, const rd_kafka_error_t *why, struct error *err)
{
    rd_kafka_resp_err_t code = rd_kafka_error_code(why);

    if (code == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED)
        return error_fatal(err, EXIT_NO_RIGHT, "no right to describe the group %s", group);
    return error_set(err, ERR_RETRY, "group %s: %s", group, rd_kafka_error_string(why));
}

/* Members are called "<client id>-<a UUID>". */
static void name_member(char *ret, size_t size, const rd_kafka_MemberDescription_t *one)
{
    const char *instance = rd_kafka_MemberDescription_group_instance_id(one);
    const char *client = rd_kafka_MemberDescription_client_id(one);
    const char *id = rd_kafka_MemberDescription_consumer_id(one);
    size_t length = strlen(client);

    if (instance && *instance)
        snprintf(ret, size, "%s", instance);
    else if (strncmp(id, client, length) == 0 && id[length] == '-')
        snprintf(ret, size, "%.*s", (int)length + 9, id);
    else
        snprintf(ret, size, "%s", id);
}

static void tell_members(const rd_kafka_ConsumerGroupDescription_t *description,
                         void (*each)(void *arg, const struct kafka_group_member *member),
                         void *arg)
{
    size_t count = rd_kafka_ConsumerGroupDescription_member_count(description);

    for (size_t i = 0; i < count; i++) {
        const rd_kafka_MemberDescription_t *one =
            rd_kafka_ConsumerGroupDescription_member(description, i);
        const rd_kafka_MemberAssignment_t *assignment =
            rd_kafka_MemberDescription_assignment(one);
        struct kafka_group_member member = {
            .host = rd_kafka_MemberDescription_host(one),
            .assigned = assignment ? rd_kafka_MemberAssignment_partitions(assignment) : NULL};

        name_member(member.name, sizeof(member.name), one);
        each(arg, &member);
    }
}

static int take_answer(rd_kafka_event_t *event, const char *group,
                       void (*each)(void *arg, const struct kafka_group_member *member),
                       void *arg, struct error *err)
{
    const rd_kafka_ConsumerGroupDescription_t **groups;
    size_t count;

    if (rd_kafka_event_error(event))
        return error_set(err, ERR_RETRY, "group %s: %s", group,
                         rd_kafka_event_error_string(event));
    groups = rd_kafka_DescribeConsumerGroups_result_groups(
        rd_kafka_event_DescribeConsumerGroups_result(event), &count);
    for (size_t i = 0; i < count; i++) {
        const rd_kafka_error_t *why = rd_kafka_ConsumerGroupDescription_error(groups[i]);

        if (why)
            return refused(group, why, err);
        tell_members(groups[i], each, arg);
    }
    return 0;
}

int kafka_group_each(rd_kafka_t *rk, const char *group, int timeout_ms,
                     void (*each)(void *arg, const struct kafka_group_member *member),
                     void *arg, struct error *err)
{
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(rk, RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_event_t *event;
    char ignored[64];
    int result;

    rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms, ignored, sizeof(ignored));
    rd_kafka_DescribeConsumerGroups(rk, &group, 1, options, queue);
    event = rd_kafka_queue_poll(queue, timeout_ms);
    result = event ? take_answer(event, group, each, arg, err)
                   : error_set(err, ERR_RETRY, "group %s: no answer", group);
    if (event)
        rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    rd_kafka_AdminOptions_destroy(options);
    return result;
}
