#include "producer/shard_reader.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/backoff.h"
#include "common/check.h"
#include "common/clock.h"
#include "common/ddb_streams.h"
#include "common/log.h"
#include "producer/appender.h"

#define FIRST_BATCH_BYTES (2 * 1024 * 1024)
#define NO_BUDGET_MS 20
#define BARRIER_WAIT_MS 2
#define EMPTY_ANSWERS                                                                          \
    3 /* so many in a row, over that time, and the shard is complete to the request */
#define EMPTY_MS 3000
#define STUCK_MS 180000 /* nothing was got from a shard for that long: not healthy */
#define IDLE_RECORD_MS (10 * 60 * 1000) /* an idle shard's record is renewed that often */

struct shard_reader { /* of its step, but for what shard points to */
    struct table_worker *w;
    struct tree_shard *shard;
    struct step step;
    struct health *health; /* while the step is active */
    char *iterator;
    uint64_t iterator_epoch; /* an abort takes the position back, and an older iterator would
                                skip what has to be read again */
    bool from_horizon; /* the position was trimmed: read from the start, drop what was appended
                          before */
    unsigned tries;
    unsigned empty;
    int64_t flowed_ms;   /* wall clock: when the last answer with records came, or the first
                            request */
    size_t answer_bytes; /* what its answers need, for the budget */

    bool holds; /* a batch that was received and not appended yet */
    struct http_answer answer;
    size_t held_bytes;
    struct barrier_ticket ticket;
    struct append_origin origin;
    int64_t asked_ms; /* wall clock */
};

struct batch { /* one append of the held answer */
    struct shard_reader *r;
    struct pool_local *local;
    char *position; /* drop numbers up to it; "" for none */
    struct bytes last;
    int64_t records;
    int64_t source_ms;
};

static void drop_answer(struct shard_reader *r)
{
    if (!r->holds)
        return;
    r->holds = false;
    http_answer_release(&r->answer);
    limits_return(r->w->p->limits, LIMITS_STREAM, r->held_bytes);
}

static void drop_iterator(struct shard_reader *r)
{
    free(TAKE(r->iterator));
}

static int64_t retry_ms(struct shard_reader *r)
{
    struct backoff b;

    backoff_init(&b, 50, 10000, NULL, NULL);
    b.tries = r->tries++;
    return MAX(backoff_next_ms(&b), 1);
}

/* ---- appending ---- */

static int each_record(void *arg, const struct ddb_record *rec, struct error *err)
{
    struct batch *b = arg;

    if (b->position[0] && sequence_compare(rec->sequence, bytes_of(b->position)) <= 0)
        return 0; /* read again after the horizon */
    if (append_change(b->r->w, b->local, &b->r->origin, rec, err) < 0)
        return -1;
    b->last = rec->sequence;
    b->records++;
    if (rec->created_ms > 0)
        b->source_ms = rec->created_ms;
    return 0;
}

/* Several empty answers: the shard is complete up to the last request, which the ledger learns
 * now and then. */
static bool idle_record_is_due(const struct shard_reader *r)
{
    const struct ledger_shard *s = &r->shard->now;

    return r->empty + 1 >= EMPTY_ANSWERS && r->asked_ms - r->flowed_ms >= EMPTY_MS &&
           (r->asked_ms - s->updated_ms > IDLE_RECORD_MS || s->status != SHARD_IN_PROCESSING);
}

/* Moves the shard's position and appends its record, if there is something to say. */
static int append_position(struct batch *b, bool closed, struct error *err)
{
    struct shard_reader *r = b->r;
    struct table_worker *w = r->w;
    struct tree_shard *s = r->shard;
    AUTO(ledger_shard_release) struct ledger_shard copy = {0};
    int64_t now = clock_wall_ms();
    bool idle = b->records == 0 && idle_record_is_due(r);

    if (b->records == 0 && !closed && !idle)
        return 0;
    pthread_mutex_lock(&w->lock);
    if (b->records > 0)
        shard_advance(s, b->last, b->records, b->source_ms, now);
    if (idle)
        shard_idle(s, r->asked_ms, now);
    if (closed)
        shard_finish(s, now);
    s->recorded = true;
    copy = s->now;
    copy.id = xstrdup(s->now.id);
    copy.parent = xstrdup(s->now.parent);
    copy.sequence = xstrdup(s->now.sequence);
    pthread_mutex_unlock(&w->lock);
    return append_ledger_shard(w, b->local, &copy, err);
}

static int append_batch(struct batch *b, bool *ret_closed, struct error *err)
{
    struct shard_reader *r = b->r;
    struct bytes next;

    if (ddb_records_each(buf_slice(&r->answer.body), &r->w->schema, each_record, b, &next,
                         err) < 0)
        return -1;
    *ret_closed = next.len == 0;
    if (append_position(b, *ret_closed, err) < 0)
        return -1;
    drop_iterator(r);
    if (!*ret_closed)
        r->iterator = bytes_dup(next);
    r->empty = b->records ? 0 : r->empty + 1;
    if (b->records)
        r->flowed_ms = r->origin.read_ms;
    metric_add(r->w->metrics.changes, b->records);
    return 0;
}

static int64_t next_poll_ms(const struct shard_reader *r)
{
    const struct config *c = r->w->p->config;

    return config_int(c, r->empty ? "shard.idle.poll.ms" : "shard.poll.ms");
}

/* Under the gate. */
static int64_t append_held(struct shard_reader *r, struct pool_local *local)
{
    struct batch b = {.r = r, .local = local};
    struct error err;
    bool closed = false;
    int result;

    if (barrier_change_verdict(r->w->barrier, r->ticket) == BARRIER_STALE) {
        drop_iterator(r);
        return 0;
    }
    pthread_mutex_lock(&r->w->lock);
    b.position = xstrdup(r->shard->now.sequence);
    pthread_mutex_unlock(&r->w->lock);
    result = append_batch(&b, &closed, &err);
    free(b.position);
    if (result == 0) {
        health_alive(r->health);
        r->tries = 0;
        r->from_horizon = false;
        if (!closed)
            return next_poll_ms(r);
        step_wake(r->w->p->pool, &r->w->control); /* children may start */
        return STEP_END;
    }
    if (b.records > 0 || err.kind == ERR_ABORT)
        topic_writer_fail(r->w->writer, err.message); /* half a batch must never be committed */
    log_warn("changes can't be appended", "table=%s shard=%s reason=%s", r->w->table,
             r->shard->now.id, err.message);
    drop_iterator(r);
    return retry_ms(r);
}

/* An answer without records that leaves nothing to append needs no gate: only the iterator
 * moves on. */
static bool pass_empty_answer(struct shard_reader *r)
{
    struct bytes object = buf_slice(&r->answer.body), records, next;

    if (!json_member(object, "Records", &records) || !bytes_is(records, "[]") ||
        !json_member(object, "NextShardIterator", &next) || next.len <= 2 || next.p[0] != '"' ||
        idle_record_is_due(r))
        return false;
    drop_iterator(r);
    r->iterator = xstrndup(next.p + 1, next.len - 2);
    r->empty++;
    r->tries = 0;
    return true;
}

static int64_t try_append(struct shard_reader *r, struct pool_local *local)
{
    struct error err;
    int64_t delay;

    if (barrier_change_verdict(r->w->barrier, r->ticket) == BARRIER_WAIT)
        return BARRIER_WAIT_MS;
    if (topic_writer_enter(r->w->writer, &r->w->member, &r->step, &err) < 0) {
        if (err.kind == ERR_RETRY) /* the answer waits */
            return TOPIC_WRITER_WAIT_MS;
        drop_answer(r);
        return STEP_END;
    }
    delay = append_held(r, local);
    topic_writer_exit(r->w->writer);
    drop_answer(r);
    return delay;
}

/* ---- asking ---- */

static int64_t gap(struct shard_reader *r, const char *why)
{
    AUTO(free_charp) char *reason = xasprintf("shard %s: %s", r->shard->now.id, why);

    table_worker_fail(r->w, PHASE_GAP, reason);
    return STEP_END;
}

/* 0: there is an iterator; else how the step goes on (STEP_END, or a delay above 0). */
static int64_t ensure_iterator(struct shard_reader *r, struct pool_local *local)
{
    struct table_worker *w = r->w;
    AUTO(free_charp) char *after = NULL;
    AUTO(free_charp) char *arn = NULL;
    int64_t complete_to;
    struct error err;
    bool ready;

    if (r->iterator)
        return 0;
    /* Before the position is read: see on_aborted. */
    r->iterator_epoch = barrier_change_asked(w->barrier).epoch;
    pthread_mutex_lock(&w->lock);
    ready = shard_is_ready(&w->tree, r->shard);
    complete_to = shard_complete_to(&w->tree, r->shard);
    if (r->shard->now.sequence[0] && !r->from_horizon)
        after = xstrdup(r->shard->now.sequence);
    arn = xstrdup(w->now.stream_arn);
    pthread_mutex_unlock(&w->lock);
    if (!ready)
        return STEP_END; /* an abort took its parent back: started again when that is done */
    if (complete_to < clock_wall_ms() - SHARD_GAP_MS)
        return gap(r, "its position is older than 23 h: changes may be lost");
    if (ddb_shard_iterator(&r->iterator, local->client, arn, r->shard->now.id, after, &err) ==
        0)
        return 0;
    switch (ddb_client_error(local->client)) {
    case DDB_TRIMMED:
        r->from_horizon = true;
        return after ? 1 : retry_ms(r);
    case DDB_NOT_FOUND:
        return gap(r, "it does not exist on the stream any more");
    default:
        log_warn("iterator will be asked for again", "table=%s shard=%s reason=%s", w->table,
                 r->shard->now.id, err.message);
        return retry_ms(r);
    }
}

static int64_t records_failed(struct shard_reader *r, struct pool_local *local,
                              struct error *err)
{
    drop_iterator(r);
    switch (ddb_client_error(local->client)) {
    case DDB_EXPIRED_ITERATOR:
        return r->tries++ ? retry_ms(r) : 0;
    case DDB_TRIMMED:
        r->from_horizon = true;
        return retry_ms(r);
    case DDB_NOT_FOUND: /* the iterator's answer will tell */
        return retry_ms(r);
    default:
        log_warn("changes will be asked for again", "table=%s shard=%s reason=%s", r->w->table,
                 r->shard->now.id, err->message);
        return retry_ms(r);
    }
}

static int64_t ask(struct shard_reader *r, struct pool_local *local)
{
    struct table_worker *w = r->w;
    struct error err;

    r->ticket = barrier_change_asked(w->barrier);
    if (r->ticket.epoch != r->iterator_epoch) {
        limits_return(w->p->limits, LIMITS_STREAM, r->answer_bytes);
        drop_iterator(r);
        return 0;
    }
    r->asked_ms = clock_wall_ms();
    if (r->flowed_ms == 0)
        r->flowed_ms = r->asked_ms;
    if (ddb_get_records(&r->answer, local->client, r->iterator,
                        config_int(w->p->config, "qps.incr.batch_num"), &err) < 0) {
        limits_return(w->p->limits, LIMITS_STREAM, r->answer_bytes);
        return records_failed(r, local, &err);
    }
    barrier_change_received(w->barrier, &r->ticket);
    r->holds = true;
    r->held_bytes = r->answer.body.cap;
    limits_settle(w->p->limits, LIMITS_STREAM, r->answer_bytes, r->held_bytes);
    r->answer_bytes = MAX(r->held_bytes, 65536);
    r->origin.read_ms = clock_wall_ms();
    if (pass_empty_answer(r)) {
        drop_answer(r);
        health_alive(r->health);
        return next_poll_ms(r);
    }
    return try_append(r, local);
}

static int64_t read_once(struct shard_reader *r, void *local)
{
    struct table_worker *w = r->w;
    int64_t delay;

    if (!table_worker_runs(w)) {
        drop_answer(r);
        drop_iterator(r);
        return STEP_END;
    }
    if (r->holds)
        return try_append(r, local);
    delay = table_worker_pause_ms(w);
    if (delay > 0)
        return delay;
    delay = ensure_iterator(r, local);
    if (delay != 0)
        return delay;
    if (!limits_reserve(w->p->limits, LIMITS_STREAM, r->answer_bytes))
        return NO_BUDGET_MS;
    delay = limits_stream_wait_ms(w->p->limits, clock_mono_ms());
    if (delay > 0) {
        limits_return(w->p->limits, LIMITS_STREAM, r->answer_bytes);
        return delay;
    }
    return ask(r, local);
}

/* Its health ends with it, while nobody can start it again. */
static int64_t reader_step(void *arg, void *local)
{
    struct shard_reader *r = arg;
    int64_t delay = read_once(r, local);

    if (delay == STEP_END)
        health_remove(TAKE(r->health));
    return delay;
}

static void reader_ended(void *arg)
{
    struct shard_reader *r = arg;

    table_worker_unref(r->w);
}

static struct health *reader_health(struct table_worker *w, const struct tree_shard *s)
{
    AUTO(free_charp) char *name = xasprintf("shard %s/%s", w->table, s->now.id);

    return health_get(name, STUCK_MS);
}

void shard_reader_start(struct table_worker *w, struct tree_shard *s)
{
    struct shard_reader *r = s->reader;

    if (!r) {
        r = xcalloc(1, sizeof(*r));
        r->w = w;
        r->shard = s;
        r->answer_bytes = FIRST_BATCH_BYTES;
        s->reader = r;
    }
    if (r->step.active)
        return;
    r->origin =
        (struct append_origin){.generation = w->now.generation, .shard = bytes_of(s->now.id)};
    r->health = reader_health(w, s);
    r->step.run = reader_step;
    r->step.ended = reader_ended;
    r->step.arg = r;
    table_worker_schedule(w, &r->step, 0);
}

void shard_reader_free(void *reader)
{
    struct shard_reader *r = reader;

    drop_answer(r);
    drop_iterator(r);
    free(r);
}

void shard_reader_wake(void *reader)
{
    struct shard_reader *r = reader;

    step_wake(r->w->p->pool, &r->step);
}
