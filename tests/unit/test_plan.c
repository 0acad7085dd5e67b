/* tests/unit/test_plan.c - tables are placed once, and when all are; source, writer and ledger
 * are made of what each test says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support_config.h"

/* for its static functions */
#include "producer/plan.c"

static const char *const tables[] = {"a", "b"};
static size_t tables_there;  /* in the source */
static size_t places_there;  /* what is in the ledger, ... */
static size_t places_seen;   /* and in the cache of it */
static char appended[16][8]; /* keys of the open transaction and before */
static size_t appended_count;

/* ---- the source ---- */

int ddb_list_tables(char ***ret, size_t *ret_count, struct ddb_client *c, struct error *err)
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

/* ---- the ledger ---- */

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
    assert_string_equal(prefix, "place/");
    for (size_t i = 0; i < places_seen; i++)
        each(arg, bytes_of(tables[i]), BYTES_LIT("{\"partition\":0}"), 0);
}

int ledger_partition_sync(struct ledger_partition *lp, struct error *err)
{
    (void)lp;
    (void)err;
    places_seen = places_there;
    return 0;
}

void ledger_partition_ref(struct ledger_partition *lp)
{
    (void)lp;
}

void ledger_partition_unref(struct ledger_partition *lp)
{
    (void)lp;
}

struct topic_writer *ledger_partition_writer(struct ledger_partition *lp)
{
    (void)lp;
    return NULL;
}

/* ---- the writer ---- */

int topic_writer_enter(struct topic_writer *w, struct topic_writer_member *m, struct step *s,
                       struct error *err)
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
    snprintf(appended[appended_count++], sizeof(appended[0]), BYTES_FMT, BYTES_ARG(r->key));
    return 0;
}

void topic_writer_fail(struct topic_writer *w, const char *why)
{
    (void)w;
    fail_msg("%s", why);
}

void topic_writer_exit(struct topic_writer *w)
{
    (void)w;
}

void topic_writer_join(struct topic_writer *w, struct topic_writer_member *m)
{
    (void)w;
    (void)m;
}

void topic_writer_leave(struct topic_writer *w, struct topic_writer_member *m)
{
    (void)w;
    (void)m;
}

/* ---- a plan, whose step is run by hand ---- */

struct bench {
    struct producer p;
    struct pool_local local;
    struct config *config;
    struct plan *plan;
};

static void bench_begin(struct bench *b)
{
    *b = (struct bench){.config = config_loaded("", NULL)};
    b->p = (struct producer){
        .config = b->config,
        .ledger_topic = "dynaferry-ledger",
        .pool = step_pool_new(0, (struct step_pool_hooks){0}),
    };
    buf_init(&b->local.keys, 4096);
    buf_init(&b->local.text, 4096);
    places_there = places_seen = appended_count = 0;
    b->plan = plan_start(&b->p, NULL);
}

static void bench_end(struct bench *b)
{
    plan_stop(b->plan);
    step_pool_free(b->p.pool);
    buf_release(&b->local.keys);
    buf_release(&b->local.text);
    config_free(b->config);
}

static int64_t look_again(struct bench *b)
{
    return b->plan->step.run(b->plan->step.arg, &b->local);
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
    places_there = 2; /* committed; the cache learns of it when it is asked to */
    b.plan->member.committed(b.plan->member.arg);
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
    b.plan->member.aborted(b.plan->member.arg);
    look_again(&b);
    assert_int_equal(appended_count, 2);
    assert_string_equal(appended[1], "place/a");
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
    places_there = 1;
    b.plan->member.committed(b.plan->member.arg);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_is_placed_once_though_its_place_is_not_readable_at_once),
        cmocka_unit_test(places_lost_in_an_abort_are_written_again),
        cmocka_unit_test(a_plan_is_settled_when_every_table_was_seen_in_the_ledger),
        cmocka_unit_test(a_source_without_tables_is_settled),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
