#include "fullcheck/outline.h"

#include "common/base/clock.h"
#include "common/run/retry.h"
#include "common/run/stop.h"
#include "fullcheck/target_keys.h"

/* ---- index ---- */

int outline_index(const char **ret, struct worker *w, struct error *err)
{
    const struct key_form *key = &w->table->key;
    struct retry retry;
    bool there;
    int result;

    *ret = "not needed";
    if (key->is_id)
        return 0;
    *ret = "not checked";
    if (!config_bool(w->check->config, "full.enable_index.primary"))
        return 0;
    retry_init(&retry, w->check->retry_limit_ms);
    do {
        result = mongo_side_has_unique_index(&there, w->mongo, w->table->collection,
                                             key->hash_path, key->range_path, err);
    } while (result < 0 && retry_again(&retry, false, err));
    if (result == 0)
        *ret = there ? "ok" : "missing";
    return result;
}

/* ---- counts ---- */

int outline_documents(int64_t *ret, struct worker *w, struct error *err)
{
    struct retry retry;
    int result;

    retry_init(&retry, w->check->retry_limit_ms);
    do {
        result = mongo_side_count(ret, w->mongo, w->table->collection, err);
    } while (result < 0 && retry_again(&retry, false, err));
    return result;
}

static void show_counted(void *t, int64_t items)
{
    table_check_show(t, "items", "counted", items, table_check_left(t, items));
}

static int count_items(int64_t *ret, struct worker *w, struct error *err)
{
    int result;

    w->ddb.counted = show_counted;
    w->ddb.arg = w->table;
    result = ddb_side_count(ret, &w->ddb, w->table->name, 0, 1, err);
    w->ddb.counted = NULL;
    table_check_pass_over(w->table);
    return result;
}

int outline_count(struct outline_counts *ret, struct worker *w, struct error *err)
{
    int64_t limit = w->check->options.settle_ms, end = clock_mono_ms() + limit;
    struct outline_counts counts;

    for (unsigned level = 0;; level++) {
        if (count_items(&counts.items, w, err) < 0 ||
            target_keys_read(w, &counts.documents, &counts.foreign, err) < 0)
            return -1;
        if (counts.items == counts.documents - counts.foreign || clock_mono_ms() >= end ||
            stop_wait_ms(settle_pause_ms(MIN(level, SETTLE_LEVELS - 1), limit)))
            break;
    }
    *ret = counts;
    return 0;
}
