#include "common/run/metrics.h"

#include <ctype.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "common/base/auto.h"
#include "common/base/check.h"

/* A metric's memory is never given back, only to another label set: so a late metric_add of a
 * removed one is a wrong number at worst. */
struct metric {
    atomic_int_fast64_t value; /* any thread */

    struct family *family; /* the rest: under the lock */
    int64_t references;
    char *key; /* name{labels} */
    UT_hash_handle hh;
    struct metric *next, **at; /* in the family's order; next also among the free ones */
};

struct family {
    enum metric_type type;
    char *name;
    char *help;
    struct metric *first, **last;
    struct family *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct metric *by_key, *free_metrics; /* under the lock, as the families */
static struct family *families, **last_family = &families;

static bool name_is_good(const char *name)
{
    if (!isalpha((unsigned char)*name) && *name != '_')
        return false;
    for (; *name; name++)
        if (!isalnum((unsigned char)*name) && *name != '_')
            return false;
    return true;
}

static struct family *family_get(enum metric_type type, const char *name, const char *help)
{
    struct family *f = families;

    while (f && strcmp(f->name, name) != 0)
        f = f->next;
    if (f) {
        CHECK(f->type == type);
        return f;
    }
    CHECK(name_is_good(name));
    f = xcalloc(1, sizeof(*f));
    f->type = type;
    f->name = xstrdup(name);
    f->help = xstrdup(help);
    f->last = &f->first;
    *last_family = f;
    last_family = &f->next;
    return f;
}

static struct metric *metric_new(struct family *f, char **key)
{
    struct metric *m = free_metrics;

    if (m)
        free_metrics = m->next;
    else
        m = xcalloc(1, sizeof(*m));
    atomic_store(&m->value, 0);
    m->family = f;
    m->references = 1;
    m->key = TAKE(*key);
    m->next = NULL;
    m->at = f->last;
    *f->last = m;
    f->last = &m->next;
    HASH_ADD_KEYPTR(hh, by_key, m->key, strlen(m->key), m);
    return m;
}

struct metric *metric_get(enum metric_type type, const char *name, const char *help,
                          const char *labels)
{
    AUTO(free_charp)
    char *key = *labels ? xasprintf("%s{%s}", name, labels) : xstrdup(name);
    struct metric *m;

    AUTO_LOCK(&lock);
    HASH_FIND_STR(by_key, key, m);
    if (m) {
        CHECK(m->family->type == type);
        m->references++;
        return m;
    }
    return metric_new(family_get(type, name, help), &key);
}

void metric_add(struct metric *m, int64_t n)
{
    atomic_fetch_add_explicit(&m->value, n, memory_order_relaxed);
}

void metric_set(struct metric *m, int64_t value)
{
    atomic_store_explicit(&m->value, value, memory_order_relaxed);
}

int64_t metric_value(const struct metric *m)
{
    return atomic_load_explicit(&m->value, memory_order_relaxed);
}

static void unlink_metric(struct metric *m)
{
    *m->at = m->next;
    if (m->next)
        m->next->at = m->at;
    else
        m->family->last = m->at;
}

void metric_remove(struct metric *m)
{
    if (!m)
        return;
    AUTO_LOCK(&lock);
    if (!m->key || --m->references) /* removed before, or another's too */
        return;
    unlink_metric(m);
    HASH_DEL(by_key, m);
    free(TAKE(m->key));
    m->next = free_metrics;
    free_metrics = m;
}

static void put_escaped(struct buf *b, const char *text, bool in_quotes)
{
    for (; *text; text++) {
        if (*text == '\\')
            buf_lit(b, "\\\\");
        else if (*text == '\n')
            buf_lit(b, "\\n");
        else if (*text == '"' && in_quotes)
            buf_lit(b, "\\\"");
        else
            buf_char(b, *text);
    }
}

char *metric_labels(const char *key, ...)
{
    AUTO(buf_release) struct buf b;
    va_list ap;

    buf_init(&b, 1 << 20);
    va_start(ap, key);
    for (; key; key = va_arg(ap, const char *)) {
        CHECK(name_is_good(key));
        buf_printf(&b, "%s%s=\"", b.len ? "," : "", key);
        put_escaped(&b, va_arg(ap, const char *), true);
        buf_char(&b, '"');
    }
    va_end(ap);
    CHECK(!b.overflow);
    return bytes_dup(buf_slice(&b));
}

static void write_family(struct buf *out, const struct family *f)
{
    if (!f->first)
        return;
    buf_printf(out, "# HELP %s ", f->name);
    put_escaped(out, f->help, false);
    buf_printf(out, "\n# TYPE %s %s\n", f->name,
               f->type == METRIC_COUNTER ? "counter" : "gauge");
    for (const struct metric *m = f->first; m; m = m->next)
        buf_printf(out, "%s %" PRId64 "\n", m->key, metric_value(m));
}

void metrics_write(struct buf *out)
{
    AUTO_LOCK(&lock);
    for (const struct family *f = families; f; f = f->next)
        write_family(out, f);
}
