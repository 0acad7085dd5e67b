#include "consumer/ownership.h"

#include <inttypes.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/messages/ledger_cache.h"
#include "common/mongo/mongo_target.h"
#include "common/run/log.h"
#include "consumer/consumer.h"

#define POLL_WAIT_MS 50
#define NEWER_LOOK_MS 2000

bool ownership_polled_lately(const struct consumer *c)
{
    return clock_mono_ms() - atomic_load(&c->last_poll) < c->session_ms / 2;
}

bool ownership_read_ledger(const struct partition *p, struct ledger_table *ret,
                           int64_t *ret_begin)
{
    struct error err;

    if (ledger_cache_table(p->consumer->ledger, p->table->name, ret, &err) <= 0)
        return false;
    if (strlen(ret->log_id) >= POSITION_TEXT_MAX) { /* none that a producer makes */
        ledger_table_release(ret);
        *ret = (struct ledger_table){0};
        return false;
    }
    *ret_begin = ret->begin_offsets && p->number < ret->partitions
                     ? ret->begin_offsets[p->number]
                     : POSITION_NONE;
    return true;
}

/* ---- the document's word ---- */

static struct partition_next lost(struct partition *p, const struct position_doc *doc)
{
    log_warn("partition lost to another owner",
             "topic=%s partition=%" PRId32 " my_epoch=%" PRId64 " epoch=%" PRId64
             " owner=%s unconfirmed_from=%" PRId64,
             p->topic, p->number, p->position.epoch, doc->epoch, doc->owner,
             p->position.sent == POSITION_NONE ? POSITION_NONE : p->position.offset);
    return partition_mark(p);
}

struct partition_next ownership_rewind(struct partition *p,
                                       const struct position_change *change, int64_t go_back)
{
    partition_stop_reading(p);
    position_doubt(&p->position);
    p->go_back = go_back;
    keeper_ask_change(p->consumer->keeper, &p->ask, change, clock_mono_ms());
    return partition_go(PARTITION_REWINDING);
}

struct partition_next ownership_follow(struct partition *p, const struct position_doc *doc)
{
    const struct consumer *c = p->consumer;
    struct position_change change;
    int64_t offset = POSITION_NONE;

    switch (position_judge(&p->position, doc, c->me, &offset)) {
    case POSITION_MINE:
        position_adopt(&p->position, doc, clock_mono_ms(), c->target->grace_ms);
        return partition_run(p);
    case POSITION_REWIND:
        position_set_back(&change, doc, offset);
        return ownership_rewind(p, &change, offset);
    case POSITION_GONE:
        return partition_restart(p, "its position was removed");
    case POSITION_LOST:
        break;
    }
    return lost(p, doc);
}

/* ---- the way back ---- */

struct partition_next ownership_held(struct partition *p)
{
    struct keeper *k = p->consumer->keeper;
    int64_t now = clock_mono_ms();

    if (!keeper_take_back(k, &p->ask)) /* whatever comes of it, the document will say so */
        return partition_wait(p);
    if (now < p->until)
        return partition_wait_until(p, p->until);
    if (!ownership_polled_lately(p->consumer))
        return partition_wait_until(p, now + POLL_WAIT_MS);
    if (!table_is_current(p->table, p->view))
        return partition_restart(p, "its collection or log is another one");
    keeper_ask_read(k, &p->ask, now);
    return partition_go(PARTITION_READING);
}

struct partition_next ownership_reading(struct partition *p)
{
    switch (keeper_answer(p->consumer->keeper, &p->ask)) {
    case ANSWER_DOCUMENT:
        return ownership_follow(p, &p->ask.doc);
    case ANSWER_FAILED:
        return partition_hold(p, MONGO_AGAIN, &p->ask.err, "read position");
    case ANSWER_CHANGED:
    case ANSWER_NONE:
        break;
    }
    return partition_wait(p);
}

static struct partition_next went_back(struct partition *p)
{
    int64_t from = p->position.offset;

    if (p->go_back == POSITION_NONE)
        position_begins_again(&p->position);
    else
        position_went_back(&p->position, p->go_back);
    log_info(p->go_back == POSITION_NONE ? "partition set back after an owner without a goodbye"
                                         : "partition set back",
             "topic=%s partition=%" PRId32 " from=%" PRId64 " to=%" PRId64, p->topic, p->number,
             from, p->position.offset);
    return partition_run(p);
}

struct partition_next ownership_rewinding(struct partition *p)
{
    switch (keeper_answer(p->consumer->keeper, &p->ask)) {
    case ANSWER_CHANGED:
        return went_back(p);
    case ANSWER_DOCUMENT:
        return ownership_follow(p, &p->ask.doc);
    case ANSWER_FAILED:
        return partition_hold(p, p->ask.result, &p->ask.err, "go back");
    case ANSWER_NONE:
        break;
    }
    return partition_wait(p);
}

/* ---- halted ---- */

/* A generation that begins after what can't be applied brings all values again. */
bool ownership_newer_begins(const struct partition *p)
{
    struct ledger_table ledger = {0};
    bool newer = false;
    int64_t begin;

    if (ownership_read_ledger(p, &ledger, &begin) && begin != POSITION_NONE)
        newer = ledger.generation > p->position.generation ||
                strcmp(ledger.log_id, p->position.log_id) != 0;
    ledger_table_release(&ledger);
    return newer;
}

struct partition_next ownership_halted(struct partition *p)
{
    int64_t now = clock_mono_ms();

    if (!table_is_current(p->table, p->view))
        return partition_restart(p, "its collection or log is another one");
    if (ownership_newer_begins(p)) {
        p->skip = true;
        return partition_restart(p, "a newer generation begins after what it could not apply");
    }
    if (now < p->until)
        return partition_wait_until(p, MIN(p->until, now + NEWER_LOOK_MS));
    return partition_go(PARTITION_HELD);
}
