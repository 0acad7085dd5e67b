#include "consumer/snapshot_request.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/run/log.h"

#define AGAIN_FIRST_MS 60000
#define AGAIN_LONGEST_MS 3600000

struct snapshot_request {
    struct signal_sender *sender; /* NULL: on_gap = fail */
};

int snapshot_request_new(struct snapshot_request **ret, const struct config *config,
                         struct error *err)
{
    struct snapshot_request *requests = xcalloc(1, sizeof(*requests));

    if (strcmp(config_string(config, "on_gap"), "resnapshot") == 0 &&
        signal_sender_new(&requests->sender, config, "dynaferry-consumer", err) < 0) {
        free(requests);
        return -1;
    }
    *ret = requests;
    return 0;
}

void snapshot_request_free(struct snapshot_request *requests)
{
    if (!requests)
        return;
    signal_sender_free(requests->sender);
    free(requests);
}

static bool is_due(struct table *table, int64_t generation, int64_t now)
{
    struct table_asked *asked = &table->asked;

    AUTO_LOCK(&table->lock);
    if (asked->generation != generation)
        *asked = (struct table_asked){.generation = generation};
    if (asked->again_at > now)
        return false;
    asked->pause_ms =
        asked->pause_ms ? MIN(2 * asked->pause_ms, AGAIN_LONGEST_MS) : AGAIN_FIRST_MS;
    asked->again_at = now + asked->pause_ms;
    return true;
}

const char *snapshot_request_send(struct snapshot_request *requests, struct table *table,
                                  int64_t generation, const char *reason)
{
    const struct table_signal signal = {.type = TABLE_SIGNAL_SNAPSHOT,
                                        .table = table->name,
                                        .reason = (char *)reason,
                                        .generation = generation};

    if (!requests->sender)
        return "on_gap is fail: dynaferry-producer --resnapshot TABLE goes on";
    if (is_due(table, generation, clock_mono_ms())) {
        log_warn("new snapshot requested", "table=%s generation=%" PRId64 " reason=%s",
                 table->name, generation, reason);
        signal_sender_post(requests->sender, &signal);
    }
    return "the producer is asked for a new generation";
}
