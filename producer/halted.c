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
    struct halted *halted = xcalloc(1, sizeof(*halted));

    pthread_mutex_init(&halted->lock, NULL);
    return halted;
}

static void table_remove(struct halted *halted, struct halted_table *entry)
{
    HASH_DEL(halted->tables, entry);
    health_remove(entry->health);
    free(entry->table);
    free(entry->reason);
    free(entry);
}

void halted_free(struct halted *halted)
{
    if (!halted)
        return;
    while (halted->tables)
        table_remove(halted, halted->tables);
    pthread_mutex_destroy(&halted->lock);
    free(halted);
}

void halted_begin(struct halted *halted)
{
    AUTO_LOCK(&halted->lock);
    for (struct halted_table *entry = halted->tables; entry; entry = entry->hh.next)
        entry->is_set = false;
}

static struct halted_table *table_add(struct halted *halted, const char *table)
{
    AUTO(free_charp) char *part = xasprintf("table %s", table);
    struct halted_table *entry = xcalloc(1, sizeof(*entry));

    entry->table = xstrdup(table);
    entry->health = health_new(part, 0);
    HASH_ADD_KEYPTR(hh, halted->tables, entry->table, strlen(entry->table), entry);
    return entry;
}

void halted_set(struct halted *halted, const char *table, const char *reason)
{
    struct halted_table *entry;

    AUTO_LOCK(&halted->lock);
    HASH_FIND_STR(halted->tables, table, entry);
    if (!entry)
        entry = table_add(halted, table);
    entry->is_set = true;
    if (entry->reason && strcmp(entry->reason, reason) == 0)
        return;
    free(entry->reason);
    entry->reason = xstrdup(reason);
    health_say(entry->health, reason);
    log_error("table halted", "table=%s reason=%s", table, reason);
}

void halted_end(struct halted *halted)
{
    struct halted_table *entry, *next;

    AUTO_LOCK(&halted->lock);
    HASH_ITER(hh, halted->tables, entry, next) {
        if (entry->is_set)
            continue;
        log_info("table no longer halted", "table=%s reason=%s", entry->table, entry->reason);
        table_remove(halted, entry);
    }
}

char *halted_reason(struct halted *halted, const char *table)
{
    struct halted_table *entry;

    AUTO_LOCK(&halted->lock);
    HASH_FIND_STR(halted->tables, table, entry);
    return entry ? xstrdup(entry->reason) : NULL;
}
