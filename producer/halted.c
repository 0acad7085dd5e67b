#include "producer/halted.h"

#include <pthread.h>
#include <stdlib.h>
#include <uthash.h>

#include "common/run/health.h"
#include "common/run/log.h"

struct halted_table {
    char *table;
    char *reason;
    struct health *health;
    bool is_set; /* since the last begin */
    UT_hash_handle hh;
};

struct halted {
    pthread_mutex_t lock;
    struct halted_table *tables;
};

struct halted *halted_new(void)
{
    struct halted *h = xcalloc(1, sizeof(*h));

    pthread_mutex_init(&h->lock, NULL);
    return h;
}

static void table_remove(struct halted *h, struct halted_table *t)
{
    HASH_DEL(h->tables, t);
    health_remove(t->health);
    free(t->table);
    free(t->reason);
    free(t);
}

void halted_free(struct halted *h)
{
    if (!h)
        return;
    while (h->tables)
        table_remove(h, h->tables);
    pthread_mutex_destroy(&h->lock);
    free(h);
}

void halted_begin(struct halted *h)
{
    AUTO_LOCK(&h->lock);
    for (struct halted_table *t = h->tables; t; t = t->hh.next)
        t->is_set = false;
}

static struct halted_table *table_add(struct halted *h, const char *table)
{
    AUTO(free_charp) char *part = xasprintf("table %s", table);
    struct halted_table *t = xcalloc(1, sizeof(*t));

    t->table = xstrdup(table);
    t->health = health_new(part, 0);
    HASH_ADD_KEYPTR(hh, h->tables, t->table, strlen(t->table), t);
    return t;
}

void halted_set(struct halted *h, const char *table, const char *reason)
{
    struct halted_table *t;

    AUTO_LOCK(&h->lock);
    HASH_FIND_STR(h->tables, table, t);
    if (!t)
        t = table_add(h, table);
    t->is_set = true;
    if (t->reason && strcmp(t->reason, reason) == 0)
        return;
    free(t->reason);
    t->reason = xstrdup(reason);
    health_say(t->health, reason);
    log_error("table is not carried", "table=%s reason=%s", table, reason);
}

void halted_end(struct halted *h)
{
    struct halted_table *t, *next;

    AUTO_LOCK(&h->lock);
    HASH_ITER(hh, h->tables, t, next)
    {
        if (t->is_set)
            continue;
        log_info("table is not halted any more", "table=%s reason=%s", t->table, t->reason);
        table_remove(h, t);
    }
}

char *halted_reason(struct halted *h, const char *table)
{
    struct halted_table *t;

    AUTO_LOCK(&h->lock);
    HASH_FIND_STR(h->tables, table, t);
    return t ? xstrdup(t->reason) : NULL;
}
