/* common/run/stop.h - the request to end: set by SIGTERM, SIGINT or a fatal error, awaited by
 * every loop.
 *
 * One a process. Any thread may call; stop_request is safe in a signal handler. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* SIGTERM and SIGINT request the stop; SIGPIPE is ignored. */
void stop_install_signals(void);
void stop_request(void);
bool stop_requested(void);
/* Sleeps at most that long; true when the stop was requested. */
bool stop_wait_ms(int64_t ms);
/* Tests only. */
void stop_reset(void);
