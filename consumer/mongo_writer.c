/* A round sends its entries once: updates, then deletes. Those that were refused come again in
 * the next round with the next older event of their key.
 *
 * Each answer is read twice. First: is the server in trouble? Then the whole batch has to wait,
 * since blaming records would turn an outage into dead letters. Only if it is well: what
 * becomes of each refused record. A command that is refused as a whole names no record, so it
 * is halved until the guilty one is alone. */
#include "consumer/mongo_writer.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/run/stop.h"

#define DUPLICATE_TRIES 5
#define DUPLICATE_PAUSE_MS 20
/* Of all pauses of a job: its thread serves other partitions too. */
#define PAUSES_MAX_MS 200

struct sending {
    struct mongo_writer *writer;
    struct mongo_write_job *job;
    bool deletes;
    bool older; /* its events took the place of refused ones */
};

void mongo_writer_init(struct mongo_writer *writer, struct mongo *m, size_t batch_bytes)
{
    *writer = (struct mongo_writer){.mongo = m, .batch_bytes = batch_bytes};
    write_command_init(&writer->command);
}

void mongo_writer_release(struct mongo_writer *writer)
{
    write_command_release(&writer->command);
    free(writer->sent);
    free(writer->failed);
    free(writer->round);
    free(writer->todo);
    free(writer->retry);
    free(writer->refused);
}

static void reserve(struct mongo_writer *writer, size_t entries)
{
    if (entries <= writer->capacity)
        return;
    writer->capacity = entries;
    writer->sent = xrealloc(writer->sent, entries * sizeof(*writer->sent));
    writer->failed = xrealloc(writer->failed, entries * sizeof(*writer->failed));
    writer->round = xrealloc(writer->round, entries * sizeof(*writer->round));
    writer->todo = xrealloc(writer->todo, entries * sizeof(*writer->todo));
    writer->retry = xrealloc(writer->retry, entries * sizeof(*writer->retry));
    writer->refused = xrealloc(writer->refused, entries * sizeof(*writer->refused));
}

static struct batch_entry *entry_at(const struct sending *sending, uint32_t i)
{
    return &sending->job->batch->entries[i];
}

static void refuse(const struct sending *sending, uint32_t i, const char *reason)
{
    struct batch_entry *entry = entry_at(sending, i);

    if (entry->refused)
        return;
    entry->refused = true;
    sending->writer->refused[sending->writer->refused_count++] = i;
    sending->job->refused(sending->job->arg, entry, reason);
}

/* ---- sending ---- */

/* false: it does not fit into this command any more. A record that can't be converted is
 * refused and left out. */
static bool add(struct sending *sending, uint32_t i)
{
    struct mongo_writer *writer = sending->writer;
    struct error err;

    if (write_command_add(&writer->command, entry_at(sending, i), &err) == 0) {
        writer->sent[writer->sent_count++] = i;
        return true;
    }
    if (err.kind == ERR_RETRY && writer->sent_count > 0)
        return false;
    refuse(sending, i, err.message);
    return true;
}

/* Takes from todo what one command holds; how many were taken. */
static size_t build(struct sending *sending, const uint32_t *todo, size_t n)
{
    struct mongo_writer *writer = sending->writer;
    size_t i = 0;

    writer->sent_count = 0;
    write_command_begin(&writer->command, writer->mongo->target, sending->job->view,
                        sending->deletes);
    while (i < n && writer->sent_count < writer->mongo->max_write_count &&
           add(sending, todo[i]))
        i++;
    write_command_end(&writer->command);
    return i;
}

/* ---- answers ---- */

struct judging {
    struct sending *sending;
    enum mongo_result result; /* MONGO_DONE, or the server's trouble */
    struct error *err;
    size_t failed;
    size_t unclear;
    bool beside_others; /* other records were accepted */
};

static void in_trouble(struct judging *judging, enum mongo_result result,
                       const struct mongo_write_error *e)
{
    if (judging->result == MONGO_UNKNOWN) /* nothing is worse */
        return;
    judging->result = result;
    error_set(judging->err, ERR_RETRY, "%s (code %" PRId32 ")", e->message, e->code);
}

/* The first reading: is it the server, and how many records are concerned? */
static void weigh(void *arg, const struct mongo_write_error *e)
{
    struct judging *judging = arg;
    struct mongo_writer *writer = judging->sending->writer;

    if (e->index < 0 || (size_t)e->index >= writer->sent_count) {
        in_trouble(judging, MONGO_AGAIN, e);
        return;
    }
    judging->failed += !writer->failed[e->index];
    writer->failed[e->index] = true;
    switch (mongo_reply_fault(e->code)) {
    case MONGO_FAULT_RECORD:
        break;
    case MONGO_FAULT_OUTCOME:
        in_trouble(judging, MONGO_UNKNOWN, e);
        break;
    case MONGO_FAULT_SERVER:
        in_trouble(judging, MONGO_AGAIN, e);
        break;
    case MONGO_FAULT_UNCLEAR:
        judging->unclear++;
        break;
    }
}

static void suspect_record(struct judging *judging, uint32_t i,
                           const struct mongo_write_error *e)
{
    const struct suspect *given_up = NULL;
    char reason[400];

    if (judging->beside_others)
        given_up = suspects_refused(judging->sending->job->suspects,
                                    entry_at(judging->sending, i)->offset);
    if (!given_up) {
        error_set(&judging->sending->writer->unclear, ERR_RETRY, "%s (code %" PRId32 ")",
                  e->message, e->code);
        return;
    }
    snprintf(reason, sizeof(reason),
             "MongoDB refuses it (code %" PRId32 ", %d tries in %" PRId64
             " s, in which it accepted others): %s",
             e->code, given_up->tries, (given_up->now_ms - given_up->since_ms) / 1000,
             e->message);
    refuse(judging->sending, i, reason);
}

/* The second reading, when the server is well: what becomes of each record. */
static void judge_record(void *arg, const struct mongo_write_error *e)
{
    struct judging *judging = arg;
    struct mongo_writer *writer = judging->sending->writer;
    char reason[400];

    if (!writer->failed[e->index]) /* told twice */
        return;
    writer->failed[e->index] = false;
    if (mongo_reply_fault(e->code) == MONGO_FAULT_UNCLEAR) {
        suspect_record(judging, writer->sent[e->index], e);
        return;
    }
    if (e->code == MONGO_DUPLICATE_KEY && !writer->is_last_try) {
        /* perhaps a racing upsert, which is there now */
        writer->retry[writer->retry_count++] = writer->sent[e->index];
        return;
    }
    snprintf(reason, sizeof(reason), "MongoDB refuses it: %s (code %" PRId32 ")", e->message,
             e->code);
    refuse(judging->sending, writer->sent[e->index], reason);
}

static void tell_accepted(const struct sending *sending)
{
    const struct mongo_writer *writer = sending->writer;
    struct suspects *suspects = sending->job->suspects;

    for (size_t i = 0; suspects->count > 0 && i < writer->sent_count; i++)
        if (!writer->failed[i])
            suspects_accepted(suspects, entry_at(sending, writer->sent[i])->offset);
}

static enum mongo_result judge(struct sending *sending, const bson_t *reply, struct error *err)
{
    struct judging judging = {.sending = sending, .result = MONGO_DONE, .err = err};
    struct mongo_writer *writer = sending->writer;
    struct mongo_write_job *job = sending->job;
    size_t accepted;

    memset(writer->failed, 0, writer->sent_count * sizeof(*writer->failed));
    mongo_reply_write_errors(reply, weigh, &judging);
    accepted = writer->sent_count - judging.failed;
    *(sending->deletes ? &job->deleted : &job->written) += accepted;
    if (judging.result != MONGO_DONE)
        return judging.result;
    tell_accepted(sending);
    /* An older event comes alone where its newer one had company. */
    judging.beside_others = accepted > 0 || (sending->older && job->written + job->deleted > 0);
    if (judging.failed > 0)
        mongo_reply_write_errors(reply, judge_record, &judging);
    if (judging.unclear == 0 || judging.beside_others)
        return MONGO_DONE;
    writer->all_refused = true;
    *err = writer->unclear;
    return MONGO_AGAIN;
}

static enum mongo_result post(struct sending *sending, struct error *err)
{
    struct mongo *m = sending->writer->mongo;
    enum mongo_result result;
    bson_t command, reply;

    if (!sending->job->may_send(sending->job->arg)) {
        error_set(err, ERR_RETRY, "the group was not asked lately");
        return MONGO_AGAIN;
    }
    CHECK(bson_init_static(&command, (const uint8_t *)sending->writer->command.out.p,
                           sending->writer->command.out.len));
    result = mongo_write(m, m->target->database, &command, &reply, err);
    if (result == MONGO_DONE)
        result = judge(sending, &reply, err);
    else if (mongo_reply_is_no(&reply) &&
             mongo_reply_fault(mongo_reply_code(&reply)) == MONGO_FAULT_UNCLEAR)
        sending->writer->all_refused = true;
    bson_destroy(&reply);
    return result;
}

/* ---- the whole batch ---- */

static enum mongo_result send_all(struct sending *sending, const uint32_t *todo, size_t n,
                                  struct error *err);

/* The command as a whole was refused: some record of it must be the reason. */
static enum mongo_result send_halves(struct sending *sending, const uint32_t *todo, size_t n,
                                     struct error *err)
{
    enum mongo_result result;

    if (n == 1) {
        refuse(sending, todo[0], err->message);
        return MONGO_DONE;
    }
    result = send_all(sending, todo, n / 2, err);
    return result == MONGO_DONE ? send_all(sending, todo + n / 2, n - n / 2, err) : result;
}

static enum mongo_result send_all(struct sending *sending, const uint32_t *todo, size_t n,
                                  struct error *err)
{
    while (n > 0) {
        size_t taken = build(sending, todo, n);
        enum mongo_result result =
            sending->writer->sent_count ? post(sending, err) : MONGO_DONE;

        CHECK(taken > 0);
        if (result == MONGO_REFUSED)
            result = send_halves(sending, todo, taken, err);
        if (result != MONGO_DONE)
            return result;
        todo += taken;
        n -= taken;
    }
    return MONGO_DONE;
}

static void pause_before(struct mongo_writer *writer, int tries)
{
    int64_t ms = MIN((int64_t)tries * DUPLICATE_PAUSE_MS, writer->pause_left_ms);

    writer->pause_left_ms -= ms;
    if (ms > 0)
        stop_wait_ms(ms);
}

static enum mongo_result send_kind(struct sending *sending, struct error *err)
{
    struct mongo_writer *writer = sending->writer;
    enum mongo_result result = MONGO_DONE;
    size_t n = 0;

    for (size_t i = 0; i < writer->round_count; i++)
        if ((entry_at(sending, writer->round[i])->after.len == 0) == sending->deletes)
            writer->todo[n++] = writer->round[i];
    for (int tries = 1; n > 0 && result == MONGO_DONE; tries++) {
        writer->retry_count = 0;
        writer->is_last_try = tries >= DUPLICATE_TRIES;
        result = send_all(sending, writer->todo, n, err);
        n = writer->retry_count;
        memcpy(writer->todo, writer->retry, n * sizeof(*writer->todo));
        if (n > 0)
            pause_before(writer, tries);
    }
    return result;
}

/* Those that were refused, each with the next older event of its key. */
static bool next_round(struct mongo_writer *writer, struct batch *b)
{
    writer->round_count = 0;
    for (size_t i = 0; i < writer->refused_count; i++) {
        struct batch_entry *entry = &b->entries[writer->refused[i]];

        if (!batch_fall_back(b, entry))
            continue;
        entry->refused = false;
        writer->round[writer->round_count++] = writer->refused[i];
    }
    writer->refused_count = 0;
    return writer->round_count > 0;
}

static enum mongo_result send_rounds(struct mongo_writer *writer, struct mongo_write_job *job,
                                     struct error *err)
{
    struct sending updates = {.writer = writer, .job = job};
    struct sending deletes = {.writer = writer, .job = job, .deletes = true};
    enum mongo_result result;

    reserve(writer, job->batch->count);
    writer->refused_count = 0;
    writer->round_count = job->batch->count;
    for (uint32_t i = 0; i < writer->round_count; i++)
        writer->round[i] = i;
    do {
        result = send_kind(&updates, err);
        if (result == MONGO_DONE)
            result = send_kind(&deletes, err);
        updates.older = deletes.older = true;
    } while (result == MONGO_DONE && next_round(writer, job->batch));
    return result;
}

/* Everything was answered, or a command was refused as a whole: is there hope? */
static enum mongo_result conclude(struct mongo_writer *writer, struct mongo_write_job *job,
                                  enum mongo_result result, struct error *err)
{
    struct suspects *suspects = job->suspects;

    if (result != MONGO_DONE && !writer->all_refused)
        return result;
    if (result == MONGO_DONE && writer->unclear.kind != ERR_NONE) {
        *err = writer->unclear;
        result = MONGO_AGAIN;
    }
    job->hopeless = suspects_end(suspects, writer->all_refused);
    if (job->hopeless)
        error_prefix(err,
                     "MongoDB refuses all that is sent, %d tries in %" PRId64
                     " s, with a code that is not known to be a record's own",
                     suspects->tries, (suspects->now_ms - suspects->since_ms) / 1000);
    return result;
}

enum mongo_result mongo_writer_apply(struct mongo_writer *writer, struct mongo_write_job *job,
                                     struct error *err)
{
    enum mongo_result result;

    job->written = job->deleted = 0;
    job->hopeless = false;
    if (mongo_limits(writer->mongo, err) < 0)
        return MONGO_AGAIN;
    writer->command.limit = MIN(writer->batch_bytes, writer->mongo->max_bytes);
    writer->pause_left_ms = PAUSES_MAX_MS;
    writer->all_refused = false;
    writer->unclear.kind = ERR_NONE;
    suspects_begin(job->suspects, job->batch->first_offset, job->batch->next_offset,
                   job->now_ms);
    result = send_rounds(writer, job, err);
    write_command_trim(&writer->command);
    return conclude(writer, job, result, err);
}
