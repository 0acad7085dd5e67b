#include "common/base/thread.h"

#include <string.h>

int thread_start(pthread_t *ret, void *(*run)(void *arg), void *arg, struct error *err)
{
    pthread_t thread;
    int code = pthread_create(&thread, NULL, run, arg);

    if (code)
        return error_set(err, ERR_RETRY, "no thread can be started: %s", strerror(code));
    *ret = thread;
    return 0;
}
