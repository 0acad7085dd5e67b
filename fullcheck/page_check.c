#include "fullcheck/page_check.h"

#include <stdlib.h>

#include "common/run/retry.h"

#define KEYS_OF_A_FIND 1000
#define JSON_OF_A_FIND ((size_t)1 << 20) /* a tree is some ten times that */

struct page_item {
    struct bytes key; /* canonical text, in the arena */
    const struct canon *item;
    unsigned documents;
    bool equal; /* of the first document */
    UT_hash_handle hh;
};

struct batch {
    struct worker *w;
    struct table_check *t;
    struct page_item items[KEYS_OF_A_FIND];
    size_t count;
    size_t bytes; /* of JSON */
    struct page_item *by_key;
    struct buf text;
};

/* ---- documents ---- */

static bool is_key(void *arg, struct bytes name)
{
    return key_has(arg, name);
}

static bool equals(struct batch *b, const struct canon *item, const struct canon *document)
{
    struct compare c = {
        .form = &b->w->check->form, .arena = &b->w->arena, .is_key = is_key, .arg = &b->t->key};

    return compare_maps(&c, item, document);
}

static bool each_document(void *arg, const bson_t *document)
{
    struct batch *b = arg;
    struct canon_arena *arena = &b->w->arena;
    void *mark = canon_arena_mark(arena);
    const struct canon *map = canon_document(arena, document, &b->w->check->form);
    struct page_item *of = NULL;
    enum key_place place;

    buf_reset(&b->text);
    place = key_of_document(&b->text, arena, &b->t->key, document, map);
    if (place == KEY_RIGHT || place == KEY_OF_ID)
        HASH_FIND(hh, b->by_key, b->text.p, b->text.len, of);
    if (of && of->documents++ == 0)
        of->equal = equals(b, of->item, map);
    canon_arena_back(arena, mark);
    return table_check_goes_on(b->t);
}

static int find_once(struct batch *b, const bson_t *filter, struct error *err)
{
    const struct mongo_find find = {.collection = b->t->collection,
                                    .filter = filter,
                                    .batch = KEYS_OF_A_FIND + 1, /* so one answer does */
                                    .each = each_document,
                                    .arg = b};

    for (size_t i = 0; i < b->count; i++)
        b->items[i].documents = 0;
    return mongo_side_find(b->w->mongo, &find, err);
}

static int find_documents(struct batch *b, struct error *err)
{
    const struct canon *keys[KEYS_OF_A_FIND];
    struct retry patience;
    bson_t filter;
    int result;

    for (size_t i = 0; i < b->count; i++)
        keys[i] = b->items[i].item;
    key_filter(&filter, &b->t->key, keys, b->count);
    retry_init(&patience, b->w->check->patience_ms);
    do {
        result = find_once(b, &filter, err);
    } while (result < 0 && retry_again(&patience, false, err));
    bson_destroy(&filter);
    return result;
}

/* ---- items ---- */

static int no_key(struct error *err)
{
    return error_set(err, ERR_FATAL, "DynamoDB: an item without its key attributes");
}

static int add_item(struct batch *b, struct bytes json, struct error *err)
{
    struct page_item *of = &b->items[b->count], *there;
    struct canon *item;

    b->bytes += json.len;
    if (canon_item(&item, &b->w->arena, json, &b->w->check->form, err) < 0) {
        err->kind = ERR_FATAL;
        return error_prefix(err, "DynamoDB");
    }
    buf_reset(&b->text);
    if (!key_text(&b->text, &b->t->key, item))
        return no_key(err);
    *of =
        (struct page_item){.key = canon_copy(&b->w->arena, buf_slice(&b->text)), .item = item};
    HASH_FIND(hh, b->by_key, of->key.p, of->key.len, there);
    if (there) /* the same item once more */
        return 0;
    HASH_ADD_KEYPTR(hh, b->by_key, of->key.p, of->key.len, of);
    b->count++;
    return 0;
}

static void note_mismatches(struct batch *b)
{
    struct table_check *t = b->t;

    AUTO_LOCK(&t->lock);
    for (size_t i = 0; i < b->count; i++)
        if (b->items[i].documents != 1 || !b->items[i].equal)
            pending_add(&t->pending, b->items[i].key, PENDING_ITEM);
}

static void sample_items(struct batch *b)
{
    struct table_check *t = b->t;

    AUTO_LOCK(&t->lock);
    for (size_t i = 0; i < b->count; i++)
        sample_show(&t->sample, b->items[i].key);
}

static int check_batch(struct batch *b, struct error *err)
{
    struct table_check *t = b->t;

    if (t->of_items)
        for (size_t i = 0; i < b->count; i++)
            fingerprint_add(t->of_items, b->items[i].key);
    if (b->w->check->options.sample > 0) {
        sample_items(b);
        return 0;
    }
    if (find_documents(b, err) < 0)
        return -1;
    if (!table_check_goes_on(t)) /* then not all documents were read */
        return error_set(err, ERR_RETRY, "the check was ended");
    note_mismatches(b);
    atomic_fetch_add(&t->checked, (long long)b->count);
    return 0;
}

static void batch_begin(struct batch *b)
{
    HASH_CLEAR(hh, b->by_key);
    b->count = b->bytes = 0;
    canon_arena_reset(&b->w->arena);
}

static bool has_room(const struct batch *b)
{
    return b->count < KEYS_OF_A_FIND && b->bytes < JSON_OF_A_FIND;
}

static int check_items(struct batch *b, const struct ddb_side_page *page, struct error *err)
{
    for (size_t i = 0; i < page->count;) {
        batch_begin(b);
        for (; i < page->count && has_room(b); i++)
            if (add_item(b, page->items[i], err) < 0)
                return -1;
        if (check_batch(b, err) < 0)
            return -1;
    }
    return 0;
}

int page_check(struct worker *w, struct scan_segment *segment, struct error *err)
{
    AUTO(ddb_side_page_release) struct ddb_side_page page = {0};
    struct table_check *t = w->table;
    const struct ddb_scan scan = {
        .table = t->name,
        .segment = segment->number,
        .total_segments = t->segment_count,
        .start_key = bytes_of(segment->start),
        .limit = config_int(w->check->config, "qps.full.batch_num"),
    };
    struct batch *b;
    int result;

    if (ddb_side_page(&page, &w->ddb, &scan, &t->schema, err) < 0)
        return -1;
    b = xcalloc(1, sizeof(*b));
    b->w = w;
    b->t = t;
    buf_init(&b->text, (size_t)1 << 20);
    result = check_items(b, &page, err);
    HASH_CLEAR(hh, b->by_key);
    buf_release(&b->text);
    free(b);
    if (result < 0)
        return -1;
    atomic_fetch_add(&t->items, (long long)page.count);
    free_charp(&segment->start);
    segment->start = page.last.len ? bytes_dup(page.last) : NULL;
    segment->done = page.last.len == 0;
    return 0;
}
