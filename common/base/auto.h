/* common/base/auto.h - owned locals that release themselves, and allocation that can't fail.
 *
 * Exhaustion of memory aborts; safety is in the ceilings of buffers and queues. */
#pragma once

#include <pthread.h>
#include <stddef.h>

/* AUTO(x_freep) struct x *v = NULL; frees v when it goes out of scope. */
#define AUTO(fn) __attribute__((cleanup(fn)))

/* Hands an owned pointer over: the variable becomes NULL. */
#define TAKE(p)                                                                                \
    ({                                                                                         \
        __typeof__(p) take_ = (p);                                                             \
        (p) = NULL;                                                                            \
        take_;                                                                                 \
    })

#define DEFINE_FREEP(type, name, fn)                                                           \
    static inline void name(type **p)                                                          \
    {                                                                                          \
        if (*p)                                                                                \
            fn(*p);                                                                            \
        *p = NULL;                                                                             \
    }

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

void *xmalloc(size_t n);
void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t n);
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t n);
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

void free_charp(char **p);

/* AUTO_LOCK(&mutex); holds the mutex to the end of the scope. */
#define AUTO_LOCK(m) AUTO_LOCK_(m, __COUNTER__)
#define AUTO_LOCK_(m, n) AUTO_LOCK__(m, n)
#define AUTO_LOCK__(m, n)                                                                      \
    AUTO(auto_unlock) pthread_mutex_t *auto_lock_##n = auto_lock(m);                           \
    (void)auto_lock_##n

pthread_mutex_t *auto_lock(pthread_mutex_t *m);
void auto_unlock(pthread_mutex_t **m);
