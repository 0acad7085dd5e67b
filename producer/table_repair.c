#include "producer/table_repair.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/mutation.h"
#include "common/run/log.h"
#include "producer/append.h"
#include "producer/repair_keys.h"
#include "producer/table_requests.h"

#define FIRST_ANSWER_BYTES (1024 * 1024)

struct table_repair {
    struct table_worker *w;
    const struct pending_signal *signal;
    struct repair_keys keys;
    uint64_t epoch;      /* of the barrier: what was appended is of it */
    size_t answer_bytes; /* what its answers need, for the budget */
    unsigned tries;
};

struct request {
    struct table_repair *r;
    struct pool_local *local;
    struct append_origin origin;
    struct http_answer answer;
    struct barrier_ticket ticket;
};

int table_repair_new(struct table_repair **ret, struct table_worker *w,
                     const struct pending_signal *p, struct error *err)
{
    AUTO(table_repair_freep) struct table_repair *r = xcalloc(1, sizeof(*r));

    r->w = w;
    r->signal = p;
    r->answer_bytes = FIRST_ANSWER_BYTES;
    if (repair_keys_init(&r->keys, &p->signal, &w->schema, err) < 0)
        return -1;
    *ret = TAKE(r);
    return 0;
}

void table_repair_free(struct table_repair *r)
{
    if (!r)
        return;
    free(r);
}

const struct pending_signal *table_repair_of(const struct table_repair *r)
{
    return r->signal;
}

/* ---- appending ---- */

static int append_items(struct request *q, struct error *err)
{
    struct table_worker *w = q->r->w;
    struct repair_keys *keys = &q->r->keys;

    for (size_t i = 0; i < keys->count; i++) {
        struct repair_key *k = &keys->keys[i];

        if (k->state == REPAIR_FOUND &&
            append_repaired_row(w, q->local, &q->origin, &k->item, err) < 0)
            return -1;
        if (k->state == REPAIR_ABSENT &&
            append_repaired_delete(w, q->local, &q->origin, &k->key, err) < 0)
            return -1;
    }
    return 0;
}

static void log_appended(const struct table_repair *r, size_t rows, size_t deletes)
{
    log_info("items are repaired",
             "table=%s signal=%s sender=%s offset=%" PRId64 " rows=%zu deletes=%zu left=%zu",
             r->w->table, r->signal->signal.id, r->signal->signal.sender, r->signal->offset,
             rows, deletes, repair_keys_count(&r->keys, REPAIR_LEFT));
}

static int append_answer(struct request *q, struct error *err)
{
    struct table_repair *r = q->r;
    size_t rows = repair_keys_count(&r->keys, REPAIR_FOUND);
    size_t deletes = repair_keys_count(&r->keys, REPAIR_ABSENT);

    if (append_items(q, err) < 0)
        return -1;
    if (repair_keys_count(&r->keys, REPAIR_LEFT) == 0 &&
        table_requests_pass(r->w, q->local, r->signal, err) < 0)
        return -1;
    repair_keys_appended(&r->keys);
    if (rows + deletes > 0)
        r->tries = 0;
    metric_add(r->w->metrics.repaired, (int64_t)(rows + deletes));
    log_appended(r, rows, deletes);
    return 0;
}

/* Under the gate. Rows and deletes are true each by itself: that some of them are committed
 * without the others is no harm. */
static int64_t append_under_gate(struct request *q)
{
    struct table_repair *r = q->r;
    struct error err;

    if (barrier_page_verdict(r->w->barrier, q->ticket) == BARRIER_STALE ||
        !table_worker_runs(r->w) || !table_requests_is_next(r->w, r->signal)) {
        repair_keys_drop(&r->keys);
        return 0;
    }
    if (append_answer(q, &err) == 0) {
        return repair_keys_count(&r->keys, REPAIR_LEFT)
                   ? ddb_error_retry_ms(DDB_THROTTLED, &r->tries)
                   : 0;
    }
    if (err.kind == ERR_ABORT)
        topic_writer_request_abort(r->w->writer, err.message);
    log_warn("repair can't be appended", "table=%s signal=%s offset=%" PRId64 " reason=%s",
             r->w->table, r->signal->signal.id, r->signal->offset, err.message);
    repair_keys_drop(&r->keys);
    return ddb_error_retry_ms(DDB_BROKEN, &r->tries);
}

/* ---- asking ---- */

static int64_t failed(struct request *q, struct error *err)
{
    struct table_repair *r = q->r;
    enum ddb_error kind = ddb_client_error(q->local->client);

    repair_keys_drop(&r->keys);
    if (kind == DDB_NOT_FOUND)
        table_worker_doubt(r->w);
    if (kind == DDB_OTHER)
        return TABLE_REPAIR_REFUSED;
    if (kind == DDB_BROKEN)
        repair_keys_ask_fewer(&r->keys);
    log_warn("items will be asked for again", "table=%s signal=%s offset=%" PRId64 " reason=%s",
             r->w->table, r->signal->signal.id, r->signal->offset, err->message);
    return ddb_error_retry_ms(kind, &r->tries);
}

static int64_t arrived(struct request *q, struct error *err)
{
    struct table_repair *r = q->r;
    int64_t delay;

    q->origin.read_ms = clock_wall_ms();
    if (repair_keys_answer(&r->keys, buf_slice(&q->answer.body), err) < 0) {
        ddb_client_broken(q->local->client, "BatchGetItem", err);
        return failed(q, err);
    }
    /* Waits: the answer would have to be asked for again. */
    if (topic_writer_gate_enter(r->w->writer, &r->w->member, NULL, err) < 0) {
        repair_keys_drop(&r->keys);
        return err->kind == ERR_FENCED ? STEP_END : TOPIC_WRITER_WAIT_MS;
    }
    delay = append_under_gate(q);
    barrier_page_appended(r->w->barrier, q->ticket);
    topic_writer_gate_exit(r->w->writer);
    return delay;
}

/* Read after the ticket was taken, as a page's start: see on_aborted in table_worker.c. */
static void read_state(struct request *q)
{
    struct table_repair *r = q->r;

    if (q->ticket.epoch != r->epoch)
        repair_keys_restart(&r->keys);
    r->epoch = q->ticket.epoch;
    q->origin.signal = r->signal->offset;
    AUTO_LOCK(&r->w->lock);
    q->origin.generation = r->w->appended.now.generation;
}

static int64_t ask(struct request *q, struct error *err)
{
    struct table_repair *r = q->r;
    struct table_worker *w = r->w;
    struct bytes keys[TABLE_SIGNAL_KEYS_AT_MOST];
    size_t reserved = r->answer_bytes, actual, count;
    int64_t delay;

    q->ticket = barrier_page_asked(w->barrier); /* before the state is read */
    if (MUTATED(repair_ticket))
        barrier_page_dropped(w->barrier, q->ticket);
    read_state(q);
    count = repair_keys_ask(&r->keys, keys);
    if (ddb_items_get(&q->answer, q->local->client, w->table, keys, count, err) < 0) {
        delay = failed(q, err);
        throttle_return(w->p->throttle, THROTTLE_SCAN, reserved);
    } else {
        actual = q->answer.body.cap;
        throttle_settle(w->p->throttle, THROTTLE_SCAN, reserved, actual);
        r->answer_bytes = MAX(actual, 65536);
        delay = arrived(q, err);
        http_answer_release(&q->answer);
        throttle_return(w->p->throttle, THROTTLE_SCAN, actual);
    }
    barrier_page_dropped(w->barrier, q->ticket); /* nothing, when it was appended */
    table_worker_page_over(w);
    return delay;
}

int64_t table_repair_go_on(struct table_repair *r, struct pool_local *local, struct error *err)
{
    struct request q = {.r = r, .local = local};
    struct throttle *throttle = r->w->p->throttle;
    int64_t wait;

    if (!producer_reserve(r->w->p, THROTTLE_SCAN, r->answer_bytes, &r->w->requests.step))
        return ROOM_MS;
    wait = throttle_scan_wait_ms(throttle, clock_mono_ms());
    if (wait > 0) {
        throttle_return(throttle, THROTTLE_SCAN, r->answer_bytes);
        return wait;
    }
    return ask(&q, err);
}
