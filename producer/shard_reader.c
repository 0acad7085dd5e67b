#include "producer/shard_reader.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/dynamodb/ddb_records.h"
#include "common/dynamodb/ddb_sequence.h"
#include "common/dynamodb/ddb_stream.h"
#include "common/json/json_text.h"
#include "common/run/log.h"
#include "producer/append.h"
#include "producer/guarded_read.h"
#include "producer/shard_tip.h"

#define FIRST_BATCH_BYTES (2 * 1024 * 1024)
#define IDLE_RECORD_MS (10 * 60 * 1000) /* an idle shard's record is renewed that often */
#define IDLE_SLOWER 150 /* the pause is that part of how long nothing has come */
#define PACE_LONGEST_MS 5000

struct shard_reader { /* of its step, but for what shard points to */
    struct table_worker *w;
    struct tree_shard *shard;
    struct step step;
    struct guarded_read read;
    char *iterator;
    uint64_t iterator_epoch; /* an abort takes the position back, and an older iterator would
                                skip what has to be read again */
    bool from_horizon; /* the position was trimmed: read from the start, drop what was appended
                          before */
    unsigned tries;
    struct doubt missing; /* GetShardIterator knows no such shard */
    int64_t pace_ms;      /* its own, when it was throttled */
    struct shard_tip tip;
    struct append_origin origin;
    int64_t asked_ms; /* of the read; the service's time */
};

struct batch { /* one append of the answer in hand */
    struct shard_reader *r;
    struct append_context *a;
    char *position; /* drop numbers up to it; "" for none */
    struct bytes last;
    int64_t seen;    /* records of the answer */
    int64_t records; /* appended */
    int64_t source_ms;
};

/* A chain of iterators ends. */
static void drop_iterator(struct shard_reader *r)
{
    free(TAKE(r->iterator));
    shard_tip_chain_ends(&r->tip);
}

static int64_t retry(struct shard_reader *r, struct append_context *a, const char *what,
                     const struct error *err)
{
    AUTO(free_charp) char *text = xasprintf("%s of shard %s", what, r->shard->now.id);
    int64_t delay;

    table_worker_trouble(r->w, text, err);
    delay = ddb_error_retry_ms(ddb_client_error(a->client), &r->tries);
    return MAX(delay, 1);
}

/* ---- appending ---- */

static int each_record(void *arg, const struct ddb_record *rec, struct error *err)
{
    struct batch *b = arg;

    b->seen++;
    if (rec->created_ms > 0)
        b->source_ms = rec->created_ms;
    if (b->position[0] && ddb_sequence_compare(rec->sequence, bytes_of(b->position)) <= 0)
        return 0; /* read again after the horizon */
    if (append_change(b->a, &b->r->origin, rec, err) < 0)
        return -1;
    b->last = rec->sequence;
    b->records++;
    return 0;
}

static void note_answer(struct shard_reader *r, int64_t seen, int64_t source_ms)
{
    shard_tip_answer(&r->tip, seen, source_ms, r->asked_ms, clock_mono_ms());
}

/* The ledger learns now and then that there was nothing. */
static bool idle_record_is_due(const struct shard_reader *r)
{
    const struct ledger_shard *s = &r->shard->now;

    return r->tip.proven &&
           (r->asked_ms - s->updated_ms > IDLE_RECORD_MS || s->status != SHARD_IN_PROCESSING);
}

/* Moves the shard's position and appends its record, if there is something to say. */
static int append_position(struct batch *b, bool closed, struct error *err)
{
    struct shard_reader *r = b->r;
    struct table_worker *w = r->w;
    struct tree_shard *s = r->shard;
    struct shard_tree *t = &w->appended.tree;
    AUTO(ledger_shard_release) struct ledger_shard copy = {0};
    int64_t now = ddb_source_now_ms(w->p->source);
    bool idle = b->seen == 0 && idle_record_is_due(r);

    if (b->records == 0 && !closed && !idle)
        return 0;
    AUTO_LOCK(&w->record_lock); /* the control step may write the shard's first record */
    pthread_mutex_lock(&w->lock);
    if (b->records > 0)
        shard_advance(t, s, b->last, b->records, b->source_ms, now);
    if (idle)
        shard_idle(t, s, r->asked_ms, now);
    if (closed)
        shard_finish(t, s, now);
    ledger_shard_copy(&copy, &s->now);
    pthread_mutex_unlock(&w->lock);
    return append_ledger_shard(b->a, &copy, err);
}

static int append_batch(struct batch *b, bool *ret_closed, struct error *err)
{
    struct shard_reader *r = b->r;
    struct bytes next;

    if (ddb_records_each(buf_slice(&r->read.answer.body), &r->w->schema, each_record, b, &next,
                         err) < 0)
        return -1;
    *ret_closed = next.len == 0;
    note_answer(r, b->seen, b->source_ms);
    if (append_position(b, *ret_closed, err) < 0)
        return -1;
    free(TAKE(r->iterator));
    if (!*ret_closed)
        r->iterator = bytes_dup(next);
    metric_add(r->w->metrics.changes, b->records);
    return 0;
}

/* After the last record the pause grows to that of an idle shard within twice its length, so
 * that a change that follows on another is not late by it; then, over minutes, to the longest.
 * A little less at random: changes that come in step with the reads would all be late. */
static int64_t idle_poll_ms(const struct shard_reader *r, int64_t idle_ms)
{
    const struct config *c = r->w->p->config;
    int64_t flowing = config_int(c, "shard.poll.ms"),
            idle = config_int(c, "shard.idle.poll.ms");
    int64_t longest = MAX(config_int(c, "shard.idle.poll.max.ms"), idle), pause;

    pause = MAX(MIN(idle_ms / 2, idle), MIN(idle, flowing));
    pause = MAX(pause, MIN(idle_ms / IDLE_SLOWER, longest));
    return pause - rand() % (pause / 4 + 1);
}

/* A throttled shard has its own pace. */
static int64_t next_poll_ms(struct shard_reader *r)
{
    int64_t poll = config_int(r->w->p->config, "shard.poll.ms");

    if (r->tip.idle_ms > 0)
        poll = idle_poll_ms(r, clock_mono_ms() - r->tip.idle_ms);
    r->pace_ms -= (r->pace_ms + 63) / 64;
    return MAX(poll, r->pace_ms);
}

/* A late listing may have shown that something has to be read before it. */
static bool read_position(struct shard_reader *r, char **ret)
{
    AUTO_LOCK(&r->w->lock);
    *ret = xstrdup(r->shard->now.sequence);
    return shard_is_ready(&r->w->appended.tree, r->shard);
}

static int64_t not_appended(struct batch *b, struct error *err)
{
    struct shard_reader *r = b->r;

    if (b->records > 0 || err->kind == ERR_ABORT)
        topic_writer_request_abort(r->w->writer,
                                   err->message); /* half a batch is never committed */
    drop_iterator(r);
    return retry(r, b->a, "appending changes", err);
}

static int64_t shard_closed(struct shard_reader *r)
{
    step_wake(r->w->p->pool, &r->w->control); /* children that are known may start */
    step_wake(r->w->p->pool, &r->w->look.step);
    return STEP_END;
}

/* Proof that it is idle, unless something of it waits for its commit. */
static void nothing_came(struct shard_reader *r)
{
    AUTO_LOCK(&r->w->lock);
    if (!r->shard->dirty)
        r->shard->progress_ms = clock_mono_ms();
}

static int64_t changes_append(void *arg, struct append_context *a)
{
    struct shard_reader *r = arg;
    struct batch b = {.r = r, .a = a};
    AUTO(free_charp) char *position = NULL;
    struct error err;
    bool closed = false;

    if (!read_position(r, &position)) {
        drop_iterator(r);
        return STEP_END;
    }
    b.position = position;
    if (append_batch(&b, &closed, &err) < 0)
        return not_appended(&b, &err);
    r->tries = 0;
    r->from_horizon = r->from_horizon && b.seen > 0 && b.records == 0; /* not there yet */
    if (b.records == 0)
        nothing_came(r); /* new, at least */
    return closed ? shard_closed(r) : next_poll_ms(r);
}

/* They have to be read again, from where an abort went back to. */
static void changes_dropped(void *arg)
{
    drop_iterator(arg);
}

/* ---- asking ---- */

/* An answer without records that leaves nothing to append needs no gate: only the iterator
 * moves on. */
static bool pass_empty_answer(struct shard_reader *r)
{
    struct bytes object = buf_slice(&r->read.answer.body), records, next;

    if (!json_member(object, "Records", &records) || !bytes_is(records, "[]") ||
        !json_member(object, "NextShardIterator", &next) || next.len <= 2 || next.p[0] != '"')
        return false;
    note_answer(r, 0, 0);
    if (idle_record_is_due(r))
        return false;
    free(TAKE(r->iterator));
    r->iterator = xstrndup(next.p + 1, next.len - 2);
    r->tries = 0;
    return true;
}

static int64_t gap(struct shard_reader *r, const char *why)
{
    AUTO(free_charp) char *reason = xasprintf("shard %s: %s", r->shard->now.id, why);

    table_worker_halt(r->w, PHASE_GAP, reason);
    return STEP_END;
}

/* It may be that the answer lags: asked again, and the stream is described meanwhile. */
static int64_t is_missing(struct shard_reader *r, struct append_context *a,
                          const struct error *err)
{
    struct table_worker *w = r->w;
    int64_t doubt_ms = config_int(w->p->config, "source.doubt.ms");
    bool proven = doubt_said(&r->missing, "missing", clock_mono_ms(), doubt_ms);

    retry(r, a, "an iterator", err);
    pthread_mutex_lock(&w->lock);
    proven = proven && w->look.stream_seen_ms > r->missing.since_ms;
    w->look.wants_list = true;
    step_wake(w->p->pool, &w->look.step);
    pthread_mutex_unlock(&w->lock);
    if (proven)
        return gap(r, "it does not exist on the stream any more");
    return doubt_again_ms(&r->missing, doubt_ms);
}

struct start { /* where an iterator begins */
    char *arn;
    char *after; /* NULL: at the horizon */
    int64_t complete_to;
};

static void start_release(struct start *s)
{
    free(s->arn);
    free(s->after);
}

/* False: not yet, or not any more: an abort took its parent back, or a late one was listed. It
 * is started again when that is done. */
static bool read_start(struct shard_reader *r, struct start *ret)
{
    struct table_worker *w = r->w;
    const struct shard_tree *t = &w->appended.tree;

    /* Before the position is read: see on_aborted. */
    r->iterator_epoch = barrier_change_asked(w->barrier).epoch;
    AUTO_LOCK(&w->lock);
    ret->complete_to = shard_complete_to(t, r->shard);
    if (r->shard->now.sequence[0] && !r->from_horizon)
        ret->after = xstrdup(r->shard->now.sequence);
    ret->arn = xstrdup(w->appended.now.stream_arn);
    return shard_is_ready(t, r->shard);
}

/* GUARDED_READ_ON: there is an iterator. */
static int64_t ensure_iterator(struct shard_reader *r, struct append_context *a)
{
    AUTO(start_release) struct start start = {0};
    struct error err;

    if (r->iterator)
        return GUARDED_READ_ON;
    if (!read_start(r, &start))
        return STEP_END;
    if (start.complete_to < ddb_source_now_ms(r->w->p->source) - SHARD_GAP_MS)
        return gap(r, "its position is older than 23 h: changes may be lost");
    if (ddb_stream_iterator(&r->iterator, a->client, start.arn, r->shard->now.id, start.after,
                            &err) == 0) {
        doubt_clear(&r->missing);
        return GUARDED_READ_ON;
    }
    switch (ddb_client_error(a->client)) {
    case DDB_TRIMMED:
        r->from_horizon = true;
        return start.after ? 0 : retry(r, a, "an iterator", &err);
    case DDB_NOT_FOUND:
        return is_missing(r, a, &err);
    default:
        return retry(r, a, "an iterator", &err);
    }
}

/* An iterator stays good when its request was not answered: it is asked with again. */
static int64_t records_failed(struct shard_reader *r, struct append_context *a,
                              struct error *err)
{
    int64_t slower = 2 * next_poll_ms(r);

    switch (ddb_client_error(a->client)) {
    case DDB_THROTTLED:
        slower = MAX(r->pace_ms * 3 / 2, slower);
        r->pace_ms = MIN(slower, PACE_LONGEST_MS);
        log_debug("shard is throttled", "table=%s shard=%s pace_ms=%" PRId64, r->w->table,
                  r->shard->now.id, r->pace_ms);
        return r->pace_ms;
    case DDB_BROKEN:
    case DDB_DENIED:
        return retry(r, a, "changes", err);
    case DDB_EXPIRED_ITERATOR:
        drop_iterator(r);
        return r->tries++ ? ddb_error_retry_ms(DDB_BROKEN, &r->tries) : 0;
    case DDB_TRIMMED:
        r->from_horizon = true;
        break;
    default: /* DDB_NOT_FOUND: the iterator's answer will tell */
        break;
    }
    drop_iterator(r);
    return retry(r, a, "changes", err);
}

static int64_t changes_ready(void *arg, struct append_context *a)
{
    struct shard_reader *r = arg;
    int64_t pause = table_worker_pause_ms(r->w);

    return pause > 0 ? pause : ensure_iterator(r, a);
}

static int64_t changes_position(void *arg, struct barrier_ticket ticket)
{
    struct shard_reader *r = arg;

    if (ticket.epoch != r->iterator_epoch) {
        drop_iterator(r);
        return 0;
    }
    r->asked_ms = ddb_source_now_ms(r->w->p->source);
    return GUARDED_READ_ON;
}

static int64_t changes_request(void *arg, struct append_context *a, struct http_answer *ret)
{
    struct shard_reader *r = arg;
    int64_t limit = config_int(r->w->p->config, "qps.incr.batch_num");
    struct error err;

    if (ddb_records_get(ret, a->client, r->iterator, limit, &err) < 0)
        return records_failed(r, a, &err);
    return GUARDED_READ_ON;
}

static int64_t changes_received(void *arg, struct append_context *a)
{
    struct shard_reader *r = arg;

    (void)a;
    r->origin.read_ms = clock_wall_ms();
    if (!pass_empty_answer(r))
        return GUARDED_READ_ON;
    nothing_came(r);
    return next_poll_ms(r);
}

/* ---- the step ---- */

static int64_t reader_step(void *arg, void *context)
{
    struct shard_reader *r = arg;

    if (!table_worker_runs(r->w)) {
        guarded_read_end(&r->read);
        drop_iterator(r);
        return STEP_END;
    }
    return guarded_read_step(&r->read, table_worker_context(r->w, context));
}

static void reader_ended(void *arg)
{
    struct shard_reader *r = arg;

    table_worker_part_ended(r->w);
}

static struct shard_reader *reader_new(struct table_worker *w, struct tree_shard *s)
{
    static const struct guarded_read_calls calls = {
        .ready = changes_ready,
        .position = changes_position,
        .request = changes_request,
        .received = changes_received,
        .append = changes_append,
        .dropped = changes_dropped,
    };
    struct shard_reader *r = xcalloc(1, sizeof(*r));

    r->w = w;
    r->shard = s;
    r->origin = (struct append_origin){.generation = w->appended.now.generation,
                                       .shard = bytes_of(s->now.id)};
    r->step = (struct step){.run = reader_step, .ended = reader_ended, .arg = r};
    r->read = (struct guarded_read){.w = w,
                                    .step = &r->step,
                                    .calls = &calls,
                                    .arg = r,
                                    .use = THROTTLE_STREAM,
                                    .expected = FIRST_BATCH_BYTES};
    return r;
}

void shard_reader_start(struct table_worker *w, struct tree_shard *s)
{
    if (!s->reader) {
        s->reader = reader_new(w, s);
        s->progress_ms = clock_mono_ms();
    }
    table_worker_part_begins(w, &((struct shard_reader *)s->reader)->step);
}

void shard_reader_free(void *reader)
{
    struct shard_reader *r = reader;

    guarded_read_end(&r->read);
    drop_iterator(r);
    free(r);
}

void shard_reader_wake_all(struct table_worker *w)
{
    for (struct tree_shard *s = w->appended.tree.shards; s; s = s->hh.next)
        if (s->reader)
            step_wake(w->p->pool, &((struct shard_reader *)s->reader)->step);
}
