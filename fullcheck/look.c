#include "fullcheck/look.h"

#include <stdlib.h>

#include "common/check.h"
#include "common/clock.h"
#include "common/log.h"
#include "fullcheck/patience.h"
#include "fullcheck/repair.h"

#define REPAIR_WAIT_MS 60000
#define DOCUMENTS_KEPT 100 /* of one key: the others are only counted */

struct found_document {
    const struct canon *map;
    const uint8_t *bson; /* in the arena */
    size_t len;
    struct found_document *next;
};

struct subject {
    struct pending_key *k;
    const struct canon *key;
    struct bytes json; /* the item; empty: there is none */
    const struct canon *item;
    struct found_document *documents;
    size_t document_count;
    bool unprocessed;
    UT_hash_handle hh;
};

struct look {
    struct worker *w;
    struct table_check *t;
    struct subject subjects[DDB_ITEMS_AT_MOST];
    size_t count;
    struct subject *by_key;
    struct buf text;
    struct ddb_side_items items;
};

/* ---- reading ---- */

static struct subject *subject_of(struct look *l)
{
    struct subject *s;

    HASH_FIND(hh, l->by_key, l->text.p, l->text.len, s);
    return s;
}

static struct subject *subject_of_json(struct look *l, struct bytes json, struct canon **ret,
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

static int take_items(struct look *l, struct error *err)
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

static int read_items(struct look *l, struct error *err)
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

static void keep_document(struct look *l, struct subject *s, const struct canon *map,
                          const bson_t *document)
{
    struct found_document *d = obstack_alloc(&l->w->arena.memory, sizeof(*d));
    *d = (struct found_document){map, bson_get_data(document), document->len, s->documents};
    s->documents = d;
    s->document_count++;
}

static void as_bson(bson_t *ret, const struct found_document *d)
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
        as_bson(&there, d);
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
    struct look *l = arg;
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

static int find_once(struct look *l, const bson_t *filter, struct error *err)
{
    const struct mongo_find find = {
        .collection = l->t->collection, .filter = filter, .each = each_document, .arg = l};

    return mongo_side_find(l->w->mongo, &find, err);
}

/* {_id: {$in: [...]}} of those whose _id is not the one of their key; false: there are none. */
static bool misplaced_filter(const struct look *l, bson_t *ret)
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

static int read_documents_once(struct look *l, const bson_t *by_key, const bson_t *by_id,
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

static int read_documents(struct look *l, struct error *err)
{
    const struct canon *keys[DDB_ITEMS_AT_MOST];
    struct patience patience;
    bson_t by_key, by_id;
    bool misplaced;
    int result;

    for (size_t i = 0; i < l->count; i++)
        keys[i] = l->subjects[i].key;
    key_filter(&by_key, &l->t->key, keys, l->count);
    misplaced = misplaced_filter(l, &by_id);
    patience_init(&patience, l->w->check->patience_ms);
    do {
        result = read_documents_once(l, &by_key, misplaced ? &by_id : NULL, err);
    } while (result < 0 && patience_again(&patience, false, err));
    bson_destroy(&by_key);
    bson_destroy(&by_id);
    return result;
}

/* ---- comparing ---- */

static bool is_key(void *arg, struct bytes name)
{
    const struct look *l = arg;

    return key_has(&l->t->key, name);
}

static void write_path(void *arg, const struct compare_path *path, const struct canon *source,
                       const struct canon *target)
{
    struct look *l = arg;

    report_path(&l->text, path, source, target);
}

/* The item with its one document; paths of the differences go to l->text. */
static bool compare_document(struct look *l, const struct canon *item,
                             const struct found_document *d, bool with_paths)
{
    struct compare c = {.form = &l->w->check->form,
                        .arena = &l->w->arena,
                        .parts = with_paths ? write_path : NULL,
                        .is_key = is_key,
                        .arg = l};
    const struct key_form *key = &l->t->key;
    bool equal = true;
    bson_t bson;

    as_bson(&bson, d);
    if (key->is_id)
        equal = compare_ids(&c, key_id(&l->w->arena, key, item),
                            key_id_found(&l->w->arena, key, &bson));
    return compare_maps(&c, item, d->map) && equal;
}

static bool matches(struct look *l, const struct subject *s, const struct canon *item)
{
    if (!item)
        return s->document_count == 0;
    return s->document_count == 1 && compare_document(l, item, s->documents, false);
}

static bool matches_image(struct look *l, const struct subject *s, const char *image)
{
    struct canon *item;
    struct error err;

    if (!*image)
        return matches(l, s, NULL);
    return canon_item(&item, &l->w->arena, bytes_of(image), &l->w->check->form, &err) == 0 &&
           matches(l, s, item);
}

static bool matches_now_or_earlier(struct look *l, const struct subject *s)
{
    bool found = matches(l, s, s->item);

    for (size_t i = 0; i < s->k->image_count && !found; i++)
        found = matches_image(l, s, s->k->images[i]);
    return found;
}

static enum difference_kind kind_of(const struct subject *s)
{
    if (!s->item)
        return DIFFERENCE_EXTRA;
    return s->document_count == 0   ? DIFFERENCE_MISSING
           : s->document_count == 1 ? DIFFERENCE_DIFFERENT
                                    : DIFFERENCE_DUPLICATE;
}

static bool shows_ids(const struct look *l, const struct subject *s, enum difference_kind kind)
{
    const struct pending_key *k = s->k;

    return kind == DIFFERENCE_EXTRA || kind == DIFFERENCE_DUPLICATE ||
           (kind == DIFFERENCE_DIFFERENT &&
            misplaced_find(&l->t->misplaced, (struct bytes){k->text, k->len}));
}

static void write_ids(struct buf *out, const struct subject *s)
{
    for (const struct found_document *d = s->documents; d; d = d->next) {
        bson_t bson;

        as_bson(&bson, d);
        report_id(out, &bson);
    }
}

/* The line; the caller frees. */
static char *difference_line(struct look *l, const struct subject *s)
{
    AUTO(buf_release) struct buf ids = {.ceiling = (size_t)1 << 20};
    AUTO(buf_release) struct buf line = {.ceiling = (size_t)4 << 20};
    struct difference d = {.table = l->t->name,
                           .key = {s->k->text, s->k->len},
                           .kind = kind_of(s),
                           .ts_ms = clock_wall_ms(),
                           .looks = s->k->settle.looks};

    buf_reset(&l->text);
    if (d.kind == DIFFERENCE_DIFFERENT)
        compare_document(l, s->item, s->documents, true);
    d.paths = buf_slice(&l->text);
    if (shows_ids(l, s, d.kind))
        write_ids(&ids, s);
    d.ids = buf_slice(&ids);
    report_difference(&line, &d);
    return bytes_dup(buf_slice(&line));
}

/* ---- judging ---- */

static void finish_with(struct look *l, struct subject *s,
                        void (*done)(struct pending *p, struct pending_key *k))
{
    struct table_check *t = l->t;

    AUTO_LOCK(&t->lock);
    if (t->sample.most && s->k->origin == PENDING_ITEM)
        atomic_fetch_add(&t->checked, 1);
    done(&t->pending, s->k);
}

static void finish(struct look *l, struct subject *s)
{
    finish_with(l, s, pending_done);
}

/* It was counted, and is counted once. */
static void finish_told(struct look *l, struct subject *s)
{
    finish_with(l, s, pending_told);
}

static void again(struct look *l, struct subject *s)
{
    AUTO_LOCK(&l->t->lock);
    pending_again(&l->t->pending, s->k, clock_mono_ms());
}

static void count_difference(struct look *l, struct subject *s, const char *line)
{
    report_write(&l->w->check->report, bytes_of(line), false);
    pthread_mutex_lock(&l->t->lock);
    l->t->differences[kind_of(s)]++;
    pthread_mutex_unlock(&l->t->lock);
    finish_told(l, s);
}

static void remember(struct look *l, struct subject *s, uint64_t digest)
{
    s->k->digest = digest;
    AUTO_LOCK(&l->t->lock);
    pending_remember(&l->t->pending, s->k, s->item ? s->json : BYTES_LIT(""));
}

/* It was asked to be repaired. */
static void judge_repair(struct look *l, struct subject *s, bool same)
{
    struct pending_key *k = s->k;

    k->settle.looks++;
    if (same) {
        report_write(&l->w->check->report, bytes_of(k->line), true);
        pthread_mutex_lock(&l->t->lock);
        l->t->repaired++;
        pthread_mutex_unlock(&l->t->lock);
        finish_told(l, s);
    } else if (clock_mono_ms() < k->repair_until_ms) {
        k->settle.level = MIN(k->settle.level + 1, SETTLE_LEVELS - 1);
        again(l, s);
    } else {
        AUTO(free_charp) char *line = difference_line(l, s);

        repair_was_of_no_use(l->w->check->repair, l->t->name, k->text);
        count_difference(l, s, line);
    }
}

/* Which of several documents the consumer would replace is the server's choice. */
static bool is_repairable(const struct look *l, const struct subject *s)
{
    return l->w->check->repair && kind_of(s) != DIFFERENCE_DUPLICATE;
}

static void begin_repair(struct look *l, struct subject *s, char *line)
{
    s->k->line = line;
    s->k->kind = kind_of(s);
    s->k->repair_until_ms =
        clock_mono_ms() + MAX(REPAIR_WAIT_MS, l->w->check->options.settle_ms);
    s->k->settle.level = 0;
    again(l, s);
}

static void untold(struct look *l, struct subject *s)
{
    log_warn("item changes all the time", "table=%s key=%s", l->t->name, s->k->text);
    pthread_mutex_lock(&l->t->lock);
    l->t->untold++;
    pthread_mutex_unlock(&l->t->lock);
    finish_told(l, s);
}

static enum settle_verdict verdict_of(struct look *l, struct subject *s)
{
    struct pending_key *k = s->k;
    uint64_t digest = s->item ? canon_digest(s->item) | 1 : 0;
    bool first = k->settle.looks == 0, changed = !first && digest != k->digest;
    enum settle_verdict verdict = settle_look(&k->settle, matches_now_or_earlier(l, s), changed,
                                              clock_mono_ms(), l->w->check->options.settle_ms);

    if (first || changed)
        remember(l, s, digest);
    return verdict;
}

/* What counts and can be repaired is left in *repairs, with its line. */
static void judge(struct look *l, struct subject *s, struct repair_request *repairs)
{
    char *line;

    if (s->unprocessed) {
        again(l, s);
        return;
    }
    if (s->k->line) {
        judge_repair(l, s, matches(l, s, s->item));
        return;
    }
    if (s->item && s->k->origin == PENDING_DOCUMENT) {
        finish(l, s);
        return;
    }
    switch (verdict_of(l, s)) {
    case SETTLE_SAME:
        finish(l, s);
        break;
    case SETTLE_AGAIN:
        again(l, s);
        break;
    case SETTLE_UNTOLD:
        untold(l, s);
        break;
    case SETTLE_COUNTS:
        line = difference_line(l, s);
        if (is_repairable(l, s)) {
            repair_request_add(repairs, (struct bytes){s->k->text, s->k->len}, s, line);
            break;
        }
        count_difference(l, s, line);
        free(line);
        break;
    }
}

static void send_repairs(struct look *l, struct repair_request *repairs)
{
    bool sent = repairs->count == 0 ||
                repair_send(l->w->check->repair, l->t->name, repairs->keys, repairs->count);

    for (size_t i = 0; i < repairs->count; i++) {
        struct subject *s = repairs->subjects[i];

        if (sent) {
            begin_repair(l, s, repairs->lines[i]);
        } else {
            count_difference(l, s, repairs->lines[i]);
            free(repairs->lines[i]);
        }
    }
}

/* ---- all ---- */

static int add_subjects(struct look *l, struct pending_key **keys, size_t count,
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

static int look(struct look *l, struct pending_key **keys, size_t count, struct error *err)
{
    struct repair_request repairs = {0};

    if (add_subjects(l, keys, count, err) < 0 || read_items(l, err) < 0 ||
        read_documents(l, err) < 0)
        return -1;
    if (!table_check_goes_on(l->t)) /* then not all documents were read */
        return error_set(err, ERR_RETRY, "the check was ended");
    for (size_t i = 0; i < l->count; i++)
        judge(l, &l->subjects[i], &repairs);
    send_repairs(l, &repairs);
    return 0;
}

int look_at(struct worker *w, struct pending_key **keys, size_t count, struct error *err)
{
    struct look *l = xcalloc(1, sizeof(*l));
    int result;

    l->w = w;
    l->t = w->table;
    buf_init(&l->text, (size_t)4 << 20);
    canon_arena_reset(&w->arena);
    result = look(l, keys, count, err);
    HASH_CLEAR(hh, l->by_key);
    ddb_side_release(&l->items.answer);
    buf_release(&l->text);
    free(l);
    return result;
}
