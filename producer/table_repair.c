#include "producer/table_repair.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/mutation.h"
#include "common/run/log.h"
#include "producer/append.h"
#include "producer/guarded_read.h"
#include "producer/repair_keys.h"
#include "producer/request_offset.h"

#define FIRST_ANSWER_BYTES (1024 * 1024)

struct table_repair {
    struct table_worker *w;
    const struct pending_signal *signal;
    struct repair_keys keys;
    struct guarded_read read;
    struct append_origin origin;
    uint64_t epoch; /* of the barrier: what was appended is of it */
    unsigned tries;
    bool refused;        /* by the service, for good */
    struct error *error; /* of the step: why */
};

/* ---- asking ---- */

static int64_t items_ready(void *arg, struct append_context *a)
{
    (void)arg;
    (void)a;
    return GUARDED_READ_ON;
}

static int64_t items_position(void *arg, struct barrier_ticket ticket)
{
    struct table_repair *r = arg;

    if (MUTATED(repair_ticket))
        barrier_page_dropped(r->w->barrier, ticket);
    if (ticket.epoch != r->epoch)
        repair_keys_restart(&r->keys);
    r->epoch = ticket.epoch;
    r->origin = (struct append_origin){.signal = r->signal->offset};
    AUTO_LOCK(&r->w->lock);
    r->origin.generation = r->w->appended.now.generation;
    return GUARDED_READ_ON;
}

static int64_t failed(struct table_repair *r, struct append_context *a)
{
    enum ddb_error kind = ddb_client_error(a->client);

    repair_keys_drop(&r->keys);
    if (kind == DDB_NOT_FOUND)
        table_worker_doubt(r->w);
    if (kind == DDB_OTHER) {
        r->refused = true;
        return STEP_END;
    }
    if (kind == DDB_BROKEN)
        repair_keys_ask_fewer(&r->keys);
    log_warn("items will be asked for again", "table=%s signal=%s offset=%" PRId64 " reason=%s",
             r->w->table, r->signal->signal.id, r->signal->offset, r->error->message);
    return ddb_error_retry_ms(kind, &r->tries);
}

static int64_t items_request(void *arg, struct append_context *a, struct http_answer *ret)
{
    struct table_repair *r = arg;
    struct bytes keys[TABLE_SIGNAL_KEYS_AT_MOST];
    size_t count = repair_keys_ask(&r->keys, keys);

    if (ddb_items_get(ret, a->client, r->w->table, keys, count, r->error) < 0)
        return failed(r, a);
    return GUARDED_READ_ON;
}

static int64_t items_received(void *arg, struct append_context *a)
{
    struct table_repair *r = arg;

    r->origin.read_ms = clock_wall_ms();
    if (repair_keys_answer(&r->keys, buf_slice(&r->read.answer.body), r->error) == 0)
        return GUARDED_READ_ON;
    ddb_client_broken(a->client, "BatchGetItem", r->error);
    return failed(r, a);
}

/* ---- appending ---- */

static int append_items(struct table_repair *r, struct append_context *a, struct error *err)
{
    for (size_t i = 0; i < r->keys.count; i++) {
        struct repair_key *k = &r->keys.keys[i];

        if (k->state == REPAIR_FOUND && append_repaired_row(a, &r->origin, &k->item, err) < 0)
            return -1;
        if (k->state == REPAIR_ABSENT &&
            append_repaired_delete(a, &r->origin, &k->key, err) < 0)
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

static int append_answer(struct table_repair *r, struct append_context *a, struct error *err)
{
    size_t rows = repair_keys_count(&r->keys, REPAIR_FOUND);
    size_t deletes = repair_keys_count(&r->keys, REPAIR_ABSENT);

    if (append_items(r, a, err) < 0)
        return -1;
    if (repair_keys_count(&r->keys, REPAIR_LEFT) == 0 &&
        request_offset_pass(a, r->signal, err) < 0)
        return -1;
    repair_keys_appended(&r->keys);
    if (rows + deletes > 0)
        r->tries = 0;
    metric_add(r->w->metrics.repaired, (int64_t)(rows + deletes));
    log_appended(r, rows, deletes);
    return 0;
}

/* Rows and deletes are true each by itself: that some of them are committed without the others
 * is no harm. */
static int64_t items_append(void *arg, struct append_context *a)
{
    struct table_repair *r = arg;
    struct error err;

    if (!table_worker_runs(r->w) || !request_offset_is_next(r->w, r->signal)) {
        repair_keys_drop(&r->keys);
        return 0;
    }
    if (append_answer(r, a, &err) == 0) {
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

static void items_dropped(void *arg)
{
    struct table_repair *r = arg;

    repair_keys_drop(&r->keys);
}

/* ---- a repair ---- */

int table_repair_new(struct table_repair **ret, struct table_worker *w,
                     const struct pending_signal *p, struct error *err)
{
    static const struct guarded_read_calls calls = {
        .ready = items_ready,
        .position = items_position,
        .request = items_request,
        .received = items_received,
        .append = items_append,
        .dropped = items_dropped,
    };
    AUTO(table_repair_freep) struct table_repair *r = xcalloc(1, sizeof(*r));

    r->w = w;
    r->signal = p;
    r->read = (struct guarded_read){.w = w,
                                    .step = &w->requests.step,
                                    .calls = &calls,
                                    .arg = r,
                                    .use = THROTTLE_SCAN,
                                    .expected = FIRST_ANSWER_BYTES};
    if (repair_keys_init(&r->keys, &p->signal, &w->schema, err) < 0)
        return -1;
    *ret = TAKE(r);
    return 0;
}

void table_repair_free(struct table_repair *r)
{
    if (!r)
        return;
    guarded_read_end(&r->read);
    free(r);
}

const struct pending_signal *table_repair_of(const struct table_repair *r)
{
    return r->signal;
}

int64_t table_repair_go_on(struct table_repair *r, struct append_context *a, struct error *err)
{
    int64_t next;

    r->error = err;
    r->refused = false;
    next = guarded_read_step(&r->read, a);
    return r->refused ? TABLE_REPAIR_REFUSED : next;
}
