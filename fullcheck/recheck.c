#include "fullcheck/recheck.h"

#include "common/base/clock.h"
#include "common/run/log.h"
#include "fullcheck/canon_item.h"
#include "fullcheck/pairs.h"
#include "fullcheck/repair.h"

#define REPAIR_WAIT_MS 60000

_Static_assert(DDB_ITEMS_AT_MOST <= TABLE_SIGNAL_KEYS_AT_MOST, "one request takes all");

/* ---- reading ---- */

/* {_id: {$in: [...]}} of those whose _id is not the one of their key; false: there are none. */
static bool misplaced_filter(bson_t *ret, const struct pairs *pairs)
{
    bson_t condition, list;
    char room[16];
    const char *name;
    uint32_t n = 0;
    bson_iter_t it;

    bson_init(ret);
    bson_append_document_begin(ret, "_id", -1, &condition);
    bson_append_array_begin(&condition, "$in", -1, &list);
    for (size_t i = 0; i < pairs->count; i++) {
        const struct misplaced_key *misplaced =
            misplaced_find(&pairs->table->misplaced, pairs->all[i].key);

        for (size_t j = 0; misplaced && j < misplaced->count; j++) {
            bson_uint32_to_string(n, &name, room, sizeof(room));
            if (bson_iter_init_find(&it, misplaced->ids[j], "_id") &&
                bson_append_iter(&list, name, -1, &it))
                n++;
        }
    }
    bson_append_array_end(&condition, &list);
    bson_append_document_end(ret, &condition);
    return n > 0;
}

static int find_documents(struct pairs *pairs, struct error *err)
{
    bson_t by_id;
    bool any_misplaced = misplaced_filter(&by_id, pairs);
    int result = pairs_find_documents(pairs, any_misplaced ? &by_id : NULL, err);

    bson_destroy(&by_id);
    return result;
}

static int read_both_ends(struct pairs *pairs, struct pending_key **keys, size_t count,
                          struct error *err)
{
    for (size_t i = 0; i < count; i++)
        if (pairs_add_key(pairs, keys[i], err) < 0)
            return -1;
    if (pairs_get_items(pairs, err) < 0)
        return -1;
    return find_documents(pairs, err);
}

/* ---- comparing ---- */

static void write_path(void *arg, const struct compare_path *path, const struct canon *source,
                       const struct canon *target)
{
    struct pairs *pairs = arg;

    report_path(&pairs->text, path, source, target);
}

/* The item with its one document; paths of the differences go to pairs->text. */
static bool compare_document(struct pairs *pairs, const struct canon *item,
                             const struct pair_document *document, bool with_paths)
{
    struct compare cmp = pairs_compare(pairs);
    const struct key_form *k = &pairs->table->key;
    bool equal = true;
    bson_t bson;

    cmp.parts = with_paths ? write_path : NULL;
    pairs_bson(&bson, document);
    if (k->is_id)
        equal =
            compare_ids(&cmp, key_id(cmp.arena, k, item), key_id_found(cmp.arena, k, &bson));
    return compare_maps(&cmp, item, document->map) && equal;
}

static bool matches(struct pairs *pairs, const struct pair *pair, const struct canon *item)
{
    if (!item)
        return pair->document_count == 0;
    return pair->document_count == 1 && compare_document(pairs, item, pair->documents, false);
}

static bool matches_image(struct pairs *pairs, const struct pair *pair, const char *image)
{
    struct worker *w = pairs->worker;
    struct canon *item;
    struct error err;

    if (!*image)
        return matches(pairs, pair, NULL);
    return canon_item(&item, &w->arena, bytes_of(image), &w->check->form, &err) == 0 &&
           matches(pairs, pair, item);
}

static bool matches_now_or_earlier(struct pairs *pairs, const struct pair *pair)
{
    bool found = matches(pairs, pair, pair->item);

    for (size_t i = 0; i < pair->entry->image_count && !found; i++)
        found = matches_image(pairs, pair, pair->entry->images[i]);
    return found;
}

/* ---- a difference's line ---- */

static enum difference_kind kind_of(const struct pair *pair)
{
    if (!pair->item)
        return DIFFERENCE_EXTRA;
    return pair->document_count == 0   ? DIFFERENCE_MISSING
           : pair->document_count == 1 ? DIFFERENCE_DIFFERENT
                                       : DIFFERENCE_DUPLICATE;
}

static bool shows_ids(const struct pairs *pairs, const struct pair *pair,
                      enum difference_kind kind)
{
    return kind == DIFFERENCE_EXTRA || kind == DIFFERENCE_DUPLICATE ||
           (kind == DIFFERENCE_DIFFERENT &&
            misplaced_find(&pairs->table->misplaced, pair->key));
}

static void write_ids(struct buf *out, const struct pair *pair)
{
    for (const struct pair_document *kept = pair->documents; kept; kept = kept->next) {
        bson_t bson;

        pairs_bson(&bson, kept);
        report_id(out, &bson);
    }
}

/* The caller frees. */
static char *difference_line(struct pairs *pairs, const struct pair *pair)
{
    AUTO(buf_release) struct buf ids = {.ceiling = (size_t)1 << 20};
    AUTO(buf_release) struct buf line = {.ceiling = (size_t)4 << 20};
    struct difference difference = {.table = pairs->table->name,
                                    .key = pair->key,
                                    .kind = kind_of(pair),
                                    .ts_ms = clock_wall_ms(),
                                    .rechecks = pair->entry->settle.rechecks};

    buf_reset(&pairs->text);
    if (difference.kind == DIFFERENCE_DIFFERENT)
        compare_document(pairs, pair->item, pair->documents, true);
    difference.paths = buf_slice(&pairs->text);
    if (shows_ids(pairs, pair, difference.kind))
        write_ids(&ids, pair);
    difference.ids = buf_slice(&ids);
    report_difference(&line, &difference);
    return bytes_dup(buf_slice(&line));
}

/* ---- what becomes of the key ---- */

static void again(struct pairs *pairs, struct pair *pair)
{
    struct table_check *t = pairs->table;

    AUTO_LOCK(&t->lock);
    pending_again(&t->pending, pair->entry, clock_mono_ms());
}

static void count_sampled(struct table_check *t, const struct pair *pair)
{
    if (t->sample.most && pair->entry->origin == PENDING_ITEM)
        atomic_fetch_add(&t->checked, 1);
}

static void finish(struct pairs *pairs, struct pair *pair)
{
    struct table_check *t = pairs->table;

    AUTO_LOCK(&t->lock);
    count_sampled(t, pair);
    pending_done(&t->pending, pair->entry);
}

/* Met again, the key is not counted again. */
static void finish_counted(struct pairs *pairs, struct pair *pair, int64_t *counter)
{
    struct table_check *t = pairs->table;

    AUTO_LOCK(&t->lock);
    ++*counter;
    count_sampled(t, pair);
    pending_reported(&t->pending, pair->entry);
}

static void finish_different(struct pairs *pairs, struct pair *pair, const char *line)
{
    report_write(&pairs->worker->check->report, bytes_of(line), false);
    finish_counted(pairs, pair, &pairs->table->differences[kind_of(pair)]);
}

static void finish_repaired(struct pairs *pairs, struct pair *pair)
{
    report_write(&pairs->worker->check->report, bytes_of(pair->entry->line), true);
    finish_counted(pairs, pair, &pairs->table->repaired);
}

static void finish_undecided(struct pairs *pairs, struct pair *pair)
{
    log_warn("item changed too often", "table=%s key=%s", pairs->table->name,
             pair->entry->text);
    finish_counted(pairs, pair, &pairs->table->undecided);
}

/* ---- judging ---- */

/* Keys that are to be repaired; their entries have the lines. */
struct repairs {
    struct bytes keys[DDB_ITEMS_AT_MOST];
    struct pair *pairs[DDB_ITEMS_AT_MOST];
    size_t count;
};

static void remember(struct pairs *pairs, struct pair *pair, uint64_t digest)
{
    struct table_check *t = pairs->table;

    AUTO_LOCK(&t->lock);
    pair->entry->digest = digest;
    pending_remember(&t->pending, pair->entry, pair->item ? pair->json : BYTES_LIT(""));
}

static enum settle_verdict verdict_of(struct pairs *pairs, struct pair *pair)
{
    struct pending_key *entry = pair->entry;
    uint64_t digest = pair->item ? canon_digest(pair->item) | 1 : 0;
    bool first = entry->settle.rechecks == 0, changed = !first && digest != entry->digest;
    bool equal = matches_now_or_earlier(pairs, pair);
    enum settle_verdict verdict = settle_judge(&entry->settle, equal, changed, clock_mono_ms(),
                                               pairs->worker->check->options.settle_ms);

    if (first || changed)
        remember(pairs, pair, digest);
    return verdict;
}

/* Its repair was requested. */
static void judge_repair(struct pairs *pairs, struct pair *pair)
{
    struct pending_key *entry = pair->entry;

    entry->settle.rechecks++;
    if (matches(pairs, pair, pair->item)) {
        finish_repaired(pairs, pair);
    } else if (clock_mono_ms() < entry->repair_until_ms) {
        entry->settle.level = MIN(entry->settle.level + 1, SETTLE_LEVELS - 1);
        again(pairs, pair);
    } else {
        AUTO(free_charp) char *line = difference_line(pairs, pair);

        repair_had_no_effect(pairs->worker->check->repair, pairs->table->name, entry->text);
        finish_different(pairs, pair, line);
    }
}

static void judge_difference(struct pairs *pairs, struct pair *pair, struct repairs *repairs)
{
    AUTO(free_charp) char *line = difference_line(pairs, pair);

    /* which of several documents the consumer would replace is the server's choice */
    if (!pairs->worker->check->repair || kind_of(pair) == DIFFERENCE_DUPLICATE) {
        finish_different(pairs, pair, line);
        return;
    }
    pair->entry->line = TAKE(line);
    repairs->keys[repairs->count] = pair->key;
    repairs->pairs[repairs->count++] = pair;
}

static void judge(struct pairs *pairs, struct pair *pair, struct repairs *repairs)
{
    if (pair->unprocessed) {
        again(pairs, pair);
        return;
    }
    if (pair->entry->line) {
        judge_repair(pairs, pair);
        return;
    }
    if (pair->item && pair->entry->origin == PENDING_DOCUMENT) {
        finish(pairs, pair);
        return;
    }
    switch (verdict_of(pairs, pair)) {
    case SETTLE_SAME:
        finish(pairs, pair);
        break;
    case SETTLE_AGAIN:
        again(pairs, pair);
        break;
    case SETTLE_UNDECIDED:
        finish_undecided(pairs, pair);
        break;
    case SETTLE_COUNTS:
        judge_difference(pairs, pair, repairs);
        break;
    }
}

/* ---- repairing ---- */

static void await_repair(struct pairs *pairs, struct pair *pair)
{
    struct pending_key *entry = pair->entry;
    int64_t limit_ms = MAX(REPAIR_WAIT_MS, pairs->worker->check->options.settle_ms);

    entry->kind = kind_of(pair);
    entry->repair_until_ms = clock_mono_ms() + limit_ms;
    entry->settle.level = 0;
    again(pairs, pair);
}

static void send_repairs(struct pairs *pairs, const struct repairs *repairs)
{
    bool sent =
        repairs->count > 0 && repair_send(pairs->worker->check->repair, pairs->table->name,
                                          repairs->keys, repairs->count);

    for (size_t i = 0; i < repairs->count; i++) {
        struct pair *pair = repairs->pairs[i];

        if (sent)
            await_repair(pairs, pair);
        else
            finish_different(pairs, pair, pair->entry->line);
    }
}

int recheck_keys(struct worker *w, struct pending_key **keys, size_t count, struct error *err)
{
    AUTO(pairs_release) struct pairs pairs = {0};
    struct repairs repairs = {.count = 0};

    pairs_init(&pairs, w, count);
    if (read_both_ends(&pairs, keys, count, err) < 0)
        return -1;
    for (size_t i = 0; i < pairs.count; i++)
        judge(&pairs, &pairs.all[i], &repairs);
    send_repairs(&pairs, &repairs);
    return 0;
}
