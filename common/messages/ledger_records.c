#include "common/messages/ledger_records.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/auto.h"
#include "common/messages/ledger.h"

static bool begins(const char *key, const char *with)
{
    return strncmp(key, with, strlen(with)) == 0;
}

/* How much of a key names its group; a key without a slash is a group of its own. */
static size_t group_len(const char *key)
{
    const char *slash = strchr(key, '/');

    if (slash && (begins(key, "segment/") || begins(key, "shard/")))
        slash = strchr(slash + 1, '/');
    return slash ? (size_t)(slash + 1 - key) : strlen(key);
}

static struct record_group *group_find(const struct ledger_records *records, const char *key)
{
    struct record_group *g;

    HASH_FIND(hh, records->groups, key, group_len(key), g);
    return g;
}

static struct record_group *group_of(struct ledger_records *records, const char *key)
{
    struct record_group *g = group_find(records, key);

    if (g)
        return g;
    g = xcalloc(1, sizeof(*g));
    g->name = xstrndup(key, group_len(key));
    g->last = &g->first;
    HASH_ADD_KEYPTR(hh, records->groups, g->name, strlen(g->name), g);
    return g;
}

static void group_remove(struct ledger_records *records, struct record_group *g)
{
    HASH_DEL(records->groups, g);
    free(g->name);
    free(g);
}

static void record_remove(struct ledger_records *records, struct ledger_record *e)
{
    struct record_group *g = e->group;

    *e->at = e->next;
    if (e->next)
        e->next->at = e->at;
    else
        g->last = e->at;
    if (!g->first)
        group_remove(records, g);
    HASH_DEL(records->records, e);
    free(e->key);
    free(e->value);
    free(e);
}

static struct ledger_record *record_add(struct ledger_records *records, struct bytes key)
{
    struct ledger_record *e = xcalloc(1, sizeof(*e));

    e->key = xstrndup(key.p, key.len);
    e->group = group_of(records, e->key);
    e->at = e->group->last;
    *e->at = e;
    e->group->last = &e->next;
    HASH_ADD_KEYPTR(hh, records->records, e->key, strlen(e->key), e);
    return e;
}

static void note_change(struct ledger_records *records, const char *key)
{
    if (begins(key, "place/") || begins(key, "carrier/") || strcmp(key, LEDGER_SOURCE_KEY) == 0)
        records->places_version++;
}

void ledger_records_put(struct ledger_records *records, struct bytes key, struct bytes value,
                        int32_t partition)
{
    struct ledger_record *e;

    HASH_FIND(hh, records->records, key.p, key.len, e);
    if (!value.p) {
        if (!e || e->partition != partition)
            return;
        note_change(records, e->key);
        record_remove(records, e);
        return;
    }
    if (e && e->partition == partition &&
        bytes_equal((struct bytes){e->value, e->value_len}, value))
        return;
    if (!e)
        e = record_add(records, key);
    free(e->value);
    e->value = xstrndup(value.p, value.len);
    e->value_len = value.len;
    e->partition = partition;
    note_change(records, e->key);
}

bool ledger_records_get(struct bytes *ret, const struct ledger_records *records,
                        const char *key)
{
    struct ledger_record *e;

    HASH_FIND(hh, records->records, key, strlen(key), e);
    if (e)
        *ret = (struct bytes){e->value, e->value_len};
    return e != NULL;
}

void ledger_records_each(const struct ledger_records *records, const char *prefix,
                         void (*each)(void *arg, struct bytes rest, struct bytes value,
                                      int32_t partition),
                         void *arg)
{
    const struct record_group *g = group_find(records, prefix);
    size_t n = strlen(prefix);

    for (struct ledger_record *e = g ? g->first : NULL; e; e = e->next)
        if (strncmp(e->key, prefix, n) == 0)
            each(arg, bytes_of(e->key + n), (struct bytes){e->value, e->value_len},
                 e->partition);
}

void ledger_records_release(struct ledger_records *records)
{
    struct ledger_record *e, *next;

    HASH_ITER(hh, records->records, e, next)
        record_remove(records, e);
}
