#include "consumer/topic_check.h"

#include <inttypes.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/run/log.h"
#include "consumer/consumer.h"
#include "consumer/ownership.h"
#include "consumer/snapshot_request.h"

#define NEWER_LOOK_MS 500

/* ---- a look ---- */

static void take_control(struct log_sight *sight, const struct event *ev)
{
    sight->begins = ev->control.type == CONTROL_SNAPSHOT_BEGIN;
    if (ev->control.log_id.len < sizeof(sight->log_id))
        memcpy(sight->log_id, ev->control.log_id.p, ev->control.log_id.len);
}

static void take_record(struct log_sight *sight, const rd_kafka_message_t *m)
{
    struct error ignored;
    struct event ev;

    sight->kind = SIGHT_RECORD;
    if (!m->payload || event_decode(&ev, (struct bytes){m->payload, m->len}, &ignored) < 0)
        return; /* anybody's: it says nothing */
    sight->generation = ev.source.generation;
    if (ev.op == EVENT_CONTROL && ev.control.log_id.len > 0)
        take_control(sight, &ev);
}

static int take_sight(struct log_sight *sight, const rd_kafka_message_t *m, struct error *err)
{
    *sight = (struct log_sight){.offset = m->offset};
    switch (m->err) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
        take_record(sight, m);
        return 0;
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
        sight->kind = SIGHT_END;
        return 0;
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
        sight->kind = SIGHT_OUTSIDE;
        return 0;
    default:
        return error_set(err, ERR_RETRY, "%s", rd_kafka_message_errstr(m));
    }
}

/* Until something came, it is looking. */
static int see(struct partition *p, struct error *err)
{
    struct log_look *look = &p->look;
    rd_kafka_message_t *m;
    int result;

    if (!look->looking || fetch_stream_pull(p->stream, &m, 1) == 0)
        return 0;
    look->looking = false;
    result = take_sight(&look->sights[look->place], m, err);
    fetch_stream_release(p->stream, &m, 1);
    return result;
}

static struct partition_next look_at(struct partition *p, const struct log_claim *claim,
                                     enum log_place place)
{
    const int64_t offsets[] = {[LOG_AT_BEGIN] = claim->begin,
                               [LOG_AT_NEWEST] = claim->newest,
                               [LOG_AT_POSITION] = claim->position,
                               [LOG_AT_OLDEST] = RD_KAFKA_OFFSET_BEGINNING};

    p->look.place = place;
    p->look.looking = true;
    fetch_stream_open(p->stream, offsets[place]);
    return partition_wait(p);
}

/* ---- what it means ---- */

static void claim_of(const struct partition *p, struct log_claim *ret)
{
    const struct position *pos = &p->position;
    struct ledger_table ledger = {0};
    int64_t begin;

    *ret = (struct log_claim){.log_id = pos->log_id,
                              .generation = pos->generation,
                              .begin = pos->begin,
                              .newest = POSITION_NONE,
                              .position = pos->applied,
                              .doubted = p->log_doubted};
    if (ownership_read_ledger(p, &ledger, &begin) && begin > pos->begin &&
        ledger.generation > pos->generation && strcmp(ledger.log_id, pos->log_id) == 0) {
        ret->newest = begin;
        ret->newest_generation = ledger.generation;
    }
    ledger_table_release(&ledger);
}

static struct partition_next same_log(struct partition *p)
{
    if (p->log_doubted)
        log_info("log unchanged", "topic=%s partition=%" PRId32 " offset=%" PRId64, p->topic,
                 p->number, p->position.applied);
    p->log_doubted = false;
    fetch_stream_open(p->stream, p->position.applied);
    return partition_go(PARTITION_RUNNING);
}

/* The log can't bring what comes next. Where a newer generation begins, that is gone on with;
 * else the producer is asked for one. Where it begins is known one transaction after its begin:
 * until then it is waited for. */
static struct partition_next needs_generation(struct partition *p, const char *why)
{
    AUTO(ledger_table_release) struct ledger_table ledger = {0};
    const char *asked = "the ledger does not know the table";
    struct error err;
    int64_t begin;

    if (ownership_newer_begins(p)) {
        p->skip = true;
        return partition_restart(p, "a newer generation begins behind what its log has lost");
    }
    if (ownership_read_ledger(p, &ledger, &begin)) {
        if (ledger.generation > p->position.generation && begin == POSITION_NONE)
            return partition_wait_until(p, clock_mono_ms() + NEWER_LOOK_MS);
        asked = snapshot_request_send(p->consumer->snapshots, p->table, ledger.generation, why);
    }
    error_set(&err, ERR_FATAL, "%s: %s", why, asked);
    return partition_halt(p, err.message);
}

static struct partition_next other_log(struct partition *p)
{
    const struct position *pos = &p->position;
    struct error err;

    error_set(&err, ERR_FATAL,
              "its topic was made anew or lost records: it is not the log %s of which offset "
              "%" PRId64 " of partition %" PRId32
              " was to come next, or has no begin of generation %" PRId64 " at offset %" PRId64,
              pos->log_id, pos->applied, p->number, pos->generation, pos->begin);
    return needs_generation(p, err.message);
}

static struct partition_next truncated(struct partition *p)
{
    struct error err;

    error_set(&err, ERR_FATAL,
              "the log does not hold offset %" PRId64 " of partition %" PRId32 " (any more)",
              p->position.applied, p->number);
    return needs_generation(p, err.message);
}

struct partition_next topic_check_checking(struct partition *p)
{
    enum log_place place;
    struct log_claim claim;
    struct error err;

    if (!table_is_current(p->table, p->view))
        return partition_restart(p, "its collection or log is another one");
    if (see(p, &err) < 0)
        return partition_hold(p, MONGO_AGAIN, &err, "look at the log");
    if (p->look.looking)
        return partition_wait(p);
    claim_of(p, &claim);
    switch (topic_identity_judge(&place, &claim, p->look.sights)) {
    case LOG_LOOK:
        return look_at(p, &claim, place);
    case LOG_SAME:
        return same_log(p);
    case LOG_TRUNCATED:
        return truncated(p);
    case LOG_OTHER:
        break;
    }
    return other_log(p);
}
