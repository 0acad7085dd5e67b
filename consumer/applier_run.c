/* The life of a partition that runs: pull, write, dead letters, position, in this order. */
#include <inttypes.h>

#include "common/check.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/mutation.h"
#include "consumer/applier_internal.h"
#include "consumer/position_store.h"

#define IDLE_CHECK_MS 5000
#define POLL_WAIT_MS 50
#define LETTERS_LOGGED 5 /* of a batch; the others are counted */

struct flush {
    struct worker *w;
    struct partition *p;
    struct dead_letter_round round;
    struct error letter_err;
    bool letter_failed;
    size_t letters;
};

/* ---- dead letters ---- */

static void send_letter(struct flush *f, const rd_kafka_message_t *m, const struct event *ev,
                        const char *reason)
{
    const struct partition *p = f->p;

    if (f->letters++ < LETTERS_LOGGED)
        log_warn("record refused",
                 "table=%s topic=%s partition=%" PRId32 " offset=%" PRId64 " reason=%s",
                 p->table->name, p->topic, p->number, m->offset, reason);
    if (MUTATED(dead_letter))
        return;
    if (dead_letter_send(&f->round, m, ev, p->table->name, reason, &f->letter_err) < 0)
        f->letter_failed = true;
}

static void entry_refused(void *arg, struct batch_entry *e, const char *reason)
{
    struct flush *f = arg;
    const rd_kafka_message_t *m = e->message;
    struct error ignored;
    struct event ev;

    CHECK(event_decode(&ev, (struct bytes){m->payload, m->len}, &ignored) == 0);
    send_letter(f, m, &ev, reason);
}

static int finish_letters(struct flush *f, struct error *err)
{
    for (size_t i = 0; i < f->p->refusal_count; i++)
        send_letter(f, f->p->refusals[i].message, NULL, f->p->refusals[i].reason);
    if (dead_letter_wait(&f->round, err) < 0)
        return -1;
    if (f->letter_failed) {
        *err = f->letter_err;
        return -1;
    }
    return 0;
}

/* ---- the position ---- */

static enum mongo_result move_position(struct worker *w, struct partition *p, bool *matched,
                                       struct error *err)
{
    const struct batch *b = &p->batch;
    int64_t generation = b->generation ? b->generation : p->position.generation;
    const char *log_id = b->generation ? b->log_id : p->position.log_id;

    return position_move(w->mongo, p->id, &p->position, b->next_offset, generation, log_id,
                         matched, err);
}

static void moved(struct partition *p)
{
    const struct batch *b = &p->batch;

    if (b->generation) {
        p->position.generation = b->generation;
        memcpy(p->position.log_id, b->log_id, sizeof(b->log_id));
    }
    position_confirmed(&p->position, b->next_offset);
    atomic_store(&p->offset, b->next_offset);
    backoff_reset(&p->backoff);
    health_alive(p->health);
}

static void count(struct worker *w, const struct partition *p,
                  const struct mongo_write_job *job, size_t letters)
{
    const struct table_metrics *m = &p->table->metrics;

    metric_add(m->applied, (int64_t)job->written);
    metric_add(m->deleted, (int64_t)job->deleted);
    metric_add(m->dead_letters, (int64_t)letters);
    metric_add(m->batches, 1);
    metric_set(m->progressed, clock_wall_ms() / 1000);
    atomic_fetch_add(&w->a->records, (long long)(job->written + job->deleted));
}

/* ---- a batch ---- */

static bool may_send(void *arg)
{
    const struct flush *f = arg;
    struct applier *a = f->w->a;

    return position_may_send(&f->p->position, clock_mono_ms(), atomic_load(&a->last_poll),
                             a->session_ms);
}

/* Writes, then the letters, then the position: a crash in between only repeats. */
static enum mongo_result flush_stages(struct flush *f, struct mongo_write_job *job,
                                      bool *matched, const char **at, struct error *err)
{
    enum mongo_result result = MONGO_DONE;

    *at = "write";
    if (MUTATED(position_first))
        result = move_position(f->w, f->p, matched, err);
    if (result == MONGO_DONE)
        result = mongo_writer_apply(&f->w->writer, job, err);
    if (result != MONGO_DONE) {
        struct error ignored;

        dead_letter_wait(&f->round, &ignored); /* the round is on this stack */
        return result;
    }
    *at = "dead letters";
    if (finish_letters(f, err) < 0)
        return MONGO_AGAIN;
    *at = "move position";
    return MUTATED(position_first) ? MONGO_DONE : move_position(f->w, f->p, matched, err);
}

int64_t run_flush(struct worker *w, struct partition *p)
{
    struct flush f = {.w = w, .p = p};
    struct mongo_write_job job = {.batch = &p->batch,
                                  .view = p->view,
                                  .may_send = may_send,
                                  .refused = entry_refused,
                                  .arg = &f};
    enum mongo_result result;
    const char *at = "";
    struct error err;
    bool matched = false;

    if (!may_send(&f))
        return clock_mono_ms() + POLL_WAIT_MS;
    dead_letter_round_init(&f.round, w->a->letters);
    position_sending(&p->position, p->batch.next_offset);
    result = flush_stages(&f, &job, &matched, &at, &err);
    if (result != MONGO_DONE)
        return hold(w, p, result, &err, at);
    if (!matched) {
        partition_drop_batch(p);
        fetch_stream_close(&p->stream);
        return read_and_obey(w, p);
    }
    if (f.letters > LETTERS_LOGGED)
        log_warn("more records refused", "table=%s topic=%s partition=%" PRId32 " records=%zu",
                 p->table->name, p->topic, p->number, f.letters - LETTERS_LOGGED);
    count(w, p, &job, f.letters);
    moved(p);
    partition_drop_batch(p);
    return POOL_AT_ONCE;
}

/* ---- running ---- */

/* The predecessor's last write may have come after ours until now: once more. */
static int64_t begin_again(struct worker *w, struct partition *p)
{
    enum mongo_result result;
    struct error err;
    bool matched;

    result = position_set_again(w->mongo, p->id, &p->position, &matched, &err);
    if (result != MONGO_DONE)
        return hold(w, p, result, &err, "begin again");
    if (!matched)
        return read_and_obey(w, p);
    log_info("applied once more after an owner without a goodbye",
             "topic=%s partition=%" PRId32 " from=%" PRId64 " to=%" PRId64, p->topic, p->number,
             position_again_from(&p->position), p->position.offset);
    position_begins_again(&p->position);
    return go_on(w, p);
}

static int64_t stop_truncated(struct partition *p)
{
    char why[256];

    snprintf(why, sizeof(why),
             "the log does not hold offset %" PRId64
             " (any more): a new snapshot of the table is needed",
             p->position.offset);
    return stop_partition(p, why);
}

static void show(struct partition *p, bool settled)
{
    int64_t end = fetch_stream_end(&p->stream), lag;
    bool at_end = p->at_end && !partition_has_batch(p);

    if (at_end) {
        health_alive(p->health);
        metric_set(p->table->metrics.progressed, clock_wall_ms() / 1000);
    }
    atomic_store(&p->idle, at_end && settled);
    lag = at_end || end < 0 ? 0 : MAX(end - p->position.offset, 0);
    metric_add(p->table->metrics.lag, lag - atomic_exchange(&p->lag, lag));
}

/* Nothing in hand: now and then the document is read, for a mark of someone who came late. */
static int64_t rest(struct worker *w, struct partition *p)
{
    int64_t now = clock_mono_ms();

    if (p->check_at && now >= p->check_at) {
        p->check_at = now + IDLE_CHECK_MS;
        return read_and_obey(w, p);
    }
    if (!p->check_at)
        p->check_at = now + IDLE_CHECK_MS;
    if (p->position.again != POSITION_NONE)
        return MIN(p->check_at, MAX(p->position.again_at, now));
    return p->check_at;
}

static int64_t with_batch(struct worker *w, struct partition *p)
{
    int64_t ripe = p->oldest_at + w->a->linger_ms;
    const struct intake_limits *l = &w->a->limits;

    if (clock_mono_ms() < ripe && !p->other_schema && !p->truncated &&
        !batch_is_full(&p->batch, l->count, l->bytes))
        return ripe;
    return run_flush(w, p);
}

int64_t step_run(struct worker *w, struct partition *p)
{
    struct error err;
    int64_t due;

    if (!table_is_current(p->table, p->view)) {
        partition_drop_batch(p);
        return start_over(w, p, "its collection or log is another one");
    }
    if (!partition_has_batch(p) && position_again_due(&p->position, clock_mono_ms()))
        return begin_again(w, p);
    if (intake_pull(p, &w->a->limits, &err) < 0)
        return hold(w, p, MONGO_AGAIN, &err, "read");
    if (partition_has_batch(p))
        due = with_batch(w, p);
    else if (p->truncated)
        return stop_truncated(p);
    else if (p->other_schema)
        return start_over(w, p, "a generation of another key schema begins");
    else
        due = rest(w, p);
    if (p->phase == PARTITION_RUN)
        show(p, p->position.again == POSITION_NONE);
    return due;
}
