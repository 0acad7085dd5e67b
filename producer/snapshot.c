#include "producer/snapshot.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/check.h"
#include "common/clock.h"
#include "common/ddb_table.h"
#include "common/log.h"
#include "producer/appender.h"

#define FIRST_PAGE_BYTES (9 * 1024 * 1024) /* a page of 1 MB of items can be that much JSON */
#define STUCK_MS 180000                    /* no page of a segment for that long: not healthy */
#define NO_BUDGET_MS 20

struct page {
    struct table_worker *w;
    struct segment *seg;
    struct pool_local *local;
    struct append_origin origin;
    struct http_answer answer;
    struct barrier_ticket ticket;
    char *start_key;
    int64_t rows;
};

static int64_t page_failed(struct page *page, struct error *err)
{
    enum ddb_error kind = ddb_client_error(page->local->client);

    if (kind == DDB_NOT_FOUND) {
        table_worker_fail(page->w, PHASE_GONE, "the table was deleted while it was scanned");
        return STEP_END;
    }
    log_warn("page will be asked for again", "table=%s segment=%" PRId64 " reason=%s",
             page->w->table, page->seg->now.segment, err->message);
    return ddb_retry_ms(kind, &page->seg->tries);
}

static int each_item(void *arg, const struct ddb_item *item, struct error *err)
{
    struct page *page = arg;

    if (append_row(page->w, page->local, &page->origin, item, err) < 0)
        return -1;
    page->rows++;
    return 0;
}

/* The page was the last one of the table: its neighbours are appended, since their segments are
 * done. */
static int append_end(struct page *page, struct error *err)
{
    struct table_worker *w = page->w;
    AUTO(ledger_table_release) struct ledger_table t = {0};

    AUTO_LOCK(&w->record_lock);
    pthread_mutex_lock(&w->lock);
    ledger_table_copy(&t, &w->now);
    if (w->state ==
        WORKER_RUN) /* the page of a table that was stopped meanwhile ends no stop */
        t.phase = PHASE_TAIL;
    pthread_mutex_unlock(&w->lock);
    t.finished_ms = clock_wall_ms();
    if (append_control(w, page->local, CONTROL_SNAPSHOT_END, &t, NULL, err) < 0 ||
        append_ledger_table(w, page->local, &t, err) < 0)
        return -1;
    AUTO_LOCK(&w->lock);
    w->now.phase = t.phase;
    w->now.finished_ms = t.finished_ms;
    w->dirty = true;
    return 0;
}

/* What the segment's record says after this page. */
static struct ledger_segment advanced(const struct page *page, struct bytes last)
{
    struct ledger_segment next = page->seg->now;

    next.last_key = last.len ? bytes_dup(last) : NULL;
    next.done = last.len == 0;
    next.rows += page->rows;
    next.bytes += (int64_t)page->answer.body.len;
    return next;
}

static bool segment_advance(struct page *page, struct ledger_segment *next)
{
    struct segment *seg = page->seg;
    struct table_worker *w = page->w;

    AUTO_LOCK(&w->lock);
    ledger_segment_release(&seg->now);
    seg->now = *next;
    seg->dirty = true;
    if (next->done)
        w->segments_done++;
    return w->segments_done == w->segment_count;
}

static int append_page(struct page *page, struct error *err)
{
    struct ledger_segment next;
    struct bytes last;

    if (ddb_scan_items(buf_slice(&page->answer.body), &page->w->schema, each_item, page, &last,
                       err) < 0)
        return -1;
    next = advanced(page, last);
    if (append_ledger_segment(page->w, page->local, &next, err) < 0) {
        ledger_segment_release(&next);
        return -1;
    }
    if (segment_advance(page, &next) && append_end(page, err) < 0)
        return -1;
    metric_add(page->w->metrics.rows, page->rows);
    return 0;
}

/* Under the gate. Half a page must never be committed. */
static int64_t append_under_gate(struct page *page)
{
    struct error err;

    if (barrier_page_verdict(page->w->barrier, page->ticket) == BARRIER_STALE)
        return 0;
    if (append_page(page, &err) == 0) {
        health_alive(page->seg->health);
        page->seg->tries = 0;
        page->seg->distrust = false;
        return page->seg->now.done ? STEP_END : 0;
    }
    page->seg->distrust = true;
    if (page->rows > 0 || err.kind == ERR_ABORT)
        topic_writer_fail(page->w->writer, err.message);
    log_warn("page can't be appended",
             "table=%s segment=%" PRId64 " rows=%" PRId64 " reason=%s", page->w->table,
             page->seg->now.segment, page->rows, err.message);
    return ddb_retry_ms(DDB_BROKEN, &page->seg->tries);
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

static int64_t page_arrived(struct page *page)
{
    struct error err;
    int64_t delay;

    page->origin.read_ms = clock_wall_ms();
    if (page->seg->distrust && !answer_is_whole(page, &err))
        return page_failed(page, &err);
    if (topic_writer_enter(page->w->writer, &page->w->member, &page->seg->step, &err) < 0)
        return err.kind == ERR_RETRY ? TOPIC_WRITER_WAIT_MS : STEP_END;
    delay = append_under_gate(page);
    barrier_page_appended(page->w->barrier, page->ticket);
    topic_writer_exit(page->w->writer);
    return delay;
}

/* Where the page starts. An abort takes the position back and then makes older tickets stale:
 * read after the ticket was taken, a position that is ahead comes with a stale ticket. */
static void read_start(struct page *page)
{
    struct segment *seg = page->seg;
    struct table_worker *w = page->w;

    AUTO_LOCK(&w->lock);
    page->start_key = seg->now.last_key ? xstrdup(seg->now.last_key) : NULL;
    page->origin =
        (struct append_origin){.generation = w->now.generation, .segment = seg->now.segment};
}

static int64_t ask(struct page *page)
{
    struct table_worker *w = page->w;
    struct ddb_scan scan = {
        .table = w->table,
        .segment = page->seg->now.segment,
        .total_segments = w->segment_count,
        .limit = config_int(w->p->config, "qps.full.batch_num"),
    };
    size_t reserved = page->seg->answer_bytes, actual;
    struct error err;
    int64_t delay;

    page->ticket = barrier_page_asked(w->barrier); /* before the position is read */
    read_start(page);
    scan.start_key = bytes_of(page->start_key);
    if (ddb_scan_page(&page->answer, page->local->client, &scan, &err) < 0) {
        delay = page_failed(page, &err);
        limits_return(w->p->limits, LIMITS_SCAN, reserved);
    } else {
        actual = page->answer.body.cap;
        limits_settle(w->p->limits, LIMITS_SCAN, reserved, actual);
        page->seg->answer_bytes = MAX(actual, 65536);
        delay = page_arrived(page);
        http_answer_release(&page->answer);
        limits_return(w->p->limits, LIMITS_SCAN, actual);
    }
    barrier_page_dropped(w->barrier, page->ticket); /* nothing, when it was appended */
    return delay;
}

static int64_t scan_once(struct segment *seg, void *local)
{
    struct table_worker *w = seg->worker;
    struct page page = {.w = w, .seg = seg, .local = local};
    int64_t wait;

    if (!table_worker_runs(w))
        return STEP_END;
    wait = table_worker_pause_ms(w);
    if (wait > 0)
        return wait;
    if (seg->answer_bytes == 0)
        seg->answer_bytes = FIRST_PAGE_BYTES;
    if (!limits_reserve(w->p->limits, LIMITS_SCAN, seg->answer_bytes))
        return NO_BUDGET_MS;
    wait = limits_scan_wait_ms(w->p->limits, clock_mono_ms());
    if (wait > 0) {
        limits_return(w->p->limits, LIMITS_SCAN, seg->answer_bytes);
        return wait;
    }
    wait = ask(&page);
    free(page.start_key);
    return wait;
}

/* Its health ends with it, while nobody can start it again. */
static int64_t segment_step(void *arg, void *local)
{
    struct segment *seg = arg;
    int64_t delay = scan_once(seg, local);

    if (delay == STEP_END)
        health_remove(TAKE(seg->health));
    return delay;
}

static void segment_ended(void *arg)
{
    struct segment *seg = arg;

    table_worker_unref(seg->worker);
}

static struct health *segment_health(struct table_worker *w, const struct segment *seg)
{
    AUTO(free_charp) char *name = xasprintf("segment %s/%" PRId64, w->table, seg->now.segment);

    return health_get(name, STUCK_MS);
}

void segment_start(struct table_worker *w, struct segment *seg)
{
    if (seg->now.done || seg->step.active)
        return;
    seg->worker = w;
    seg->health = segment_health(w, seg);
    seg->step.run = segment_step;
    seg->step.ended = segment_ended;
    seg->step.arg = seg;
    table_worker_schedule(w, &seg->step, 0);
}
