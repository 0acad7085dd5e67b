#include "consumer/retention_policy.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/kafka/kafka_topic.h"
#include "common/run/log.h"

#define FOR_EVER_MS (INT64_C(100) * 365 * 24 * 3600 * 1000) /* some write INT64_MAX */

#define ASK_EVERY_MS (5 * 60 * 1000)
#define TIMEOUT_MS 5000

enum {
    CLEANUP,
    KEEP_MS,
    KEEP_BYTES,
    SETTINGS
};

bool retention_policy_is_due(const struct retention_policy *policy, int64_t now_ms)
{
    return policy->asked_ms == 0 || now_ms - policy->asked_ms > ASK_EVERY_MS;
}

static bool is_limited(const char *setting)
{
    return setting && strtoll(setting, NULL, 10) >= 0;
}

/* What is not told is as a topic of ours has it. */
static void take(struct retention_policy *policy, char *const settings[SETTINGS],
                 const struct config *config)
{
    bool deletes = !settings[CLEANUP] || strstr(settings[CLEANUP], "delete");

    policy->keep_ms = settings[KEEP_MS] ? strtoll(settings[KEEP_MS], NULL, 10)
                                        : config_int(config, "topic.retention.ms");
    if (!deletes || policy->keep_ms < 0 || policy->keep_ms > FOR_EVER_MS)
        policy->keep_ms = -1;
    policy->by_size = deletes && is_limited(settings[KEEP_BYTES]);
}

bool retention_policy_ask(struct retention_policy *policy, rd_kafka_t *rk, const char *topic,
                          const struct config *config)
{
    static const char *const names[SETTINGS] = {[CLEANUP] = "cleanup.policy",
                                                [KEEP_MS] = "retention.ms",
                                                [KEEP_BYTES] = "retention.bytes"};
    bool first = policy->asked_ms == 0, told;
    char *settings[SETTINGS] = {0};
    struct error err;

    told = kafka_topic_settings(settings, rk, topic, names, SETTINGS, TIMEOUT_MS, &err) == 0;
    if (told || first)
        take(policy, settings, config);
    if (!told)
        log_debug("settings of a topic not known", "topic=%s reason=%s", topic, err.message);
    policy->asked_ms = clock_mono_ms();
    for (size_t i = 0; i < SETTINGS; i++)
        free(settings[i]);
    return told || err.kind != ERR_RETRY;
}
