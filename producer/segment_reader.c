#include "producer/segment_reader.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/dynamodb/ddb_scan.h"

#define FIRST_PAGE_BYTES (9 * 1024 * 1024) /* a page of 1 MB of items can be that much JSON */
#define FAILS 2 /* pages of a segment in a row, before its table leaves its slot to others */

static struct segment_state *state_of(const struct segment_reader *seg)
{
    return &seg->w->appended.segments[seg->number];
}

/* ---- what a page costs ---- */

/* consumed_milli as in ddb_scan.h; -1: nobody knows. */
static void page_cost(struct segment_reader *seg, int64_t consumed_milli)
{
    AUTO_LOCK(&seg->w->lock);
    if (seg->charged)
        scan_pace_answered(&seg->w->pace, consumed_milli, (int64_t)seg->read.answer.body.len);
    seg->charged = false;
}

static void no_page_came(struct segment_reader *seg, enum ddb_error kind)
{
    AUTO_LOCK(&seg->w->lock);
    if (seg->charged)
        scan_pace_failed(&seg->w->pace, kind == DDB_THROTTLED, clock_mono_ms());
    seg->charged = false;
    seg->fails++;
}

static int64_t page_failed(struct segment_reader *seg, struct append_context *a,
                           struct error *err)
{
    enum ddb_error kind = ddb_client_error(a->client);
    AUTO(free_charp) char *what = xasprintf("a page of segment %" PRId64, seg->number);

    no_page_came(seg, kind);
    if (kind == DDB_NOT_FOUND)
        table_worker_doubt(seg->w);
    table_worker_trouble(seg->w, what, err);
    return ddb_error_retry_ms(kind, &seg->tries);
}

/* ---- asking ---- */

/* Enough for what pages of this table are like, as far as that is known. */
static int64_t page_ready(void *arg, struct append_context *a)
{
    struct segment_reader *seg = arg;
    struct table_worker *w = seg->w;
    int64_t pause = table_worker_pause_ms(w);

    (void)a;
    if (pause > 0)
        return pause;
    AUTO_LOCK(&w->lock);
    if (seg->read.expected == 0)
        seg->read.expected = w->page_bytes ? w->page_bytes : FIRST_PAGE_BYTES;
    return GUARDED_READ_ON;
}

/* Waiting for capacity is progress: a small table's page can take minutes of it. */
static int64_t page_pace(void *arg)
{
    struct segment_reader *seg = arg;
    struct table_worker *w = seg->w;
    int64_t now = clock_mono_ms(), wait;

    AUTO_LOCK(&w->lock);
    scan_pace_set(&w->pace, w->read_capacity,
                  config_int(w->p->config, "full.capacity.percent"));
    wait = scan_pace_wait_ms(&w->pace, now);
    seg->charged = wait == 0;
    if (wait == 0)
        return GUARDED_READ_ON;
    seg->progress_ms = now;
    return wait;
}

static int64_t page_position(void *arg, struct barrier_ticket ticket)
{
    struct segment_reader *seg = arg;
    const struct ledger_segment *now = &state_of(seg)->now;

    (void)ticket;
    AUTO_LOCK(&seg->w->lock);
    free(seg->start_key);
    seg->start_key = now->last_key ? xstrdup(now->last_key) : NULL;
    seg->origin = (struct append_origin){.generation = seg->w->appended.now.generation,
                                         .segment = now->segment};
    return GUARDED_READ_ON;
}

static int64_t page_request(void *arg, struct append_context *a, struct http_answer *ret)
{
    struct segment_reader *seg = arg;
    struct table_worker *w = seg->w;
    const struct ddb_scan scan = {
        .table = w->table,
        .segment = seg->number,
        .total_segments = w->segment_count,
        .start_key = bytes_of(seg->start_key),
        .limit = config_int(w->p->config, "qps.full.batch_num"),
        .consumed = true,
    };
    struct error err;

    if (ddb_scan_page(ret, a->client, &scan, &err) < 0)
        return page_failed(seg, a, &err);
    return GUARDED_READ_ON;
}

static bool answer_is_whole(const struct segment_reader *seg, struct error *err)
{
    struct json_reader r;

    json_reader_init(&r, buf_slice(&seg->read.answer.body));
    if (json_skip(&r, NULL) && json_end(&r))
        return true;
    json_reader_error(&r, err);
    return false;
}

static int64_t page_received(void *arg, struct append_context *a)
{
    struct segment_reader *seg = arg;
    struct table_worker *w = seg->w;
    struct error err;

    seg->origin.read_ms = clock_wall_ms();
    pthread_mutex_lock(&w->lock);
    w->page_bytes = seg->read.expected;
    pthread_mutex_unlock(&w->lock);
    if (seg->distrust && !answer_is_whole(seg, &err))
        return page_failed(seg, a, &err);
    return GUARDED_READ_ON;
}

/* ---- appending ---- */

struct page { /* while it is appended */
    struct segment_reader *seg;
    struct append_context *a;
};

static int each_item(void *arg, const struct ddb_item *item, struct error *err)
{
    struct page *page = arg;

    if (append_row(page->a, &page->seg->origin, item, err) < 0)
        return -1;
    page->seg->rows++;
    return 0;
}

/* What the segment's record says after this page. */
static struct ledger_segment advanced(const struct segment_reader *seg, struct bytes last)
{
    struct ledger_segment next = state_of(seg)->now;

    next.last_key = last.len ? bytes_dup(last) : NULL;
    next.done = last.len == 0;
    next.rows += seg->rows;
    next.bytes += (int64_t)seg->read.answer.body.len;
    return next;
}

/* Takes next. The table's last page: it is described once more before the snapshot ends. */
static void advance(struct segment_reader *seg, struct ledger_segment *next)
{
    struct table_worker *w = seg->w;
    struct segment_state *state = state_of(seg);

    AUTO_LOCK(&w->lock);
    ledger_segment_release(&state->now);
    state->now = *next;
    seg->fails = 0;
    w->scan_confirmed = false;
    table_state_segment_recorded(&w->appended, seg->number);
    if (table_state_all_scanned(&w->appended))
        step_wake(w->p->pool, &w->look.step);
}

static int append_page(struct segment_reader *seg, struct append_context *a, struct error *err)
{
    struct page page = {.seg = seg, .a = a};
    struct ledger_segment next;
    struct ddb_scan_end end;

    seg->rows = 0;
    if (ddb_scan_read(buf_slice(&seg->read.answer.body), &seg->w->schema, each_item, &page,
                      &end, err) < 0)
        return -1;
    page_cost(seg, end.consumed_milli);
    next = advanced(seg, end.last);
    if (append_ledger_segment(a, &next, err) < 0) {
        ledger_segment_release(&next);
        return -1;
    }
    advance(seg, &next);
    metric_add(seg->w->metrics.rows, seg->rows);
    return 0;
}

/* Half a page must never be committed. */
static int64_t page_append(void *arg, struct append_context *a)
{
    struct segment_reader *seg = arg;
    AUTO(free_charp) char *what = NULL;
    struct error err;

    if (append_page(seg, a, &err) == 0) {
        seg->tries = 0;
        seg->distrust = false;
        return state_of(seg)->now.done ? STEP_END : 0;
    }
    page_cost(seg, -1);
    seg->distrust = true;
    if (seg->rows > 0 || err.kind == ERR_ABORT)
        topic_writer_request_abort(seg->w->writer, err.message);
    what = xasprintf("appending a page of segment %" PRId64, seg->number);
    table_worker_trouble(seg->w, what, &err);
    return ddb_error_retry_ms(DDB_BROKEN, &seg->tries);
}

static void page_dropped(void *arg)
{
    page_cost(arg, -1);
}

/* ---- the step ---- */

static bool may_scan(struct table_worker *w)
{
    if (!table_worker_runs(w))
        return false;
    AUTO_LOCK(&w->lock);
    return w->scan_slot;
}

static int64_t segment_step(void *arg, void *context)
{
    struct segment_reader *seg = arg;

    if (!may_scan(seg->w)) {
        guarded_read_end(&seg->read);
        return STEP_END;
    }
    return guarded_read_step(&seg->read, table_worker_context(seg->w, context));
}

/* By now the step may have been started again: nothing of it is touched here. */
static void segment_ended(void *arg)
{
    struct segment_reader *seg = arg;

    table_worker_part_ended(seg->w);
}

/* ---- all segments of a table ---- */

static void segment_init(struct segment_reader *seg, struct table_worker *w, int64_t number)
{
    static const struct guarded_read_calls calls = {
        .ready = page_ready,
        .pace = page_pace,
        .position = page_position,
        .request = page_request,
        .received = page_received,
        .append = page_append,
        .dropped = page_dropped,
    };

    seg->w = w;
    seg->number = number;
    seg->step = (struct step){.run = segment_step, .ended = segment_ended, .arg = seg};
    seg->read = (struct guarded_read){
        .w = w, .step = &seg->step, .calls = &calls, .arg = seg, .use = THROTTLE_SCAN};
}

void segment_reader_free_all(struct table_worker *w)
{
    for (int64_t i = 0; i < w->segment_count; i++) {
        guarded_read_end(&w->segments[i].read);
        free(w->segments[i].start_key);
    }
    free(TAKE(w->segments));
    w->segment_count = 0;
}

void segment_reader_make_all(struct table_worker *w)
{
    segment_reader_free_all(w);
    w->segment_count = w->appended.segment_count;
    w->segments = xcalloc((size_t)MAX(w->segment_count, 1), sizeof(*w->segments));
    for (int64_t i = 0; i < w->segment_count; i++)
        segment_init(&w->segments[i], w, i);
}

void segment_reader_start_all(struct table_worker *w)
{
    for (int64_t i = 0; i < w->segment_count; i++) {
        struct segment_reader *seg = &w->segments[i];

        if (!state_of(seg)->now.done && table_worker_part_begins(w, &seg->step) &&
            seg->progress_ms == 0)
            seg->progress_ms = clock_mono_ms();
    }
}

void segment_reader_wake_all(struct table_worker *w)
{
    for (int64_t i = 0; i < w->segment_count; i++)
        step_wake(w->p->pool, &w->segments[i].step);
}

bool segment_reader_all_fail(const struct table_worker *w)
{
    bool any = false;

    if (w->held)
        return true;
    for (int64_t i = 0; i < w->segment_count; i++) {
        if (w->appended.segments[i].now.done)
            continue;
        if (w->segments[i].fails < FAILS)
            return false;
        any = true;
    }
    return any;
}

void segment_reader_try_anew(struct table_worker *w)
{
    for (int64_t i = 0; i < w->segment_count; i++)
        w->segments[i].fails = 0;
}
