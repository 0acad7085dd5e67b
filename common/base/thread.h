/* common/base/thread.h - a thread, or the reason why there is none (a limit of processes, say).
 */
#pragma once

#include <pthread.h>

#include "common/base/error.h"

/* ERR_RETRY, and *ret stays, when the system gives none now. */
int thread_start(pthread_t *ret, void *(*run)(void *arg), void *arg, struct error *err);
