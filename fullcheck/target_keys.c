#include "fullcheck/target_keys.h"

#include "common/run/progress.h"
#include "common/run/retry.h"
#include "fullcheck/canon_document.h"

#define CLOCK_EVERY 1024 /* documents */

struct reading {
    struct worker *w;
    struct table_check *t;
    bool doubt; /* the second read */
    int64_t documents;
    int64_t foreign;
    struct buf text;
    bool too_many; /* under another _id */
    struct progress progress;
};

/* ---- a document ---- */

static bool note_key(struct reading *r, const bson_t *document, bool misplaced)
{
    struct bytes key = buf_slice(&r->text);

    if (r->t->of_documents)
        fingerprint_add(r->t->of_documents, key);
    if (misplaced && !misplaced_add(&r->t->misplaced, key, document))
        r->too_many = true;
    return !r->too_many;
}

static bool doubt_key(struct reading *r)
{
    struct table_check *t = r->t;
    struct bytes key = buf_slice(&r->text);

    return fingerprint_agree(t->of_items, t->of_documents, key) ||
           table_check_add(t, key, PENDING_DOCUMENT);
}

static void show_progress(struct reading *r)
{
    if (r->documents % CLOCK_EVERY == 0 && progress_is_due(&r->progress))
        progress_show(&r->progress, "documents' keys", r->documents,
                      r->t->estimate - r->documents);
}

static bool each_document(void *arg, const bson_t *document)
{
    struct reading *r = arg;
    const struct canon *map;
    enum key_place place;

    canon_arena_reset(&r->w->arena);
    map = canon_document(&r->w->arena, document, &r->w->check->form);
    buf_reset(&r->text);
    r->documents++;
    show_progress(r);
    place = key_of_document(&r->text, &r->w->arena, &r->t->key, document, map);
    if (place == KEY_NONE || place == KEY_OF_ID)
        r->foreign++;
    else if (r->doubt ? !doubt_key(r) : !note_key(r, document, place == KEY_MISPLACED))
        return false;
    return table_check_goes_on(r->t);
}

/* ---- all documents ---- */

static int read_once(struct reading *r, const bson_t *projection, struct error *err)
{
    bson_t everything = BSON_INITIALIZER;
    const struct mongo_side_find find = {.collection = r->t->collection,
                                         .filter = &everything,
                                         .projection = projection,
                                         .each = each_document,
                                         .arg = r};

    r->documents = r->foreign = 0;
    if (!r->doubt) {
        if (r->t->of_documents)
            fingerprint_reset(r->t->of_documents);
        misplaced_release(&r->t->misplaced);
    }
    return mongo_side_find(r->w->mongo, &find, err);
}

/* From the beginning: what was reported is remembered, but not without limit. */
static bool may_begin_anew(struct reading *r)
{
    AUTO_LOCK(&r->t->lock);
    return !r->doubt || pending_remembers_reported(&r->t->pending);
}

static int read_all(struct reading *r, struct error *err)
{
    struct retry retry;
    bson_t projection;
    int result;

    buf_init(&r->text, (size_t)1 << 20);
    key_projection(&projection, &r->t->key);
    retry_init(&retry, r->w->check->retry_limit_ms);
    do {
        result = read_once(r, &projection, err);
    } while (result < 0 && may_begin_anew(r) && retry_again(&retry, false, err));
    progress_end(&r->progress);
    bson_destroy(&projection);
    buf_release(&r->text);
    if (result == 0 && r->too_many)
        return error_set(err, ERR_FATAL, "too many documents whose _id is not of their key");
    return result;
}

int target_keys_read(struct worker *w, int64_t *ret_documents, int64_t *ret_foreign,
                     struct error *err)
{
    struct reading r = {.w = w, .t = w->table};

    if (read_all(&r, err) < 0)
        return -1;
    *ret_documents = r.documents;
    *ret_foreign = r.foreign;
    return 0;
}

int target_keys_add_doubtful(struct worker *w, struct error *err)
{
    struct reading r = {.w = w, .t = w->table, .doubt = true};

    return read_all(&r, err);
}
