#include "producer/carriers.h"

#include <stdlib.h>

#include "common/run/log.h"

struct carriers {
    const struct config *config;
    int32_t count;
    struct ledger_carrier *owners; /* one per partition; white NULL: no record */
};

static struct ledger_carrier ours(const struct config *c)
{
    return (struct ledger_carrier){
        .white = (char *)config_string(c, "filter.collection.white"),
        .black = (char *)config_string(c, "filter.collection.black"),
    };
}

static void note_carrier(void *arg, struct bytes rest, struct bytes value, int32_t partition)
{
    struct carriers *carriers = arg;
    struct error err;

    (void)rest;
    if (partition >= carriers->count)
        return;
    ledger_carrier_release(&carriers->owners[partition]);
    if (ledger_carrier_decode(&carriers->owners[partition], value, &err) < 0)
        log_error("carrier can't be read", "ledger_partition=%d reason=%s", (int)partition,
                  err.message);
}

struct carriers *carriers_read(struct ledger_cache *cache, const struct config *c)
{
    struct carriers *carriers = xcalloc(1, sizeof(*carriers));

    carriers->config = c;
    carriers->count = ledger_cache_partitions(cache);
    carriers->owners = xcalloc((size_t)carriers->count, sizeof(*carriers->owners));
    ledger_cache_each(cache, "carrier/", note_carrier, carriers);
    return carriers;
}

void carriers_free(struct carriers *carriers)
{
    if (!carriers)
        return;
    for (int32_t p = 0; p < carriers->count; p++)
        ledger_carrier_release(&carriers->owners[p]);
    free(carriers->owners);
    free(carriers);
}

bool carriers_known(const struct carriers *carriers, int32_t partition)
{
    return carriers->owners[partition].white != NULL;
}

static bool same_filters(const struct ledger_carrier *a, const struct ledger_carrier *b)
{
    return strcmp(a->white, b->white) == 0 && strcmp(a->black, b->black) == 0;
}

bool carriers_are_ours(const struct carriers *carriers, int32_t partition)
{
    struct ledger_carrier own = ours(carriers->config);

    if (!carriers_known(carriers, partition))
        return !carriers_filter(carriers->config);
    return same_filters(&own, &carriers->owners[partition]);
}

static bool wants(const struct ledger_carrier *owner, const char *table)
{
    return (!*owner->white || config_text_has(owner->white, table)) &&
           !config_text_has(owner->black, table);
}

bool carriers_want(const struct carriers *carriers, int32_t partition, const char *table)
{
    return !carriers_known(carriers, partition) || wants(&carriers->owners[partition], table);
}

bool carriers_any_wants(const struct carriers *carriers, const char *table)
{
    for (int32_t p = 0; p < carriers->count; p++)
        if (carriers_known(carriers, p) && wants(&carriers->owners[p], table))
            return true;
    return false;
}

bool carriers_filter(const struct config *c)
{
    struct ledger_carrier own = ours(c);

    return *own.white || *own.black;
}

void carriers_encode(struct buf *out, const struct config *c)
{
    struct ledger_carrier own = ours(c);

    ledger_carrier_encode(out, &own);
}
