#include "consumer/retention.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "common/base/alarm.h"
#include "common/base/clock.h"
#include "common/run/log.h"
#include "common/run/metrics.h"
#include "consumer/retention_policy.h"

#define TIMEOUT_MS 5000
#define LOOK_EVERY_MS 60000
#define LOOKS_PER_RETENTION 50
#define POLICIES_AT_ONCE 20 /* asked for in one look */
#define FOUND_FOR_MS                                                                           \
    (5 * 60 * 1000) /* a time that was found is searched for again after that */
#define WARN_PART 4 /* of the retention is left, or less */
#define ERROR_PART 10

struct retention_topic {
    char *name;
    char *table;
    struct retention_policy policy;
    struct metric *seconds; /* NULL: nothing is cut by its age */
    struct alarm by_age, by_size;

    /* of a look */
    bool present;
    int64_t left_ms;               /* the least of its partitions */
    const struct lagging *nearest; /* that one; NULL: nothing waits */

    UT_hash_handle hh;
};

struct lagging { /* a partition that has something to apply */
    struct partition *p;
    struct retention_topic *topic;
    int64_t position;
    int64_t
        start; /* of its log; -1: the brokers do not tell, and it is left out of this look */
    struct retention_search search;
};

struct retention {
    struct retention_setup setup;
    struct retention_topic *topics;
    int64_t next_ms;

    /* of a look */
    struct partition **assigned;
    size_t assigned_count, assigned_room;
    struct lagging *lagging;
    size_t lagging_count;
};

/* ---- topics ---- */

static void topic_remove(struct retention *r, struct retention_topic *topic)
{
    HASH_DEL(r->topics, topic);
    metric_remove(topic->seconds);
    free(topic->name);
    free(topic->table);
    free(topic);
}

/* NULL: its table is not known. */
static struct retention_topic *topic_get(struct retention *r, const char *name)
{
    struct retention_topic *topic;
    const struct table *table;

    HASH_FIND_STR(r->topics, name, topic);
    if (topic || !(table = tables_of_topic(r->setup.tables, name)) || table->filtered)
        return topic;
    topic = xcalloc(1, sizeof(*topic));
    topic->name = xstrdup(name);
    topic->table = xstrdup(table->name);
    HASH_ADD_KEYPTR(hh, r->topics, topic->name, strlen(topic->name), topic);
    return topic;
}

static void ask_policies(struct retention *r)
{
    int left = POLICIES_AT_ONCE;

    for (struct retention_topic *topic = r->topics; topic && left > 0; topic = topic->hh.next) {
        if (!retention_policy_is_due(&topic->policy, clock_mono_ms()))
            continue;
        if (!retention_policy_ask(&topic->policy, r->setup.rk, topic->name, r->setup.config))
            return;
        left--;
    }
}

static bool knows_all(const struct retention *r)
{
    for (const struct retention_topic *topic = r->topics; topic; topic = topic->hh.next)
        if (topic->policy.asked_ms == 0)
            return false;
    return true;
}

static int64_t look_again_ms(const struct retention *r)
{
    int64_t every = LOOK_EVERY_MS;

    for (const struct retention_topic *topic = r->topics; topic; topic = topic->hh.next) {
        if (topic->policy.keep_ms >= 0)
            every = MIN(every, topic->policy.keep_ms / LOOKS_PER_RETENTION);
    }
    return every;
}

/* ---- partitions ---- */

static void list_assigned(void *arg, struct partition *p)
{
    struct retention *r = arg;

    if (!atomic_load(&p->assigned))
        return;
    if (r->assigned_count == r->assigned_room) {
        r->assigned_room = MAX(2 * r->assigned_room, 64);
        r->assigned = xrealloc(r->assigned, r->assigned_room * sizeof(struct partition *));
    }
    r->assigned[r->assigned_count++] = p;
}

static int64_t begin_of(struct retention *r, const struct retention_topic *topic,
                        int32_t number)
{
    struct ledger_table ledger = {0};
    int64_t begin = POSITION_NONE;
    struct error ignored;

    if (ledger_cache_table(r->setup.ledger, topic->table, &ledger, &ignored) > 0 &&
        ledger.begin_offsets && number < ledger.partitions)
        begin = ledger.begin_offsets[number];
    ledger_table_release(&ledger);
    return begin;
}

/* POSITION_NONE: not known, or for so short a time that it soon may be. */
static int64_t position_of(struct retention *r, struct partition *p,
                           const struct retention_topic *topic)
{
    int64_t offset = atomic_load(&p->offset);
    bool unknown_before = p->place.unknown;

    p->place.unknown = offset < 0;
    if (offset >= 0 || !unknown_before)
        return offset;
    return begin_of(r, topic, p->number);
}

static void list_topics(struct retention *r)
{
    struct retention_topic *topic, *next;

    for (topic = r->topics; topic; topic = topic->hh.next)
        topic->present = false;
    r->assigned_count = 0;
    dispatcher_each(r->setup.dispatcher, list_assigned, r);
    for (size_t i = 0; i < r->assigned_count; i++)
        if ((topic = topic_get(r, r->assigned[i]->topic)))
            topic->present = true;
    HASH_ITER(hh, r->topics, topic, next)
        if (!topic->present)
            topic_remove(r, topic);
}

static void list_lagging(struct retention *r)
{
    r->lagging = xrealloc(r->lagging, MAX(r->assigned_count, 1) * sizeof(*r->lagging));
    r->lagging_count = 0;
    for (size_t i = 0; i < r->assigned_count; i++) {
        struct partition *p = r->assigned[i];
        struct lagging one = {.p = p, .topic = topic_get(r, p->topic)};

        if (!one.topic || one.topic->policy.asked_ms == 0)
            continue;
        one.position = position_of(r, p, one.topic);
        if (one.position >= 0 && partition_lag(p) > 0)
            r->lagging[r->lagging_count++] = one;
    }
}

/* ---- asking the brokers ---- */

static rd_kafka_topic_partition_t *question(rd_kafka_topic_partition_list_t *list,
                                            const struct partition *p, int64_t time)
{
    rd_kafka_topic_partition_t *tp =
        rd_kafka_topic_partition_list_add(list, p->topic, p->number);

    tp->offset = time;
    return tp;
}

static int ask(struct retention *r, rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_resp_err_t code = rd_kafka_offsets_for_times(r->setup.rk, list, TIMEOUT_MS);

    if (code)
        log_debug("ages of records not known", "reason=%s", rd_kafka_err2str(code));
    return code ? -1 : 0;
}

static int ask_starts(struct retention *r)
{
    AUTO(rd_kafka_listp)
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new((int)r->lagging_count);

    for (size_t i = 0; i < r->lagging_count; i++)
        question(list, r->lagging[i].p, RD_KAFKA_OFFSET_BEGINNING);
    if (list->cnt > 0 && ask(r, list) < 0)
        return -1;
    for (size_t i = 0; i < r->lagging_count; i++)
        r->lagging[i].start = list->elems[i].err ? -1 : list->elems[i].offset;
    return 0;
}

static bool is_found(const struct lagging *one, int64_t now)
{
    const struct retention_place *place = &one->p->place;

    return one->start < 0 || one->topic->policy.keep_ms < 0 ||
           (place->found_ms > 0 && place->position == one->position &&
            now - place->found_ms < FOUND_FOR_MS);
}

/* One question for each that is not found yet; how many there are, -1: not answered. */
static int ask_times(struct retention *r, int64_t now)
{
    AUTO(rd_kafka_listp)
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new((int)r->lagging_count);
    int at = 0;

    for (size_t i = 0; i < r->lagging_count; i++)
        if (!is_found(&r->lagging[i], now))
            question(list, r->lagging[i].p, retention_search_question(&r->lagging[i].search));
    if (list->cnt == 0)
        return 0;
    if (ask(r, list) < 0)
        return -1;
    for (size_t i = 0; i < r->lagging_count; i++) {
        struct lagging *one = &r->lagging[i];

        if (is_found(one, now))
            continue;
        if (list->elems[at].err)
            one->start = -1;
        else
            retention_search_told(&one->search, list->elems[at].offset, one->position);
        at++;
    }
    return list->cnt;
}

static void note_found(struct lagging *one, int64_t now)
{
    if (!is_found(one, now) && retention_search_ended(&one->search))
        one->p->place = (struct retention_place){.position = one->position,
                                                 .time_ms = retention_search_time(&one->search),
                                                 .found_ms = now,
                                                 .unknown = one->p->place.unknown};
}

static int search_times(struct retention *r)
{
    int64_t now = clock_mono_ms();
    int asked;

    for (size_t i = 0; i < r->lagging_count; i++)
        if (!is_found(&r->lagging[i], now))
            retention_search_begin(&r->lagging[i].search, clock_wall_ms(),
                                   r->lagging[i].topic->policy.keep_ms);
    while ((asked = ask_times(r, now)) > 0)
        for (size_t i = 0; i < r->lagging_count; i++)
            note_found(&r->lagging[i], now);
    return asked;
}

/* ---- what it means ---- */

static enum log_level level_of(enum alarm_level level)
{
    return level == ALARM_ERROR ? LOG_LEVEL_ERROR : LOG_LEVEL_WARN;
}

static bool is_cut_off(const struct lagging *one)
{
    return one->start > one->position;
}

/* Of a partition whose begin is not there any more its position may be behind that. */
static bool counts(const struct lagging *one)
{
    return one->start >= 0 && !(is_cut_off(one) && one->p->place.unknown);
}

static int64_t left_ms(const struct lagging *one)
{
    int64_t left = one->p->place.time_ms + one->topic->policy.keep_ms - clock_wall_ms();

    return is_cut_off(one) ? MIN(left, -1) : left;
}

static void warn_by_age(const struct lagging *one, int64_t left)
{
    struct retention_topic *topic = one->topic;
    int64_t keep = topic->policy.keep_ms;
    enum alarm_level level =
        alarm_look(&topic->by_age, left, keep / WARN_PART, keep / ERROR_PART, clock_mono_ms());

    if (level != ALARM_NONE)
        log_event(level_of(level),
                  is_cut_off(one) ? "position fell out of the log"
                                  : "position will fall out of the log",
                  "table=%s topic=%s partition=%" PRId32 " offset=%" PRId64
                  " seconds_left=%" PRId64 " retention_ms=%" PRId64,
                  topic->table, topic->name, one->p->number, one->position, left / 1000, keep);
}

/* A log that was never cut may have room for long. */
static void warn_by_size(const struct lagging *one)
{
    struct retention_topic *topic = one->topic;
    int64_t left = one->position - one->start;
    int64_t held = atomic_load(&one->p->log_end) - one->start;
    enum alarm_level level;

    if (!topic->policy.by_size || one->start == 0)
        return;
    level =
        alarm_look(&topic->by_size, left, held / WARN_PART, held / ERROR_PART, clock_mono_ms());
    if (level != ALARM_NONE)
        log_event(level_of(level),
                  is_cut_off(one) ? "position fell out of the log"
                                  : "position comes near the start of the log",
                  "table=%s topic=%s partition=%" PRId32 " offset=%" PRId64
                  " records_left=%" PRId64 " records=%" PRId64 " cut_by=retention.bytes",
                  topic->table, topic->name, one->p->number, one->position, left, held);
}

static void judge(const struct lagging *one)
{
    struct retention_topic *topic = one->topic;
    int64_t left = left_ms(one);

    if (!counts(one))
        return;
    warn_by_size(one);
    if (topic->policy.keep_ms < 0 || (topic->nearest && left >= topic->left_ms))
        return;
    topic->nearest = one;
    topic->left_ms = left;
}

static struct metric *series_of(const struct retention_topic *topic)
{
    AUTO(free_charp) char *labels = metric_labels("table", topic->table, NULL);

    return metric_get(METRIC_GAUGE, "dynaferry_consumer_retention_seconds",
                      "until retention takes what is not applied yet", labels);
}

/* What has nothing to apply has all of the time. */
static void show(struct retention_topic *topic)
{
    int64_t keep = topic->policy.keep_ms;

    if (topic->policy.asked_ms == 0 || keep < 0) {
        metric_remove(TAKE(topic->seconds));
        return;
    }
    if (topic->nearest)
        warn_by_age(topic->nearest, topic->left_ms);
    if (!topic->seconds)
        topic->seconds = series_of(topic);
    metric_set(topic->seconds, (topic->nearest ? topic->left_ms : keep) / 1000);
}

/* ---- a look ---- */

static void look(struct retention *r)
{
    ask_policies(r);
    list_lagging(r);
    if (ask_starts(r) < 0 || search_times(r) < 0)
        return;
    for (struct retention_topic *topic = r->topics; topic; topic = topic->hh.next)
        topic->nearest = NULL;
    for (size_t i = 0; i < r->lagging_count; i++)
        judge(&r->lagging[i]);
    for (struct retention_topic *topic = r->topics; topic; topic = topic->hh.next)
        show(topic);
}

void retention_look(struct retention *r)
{
    list_topics(r);
    if (clock_mono_ms() < r->next_ms && knows_all(r))
        return;
    look(r);
    r->next_ms = clock_mono_ms() + look_again_ms(r);
}

struct retention *retention_new(const struct retention_setup *setup)
{
    struct retention *r = xcalloc(1, sizeof(*r));

    r->setup = *setup;
    return r;
}

void retention_free(struct retention *r)
{
    if (!r)
        return;
    while (r->topics)
        topic_remove(r, r->topics);
    free(r->assigned);
    free(r->lagging);
    free(r);
}
