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

struct tables *tables_new(const struct config *c, struct ledger_cache *ledger)
{
    struct tables *t = xcalloc(1, sizeof(*t));

    t->config = c;
    t->ledger = ledger;
    pthread_mutex_init(&t->lock, NULL);
    return t;
}

static void mapped_release(struct tables *t)
{
    struct mapped *m, *next;

    HASH_ITER(hh, t->mapped, m, next)
    {
        HASH_DEL(t->mapped, m);
        free(m->table);
        free(m->collection);
        free(m);
    }
}

void tables_free(struct tables *t)
{
    if (!t)
        return;
    for (struct table_entry *e = t->entries, *next; e; e = next) {
        next = e->next;
        table_free(e->table);
        free(e);
    }
    mapped_release(t);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

struct search {
    const char *topic;
    char *name; /* found */
};

static void compare_topic(void *arg, struct bytes rest, struct bytes value, int32_t partition)
{
    struct search *s = arg;
    struct ledger_table record = {0};
    struct error ignored;

    (void)rest;
    (void)partition;
    if (s->name || ledger_table_decode(&record, value, &ignored) < 0)
        return;
    if (strcmp(record.topic, s->topic) == 0)
        s->name = xstrdup(record.table);
    ledger_table_release(&record);
}

static struct table_entry *add(struct tables *t, const char *name, const char *topic)
{
    struct table_entry *e = xcalloc(1, sizeof(*e));

    e->table = table_new(t->config, name, topic);
    e->next = t->entries;
    t->entries = e;
    return e;
}

static struct table_entry *find(const struct tables *t, const char *topic)
{
    for (struct table_entry *e = t->entries; e; e = e->next)
        if (strcmp(e->table->topic, topic) == 0)
            return e;
    return NULL;
}

struct table *tables_of_topic(struct tables *t, const char *topic)
{
    struct search s = {.topic = topic};
    struct table_entry *e;

    AUTO_LOCK(&t->lock);
    e = find(t, topic);
    if (!e) {
        ledger_cache_each(t->ledger, "table/", compare_topic, &s);
        if (!s.name)
            return NULL;
        e = add(t, s.name, topic);
        free(s.name);
    }
    return e->table;
}

/* ---- two tables, one collection ---- */

static void add_mapped(void *arg, struct bytes rest, struct bytes value, int32_t partition)
{
    struct tables *t = arg;
    AUTO(free_charp) char *name = bytes_dup(rest);
    struct mapped *m;
    char *renamed;

    (void)value;
    (void)partition;
    if (!config_wants_table(t->config, name))
        return;
    renamed = config_map_get(t->config, "map.collection", name);
    m = xcalloc(1, sizeof(*m));
    m->collection = renamed ? renamed : xstrdup(name);
    m->table = TAKE(name);
    HASH_ADD_KEYPTR(hh, t->mapped, m->table, strlen(m->table), m);
}

static struct mapped *find_mapped(struct tables *t, const char *name)
{
    struct mapped *m;

    HASH_FIND_STR(t->mapped, name, m);
    return m;
}

/* Under the lock. */
static void refresh_mapped(struct tables *t, const char *name)
{
    uint64_t version = ledger_cache_version(t->ledger);
    int64_t now = clock_mono_ms();

    if (find_mapped(t, name) &&
        (version == t->mapped_version || now < t->mapped_at + MAPPED_FOR_MS))
        return;
    mapped_release(t);
    ledger_cache_each(t->ledger, "table/", add_mapped, t);
    t->mapped_version = version;
    t->mapped_at = now;
}

char *tables_rival(struct tables *t, const struct table *table)
{
    const char *rival = NULL;
    struct mapped *m, *next;

    AUTO_LOCK(&t->lock);
    refresh_mapped(t, table->name);
    HASH_ITER(hh, t->mapped, m, next)
    if (strcmp(m->collection, table->collection) == 0 && strcmp(m->table, table->name) != 0 &&
        (!rival || strcmp(m->table, rival) < 0))
        rival = m->table;
    return rival ? xstrdup(rival) : NULL;
}
