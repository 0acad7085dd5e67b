#include "fullcheck/recheck.h"

#include <stdlib.h>

#include "common/base/clock.h"
#include "common/run/log.h"
#include "fullcheck/recheck_internal.h"
#include "fullcheck/repair.h"

#define REPAIR_WAIT_MS 60000

/* ---- comparing ---- */

static bool is_key(void *arg, struct bytes name)
{
    const struct recheck *l = arg;

    return key_has(&l->t->key, name);
}

static void write_path(void *arg, const struct compare_path *path, const struct canon *source,
                       const struct canon *target)
{
    struct recheck *l = arg;

    report_path(&l->text, path, source, target);
}

/* The item with its one document; paths of the differences go to l->text. */
static bool compare_document(struct recheck *l, const struct canon *item,
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

    recheck_read_bson(&bson, d);
    if (key->is_id)
        equal = compare_ids(&c, key_id(&l->w->arena, key, item),
                            key_id_found(&l->w->arena, key, &bson));
    return compare_maps(&c, item, d->map) && equal;
}

static bool matches(struct recheck *l, const struct subject *s, const struct canon *item)
{
    if (!item)
        return s->document_count == 0;
    return s->document_count == 1 && compare_document(l, item, s->documents, false);
}

static bool matches_image(struct recheck *l, const struct subject *s, const char *image)
{
    struct canon *item;
    struct error err;

    if (!*image)
        return matches(l, s, NULL);
    return canon_item(&item, &l->w->arena, bytes_of(image), &l->w->check->form, &err) == 0 &&
           matches(l, s, item);
}

static bool matches_now_or_earlier(struct recheck *l, const struct subject *s)
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

static bool shows_ids(const struct recheck *l, const struct subject *s,
                      enum difference_kind kind)
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

        recheck_read_bson(&bson, d);
        report_id(out, &bson);
    }
}

/* The line; the caller frees. */
static char *difference_line(struct recheck *l, const struct subject *s)
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

static void finish_with(struct recheck *l, struct subject *s,
                        void (*done)(struct pending *p, struct pending_key *k))
{
    struct table_check *t = l->t;

    AUTO_LOCK(&t->lock);
    if (t->sample.most && s->k->origin == PENDING_ITEM)
        atomic_fetch_add(&t->checked, 1);
    done(&t->pending, s->k);
}

static void finish(struct recheck *l, struct subject *s)
{
    finish_with(l, s, pending_done);
}

/* It was counted, and is counted once. */
static void finish_told(struct recheck *l, struct subject *s)
{
    finish_with(l, s, pending_reported);
}

static void again(struct recheck *l, struct subject *s)
{
    AUTO_LOCK(&l->t->lock);
    pending_again(&l->t->pending, s->k, clock_mono_ms());
}

static void count_difference(struct recheck *l, struct subject *s, const char *line)
{
    report_write(&l->w->check->report, bytes_of(line), false);
    pthread_mutex_lock(&l->t->lock);
    l->t->differences[kind_of(s)]++;
    pthread_mutex_unlock(&l->t->lock);
    finish_told(l, s);
}

static void remember(struct recheck *l, struct subject *s, uint64_t digest)
{
    s->k->digest = digest;
    AUTO_LOCK(&l->t->lock);
    pending_remember(&l->t->pending, s->k, s->item ? s->json : BYTES_LIT(""));
}

/* It was asked to be repaired. */
static void judge_repair(struct recheck *l, struct subject *s, bool same)
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
static bool is_repairable(const struct recheck *l, const struct subject *s)
{
    return l->w->check->repair && kind_of(s) != DIFFERENCE_DUPLICATE;
}

static void begin_repair(struct recheck *l, struct subject *s, char *line)
{
    s->k->line = line;
    s->k->kind = kind_of(s);
    s->k->repair_until_ms =
        clock_mono_ms() + MAX(REPAIR_WAIT_MS, l->w->check->options.settle_ms);
    s->k->settle.level = 0;
    again(l, s);
}

static void undecided(struct recheck *l, struct subject *s)
{
    log_warn("item changes all the time", "table=%s key=%s", l->t->name, s->k->text);
    pthread_mutex_lock(&l->t->lock);
    l->t->undecided++;
    pthread_mutex_unlock(&l->t->lock);
    finish_told(l, s);
}

static enum settle_verdict verdict_of(struct recheck *l, struct subject *s)
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
static void judge(struct recheck *l, struct subject *s, struct repair_request *repairs)
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
        undecided(l, s);
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

static void send_repairs(struct recheck *l, struct repair_request *repairs)
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

static int look(struct recheck *l, struct pending_key **keys, size_t count, struct error *err)
{
    struct repair_request repairs = {0};

    if (recheck_read(l, keys, count, err) < 0)
        return -1;
    for (size_t i = 0; i < l->count; i++)
        judge(l, &l->subjects[i], &repairs);
    send_repairs(l, &repairs);
    return 0;
}

int recheck_keys(struct worker *w, struct pending_key **keys, size_t count, struct error *err)
{
    struct recheck *l = xcalloc(1, sizeof(*l));
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
