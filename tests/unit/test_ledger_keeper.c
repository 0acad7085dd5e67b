/* tests/unit/test_ledger_keeper.c - whose records are removed; the ledger and the writer are
 * made of what each test says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "producer/ledger_keeper.c"

static int removed; /* records */

int topic_writer_gate_enter(struct topic_writer *w, struct topic_writer_member *m,
                            struct step *s, struct error *err)
{
    (void)w;
    (void)m;
    (void)s;
    (void)err;
    return 0;
}

int topic_writer_append(struct topic_writer *w, const struct topic_record *r, struct error *err)
{
    (void)w;
    (void)err;
    removed += !r->value.p;
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
    (void)w;
}

void topic_writer_add_member(struct topic_writer *w, struct topic_writer_member *m)
{
    (void)w;
    (void)m;
}

void topic_writer_remove_member(struct topic_writer *w, struct topic_writer_member *m)
{
    (void)w;
    (void)m;
}

void ledger_cache_each(struct ledger_cache *l, const char *prefix,
                       void (*each)(void *arg, struct bytes rest, struct bytes value,
                                    int32_t partition),
                       void *arg)
{
    (void)l;
    if (strcmp(prefix, "table/t") == 0)
        each(arg, BYTES_LIT(""), BYTES_LIT("{}"), 0);
}

struct carriers *carriers_read(struct ledger_cache *cache, const struct config *c)
{
    (void)cache;
    (void)c;
    return NULL;
}

void carriers_free(struct carriers *carriers)
{
    (void)carriers;
}

bool carriers_are_ours(const struct carriers *carriers, int32_t partition)
{
    (void)carriers;
    (void)partition;
    return true;
}

void carriers_encode(struct buf *out, const struct config *c)
{
    (void)out;
    (void)c;
}

int ledger_handle_sync(struct ledger_handle *handle, struct error *err)
{
    (void)handle;
    (void)err;
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

static int removed_of(bool starts)
{
    struct producer p = {.pool = step_pool_new(0, (struct step_pool_hooks){0})};
    struct ledger_handle handle = {.p = &p};
    struct ledger_keeper *keeper = ledger_keeper_start(&handle);
    struct append_context a = {0};

    removed = 0;
    ledger_keeper_forget(keeper, "t");
    if (starts)
        ledger_keeper_keep(keeper, "t");
    keeper_step(keeper, &a);
    ledger_keeper_stop(keeper);
    step_pool_free(p.pool);
    return removed;
}

static void the_records_of_a_forgotten_table_are_removed(void **state)
{
    (void)state;
    assert_int_equal(removed_of(false), 1);
}

static void the_records_of_a_table_that_is_started_again_stay(void **state)
{
    (void)state;
    assert_int_equal(removed_of(true), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_records_of_a_forgotten_table_are_removed),
        cmocka_unit_test(the_records_of_a_table_that_is_started_again_stay),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
