#include "common/messages/signal_request.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/exit_code.h"
#include "common/run/log.h"
#include "common/run/stop.h"

#define LOOK_MS 50

enum signal_outcome signal_request_outcome(const struct ledger_table *record,
                                           const struct table_signal *signal, int64_t offset,
                                           const char **ret_refused)
{
    const struct ledger_handled *handled =
        record ? ledger_table_find_handled(record, signal->id) : NULL;

    if (!record)
        return signal->type == TABLE_SIGNAL_FORGET ? SIGNAL_TAKEN : SIGNAL_UNKNOWN;
    if (!handled)
        return record->signal_offset > offset ? SIGNAL_UNKNOWN : SIGNAL_WAITS;
    if (!*handled->refused)
        return SIGNAL_TAKEN;
    *ret_refused = handled->refused;
    return SIGNAL_REFUSED;
}

/* 1: it waits. */
static int look(const struct signal_request *request, const struct table_signal *signal,
                int64_t offset, struct error *err)
{
    AUTO(ledger_table_release) struct ledger_table record = {0};
    int found = ledger_cache_table(request->ledger, signal->table, &record, err);
    const char *refused;

    if (found < 0)
        return -1;
    switch (signal_request_outcome(found ? &record : NULL, signal, offset, &refused)) {
    case SIGNAL_WAITS:
        return 1;
    case SIGNAL_TAKEN:
        return 0;
    case SIGNAL_REFUSED:
        return error_set(err, ERR_DATA, "%s", refused);
    case SIGNAL_UNKNOWN:
        break;
    }
    return error_fatal(err, EXIT_FATAL,
                       "it was passed over, or so many came after it that its outcome is kept "
                       "no more: see the log of the producer");
}

static int await(const struct signal_request *request, const struct table_signal *signal,
                 int64_t offset, struct error *err)
{
    int64_t end = clock_mono_ms() + request->limit_ms;
    int result;

    while ((result = look(request, signal, offset, err)) > 0) {
        if (stop_wait_ms(LOOK_MS))
            return error_fatal(err, EXIT_FATAL,
                               "interrupted: it is in the topic, and is taken when a producer "
                               "carries the table");
        if (clock_mono_ms() >= end)
            return error_fatal(err, EXIT_UNREACHABLE,
                               "no producer took it yet: it stays in the topic, and is taken "
                               "when one carries the table");
    }
    return result;
}

int signal_request_run(const struct signal_request *request, const struct table_signal *signal,
                       struct error *err)
{
    int64_t offset;

    if (signal_sender_send(request->sender, signal, &offset, err) < 0)
        return -1;
    log_info("request sent", "table=%s type=%s id=%s offset=%" PRId64, signal->table,
             table_signal_type_name(signal->type), signal->id, offset);
    return await(request, signal, offset, err);
}
