#include "support_table_bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support_config.h"

#include "common/kafka/kafka_topic.h"
#include "common/run/log.h"
#include "producer/carried_table.h"
#include "producer/stream_listing.h"

#define AS_AT_FIRST                                                                            \
    {                                                                                          \
        .cache_has = 7, .topic_has = 7, .joined_from = -2                                      \
    }

struct bench_world world = AS_AT_FIRST;

/* ---- the writer: takes everything, remembers the last value ---- */

static void let_others_run(void)
{
    void (*others)(void) = TAKE(world.meanwhile);

    if (others)
        others();
}

int topic_writer_gate_enter(struct topic_writer *w, struct topic_writer_member *m,
                            struct step *s, struct error *err)
{
    void (*others)(void) = TAKE(world.at_the_gate);

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
        snprintf(world.last_value, sizeof(world.last_value), BYTES_FMT, BYTES_ARG(r->value));
    else
        snprintf(world.tombstones + strlen(world.tombstones),
                 sizeof(world.tombstones) - strlen(world.tombstones), BYTES_FMT " ",
                 BYTES_ARG(r->key));
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

void topic_writer_commit_soon(struct topic_writer *w)
{
    void (*others)(void) = TAKE(world.behind_the_gate);

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

void topic_writer_note_ends(struct topic_writer *w, struct topic_writer_member *m,
                            const int64_t *offsets, int32_t count)
{
    (void)w;
    (void)m;
    (void)offsets;
    (void)count;
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

void __wrap_log_event(enum log_level level, const char *event, const char *fields, ...)
    __attribute__((format(printf, 3, 4)));
void __wrap_log_event(enum log_level level, const char *event, const char *fields, ...)
{
    va_list args;

    (void)event;
    if (level != LOG_LEVEL_ERROR)
        return;
    va_start(args, fields);
    vsnprintf(world.last_error, sizeof(world.last_error), fields, args);
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

int ledger_cache_table(struct ledger_cache *l, const char *table, struct ledger_table *ret,
                       struct error *err)
{
    (void)l;
    (void)table;
    if (world.ledger_is_broken)
        return error_set(err, ERR_DATA, "not the JSON of a table's record");
    ledger_table_copy(ret, world.in_ledger);
    return 1;
}

char *ledger_cache_value(struct ledger_cache *l, const char *key)
{
    (void)l;
    (void)key;
    return NULL;
}

void ledger_cache_each(struct ledger_cache *l, const char *prefix,
                       void (*each)(void *arg, struct bytes rest, struct bytes value,
                                    int32_t partition),
                       void *arg)
{
    (void)l;
    for (const char *const *key = world.other_keys; key && *key; key++)
        if (strncmp(*key, prefix, strlen(prefix)) == 0)
            each(arg, bytes_of(*key + strlen(prefix)), BYTES_LIT("{}"), 0);
}

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
    *ret = world.topic_has;
    return 0;
}

int ledger_cache_sync_to(struct ledger_cache *l, int32_t partition, int64_t offset,
                         int64_t timeout_ms, struct error *err)
{
    (void)l;
    (void)partition;
    (void)timeout_ms;
    return world.cache_has < offset ? error_set(err, ERR_RETRY, "not read to its end") : 0;
}

/* ---- the signal topic ---- */

struct signal_subscription *signal_topic_join(struct signal_topic *signals, const char *table,
                                              int64_t from, void (*wake)(void *arg), void *arg)
{
    (void)signals;
    (void)table;
    (void)wake;
    (void)arg;
    world.joined_from = from;
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
    return world.asked && world.asked->offset >= offset ? world.asked : NULL;
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

static void nothing(void *home)
{
    (void)home;
}

void bench_begin(struct bench *b, enum sync_mode mode, const struct ledger_table *known)
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
    world.in_ledger = known;
    b->w = carried_table_new(&b->p, &setup);
    b->w->partitions = 1;
    b->a.w = b->w;
}

void bench_end(struct bench *b)
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
    world = (struct bench_world)AS_AT_FIRST;
}

struct ledger_table bench_record(enum ledger_phase phase, int64_t finished_ms)
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

void bench_adopt_next(struct bench *b, int64_t generation)
{
    struct ledger_table known = bench_record(PHASE_SNAPSHOT, 0), t;
    struct shard_tree tree = {0};
    struct error err;

    known.generation = generation;
    known.begin_offsets = NULL;
    ledger_table_copy(&t, &known);
    assert_int_equal(table_adopt_append(&b->a, &t, &tree, &err), 0);
}

void bench_resume(struct bench *b)
{
    int64_t *found = NULL;
    struct error err;

    assert_int_equal(table_resume_load(b->w, &found, &err), 0);
}

int64_t bench_control(struct bench *b)
{
    return b->w->control.run(b->w->control.arg, &b->a);
}

bool bench_all_is_well(void)
{
    AUTO(buf_release) struct buf text;

    buf_init(&text, 4096);
    return health_write(&text);
}

void bench_scan_everything(struct bench *b)
{
    b->w->appended.segments[0].now.done = true;
    table_state_segment_recorded(&b->w->appended, 0);
}

struct pending_signal bench_request(enum table_signal_type type)
{
    return (struct pending_signal){
        .signal = {.id = "id-1", .type = type, .table = "t", .sender = "admin"}};
}

int64_t bench_take(struct bench *b, const struct pending_signal *pending)
{
    world.asked = pending;
    return b->w->requests.step.run(b->w->requests.step.arg, &b->a);
}

void bench_committed(struct bench *b)
{
    b->w->member.committed(b->w->member.arg);
}

void bench_aborted(struct bench *b)
{
    b->w->member.aborted(b->w->member.arg);
}

void bench_begin_with_requests(struct bench *b, const struct ledger_table *known)
{
    bench_begin(b, SYNC_FULL, known);
    table_requests_start(b->w);
}

/* Another thread has a context of its own. */
void bench_take_meanwhile(void)
{
    struct append_context a = {.w = world.bench->w};

    buf_init(&a.keys, 4096);
    buf_init(&a.text, 4096);
    buf_init(&a.value, 4096);
    world.asked = &world.request;
    a.w->requests.step.run(a.w->requests.step.arg, &a);
    buf_release(&a.keys);
    buf_release(&a.text);
    buf_release(&a.value);
}

void bench_run_with_stream(struct bench *b, const struct ledger_table *known)
{
    b->p.mode = SYNC_ALL;
    key_schema_copy(&b->w->schema, &known->key_schema);
    bench_resume(b);
}

void bench_topic_fails(struct bench *b)
{
    b->w->member.topic_failed(b->w->member.arg, "dynaferry.t", "message too large");
}

void bench_halted_and_asked(struct bench *b, const struct pending_signal *resume_request)
{
    bench_control(b); /* the ledger says so */
    assert_int_equal(b->w->state, WORKER_HALTED);
    bench_take(b, resume_request);
    assert_int_equal(b->w->state, WORKER_START_APPENDED);
    bench_control(b);
    assert_int_equal(b->w->state, WORKER_START_APPENDED);
}
