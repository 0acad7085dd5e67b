#include "producer/shard_reader.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/base/mutation.h"
#include "common/dynamodb/ddb_records.h"
#include "common/dynamodb/ddb_sequence.h"
#include "common/dynamodb/ddb_stream.h"
#include "common/json/json_text.h"
#include "common/run/log.h"
#include "producer/append.h"
#include "producer/guarded_read.h"
#include "producer/shard_tip.h"
#include "producer/topic_writer_commit.h"

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
static void drop_iterator(struct shard_reader *reader)
{
    free(TAKE(reader->iterator));
    shard_tip_chain_ends(&reader->tip);
}

static int64_t retry(struct shard_reader *reader, struct append_context *a, const char *what,
                     const struct error *err)
{
    AUTO(free_charp) char *text = xasprintf("%s of shard %s", what, reader->shard->now.id);
    int64_t delay;

    table_worker_trouble(reader->w, text, err);
    delay = ddb_error_retry_ms(ddb_client_error(a->client), &reader->tries);
    return MAX(delay, 1);
}

/* ---- appending ---- */

static int each_record(void *arg, const struct ddb_record *rec, struct error *err)
{
    struct batch *batch = arg;

    batch->seen++;
    if (rec->created_ms > 0)
        batch->source_ms = rec->created_ms;
    if (batch->position[0] &&
        ddb_sequence_compare(rec->sequence, bytes_of(batch->position)) <= 0)
        return 0; /* read again after the horizon */
    if (append_change(batch->a, &batch->r->origin, rec, err) < 0)
        return -1;
    batch->last = rec->sequence;
    batch->records++;
    return 0;
}

static void note_answer(struct shard_reader *reader, int64_t seen, int64_t source_ms)
{
    shard_tip_answer(&reader->tip, seen, source_ms, reader->asked_ms, clock_mono_ms());
}

/* Somebody waits to hear that it is read past the time at which he asked. */
static bool report_is_due(const struct shard_reader *reader)
{
    int64_t asked_for = atomic_load(&reader->w->report_ms);

    return asked_for > 0 && reader->shard->now.complete_to_ms <= asked_for &&
           shard_tip_complete_to(reader->asked_ms) > asked_for;
}

/* The ledger learns now and then that there was nothing. */
static bool idle_record_is_due(const struct shard_reader *reader)
{
    const struct ledger_shard *shard_record = &reader->shard->now;

    return reader->tip.proven &&
           (reader->asked_ms - shard_record->updated_ms > IDLE_RECORD_MS ||
            shard_record->status != SHARD_IN_PROCESSING || report_is_due(reader));
}

/* Moves the shard's position and appends its record, if there is something to say. */
static int append_position(struct batch *batch, bool closed, struct error *err)
{
    struct shard_reader *reader = batch->r;
    struct table_worker *w = reader->w;
    struct tree_shard *shard = reader->shard;
    struct shard_tree *tree = &w->appended.tree;
    AUTO(ledger_shard_release) struct ledger_shard copy = {0};
    int64_t now = ddb_source_now_ms(w->p->source);
    bool idle = !closed && batch->seen == 0 && idle_record_is_due(reader);

    if (batch->records == 0 && !closed && !idle)
        return 0;
    if (idle && report_is_due(reader))
        topic_writer_commit_soon(w->writer);
    AUTO_LOCK(&w->record_lock); /* the control step may write the shard's first record */
    pthread_mutex_lock(&w->lock);
    if (batch->records > 0)
        shard_advance(tree, shard, batch->last, batch->records, batch->source_ms, now);
    if (idle)
        shard_idle(tree, shard, shard_tip_complete_to(reader->asked_ms), now);
    if (closed)
        shard_finish(tree, shard, now);
    ledger_shard_copy(&copy, &shard->now);
    pthread_mutex_unlock(&w->lock);
    return append_ledger_shard(batch->a, &copy, err);
}

static int append_batch(struct batch *batch, bool *ret_closed, struct error *err)
{
    struct shard_reader *reader = batch->r;
    struct bytes next;

    if (ddb_records_each(buf_slice(&reader->read.answer.body), &reader->w->schema, each_record,
                         batch, &next, err) < 0)
        return -1;
    *ret_closed = next.len == 0;
    note_answer(reader, batch->seen, batch->source_ms);
    if (append_position(batch, *ret_closed, err) < 0)
        return -1;
    free(TAKE(reader->iterator));
    if (!*ret_closed)
        reader->iterator = bytes_dup(next);
    metric_add(reader->w->metrics.changes, batch->records);
    return 0;
}

/* After the last record the pause grows to that of an idle shard within twice its length, so
 * that a change that follows on another is not late by it; then, over minutes, to the longest.
 * A little less at random: changes that come in step with the reads would all be late. */
static int64_t idle_poll_ms(const struct shard_reader *reader, int64_t idle_ms)
{
    const struct config *c = reader->w->p->config;
    int64_t flowing = config_int(c, "shard.poll.ms"),
            idle = config_int(c, "shard.idle.poll.ms");
    int64_t longest = MAX(config_int(c, "shard.idle.poll.max.ms"), idle), pause;

    pause = MAX(MIN(idle_ms / 2, idle), MIN(idle, flowing));
    pause = MAX(pause, MIN(idle_ms / IDLE_SLOWER, longest));
    return pause - rand() % (pause / 4 + 1);
}

/* A throttled shard has its own pace: an answer makes it an eighth faster, a refusal about
   twice as slow, so a shard that others read too settles where a fifth of the requests are
   refused, whatever its pace was. */
static int64_t next_poll_ms(struct shard_reader *reader)
{
    int64_t poll = config_int(reader->w->p->config, "shard.poll.ms");

    if (reader->tip.idle_ms > 0)
        poll = idle_poll_ms(reader, clock_mono_ms() - reader->tip.idle_ms);
    reader->pace_ms -= (reader->pace_ms + 7) / 8;
    return MAX(poll, reader->pace_ms);
}

/* A late listing may have shown that something has to be read before it. */
static bool read_position(struct shard_reader *reader, char **ret)
{
    AUTO_LOCK(&reader->w->lock);
    *ret = xstrdup(reader->shard->now.sequence);
    return shard_is_ready(&reader->w->appended.tree, reader->shard);
}

static int64_t not_appended(struct batch *batch, struct error *err)
{
    struct shard_reader *reader = batch->r;

    if (batch->records > 0 || err->kind == ERR_ABORT)
        topic_writer_request_abort(reader->w->writer,
                                   err->message); /* half a batch is never committed */
    drop_iterator(reader);
    return retry(reader, batch->a, "appending changes", err);
}

static int64_t shard_closed(struct shard_reader *reader)
{
    step_wake(reader->w->p->pool, &reader->w->control); /* children that are known may start */
    step_wake(reader->w->p->pool, &reader->w->look.step);
    return STEP_END;
}

/* Proof that it is idle, unless something of it waits for its commit. */
static void nothing_came(struct shard_reader *reader)
{
    AUTO_LOCK(&reader->w->lock);
    if (!reader->shard->dirty)
        reader->shard->progress_ms = clock_mono_ms();
}

static int64_t changes_append(void *arg, struct append_context *a)
{
    struct shard_reader *reader = arg;
    struct batch batch = {.r = reader, .a = a};
    AUTO(free_charp) char *position = NULL;
    struct error err;
    bool closed = false;

    if (!read_position(reader, &position)) {
        drop_iterator(reader);
        return STEP_END;
    }
    batch.position = position;
    if (append_batch(&batch, &closed, &err) < 0)
        return not_appended(&batch, &err);
    reader->tries = 0;
    reader->from_horizon =
        reader->from_horizon && batch.seen > 0 && batch.records == 0; /* not there yet */
    if (batch.records == 0)
        nothing_came(reader); /* new, at least */
    return closed ? shard_closed(reader) : next_poll_ms(reader);
}

/* They have to be read again, from where an abort went back to. */
static void changes_dropped(void *arg)
{
    drop_iterator(arg);
}

/* ---- asking ---- */

/* An answer without records that leaves nothing to append needs no gate: only the iterator
 * moves on. */
static bool pass_empty_answer(struct shard_reader *reader)
{
    struct bytes object = buf_slice(&reader->read.answer.body), records, next;

    if (!json_member(object, "Records", &records) || !bytes_is(records, "[]") ||
        !json_member(object, "NextShardIterator", &next) || next.len <= 2 || next.p[0] != '"')
        return false;
    note_answer(reader, 0, 0);
    if (idle_record_is_due(reader))
        return false;
    free(TAKE(reader->iterator));
    reader->iterator = xstrndup(next.p + 1, next.len - 2);
    reader->tries = 0;
    return true;
}

static int64_t gap(struct shard_reader *reader, const char *why)
{
    AUTO(free_charp) char *reason = xasprintf("shard %s: %s", reader->shard->now.id, why);

    table_worker_halt(reader->w, PHASE_GAP, reason);
    return STEP_END;
}

/* It may be that the answer lags: asked again, and the stream is described meanwhile. */
static int64_t is_missing(struct shard_reader *reader, struct append_context *a,
                          const struct error *err)
{
    struct table_worker *w = reader->w;
    int64_t doubt_ms = config_int(w->p->config, "source.doubt.ms");
    bool proven = doubt_said(&reader->missing, "missing", clock_mono_ms(), doubt_ms);

    retry(reader, a, "an iterator", err);
    pthread_mutex_lock(&w->lock);
    proven = proven && w->look.stream_seen_ms > reader->missing.since_ms;
    w->look.wants_list = true;
    step_wake(w->p->pool, &w->look.step);
    pthread_mutex_unlock(&w->lock);
    if (proven)
        return gap(reader, "it does not exist on the stream any more");
    return doubt_again_ms(&reader->missing, doubt_ms);
}

struct start { /* where an iterator begins */
    char *arn;
    char *after; /* NULL: at the horizon */
    int64_t complete_to;
};

static void start_release(struct start *start)
{
    free(start->arn);
    free(start->after);
}

/* False: not yet, or not any more: an abort took its parent back, or a late one was listed. It
 * is started again when that is done. */
static bool read_start(struct shard_reader *reader, struct start *ret)
{
    struct table_worker *w = reader->w;
    const struct shard_tree *tree = &w->appended.tree;

    /* Before the position is read: see on_aborted. */
    reader->iterator_epoch = barrier_change_asked(w->barrier).epoch;
    AUTO_LOCK(&w->lock);
    ret->complete_to = shard_complete_to(tree, reader->shard);
    if (reader->shard->now.sequence[0] && !reader->from_horizon)
        ret->after = xstrdup(reader->shard->now.sequence);
    ret->arn = xstrdup(w->appended.now.stream_arn);
    return shard_is_ready(tree, reader->shard);
}

/* GUARDED_READ_ON: no. By the service's time as its last answer told it. */
static int64_t gap_when_old(struct shard_reader *reader, const struct start *start)
{
    if (start->complete_to >= ddb_source_now_ms(reader->w->p->source) - SHARD_GAP_MS)
        return GUARDED_READ_ON;
    drop_iterator(reader);
    return gap(reader, "its position is older than 23 h: changes may be lost");
}

/* GUARDED_READ_ON: there is an iterator. */
static int64_t ensure_iterator(struct shard_reader *reader, struct append_context *a)
{
    AUTO(start_release) struct start start = {0};
    struct error err;

    if (reader->iterator)
        return GUARDED_READ_ON;
    if (!read_start(reader, &start))
        return STEP_END;
    if (gap_when_old(reader, &start) != GUARDED_READ_ON)
        return STEP_END;
    if (ddb_stream_iterator(&reader->iterator, a->client, start.arn, reader->shard->now.id,
                            start.after, &err) == 0) {
        doubt_clear(&reader->missing);
        /* A machine that stood still for a day in between got the horizon of today. */
        return MUTATED(day_between) ? GUARDED_READ_ON : gap_when_old(reader, &start);
    }
    switch (ddb_client_error(a->client)) {
    case DDB_TRIMMED:
        reader->from_horizon = true;
        return start.after ? 0 : retry(reader, a, "an iterator", &err);
    case DDB_NOT_FOUND:
        return is_missing(reader, a, &err);
    default:
        return retry(reader, a, "an iterator", &err);
    }
}

/* An iterator stays good when its request was not answered: it is asked with again. */
static int64_t records_failed(struct shard_reader *reader, struct append_context *a,
                              struct error *err)
{
    switch (ddb_client_error(a->client)) {
    case DDB_THROTTLED:
        reader->pace_ms = 2 * next_poll_ms(reader);
        reader->pace_ms = MIN(reader->pace_ms, PACE_LONGEST_MS);
        log_debug("shard is throttled", "table=%s shard=%s pace_ms=%" PRId64, reader->w->table,
                  reader->shard->now.id, reader->pace_ms);
        return reader->pace_ms;
    case DDB_BROKEN:
    case DDB_DENIED:
        return retry(reader, a, "changes", err);
    case DDB_EXPIRED_ITERATOR:
        drop_iterator(reader);
        return reader->tries++ ? ddb_error_retry_ms(DDB_BROKEN, &reader->tries) : 0;
    case DDB_TRIMMED:
        reader->from_horizon = true;
        break;
    default: /* DDB_NOT_FOUND: the iterator's answer will tell */
        break;
    }
    drop_iterator(reader);
    return retry(reader, a, "changes", err);
}

static int64_t changes_ready(void *arg, struct append_context *a)
{
    struct shard_reader *reader = arg;
    int64_t pause = table_worker_pause_ms(reader->w);

    return pause > 0 ? pause : ensure_iterator(reader, a);
}

static int64_t changes_position(void *arg, struct barrier_ticket ticket)
{
    struct shard_reader *reader = arg;

    if (ticket.epoch != reader->iterator_epoch) {
        drop_iterator(reader);
        return 0;
    }
    reader->asked_ms = ddb_source_now_ms(reader->w->p->source);
    return GUARDED_READ_ON;
}

static int64_t changes_request(void *arg, struct append_context *a, struct http_answer *ret)
{
    struct shard_reader *reader = arg;
    int64_t limit = config_int(reader->w->p->config, "qps.incr.batch_num");
    struct error err;

    if (ddb_records_get(ret, a->client, reader->iterator, limit, &err) < 0)
        return records_failed(reader, a, &err);
    return GUARDED_READ_ON;
}

static int64_t changes_received(void *arg, struct append_context *a)
{
    struct shard_reader *reader = arg;

    (void)a;
    reader->origin.read_ms = clock_wall_ms();
    if (!pass_empty_answer(reader))
        return GUARDED_READ_ON;
    nothing_came(reader);
    return next_poll_ms(reader);
}

/* ---- the step ---- */

static int64_t reader_step(void *arg, void *context)
{
    struct shard_reader *reader = arg;

    if (!table_worker_runs(reader->w)) {
        guarded_read_end(&reader->read);
        drop_iterator(reader);
        return STEP_END;
    }
    return guarded_read_step(&reader->read, table_worker_context(reader->w, context));
}

static void reader_ended(void *arg)
{
    struct shard_reader *reader = arg;

    table_worker_part_ended(reader->w);
}

static struct shard_reader *reader_new(struct table_worker *w, struct tree_shard *shard)
{
    static const struct guarded_read_calls calls = {
        .ready = changes_ready,
        .position = changes_position,
        .request = changes_request,
        .received = changes_received,
        .append = changes_append,
        .dropped = changes_dropped,
    };
    struct shard_reader *reader = xcalloc(1, sizeof(*reader));

    reader->w = w;
    reader->shard = shard;
    reader->origin = (struct append_origin){.generation = w->appended.now.generation,
                                            .shard = bytes_of(shard->now.id)};
    reader->step = (struct step){.run = reader_step, .ended = reader_ended, .arg = reader};
    reader->read = (struct guarded_read){.w = w,
                                         .step = &reader->step,
                                         .calls = &calls,
                                         .arg = reader,
                                         .use = THROTTLE_STREAM,
                                         .expected = FIRST_BATCH_BYTES};
    return reader;
}

void shard_reader_start(struct table_worker *w, struct tree_shard *shard)
{
    if (!shard->reader) {
        shard->reader = reader_new(w, shard);
        shard->progress_ms = clock_mono_ms();
    }
    table_worker_part_begins(w, &((struct shard_reader *)shard->reader)->step);
}

void shard_reader_free(void *arg)
{
    struct shard_reader *reader = arg;

    guarded_read_end(&reader->read);
    drop_iterator(reader);
    free(reader);
}

void shard_reader_wake_all(struct table_worker *w)
{
    for (struct tree_shard *shard = w->appended.tree.shards; shard; shard = shard->hh.next)
        if (shard->reader)
            step_wake(w->p->pool, &((struct shard_reader *)shard->reader)->step);
}
