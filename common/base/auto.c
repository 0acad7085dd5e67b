#include "common/base/auto.h"

#include <stdarg.h>
#include <string.h>

#include "common/base/check.h"

void *xmalloc(size_t n)
{
    void *p = malloc(n ? n : 1);

    CHECK(p);
    return p;
}

void *xcalloc(size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size ? size : 1);

    CHECK(p);
    return p;
}

void *xrealloc(void *p, size_t n)
{
    p = realloc(p, n ? n : 1);
    CHECK(p);
    return p;
}

char *xstrdup(const char *s)
{
    return xstrndup(s, strlen(s));
}

char *xstrndup(const char *s, size_t n)
{
    char *p = xmalloc(n + 1);

    memcpy(p, s, n);
    p[n] = '\0';
    return p;
}

char *xasprintf(const char *fmt, ...)
{
    char *s = NULL;
    va_list ap;

    va_start(ap, fmt);
    CHECK(vasprintf(&s, fmt, ap) >= 0);
    va_end(ap);
    return s;
}

void free_charp(char **p)
{
    free(*p);
    *p = NULL;
}

pthread_mutex_t *auto_lock(pthread_mutex_t *m)
{
    CHECK(pthread_mutex_lock(m) == 0);
    return m;
}

void auto_unlock(pthread_mutex_t **m)
{
    CHECK(pthread_mutex_unlock(*m) == 0);
}
