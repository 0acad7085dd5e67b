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

/* Of the partitions that may be chosen, the lowest of those with the fewest tables. -1: none
 * may be. */
static int32_t choose(const size_t *tables_placed, const bool *may_be, int32_t partitions)
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

static bool is_wanted(const struct deciding *deciding, const char *table)
{
    return config_wants_table(deciding->asked->config, table) ||
           (!deciding->asked->alone && carriers_any_wants(deciding->carriers, table));
}

static void begin(struct deciding *deciding)
{
    const struct placement_asked *asked = deciding->asked;

    placement_read(&deciding->places, asked->cache);
    deciding->carriers = carriers_read(asked->cache, asked->config);
    deciding->names = table_names_new(asked->config);
    deciding->partitions = ledger_cache_partitions(asked->cache);
    deciding->load = xcalloc((size_t)deciding->partitions, sizeof(*deciding->load));
    deciding->may_be = xcalloc((size_t)deciding->partitions, sizeof(*deciding->may_be));
    for (int32_t p = 0; p < deciding->partitions; p++)
        deciding->carriers_missing =
            deciding->carriers_missing || !carriers_known(deciding->carriers, p);
    for (size_t i = 0; i < deciding->places.count; i++) {
        const struct placed *placed = &deciding->places.all[i];

        if (is_wanted(deciding, placed->table))
            free(table_names_take(deciding->names,
                                  placed->table)); /* owner_view reports a failure */
        if (placed->place.partition >= 0 && placed->place.partition < deciding->partitions)
            deciding->load[placed->place.partition]++;
    }
}

static void end(struct deciding *deciding)
{
    placement_release(&deciding->places);
    carriers_free(deciding->carriers);
    table_names_free(deciding->names);
    free(deciding->load);
    free(deciding->may_be);
}

static void add_change(struct deciding *deciding, const char *table, struct ledger_place place,
                       bool remove)
{
    struct placement_changes *changes = deciding->ret;

    changes->all = xrealloc(changes->all, sizeof(*changes->all) * (changes->count + 1));
    changes->all[changes->count++] = (struct placement_change){xstrdup(table), place, remove};
}

static void place_table(struct deciding *deciding, const char *table)
{
    int32_t to;

    for (int32_t p = 0; p < deciding->partitions; p++)
        deciding->may_be[p] =
            deciding->asked->alone || carriers_want(deciding->carriers, p, table);
    to = choose(deciding->load, deciding->may_be, deciding->partitions);
    if (to < 0) { /* who carries it has just lost its last partition */
        deciding->ret->postponed = true;
        return;
    }
    deciding->load[to]++;
    add_change(deciding, table, (struct ledger_place){.partition = to}, false);
}

static void place_new(struct deciding *deciding)
{
    const struct placement_asked *asked = deciding->asked;
    bool wait =
        asked->may_postpone && deciding->carriers_missing && carriers_filter(asked->config);

    for (size_t i = 0; i < asked->count; i++) {
        const char *table = asked->names[i];
        AUTO(free_charp) char *reason = NULL;

        if (name_map_has(&deciding->places.by_name, table) || !is_wanted(deciding, table))
            continue;
        reason = table_names_take(deciding->names, table);
        if (reason)
            halted_set(asked->halted, table, reason);
        else if (wait)
            deciding->ret->postponed = true;
        else
            place_table(deciding, table);
    }
}

/* ---- tables that the white list names and the source does not have ---- */

static bool is_listed(const struct deciding *deciding, const char *table)
{
    size_t from = 0, to = deciding->asked->count;

    while (from < to) {
        size_t middle = (from + to) / 2;
        int order = strcmp(deciding->asked->names[middle], table);

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
    struct deciding *deciding = arg;

    if (config_wants_table(deciding->asked->config, table) && !is_listed(deciding, table) &&
        !name_map_has(&deciding->places.by_name, table))
        halted_set(deciding->asked->halted, table,
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

/* *ret_at_once: somebody asked for it. */
static bool is_gone(struct ledger_cache *cache, const char *table, bool *ret_at_once)
{
    AUTO(ledger_table_release) struct ledger_table t = {0};
    struct error ignored; /* its worker reports it */

    if (ledger_cache_table(cache, table, &t, &ignored) != 1 || t.phase != PHASE_GONE)
        return false;
    *ret_at_once = t.forget;
    return true;
}

static void forget(struct deciding *deciding, const struct placed *placed)
{
    const struct placement_asked *asked = deciding->asked;
    struct ledger_place place = placed->place;
    bool at_once;
    int64_t since;

    if (place.forget) {
        name_map_remove(asked->gone, placed->table);
        if (!has_records(asked->cache, placed->table))
            add_change(deciding, placed->table, place, true);
        return;
    }
    if (is_listed(deciding, placed->table) || !is_gone(asked->cache, placed->table, &at_once)) {
        name_map_remove(asked->gone, placed->table);
        return;
    }
    since = name_map_get(asked->gone, placed->table, asked->now_ms);
    name_map_put(asked->gone, placed->table, since);
    place.forget = true;
    if (at_once || asked->now_ms - since >= asked->forget_after_ms)
        add_change(deciding, placed->table, place, false);
}

void placement_decide(struct placement_changes *ret, const struct placement_asked *asked)
{
    struct deciding deciding = {.asked = asked, .ret = ret};

    *ret = (struct placement_changes){0};
    begin(&deciding);
    halted_begin(asked->halted);
    place_new(&deciding);
    config_list_each(asked->config, "filter.collection.white", note_missing, &deciding);
    halted_end(asked->halted);
    for (size_t i = 0; i < deciding.places.count; i++)
        if (deciding.places.all[i].place.partition >= 0)
            forget(&deciding, &deciding.places.all[i]);
    end(&deciding);
}

void placement_changes_release(struct placement_changes *changes)
{
    for (size_t i = 0; i < changes->count; i++)
        free(changes->all[i].table);
    free(changes->all);
    *changes = (struct placement_changes){0};
}
