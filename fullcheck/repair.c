#include "fullcheck/repair.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>

#include "common/messages/ledger_cache.h"
#include "common/messages/signal_sender.h"
#include "common/run/log.h"

#define LEDGER_MS 10000

struct repair {
    struct signal_sender *sender;
    struct ledger_cache *ledger;

    pthread_mutex_t lock;  /* below */
    int64_t newest_offset; /* of a request */
};

int repair_new(struct repair **ret, const struct config *config, struct error *err)
{
    AUTO(repair_freep) struct repair *repair = xcalloc(1, sizeof(*repair));

    pthread_mutex_init(&repair->lock, NULL);
    repair->newest_offset = -1;
    if (signal_sender_new(&repair->sender, config, "dynaferry-fullcheck", err) < 0 ||
        signal_sender_wait(repair->sender, err) < 0 ||
        ledger_cache_new(&repair->ledger, config, err) < 0)
        return error_prefix(err, "--repair");
    *ret = TAKE(repair);
    return 0;
}

void repair_free(struct repair *repair)
{
    if (!repair)
        return;
    ledger_cache_free(repair->ledger);
    signal_sender_free(repair->sender);
    pthread_mutex_destroy(&repair->lock);
    free(repair);
}

static int send_keys(int64_t *ret_offset, struct repair *repair, const char *table,
                     const struct bytes *keys, size_t count, struct error *err)
{
    char *copies[TABLE_SIGNAL_KEYS_AT_MOST];
    const struct table_signal signal = {.type = TABLE_SIGNAL_REPAIR,
                                        .table = (char *)table,
                                        .keys = copies,
                                        .key_count = count};
    int result;

    for (size_t i = 0; i < count; i++)
        copies[i] = bytes_dup(keys[i]);
    result = signal_sender_send(repair->sender, &signal, ret_offset, err);
    for (size_t i = 0; i < count; i++)
        free(copies[i]);
    return result;
}

bool repair_send(struct repair *repair, const char *table, const struct bytes *keys,
                 size_t count)
{
    struct error err = {0};
    int64_t offset = -1;

    if (send_keys(&offset, repair, table, keys, count, &err) < 0) {
        log_error("repair not requested", "table=%s keys=%zu reason=%s", table, count,
                  err.message);
        return false;
    }
    log_info("repair requested", "table=%s keys=%zu offset=%" PRId64, table, count, offset);
    AUTO_LOCK(&repair->lock);
    repair->newest_offset = MAX(repair->newest_offset, offset);
    return true;
}

static const char *why_no_effect(const struct ledger_table *record, int64_t newest)
{
    switch (record->phase) {
    case PHASE_SNAPSHOT:
    case PHASE_TAIL:
        return record->signal_offset > newest
                   ? "the producer took the requests: look at the consumer and the dead letters"
                   : "the producer has not taken the requests: is it running?";
    default:
        return "the table is halted: see the producer's log";
    }
}

void repair_had_no_effect(struct repair *repair, const char *table, const char *key)
{
    AUTO(ledger_table_release) struct ledger_table record = {0};
    struct error err = {0};
    int found;

    AUTO_LOCK(&repair->lock);
    if (ledger_cache_sync(repair->ledger, LEDGER_MS, &err) < 0)
        found = -1;
    else
        found = ledger_cache_table(repair->ledger, table, &record, &err);
    log_error("repair had no effect", "table=%s key=%s phase=%s reason=%s", table, key,
              found > 0 ? ledger_phase_name(record.phase) : "unknown",
              found < 0    ? err.message
              : found == 0 ? "the ledger does not know this table: no producer carries it"
                           : why_no_effect(&record, repair->newest_offset));
}
