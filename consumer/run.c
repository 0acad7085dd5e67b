/* The order documents, dead letters, position carries the promise that nothing is lost: a crash
 * between any two of them only repeats the batch, and repeating is harmless, since what is
 * applied in order from any earlier offset ends with the right values. As long as the outcome
 * of a command is unknown no other may be sent, because an older write could land behind a
 * newer one: anything but a clean answer leads to HELD, and from there by way of the document.
 */
#include "consumer/run.h"

#include <inttypes.h>

#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/base/mutation.h"
#include "common/mongo/mongo_target.h"
#include "common/run/log.h"
#include "consumer/consumer.h"
#include "consumer/dispatcher.h"
#include "consumer/intake.h"
#include "consumer/mongo_writer.h"
#include "consumer/ownership.h"
#include "consumer/pass.h"
#include "consumer/preparer.h"

#define MOVE_EVERY_MS 100  /* all partitions at once: the keeper makes one command of them */
#define LOOK_EVERY_MS 5000 /* when idle: for a mark of someone who came late */
#define POLL_WAIT_MS 50
#define LETTERS_LOGGED 5 /* of a batch; the others are counted */

/* ---- dead letters ---- */

static void letters_ended(void *arg)
{
    partition_wake(arg);
}

/* errors.tolerance = none: nothing is sent, and the position stays before it. */
static void note_refused(struct partition *p, int64_t offset, const char *reason)
{
    if (p->refused && p->refused_offset < offset)
        return;
    free(p->refused);
    p->refused =
        xasprintf("the record at offset %" PRId64 " can't be applied: %s", offset, reason);
    p->refused_offset = offset;
}

static struct partition_next halt_for_refused(struct partition *p)
{
    AUTO(free_charp) char *reason = TAKE(p->refused);

    return partition_halt(p, reason);
}

static void send_letter(struct partition *p, const rd_kafka_message_t *m,
                        const struct event *ev, const char *reason)
{
    if (p->consumer->errors_halt) {
        note_refused(p, m->offset, reason);
        return;
    }
    if (p->letter_count++ < LETTERS_LOGGED)
        log_warn("record refused",
                 "table=%s topic=%s partition=%" PRId32 " offset=%" PRId64 " reason=%s",
                 p->table->name, p->topic, p->number, m->offset, reason);
    if (MUTATED(dead_letter))
        return;
    if (!p->letters)
        p->letters = dead_letters_round_new(p->consumer->letters, letters_ended, p);
    dead_letters_send(p->letters, m, ev, p->table->name, reason);
}

static void entry_refused(void *arg, struct batch_entry *entry, const char *reason)
{
    const rd_kafka_message_t *m = entry->message;
    struct error ignored;
    struct event ev;

    CHECK(event_decode(&ev, (struct bytes){m->payload, m->len}, &ignored) == 0);
    send_letter(arg, m, &ev, reason);
}

static void refuse_foreign(struct partition *p)
{
    for (size_t i = 0; i < p->refusal_count; i++)
        send_letter(p, p->refusals[i].message, NULL, p->refusals[i].reason);
    if (p->letter_count > LETTERS_LOGGED)
        log_warn("more records refused", "table=%s topic=%s partition=%" PRId32 " records=%zu",
                 p->table->name, p->topic, p->number, p->letter_count - LETTERS_LOGGED);
    metric_add(p->table->metrics.dead_letters, (int64_t)p->letter_count);
}

/* ---- asking for the position to be moved ---- */

static int64_t next_tick(int64_t every_ms)
{
    return (clock_mono_ms() / every_ms + 1) * every_ms;
}

static void ask_keeper(struct partition *p)
{
    struct keeper *k = p->consumer->keeper;
    struct position_change move;

    if (position_is_ahead(&p->position)) {
        if (keeper_is_asked(k, &p->ask) && !(p->ask.reads && keeper_take_back(k, &p->ask)))
            return; /* the next move follows this one */
        position_move(&move, &p->position, p->consumer->me);
        keeper_ask_change(k, &p->ask, &move, next_tick(MOVE_EVERY_MS));
    } else if (!keeper_is_asked(k, &p->ask)) {
        keeper_ask_read(k, &p->ask, next_tick(LOOK_EVERY_MS));
    }
}

/* ---- a batch ---- */

static bool may_send(void *arg)
{
    const struct partition *p = arg;
    const struct consumer *c = p->consumer;

    return position_may_send(&p->position, clock_mono_ms(), atomic_load(&c->last_poll),
                             c->session_ms);
}

static void count(struct partition *p, const struct mongo_write_job *job)
{
    const struct table_metrics *metrics = &p->table->metrics;

    metric_add(metrics->applied, (int64_t)job->written);
    metric_add(metrics->deleted, (int64_t)job->deleted);
    metric_add(metrics->batches, 1);
}

/* All of the batch is in the target or with the dead letters. */
static void batch_applied(struct partition *p)
{
    const struct batch *b = &p->batch;

    if (b->generation && p->begin_rows)
        position_begun(&p->position, b->generation, p->begin, b->log_id, "");
    else if (b->generation)
        position_begun_without_rows(&p->position, b->generation, p->begin, b->log_id);
    pass_applied(p);
    position_written(&p->position, b->next_offset);
}

static struct partition_next batch_done(struct partition *p)
{
    batch_applied(p);
    partition_drop_batch(p);
    return partition_go(PARTITION_RUNNING);
}

static struct partition_next write_failed(struct partition *p, enum mongo_result result,
                                          const struct mongo_write_job *job,
                                          const struct error *err)
{
    int64_t grace_ms = p->consumer->target->grace_ms;

    if (result == MONGO_UNKNOWN)
        position_unknown(&p->position, clock_mono_ms(), grace_ms);
    else if (job->hopeless)
        return partition_halt(p, err->message);
    return partition_hold(p, result, err, "write");
}

static struct partition_next write_batch(struct partition *p)
{
    struct mongo_write_job job = {.batch = &p->batch,
                                  .view = p->view,
                                  .suspects = &p->suspects,
                                  .now_ms = clock_mono_ms(),
                                  .may_send = may_send,
                                  .refused = entry_refused,
                                  .arg = p};
    enum mongo_result result;
    struct error err;

    if (!may_send(p))
        return partition_wait_until(p, clock_mono_ms() + POLL_WAIT_MS);
    if (MUTATED(position_first)) {
        batch_applied(p);
        ask_keeper(p);
    }
    pass_collect(p);
    position_sending(&p->position, p->batch.next_offset);
    result = mongo_writer_apply(p->writer, &job, &err);
    dispatcher_timed_out(p->consumer->dispatcher, p, result == MONGO_UNKNOWN);
    if (result != MONGO_DONE)
        return write_failed(p, result, &job, &err);
    if (pass_note(p, &err) < 0 && !MUTATED(note))
        return partition_hold(p, MONGO_AGAIN, &err, "note");
    refuse_foreign(p);
    count(p, &job);
    if (p->refused)
        return halt_for_refused(p);
    return p->letters ? partition_go(PARTITION_LETTERS) : batch_done(p);
}

/* Its reading goes on meanwhile, and its thread has other work. */
struct partition_next run_letters(struct partition *p)
{
    struct error err;

    switch (dead_letters_round_result(p->letters, &err)) {
    case DEAD_LETTERS_UNDER_WAY:
        break;
    case DEAD_LETTERS_RECEIVED:
        dead_letters_round_drop(TAKE(p->letters));
        return batch_done(p);
    case DEAD_LETTERS_FAILED:
        return partition_hold(p, MONGO_AGAIN, &err, "dead letters");
    }
    return partition_wait(p);
}

/* ---- what the keeper answers ---- */

static void confirmed(struct partition *p, int64_t offset)
{
    position_confirmed(&p->position, offset);
    atomic_store(&p->offset, offset);
    partition_progressed(p);
}

/* The log holds nothing that was not seen, as far as the brokers were asked. */
static bool is_at_end(const struct partition *p)
{
    return p->end_seen >= 0 && p->end_seen >= atomic_load(&p->log_end) &&
           !partition_has_batch(p);
}

/* It was read for a look, or since a move did not match everywhere. */
static struct partition_next document_came(struct partition *p)
{
    const struct position_doc *doc = &p->ask.doc;
    int64_t moved = p->ask.reads ? POSITION_NONE : p->ask.change.next.offset, ignored;

    if (position_judge(&p->position, doc, p->consumer->me, &ignored) != POSITION_MINE ||
        !position_agrees(&p->position, doc, moved)) {
        partition_stop_reading(p);
        return ownership_follow(p, doc);
    }
    if (doc->offset != p->position.offset || (is_at_end(p) && !position_is_ahead(&p->position)))
        confirmed(p, doc->offset);
    return partition_wait(p);
}

static struct partition_next take_answer(struct partition *p)
{
    switch (keeper_answer(p->consumer->keeper, &p->ask)) {
    case ANSWER_CHANGED:
        confirmed(p, p->ask.change.next.offset);
        break;
    case ANSWER_DOCUMENT:
        return document_came(p);
    case ANSWER_FAILED:
        return partition_hold(p, p->ask.result, &p->ask.err,
                              p->ask.reads ? "read position" : "move position");
    case ANSWER_NONE:
        break;
    }
    return partition_wait(p);
}

/* The predecessor's last write may have come after ours until now: once more. */
static struct partition_next begin_again(struct partition *p)
{
    struct position_change change;

    if (!keeper_take_back(p->consumer->keeper, &p->ask))
        return partition_wait(p);
    position_begin_again(&change, &p->position, p->consumer->me);
    return ownership_rewind(p, &change, POSITION_NONE);
}

/* ---- running ---- */

/* Either retention took what comes next, or it is another log: that is looked at before it is
 * read on. */
static struct partition_next stop_log(struct partition *p)
{
    struct error err;

    p->log_doubted = true;
    error_set(&err, ERR_RETRY, "the log does not bring what comes after offset %" PRId64,
              p->position.applied);
    return partition_hold(p, MONGO_AGAIN, &err, "read");
}

/* Where the newest generation begins, if it has the key schema that the table is prepared for:
 * POSITION_NONE if it has another one, or that is not known. */
static int64_t newest_begin(const struct partition *p)
{
    struct ledger_table ledger = {0};
    int64_t begin = POSITION_NONE;

    if (ownership_read_ledger(p, &ledger, &begin) &&
        !key_schema_equal(&ledger.key_schema, &p->view->schema))
        begin = POSITION_NONE;
    ledger_table_release(&ledger);
    return begin;
}

/* A generation of another key schema begins. Either the table is to be prepared for it, or it
 * is an older one than the newest, which begins behind it and brings all values. */
static struct partition_next stop_schema(struct partition *p)
{
    int64_t begin = newest_begin(p);

    if (begin != POSITION_NONE && begin <= p->position.applied)
        return partition_halt(p, "a begin of another key schema than the ledger's is next");
    p->skip = begin != POSITION_NONE;
    preparer_look_soon(p->consumer->preparer, p->table);
    return partition_restart(p, "a generation of another key schema begins");
}

static struct partition_next with_batch(struct partition *p)
{
    const struct consumer *c = p->consumer;
    int64_t ripe = p->oldest_at + c->linger_ms;

    if (clock_mono_ms() < ripe && p->stop == PARTITION_STOP_NOT &&
        !batch_is_full(&p->batch, c->batch_count, c->batch_bytes))
        return partition_wait_until(p, ripe);
    return write_batch(p);
}

/* Up to the log's end, behind the markers of transactions: a position before one that retention
 * took would seem to be lost. */
static void pass_markers(struct partition *p)
{
    if (p->end_seen > p->position.applied)
        position_written(&p->position, p->end_seen);
}

static struct partition_next without_batch(struct partition *p)
{
    if (p->stop == PARTITION_STOP_LOG)
        return stop_log(p);
    if (p->stop == PARTITION_STOP_SCHEMA)
        return stop_schema(p);
    if (p->stop == PARTITION_STOP_BEGIN)
        return pass_begins(p);
    if (p->stop == PARTITION_STOP_END)
        return pass_ends(p);
    pass_markers(p);
    if (p->position.again != POSITION_NONE)
        return partition_wait_until(p, p->position.again_at);
    return partition_wait(p);
}

struct partition_next run_running(struct partition *p)
{
    const struct consumer *c = p->consumer;
    struct partition_next next = take_answer(p);
    struct error err;

    if (next.state != PARTITION_RUNNING)
        return next;
    if (!table_is_current(p->table, p->view))
        return partition_restart(p, "its collection or log is another one");
    if (atomic_load(&p->log_shrank))
        return stop_log(p);
    if (!partition_has_batch(p) && position_again_due(&p->position, clock_mono_ms()))
        return begin_again(p);
    if (pass_has_to_begin(p) && pass_begin_notes(p, &err) < 0)
        return partition_hold(p, MONGO_AGAIN, &err, "begin notes");
    if (intake_pull(p, c->batch_count, c->batch_bytes, &err) < 0)
        return partition_hold(p, MONGO_AGAIN, &err, "read");
    next = partition_has_batch(p) ? with_batch(p) : without_batch(p);
    if (next.state == PARTITION_RUNNING)
        ask_keeper(p);
    return next;
}
