#include "producer/table_names.h"

#include <stdlib.h>
#include <uthash.h>

#include "common/kafka/kafka.h"
#include "common/kafka/kafka_topic.h"

struct taken {
    char *spelling; /* with every '.' as '_' */
    char *topic;
    char *table;
    UT_hash_handle hh;
};

struct table_names {
    const struct config *config;
    struct taken *taken;
};

struct table_names *table_names_new(const struct config *c)
{
    struct table_names *n = xcalloc(1, sizeof(*n));

    n->config = c;
    return n;
}

void table_names_free(struct table_names *n)
{
    struct taken *t, *next;

    if (!n)
        return;
    HASH_ITER(hh, n->taken, t, next)
    {
        HASH_DEL(n->taken, t);
        free(t->spelling);
        free(t->topic);
        free(t->table);
        free(t);
    }
    free(n);
}

static char *spelling_of(const char *topic)
{
    char *s = xstrdup(topic);

    for (char *p = s; *p; p++)
        if (*p == '.')
            *p = '_';
    return s;
}

static void take(struct table_names *n, char **spelling, char **topic, const char *table)
{
    struct taken *t = xcalloc(1, sizeof(*t));

    t->spelling = TAKE(*spelling);
    t->topic = TAKE(*topic);
    t->table = xstrdup(table);
    HASH_ADD_KEYPTR(hh, n->taken, t->spelling, strlen(t->spelling), t);
}

char *table_names_take(struct table_names *n, const char *table)
{
    AUTO(free_charp) char *topic = kafka_data_topic(n->config, table);
    AUTO(free_charp) char *spelling = spelling_of(topic);
    struct taken *t;

    if (!kafka_topic_name_is_legal(topic))
        return xasprintf(
            "Kafka takes no topic name like its one, of %zu characters (at most 249 "
            "of letters, digits, '.', '_', '-'): rename it with map.topic",
            strlen(topic));
    HASH_FIND_STR(n->taken, spelling, t);
    if (t && strcmp(t->table, table) != 0)
        return xasprintf("its topic \"%s\" collides in Kafka with \"%s\" of table %s: rename "
                         "one with map.topic",
                         topic, t->topic, t->table);
    if (!t)
        take(n, &spelling, &topic, table);
    return NULL;
}
