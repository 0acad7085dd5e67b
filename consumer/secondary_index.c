#include "consumer/secondary_index.h"

#include "common/run/log.h"
#include "consumer/collection_index.h"

struct wanted_index {
    struct collection_index index;
    char *name;
    bson_t keys;
};

static void wanted_init(struct wanted_index *wanted, const struct table_view *view,
                        const struct ddb_index *x)
{
    struct converter as_key = view->converter;

    as_key.schema = &x->keys;
    converter_key_pattern(&wanted->keys, &as_key);
    wanted->name = xasprintf("dynaferry_index_%s", x->name);
    wanted->index = (struct collection_index){.keys = &wanted->keys, .name = wanted->name};
}

static void wanted_release(struct wanted_index *wanted)
{
    bson_destroy(&wanted->keys);
    free_charp(&wanted->name);
}

static bool is_missing(const bson_t *listed, const struct table_view *view,
                       const struct ddb_index *x)
{
    struct wanted_index wanted;
    bool missing;

    if (!converter_can_index(&x->keys))
        return false;
    wanted_init(&wanted, view, x);
    missing = !collection_index_is_listed(listed, &wanted.index);
    wanted_release(&wanted);
    return missing;
}

int secondary_index_missing(bool *ret, struct mongo *m, const struct table_view *view,
                            const struct ledger_table *ledger, struct error *err)
{
    bson_t listed;
    enum mongo_result result;
    bool missing = false;

    if (ledger->indexes.count > 0) {
        result = collection_index_list(m, view->collection, &listed, err);
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
    struct wanted_index wanted;
    enum mongo_result result;
    struct error err;
    int32_t code;

    if (!converter_can_index(&x->keys)) {
        log_warn("secondary index left out: MongoDB can't index its attribute's name",
                 "table=%s index=%s", table, x->name);
        return 0;
    }
    wanted_init(&wanted, view, x);
    result = collection_index_create(m, view->collection, &wanted.index, &code, &err);
    if (result != MONGO_DONE)
        log_warn("secondary index not made", "table=%s index=%s reason=%s", table, x->name,
                 err.message);
    wanted_release(&wanted);
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
