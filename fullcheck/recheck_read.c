/* fullcheck/recheck_read.c - both ends' side of some keys. */
#include "common/base/check.h"
#include "common/run/retry.h"
#include "fullcheck/recheck_internal.h"

#define DOCUMENTS_KEPT 100 /* of one key: the others are only counted */

/* ---- items ---- */

static struct subject *subject_of(struct recheck *l)
{
    struct subject *s;

    HASH_FIND(hh, l->by_key, l->text.p, l->text.len, s);
    return s;
}

static struct subject *subject_of_json(struct recheck *l, struct bytes json, struct canon **ret,
                                       struct error *err)
{
    struct subject *s = NULL;

    if (canon_item(ret, &l->w->arena, json, &l->w->check->form, err) < 0)
        return NULL;
    buf_reset(&l->text);
    if (key_text(&l->text, &l->t->key, *ret))
        s = subject_of(l);
    if (!s)
        error_set(err, ERR_FATAL, "an item that was not asked for");
    return s;
}

static int take_items(struct recheck *l, struct error *err)
{
    struct canon *item;
    struct subject *s;

    for (size_t i = 0; i < l->items.count; i++) {
        if (!(s = subject_of_json(l, l->items.items[i], &item, err)))
            return -1;
        s->item = item;
        s->json = l->items.items[i];
    }
    for (size_t i = l->items.asked; i < l->count; i++)
        l->subjects[i].unprocessed = true;
    for (size_t i = 0; i < l->items.unprocessed_count; i++) {
        if (!(s = subject_of_json(l, l->items.unprocessed[i], &item, err)))
            return -1;
        s->unprocessed = true;
    }
    return 0;
}

static int read_items(struct recheck *l, struct error *err)
{
    struct bytes keys[DDB_ITEMS_AT_MOST];

    for (size_t i = 0; i < l->count; i++)
        keys[i] = (struct bytes){l->subjects[i].k->text, l->subjects[i].k->len};
    if (ddb_side_items(&l->items, &l->w->ddb, l->t->name, &l->t->schema, keys, l->count, err) <
        0)
        return -1;
    if (take_items(l, err) == 0)
        return 0;
    err->kind = ERR_FATAL;
    return error_prefix(err, "DynamoDB");
}

/* ---- documents ---- */

static void keep_document(struct recheck *l, struct subject *s, const struct canon *map,
                          const bson_t *document)
{
    struct found_document *d = obstack_alloc(&l->w->arena.memory, sizeof(*d));
    *d = (struct found_document){map, bson_get_data(document), document->len, s->documents};
    s->documents = d;
    s->document_count++;
}

void recheck_read_bson(bson_t *ret, const struct found_document *d)
{
    CHECK(bson_init_static(ret, d->bson, d->len));
}

static bool same_id(const bson_t *a, const bson_t *b)
{
    AUTO(mongo_bsonp) bson_t *x = bson_new(), *y = bson_new();
    bson_iter_t it;

    return bson_iter_init_find(&it, a, "_id") && bson_append_iter(x, "_id", 3, &it) &&
           bson_iter_init_find(&it, b, "_id") && bson_append_iter(y, "_id", 3, &it) &&
           bson_equal(x, y);
}

/* False for one that both finds gave (its _id may be the one of another key that is looked at
 * too) and for one of very many, which is only counted. */
static bool is_to_be_kept(struct subject *s, const bson_t *document)
{
    bson_t there;

    for (const struct found_document *d = s->documents; d; d = d->next) {
        recheck_read_bson(&there, d);
        if (same_id(&there, document))
            return false;
    }
    if (s->document_count < DOCUMENTS_KEPT)
        return true;
    s->document_count++;
    return false;
}

static bool each_document(void *arg, const bson_t *document)
{
    struct recheck *l = arg;
    struct canon_arena *arena = &l->w->arena;
    void *mark = canon_arena_mark(arena);
    uint8_t *copy = obstack_copy(&arena->memory, bson_get_data(document), (int)document->len);
    const struct canon *map;
    struct subject *s;
    bson_t bson;

    CHECK(bson_init_static(&bson, copy, document->len));
    map = canon_document(arena, &bson, &l->w->check->form);
    buf_reset(&l->text);
    if (key_of_document(&l->text, arena, &l->t->key, &bson, map) != KEY_NONE &&
        (s = subject_of(l)) && is_to_be_kept(s, &bson))
        keep_document(l, s, map, &bson);
    else
        canon_arena_back(arena, mark);
    return table_check_goes_on(l->t);
}

static int find_once(struct recheck *l, const bson_t *filter, struct error *err)
{
    const struct mongo_find find = {
        .collection = l->t->collection, .filter = filter, .each = each_document, .arg = l};

    return mongo_side_find(l->w->mongo, &find, err);
}

/* {_id: {$in: [...]}} of those whose _id is not the one of their key; false: there are none. */
static bool misplaced_filter(const struct recheck *l, bson_t *ret)
{
    bson_t condition, list;
    char room[16];
    const char *name;
    uint32_t n = 0;
    bson_iter_t it;

    bson_init(ret);
    bson_append_document_begin(ret, "_id", -1, &condition);
    bson_append_array_begin(&condition, "$in", -1, &list);
    for (size_t i = 0; i < l->count; i++) {
        const struct pending_key *k = l->subjects[i].k;
        const struct misplaced_key *m =
            misplaced_find(&l->t->misplaced, (struct bytes){k->text, k->len});

        for (size_t j = 0; m && j < m->count; j++) {
            bson_uint32_to_string(n, &name, room, sizeof(room));
            if (bson_iter_init_find(&it, m->ids[j], "_id") &&
                bson_append_iter(&list, name, -1, &it))
                n++;
        }
    }
    bson_append_array_end(&condition, &list);
    bson_append_document_end(ret, &condition);
    return n > 0;
}

static int read_documents_once(struct recheck *l, const bson_t *by_key, const bson_t *by_id,
                               struct error *err)
{
    void *mark = canon_arena_mark(&l->w->arena);

    for (size_t i = 0; i < l->count; i++) {
        l->subjects[i].documents = NULL;
        l->subjects[i].document_count = 0;
    }
    if (find_once(l, by_key, err) == 0 && (!by_id || find_once(l, by_id, err) == 0))
        return 0;
    canon_arena_back(&l->w->arena, mark); /* what this try found */
    return -1;
}

static int read_documents(struct recheck *l, struct error *err)
{
    const struct canon *keys[DDB_ITEMS_AT_MOST];
    struct retry patience;
    bson_t by_key, by_id;
    bool misplaced;
    int result;

    for (size_t i = 0; i < l->count; i++)
        keys[i] = l->subjects[i].key;
    key_filter(&by_key, &l->t->key, keys, l->count);
    misplaced = misplaced_filter(l, &by_id);
    retry_init(&patience, l->w->check->patience_ms);
    do {
        result = read_documents_once(l, &by_key, misplaced ? &by_id : NULL, err);
    } while (result < 0 && retry_again(&patience, false, err));
    bson_destroy(&by_key);
    bson_destroy(&by_id);
    return result;
}

/* ---- all ---- */

static int add_subjects(struct recheck *l, struct pending_key **keys, size_t count,
                        struct error *err)
{
    CHECK(count <= DDB_ITEMS_AT_MOST);
    for (size_t i = 0; i < count; i++) {
        struct subject *s = &l->subjects[l->count++];
        struct canon *key;

        if (canon_item(&key, &l->w->arena, (struct bytes){keys[i]->text, keys[i]->len},
                       &l->w->check->form, err) < 0)
            return -1;
        s->k = keys[i];
        s->key = key;
        HASH_ADD_KEYPTR(hh, l->by_key, keys[i]->text, keys[i]->len, s);
    }
    return 0;
}

int recheck_read(struct recheck *l, struct pending_key **keys, size_t count, struct error *err)
{
    if (add_subjects(l, keys, count, err) < 0 || read_items(l, err) < 0 ||
        read_documents(l, err) < 0)
        return -1;
    if (!table_check_goes_on(l->t)) /* then not all documents were read */
        return error_set(err, ERR_RETRY, "the check was ended");
    return 0;
}
