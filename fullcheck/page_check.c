#include "fullcheck/page_check.h"

#include <stdlib.h>

#include "fullcheck/pairs.h"

#define JSON_OF_A_FIND ((size_t)1 << 20) /* a tree is some ten times that */

static void compare_document(struct pairs *pairs, struct pair *pair, enum key_place place,
                             const struct canon *map)
{
    struct compare cmp = pairs_compare(pairs);

    if (place != KEY_MISPLACED && pair->document_count++ == 0)
        pair->equal = compare_maps(&cmp, pair->item, map);
}

static void note_mismatches(const struct pairs *pairs)
{
    struct table_check *t = pairs->table;

    AUTO_LOCK(&t->lock);
    for (size_t i = 0; i < pairs->count; i++)
        if (pairs->all[i].document_count != 1 || !pairs->all[i].equal)
            pending_add(&t->pending, pairs->all[i].key, PENDING_ITEM);
}

static void sample_items(const struct pairs *pairs)
{
    struct table_check *t = pairs->table;

    AUTO_LOCK(&t->lock);
    for (size_t i = 0; i < pairs->count; i++)
        sample_show(&t->sample, pairs->all[i].key);
}

static int check_pairs(struct pairs *pairs, struct error *err)
{
    struct table_check *t = pairs->table;

    if (t->of_items)
        for (size_t i = 0; i < pairs->count; i++)
            fingerprint_add(t->of_items, pairs->all[i].key);
    if (t->check->options.sample > 0) {
        sample_items(pairs);
        return 0;
    }
    if (pairs_find_documents(pairs, NULL, err) < 0)
        return -1;
    note_mismatches(pairs);
    atomic_fetch_add(&t->checked, (long long)pairs->count);
    return 0;
}

static int check_items(struct pairs *pairs, const struct ddb_side_page *page, struct error *err)
{
    for (size_t i = 0; i < page->count;) {
        pairs_reset(pairs);
        for (size_t bytes = 0;
             i < page->count && pairs->count < PAIRS_AT_MOST && bytes < JSON_OF_A_FIND;
             bytes += page->items[i++].len)
            if (pairs_add_item(pairs, page->items[i], err) < 0)
                return -1;
        if (check_pairs(pairs, err) < 0)
            return -1;
    }
    return 0;
}

int page_check(struct worker *w, struct scan_segment *segment, struct error *err)
{
    AUTO(ddb_side_page_release) struct ddb_side_page page = {0};
    AUTO(pairs_release) struct pairs pairs = {0};
    struct table_check *t = w->table;
    const struct ddb_scan scan = {
        .table = t->name,
        .segment = segment->number,
        .total_segments = t->segment_count,
        .start_key = bytes_of(segment->start),
        .limit = config_int(w->check->config, "qps.full.batch_num"),
    };

    if (ddb_side_page(&page, &w->ddb, &scan, &t->schema, err) < 0)
        return -1;
    pairs_init(&pairs, w, PAIRS_AT_MOST);
    pairs.each_document = compare_document;
    if (check_items(&pairs, &page, err) < 0)
        return -1;
    atomic_fetch_add(&t->items, (long long)page.count);
    free_charp(&segment->start);
    segment->start = page.last.len ? bytes_dup(page.last) : NULL;
    segment->done = page.last.len == 0;
    return 0;
}
