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
    struct table_names *names = xcalloc(1, sizeof(*names));

    names->config = c;
    return names;
}

void table_names_free(struct table_names *names)
{
    struct taken *taken, *next;

    if (!names)
        return;
    HASH_ITER(hh, names->taken, taken, next) {
        HASH_DEL(names->taken, taken);
        free(taken->spelling);
        free(taken->topic);
        free(taken->table);
        free(taken);
    }
    free(names);
}

static char *spelling_of(const char *topic)
{
    char *s = xstrdup(topic);

    for (char *p = s; *p; p++)
        if (*p == '.')
            *p = '_';
    return s;
}

static void take(struct table_names *names, char **spelling, char **topic, const char *table)
{
    struct taken *taken = xcalloc(1, sizeof(*taken));

    taken->spelling = TAKE(*spelling);
    taken->topic = TAKE(*topic);
    taken->table = xstrdup(table);
    HASH_ADD_KEYPTR(hh, names->taken, taken->spelling, strlen(taken->spelling), taken);
}

char *table_names_take(struct table_names *names, const char *table)
{
    AUTO(free_charp) char *topic = kafka_data_topic(names->config, table);
    AUTO(free_charp) char *spelling = spelling_of(topic);
    struct taken *taken;

    if (!kafka_topic_name_is_legal(topic))
        return xasprintf(
            "Kafka takes no topic name like its one, of %zu characters (at most 249 "
            "of letters, digits, '.', '_', '-'): rename it with map.topic",
            strlen(topic));
    HASH_FIND_STR(names->taken, spelling, taken);
    if (taken && strcmp(taken->table, table) != 0)
        return xasprintf("its topic \"%s\" collides in Kafka with \"%s\" of table %s: rename "
                         "one with map.topic",
                         topic, taken->topic, taken->table);
    if (!taken)
        take(names, &spelling, &topic, table);
    return NULL;
}
