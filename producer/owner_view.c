#include "producer/owner_view.h"

#include <inttypes.h>
#include <stdlib.h>

#include "producer/carriers.h"
#include "producer/placement.h"
#include "producer/table_names.h"

struct reading {
    struct owner_view *ret;
    struct producer *p;
    const bool *assigned;
    struct halted *halted;
    struct carriers *carriers;
    struct table_names *names;
    bool others; /* instances that own partitions */
};

static void add(char ***names, size_t *count, const char *name)
{
    *names = xrealloc(*names, sizeof(**names) * (*count + 1));
    (*names)[(*count)++] = xstrdup(name);
}

static char *why_not(const struct reading *reading, const struct placed *placed)
{
    int32_t partition = placed->place.partition;
    char *reason = table_names_take(reading->names, placed->table);

    if (reason || !reading->assigned || reading->assigned[partition] ||
        carriers_want(reading->carriers, partition, placed->table))
        return reason;
    return xasprintf("it is placed in ledger partition %" PRId32
                     ", which another instance owns "
                     "whose filters leave it out: give all instances of a prefix the same "
                     "filters, or each its own topic.prefix",
                     partition);
}

static void read_place(const struct reading *reading, const struct placed *placed)
{
    struct view_partition *partition = &reading->ret->partitions[placed->place.partition];
    AUTO(free_charp) char *reason = NULL;

    if (placed->place.forget) {
        add(&partition->forgotten, &partition->forgotten_count, placed->table);
        return;
    }
    if (!config_wants_table(reading->p->config, placed->table)) {
        /* Its topic's name is taken if another instance carries it. */
        if (reading->others && carriers_any_wants(reading->carriers, placed->table))
            free(table_names_take(reading->names, placed->table));
        return;
    }
    reason = why_not(reading, placed);
    if (reason)
        halted_set(reading->halted, placed->table, reason);
    else
        add(&partition->tables, &partition->count, placed->table);
}

static void count_unplaced(struct owner_view *ret, const struct producer *p,
                           const struct placement *places)
{
    for (size_t i = 0; i < p->listed_count; i++) {
        if (name_map_has(&places->by_name, p->listed[i]))
            continue;
        if (ret->unplaced++ == 0)
            ret->unplaced_first = xstrdup(p->listed[i]);
    }
}

void owner_view_read(struct owner_view *ret, struct producer *p, const bool *assigned,
                     struct halted *halted)
{
    AUTO(placement_release) struct placement places;
    struct reading reading = {.ret = ret, .p = p, .assigned = assigned, .halted = halted};

    ret->count = ledger_cache_partitions(p->cache);
    ret->partitions = xcalloc((size_t)ret->count, sizeof(*ret->partitions));
    for (int32_t n = 0; assigned && n < ret->count; n++)
        reading.others = reading.others || !assigned[n];
    placement_read(&places, p->cache);
    count_unplaced(ret, p, &places);
    reading.carriers = carriers_read(p->cache, p->config);
    reading.names = table_names_new(p->config);
    halted_begin(halted);
    for (size_t i = 0; i < places.count; i++)
        if (places.all[i].place.partition >= 0 && places.all[i].place.partition < ret->count)
            read_place(&reading, &places.all[i]);
    halted_end(halted);
    for (int32_t n = 0; n < ret->count; n++)
        ret->partitions[n].announce = !carriers_are_ours(reading.carriers, n);
    carriers_free(reading.carriers);
    table_names_free(reading.names);
}

/* Tables are placed by what the owners of partitions carry. An instance that owns none is not
 * asked, so what only its filters want stays unplaced while there are more instances than
 * partitions. */
void owner_view_tell_unplaced(struct health **part, const struct owner_view *view,
                              const struct config *c, bool owns_any)
{
    AUTO(free_charp) char *text = NULL;

    if (view->unplaced == 0 || owns_any || !carriers_filter(c)) {
        health_remove(TAKE(*part));
        return;
    }
    if (*part)
        return;
    text = xasprintf("table %s (and %zu more) has no place, and this instance no ledger "
                     "partition: run at most %" PRId32 " instances, or give all the same "
                     "filters",
                     view->unplaced_first, view->unplaced - 1, view->count);
    *part = health_new("placement", config_int(c, "health.limit.ms"));
    health_say(*part, text);
}

static void names_free(char **names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(names[i]);
    free(names);
}

void owner_view_release(struct owner_view *view)
{
    for (int32_t n = 0; n < view->count; n++) {
        names_free(view->partitions[n].tables, view->partitions[n].count);
        names_free(view->partitions[n].forgotten, view->partitions[n].forgotten_count);
    }
    free(view->partitions);
    free(view->unplaced_first);
    *view = (struct owner_view){0};
}
