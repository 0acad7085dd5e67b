#include "consumer/mongo_writer.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/run/stop.h"

#define DUPLICATE_KEY 11000
#define DUPLICATE_TRIES 5
#define DUPLICATE_PAUSE_MS 20
/* Of all pauses of a job: its thread serves other partitions too. */
#define PAUSES_MAX_MS 200

struct command {
    struct mongo_writer *w;
    struct mongo_write_job *job;
    bool deletes;
    bool older; /* its events took the place of refused ones */
};

void mongo_writer_init(struct mongo_writer *w, struct mongo *m, size_t batch_bytes)
{
    *w = (struct mongo_writer){.mongo = m, .batch_bytes = batch_bytes};
    write_command_init(&w->command);
}

void mongo_writer_release(struct mongo_writer *w)
{
    write_command_release(&w->command);
    free(w->sent);
    free(w->failed);
    free(w->round);
    free(w->todo);
    free(w->retry);
    free(w->refused);
}

static void reserve(struct mongo_writer *w, size_t entries)
{
    if (entries <= w->capacity)
        return;
    w->capacity = entries;
    w->sent = xrealloc(w->sent, entries * sizeof(*w->sent));
    w->failed = xrealloc(w->failed, entries * sizeof(*w->failed));
    w->round = xrealloc(w->round, entries * sizeof(*w->round));
    w->todo = xrealloc(w->todo, entries * sizeof(*w->todo));
    w->retry = xrealloc(w->retry, entries * sizeof(*w->retry));
    w->refused = xrealloc(w->refused, entries * sizeof(*w->refused));
}

static struct batch_entry *entry(const struct command *c, uint32_t i)
{
    return &c->job->batch->entries[i];
}

static void refuse(const struct command *c, uint32_t i, const char *reason)
{
    struct batch_entry *e = entry(c, i);

    if (e->refused)
        return;
    e->refused = true;
    c->w->refused[c->w->refused_count++] = i;
    c->job->refused(c->job->arg, e, reason);
}

/* ---- sending ---- */

/* false: it does not fit into this command any more. A record that can't be converted is
 * refused and left out. */
static bool add(struct command *c, uint32_t i)
{
    struct mongo_writer *w = c->w;
    struct error err;

    if (write_command_add(&w->command, entry(c, i), &err) == 0) {
        w->sent[w->sent_count++] = i;
        return true;
    }
    if (err.kind == ERR_RETRY && w->sent_count > 0)
        return false;
    refuse(c, i, err.message);
    return true;
}

/* Takes from todo what one command holds; how many were taken. */
static size_t build(struct command *c, const uint32_t *todo, size_t n)
{
    struct mongo_writer *w = c->w;
    size_t i = 0;

    w->sent_count = 0;
    write_command_begin(&w->command, w->mongo->target, c->job->view, c->deletes);
    while (i < n && w->sent_count < w->mongo->max_write_count && add(c, todo[i]))
        i++;
    write_command_end(&w->command);
    return i;
}

/* ---- answers ---- */

struct judging {
    struct command *c;
    enum mongo_result result; /* MONGO_DONE, or the server's trouble */
    struct error *err;
    size_t failed;
    size_t unclear;
    bool beside_others; /* other records were accepted */
};

static void in_trouble(struct judging *j, enum mongo_result result,
                       const struct mongo_write_error *e)
{
    if (j->result == MONGO_UNKNOWN) /* nothing is worse */
        return;
    j->result = result;
    error_set(j->err, ERR_RETRY, "%s (code %" PRId32 ")", e->message, e->code);
}

/* The first look: is it the server, and how many records are concerned? */
static void weigh(void *arg, const struct mongo_write_error *e)
{
    struct judging *j = arg;
    struct mongo_writer *w = j->c->w;

    if (e->index < 0 || (size_t)e->index >= w->sent_count) {
        in_trouble(j, MONGO_AGAIN, e);
        return;
    }
    j->failed += !w->failed[e->index];
    w->failed[e->index] = true;
    switch (mongo_reply_fault(e->code)) {
    case MONGO_FAULT_RECORD:
        break;
    case MONGO_FAULT_OUTCOME:
        in_trouble(j, MONGO_UNKNOWN, e);
        break;
    case MONGO_FAULT_SERVER:
        in_trouble(j, MONGO_AGAIN, e);
        break;
    case MONGO_FAULT_UNCLEAR:
        j->unclear++;
        break;
    }
}

static void suspect_record(struct judging *j, uint32_t i, const struct mongo_write_error *e)
{
    const struct suspect *given_up = NULL;
    char reason[400];

    if (j->beside_others)
        given_up = suspects_refused(j->c->job->suspects, entry(j->c, i)->offset);
    if (!given_up) {
        error_set(&j->c->w->unclear, ERR_RETRY, "%s (code %" PRId32 ")", e->message, e->code);
        return;
    }
    snprintf(reason, sizeof(reason),
             "MongoDB refuses it (code %" PRId32 ", %d tries in %" PRId64
             " s, in which it accepted others): %s",
             e->code, given_up->tries, (given_up->now_ms - given_up->since_ms) / 1000,
             e->message);
    refuse(j->c, i, reason);
}

/* The second look, when the server is well: what becomes of each record. */
static void judge_record(void *arg, const struct mongo_write_error *e)
{
    struct judging *j = arg;
    struct mongo_writer *w = j->c->w;
    char reason[400];

    if (!w->failed[e->index]) /* told twice */
        return;
    w->failed[e->index] = false;
    if (mongo_reply_fault(e->code) == MONGO_FAULT_UNCLEAR) {
        suspect_record(j, w->sent[e->index], e);
        return;
    }
    if (e->code == DUPLICATE_KEY) { /* perhaps a racing upsert, which is there now */
        w->retry[w->retry_count++] = w->sent[e->index];
        return;
    }
    snprintf(reason, sizeof(reason), "MongoDB refuses it: %s (code %" PRId32 ")", e->message,
             e->code);
    refuse(j->c, w->sent[e->index], reason);
}

static void tell_accepted(const struct command *c)
{
    const struct mongo_writer *w = c->w;
    struct suspects *s = c->job->suspects;

    for (size_t i = 0; s->count > 0 && i < w->sent_count; i++)
        if (!w->failed[i])
            suspects_accepted(s, entry(c, w->sent[i])->offset);
}

static enum mongo_result judge(struct command *c, const bson_t *reply, struct error *err)
{
    struct judging j = {.c = c, .result = MONGO_DONE, .err = err};
    struct mongo_writer *w = c->w;
    struct mongo_write_job *job = c->job;
    size_t accepted;

    memset(w->failed, 0, w->sent_count * sizeof(*w->failed));
    mongo_reply_write_errors(reply, weigh, &j);
    accepted = w->sent_count - j.failed;
    *(c->deletes ? &job->deleted : &job->written) += accepted;
    if (j.result != MONGO_DONE)
        return j.result;
    tell_accepted(c);
    /* An older event comes alone where its newer one had company. */
    j.beside_others = accepted > 0 || (c->older && job->written + job->deleted > 0);
    if (j.failed > 0)
        mongo_reply_write_errors(reply, judge_record, &j);
    if (j.unclear == 0 || j.beside_others)
        return MONGO_DONE;
    w->all_refused = true;
    *err = w->unclear;
    return MONGO_AGAIN;
}

static enum mongo_result post(struct command *c, struct error *err)
{
    struct mongo *m = c->w->mongo;
    enum mongo_result result;
    bson_t command, reply;

    if (!c->job->may_send(c->job->arg)) {
        error_set(err, ERR_RETRY, "the group was not asked lately");
        return MONGO_AGAIN;
    }
    CHECK(bson_init_static(&command, (const uint8_t *)c->w->command.out.p,
                           c->w->command.out.len));
    result = mongo_write(m, m->target->database, &command, &reply, err);
    if (result == MONGO_DONE)
        result = judge(c, &reply, err);
    else if (mongo_reply_is_no(&reply) &&
             mongo_reply_fault(mongo_reply_code(&reply)) == MONGO_FAULT_UNCLEAR)
        c->w->all_refused = true;
    bson_destroy(&reply);
    return result;
}

/* ---- the whole batch ---- */

static enum mongo_result send_all(struct command *c, const uint32_t *todo, size_t n,
                                  struct error *err);

/* The command as a whole was refused: some record of it must be the reason. */
static enum mongo_result send_halves(struct command *c, const uint32_t *todo, size_t n,
                                     struct error *err)
{
    enum mongo_result result;

    if (n == 1) {
        refuse(c, todo[0], err->message);
        return MONGO_DONE;
    }
    result = send_all(c, todo, n / 2, err);
    return result == MONGO_DONE ? send_all(c, todo + n / 2, n - n / 2, err) : result;
}

static enum mongo_result send_all(struct command *c, const uint32_t *todo, size_t n,
                                  struct error *err)
{
    while (n > 0) {
        size_t taken = build(c, todo, n);
        enum mongo_result result = c->w->sent_count ? post(c, err) : MONGO_DONE;

        CHECK(taken > 0);
        if (result == MONGO_REFUSED)
            result = send_halves(c, todo, taken, err);
        if (result != MONGO_DONE)
            return result;
        todo += taken;
        n -= taken;
    }
    return MONGO_DONE;
}

static void pause_before(struct mongo_writer *w, int tries)
{
    int64_t ms = MIN((int64_t)tries * DUPLICATE_PAUSE_MS, w->pause_left_ms);

    w->pause_left_ms -= ms;
    if (ms > 0)
        stop_wait_ms(ms);
}

static void refuse_duplicates(const struct command *c, size_t n)
{
    for (size_t i = 0; i < n; i++)
        refuse(c, c->w->todo[i],
               "MongoDB refuses it: another document has its key in a unique index "
               "(code 11000)");
}

static enum mongo_result send_kind(struct command *c, struct error *err)
{
    struct mongo_writer *w = c->w;
    enum mongo_result result = MONGO_DONE;
    size_t n = 0;

    for (size_t i = 0; i < w->round_count; i++)
        if ((entry(c, w->round[i])->after.len == 0) == c->deletes)
            w->todo[n++] = w->round[i];
    for (int tries = 1; n > 0 && result == MONGO_DONE; tries++) {
        w->retry_count = 0;
        result = send_all(c, w->todo, n, err);
        n = w->retry_count;
        memcpy(w->todo, w->retry, n * sizeof(*w->todo));
        if (n > 0 && tries == DUPLICATE_TRIES) {
            refuse_duplicates(c, n);
            n = 0;
        }
        if (n > 0)
            pause_before(w, tries);
    }
    return result;
}

/* Those that were refused, each with the next older event of its key. */
static bool next_round(struct mongo_writer *w, struct batch *b)
{
    w->round_count = 0;
    for (size_t i = 0; i < w->refused_count; i++) {
        struct batch_entry *e = &b->entries[w->refused[i]];

        if (!batch_fall_back(b, e))
            continue;
        e->refused = false;
        w->round[w->round_count++] = w->refused[i];
    }
    w->refused_count = 0;
    return w->round_count > 0;
}

static enum mongo_result send_rounds(struct mongo_writer *w, struct mongo_write_job *job,
                                     struct error *err)
{
    struct command updates = {.w = w, .job = job};
    struct command deletes = {.w = w, .job = job, .deletes = true};
    enum mongo_result result;

    reserve(w, job->batch->count);
    w->refused_count = 0;
    w->round_count = job->batch->count;
    for (uint32_t i = 0; i < w->round_count; i++)
        w->round[i] = i;
    do {
        result = send_kind(&updates, err);
        if (result == MONGO_DONE)
            result = send_kind(&deletes, err);
        updates.older = deletes.older = true;
    } while (result == MONGO_DONE && next_round(w, job->batch));
    return result;
}

/* Everything was answered, or a command was refused as a whole: is there hope? */
static enum mongo_result conclude(struct mongo_writer *w, struct mongo_write_job *job,
                                  enum mongo_result result, struct error *err)
{
    struct suspects *s = job->suspects;

    if (result != MONGO_DONE && !w->all_refused)
        return result;
    if (result == MONGO_DONE && w->unclear.kind != ERR_NONE) {
        *err = w->unclear;
        result = MONGO_AGAIN;
    }
    job->hopeless = suspects_end(s, w->all_refused);
    if (job->hopeless)
        error_prefix(err,
                     "MongoDB refuses all that is sent, %d tries in %" PRId64
                     " s, with a code that is not known to be a record's own",
                     s->tries, (s->now_ms - s->since_ms) / 1000);
    return result;
}

enum mongo_result mongo_writer_apply(struct mongo_writer *w, struct mongo_write_job *job,
                                     struct error *err)
{
    enum mongo_result result;

    job->written = job->deleted = 0;
    job->hopeless = false;
    if (mongo_limits(w->mongo, err) < 0)
        return MONGO_AGAIN;
    w->command.limit = MIN(w->batch_bytes, w->mongo->max_bytes);
    w->pause_left_ms = PAUSES_MAX_MS;
    w->all_refused = false;
    w->unclear.kind = ERR_NONE;
    suspects_begin(job->suspects, job->batch->first_offset, job->batch->next_offset,
                   job->now_ms);
    result = send_rounds(w, job, err);
    write_command_trim(&w->command);
    return conclude(w, job, result, err);
}
