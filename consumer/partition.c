#include "consumer/partition.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/mongo/mongo_target.h"
#include "common/run/log.h"
#include "consumer/consumer.h"
#include "consumer/fetch.h"

#define BACKOFF_BASE_MS 200
#define BACKOFF_CAP_MS 10000
#define HALTED_MS 10000 /* then it is tried again */

static void messages_came(void *arg)
{
    partition_wake(arg);
}

char *partition_id(const char *topic, int32_t number)
{
    return xasprintf("%s/%" PRId32, topic, number);
}

struct partition *partition_new(struct consumer *c, const char *topic, int32_t number)
{
    struct partition *p = xcalloc(1, sizeof(*p));

    p->consumer = c;
    p->topic = xstrdup(topic);
    p->number = number;
    p->id = partition_id(topic, number);
    p->ask.id = p->id;
    p->ask.owner = p;
    p->sweep.id = p->id;
    p->sweep.number = number;
    p->sweep.owner = p;
    p->end_seen = -1;
    position_init(&p->position);
    batch_init(&p->batch);
    suspects_init(&p->suspects);
    backoff_init(&p->backoff, BACKOFF_BASE_MS, BACKOFF_CAP_MS, NULL, NULL);
    atomic_init(&p->offset, POSITION_NONE);
    atomic_init(&p->log_end, -1);
    p->stream = fetch_stream_new(fetch_streams(c->fetch), topic, number, messages_came, p);
    return p;
}

void partition_free(struct partition *p)
{
    if (!p)
        return;
    partition_drop_batch(p);
    dead_letters_round_drop(p->letters);
    fetch_stream_free(p->stream);
    batch_release(&p->batch);
    suspects_release(&p->suspects);
    table_view_put(p->view);
    health_remove(p->health);
    free(p->messages);
    free(p->refusals);
    free(p->notes.hashes);
    free(p->halted);
    free(p->topic);
    free(p->id);
    free(p);
}

/* ---- what follows from a state ---- */

static const struct {
    bool released;
    bool taken;
} facts[] = {
#define X(name, function, is_released, is_taken, next)                                         \
    [PARTITION_##name] = {is_released, is_taken},
    PARTITION_STATES(X)
#undef X
};

bool partition_is_released(const struct partition *p)
{
    return facts[p->state].released;
}

bool partition_is_taken(const struct partition *p)
{
    return facts[p->state].taken;
}

int64_t partition_lag(const struct partition *p)
{
    int64_t offset = atomic_load(&p->offset), end = atomic_load(&p->log_end);

    if (atomic_load(&p->left_out) ||
        (atomic_load(&p->idle) && atomic_load(&p->end_shown) >= end))
        return 0;
    return MAX(end - MAX(offset, 0), 0);
}

bool partition_may_be_taken(const struct partition *p)
{
    return position_may_take_again(atomic_load(&p->assigned));
}

/* ---- what a state's function returns ---- */

struct partition_next partition_go(enum partition_state state)
{
    return (struct partition_next){state, 0};
}

static struct partition_next go_at(enum partition_state state, int64_t at_ms)
{
    return (struct partition_next){state, MAX(at_ms - clock_mono_ms(), 0)};
}

struct partition_next partition_wait(const struct partition *p)
{
    return (struct partition_next){p->state, STEP_ON_WAKE};
}

struct partition_next partition_wait_until(const struct partition *p, int64_t at_ms)
{
    return go_at(p->state, at_ms);
}

int64_t partition_again_at(struct partition *p)
{
    return clock_mono_ms() + backoff_next_ms(&p->backoff);
}

struct partition_next partition_hold(struct partition *p, enum mongo_result result,
                                     const struct error *err, const char *what)
{
    int64_t now = clock_mono_ms();

    partition_stop_reading(p);
    position_doubt(&p->position);
    p->until = partition_again_at(p);
    if (result == MONGO_UNKNOWN)
        p->until = MAX(p->until, now + p->consumer->target->grace_ms);
    log_warn("partition held",
             "topic=%s partition=%" PRId32 " offset=%" PRId64 " for_ms=%" PRId64
             " outcome=%s at=%s reason=%s",
             p->topic, p->number, p->position.offset, p->until - now,
             result == MONGO_UNKNOWN ? "unknown" : "failed", what, err->message);
    return go_at(PARTITION_HELD, p->until);
}

static void end_halt(struct partition *p)
{
    if (!p->halted)
        return;
    free(TAKE(p->halted));
    table_partition_halt_ended(p->table, p->number);
}

struct partition_next partition_halt(struct partition *p, const char *reason)
{
    partition_stop_reading(p);
    position_doubt(&p->position);
    if (p->halted && strcmp(p->halted, reason) != 0)
        end_halt(p); /* of something else */
    if (!p->halted) {
        p->halted = xstrdup(reason);
        table_partition_halted(p->table, p->number, reason);
    }
    p->until = clock_mono_ms() + HALTED_MS;
    return partition_go(PARTITION_HALTED);
}

struct partition_next partition_leave(struct partition *p)
{
    p->until = 0;
    backoff_reset(&p->backoff);
    return partition_go(PARTITION_LEAVING);
}

struct partition_next partition_mark(struct partition *p)
{
    partition_stop_reading(p);
    p->until = 0;
    return partition_go(PARTITION_MARKING);
}

struct partition_next partition_restart(struct partition *p, const char *why)
{
    log_info("partition restarted", "topic=%s partition=%" PRId32 " why=%s", p->topic,
             p->number, why);
    return partition_leave(p);
}

struct partition_next partition_run(struct partition *p)
{
    p->end_seen = -1;
    p->stop = PARTITION_STOP_NOT;
    p->notes.begun = false;
    atomic_store(&p->offset, p->position.offset);
    atomic_store(&p->log_shrank, false);
    p->look = (struct log_look){0};
    return partition_go(PARTITION_CHECKING);
}

/* ---- progress ---- */

void partition_progressed(struct partition *p)
{
    end_halt(p);
    backoff_reset(&p->backoff);
    if (p->health)
        health_alive(p->health);
    metric_set(p->table->metrics.progressed, clock_wall_ms() / 1000);
}

/* ---- what is in hand ---- */

void partition_keep(struct partition *p, rd_kafka_message_t *m)
{
    if (p->message_count == p->message_capacity) {
        p->message_capacity = p->message_capacity ? 2 * p->message_capacity : 64;
        p->messages = xrealloc(p->messages, p->message_capacity * sizeof(*p->messages));
    }
    p->messages[p->message_count++] = m;
}

void partition_refuse(struct partition *p, rd_kafka_message_t *m, const char *reason)
{
    p->refusals = xrealloc(p->refusals, (p->refusal_count + 1) * sizeof(*p->refusals));
    p->refusals[p->refusal_count++] = (struct refusal){m, xstrdup(reason)};
}

bool partition_has_batch(const struct partition *p)
{
    return p->batch.seen > 0;
}

void partition_drop_batch(struct partition *p)
{
    fetch_stream_release(p->stream, p->messages, p->message_count);
    for (size_t i = 0; i < p->refusal_count; i++)
        free(p->refusals[i].reason);
    free(TAKE(p->refused));
    p->message_count = p->refusal_count = p->letter_count = p->notes.count = 0;
    p->notes.unreadable = false;
    batch_reset(&p->batch);
}

void partition_stop_reading(struct partition *p)
{
    fetch_stream_close(p->stream);
    partition_drop_batch(p);
    dead_letters_round_drop(TAKE(p->letters));
    p->end_seen = -1;
    p->stop = PARTITION_STOP_NOT;
}

void partition_release(struct partition *p)
{
    partition_stop_reading(p);
    end_halt(p);
    table_view_put(TAKE(p->view));
    position_init(&p->position);
    suspects_release(&p->suspects);
    p->taking = false;
    p->log_doubted = false;
}
