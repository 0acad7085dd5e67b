/* common/run/notify.h - tells systemd that the program is ready, that it ends, and that it
 * lives (sd_notify's protocol: datagrams to the socket that NOTIFY_SOCKET names).
 *
 * The watchdog is about the program itself: its main loop has to turn. An outage of DynamoDB,
 * Kafka or MongoDB, or a halted table, is no reason to be restarted; /healthz tells these.
 * Without NOTIFY_SOCKET nothing is sent. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/auto.h"
#include "common/base/error.h"

struct notify;

/* A thread that says READY=1 once health_is_ready, WATCHDOG=1 within the time that
 * WATCHDOG_USEC wants while the main loop turns, STOPPING=1 when a stop is requested. *ret
 * NULL: nobody wants to hear it. ERR_FATAL 78: the socket can't be used. */
int notify_start(struct notify **ret, struct error *err);
/* The main loop turns, or did at that time. Any thread. */
void notify_turn(void);
void notify_turn_at(int64_t mono_ms);
/* It did within three minutes, or never yet: the same for those who ask, as Kubernetes. */
bool notify_is_turning(void);
/* Says STOPPING=1, and ends the thread; NULL is fine. */
void notify_stop(struct notify *notify);
DEFINE_FREEP(struct notify, notify_freep, notify_stop)
