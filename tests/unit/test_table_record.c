/* tests/unit/test_table_record.c - a table's record over aborts, stops and the end of a stop;
 * the writer and the ledger's cache are made of what each test says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support_config.h"

#include "common/base/clock.h"
#include "common/kafka/kafka_topic.h"
#include "common/run/log.h"
#include "producer/carried_table.h"
#include "producer/ledger_dues.h"
#include "producer/signal_topic.h"
#include "producer/stream_listing.h"
#include "producer/table_adopt.h"
#include "producer/table_record.h"
#include "producer/table_requests.h"
#include "producer/table_resume.h"
#include "producer/table_start.h"

/* ---- the writer: takes everything, remembers the last value ---- */

static char last_value[4096];
static char tombstones[4096];   /* their keys, each with a space behind it */
static void (*meanwhile)(void); /* another thread, during the next append or request */

static void (*at_the_gate)(void); /* another thread, before the gate is entered */

static void let_others_run(void)
{
    void (*others)(void) = TAKE(meanwhile);

    if (others)
        others();
}

int topic_writer_gate_enter(struct topic_writer *w, struct topic_writer_member *m,
                            struct step *s, struct error *err)
{
    void (*others)(void) = TAKE(at_the_gate);

    (void)m;
    (void)s;
    (void)w;
    (void)err;
    if (others)
        others();
    return 0;
}

int topic_writer_append(struct topic_writer *w, const struct topic_record *r, struct error *err)
{
    (void)w;
    (void)err;
    let_others_run();
    if (r->value.p)
        snprintf(last_value, sizeof(last_value), BYTES_FMT, BYTES_ARG(r->value));
    else
        snprintf(tombstones + strlen(tombstones), sizeof(tombstones) - strlen(tombstones),
                 BYTES_FMT " ", BYTES_ARG(r->key));
    if (r->ret_offset)
        *r->ret_offset = 7;
    return 0;
}

int64_t topic_writer_gate_wait_ms(struct topic_writer *w, struct topic_writer_member *m)
{
    (void)w;
    (void)m;
    return 0;
}

void topic_writer_request_abort(struct topic_writer *w, const char *why)
{
    (void)w;
    fail_msg("%s", why);
}

void topic_writer_gate_exit(struct topic_writer *w)
{
    (void)w;
}

static void (*behind_the_gate)(void); /* another thread, once the gate is left */

void topic_writer_commit_soon(struct topic_writer *w)
{
    void (*others)(void) = TAKE(behind_the_gate);

    (void)w;
    if (others)
        others();
}

void topic_writer_add_member(struct topic_writer *w, struct topic_writer_member *m)
{
    (void)w;
    (void)m;
}

rd_kafka_topic_t *topic_writer_topic(struct topic_writer *w, const char *name)
{
    (void)w;
    (void)name;
    return NULL;
}

void topic_writer_gate_try_now(struct topic_writer *w, struct topic_writer_member *m)
{
    (void)w;
    (void)m;
}

void topic_writer_outdate(struct topic_writer *w, const char *topic)
{
    (void)w;
    (void)topic;
}

void topic_writer_remove_member(struct topic_writer *w, struct topic_writer_member *m)
{
    (void)w;
    (void)m;
}

/* ---- the log ---- */

static char last_error[1024]; /* its fields */

void __wrap_log_event(enum log_level level, const char *event, const char *fields, ...)
    __attribute__((format(printf, 3, 4)));
void __wrap_log_event(enum log_level level, const char *event, const char *fields, ...)
{
    va_list args;

    (void)event;
    if (level != LOG_LEVEL_ERROR)
        return;
    va_start(args, fields);
    vsnprintf(last_error, sizeof(last_error), fields, args);
    va_end(args);
}

/* ---- the source: it has no item, and one shard ---- */

int64_t __wrap_stream_listing_page(struct append_context *a, const char *arn, bool *ret_done,
                                   struct error *err);
int64_t __wrap_stream_listing_page(struct append_context *a, const char *arn, bool *ret_done,
                                   struct error *err)
{
    struct ddb_stream *stream = xcalloc(1, sizeof(*stream));

    (void)arn;
    (void)err;
    let_others_run();
    stream->arn = xstrdup("");
    stream->status = xstrdup("ENABLED");
    stream->view = xstrdup("NEW_IMAGE");
    stream->shards = xcalloc(1, sizeof(*stream->shards));
    stream->shards[0] =
        (struct ddb_shard){xstrdup("s2"), xstrdup("s1"), xstrdup("1"), xstrdup("")};
    stream->shard_count = stream->shard_room = 1;
    a->w->look.listing = stream;
    *ret_done = true;
    return 0;
}

int __wrap_ddb_items_get(struct http_answer *ret, struct ddb_client *client, const char *table,
                         const struct bytes *keys, size_t count, struct error *err);
int __wrap_ddb_items_get(struct http_answer *ret, struct ddb_client *client, const char *table,
                         const struct bytes *keys, size_t count, struct error *err)
{
    (void)client;
    (void)table;
    (void)keys;
    (void)count;
    (void)err;
    let_others_run();
    buf_init(&ret->body, 4096);
    buf_lit(&ret->body, "{\"Responses\":{\"t\":[]},\"UnprocessedKeys\":{}}");
    return 0;
}

/* ---- the ledger ---- */

static const struct ledger_table *in_ledger;
static bool in_ledger_is_broken;

int ledger_cache_table(struct ledger_cache *l, const char *table, struct ledger_table *ret,
                       struct error *err)
{
    (void)l;
    (void)table;
    if (in_ledger_is_broken)
        return error_set(err, ERR_DATA, "not the JSON of a table's record");
    ledger_table_copy(ret, in_ledger);
    return 1;
}

char *ledger_cache_value(struct ledger_cache *l, const char *key)
{
    (void)l;
    (void)key;
    return NULL;
}

static const char *const *other_keys; /* of the ledger; NULL behind the last */

void ledger_cache_each(struct ledger_cache *l, const char *prefix,
                       void (*each)(void *arg, struct bytes rest, struct bytes value,
                                    int32_t partition),
                       void *arg)
{
    (void)l;
    for (const char *const *key = other_keys; key && *key; key++)
        if (strncmp(*key, prefix, strlen(prefix)) == 0)
            each(arg, bytes_of(*key + strlen(prefix)), BYTES_LIT("{}"), 0);
}

static int64_t cache_has = 7, topic_has = 7;

int __wrap_kafka_topic_end_offsets(int64_t *ret, rd_kafka_t *rk, const char *topic,
                                   int32_t first, int32_t count, int64_t timeout_ms,
                                   struct error *err);
int __wrap_kafka_topic_end_offsets(int64_t *ret, rd_kafka_t *rk, const char *topic,
                                   int32_t first, int32_t count, int64_t timeout_ms,
                                   struct error *err)
{
    (void)rk;
    (void)topic;
    (void)first;
    (void)count;
    (void)timeout_ms;
    (void)err;
    *ret = topic_has;
    return 0;
}

int ledger_cache_sync_to(struct ledger_cache *l, int32_t partition, int64_t offset,
                         int64_t timeout_ms, struct error *err)
{
    (void)l;
    (void)partition;
    (void)timeout_ms;
    return cache_has < offset ? error_set(err, ERR_RETRY, "not read to its end") : 0;
}

/* ---- the signal topic ---- */

static const struct pending_signal *asked; /* what is in it for the table */

struct signal_subscription *signal_topic_join(struct signal_topic *signals, const char *table,
                                              int64_t from, void (*wake)(void *arg), void *arg)
{
    (void)signals;
    (void)table;
    (void)from;
    (void)wake;
    (void)arg;
    return NULL;
}

void signal_topic_leave(struct signal_subscription *sub)
{
    (void)sub;
}

int64_t signal_topic_start_of(struct signal_subscription *sub)
{
    (void)sub;
    return 0;
}

const struct pending_signal *signal_topic_from(struct signal_subscription *sub, int64_t offset)
{
    (void)sub;
    return asked && asked->offset >= offset ? asked : NULL;
}

void signal_topic_forget(struct signal_subscription *sub, int64_t below)
{
    (void)sub;
    (void)below;
}

bool producer_reserve(struct producer *p, enum throttle_use use, size_t bytes, struct step *s)
{
    (void)s;
    return throttle_reserve(p->throttle, use, bytes);
}

/* ---- a worker, whose steps are run by hand ---- */

struct bench {
    struct producer p;
    struct append_context a;
    struct config *config;
    struct poison *poison;
    struct table_worker *w;
};

static void nothing(void *home)
{
    (void)home;
}

static void bench_begin(struct bench *b, enum sync_mode mode, const struct ledger_table *known)
{
    const struct carried_table_setup setup = {.table = "t", .released = nothing};
    struct error err;

    *b = (struct bench){.config = config_loaded("source.region = eu-central-1", NULL),
                        .poison = poison_new()};
    b->p = (struct producer){
        .config = b->config,
        .mode = mode,
        .prefix = "dynaferry",
        .ledger_topic = "dynaferry-ledger",
        .throttle = throttle_new(1 << 20, 0, 0, 0, 1),
        .poison = &b->poison,
        .pool = step_pool_new(0, (struct step_pool_hooks){0}),
    };
    if (ddb_source_new(&b->p.source, b->config, &err) < 0)
        fail_msg("%s", err.message);
    buf_init(&b->a.keys, 4096);
    buf_init(&b->a.text, 4096);
    buf_init(&b->a.value, 4096);
    in_ledger = known;
    b->w = carried_table_new(&b->p, &setup);
    b->w->partitions = 1;
    b->a.w = b->w;
}

static void bench_end(struct bench *b)
{
    carried_table_stop(b->w);
    step_pool_free(b->p.pool);
    ddb_source_free(b->p.source);
    throttle_free(b->p.throttle);
    poison_free(b->poison);
    buf_release(&b->a.keys);
    buf_release(&b->a.text);
    buf_release(&b->a.value);
    config_free(b->config);
}

static struct ledger_table record(enum ledger_phase phase, int64_t finished_ms)
{
    static int64_t begin_offsets[] = {3};

    return (struct ledger_table){
        .table = "t",
        .topic = "dynaferry.t",
        .phase = phase,
        .reason = "why",
        .generation = 1,
        .table_id = "id",
        .stream_arn = "",
        .key_schema = {.hash = {"pk", 2, 'S'}},
        .segments = 1,
        .partitions = 1,
        .log_id = "log",
        .rows = true,
        .begin_offsets = begin_offsets,
        .started_ms = 1,
        .finished_ms = finished_ms,
    };
}

static void adopt_next(struct bench *b, int64_t generation)
{
    struct ledger_table known = record(PHASE_SNAPSHOT, 0), t;
    struct shard_tree tree = {0};
    struct error err;

    known.generation = generation;
    known.begin_offsets = NULL;
    ledger_table_copy(&t, &known);
    assert_int_equal(table_adopt_append(&b->a, &t, &tree, &err), 0);
}

static void resume(struct bench *b)
{
    int64_t *found = NULL;
    struct error err;

    assert_int_equal(table_resume_load(b->w, &found, &err), 0);
}

static int64_t control(struct bench *b)
{
    return b->w->control.run(b->w->control.arg, &b->a);
}

static bool all_is_well(void)
{
    AUTO(buf_release) struct buf text;

    buf_init(&text, 4096);
    return health_write(&text);
}

static void a_second_try_to_begin_a_generation_records_its_begin_offsets(void **state)
{
    struct ledger_table known = record(PHASE_TAIL, 2);
    struct bench b;

    (void)state;
    bench_begin(&b, SYNC_FULL, &known);
    adopt_next(&b, 2);
    b.w->member.aborted(b.w->member.arg);
    assert_int_equal(b.w->state, WORKER_STARTING);
    adopt_next(&b, 3);
    b.w->member.committed(b.w->member.arg);
    control(&b);
    assert_non_null(b.w->appended.now.begin_offsets);
    assert_int_equal(b.w->appended.now.begin_offsets[0], 7);
    assert_non_null(strstr(last_value, "\"begin_offsets\":[7]"));
    bench_end(&b);
}

/* Each stream that was lost would leave its shards in the ledger for good. */
static void a_new_generation_removes_the_records_that_say_nothing_in_it(void **state)
{
    static const char *const keys[] = {"shard/t/of-the-old-stream",
                                       "shard/t/of-both",
                                       "shard/u/another-table's",
                                       "segment/t/0",
                                       "segment/t/1",
                                       "segment/t/12",
                                       NULL};
    struct ledger_table known = record(PHASE_GAP, 2), t;
    struct ledger_shard shard = {.generation = 2,
                                 .id = xstrdup("of-both"),
                                 .parent = xstrdup(""),
                                 .status = SHARD_PREPARE,
                                 .sequence = xstrdup("")};
    struct shard_tree tree = {0};
    struct bench b;
    struct error err;

    (void)state;
    bench_begin(&b, SYNC_ALL, &known);
    shard_tree_add(&tree, &shard);
    known.generation = 2;
    known.phase = PHASE_SNAPSHOT;
    known.begin_offsets = NULL;
    ledger_table_copy(&t, &known);
    other_keys = keys;
    tombstones[0] = '\0';
    assert_int_equal(table_adopt_append(&b.a, &t, &tree, &err), 0);
    assert_string_equal(tombstones, "shard/t/of-the-old-stream segment/t/1 segment/t/12 ");
    other_keys = NULL;
    bench_end(&b);
}

static void a_table_that_goes_on_after_a_failure_stays_so_over_an_abort(void **state)
{
    struct ledger_table known = record(PHASE_FAILED, 0);
    struct bench b;

    (void)state;
    bench_begin(&b, SYNC_FULL, &known);
    resume(&b);
    for (int i = 0; i < 2; i++) { /* the abort also took the record back: written once more */
        last_value[0] = '\0';
        control(&b);
        assert_non_null(strstr(last_value, "\"phase\":\"snapshot\",\"reason\":\"\""));
        assert_non_null(strstr(last_value, "\"begin_offsets\":[3]"));
        b.w->member.aborted(b.w->member.arg);
        assert_int_equal(b.w->appended.now.phase,
                         PHASE_SNAPSHOT); /* or nothing would be scanned */
    }
    bench_end(&b);
}

static void a_table_that_stops_gives_its_place_among_the_scans_back(void **state)
{
    struct ledger_table known = record(PHASE_SNAPSHOT, 0);
    struct bench b;

    (void)state;
    bench_begin(&b, SYNC_FULL, &known);
    resume(&b);
    control(&b);
    assert_false(throttle_scan_begin(b.p.throttle));
    table_worker_halt(b.w, PHASE_GONE, "it was deleted");
    control(&b);
    assert_int_equal(b.w->state, WORKER_HALTED);
    assert_true(throttle_scan_begin(b.p.throttle));
    bench_end(&b);
}

static void scan_everything(struct bench *b)
{
    b->w->appended.segments[0].now.done = true;
    table_state_segment_recorded(&b->w->appended, 0);
}

static void the_last_page_of_a_table_that_stopped_does_not_end_the_stop(void **state)
{
    struct ledger_table known = record(PHASE_SNAPSHOT, 0);
    struct bench b;
    struct error err;

    (void)state;
    bench_begin(&b, SYNC_FULL, &known);
    resume(&b);
    table_worker_halt(b.w, PHASE_GAP, "its stream was disabled");
    control(&b);
    assert_int_equal(b.w->state, WORKER_HALTED);
    scan_everything(&b);
    b.w->scan_confirmed = true;
    last_value[0] = '\0';
    assert_int_equal(ledger_dues_append_end(&b.a, &err), 0);
    assert_string_equal(last_value, "");
    assert_int_equal(b.w->appended.now.phase, PHASE_GAP);
    assert_int_equal(b.w->appended.now.finished_ms, 0);
    bench_end(&b);
}

/* A table that was made again in mid-scan gives rows of both. */
static void a_snapshot_ends_when_the_table_was_looked_at_after_its_last_page(void **state)
{
    struct ledger_table known = record(PHASE_SNAPSHOT, 0);
    struct bench b;
    struct error err;

    (void)state;
    bench_begin(&b, SYNC_FULL, &known);
    resume(&b);
    scan_everything(&b);
    assert_int_equal(ledger_dues_append_end(&b.a, &err), 0);
    assert_int_equal(b.w->appended.now.phase, PHASE_SNAPSHOT);
    b.w->scan_confirmed = true;
    assert_int_equal(ledger_dues_append_end(&b.a, &err), 0);
    assert_int_equal(b.w->appended.now.phase, PHASE_TAIL);
    assert_non_null(strstr(last_value, "\"phase\":\"tail\""));
    assert_true(b.w->appended.now.finished_ms > 0);
    bench_end(&b);
}

static void a_stop_that_an_abort_took_back_is_written_again(void **state)
{
    struct ledger_table known = record(PHASE_SNAPSHOT, 0);
    struct bench b;

    (void)state;
    bench_begin(&b, SYNC_FULL, &known);
    resume(&b);
    table_worker_halt(b.w, PHASE_GAP, "its stream was disabled");
    for (int i = 0; i < 2; i++) {
        last_value[0] = '\0';
        control(&b);
        assert_int_equal(b.w->state, WORKER_HALTED);
        assert_non_null(strstr(last_value, "\"phase\":\"gap\""));
        b.w->member.aborted(b.w->member.arg);
        assert_int_equal(b.w->state, WORKER_HALTING);
    }
    control(&b);
    b.w->member.committed(b.w->member.arg);
    last_value[0] = '\0';
    control(&b);
    assert_string_equal(last_value, "");
    bench_end(&b);
}

static void
a_gap_is_committed_and_left_by_all_readers_before_the_table_starts_again(void **state)
{
    struct ledger_table known = record(PHASE_TAIL, 1);
    struct bench b;

    (void)state;
    bench_begin(&b, SYNC_FULL, &known);
    b.p.renews_gaps = true;
    resume(&b);
    b.w->parts = 1;
    table_worker_halt(b.w, PHASE_GAP, "the table was deleted and made again");
    control(&b);
    assert_int_equal(b.w->state, WORKER_HALTED);
    assert_non_null(strstr(last_value, "\"phase\":\"gap\""));
    assert_non_null(strstr(last_value, "\"renew\":true"));
    assert_non_null(strstr(last_value, "\"gaps\":1"));
    assert_false(table_worker_is_over(b.w));
    assert_true(all_is_well()); /* it goes on by itself */
    b.w->parts = 0;
    control(&b);
    assert_int_equal(b.w->state, WORKER_HALTED); /* a crash would go on in the old generation */
    b.w->member.committed(b.w->member.arg);
    b.w->parts = 1;
    control(&b);
    assert_int_equal(b.w->state, WORKER_HALTED);
    b.w->parts = 0;
    control(&b);
    assert_int_equal(b.w->state, WORKER_STARTING);
    assert_null(b.w->halt_reason);
    bench_end(&b);
}

static void a_second_gap_in_a_row_waits(void **state)
{
    struct ledger_table known = record(PHASE_SNAPSHOT, 0);
    struct bench b;

    (void)state;
    known.gaps = 1;
    known.started_ms = clock_wall_ms();
    bench_begin(&b, SYNC_FULL, &known);
    b.p.renews_gaps = true;
    resume(&b);
    table_worker_halt(b.w, PHASE_GAP, "the table was deleted and made again");
    control(&b);
    assert_non_null(strstr(last_value, "\"gaps\":2"));
    b.w->member.committed(b.w->member.arg);
    control(&b);
    assert_int_equal(b.w->state, WORKER_HALTED);
    assert_false(all_is_well());
    b.w->appended.now.started_ms -= 30000;
    control(&b);
    assert_int_equal(b.w->state, WORKER_STARTING);
    bench_end(&b);
}

/* Whatever the source says meanwhile: only a person, or another setting, ends it. */
static void a_gap_that_is_to_halt_the_table_stays_over_a_restart(void **state)
{
    struct ledger_table known = record(PHASE_GAP, 1);
    struct bench b;

    (void)state;
    bench_begin(&b, SYNC_FULL, &known);
    control(&b); /* it starts, and nothing is asked */
    assert_int_equal(b.w->state, WORKER_HALTED);
    control(&b);
    assert_int_equal(b.w->state, WORKER_HALTED);
    assert_true(table_worker_is_over(b.w));
    assert_false(all_is_well());
    b.w->appended.now.renew = b.w->appended.committed.renew = true; /* a request */
    control(&b);
    assert_int_equal(b.w->state, WORKER_STARTING);
    bench_end(&b);
}

/* What it says may be all there is to tell what happened. */
static void a_record_that_can_not_be_read_is_not_written_over(void **state)
{
    struct ledger_table known = record(PHASE_TAIL, 1);
    struct bench b;

    (void)state;
    in_ledger_is_broken = true;
    bench_begin(&b, SYNC_FULL, &known);
    last_value[0] = '\0';
    assert_int_equal(b.w->state, WORKER_UNREADABLE);
    control(&b);
    assert_int_equal(b.w->state, WORKER_UNREADABLE);
    assert_string_equal(last_value, "");
    in_ledger_is_broken = false;
    control(&b);
    assert_int_equal(b.w->state, WORKER_STARTING);
    assert_int_equal(b.w->appended.now.generation, 1);
    bench_end(&b);
}

static void a_table_that_is_being_made_is_waited_for(void **state)
{
    struct ddb_table desc = {.name = "t", .status = "CREATING", .stream_arn = ""};
    struct ledger_table known = record(PHASE_TAIL, 1);
    struct bench b;
    int64_t delay;

    (void)state;
    bench_begin(&b, SYNC_FULL, &known);
    assert_false(table_start_has_stream(&b.a, &desc, &delay));
    assert_true(delay > 0);
    desc.status = "ACTIVE";
    assert_true(table_start_has_stream(&b.a, &desc, &delay));
    bench_end(&b);
}

/* Neither while a stop is doubted, nor when the ledger tells of it already. */
static void a_table_without_the_stream_that_it_needs_never_begins(void **state)
{
    struct ddb_table desc = {.name = "t",
                             .status = "ACTIVE",
                             .stream_arn = "arn",
                             .stream_enabled = true,
                             .stream_view = "KEYS_ONLY"};
    struct ledger_table known = record(PHASE_TAIL, 1);
    struct bench b;
    int64_t delay;

    (void)state;
    bench_begin(&b, SYNC_ALL, &known);
    table_start_note_known(b.w);
    assert_false(table_start_has_stream(&b.a, &desc, &delay));
    assert_true(delay > 0);
    assert_int_equal(b.w->state, WORKER_STARTING);
    b.w->known.phase = PHASE_FAILED;
    free(b.w->known.reason);
    b.w->known.reason = xstrdup(b.w->start.what);
    assert_false(table_start_has_stream(&b.a, &desc, &delay));
    assert_int_equal(b.w->state, WORKER_HALTED);
    bench_end(&b);
}

static void aborts_in_a_row_slow_the_table_down_until_something_of_it_is_committed(void **state)
{
    struct ledger_table known = record(PHASE_SNAPSHOT, 0);
    struct bench b;
    struct table_worker *w;

    (void)state;
    bench_begin(&b, SYNC_FULL, &known);
    w = b.w;
    resume(&b);
    w->member.aborted(w->member.arg);
    assert_int_equal(table_worker_pause_ms(w), 0); /* one is gone on from at once */
    w->member.aborted(w->member.arg);
    assert_in_range(table_worker_pause_ms(w), 1, 200);
    w->member.committed(w->member.arg); /* of its neighbours */
    for (int i = 0; i < 50; i++)
        w->member.aborted(w->member.arg);
    assert_in_range(table_worker_pause_ms(w), 5000, 10000);
    table_state_segment_recorded(&w->appended, 0);
    w->member.committed(w->member.arg);
    assert_int_equal(table_worker_pause_ms(w), 0);
    w->member.aborted(w->member.arg);
    assert_int_equal(table_worker_pause_ms(w), 0);
    bench_end(&b);
}

/* ---- requests ---- */

static struct pending_signal request(enum table_signal_type type)
{
    return (struct pending_signal){
        .signal = {.id = "id-1", .type = type, .table = "t", .sender = "admin"}};
}

static int64_t take(struct bench *b, const struct pending_signal *pending)
{
    asked = pending;
    return b->w->requests.step.run(b->w->requests.step.arg, &b->a);
}

static void committed(struct bench *b)
{
    b->w->member.committed(b->w->member.arg);
}

static void aborted(struct bench *b)
{
    b->w->member.aborted(b->w->member.arg);
}

static void begin_with_requests(struct bench *b, const struct ledger_table *known)
{
    bench_begin(b, SYNC_FULL, known);
    table_requests_start(b->w);
}

/* The outcome is in the record that halts the table, or nowhere. */
static void a_pause_that_an_abort_took_back_is_asked_for_again(void **state)
{
    struct ledger_table known = record(PHASE_SNAPSHOT, 0);
    struct pending_signal pause = request(TABLE_SIGNAL_PAUSE);
    struct bench b;

    (void)state;
    begin_with_requests(&b, &known);
    resume(&b);
    for (int i = 0; i < 2; i++) {
        take(&b, &pause);
        assert_int_equal(b.w->state, WORKER_HALT_APPENDED);
        assert_non_null(strstr(last_value, "\"phase\":\"paused\""));
        assert_non_null(strstr(last_value, "\"signal_offset\":1"));
        assert_non_null(strstr(last_value, "{\"offset\":0,\"id\":\"id-1\",\"refused\":\"\"}"));
        control(&b);
        assert_int_equal(b.w->state, WORKER_HALT_APPENDED);
        if (i > 0)
            break;
        aborted(&b);
        assert_int_equal(b.w->state, WORKER_RUNNING);
        assert_int_equal(b.w->appended.now.phase, PHASE_SNAPSHOT);
        assert_int_equal(b.w->appended.now.handled_count, 0);
    }
    committed(&b);
    assert_int_equal(b.w->state, WORKER_HALTED);
    aborted(&b); /* of others */
    assert_int_equal(b.w->state, WORKER_HALTED);
    assert_int_equal(b.w->appended.now.phase, PHASE_PAUSED);
    bench_end(&b);
}

/* What was found meanwhile is found again when it goes on. */
static void a_table_that_is_paused_as_it_fails_is_paused(void **state)
{
    struct ledger_table known = record(PHASE_SNAPSHOT, 0);
    struct pending_signal pause = request(TABLE_SIGNAL_PAUSE);
    struct bench b;

    (void)state;
    begin_with_requests(&b, &known);
    resume(&b);
    take(&b, &pause);
    table_worker_halt(b.w, PHASE_GAP, "a shard vanished");
    control(&b);
    assert_int_equal(b.w->appended.now.phase, PHASE_PAUSED);
    committed(&b);
    control(&b);
    assert_int_equal(b.w->state, WORKER_HALTED);
    assert_int_equal(b.w->appended.now.phase, PHASE_PAUSED);
    bench_end(&b);
}

static void a_table_that_fails_before_it_is_paused_has_failed(void **state)
{
    struct ledger_table known = record(PHASE_SNAPSHOT, 0);
    struct pending_signal pause = request(TABLE_SIGNAL_PAUSE);
    struct bench b;

    (void)state;
    begin_with_requests(&b, &known);
    resume(&b);
    table_worker_halt(b.w, PHASE_GAP, "a shard vanished");
    assert_true(take(&b, &pause) > 0);
    assert_int_equal(b.w->appended.now.signal_offset, 0);
    control(&b);
    committed(&b);
    take(&b, &pause);
    assert_non_null(
        strstr(last_value, "\"refused\":\"the table is in phase gap: a shard vanished\""));
    bench_end(&b);
}

static void halted_and_asked(struct bench *b, const struct pending_signal *resume_request)
{
    control(b); /* the ledger says so */
    assert_int_equal(b->w->state, WORKER_HALTED);
    take(b, resume_request);
    assert_int_equal(b->w->state, WORKER_START_APPENDED);
    control(b);
    assert_int_equal(b->w->state, WORKER_START_APPENDED);
}

static void a_paused_table_goes_on_when_that_is_committed(void **state)
{
    struct ledger_table known = record(PHASE_PAUSED, 0);
    struct pending_signal request_of_it = request(TABLE_SIGNAL_RESUME);
    struct bench b;

    (void)state;
    begin_with_requests(&b, &known);
    halted_and_asked(&b, &request_of_it);
    assert_non_null(strstr(last_value, "\"phase\":\"snapshot\",\"reason\":\"\""));
    aborted(&b);
    assert_int_equal(b.w->state, WORKER_HALTED);
    assert_int_equal(b.w->appended.now.phase, PHASE_PAUSED);
    take(&b, &request_of_it);
    committed(&b);
    assert_int_equal(b.w->state, WORKER_STARTING);
    bench_end(&b);
}

/* Positions that it committed may not be in the cache yet: from older ones it would read twice.
 */
static void a_table_that_ran_goes_on_when_the_cache_has_all_that_it_committed(void **state)
{
    struct ledger_table known = record(PHASE_PAUSED, 0);
    struct pending_signal request_of_it = request(TABLE_SIGNAL_RESUME);
    struct bench b;
    struct error err;

    (void)state;
    begin_with_requests(&b, &known);
    assert_int_equal(table_record_sync(b.w, &err), 0);
    halted_and_asked(&b, &request_of_it);
    committed(&b);
    topic_has = cache_has + 1;
    assert_int_equal(table_record_sync(b.w, &err), -1);
    assert_int_equal(table_record_sync(b.w, &err), -1);
    cache_has = topic_has;
    assert_int_equal(table_record_sync(b.w, &err), 0);
    topic_has++; /* of others */
    assert_int_equal(table_record_sync(b.w, &err), 0);
    cache_has = topic_has;
    bench_end(&b);
}

static void a_new_generation_is_asked_for_in_the_record_of_the_table(void **state)
{
    struct ledger_table known = record(PHASE_SNAPSHOT, 0);
    struct pending_signal snapshot = request(TABLE_SIGNAL_SNAPSHOT);
    struct bench b;

    (void)state;
    snapshot.signal.reason = "a test";
    begin_with_requests(&b, &known);
    resume(&b);
    take(&b, &snapshot);
    assert_int_equal(b.w->state, WORKER_HALT_APPENDED);
    assert_non_null(
        strstr(last_value, "\"phase\":\"gap\",\"reason\":\"asked for by admin: a test\""));
    assert_non_null(strstr(last_value, "\"renew\":true"));
    committed(&b);
    assert_int_equal(b.w->state, WORKER_HALTED);
    bench_end(&b);
}

static struct bench *bench_of_meanwhile;
static struct pending_signal request_of_meanwhile;

/* Another thread has a context of its own. */
static void take_meanwhile(void)
{
    struct append_context a = {.w = bench_of_meanwhile->w};

    buf_init(&a.keys, 4096);
    buf_init(&a.text, 4096);
    buf_init(&a.value, 4096);
    asked = &request_of_meanwhile;
    a.w->requests.step.run(a.w->requests.step.arg, &a);
    buf_release(&a.keys);
    buf_release(&a.text);
    buf_release(&a.value);
}

static void begin_at_the_end_of_a_snapshot(struct bench *b, const struct ledger_table *known,
                                           enum table_signal_type type)
{
    begin_with_requests(b, known);
    resume(b);
    scan_everything(b);
    b->w->scan_confirmed = true;
    bench_of_meanwhile = b;
    request_of_meanwhile = request(type);
    meanwhile = take_meanwhile;
}

static void a_table_that_is_paused_as_its_snapshot_ends_is_paused(void **state)
{
    struct ledger_table known = record(PHASE_SNAPSHOT, 0);
    struct pending_signal go_on = request(TABLE_SIGNAL_RESUME);
    struct bench b;
    struct error err;

    (void)state;
    begin_at_the_end_of_a_snapshot(&b, &known, TABLE_SIGNAL_PAUSE);
    assert_int_equal(ledger_dues_append_end(&b.a, &err), 0);
    assert_int_equal(b.w->state, WORKER_HALT_APPENDED);
    assert_non_null(strstr(last_value, "\"phase\":\"paused\""));
    assert_true(b.w->appended.now.finished_ms > 0);
    committed(&b);
    go_on.offset = 1;
    take(&b, &go_on);
    assert_non_null(strstr(last_value, "\"phase\":\"tail\""));
    bench_end(&b);
}

static void a_generation_that_is_asked_for_as_a_snapshot_ends_begins(void **state)
{
    struct ledger_table known = record(PHASE_SNAPSHOT, 0);
    struct bench b;
    struct error err;

    (void)state;
    begin_at_the_end_of_a_snapshot(&b, &known, TABLE_SIGNAL_SNAPSHOT);
    assert_int_equal(ledger_dues_append_end(&b.a, &err), 0);
    assert_non_null(strstr(last_value, "\"phase\":\"gap\""));
    committed(&b);
    assert_int_equal(b.w->state, WORKER_HALTED);
    assert_false(table_worker_is_over(b.w));
    control(&b);
    assert_int_equal(b.w->state, WORKER_STARTING);
    bench_end(&b);
}

static struct pending_signal request_to_repair(void)
{
    static char key[] = "{\"pk\":{\"S\":\"u\"}}", *keys[] = {key};
    struct pending_signal repair = request(TABLE_SIGNAL_REPAIR);

    repair.signal.keys = keys;
    repair.signal.key_count = 1;
    return repair;
}

static void run_with_stream(struct bench *b, const struct ledger_table *known)
{
    b->p.mode = SYNC_ALL;
    key_schema_copy(&b->w->schema, &known->key_schema);
    resume(b);
}

static enum worker_state state_meanwhile;

static void halt_and_look_again(void)
{
    struct bench *b = bench_of_meanwhile;

    table_worker_halt(b->w, PHASE_GAP, "a shard vanished");
    control(b);
    committed(b);
    control(b);
    state_meanwhile = b->w->state;
    last_value[0] = '\0';
}

static void a_new_generation_waits_for_the_end_of_a_repair(void **state)
{
    struct ledger_table known = record(PHASE_TAIL, 1);
    struct pending_signal repair = request_to_repair();
    struct bench b;

    (void)state;
    begin_with_requests(&b, &known);
    b.p.renews_gaps = true;
    run_with_stream(&b, &known);
    bench_of_meanwhile = &b;
    meanwhile = halt_and_look_again;
    take(&b, &repair);
    assert_int_equal(state_meanwhile, WORKER_HALTED); /* or the next one takes its answer */
    assert_string_equal(last_value, "");
    control(&b);
    assert_int_equal(b.w->state, WORKER_HALTED);
    take(&b, &repair); /* of a table that does not run there is none */
    control(&b);
    assert_int_equal(b.w->state, WORKER_STARTING);
    bench_end(&b);
}

static void abort_twice(void)
{
    aborted(bench_of_meanwhile);
    aborted(bench_of_meanwhile);
    table_worker_halt(bench_of_meanwhile->w, PHASE_GAP, "a shard vanished");
}

/* Of a table that nothing can be appended to for a while, too. */
static void a_table_that_waits_out_its_aborts_ends_its_repair(void **state)
{
    struct ledger_table known = record(PHASE_TAIL, 1);
    struct pending_signal repair = request_to_repair();
    struct bench b;

    (void)state;
    begin_with_requests(&b, &known);
    run_with_stream(&b, &known);
    bench_of_meanwhile = &b;
    meanwhile = abort_twice;
    take(&b, &repair);
    assert_int_equal(b.w->parts, 1);
    take(&b, &repair);
    assert_int_equal(b.w->parts, 0);
    bench_end(&b);
}

static void a_repair_is_appended_once(void **state)
{
    struct ledger_table known = record(PHASE_TAIL, 1);
    struct pending_signal repair = request_to_repair();
    struct bench b;

    (void)state;
    begin_with_requests(&b, &known);
    run_with_stream(&b, &known);
    take(&b, &repair);
    assert_int_equal(b.w->appended.now.signal_offset, 1);
    take(&b, &repair);
    assert_int_equal(b.w->parts, 0);
    bench_end(&b);
}

/* Whatever on_gap says: nobody could end it by a request. */
static void a_gap_before_the_first_generation_is_looked_at_again(void **state)
{
    struct ledger_table known = record(PHASE_GAP, 0);
    struct bench b;

    (void)state;
    known.generation = 0;
    bench_begin(&b, SYNC_ALL, &known);
    table_worker_set_state(b.w, WORKER_HALTED);
    assert_false(table_worker_is_over(b.w));
    control(&b);
    assert_int_equal(b.w->state, WORKER_STARTING);
    bench_end(&b);
}

static void say_the_topic_failed(struct bench *b)
{
    b->w->member.topic_failed(b->w->member.arg, "dynaferry.t", "message too large");
}

/* Else it would not be looked at again, when it fails for what may be mended. */
static void
a_topic_that_failed_while_its_table_was_halted_says_nothing_of_its_next_halt(void **state)
{
    struct ledger_table known = record(PHASE_PAUSED, 0);
    struct bench b;

    (void)state;
    bench_begin(&b, SYNC_FULL, &known);
    table_worker_set_state(b.w, WORKER_HALTED);
    say_the_topic_failed(&b);
    assert_null(b.w->halt_reason);
    assert_false(b.w->halt_is_final);
    bench_end(&b);
}

static void a_new_generation_is_not_final_because_the_last_one_was(void **state)
{
    struct ledger_table known = record(PHASE_SNAPSHOT, 0);
    struct pending_signal snapshot = request(TABLE_SIGNAL_SNAPSHOT);
    struct bench b;

    (void)state;
    begin_with_requests(&b, &known);
    resume(&b);
    say_the_topic_failed(&b);
    control(&b);
    committed(&b);
    assert_int_equal(b.w->appended.now.phase, PHASE_FAILED);
    assert_true(b.w->halt_is_final);
    take(&b, &snapshot);
    committed(&b);
    control(&b);
    assert_int_equal(b.w->state, WORKER_STARTING);
    assert_false(b.w->halt_is_final);
    bench_end(&b);
}

static void pause_and_commit(void)
{
    request_of_meanwhile = request(TABLE_SIGNAL_PAUSE);
    take(bench_of_meanwhile, &request_of_meanwhile);
    committed(bench_of_meanwhile);
}

static void look_at_a_shard_without_its_parent(struct bench *b)
{
    int64_t long_ago = clock_mono_ms() - 3600000;

    for (int i = 0; i < 3; i++)
        doubt_said(&b->w->look.shards, "the parent of shard s2 is neither read nor listed",
                   long_ago + i, 60000);
    b->w->look.routine_at_ms = INT64_MAX; /* the table is not looked at */
    b->w->look.step.run(b->w->look.step.arg, &b->a);
}

/* An abort, of others, would write the gap over the pause. */
static void what_a_look_finds_as_its_table_is_paused_is_not_kept(void **state)
{
    struct ledger_table known = record(PHASE_TAIL, 1);
    struct bench b;

    (void)state;
    begin_with_requests(&b, &known);
    run_with_stream(&b, &known);
    bench_of_meanwhile = &b;
    meanwhile = pause_and_commit;
    look_at_a_shard_without_its_parent(&b);
    assert_int_equal(b.w->state, WORKER_HALTED);
    aborted(&b);
    control(&b);
    assert_int_equal(b.w->state, WORKER_HALTED);
    assert_int_equal(b.w->appended.now.phase, PHASE_PAUSED);
    bench_end(&b);
}

static void a_shard_whose_parent_is_never_listed_is_a_gap(void **state)
{
    struct ledger_table known = record(PHASE_TAIL, 1);
    struct bench b;

    (void)state;
    begin_with_requests(&b, &known);
    run_with_stream(&b, &known);
    look_at_a_shard_without_its_parent(&b);
    control(&b);
    assert_int_equal(b.w->appended.now.phase, PHASE_GAP);
    bench_end(&b);
}

static void commit_and_take(void)
{
    committed(bench_of_meanwhile);
    take(bench_of_meanwhile, &request_of_meanwhile);
}

static void a_halt_that_a_request_ends_at_once_is_logged_as_it_was(void **state)
{
    struct ledger_table known = record(PHASE_TAIL, 1);
    struct bench b;

    (void)state;
    begin_with_requests(&b, &known);
    run_with_stream(&b, &known);
    table_worker_halt(b.w, PHASE_GAP, "a shard vanished");
    bench_of_meanwhile = &b;
    request_of_meanwhile = request(TABLE_SIGNAL_RESUME);
    behind_the_gate = commit_and_take;
    control(&b);
    assert_null(b.w->halt_reason);
    assert_non_null(strstr(last_error, "reason=a shard vanished"));
    bench_end(&b);
}

static void find_a_gap(void)
{
    table_worker_halt(bench_of_meanwhile->w, PHASE_GAP, "a shard vanished");
}

static void a_request_that_has_to_wait_after_all_appends_nothing(void **state)
{
    struct ledger_table known = record(PHASE_SNAPSHOT, 0);
    struct pending_signal pause = request(TABLE_SIGNAL_PAUSE);
    struct bench b;

    (void)state;
    begin_with_requests(&b, &known);
    resume(&b);
    last_value[0] = '\0';
    bench_of_meanwhile = &b;
    at_the_gate = find_a_gap;
    take(&b, &pause);
    assert_non_null(b.w->halt_reason);
    assert_string_equal(last_value, "");
    assert_false(b.w->appended.dirty);
    bench_end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_second_try_to_begin_a_generation_records_its_begin_offsets),
        cmocka_unit_test(a_new_generation_removes_the_records_that_say_nothing_in_it),
        cmocka_unit_test(a_table_that_goes_on_after_a_failure_stays_so_over_an_abort),
        cmocka_unit_test(a_table_that_stops_gives_its_place_among_the_scans_back),
        cmocka_unit_test(a_table_that_is_being_made_is_waited_for),
        cmocka_unit_test(a_table_without_the_stream_that_it_needs_never_begins),
        cmocka_unit_test(
            aborts_in_a_row_slow_the_table_down_until_something_of_it_is_committed),
        cmocka_unit_test(a_pause_that_an_abort_took_back_is_asked_for_again),
        cmocka_unit_test(a_table_that_is_paused_as_it_fails_is_paused),
        cmocka_unit_test(a_table_that_fails_before_it_is_paused_has_failed),
        cmocka_unit_test(a_paused_table_goes_on_when_that_is_committed),
        cmocka_unit_test(a_table_that_ran_goes_on_when_the_cache_has_all_that_it_committed),
        cmocka_unit_test(a_new_generation_is_asked_for_in_the_record_of_the_table),
        cmocka_unit_test(the_last_page_of_a_table_that_stopped_does_not_end_the_stop),
        cmocka_unit_test(a_snapshot_ends_when_the_table_was_looked_at_after_its_last_page),
        cmocka_unit_test(a_table_that_is_paused_as_its_snapshot_ends_is_paused),
        cmocka_unit_test(a_generation_that_is_asked_for_as_a_snapshot_ends_begins),
        cmocka_unit_test(a_gap_before_the_first_generation_is_looked_at_again),
        cmocka_unit_test(
            a_topic_that_failed_while_its_table_was_halted_says_nothing_of_its_next_halt),
        cmocka_unit_test(a_new_generation_is_not_final_because_the_last_one_was),
        cmocka_unit_test(what_a_look_finds_as_its_table_is_paused_is_not_kept),
        cmocka_unit_test(a_shard_whose_parent_is_never_listed_is_a_gap),
        cmocka_unit_test(a_halt_that_a_request_ends_at_once_is_logged_as_it_was),
        cmocka_unit_test(a_request_that_has_to_wait_after_all_appends_nothing),
        cmocka_unit_test(a_new_generation_waits_for_the_end_of_a_repair),
        cmocka_unit_test(a_table_that_waits_out_its_aborts_ends_its_repair),
        cmocka_unit_test(a_repair_is_appended_once),
        cmocka_unit_test(a_stop_that_an_abort_took_back_is_written_again),
        cmocka_unit_test(
            a_gap_is_committed_and_left_by_all_readers_before_the_table_starts_again),
        cmocka_unit_test(a_second_gap_in_a_row_waits),
        cmocka_unit_test(a_gap_that_is_to_halt_the_table_stays_over_a_restart),
        cmocka_unit_test(a_record_that_can_not_be_read_is_not_written_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
