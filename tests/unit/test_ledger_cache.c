/* tests/unit/test_ledger_cache.c - the newest record of each key, found by its kind and table;
 * messages are made by hand, nothing is read from Kafka. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* for its static functions */
#include "common/messages/ledger_cache.c"

static struct ledger_cache *cache_new(void)
{
    struct ledger_cache *l = xcalloc(1, sizeof(*l));

    pthread_mutex_init(&l->lock, NULL);
    clock_cond_init(&l->changed);
    l->partitions = 4;
    l->position = xcalloc(4, sizeof(*l->position));
    return l;
}

static int64_t next_offset;

static void read_record(struct ledger_cache *l, const char *key, const char *value,
                        int32_t partition)
{
    const rd_kafka_message_t m = {.key = (void *)key,
                                  .key_len = strlen(key),
                                  .payload = (void *)value,
                                  .len = value ? strlen(value) : 0,
                                  .partition = partition,
                                  .offset = next_offset++};

    take_message(l, &m);
}

static void put_name(void *arg, struct bytes rest, struct bytes value, int32_t partition)
{
    struct buf *out = arg;

    (void)partition;
    buf_printf(out, BYTES_FMT "=" BYTES_FMT ";", BYTES_ARG(rest), BYTES_ARG(value));
}

static void has(struct ledger_cache *l, const char *prefix, const char *wanted)
{
    AUTO(buf_release) struct buf found;

    buf_init(&found, 4096);
    ledger_cache_each(l, prefix, put_name, &found);
    assert_string_equal(found.len ? buf_cstr(&found) : "", wanted);
}

static void records_are_found_by_kind_and_table_in_their_order(void **state)
{
    AUTO(ledger_cache_freep) struct ledger_cache *l = cache_new();

    (void)state;
    read_record(l, "place/b", "1", 0);
    read_record(l, "place/a", "2", 0);
    read_record(l, "shard/a/s1", "3", 2);
    read_record(l, "shard/ab/s2", "4", 2);
    read_record(l, "segment/a/0", "5", 2);
    read_record(l, "source", "6", 0);
    read_record(l, "place/b", "7", 0);
    has(l, "place/", "b=7;a=2;");
    has(l, "place/a", "=2;");
    has(l, "shard/a/", "s1=3;");
    has(l, "shard/ab/", "s2=4;");
    has(l, "segment/a/", "0=5;");
    has(l, "segment/b/", "");
    has(l, "source", "=6;");
}

static void a_tombstone_takes_the_record_and_a_later_one_comes_last(void **state)
{
    AUTO(ledger_cache_freep) struct ledger_cache *l = cache_new();

    (void)state;
    read_record(l, "place/a", "1", 0);
    read_record(l, "place/b", "2", 0);
    read_record(l, "place/a", NULL, 0);
    read_record(l, "place/none", NULL, 0);
    has(l, "place/", "b=2;");
    read_record(l, "place/a", "3", 0);
    has(l, "place/", "b=2;a=3;");
    read_record(l, "place/a", NULL, 0);
    read_record(l, "place/b", NULL, 0);
    has(l, "place/", "");
    assert_null(l->groups);
}

static void a_tombstone_of_another_partition_takes_nothing(void **state)
{
    AUTO(ledger_cache_freep) struct ledger_cache *l = cache_new();
    AUTO(free_charp) char *value = NULL;

    (void)state;
    read_record(l, "table/a", "old", 1);
    read_record(l, "table/a", "new", 2);
    read_record(l, "table/a", NULL, 1);
    value = ledger_cache_value(l, "table/a");
    assert_string_equal(value, "new");
}

static void only_changes_of_places_and_carriers_change_the_places_version(void **state)
{
    AUTO(ledger_cache_freep) struct ledger_cache *l = cache_new();
    uint64_t version;

    (void)state;
    read_record(l, "place/a", "1", 0);
    version = ledger_cache_places_version(l);
    read_record(l, "table/a", "x", 1);
    read_record(l, "shard/a/s", "x", 1);
    read_record(l, "place/a", "1", 0);
    read_record(l, "place/none", NULL, 0);
    assert_int_equal(ledger_cache_places_version(l), version);
    read_record(l, "carrier/1", "x", 1);
    assert_int_equal(ledger_cache_places_version(l), ++version);
    read_record(l, "source", "x", 0);
    assert_int_equal(ledger_cache_places_version(l), ++version);
    read_record(l, "place/a", NULL, 0);
    assert_int_equal(ledger_cache_places_version(l), ++version);
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
    AUTO(ledger_cache_freep) struct ledger_cache *l = cache_new();
    size_t found = 0;
    char key[64];
    int64_t began;

    (void)state;
    for (int i = 0; i < 65000; i++) {
        snprintf(key, sizeof(key), "shard/t%d/shardId-%020d", i % 10, i);
        read_record(l, key, "{}", i % 4);
    }
    for (int i = 0; i < 10; i++) {
        snprintf(key, sizeof(key), "place/t%d", i);
        read_record(l, key, "{}", 0);
    }
    began = clock_mono_ms();
    for (int i = 0; i < 10000; i++)
        ledger_cache_each(l, "place/", count_one, &found);
    assert_int_equal(found, 100000);
    print_message("10,000 looks at the places beside 65,000 shards: %lld ms\n",
                  (long long)(clock_mono_ms() - began));
    assert_int_equal(HASH_CNT(hh, l->groups), 11);
    found = 0;
    ledger_cache_each(l, "shard/t3/", count_one, &found);
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
