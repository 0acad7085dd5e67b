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

static char *why_not(const struct reading *r, const struct placed *placed)
{
    int32_t partition = placed->place.partition;
    char *reason = table_names_take(r->names, placed->table);

    if (reason || !r->assigned || r->assigned[partition] ||
        carriers_want(r->carriers, partition, placed->table))
        return reason;
    return xasprintf("it is placed in ledger partition %" PRId32
                     ", which another instance owns "
                     "whose filters leave it out: give all instances of a prefix the same "
                     "filters, or each its own topic.prefix",
                     partition);
}

static void read_place(const struct reading *r, const struct placed *placed)
{
    struct view_partition *v = &r->ret->partitions[placed->place.partition];
    AUTO(free_charp) char *reason = NULL;

    if (placed->place.forget) {
        add(&v->forgotten, &v->forgotten_count, placed->table);
        return;
    }
    if (!config_wants_table(r->p->config, placed->table)) {
        if (r->others &&
            carriers_any_wants(r->carriers, placed->table)) /* its name is taken all the same */
            free(table_names_take(r->names, placed->table));
        return;
    }
    reason = why_not(r, placed);
    if (reason)
        halted_set(r->halted, placed->table, reason);
    else
        add(&v->tables, &v->count, placed->table);
}

void owner_view_read(struct owner_view *ret, struct producer *p, const bool *assigned,
                     struct halted *halted)
{
    AUTO(placement_release) struct placement places;
    struct reading r = {.ret = ret, .p = p, .assigned = assigned, .halted = halted};

    ret->count = ledger_cache_partitions(p->cache);
    ret->partitions = xcalloc((size_t)ret->count, sizeof(*ret->partitions));
    for (int32_t n = 0; assigned && n < ret->count; n++)
        r.others = r.others || !assigned[n];
    placement_read(&places, p->cache);
    r.carriers = carriers_read(p->cache, p->config);
    r.names = table_names_new(p->config);
    halted_begin(halted);
    for (size_t i = 0; i < places.count; i++)
        if (places.all[i].place.partition >= 0 && places.all[i].place.partition < ret->count)
            read_place(&r, &places.all[i]);
    halted_end(halted);
    for (int32_t n = 0; n < ret->count; n++)
        ret->partitions[n].announce = !carriers_are_ours(r.carriers, n);
    carriers_free(r.carriers);
    table_names_free(r.names);
}

static void names_free(char **names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(names[i]);
    free(names);
}

void owner_view_release(struct owner_view *v)
{
    for (int32_t n = 0; n < v->count; n++) {
        names_free(v->partitions[n].tables, v->partitions[n].count);
        names_free(v->partitions[n].forgotten, v->partitions[n].forgotten_count);
    }
    free(v->partitions);
    *v = (struct owner_view){0};
}
