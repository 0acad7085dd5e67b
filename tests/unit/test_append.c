/* tests/unit/test_append.c - what appending says when the writer refuses; the writer is
 * made of what each test says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "producer/append.h"

static enum error_kind refusal;

int topic_writer_append(struct topic_writer *w, const struct topic_record *r, struct error *err)
{
    (void)w;
    return error_set(err, refusal, "topic %s: refused", r->topic);
}

struct bench { /* a worker and a thread's buffers, as far as records need them */
    struct producer p;
    struct table_worker w;
    struct append_context a;
};

static void bench_init(struct bench *b)
{
    *b = (struct bench){.p = {.prefix = "p", .ledger_topic = "p-ledger"}};
    b->w.p = &b->p;
    b->w.table = "t";
    b->w.topic = "p.t";
    b->a.w = &b->w;
    buf_init(&b->a.message_key, 4096);
    buf_init(&b->a.keys, 4096);
    buf_init(&b->a.value, 4096);
    buf_init(&b->a.text, 4096);
}

static void bench_release(struct bench *b)
{
    buf_release(&b->a.message_key);
    buf_release(&b->a.keys);
    buf_release(&b->a.value);
    buf_release(&b->a.text);
}

/* Whatever was refused for: the ledger's record stands for others. */
static void a_refused_ledger_record_says_why(void **state)
{
    static const enum error_kind kinds[] = {ERR_ABORT, ERR_DATA};
    struct error err;
    struct bench b;

    (void)state;
    bench_init(&b);
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        refusal = kinds[i];
        assert_int_equal(append_ledger_shard_tombstone(&b.a, "s", &err), -1);
        assert_int_equal(err.kind, ERR_ABORT);
        assert_string_equal(err.message, "ledger: topic p-ledger: refused");
    }
    bench_release(&b);
}

static void a_refused_control_record_says_which_and_why(void **state)
{
    struct ledger_table t = {.table = "t", .log_id = "l", .partitions = 1};
    struct error err;
    struct bench b;

    (void)state;
    bench_init(&b);
    refusal = ERR_DATA;
    t.key_schema.hash = (struct key_attribute){.name = "k", .type = 'S'};
    assert_int_equal(append_control(&b.a, CONTROL_SNAPSHOT_BEGIN, &t, NULL, &err), -1);
    assert_int_equal(err.kind, ERR_ABORT);
    assert_string_equal(err.message, "snapshot-begin: topic p.t: refused");
    bench_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_refused_ledger_record_says_why),
        cmocka_unit_test(a_refused_control_record_says_which_and_why),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
