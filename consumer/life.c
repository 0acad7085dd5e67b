#include "consumer/life.h"

#include <stdlib.h>

#include "common/base/check.h"
#include "common/mongo/mongo.h"
#include "consumer/consumer.h"
#include "consumer/mongo_writer.h"
#include "consumer/ownership.h"
#include "consumer/pass.h"
#include "consumer/preparer.h"
#include "consumer/run.h"
#include "consumer/takeover.h"
#include "consumer/topic_check.h"

/* A wait for its grace is long; nothing legal takes longer than this without progress. */
#define HEALTH_LIMIT_MS 120000
#define STATES_MAX 16 /* called in one step */

void *life_writer_open(void *consumer)
{
    const struct consumer *c = consumer;
    struct mongo_writer *writer = xmalloc(sizeof(*writer));

    mongo_writer_init(writer, mongo_new(c->target), c->batch_bytes);
    return writer;
}

void life_writer_close(void *context)
{
    struct mongo_writer *writer = context;

    mongo_writer_release(writer);
    mongo_free(writer->mongo);
    free(writer);
}

/* ---- what is derived ---- */

/* Its table has a health of its own, which says why the partition waits for it. */
static bool has_health(const struct partition *p)
{
    switch (p->state) {
    case PARTITION_RESTING:
    case PARTITION_LEFT_OUT:
        return false;
    case PARTITION_WAITING: /* kept on the way to being taken again: that is no progress */
        return p->health || !p->table;
    case PARTITION_MARKING:
    case PARTITION_LEAVING:
        return atomic_load(&p->assigned);
    default:
        return true;
    }
}

static void show_health(struct partition *p)
{
    if (!has_health(p)) {
        health_remove(TAKE(p->health));
        return;
    }
    if (!p->health) {
        p->health = health_get(p->id, HEALTH_LIMIT_MS);
        p->said = false;
    }
    health_set_limit(p->health, p->halted ? 0 : HEALTH_LIMIT_MS);
    /* The texts are compared there: a new reason may have the old one's address. */
    if (p->halted || p->said)
        health_say(p->health, p->halted ? p->halted : "");
    p->said = p->halted != NULL;
}

static void show_use(struct partition *p)
{
    bool used = p->table && !p->table->filtered && atomic_load(&p->assigned);

    if (used == p->used)
        return;
    p->used = used;
    preparer_use(p->consumer->preparer, p->table, used);
}

/* Everything that was seen is in the target, the position says so, and nothing is to be done
 * once more. */
static bool is_idle(const struct partition *p)
{
    return p->state == PARTITION_RUNNING && p->end_seen >= 0 && !partition_has_batch(p) &&
           !position_is_ahead(&p->position) && p->position.again == POSITION_NONE;
}

static bool is_halted(const struct partition *p)
{
    return p->halted ||
           (p->state == PARTITION_WAITING && p->table && table_is_halted(p->table));
}

static void show(struct partition *p)
{
    bool idle = is_idle(p);

    show_health(p);
    show_use(p);
    if (idle)
        atomic_store(&p->end_shown, p->end_seen);
    atomic_store(&p->idle, idle);
    atomic_store(&p->left_out, p->state == PARTITION_LEFT_OUT);
    atomic_store(&p->halted_shown, is_halted(p));
}

/* ---- a step ---- */

static bool is_given_up(enum partition_state state)
{
    return state == PARTITION_RESTING || state == PARTITION_WAITING ||
           state == PARTITION_LEFT_OUT;
}

/* What the group has taken away leaves, whatever it is at. */
static bool has_to_leave(const struct partition *p)
{
    return partition_is_taken(p) && p->state != PARTITION_LEAVING && !atomic_load(&p->assigned);
}

static const struct {
    struct partition_next (*function)(struct partition *p);
    unsigned next; /* the states that may follow */
} states[] = {
#define TO(name) 1u << PARTITION_##name
#define X(name, function, released, taken, next) [PARTITION_##name] = {function, next},
    PARTITION_STATES(X)
#undef X
};

static struct partition_next call(struct partition *p)
{
    return has_to_leave(p) ? partition_leave(p) : states[p->state].function(p);
}

static void enter(struct partition *p, enum partition_state state)
{
    if (state == p->state)
        return;
    CHECK(states[p->state].next & 1u << state);
    p->state = state;
    if (is_given_up(state))
        partition_release(p);
}

int64_t life_step(void *writer, struct partition *p)
{
    struct partition_next next = {.delay_ms = 0};

    p->writer = writer;
    for (int i = 0; i < STATES_MAX && next.delay_ms == 0; i++) {
        enum partition_state before = p->state;

        next = call(p);
        enter(p, next.state);
        show(p);
        if (next.state == before)
            break;
    }
    return next.delay_ms;
}
