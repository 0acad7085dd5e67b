#include "producer/segment_reader.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/dynamodb/ddb_scan.h"
#include "common/run/log.h"
#include "producer/append.h"

#define FIRST_PAGE_BYTES (9 * 1024 * 1024) /* a page of 1 MB of items can be that much JSON */
#define PAGE_WAITS (-2)                    /* for the gate */
#define FAILS 2 /* pages of a segment in a row, before its table leaves its slot to others */

struct page {
    struct table_worker *w;
    struct segment_reader *seg;
    struct pool_local *local;
    struct append_origin origin;
    struct http_answer answer;
    struct barrier_ticket ticket;
    char *start_key;
    size_t held_bytes; /* of the budget */
    bool charged;      /* to the pace, and not yet told what it cost */
    int64_t rows;
};

static struct segment_state *state_of(const struct segment_reader *seg)
{
    return &seg->worker->appended.segments[seg->number];
}

/* consumed_milli as in ddb_scan.h. */
static void page_cost(struct page *page, int64_t consumed_milli)
{
    AUTO_LOCK(&page->w->lock);
    if (page->charged)
        scan_pace_answered(&page->w->pace, consumed_milli, (int64_t)page->answer.body.len);
    page->charged = false;
}

static void no_page_came(struct page *page, enum ddb_error kind)
{
    AUTO_LOCK(&page->w->lock);
    if (page->charged)
        scan_pace_failed(&page->w->pace, kind == DDB_THROTTLED, clock_mono_ms());
    page->charged = false;
}

static void segment_failed(struct segment_reader *seg)
{
    AUTO_LOCK(&seg->worker->lock);
    seg->fails++;
}

static int64_t page_failed(struct page *page, struct error *err)
{
    enum ddb_error kind = ddb_client_error(page->local->client);
    AUTO(free_charp) char *what = xasprintf("a page of segment %" PRId64, page->seg->number);

    no_page_came(page, kind);
    segment_failed(page->seg);
    if (kind == DDB_NOT_FOUND)
        table_worker_doubt(page->w);
    table_worker_trouble(page->w, what, err);
    return ddb_error_retry_ms(kind, &page->seg->tries);
}

static int each_item(void *arg, const struct ddb_item *item, struct error *err)
{
    struct page *page = arg;

    if (append_row(page->w, page->local, &page->origin, item, err) < 0)
        return -1;
    page->rows++;
    return 0;
}

/* What the segment's record says after this page. */
static struct ledger_segment advanced(const struct page *page, struct bytes last)
{
    struct ledger_segment next = state_of(page->seg)->now;

    next.last_key = last.len ? bytes_dup(last) : NULL;
    next.done = last.len == 0;
    next.rows += page->rows;
    next.bytes += (int64_t)page->answer.body.len;
    return next;
}

/* Takes next. The table's last page: it is described once more before the snapshot ends. */
static void segment_advance(struct page *page, struct ledger_segment *next)
{
    struct table_worker *w = page->w;
    struct segment_state *state = state_of(page->seg);

    AUTO_LOCK(&w->lock);
    ledger_segment_release(&state->now);
    state->now = *next;
    page->seg->fails = 0;
    w->scan_confirmed = false;
    table_state_segment_recorded(&w->appended, page->seg->number);
    if (table_state_all_scanned(&w->appended))
        step_wake(w->p->pool, &w->look.step);
}

static int append_page(struct page *page, struct error *err)
{
    struct ledger_segment next;
    struct ddb_scan_end end;

    if (ddb_scan_read(buf_slice(&page->answer.body), &page->w->schema, each_item, page, &end,
                      err) < 0)
        return -1;
    page_cost(page, end.consumed_milli);
    next = advanced(page, end.last);
    if (append_ledger_segment(page->w, page->local, &next, err) < 0) {
        ledger_segment_release(&next);
        return -1;
    }
    segment_advance(page, &next);
    metric_add(page->w->metrics.rows, page->rows);
    return 0;
}

/* Under the gate. Half a page must never be committed. */
static int64_t append_under_gate(struct page *page)
{
    AUTO(free_charp) char *what = NULL;
    struct error err;

    if (barrier_page_verdict(page->w->barrier, page->ticket) == BARRIER_STALE)
        return 0;
    if (append_page(page, &err) == 0) {
        page->seg->tries = 0;
        page->seg->distrust = false;
        return state_of(page->seg)->now.done ? STEP_END : 0;
    }
    page->seg->distrust = true;
    if (page->rows > 0 || err.kind == ERR_ABORT)
        topic_writer_request_abort(page->w->writer, err.message);
    what = xasprintf("appending a page of segment %" PRId64, page->seg->number);
    table_worker_trouble(page->w, what, &err);
    return ddb_error_retry_ms(DDB_BROKEN, &page->seg->tries);
}

static bool answer_is_whole(const struct page *page, struct error *err)
{
    struct json_reader r;

    json_reader_init(&r, buf_slice(&page->answer.body));
    if (json_skip(&r, NULL) && json_end(&r))
        return true;
    json_reader_error(&r, err);
    return false;
}

/* What could not be appended anyway is not kept: others wait for its bytes and its thread. */
static bool is_in_vain(struct page *page, int64_t *ret_delay)
{
    *ret_delay = table_worker_pause_ms(page->w);
    return *ret_delay > 0 ||
           barrier_page_verdict(page->w->barrier, page->ticket) == BARRIER_STALE;
}

/* The page is whole: appended, or dropped and asked for again; or it waits for the gate. */
static int64_t page_arrived(struct page *page)
{
    struct table_worker *w = page->w;
    struct error err;
    int64_t delay;

    if (page->seg->distrust && !answer_is_whole(page, &err))
        return page_failed(page, &err);
    if (is_in_vain(page, &delay))
        return delay;
    if (topic_writer_gate_enter(w->writer, &w->member, &page->seg->step, &err) < 0)
        return err.kind == ERR_FENCED ? STEP_END : PAGE_WAITS;
    delay = append_under_gate(page);
    barrier_page_appended(w->barrier, page->ticket);
    topic_writer_gate_exit(w->writer);
    return delay;
}

static void page_free(struct page *page)
{
    if (!page)
        return;
    page_cost(page, -1);                                  /* nothing, when it was told */
    barrier_page_dropped(page->w->barrier, page->ticket); /* nothing, when it was appended */
    table_worker_page_over(page->w);
    throttle_return(page->w->p->throttle, THROTTLE_SCAN, page->held_bytes);
    http_answer_release(&page->answer);
    free(page->start_key);
    free(page);
}

static int64_t go_on(struct segment_reader *seg, struct pool_local *local)
{
    int64_t delay;

    seg->page->local = local;
    delay = page_arrived(seg->page);
    if (delay == PAGE_WAITS)
        return TOPIC_WRITER_WAIT_MS;
    page_free(TAKE(seg->page));
    return delay;
}

/* Where the page starts. An abort takes the position back and then makes older tickets stale:
 * read after the ticket was taken, a position that is ahead comes with a stale ticket. */
static void read_start(struct page *page)
{
    struct table_worker *w = page->w;
    const struct ledger_segment *now = &state_of(page->seg)->now;

    AUTO_LOCK(&w->lock);
    page->start_key = now->last_key ? xstrdup(now->last_key) : NULL;
    page->origin = (struct append_origin){.generation = w->appended.now.generation,
                                          .segment = now->segment};
}

static void remember_bytes(struct table_worker *w, size_t bytes)
{
    AUTO_LOCK(&w->lock);
    w->page_bytes = bytes;
}

/* The bytes are reserved. */
static int64_t ask(struct segment_reader *seg, struct pool_local *local)
{
    struct table_worker *w = seg->worker;
    struct page *page = xcalloc(1, sizeof(*page));
    struct ddb_scan scan = {
        .table = w->table,
        .segment = seg->number,
        .total_segments = w->segment_count,
        .limit = config_int(w->p->config, "qps.full.batch_num"),
        .consumed = true,
    };
    struct error err;
    int64_t delay;

    *page = (struct page){
        .w = w, .seg = seg, .local = local, .held_bytes = seg->answer_bytes, .charged = true};
    page->ticket = barrier_page_asked(w->barrier); /* before the position is read */
    read_start(page);
    scan.start_key = bytes_of(page->start_key);
    if (ddb_scan_page(&page->answer, local->client, &scan, &err) < 0) {
        delay = page_failed(page, &err);
        page_free(page);
        return delay;
    }
    page->origin.read_ms = clock_wall_ms();
    page->held_bytes = page->answer.body.cap;
    throttle_settle(w->p->throttle, THROTTLE_SCAN, seg->answer_bytes, page->held_bytes);
    seg->answer_bytes = MAX(page->held_bytes, 65536);
    remember_bytes(w, seg->answer_bytes);
    seg->page = page;
    return go_on(seg, local);
}

/* Enough for what pages of this table are like, as far as that is known. */
static size_t expected_bytes(struct segment_reader *seg)
{
    struct table_worker *w = seg->worker;

    if (seg->answer_bytes > 0)
        return seg->answer_bytes;
    AUTO_LOCK(&w->lock);
    return w->page_bytes ? w->page_bytes : FIRST_PAGE_BYTES;
}

/* The last thing before a page is asked for, since it is charged. Waiting for capacity is
 * progress: a small table's page can take minutes of it. */
static int64_t capacity_wait_ms(struct segment_reader *seg)
{
    struct table_worker *w = seg->worker;
    int64_t now = clock_mono_ms(), wait;

    AUTO_LOCK(&w->lock);
    scan_pace_set(&w->pace, w->read_capacity,
                  config_int(w->p->config, "full.capacity.percent"));
    wait = scan_pace_wait_ms(&w->pace, now);
    if (wait > 0)
        seg->progress_ms = now;
    return wait;
}

static bool has_slot(struct table_worker *w)
{
    AUTO_LOCK(&w->lock);
    return w->scan_slot;
}

static int64_t segment_step(void *arg, void *local)
{
    struct segment_reader *seg = arg;
    struct table_worker *w = seg->worker;
    int64_t wait;

    if (!table_worker_runs(w) || !has_slot(w)) {
        page_free(TAKE(seg->page));
        return STEP_END;
    }
    if (seg->page)
        return go_on(seg, local);
    wait = table_worker_pause_ms(w);
    if (wait > 0)
        return wait;
    seg->answer_bytes = expected_bytes(seg);
    if (!producer_reserve(w->p, THROTTLE_SCAN, seg->answer_bytes, &seg->step))
        return ROOM_MS;
    wait = throttle_scan_wait_ms(w->p->throttle, clock_mono_ms());
    if (wait == 0)
        wait = capacity_wait_ms(seg);
    if (wait > 0) {
        throttle_return(w->p->throttle, THROTTLE_SCAN, seg->answer_bytes);
        return wait;
    }
    return ask(seg, local);
}

static void segment_ended(void *arg)
{
    struct segment_reader *seg = arg;

    page_free(TAKE(seg->page));
    table_worker_part_ended(seg->worker);
}

void segment_reader_init(struct segment_reader *seg, struct table_worker *w, int64_t number)
{
    seg->worker = w;
    seg->number = number;
    seg->step = (struct step){.run = segment_step, .ended = segment_ended, .arg = seg};
}

void segment_reader_start(struct table_worker *w, struct segment_reader *seg)
{
    if (state_of(seg)->now.done)
        return;
    if (table_worker_part_begins(w, &seg->step) && seg->progress_ms == 0)
        seg->progress_ms = clock_mono_ms();
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
