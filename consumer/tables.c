#include "consumer/tables.h"

#include <stdlib.h>
#include <string.h>

#include "common/log.h"

struct table_entry {
    struct table *table;
    struct table_entry *next;
};

struct tables {
    /* set once */
    const struct config *config;
    struct ledger_cache *ledger;

    /* under lock */
    pthread_mutex_t lock;
    struct table_entry *entries;
};

struct tables *tables_new(const struct config *c, struct ledger_cache *ledger)
{
    struct tables *t = xcalloc(1, sizeof(*t));

    t->config = c;
    t->ledger = ledger;
    pthread_mutex_init(&t->lock, NULL);
    return t;
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

static const struct table *same_collection(const struct tables *t, const struct table *table)
{
    for (const struct table_entry *e = t->entries; e; e = e->next)
        if (e->table != table && !e->table->filtered &&
            strcmp(e->table->collection, table->collection) == 0)
            return e->table;
    return NULL;
}

/* A name that MongoDB has for itself, or that another table writes to, stops the table. */
static void check_collection(const struct tables *t, struct table *table)
{
    const struct table *other = same_collection(t, table);
    char why[600];

    if (other)
        snprintf(why, sizeof(why),
                 "collection %s is table %s's: give one another name with map.collection",
                 table->collection, other->name);
    else if (strncmp(table->collection, "system.", 7) == 0)
        snprintf(why, sizeof(why),
                 "MongoDB keeps collections named system.* for itself: give %s another name "
                 "with map.collection",
                 table->name);
    else
        return;
    table_refuse_name(table, why);
}

static struct table_entry *add(struct tables *t, const char *name, const char *topic)
{
    struct table_entry *e = xcalloc(1, sizeof(*e));

    e->table = table_new(t->config, name, topic);
    e->table->filtered = !config_wants_table(t->config, name);
    if (!e->table->filtered)
        check_collection(t, e->table);
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
