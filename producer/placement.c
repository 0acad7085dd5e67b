#include "producer/placement.h"

#include <stdlib.h>

#include "common/run/log.h"
#include "producer/carriers.h"
#include "producer/table_names.h"

/* ---- places ---- */

static void note_place(void *arg, struct bytes table, struct bytes value, int32_t partition)
{
    struct placement *places = arg;
    struct ledger_place place;
    struct error err;

    (void)partition;
    if (ledger_place_decode(&place, value, &err) < 0) {
        log_error("place can't be read", "table=" BYTES_FMT " reason=%s", BYTES_ARG(table),
                  err.message);
        place = (struct ledger_place){.partition = -1}; /* so that it gets no second one */
    }
    places->all = xrealloc(places->all, sizeof(*places->all) * (places->count + 1));
    places->all[places->count] = (struct placed){bytes_dup(table), place};
    name_map_put(&places->by_name, places->all[places->count].table, (int64_t)places->count);
    places->count++;
}

void placement_read(struct placement *ret, struct ledger_cache *cache)
{
    *ret = (struct placement){0};
    ledger_cache_each(cache, "place/", note_place, ret);
}

void placement_release(struct placement *places)
{
    for (size_t i = 0; i < places->count; i++)
        free(places->all[i].table);
    free(places->all);
    name_map_release(&places->by_name);
    *places = (struct placement){0};
}

int32_t placement_choose(const size_t *tables_placed, const bool *may_be, int32_t partitions)
{
    int32_t best = -1;

    for (int32_t p = 0; p < partitions; p++)
        if (may_be[p] && (best < 0 || tables_placed[p] < tables_placed[best]))
            best = p;
    return best;
}

/* ---- deciding ---- */

struct deciding {
    const struct placement_asked *asked;
    struct placement_changes *ret;
    struct placement places;
    struct carriers *carriers;
    struct table_names *names;
    int32_t partitions;
    size_t *load;
    bool *may_be;
    bool carriers_missing;
};

static bool is_wanted(const struct deciding *d, const char *table)
{
    return config_wants_table(d->asked->config, table) ||
           (!d->asked->alone && carriers_any_wants(d->carriers, table));
}

static void begin(struct deciding *d)
{
    const struct placement_asked *asked = d->asked;

    placement_read(&d->places, asked->cache);
    d->carriers = carriers_read(asked->cache, asked->config);
    d->names = table_names_new(asked->config);
    d->partitions = ledger_cache_partitions(asked->cache);
    d->load = xcalloc((size_t)d->partitions, sizeof(*d->load));
    d->may_be = xcalloc((size_t)d->partitions, sizeof(*d->may_be));
    for (int32_t p = 0; p < d->partitions; p++)
        d->carriers_missing = d->carriers_missing || !carriers_known(d->carriers, p);
    for (size_t i = 0; i < d->places.count; i++) {
        const struct placed *placed = &d->places.all[i];

        if (is_wanted(d, placed->table))
            free(table_names_take(d->names, placed->table)); /* owner_view reports a failure */
        if (placed->place.partition >= 0 && placed->place.partition < d->partitions)
            d->load[placed->place.partition]++;
    }
}

static void end(struct deciding *d)
{
    placement_release(&d->places);
    carriers_free(d->carriers);
    table_names_free(d->names);
    free(d->load);
    free(d->may_be);
}

static void add_change(struct deciding *d, const char *table, struct ledger_place place,
                       bool remove)
{
    struct placement_changes *changes = d->ret;

    changes->all = xrealloc(changes->all, sizeof(*changes->all) * (changes->count + 1));
    changes->all[changes->count++] = (struct placement_change){xstrdup(table), place, remove};
}

static void place_table(struct deciding *d, const char *table)
{
    int32_t to;

    for (int32_t p = 0; p < d->partitions; p++)
        d->may_be[p] = d->asked->alone || carriers_want(d->carriers, p, table);
    to = placement_choose(d->load, d->may_be, d->partitions);
    if (to < 0) { /* who carries it has just lost its last partition */
        d->ret->postponed = true;
        return;
    }
    d->load[to]++;
    add_change(d, table, (struct ledger_place){.partition = to}, false);
}

static void place_new(struct deciding *d)
{
    const struct placement_asked *asked = d->asked;
    bool wait = asked->may_postpone && d->carriers_missing && carriers_filter(asked->config);

    for (size_t i = 0; i < asked->count; i++) {
        const char *table = asked->names[i];
        AUTO(free_charp) char *reason = NULL;

        if (name_map_has(&d->places.by_name, table) || !is_wanted(d, table))
            continue;
        reason = table_names_take(d->names, table);
        if (reason)
            halted_set(asked->halted, table, reason);
        else if (wait)
            d->ret->postponed = true;
        else
            place_table(d, table);
    }
}

/* ---- tables that the white list names and the source does not have ---- */

static bool is_listed(const struct deciding *d, const char *table)
{
    size_t from = 0, to = d->asked->count;

    while (from < to) {
        size_t middle = (from + to) / 2;
        int order = strcmp(d->asked->names[middle], table);

        if (order == 0)
            return true;
        if (order < 0)
            from = middle + 1;
        else
            to = middle;
    }
    return false;
}

static void note_missing(void *arg, const char *table)
{
    struct deciding *d = arg;

    if (config_wants_table(d->asked->config, table) && !is_listed(d, table) &&
        !name_map_has(&d->places.by_name, table))
        halted_set(d->asked->halted, table,
                   "filter.collection.white names it and it does not exist");
}

/* ---- forgetting ---- */

static void note_any(void *arg, struct bytes rest, struct bytes value, int32_t partition)
{
    (void)rest;
    (void)value;
    (void)partition;
    *(bool *)arg = true;
}

static bool has_records(struct ledger_cache *cache, const char *table)
{
    AUTO(free_charp) char *record = xasprintf("table/%s", table);
    AUTO(free_charp) char *segments = xasprintf("segment/%s/", table);
    AUTO(free_charp) char *shards = xasprintf("shard/%s/", table);
    AUTO(free_charp) char *value = ledger_cache_value(cache, record);
    bool any = value != NULL;

    ledger_cache_each(cache, segments, note_any, &any);
    ledger_cache_each(cache, shards, note_any, &any);
    return any;
}

static bool is_gone(struct ledger_cache *cache, const char *table)
{
    AUTO(ledger_table_release) struct ledger_table t = {0};
    struct error ignored; /* its worker reports it */

    return ledger_cache_table(cache, table, &t, &ignored) == 1 && t.phase == PHASE_GONE;
}

static void forget(struct deciding *d, const struct placed *placed)
{
    const struct placement_asked *asked = d->asked;
    struct ledger_place place = placed->place;
    int64_t since;

    if (place.forget) {
        name_map_remove(asked->gone, placed->table);
        if (!has_records(asked->cache, placed->table))
            add_change(d, placed->table, place, true);
        return;
    }
    if (is_listed(d, placed->table) || !is_gone(asked->cache, placed->table)) {
        name_map_remove(asked->gone, placed->table);
        return;
    }
    since = name_map_get(asked->gone, placed->table, asked->now_ms);
    name_map_put(asked->gone, placed->table, since);
    place.forget = true;
    if (asked->now_ms - since >= asked->forget_after_ms)
        add_change(d, placed->table, place, false);
}

void placement_decide(struct placement_changes *ret, const struct placement_asked *asked)
{
    struct deciding d = {.asked = asked, .ret = ret};

    *ret = (struct placement_changes){0};
    begin(&d);
    halted_begin(asked->halted);
    place_new(&d);
    config_list_each(asked->config, "filter.collection.white", note_missing, &d);
    halted_end(asked->halted);
    for (size_t i = 0; i < d.places.count; i++)
        if (d.places.all[i].place.partition >= 0)
            forget(&d, &d.places.all[i]);
    end(&d);
}

void placement_changes_release(struct placement_changes *changes)
{
    for (size_t i = 0; i < changes->count; i++)
        free(changes->all[i].table);
    free(changes->all);
    *changes = (struct placement_changes){0};
}
