/* tests/component/test_ddb_side.c - fullcheck's reading of DynamoDB: tried again until it is
 * whole, in parts where it does not come through, within its budget, against a scripted server.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>

#include "common/config/config_load.h"
#include "fullcheck/ddb_side.h"
#include "support_http_server.h"

#define BUDGET ((size_t)64 << 20)
#define RETRY_LIMIT_MS 20000
#define KEYS 8
#define BROKEN BYTES_LIT("{\"Responses\":{\"t\":[{\"pk\":{\"S\":\"1\"}},{\"pk\"")
#define ONE_ITEM                                                                               \
    BYTES_LIT("{\"Responses\":{\"t\":[{\"pk\":{\"S\":\"1\"}}]},\"UnprocessedKeys\":{}}")
#define THROTTLED                                                                              \
    BYTES_LIT("{\"__type\":\"x#ProvisionedThroughputExceededException\",\"message\":"          \
              "\"slow\"}")

struct fixture {
    struct http_server *server;
    struct ddb_source *source;
    struct throttle *throttle;
    struct key_schema schema;
    struct ddb_side side;
    struct error err;
};

static void open_source(struct fixture *f)
{
    AUTO(free_charp)
    char *endpoint = xasprintf("source.endpoint_url=%s", http_server_url(f->server));
    char secret[] = "source.secret_access_key=hidden";
    char *argv[] = {"test",
                    "--set",
                    endpoint,
                    "--set",
                    "source.access_key_id=AKID",
                    "--set",
                    secret,
                    "--set",
                    "source.region=eu-west-1"};
    struct config *c = NULL;

    if (config_load(&c, CONFIG_PRODUCER, ARRAY_LEN(argv), argv, NULL, &f->err) < 0 ||
        ddb_source_new(&f->source, c, &f->err) < 0)
        fail_msg("%s", f->err.message);
    config_free(c); /* the source keeps what it needs */
}

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));

    f->server = http_server_start();
    open_source(f);
    f->throttle = throttle_new((int64_t)BUDGET, 0, 0, 0, 1);
    f->schema.hash = (struct key_attribute){(char *)"pk", 2, 'S'};
    f->side = (struct ddb_side){.client = ddb_client_new(f->source),
                                .throttle = f->throttle,
                                .retry_limit_ms = RETRY_LIMIT_MS};
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    ddb_client_free(f->side.client);
    ddb_source_free(f->source);
    throttle_free(f->throttle);
    http_server_stop(f->server);
    free(f);
    return 0;
}

/* Nothing is reserved any more: all of it can be. */
static void assert_budget_is_whole(struct fixture *f)
{
    assert_true(throttle_reserve(f->throttle, THROTTLE_SCAN, BUDGET));
    assert_false(throttle_reserve(f->throttle, THROTTLE_SCAN, 1));
    throttle_return(f->throttle, THROTTLE_SCAN, BUDGET);
}

static void get(struct ddb_side_items *ret, struct fixture *f, size_t count)
{
    static const struct bytes key = BYTES_LIT("{\"pk\":{\"S\":\"1\"}}");
    struct bytes keys[DDB_ITEMS_AT_MOST];

    for (size_t i = 0; i < count; i++)
        keys[i] = key;
    if (ddb_side_items(ret, &f->side, "t", &f->schema, keys, count, &f->err) < 0)
        fail_msg("%s", f->err.message);
}

static size_t keys_in_request(struct fixture *f, size_t i)
{
    const char *at = http_server_request(f->server, i);
    size_t n = 0;

    while ((at = strstr(at, "{\"pk\":"))) {
        at++;
        n++;
    }
    return n;
}

static void an_answer_that_does_not_come_through_is_asked_for_in_parts(void **state)
{
    struct fixture *f = *state;
    struct ddb_side_items items = {0};

    http_server_reply(f->server, 200, "", BROKEN);
    http_server_reply(f->server, 200, "", BROKEN);
    http_server_reply(f->server, 200, "", ONE_ITEM);
    get(&items, f, KEYS);
    assert_int_equal(keys_in_request(f, 0), KEYS);
    assert_int_equal(keys_in_request(f, 1), KEYS / 2);
    assert_int_equal(keys_in_request(f, 2), KEYS / 4);
    assert_int_equal(items.asked, KEYS / 4);
    assert_int_equal(items.count, 1); /* and none of the broken ones */
    ddb_side_release(&items.answer);
    assert_budget_is_whole(f);
}

static void a_throttled_request_is_asked_again_as_it_was(void **state)
{
    struct fixture *f = *state;
    struct ddb_side_items items = {0};

    http_server_reply(f->server, 400, "", THROTTLED);
    http_server_reply(f->server, 200, "", ONE_ITEM);
    get(&items, f, KEYS);
    assert_int_equal(keys_in_request(f, 1), KEYS);
    assert_int_equal(items.asked, KEYS);
    ddb_side_release(&items.answer);
    assert_budget_is_whole(f);
}

static void fewer_are_asked_for_at_once_where_items_are_large(void **state)
{
    AUTO(buf_release) struct buf large = {.ceiling = 8 << 20};
    struct fixture *f = *state;
    struct ddb_side_items items = {0};
    size_t before = ddb_side_keys(&f->side), grown;

    assert_in_range(before, 1, DDB_ITEMS_AT_MOST);
    for (int i = 0; i < 8; i++) {
        http_server_reply(f->server, 200, "", ONE_ITEM);
        get(&items, f, ddb_side_keys(&f->side));
        ddb_side_release(&items.answer);
    }
    grown = ddb_side_keys(&f->side);
    assert_int_equal(grown, DDB_ITEMS_AT_MOST);
    buf_lit(&large, "{\"Responses\":{\"t\":[{\"pk\":{\"S\":\"1\"},\"x\":{\"S\":\"");
    for (int i = 0; i < 3 << 20; i++)
        buf_char(&large, 'x');
    buf_lit(&large, "\"}}]}}");
    for (int i = 0; i < 8; i++) {
        http_server_reply(f->server, 200, "", buf_slice(&large));
        get(&items, f, ddb_side_keys(&f->side));
        ddb_side_release(&items.answer);
    }
    assert_int_equal(ddb_side_keys(&f->side), 1);
}

static void a_page_that_was_cut_counts_none_of_its_items(void **state)
{
    struct fixture *f = *state;
    const struct ddb_scan scan = {.table = "t", .total_segments = 1};
    struct ddb_side_page page;

    http_server_reply(f->server, 200, "",
                      BYTES_LIT("{\"Items\":[{\"pk\":{\"S\":\"1\"}},{\"pk\":{\"S\":\"2\"}},"));
    http_server_reply(f->server, 200, "",
                      BYTES_LIT("{\"Items\":[{\"pk\":{\"S\":\"1\"}}],\"Count\":1,"
                                "\"LastEvaluatedKey\":{\"pk\":{\"S\":\"1\"}}}"));
    assert_int_equal(ddb_side_page(&page, &f->side, &scan, &f->schema, &f->err), 0);
    assert_int_equal(page.count, 1);
    assert_true(bytes_is(page.last, "{\"pk\":{\"S\":\"1\"}}"));
    ddb_side_page_release(&page);
    assert_budget_is_whole(f);
}

static void what_is_refused_for_good_is_not_tried_again(void **state)
{
    struct fixture *f = *state;
    const struct ddb_scan scan = {.table = "t", .total_segments = 1};
    struct ddb_side_page page;

    http_server_reply(
        f->server, 400, "",
        BYTES_LIT("{\"__type\":\"x#ResourceNotFoundException\",\"message\":\"gone\"}"));
    assert_int_equal(ddb_side_page(&page, &f->side, &scan, &f->schema, &f->err), -1);
    assert_int_equal(http_server_requests(f->server), 1);
    assert_budget_is_whole(f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_answer_that_does_not_come_through_is_asked_for_in_parts),
        TEST(a_throttled_request_is_asked_again_as_it_was),
        TEST(fewer_are_asked_for_at_once_where_items_are_large),
        TEST(a_page_that_was_cut_counts_none_of_its_items),
        TEST(what_is_refused_for_good_is_not_tried_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
