#include "consumer/secondary_index.h"

#include "common/run/log.h"
#include "consumer/collection.h"

struct wanted_index {
    struct index_wanted index;
    char *name;
    bson_t keys;
};

static void wanted_init(struct wanted_index *w, const struct table_view *view,
                        const struct ddb_index *x)
{
    struct converter as_key = view->converter;

    as_key.schema = &x->keys;
    index_key_pattern(&w->keys, &as_key);
    w->name = xasprintf("dynaferry_index_%s", x->name);
    w->index = (struct index_wanted){.keys = &w->keys, .name = w->name};
}

static void wanted_release(struct wanted_index *w)
{
    bson_destroy(&w->keys);
    free_charp(&w->name);
}

static bool is_missing(const bson_t *listed, const struct table_view *view,
                       const struct ddb_index *x)
{
    struct wanted_index w;
    bool missing;

    if (!convert_key_indexable(&x->keys))
        return false;
    wanted_init(&w, view, x);
    missing = !index_is_listed(listed, &w.index);
    wanted_release(&w);
    return missing;
}

int secondary_index_missing(bool *ret, struct mongo *m, const struct table_view *view,
                            const struct ledger_table *ledger, struct error *err)
{
    bson_t listed;
    enum mongo_result result;
    bool missing = false;

    if (ledger->indexes.count > 0) {
        result = index_list(m, view->collection, &listed, err);
        for (size_t i = 0; result == MONGO_DONE && i < ledger->indexes.count; i++)
            missing = missing || is_missing(&listed, view, &ledger->indexes.list[i]);
        bson_destroy(&listed);
        if (result != MONGO_DONE)
            return -1;
    }
    *ret = missing;
    return 0;
}

static int build(struct mongo *m, const struct table_view *view, const char *table,
                 const struct ddb_index *x)
{
    struct wanted_index w;
    enum mongo_result result;
    struct error err;
    int32_t code;

    if (!convert_key_indexable(&x->keys)) {
        log_warn("a secondary index is left out, MongoDB can't index its attribute's name",
                 "table=%s index=%s", table, x->name);
        return 0;
    }
    wanted_init(&w, view, x);
    result = index_create(m, view->collection, &w.index, &code, &err);
    if (result != MONGO_DONE)
        log_warn("a secondary index can't be made now", "table=%s index=%s reason=%s", table,
                 x->name, err.message);
    wanted_release(&w);
    return result == MONGO_DONE ? 0 : -1;
}

/* createIndexes does nothing for one that is there. */
int secondary_index_build(struct mongo *m, const struct table_view *view,
                          const struct ledger_table *ledger)
{
    int result = 0;

    for (size_t i = 0; i < ledger->indexes.count; i++)
        if (build(m, view, ledger->table, &ledger->indexes.list[i]) < 0)
            result = -1;
    return result;
}
