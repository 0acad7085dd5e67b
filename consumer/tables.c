#include "consumer/tables.h"

#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#include "common/base/clock.h"

#define MAPPED_FOR_MS 2000 /* the ledger changes all the time, its tables seldom */

struct table_entry {
    struct table *table;
    struct table_entry *next;
};

/* Where a table of the ledger is applied to. */
struct mapped {
    char *table; /* the hash key */
    char *collection;
    UT_hash_handle hh;
};

struct tables {
    /* set once */
    const struct config *config;
    struct ledger_cache *ledger;

    /* under lock */
    pthread_mutex_t lock;
    struct table_entry *entries;
    struct mapped *mapped; /* all that the filter does not leave out */
    uint64_t mapped_version;
    int64_t mapped_at; /* 0: never */
};

struct tables *tables_new(const struct config *config, struct ledger_cache *ledger)
{
    struct tables *tables = xcalloc(1, sizeof(*tables));

    tables->config = config;
    tables->ledger = ledger;
    pthread_mutex_init(&tables->lock, NULL);
    return tables;
}

static void mapped_release(struct tables *tables)
{
    struct mapped *mapped, *next;

    HASH_ITER(hh, tables->mapped, mapped, next) {
        HASH_DEL(tables->mapped, mapped);
        free(mapped->table);
        free(mapped->collection);
        free(mapped);
    }
}

void tables_free(struct tables *tables)
{
    if (!tables)
        return;
    for (struct table_entry *found = tables->entries, *next; found; found = next) {
        next = found->next;
        table_free(found->table);
        free(found);
    }
    mapped_release(tables);
    pthread_mutex_destroy(&tables->lock);
    free(tables);
}

struct search {
    const char *topic;
    char *name; /* found */
};

static void compare_topic(void *arg, struct bytes rest, struct bytes value, int32_t partition)
{
    struct search *search = arg;
    struct ledger_table record = {0};
    struct error ignored;

    (void)rest;
    (void)partition;
    if (search->name || ledger_table_decode(&record, value, &ignored) < 0)
        return;
    if (strcmp(record.topic, search->topic) == 0)
        search->name = xstrdup(record.table);
    ledger_table_release(&record);
}

static struct table_entry *add(struct tables *tables, const char *name, const char *topic)
{
    struct table_entry *found = xcalloc(1, sizeof(*found));

    found->table = table_new(tables->config, name, topic);
    found->next = tables->entries;
    tables->entries = found;
    return found;
}

static struct table_entry *find(const struct tables *tables, const char *topic)
{
    for (struct table_entry *found = tables->entries; found; found = found->next)
        if (strcmp(found->table->topic, topic) == 0)
            return found;
    return NULL;
}

struct table *tables_of_topic(struct tables *tables, const char *topic)
{
    struct search search = {.topic = topic};
    struct table_entry *found;

    AUTO_LOCK(&tables->lock);
    found = find(tables, topic);
    if (!found) {
        ledger_cache_each(tables->ledger, "table/", compare_topic, &search);
        if (!search.name)
            return NULL;
        found = add(tables, search.name, topic);
        free(search.name);
    }
    return found->table;
}

void tables_each(struct tables *tables, void (*each)(void *arg, const struct table *table),
                 void *arg)
{
    AUTO_LOCK(&tables->lock);
    for (struct table_entry *found = tables->entries; found; found = found->next)
        if (!found->table->filtered)
            each(arg, found->table);
}

/* ---- two tables, one collection ---- */

static void add_mapped(void *arg, struct bytes rest, struct bytes value, int32_t partition)
{
    struct tables *tables = arg;
    AUTO(free_charp) char *name = bytes_dup(rest);
    struct mapped *mapped;

    (void)value;
    (void)partition;
    if (!config_wants_table(tables->config, name))
        return;
    mapped = xcalloc(1, sizeof(*mapped));
    mapped->collection = table_collection_name(tables->config, name);
    mapped->table = TAKE(name);
    HASH_ADD_KEYPTR(hh, tables->mapped, mapped->table, strlen(mapped->table), mapped);
}

static struct mapped *find_mapped(struct tables *tables, const char *name)
{
    struct mapped *mapped;

    HASH_FIND_STR(tables->mapped, name, mapped);
    return mapped;
}

/* Under the lock. */
static void refresh_mapped(struct tables *tables, const char *name)
{
    uint64_t version = ledger_cache_version(tables->ledger);
    int64_t now = clock_mono_ms();

    if (find_mapped(tables, name) &&
        (version == tables->mapped_version || now < tables->mapped_at + MAPPED_FOR_MS))
        return;
    mapped_release(tables);
    ledger_cache_each(tables->ledger, "table/", add_mapped, tables);
    tables->mapped_version = version;
    tables->mapped_at = now;
}

char *tables_rival(struct tables *tables, const struct table *table)
{
    const char *rival = NULL;
    struct mapped *mapped, *next;

    AUTO_LOCK(&tables->lock);
    refresh_mapped(tables, table->name);
    HASH_ITER(hh, tables->mapped, mapped, next)
        if (strcmp(mapped->collection, table->collection) == 0 &&
            strcmp(mapped->table, table->name) != 0 &&
            (!rival || strcmp(mapped->table, rival) < 0))
            rival = mapped->table;
    return rival ? xstrdup(rival) : NULL;
}
