/* tests/unit/test_plan.c - tables are placed once, where they are carried, and forgotten in
 * order; source, writer and ledger are made of what each test says, and so is the time (the
 * linker puts clock_gettime and halted_new below before the others). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "common/dynamodb/ddb_names.h"
#include "common/dynamodb/ddb_table.h"
#include "producer/halted.h"
#include "producer/plan.h"
#include "producer/source_check.h"
#include "producer/source_identity.h"
#include "producer/topic_writer.h"
#include "support_config.h"

static const char *const tables[] = {"a", "b"};
static size_t tables_there; /* in the source */
static bool source_is_written;
static char appended[16][64]; /* keys of the open transaction and before, with values */
static size_t appended_count;

/* ---- the ledger: what is committed, and what the cache of it has ---- */

struct record {
    const char *key;
    const char *value;
    int32_t partition;
};

static struct record records[32];
static size_t record_count;
static size_t records_seen;

static void ledger_has(const char *key, const char *value, int32_t partition)
{
    assert_true(record_count < ARRAY_LEN(records));
    records[record_count++] = (struct record){key, value, partition};
}

/* ---- the source ---- */

int source_check_list(char ***ret, size_t *ret_count, struct ddb_client *c, struct error *err)
{
    (void)c;
    (void)err;
    *ret = xcalloc(ARRAY_LEN(tables), sizeof(**ret));
    for (size_t i = 0; i < tables_there; i++)
        (*ret)[i] = xstrdup(tables[i]);
    *ret_count = tables_there;
    return 0;
}

void ddb_names_free(char **names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(names[i]);
    free(names);
}

struct ddb_client *ddb_client_new(struct ddb_source *s)
{
    (void)s;
    return NULL;
}

void ddb_client_free(struct ddb_client *c)
{
    (void)c;
}

int64_t ddb_source_now_ms(const struct ddb_source *source)
{
    (void)source;
    return clock_wall_ms();
}

bool source_identity_to_write(struct source_identity *i, struct buf *out)
{
    (void)i;
    buf_lit(out, "{}");
    return !source_is_written;
}

/* ---- the cache ---- */

int32_t ledger_cache_partitions(const struct ledger_cache *l)
{
    (void)l;
    return 4;
}

void ledger_cache_each(struct ledger_cache *l, const char *prefix,
                       void (*each)(void *arg, struct bytes rest, struct bytes value,
                                    int32_t partition),
                       void *arg)
{
    (void)l;
    for (size_t i = 0; i < records_seen; i++)
        if (strncmp(records[i].key, prefix, strlen(prefix)) == 0)
            each(arg, bytes_of(records[i].key + strlen(prefix)), bytes_of(records[i].value),
                 records[i].partition);
}

char *ledger_cache_value(struct ledger_cache *l, const char *key)
{
    (void)l;
    for (size_t i = 0; i < records_seen; i++)
        if (strcmp(records[i].key, key) == 0)
            return xstrdup(records[i].value);
    return NULL;
}

int ledger_cache_table(struct ledger_cache *l, const char *table, struct ledger_table *ret,
                       struct error *err)
{
    AUTO(free_charp) char *key = xasprintf("table/%s", table);
    AUTO(free_charp) char *value = ledger_cache_value(l, key);

    (void)err;
    if (!value)
        return 0;
    ret->phase = strncmp(value, "gone", 4) == 0 ? PHASE_GONE : PHASE_TAIL;
    ret->forget = strcmp(value, "gone, forget") == 0;
    return 1;
}

int ledger_cache_sync(struct ledger_cache *l, int64_t timeout_ms, struct error *err)
{
    (void)l;
    (void)timeout_ms;
    (void)err;
    return 0;
}

int ledger_handle_sync(struct ledger_handle *handle, struct error *err)
{
    (void)handle;
    (void)err;
    records_seen = record_count;
    return 0;
}

void ledger_handle_ref(struct ledger_handle *handle)
{
    (void)handle;
}

void ledger_handle_unref(struct ledger_handle *handle)
{
    (void)handle;
}

/* ---- the writer ---- */

int topic_writer_gate_enter(struct topic_writer *w, struct topic_writer_member *m,
                            struct step *s, struct error *err)
{
    (void)m;
    (void)s;
    (void)w;
    (void)err;
    return 0;
}

int topic_writer_append(struct topic_writer *w, const struct topic_record *r, struct error *err)
{
    (void)w;
    (void)err;
    assert_true(appended_count < ARRAY_LEN(appended));
    snprintf(appended[appended_count++], sizeof(appended[0]), BYTES_FMT "=" BYTES_FMT,
             BYTES_ARG(r->key), BYTES_ARG(r->value));
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

static struct topic_writer_member *member; /* the plan's */

void topic_writer_add_member(struct topic_writer *w, struct topic_writer_member *m)
{
    (void)w;
    member = m;
}

void topic_writer_remove_member(struct topic_writer *w, struct topic_writer_member *m)
{
    (void)w;
    (void)m;
}

/* ---- time, the pool, and the tables that the plan halts ---- */

static int64_t passed_s; /* besides the time that really passes */

int __real_clock_gettime(clockid_t id, struct timespec *ret);
int __wrap_clock_gettime(clockid_t id, struct timespec *ret);
int __wrap_clock_gettime(clockid_t id, struct timespec *ret)
{
    int result = __real_clock_gettime(id, ret);

    ret->tv_sec += passed_s;
    return result;
}

static struct step *step; /* the plan's */

bool step_schedule(struct step_pool *p, struct step *s, int64_t delay_ms)
{
    (void)p;
    (void)delay_ms;
    step = s;
    return true;
}

void step_wake(struct step_pool *p, struct step *s)
{
    (void)p;
    (void)s;
}

static struct halted *halted; /* the plan's */

struct halted *__real_halted_new(void);
struct halted *__wrap_halted_new(void);
struct halted *__wrap_halted_new(void)
{
    halted = __real_halted_new();
    return halted;
}

/* ---- a plan, whose step is run by hand ---- */

struct bench {
    struct producer p;
    struct ledger_handle zero;
    struct append_context local;
    struct config *config;
    struct plan *plan;
};

static void bench_begin_alone(struct bench *b, const char *settings, bool alone)
{
    *b = (struct bench){.config = config_loaded(settings, NULL)};
    b->p = (struct producer){.config = b->config, .ledger_topic = "dynaferry-ledger"};
    buf_init(&b->local.keys, 4096);
    buf_init(&b->local.text, 4096);
    record_count = records_seen = appended_count = 0;
    source_is_written = true;
    b->zero = (struct ledger_handle){.p = &b->p};
    b->plan = plan_start(&b->zero, alone);
}

static void bench_begin(struct bench *b)
{
    bench_begin_alone(b, "", true);
}

static void bench_end(struct bench *b)
{
    plan_stop(b->plan);
    step->ended(step->arg);
    buf_release(&b->local.keys);
    buf_release(&b->local.text);
    config_free(b->config);
}

static int64_t look_again(struct bench *b)
{
    return step->run(step->arg, &b->local);
}

static void a_table_is_placed_once_though_its_place_is_not_readable_at_once(void **state)
{
    struct bench b;

    (void)state;
    tables_there = 2;
    bench_begin(&b);
    look_again(&b);
    assert_int_equal(appended_count, 2);
    look_again(&b); /* not committed yet: no look */
    assert_int_equal(appended_count, 2);
    ledger_has("place/a", "{\"partition\":0}", 0); /* committed; the cache learns of it ... */
    ledger_has("place/b", "{\"partition\":1}", 0); /* ... when it is asked to */
    member->committed(member->arg);
    look_again(&b);
    assert_int_equal(appended_count, 2);
    bench_end(&b);
}

static void places_lost_in_an_abort_are_written_again(void **state)
{
    struct bench b;

    (void)state;
    tables_there = 1;
    bench_begin(&b);
    look_again(&b);
    member->aborted(member->arg);
    look_again(&b);
    assert_int_equal(appended_count, 2);
    assert_string_equal(appended[1], "place/a={\"partition\":0}");
    bench_end(&b);
}

/* sync_mode full ends when all is placed and over: not between two of these. */
static void a_plan_is_settled_when_every_table_was_seen_in_the_ledger(void **state)
{
    struct bench b;

    (void)state;
    tables_there = 1;
    bench_begin(&b);
    assert_false(plan_is_settled(b.plan));
    look_again(&b);
    assert_false(plan_is_settled(b.plan));
    ledger_has("place/a", "{\"partition\":0}", 0);
    member->committed(member->arg);
    assert_false(plan_is_settled(b.plan));
    look_again(&b);
    assert_true(plan_is_settled(b.plan));
    tables_there = 2; /* a new one */
    look_again(&b);
    assert_false(plan_is_settled(b.plan));
    bench_end(&b);
}

static void a_source_without_tables_is_settled(void **state)
{
    struct bench b;

    (void)state;
    tables_there = 0;
    bench_begin(&b);
    look_again(&b);
    assert_true(plan_is_settled(b.plan));
    bench_end(&b);
}

/* Whoever sees a place sees whose ledger it is. */
static void the_source_is_written_before_the_first_place(void **state)
{
    struct bench b;

    (void)state;
    tables_there = 1;
    bench_begin(&b);
    source_is_written = false;
    look_again(&b);
    assert_int_equal(appended_count, 2);
    assert_string_equal(appended[0], "source={}");
    assert_string_equal(appended[1], "place/a={\"partition\":0}");
    bench_end(&b);
}

static void a_table_is_placed_where_its_owner_carries_it(void **state)
{
    struct bench b;

    (void)state;
    tables_there = 2;
    bench_begin_alone(&b, "filter.collection.white = a\n", false);
    ledger_has("carrier/0", "{\"white\":\"a\",\"black\":\"\"}", 0);
    ledger_has("carrier/1", "{\"white\":\"b\",\"black\":\"\"}", 1);
    ledger_has("carrier/2", "{\"white\":\"\",\"black\":\"a;b\"}", 2);
    ledger_has("carrier/3", "{\"white\":\"b\",\"black\":\"\"}", 3);
    look_again(&b);
    assert_int_equal(appended_count, 2);
    assert_string_equal(appended[0], "place/a={\"partition\":0}");
    assert_string_equal(appended[1], "place/b={\"partition\":1}");
    bench_end(&b);
}

/* Other instances may be there that have not said yet what they carry. */
static void with_filters_and_not_alone_a_table_waits_for_the_carriers(void **state)
{
    struct bench b;

    (void)state;
    tables_there = 1;
    bench_begin_alone(&b, "filter.collection.white = a\n", false);
    ledger_has("carrier/0", "{\"white\":\"a\",\"black\":\"\"}", 0);
    look_again(&b);
    assert_int_equal(appended_count, 0);
    assert_false(plan_is_settled(b.plan));
    plan_set_alone(b.plan, true);
    look_again(&b);
    assert_int_equal(appended_count, 1);
    bench_end(&b);
}

static bool is_halted(const char *table)
{
    AUTO(free_charp) char *reason = halted_reason(halted, table);

    return reason != NULL;
}

/* map.topic stands for names that collide by themselves. */
static void a_name_that_collides_halts_its_table_alone_until_it_does_no_more(void **state)
{
    struct bench b;

    (void)state;
    tables_there = 2;
    bench_begin_alone(&b, "map.topic = a=x.y;b=x_y\n", true);
    look_again(&b);
    assert_int_equal(appended_count, 1);
    assert_string_equal(appended[0], "place/a={\"partition\":0}");
    assert_true(is_halted("b"));
    ledger_has("place/a", "{\"partition\":0}", 0);
    member->committed(member->arg);
    look_again(&b);
    assert_true(plan_is_settled(b.plan));
    assert_true(is_halted("b"));
    tables_there = 1;
    look_again(&b);
    assert_false(is_halted("b"));
    bench_end(&b);
}

static void of_two_colliding_tables_the_one_placed_earlier_stays(void **state)
{
    struct bench b;

    (void)state;
    tables_there = 2;
    bench_begin_alone(&b, "map.topic = a=x.y;b=x_y\n", true);
    ledger_has("place/b", "{\"partition\":3}", 0);
    look_again(&b);
    assert_int_equal(appended_count, 0);
    assert_true(is_halted("a"));
    assert_false(is_halted("b"));
    bench_end(&b);
}

static void a_table_that_only_the_white_list_knows_is_halted_by_name(void **state)
{
    struct bench b;

    (void)state;
    tables_there = 1;
    bench_begin_alone(&b, "filter.collection.white = a;nobody;known\n", true);
    ledger_has("place/known", "{\"partition\":0}", 0);
    look_again(&b);
    assert_int_equal(appended_count, 1);
    assert_true(is_halted("nobody"));
    assert_false(is_halted("known"));
    bench_end(&b);
}

/* Its place says so, its owner removes its records, then the place goes: each of these is seen
 * in the ledger before the next. */
static void a_table_that_is_gone_and_not_listed_is_forgotten_in_order(void **state)
{
    struct bench b;

    (void)state;
    tables_there = 1;
    bench_begin(&b);
    ledger_has("place/a", "{\"partition\":1}", 0);
    ledger_has("table/a", "gone", 1); /* gone, but listed again */
    ledger_has("place/b", "{\"partition\":2}", 0);
    ledger_has("table/b", "gone", 2);
    ledger_has("shard/b/s", "{}", 2);
    look_again(&b);
    assert_int_equal(appended_count, 0);
    passed_s += 3601;
    look_again(&b);
    assert_int_equal(appended_count, 1);
    assert_string_equal(appended[0], "place/b={\"partition\":2,\"forget\":true}");
    member->committed(member->arg);
    records[2].value = "{\"partition\":2,\"forget\":true}";
    look_again(&b); /* records are there */
    assert_int_equal(appended_count, 1);
    record_count = 3;
    tables_there = 2; /* it comes back meanwhile: forgotten all the same, then new */
    look_again(&b);
    assert_int_equal(appended_count, 2);
    assert_string_equal(appended[1], "place/b=");
    member->committed(member->arg);
    record_count = 2;
    look_again(&b);
    assert_int_equal(appended_count, 3);
    assert_string_equal(appended[2], "place/b={\"partition\":0}");
    bench_end(&b);
}

/* Unless it has come back. */
static void a_table_that_somebody_asked_to_forget_is_forgotten_at_once(void **state)
{
    struct bench b;

    (void)state;
    tables_there = 1;
    bench_begin(&b);
    ledger_has("place/a", "{\"partition\":1}", 0);
    ledger_has("table/a", "gone, forget", 1);
    ledger_has("place/b", "{\"partition\":2}", 0);
    ledger_has("table/b", "gone, forget", 2);
    look_again(&b);
    assert_int_equal(appended_count, 1);
    assert_string_equal(appended[0], "place/b={\"partition\":2,\"forget\":true}");
    bench_end(&b);
}

static void a_table_that_is_listed_again_is_not_forgotten(void **state)
{
    struct bench b;

    (void)state;
    tables_there = 1;
    bench_begin(&b);
    ledger_has("place/a", "{\"partition\":1}", 0);
    ledger_has("table/a", "gone", 1);
    tables_there = 0;
    look_again(&b);
    passed_s += 3601;
    tables_there = 1;
    look_again(&b);
    tables_there = 0;
    look_again(&b); /* its time begins anew */
    assert_int_equal(appended_count, 0);
    bench_end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_is_placed_once_though_its_place_is_not_readable_at_once),
        cmocka_unit_test(places_lost_in_an_abort_are_written_again),
        cmocka_unit_test(a_plan_is_settled_when_every_table_was_seen_in_the_ledger),
        cmocka_unit_test(a_source_without_tables_is_settled),
        cmocka_unit_test(the_source_is_written_before_the_first_place),
        cmocka_unit_test(a_table_is_placed_where_its_owner_carries_it),
        cmocka_unit_test(with_filters_and_not_alone_a_table_waits_for_the_carriers),
        cmocka_unit_test(a_name_that_collides_halts_its_table_alone_until_it_does_no_more),
        cmocka_unit_test(of_two_colliding_tables_the_one_placed_earlier_stays),
        cmocka_unit_test(a_table_that_only_the_white_list_knows_is_halted_by_name),
        cmocka_unit_test(a_table_that_is_gone_and_not_listed_is_forgotten_in_order),
        cmocka_unit_test(a_table_that_somebody_asked_to_forget_is_forgotten_at_once),
        cmocka_unit_test(a_table_that_is_listed_again_is_not_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
