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

static int64_t items_position(void *arg, struct barrier_ticket ticket)
{
    struct table_repair *repair = arg;

    if (MUTATED(repair_ticket))
        barrier_page_dropped(repair->w->barrier, ticket);
    if (ticket.epoch != repair->epoch)
        repair_keys_restart(&repair->keys);
    repair->epoch = ticket.epoch;
    repair->origin = (struct append_origin){.signal = repair->signal->offset};
    AUTO_LOCK(&repair->w->lock);
    repair->origin.generation = repair->w->appended.now.generation;
    return GUARDED_READ_ON;
}

static int64_t failed(struct table_repair *repair, struct append_context *a)
{
    enum ddb_error kind = ddb_client_error(a->client);

    repair_keys_drop(&repair->keys);
    if (kind == DDB_NOT_FOUND)
        table_worker_doubt(repair->w);
    if (kind == DDB_OTHER) {
        repair->refused = true;
        return STEP_END;
    }
    if (kind == DDB_BROKEN)
        repair_keys_ask_fewer(&repair->keys);
    log_warn("items will be asked for again", "table=%s signal=%s offset=%" PRId64 " reason=%s",
             repair->w->table, repair->signal->signal.id, repair->signal->offset,
             repair->error->message);
    return ddb_error_retry_ms(kind, &repair->tries);
}

static int64_t items_request(void *arg, struct append_context *a, struct http_answer *ret)
{
    struct table_repair *repair = arg;
    struct bytes keys[TABLE_SIGNAL_KEYS_AT_MOST];
    size_t count = repair_keys_ask(&repair->keys, keys);

    if (ddb_items_get(ret, a->client, repair->w->table, keys, count, repair->error) < 0)
        return failed(repair, a);
    return GUARDED_READ_ON;
}

static int64_t items_received(void *arg, struct append_context *a)
{
    struct table_repair *repair = arg;

    repair->origin.read_ms = clock_wall_ms();
    if (repair_keys_answer(&repair->keys, buf_slice(&repair->read.answer.body),
                           repair->error) == 0)
        return GUARDED_READ_ON;
    ddb_client_broken(a->client, "BatchGetItem", repair->error);
    return failed(repair, a);
}

/* ---- appending ---- */

static int append_items(struct table_repair *repair, struct append_context *a,
                        struct error *err)
{
    for (size_t i = 0; i < repair->keys.count; i++) {
        struct repair_key *key = &repair->keys.keys[i];

        if (key->state == REPAIR_FOUND &&
            append_repaired_row(a, &repair->origin, &key->item, err) < 0)
            return -1;
        if (key->state == REPAIR_ABSENT &&
            append_repaired_delete(a, &repair->origin, &key->key, err) < 0)
            return -1;
    }
    return 0;
}

static void log_appended(const struct table_repair *repair, size_t rows, size_t deletes)
{
    log_info("items are repaired",
             "table=%s signal=%s sender=%s offset=%" PRId64 " rows=%zu deletes=%zu left=%zu",
             repair->w->table, repair->signal->signal.id, repair->signal->signal.sender,
             repair->signal->offset, rows, deletes,
             repair_keys_count(&repair->keys, REPAIR_LEFT));
}

static int append_answer(struct table_repair *repair, struct append_context *a,
                         struct error *err)
{
    size_t rows = repair_keys_count(&repair->keys, REPAIR_FOUND);
    size_t deletes = repair_keys_count(&repair->keys, REPAIR_ABSENT);

    if (append_items(repair, a, err) < 0)
        return -1;
    if (repair_keys_count(&repair->keys, REPAIR_LEFT) == 0 &&
        request_offset_pass(a, repair->signal, err) < 0)
        return -1;
    repair_keys_appended(&repair->keys);
    if (rows + deletes > 0)
        repair->tries = 0;
    metric_add(repair->w->metrics.repaired, (int64_t)(rows + deletes));
    log_appended(repair, rows, deletes);
    return 0;
}

/* The repair holds its generation; should there be another, nothing is appended to it. */
static bool is_of_this_generation(const struct table_repair *repair)
{
    AUTO_LOCK(&repair->w->lock);
    return repair->origin.generation == repair->w->appended.now.generation;
}

static bool may_be_appended(const struct table_repair *repair)
{
    return table_worker_runs(repair->w) && is_of_this_generation(repair) &&
           request_offset_is_next(repair->w, repair->signal);
}

/* Rows and deletes are true each by itself: that some of them are committed without the others
 * is no harm. */
static int64_t items_append(void *arg, struct append_context *a)
{
    struct table_repair *repair = arg;
    struct error err;

    if (!may_be_appended(repair)) {
        repair_keys_drop(&repair->keys);
        return 0;
    }
    if (append_answer(repair, a, &err) == 0) {
        return repair_keys_count(&repair->keys, REPAIR_LEFT)
                   ? ddb_error_retry_ms(DDB_THROTTLED, &repair->tries)
                   : 0;
    }
    if (err.kind == ERR_ABORT)
        topic_writer_request_abort(repair->w->writer, err.message);
    log_warn("repair can't be appended", "table=%s signal=%s offset=%" PRId64 " reason=%s",
             repair->w->table, repair->signal->signal.id, repair->signal->offset, err.message);
    repair_keys_drop(&repair->keys);
    return ddb_error_retry_ms(DDB_BROKEN, &repair->tries);
}

static void items_dropped(void *arg)
{
    struct table_repair *repair = arg;

    repair_keys_drop(&repair->keys);
}

/* ---- a repair ---- */

int table_repair_new(struct table_repair **ret, struct table_worker *w,
                     const struct pending_signal *pending, struct error *err)
{
    static const struct guarded_read_calls calls = {
        .position = items_position,
        .request = items_request,
        .received = items_received,
        .append = items_append,
        .dropped = items_dropped,
    };
    AUTO(table_repair_freep) struct table_repair *repair = NULL;

    *ret = NULL;
    if (!table_worker_hold_generation(w))
        return 0;
    repair = xcalloc(1, sizeof(*repair));
    repair->w = w;
    repair->signal = pending;
    repair->read = (struct guarded_read){.w = w,
                                         .step = &w->requests.step,
                                         .calls = &calls,
                                         .arg = repair,
                                         .use = THROTTLE_SCAN,
                                         .expected = FIRST_ANSWER_BYTES};
    if (repair_keys_init(&repair->keys, &pending->signal, &w->schema, err) < 0)
        return -1;
    *ret = TAKE(repair);
    return 0;
}

void table_repair_free(struct table_repair *repair)
{
    if (!repair)
        return;
    guarded_read_end(&repair->read);
    table_worker_release_generation(repair->w);
    free(repair);
}

const struct pending_signal *table_repair_of(const struct table_repair *repair)
{
    return repair->signal;
}

int64_t table_repair_go_on(struct table_repair *repair, struct append_context *a,
                           struct error *err)
{
    int64_t next;

    repair->error = err;
    repair->refused = false;
    next = guarded_read_step(&repair->read, a);
    return repair->refused ? TABLE_REPAIR_REFUSED : next;
}

void table_repair_pause(struct table_repair *repair)
{
    if (repair)
        guarded_read_end(&repair->read);
}
