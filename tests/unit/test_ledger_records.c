/* tests/unit/test_ledger_records.c - the newest record of each key, found by its kind and
 * table.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "common/messages/ledger_records.h"

/* value NULL: a tombstone */
static void put(struct ledger_records *r, const char *key, const char *value, int32_t partition)
{
    struct bytes nothing = {0};

    ledger_records_put(r, bytes_of(key), value ? bytes_of(value) : nothing, partition);
}

static void put_name(void *arg, struct bytes rest, struct bytes value, int32_t partition)
{
    struct buf *out = arg;

    (void)partition;
    buf_printf(out, BYTES_FMT "=" BYTES_FMT ";", BYTES_ARG(rest), BYTES_ARG(value));
}

static void has(const struct ledger_records *r, const char *prefix, const char *wanted)
{
    AUTO(buf_release) struct buf found;

    buf_init(&found, 4096);
    ledger_records_each(r, prefix, put_name, &found);
    assert_string_equal(found.len ? buf_cstr(&found) : "", wanted);
}

static void records_are_found_by_kind_and_table_in_their_order(void **state)
{
    AUTO(ledger_records_release) struct ledger_records r = {0};

    (void)state;
    put(&r, "place/b", "1", 0);
    put(&r, "place/a", "2", 0);
    put(&r, "shard/a/s1", "3", 2);
    put(&r, "shard/ab/s2", "4", 2);
    put(&r, "segment/a/0", "5", 2);
    put(&r, "source", "6", 0);
    put(&r, "place/b", "7", 0);
    has(&r, "place/", "b=7;a=2;");
    has(&r, "place/a", "=2;");
    has(&r, "shard/a/", "s1=3;");
    has(&r, "shard/ab/", "s2=4;");
    has(&r, "segment/a/", "0=5;");
    has(&r, "segment/b/", "");
    has(&r, "source", "=6;");
}

static void a_tombstone_takes_the_record_and_a_later_one_comes_last(void **state)
{
    AUTO(ledger_records_release) struct ledger_records r = {0};

    (void)state;
    put(&r, "place/a", "1", 0);
    put(&r, "place/b", "2", 0);
    put(&r, "place/a", NULL, 0);
    put(&r, "place/none", NULL, 0);
    has(&r, "place/", "b=2;");
    put(&r, "place/a", "3", 0);
    has(&r, "place/", "b=2;a=3;");
    put(&r, "place/a", NULL, 0);
    put(&r, "place/b", NULL, 0);
    has(&r, "place/", "");
    assert_null(r.groups);
}

static void a_tombstone_of_another_partition_takes_nothing(void **state)
{
    AUTO(ledger_records_release) struct ledger_records r = {0};
    struct bytes value;

    (void)state;
    put(&r, "table/a", "old", 1);
    put(&r, "table/a", "new", 2);
    put(&r, "table/a", NULL, 1);
    assert_true(ledger_records_get(&value, &r, "table/a"));
    assert_true(bytes_equal(value, BYTES_LIT("new")));
}

static void only_changes_of_places_and_carriers_change_the_places_version(void **state)
{
    AUTO(ledger_records_release) struct ledger_records r = {0};
    uint64_t version;

    (void)state;
    put(&r, "place/a", "1", 0);
    version = r.places_version;
    put(&r, "table/a", "x", 1);
    put(&r, "shard/a/s", "x", 1);
    put(&r, "place/a", "1", 0);
    put(&r, "place/none", NULL, 0);
    assert_int_equal(r.places_version, version);
    put(&r, "carrier/1", "x", 1);
    assert_int_equal(r.places_version, ++version);
    put(&r, "source", "x", 0);
    assert_int_equal(r.places_version, ++version);
    put(&r, "place/a", NULL, 0);
    assert_int_equal(r.places_version, ++version);
}

static void count_one(void *arg, struct bytes rest, struct bytes value, int32_t partition)
{
    (void)rest;
    (void)value;
    (void)partition;
    (*(size_t *)arg)++;
}

/* What one kind costs does not grow with the others: shown by what is visited. */
static void sixty_five_thousand_shards_cost_the_places_nothing(void **state)
{
    AUTO(ledger_records_release) struct ledger_records r = {0};
    size_t found = 0;
    char key[64];
    int64_t began;

    (void)state;
    for (int i = 0; i < 65000; i++) {
        snprintf(key, sizeof(key), "shard/t%d/shardId-%020d", i % 10, i);
        put(&r, key, "{}", i % 4);
    }
    for (int i = 0; i < 10; i++) {
        snprintf(key, sizeof(key), "place/t%d", i);
        put(&r, key, "{}", 0);
    }
    began = clock_mono_ms();
    for (int i = 0; i < 10000; i++)
        ledger_records_each(&r, "place/", count_one, &found);
    assert_int_equal(found, 100000);
    print_message("10,000 looks at the places beside 65,000 shards: %lld ms\n",
                  (long long)(clock_mono_ms() - began));
    assert_int_equal(HASH_CNT(hh, r.groups), 11);
    found = 0;
    ledger_records_each(&r, "shard/t3/", count_one, &found);
    assert_int_equal(found, 6500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_are_found_by_kind_and_table_in_their_order),
        cmocka_unit_test(a_tombstone_takes_the_record_and_a_later_one_comes_last),
        cmocka_unit_test(a_tombstone_of_another_partition_takes_nothing),
        cmocka_unit_test(only_changes_of_places_and_carriers_change_the_places_version),
        cmocka_unit_test(sixty_five_thousand_shards_cost_the_places_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
