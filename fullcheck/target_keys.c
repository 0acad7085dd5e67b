#include "fullcheck/target_keys.h"

#include "common/run/retry.h"
#include "fullcheck/canon_document.h"

#define CLOCK_EVERY 1024 /* documents */

struct keys_reading {
    struct worker *w;
    struct table_check *t;
    bool doubt; /* the second read */
    int64_t documents;
    int64_t foreign;
    struct buf text;
    bool too_many; /* under another _id */
};

/* ---- a document ---- */

static bool note_key(struct keys_reading *reading, const bson_t *document, bool misplaced)
{
    struct bytes key = buf_slice(&reading->text);

    if (reading->t->of_documents)
        fingerprint_add(reading->t->of_documents, key);
    if (misplaced && !misplaced_add(&reading->t->misplaced, key, document))
        reading->too_many = true;
    return !reading->too_many;
}

static bool doubt_key(struct keys_reading *reading)
{
    struct table_check *t = reading->t;
    struct bytes key = buf_slice(&reading->text);

    return fingerprint_agree(t->of_items, t->of_documents, key) ||
           table_check_add(t, key, PENDING_DOCUMENT);
}

static void show_progress(struct keys_reading *reading)
{
    if (reading->documents % CLOCK_EVERY == 0)
        table_check_show(reading->t, "documents", reading->doubt ? "read again" : "read",
                         reading->documents, table_check_left(reading->t, reading->documents));
}

static bool each_document(void *arg, const bson_t *document)
{
    struct keys_reading *reading = arg;
    const struct canon *map;
    enum key_place place;

    canon_arena_reset(&reading->w->arena);
    map = canon_document(&reading->w->arena, document, &reading->w->check->form);
    buf_reset(&reading->text);
    reading->documents++;
    show_progress(reading);
    place =
        key_of_document(&reading->text, &reading->w->arena, &reading->t->key, document, map);
    if (place == KEY_NONE || place == KEY_OF_ID)
        reading->foreign++;
    else if (reading->doubt ? !doubt_key(reading)
                            : !note_key(reading, document, place == KEY_MISPLACED))
        return false;
    return table_check_goes_on(reading->t);
}

/* ---- all documents ---- */

static int read_once(struct keys_reading *reading, const bson_t *projection, struct error *err)
{
    const struct mongo_find_all find = {.collection = reading->t->collection,
                                        .projection = projection,
                                        .each = each_document,
                                        .arg = reading};

    reading->documents = reading->foreign = 0;
    if (!reading->doubt) {
        if (reading->t->of_documents)
            fingerprint_reset(reading->t->of_documents);
        misplaced_release(&reading->t->misplaced);
    }
    return mongo_side_find(reading->w->mongo, &find, err);
}

/* From the beginning: what was reported is remembered, but not without limit. */
static bool may_begin_anew(struct keys_reading *reading)
{
    AUTO_LOCK(&reading->t->lock);
    return !reading->doubt || pending_remembers_reported(&reading->t->pending);
}

static int read_all(struct keys_reading *reading, struct error *err)
{
    struct retry retry;
    bson_t projection;
    int result;

    buf_init(&reading->text, (size_t)1 << 20);
    key_projection(&projection, &reading->t->key);
    retry_init(&retry, reading->w->check->retry_limit_ms);
    do {
        result = read_once(reading, &projection, err);
    } while (result < 0 && may_begin_anew(reading) && retry_again(&retry, false, err));
    table_check_pass_over(reading->t);
    bson_destroy(&projection);
    buf_release(&reading->text);
    if (result == 0 && reading->too_many)
        return error_set(err, ERR_FATAL, "too many documents whose _id is not of their key");
    return result;
}

int target_keys_read(struct worker *w, int64_t *ret_documents, int64_t *ret_foreign,
                     struct error *err)
{
    struct keys_reading reading = {.w = w, .t = w->table};

    if (read_all(&reading, err) < 0)
        return -1;
    *ret_documents = reading.documents;
    *ret_foreign = reading.foreign;
    return 0;
}

int target_keys_add_doubtful(struct worker *w, struct error *err)
{
    struct keys_reading reading = {.w = w, .t = w->table, .doubt = true};

    return read_all(&reading, err);
}
