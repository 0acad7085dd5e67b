/* tests/unit/test_signal_queue.c - one reader, several tables with bounded lists, commits and
 * aborts at random: each table handles each of its requests once, in order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>

#include "common/base/check.h"
#include "producer/signal_queue.h"

static bool put(struct signal_queue *l, int64_t offset, size_t bytes)
{
    struct table_signal s = {.id = xstrdup("i")};
    bool takes = signal_queue_takes(l, offset, bytes);

    if (takes)
        signal_queue_put(l, offset, bytes, &s);
    table_signal_release(&s);
    return takes;
}

static void a_table_takes_nothing_before_the_reader_has_come_back_for_it(void **state)
{
    struct signal_queue l;

    (void)state;
    signal_queue_init(&l, 5);
    assert_false(put(&l, 9, 1));
    assert_int_equal(signal_queue_wants(&l, 10), 5);
    assert_int_equal(signal_queue_wants(&l, 5), -1);
    signal_queue_moved(&l, 6);
    assert_false(put(&l, 9, 1));
    signal_queue_moved(&l, 3);
    assert_false(put(&l, 4, 1)); /* handled */
    assert_true(put(&l, 9, 1));
    assert_false(put(&l, 9, 1)); /* seen */
    signal_queue_release(&l);
}

static void a_table_without_an_offset_begins_where_it_is_told(void **state)
{
    struct signal_queue l;

    (void)state;
    signal_queue_init(&l, -1);
    assert_int_equal(signal_queue_wants(&l, 7), -1);
    signal_queue_moved(&l, 0);
    assert_false(put(&l, 3, 1));
    signal_queue_begin(&l, 8);
    signal_queue_begin(&l, 2); /* it never goes back */
    signal_queue_moved(&l, 4);
    assert_false(put(&l, 7, 1));
    assert_true(put(&l, 8, 1));
    signal_queue_release(&l);
}

static void a_request_larger_than_the_ceiling_is_taken_alone(void **state)
{
    struct signal_queue l;

    (void)state;
    signal_queue_init(&l, 0);
    signal_queue_moved(&l, 0);
    assert_true(put(&l, 0, 10));
    assert_false(put(&l, 1, 2 * SIGNAL_QUEUE_BYTES));
    assert_false(put(&l, 2, 1)); /* the order stays */
    assert_int_equal(signal_queue_wants(&l, 3), -1);
    signal_queue_forget(&l, 1);
    assert_int_equal(signal_queue_wants(&l, 3), 1);
    signal_queue_moved(&l, 1);
    assert_true(put(&l, 1, 2 * SIGNAL_QUEUE_BYTES));
    assert_false(put(&l, 2, 1));
    signal_queue_release(&l);
}

static void what_is_handled_stays_until_it_is_forgotten(void **state)
{
    struct signal_queue l;

    (void)state;
    signal_queue_init(&l, 0);
    signal_queue_moved(&l, 0);
    assert_null(signal_queue_from(&l, 0));
    assert_true(put(&l, 3, 1) && put(&l, 6, 1));
    assert_int_equal(signal_queue_from(&l, 4)->offset, 6);
    assert_int_equal(signal_queue_from(&l, 0)->offset, 3); /* an abort went back */
    signal_queue_forget(&l, 4);
    assert_int_equal(signal_queue_from(&l, 0)->offset, 6);
    assert_null(signal_queue_from(&l, 7));
    signal_queue_release(&l);
}

/* ---- a whole reader ---- */

enum {
    TABLES = 3,
    MESSAGES = 400
};

struct world {
    unsigned seed;
    int owner[MESSAGES]; /* of each message; -1: passed over */
    size_t size[MESSAGES];
    int64_t position;
    int64_t longest; /* bytes in a list with more than one request */
    struct {
        struct signal_queue list;
        int64_t now, committed; /* the handled offset */
        int64_t log[MESSAGES * 2];
        int now_len, committed_len;
    } tables[TABLES];
};

static unsigned draw(struct world *w, unsigned below)
{
    return (unsigned)rand_r(&w->seed) % below;
}

static void world_init(struct world *w, unsigned seed)
{
    *w = (struct world){.seed = seed, .position = -1};
    for (int i = 0; i < MESSAGES; i++) {
        w->owner[i] = (int)draw(w, TABLES + 1) - 1;
        w->size[i] = draw(w, 10) ? draw(w, 40000) : draw(w, 2 * SIGNAL_QUEUE_BYTES);
    }
    for (int t = 0; t < TABLES; t++) {
        w->tables[t].now = w->tables[t].committed = draw(w, 50);
        signal_queue_init(&w->tables[t].list, w->tables[t].now);
    }
}

static void world_go_back(struct world *w)
{
    int64_t first = -1;

    for (int t = 0; t < TABLES; t++) {
        int64_t wanted = signal_queue_wants(&w->tables[t].list, w->position);

        if (wanted >= 0 && (first < 0 || wanted < first))
            first = wanted;
    }
    if (first >= 0)
        w->position = first;
    for (int t = 0; t < TABLES; t++)
        signal_queue_moved(&w->tables[t].list, w->position);
}

static void world_read(struct world *w)
{
    int64_t at = w->position;
    int t;

    if (at < 0 || at >= MESSAGES)
        return;
    w->position++;
    t = w->owner[at];
    if (t < 0 || !put(&w->tables[t].list, at, w->size[at]))
        return;
    if (w->tables[t].list.first != w->tables[t].list.last)
        w->longest = MAX(w->longest, (int64_t)w->tables[t].list.bytes);
}

/* Handles one request, commits, or aborts. */
static void world_handle(struct world *w, int t)
{
    const struct pending_signal *p = signal_queue_from(&w->tables[t].list, w->tables[t].now);

    switch (draw(w, 4)) {
    case 0:
        w->tables[t].now = w->tables[t].committed;
        w->tables[t].now_len = w->tables[t].committed_len;
        return;
    case 1:
        w->tables[t].committed = w->tables[t].now;
        w->tables[t].committed_len = w->tables[t].now_len;
        signal_queue_forget(&w->tables[t].list, w->tables[t].committed);
        return;
    default:
        if (!p)
            return;
        w->tables[t].log[w->tables[t].now_len++] = p->offset;
        w->tables[t].now = p->offset + 1;
    }
}

static bool world_is_done(const struct world *w)
{
    for (int t = 0; t < TABLES; t++)
        for (int i = 0; i < MESSAGES; i++)
            if (w->owner[i] == t && i >= w->tables[t].committed)
                return false;
    return true;
}

static void check_table(const struct world *w, int t, int64_t from)
{
    int n = 0;

    for (int64_t i = from; i < MESSAGES; i++) {
        if (w->owner[i] != t)
            continue;
        assert_true(n < w->tables[t].committed_len);
        assert_int_equal(w->tables[t].log[n++], i);
    }
    assert_int_equal(n, w->tables[t].committed_len);
}

static void run_world(unsigned seed)
{
    struct world *w = xcalloc(1, sizeof(*w));
    int64_t from[TABLES];
    long steps = 0;

    world_init(w, seed);
    for (int t = 0; t < TABLES; t++)
        from[t] = w->tables[t].committed;
    while (!world_is_done(w)) {
        assert_true(++steps < 2000000); /* nobody waits for ever */
        world_go_back(w);
        for (unsigned n = draw(w, 20); n > 0; n--)
            world_read(w);
        world_handle(w, (int)draw(w, seed % 2 && steps < 5000 ? TABLES - 1 : TABLES));
    }
    assert_true(w->longest > 0 && w->longest <= (int64_t)SIGNAL_QUEUE_BYTES);
    for (int t = 0; t < TABLES; t++) {
        check_table(w, t, from[t]);
        signal_queue_release(&w->tables[t].list);
    }
    free(w);
}

static void each_table_handles_each_of_its_requests_once_in_order(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 40; seed++)
        run_world(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_takes_nothing_before_the_reader_has_come_back_for_it),
        cmocka_unit_test(a_table_without_an_offset_begins_where_it_is_told),
        cmocka_unit_test(a_request_larger_than_the_ceiling_is_taken_alone),
        cmocka_unit_test(what_is_handled_stays_until_it_is_forgotten),
        cmocka_unit_test(each_table_handles_each_of_its_requests_once_in_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
