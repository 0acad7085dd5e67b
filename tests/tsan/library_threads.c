/* tests/tsan/library_threads.c - lets TSan see the threads and locks of librdkafka.
 *
 * TSan (gcc 12) knows pthread_create and pthread_mutex_lock, and not C11's thrd_create and
 * mtx_lock, which librdkafka calls: in a thread that it has not seen begin, the first malloc
 * crashes. So these stand before libc's in the whole process, and are POSIX's; glibc's types
 * are the same under another name. Locks of readers and writers pass through here for another
 * reason: what librdkafka itself calls is left out (suppressions.c), what is called from here
 * is not.
 *
 * What destroys a lock is libc's, which TSan does not see: who may do so is known by a count of
 * references that it does not see either. It forgets the lock with the memory. */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <threads.h>

_Static_assert(sizeof(mtx_t) == sizeof(pthread_mutex_t), "a mutex of both kinds");
_Static_assert(sizeof(cnd_t) == sizeof(pthread_cond_t), "a condition of both kinds");
_Static_assert(sizeof(once_flag) == sizeof(pthread_once_t), "a flag of both kinds");

struct start {
    thrd_start_t run;
    void *arg;
};

static int result_of(int code)
{
    switch (code) {
    case 0:
        return thrd_success;
    case ENOMEM:
        return thrd_nomem;
    case EBUSY:
        return thrd_busy;
    case ETIMEDOUT:
        return thrd_timedout;
    default:
        return thrd_error;
    }
}

/* ---- threads ---- */

static void *run_thread(void *arg)
{
    struct start start = *(struct start *)arg;

    free(arg);
    return (void *)(intptr_t)start.run(start.arg);
}

int thrd_create(thrd_t *thread, thrd_start_t run, void *arg)
{
    struct start *start = malloc(sizeof(*start));
    int code;

    if (!start)
        return thrd_nomem;
    *start = (struct start){run, arg};
    code = pthread_create(thread, NULL, run_thread, start);
    if (code)
        free(start);
    return result_of(code);
}

int thrd_join(thrd_t thread, int *result)
{
    void *returned;
    int code = pthread_join(thread, &returned);

    if (code == 0 && result)
        *result = (int)(intptr_t)returned;
    return result_of(code);
}

void call_once(once_flag *flag, void (*run)(void))
{
    pthread_once((pthread_once_t *)flag, run);
}

/* ---- locks ---- */

int mtx_init(mtx_t *m, int type)
{
    pthread_mutexattr_t attr;
    int code;

    pthread_mutexattr_init(&attr);
    if (type & mtx_recursive)
        pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
    code = pthread_mutex_init((pthread_mutex_t *)m, &attr);
    pthread_mutexattr_destroy(&attr);
    return result_of(code);
}

int mtx_lock(mtx_t *m)
{
    return result_of(pthread_mutex_lock((pthread_mutex_t *)m));
}

int mtx_unlock(mtx_t *m)
{
    return result_of(pthread_mutex_unlock((pthread_mutex_t *)m));
}

/* ---- conditions ---- */

int cnd_init(cnd_t *c)
{
    return result_of(pthread_cond_init((pthread_cond_t *)c, NULL));
}

int cnd_signal(cnd_t *c)
{
    return result_of(pthread_cond_signal((pthread_cond_t *)c));
}

int cnd_broadcast(cnd_t *c)
{
    return result_of(pthread_cond_broadcast((pthread_cond_t *)c));
}

int cnd_wait(cnd_t *c, mtx_t *m)
{
    return result_of(pthread_cond_wait((pthread_cond_t *)c, (pthread_mutex_t *)m));
}

int cnd_timedwait(cnd_t *restrict c, mtx_t *restrict m, const struct timespec *restrict until)
{
    return result_of(pthread_cond_timedwait((pthread_cond_t *)c, (pthread_mutex_t *)m, until));
}

/* ---- locks of readers and writers ---- */

/* TSan's own, which pthread_rwlock_... is called as long as nothing stands before it. */
int __interceptor_pthread_rwlock_init(pthread_rwlock_t *l, const pthread_rwlockattr_t *attr);
int __interceptor_pthread_rwlock_rdlock(pthread_rwlock_t *l);
int __interceptor_pthread_rwlock_wrlock(pthread_rwlock_t *l);
int __interceptor_pthread_rwlock_unlock(pthread_rwlock_t *l);

int pthread_rwlock_init(pthread_rwlock_t *l, const pthread_rwlockattr_t *attr)
{
    return __interceptor_pthread_rwlock_init(l, attr);
}

int pthread_rwlock_rdlock(pthread_rwlock_t *l)
{
    return __interceptor_pthread_rwlock_rdlock(l);
}

int pthread_rwlock_wrlock(pthread_rwlock_t *l)
{
    return __interceptor_pthread_rwlock_wrlock(l);
}

int pthread_rwlock_unlock(pthread_rwlock_t *l)
{
    return __interceptor_pthread_rwlock_unlock(l);
}
