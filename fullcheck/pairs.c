#include "fullcheck/pairs.h"

#include <stdlib.h>

#include "common/base/check.h"
#include "common/run/retry.h"
#include "fullcheck/canon_document.h"
#include "fullcheck/canon_item.h"

#define DOCUMENTS_KEPT 100 /* of one key: the others are only counted */

void pairs_reset(struct pairs *pairs)
{
    HASH_CLEAR(hh, pairs->by_key);
    pairs->count = 0;
    canon_arena_reset(&pairs->worker->arena);
}

void pairs_init(struct pairs *pairs, struct worker *w, size_t room)
{
    CHECK(room <= PAIRS_AT_MOST);
    *pairs = (struct pairs){.worker = w, .table = w->table};
    pairs->all = xcalloc(room, sizeof(*pairs->all));
    buf_init(&pairs->text, (size_t)4 << 20);
    pairs_reset(pairs);
}

void pairs_release(struct pairs *pairs)
{
    HASH_CLEAR(hh, pairs->by_key);
    ddb_side_release(&pairs->items.answer);
    buf_release(&pairs->text);
    free(TAKE(pairs->all));
}

static struct pair *find_pair(struct pairs *pairs, struct bytes key)
{
    struct pair *pair;

    HASH_FIND(hh, pairs->by_key, key.p, key.len, pair);
    return pair;
}

static struct pair *add_pair(struct pairs *pairs, struct bytes key, const struct canon *key_map)
{
    struct pair *pair = &pairs->all[pairs->count++];

    *pair = (struct pair){.key = key, .key_map = key_map};
    HASH_ADD_KEYPTR(hh, pairs->by_key, pair->key.p, pair->key.len, pair);
    return pair;
}

/* ---- items ---- */

/* The item and, in pairs->text, its key; without key attributes that is empty. */
static int read_item(struct canon **ret, struct pairs *pairs, struct bytes json,
                     struct error *err)
{
    struct worker *w = pairs->worker;

    buf_reset(&pairs->text);
    if (canon_item(ret, &w->arena, json, &w->check->form, err) < 0) {
        err->kind = ERR_FATAL;
        return error_prefix(err, "DynamoDB");
    }
    key_text(&pairs->text, &pairs->table->key, *ret);
    return 0;
}

int pairs_add_item(struct pairs *pairs, struct bytes json, struct error *err)
{
    struct canon *item;
    struct pair *pair;

    if (read_item(&item, pairs, json, err) < 0)
        return -1;
    if (!pairs->text.len)
        return error_set(err, ERR_FATAL, "DynamoDB: an item without its key attributes");
    if (find_pair(pairs, buf_slice(&pairs->text)))
        return 0;
    pair = add_pair(pairs, canon_copy(&pairs->worker->arena, buf_slice(&pairs->text)), item);
    pair->item = item;
    pair->json = json;
    return 0;
}

int pairs_add_key(struct pairs *pairs, struct pending_key *entry, struct error *err)
{
    struct bytes text = {entry->text, entry->len};
    struct worker *w = pairs->worker;
    struct canon *key_map;

    if (canon_item(&key_map, &w->arena, text, &w->check->form, err) < 0)
        return -1;
    add_pair(pairs, text, key_map)->entry = entry;
    return 0;
}

static int pair_of_answer(struct pair **ret, struct canon **ret_item, struct pairs *pairs,
                          struct bytes json, struct error *err)
{
    if (read_item(ret_item, pairs, json, err) < 0)
        return -1;
    *ret = find_pair(pairs, buf_slice(&pairs->text));
    if (*ret)
        return 0;
    error_set(err, ERR_FATAL, "DynamoDB: an item that was not asked for");
    return -1;
}

static int take_items(struct pairs *pairs, struct error *err)
{
    const struct ddb_side_items *items = &pairs->items;
    struct canon *item;
    struct pair *pair;

    for (size_t i = 0; i < items->count; i++) {
        if (pair_of_answer(&pair, &item, pairs, items->items[i], err) < 0)
            return -1;
        pair->item = item;
        pair->json = items->items[i];
    }
    for (size_t i = items->asked; i < pairs->count; i++)
        pairs->all[i].unprocessed = true;
    for (size_t i = 0; i < items->unprocessed_count; i++) {
        if (pair_of_answer(&pair, &item, pairs, items->unprocessed[i], err) < 0)
            return -1;
        pair->unprocessed = true;
    }
    return 0;
}

int pairs_get_items(struct pairs *pairs, struct error *err)
{
    struct table_check *t = pairs->table;
    struct bytes keys[DDB_ITEMS_AT_MOST];

    CHECK(pairs->count <= DDB_ITEMS_AT_MOST);
    for (size_t i = 0; i < pairs->count; i++)
        keys[i] = pairs->all[i].key;
    if (ddb_side_items(&pairs->items, &pairs->worker->ddb, t->name, &t->schema, keys,
                       pairs->count, err) < 0)
        return -1;
    return take_items(pairs, err);
}

/* ---- documents ---- */

void pairs_bson(bson_t *ret, const struct pair_document *document)
{
    CHECK(bson_init_static(ret, document->bson, document->len));
}

static bool same_id(const bson_t *a, const bson_t *b)
{
    AUTO(mongo_bsonp) bson_t *x = bson_new(), *y = bson_new();
    bson_iter_t it;

    return bson_iter_init_find(&it, a, "_id") && bson_append_iter(x, "_id", 3, &it) &&
           bson_iter_init_find(&it, b, "_id") && bson_append_iter(y, "_id", 3, &it) &&
           bson_equal(x, y);
}

/* Both finds may give one, whose _id is the one of another key in hand. */
static bool is_kept(const struct pair *pair, const bson_t *document)
{
    bson_t there;

    for (const struct pair_document *kept = pair->documents; kept; kept = kept->next) {
        pairs_bson(&there, kept);
        if (same_id(&there, document))
            return true;
    }
    return false;
}

/* true: what was read of the document, which is in the arena, is to stay there. */
static bool keep_document(struct pairs *pairs, struct pair *pair, const struct canon *map,
                          const bson_t *document)
{
    struct pair_document *kept;

    if (is_kept(pair, document) || pair->document_count++ >= DOCUMENTS_KEPT)
        return false;
    kept = obstack_alloc(&pairs->worker->arena.memory, sizeof(*kept));
    *kept =
        (struct pair_document){map, bson_get_data(document), document->len, pair->documents};
    pair->documents = kept;
    return true;
}

static bool take_document(struct pairs *pairs, const bson_t *document)
{
    struct canon_arena *arena = &pairs->worker->arena;
    const struct canon *map = canon_document(arena, document, &pairs->worker->check->form);
    enum key_place place;
    struct pair *pair;

    buf_reset(&pairs->text);
    place = key_of_document(&pairs->text, arena, &pairs->table->key, document, map);
    pair = place == KEY_NONE ? NULL : find_pair(pairs, buf_slice(&pairs->text));
    if (!pair)
        return false;
    if (!pairs->each_document)
        return keep_document(pairs, pair, map, document);
    pairs->each_document(pairs, pair, place, map);
    return false;
}

static bool each_document(void *arg, const bson_t *document)
{
    struct pairs *pairs = arg;
    struct canon_arena *arena = &pairs->worker->arena;
    void *mark = canon_arena_mark(arena);
    bson_t copy;

    if (!pairs->each_document) { /* its tree has slices of it */
        const uint8_t *bson =
            obstack_copy(&arena->memory, bson_get_data(document), (int)document->len);

        CHECK(bson_init_static(&copy, bson, document->len));
        document = &copy;
    }
    if (!take_document(pairs, document))
        canon_arena_back(arena, mark);
    return table_check_goes_on(pairs->table);
}

static int find_once(struct pairs *pairs, const bson_t *filter, struct error *err)
{
    const struct mongo_find_all find = {.collection = pairs->table->collection,
                                        .filter = filter,
                                        .batch = PAIRS_AT_MOST + 1, /* so one answer does */
                                        .each = each_document,
                                        .arg = pairs};

    return mongo_side_find(pairs->worker->mongo, &find, err);
}

static int find_both(struct pairs *pairs, const bson_t *by_key, const bson_t *other,
                     struct error *err)
{
    void *mark = canon_arena_mark(&pairs->worker->arena);

    for (size_t i = 0; i < pairs->count; i++) {
        pairs->all[i].documents = NULL;
        pairs->all[i].document_count = 0;
    }
    if (find_once(pairs, by_key, err) == 0 && (!other || find_once(pairs, other, err) == 0))
        return 0;
    canon_arena_back(&pairs->worker->arena, mark); /* what this try found */
    return -1;
}

int pairs_find_documents(struct pairs *pairs, const bson_t *other, struct error *err)
{
    const struct canon *keys[PAIRS_AT_MOST];
    struct retry retry;
    bson_t by_key;
    int result;

    for (size_t i = 0; i < pairs->count; i++)
        keys[i] = pairs->all[i].key_map;
    key_filter(&by_key, &pairs->table->key, keys, pairs->count);
    retry_init(&retry, pairs->worker->check->retry_limit_ms);
    do {
        result = find_both(pairs, &by_key, other, err);
    } while (result < 0 && retry_again(&retry, false, err));
    bson_destroy(&by_key);
    if (result == 0 && !table_check_goes_on(pairs->table)) /* not all were read */
        return error_set(err, ERR_RETRY, "the check was ended");
    return result;
}

/* ---- comparing ---- */

static bool is_key(void *arg, struct bytes name)
{
    const struct pairs *pairs = arg;

    return key_has(&pairs->table->key, name);
}

struct compare pairs_compare(struct pairs *pairs)
{
    return (struct compare){.form = &pairs->worker->check->form,
                            .arena = &pairs->worker->arena,
                            .is_key = is_key,
                            .arg = pairs};
}
