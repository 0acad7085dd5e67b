/* common/messages/signal_request.h - a request to a table's owner that is followed until the
 * ledger says what became of it.
 *
 * The owner handles a request and writes its outcome into the table's record in one
 * transaction. The record keeps the last LEDGER_HANDLED_MOST outcomes. Any thread. */
#pragma once

#include "common/messages/ledger_cache.h"
#include "common/messages/signal_sender.h"

enum signal_outcome {
    SIGNAL_WAITS, /* it was not handled yet */
    SIGNAL_TAKEN, /* it was done, or is under way */
    SIGNAL_REFUSED,
    SIGNAL_UNKNOWN, /* it is behind the table, and its outcome is kept no more, or never was */
};

/* What the table's record (NULL: it has none) says about a request of this type, offset and id.
 * *ret_refused: why, of one that was refused; borrowed from the record. Pure. */
enum signal_outcome signal_request_outcome(const struct ledger_table *record,
                                           const struct table_signal *signal, int64_t offset,
                                           const char **ret_refused);

/* What is sent (with its id) and followed. */
struct signal_request {
    struct signal_sender *sender;
    struct ledger_cache *ledger;
    int64_t limit_ms; /* how long to wait for an owner */
};

/* Sends it and waits. 0: it was taken. ERR_DATA: it was refused, and the message is the reason.
 * ERR_FATAL 69: nobody took it in time; 1: a stop was requested while it was waited for, or
 * nobody knows what became of it. ERR_RETRY: it could not be sent. */
int signal_request_run(const struct signal_request *request, const struct table_signal *signal,
                       struct error *err);
