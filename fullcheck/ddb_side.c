#include "fullcheck/ddb_side.h"

#include <stdlib.h>

#include "common/base/clock.h"
#include "common/run/retry.h"
#include "common/run/stop.h"

/* A page of 1 MB of items can be that much JSON. */
#define FIRST_ANSWER_BYTES ((size_t)9 << 20)
#define SMALLEST_BYTES ((size_t)64 << 10)
#define NO_BUDGET_MS 5
#define FIRST_KEYS ((size_t)16)
#define LARGE_BYTES ((size_t)2 << 20) /* of an answer with items by key */

/* ---- budget and rate ---- */

static int stopped(struct error *err)
{
    return error_set(err, ERR_RETRY, "a stop was requested");
}

static int reserve(struct ddb_side *side, size_t bytes, struct error *err)
{
    int64_t wait;

    while (!throttle_reserve(side->throttle, THROTTLE_SCAN, bytes))
        if (stop_wait_ms(NO_BUDGET_MS))
            return stopped(err);
    while ((wait = throttle_scan_wait_ms(side->throttle, clock_mono_ms())) > 0)
        if (stop_wait_ms(wait)) {
            throttle_return(side->throttle, THROTTLE_SCAN, bytes);
            return stopped(err);
        }
    return 0;
}

void ddb_side_release(struct ddb_side_answer *answer)
{
    if (answer->side)
        throttle_return(answer->side->throttle, THROTTLE_SCAN, answer->held);
    answer->side = NULL;
    answer->held = 0;
    http_answer_release(&answer->http);
}

/* ---- a request, and reading its answer ---- */

struct request {
    int (*ask)(struct http_answer *ret, struct ddb_client *client, const void *what,
               struct error *err);
    /* ERR_RETRY: no such answer; what was read of it is forgotten by the next call. */
    int (*read)(void *into, struct bytes answer, struct error *err);
    const char *operation;
    const void *what;
    void *into;
    size_t *count; /* of what is asked for at once: halved when an answer does not come through,
                      which may be too large; NULL: it is not ours to say */
};

static int one_try(struct ddb_side *side, struct ddb_side_answer *answer,
                   const struct request *request, struct error *err)
{
    size_t expected = side->expected ? side->expected : FIRST_ANSWER_BYTES;

    *answer = (struct ddb_side_answer){0};
    if (reserve(side, expected, err) < 0)
        return -1;
    if (request->ask(&answer->http, side->client, request->what, err) < 0) {
        throttle_return(side->throttle, THROTTLE_SCAN, expected);
        return -1;
    }
    answer->side = side;
    answer->held = answer->http.body.cap;
    throttle_settle(side->throttle, THROTTLE_SCAN, expected, answer->held);
    side->expected = MAX(MAX(answer->held, side->expected / 2), SMALLEST_BYTES);
    if (request->read(request->into, buf_slice(&answer->http.body), err) == 0)
        return 0;
    ddb_client_broken(side->client, request->operation, err);
    ddb_side_release(answer);
    return -1;
}

static int send_request(struct ddb_side *side, struct ddb_side_answer *answer,
                        const struct request *request, struct error *err)
{
    struct retry retry;

    retry_init(&retry, side->retry_limit_ms);
    while (one_try(side, answer, request, err) < 0) {
        if (!retry_again(&retry, ddb_client_error(side->client) == DDB_THROTTLED, err))
            return error_prefix(err, "DynamoDB");
        if (request->count && ddb_client_error(side->client) == DDB_BROKEN)
            *request->count = MAX(*request->count / 2, 1);
    }
    return 0;
}

/* ---- pages ---- */

struct page_reading {
    struct ddb_side_page *page;
    const struct key_schema *schema;
    size_t room;
};

static int each_item(void *arg, const struct ddb_item *item, struct error *err)
{
    struct page_reading *of_page = arg;
    struct ddb_side_page *page = of_page->page;

    (void)err;
    if (page->count == of_page->room) {
        of_page->room = of_page->room ? of_page->room * 2 : 1024;
        page->items = xrealloc(page->items, of_page->room * sizeof(*page->items));
    }
    page->items[page->count++] = item->json;
    return 0;
}

static int ask_page(struct http_answer *ret, struct ddb_client *client, const void *what,
                    struct error *err)
{
    return ddb_scan_page(ret, client, what, err);
}

static int read_page(void *into, struct bytes answer, struct error *err)
{
    struct page_reading *of_page = into;

    of_page->page->count = 0;
    return ddb_scan_items(answer, of_page->schema, each_item, of_page, &of_page->page->last,
                          err);
}

int ddb_side_page(struct ddb_side_page *ret, struct ddb_side *side, const struct ddb_scan *scan,
                  const struct key_schema *schema, struct error *err)
{
    struct page_reading of_page = {.page = ret, .schema = schema};
    const struct request request = {ask_page, read_page, "Scan", scan, &of_page, NULL};

    *ret = (struct ddb_side_page){0};
    if (send_request(side, &ret->answer, &request, err) == 0)
        return 0;
    free(TAKE(ret->items));
    return -1;
}

void ddb_side_page_release(struct ddb_side_page *page)
{
    free(TAKE(page->items));
    ddb_side_release(&page->answer);
}

/* ---- items by key ---- */

struct items_asked {
    const char *table;
    const struct bytes *keys;
    size_t count;
};

struct items_reading {
    struct ddb_side_items *items;
    const struct key_schema *schema;
};

static int ask_items(struct http_answer *ret, struct ddb_client *client, const void *what,
                     struct error *err)
{
    const struct items_asked *asked = what;

    return ddb_items_get(ret, client, asked->table, asked->keys, asked->count, err);
}

static int too_many(struct error *err)
{
    return error_set(err, ERR_RETRY, "more items than were asked for");
}

static int found(void *arg, const struct ddb_item *item, struct error *err)
{
    struct ddb_side_items *items = arg;

    if (items->count == DDB_ITEMS_AT_MOST)
        return too_many(err);
    items->items[items->count++] = item->json;
    return 0;
}

static int unprocessed(void *arg, const struct ddb_item *key, struct error *err)
{
    struct ddb_side_items *items = arg;

    if (items->unprocessed_count == DDB_ITEMS_AT_MOST)
        return too_many(err);
    items->unprocessed[items->unprocessed_count++] = key->json;
    return 0;
}

static int read_items(void *into, struct bytes answer, struct error *err)
{
    struct items_reading *of_items = into;
    const struct ddb_items_calls calls = {found, unprocessed, of_items->items};

    of_items->items->count = of_items->items->unprocessed_count = 0;
    return ddb_items_read(answer, of_items->schema, &calls, err);
}

size_t ddb_side_keys(const struct ddb_side *side)
{
    return side->keys ? side->keys : FIRST_KEYS;
}

static void learn_keys(struct ddb_side *side, size_t asked, size_t answer_bytes)
{
    if (answer_bytes > LARGE_BYTES)
        side->keys = MAX(asked / 2, 1);
    else if (answer_bytes < LARGE_BYTES / 4)
        side->keys = MIN(MAX(ddb_side_keys(side), 2 * asked), DDB_ITEMS_AT_MOST);
}

int ddb_side_items(struct ddb_side_items *ret, struct ddb_side *side, const char *table,
                   const struct key_schema *schema, const struct bytes *keys, size_t count,
                   struct error *err)
{
    struct items_asked asked = {table, keys, count};
    struct items_reading of_items = {ret, schema};
    const struct request request = {ask_items, read_items, "BatchGetItem",
                                    &asked,    &of_items,  &asked.count};

    if (send_request(side, &ret->answer, &request, err) < 0)
        return -1;
    ret->asked = asked.count;
    learn_keys(side, asked.count, ret->answer.http.body.len);
    return 0;
}

/* ---- counting ---- */

struct count_reading {
    int64_t count;
    struct bytes last;
};

static int read_count(void *into, struct bytes answer, struct error *err)
{
    struct count_reading *of_count = into;

    return ddb_scan_count(answer, &of_count->count, &of_count->last, err);
}

/* Adds a page; *start is where the next one starts, NULL after the last. */
static int count_page(int64_t *count, char **start, struct ddb_side *side,
                      struct ddb_scan *scan, struct error *err)
{
    AUTO(ddb_side_release) struct ddb_side_answer answer = {0};
    struct count_reading of_count = {0};
    const struct request request = {ask_page, read_count, "Scan", scan, &of_count, NULL};

    scan->start_key = bytes_of(*start);
    if (send_request(side, &answer, &request, err) < 0)
        return -1;
    free_charp(start);
    *start = of_count.last.len ? bytes_dup(of_count.last) : NULL;
    *count += of_count.count;
    return 0;
}

int ddb_side_count(int64_t *ret, struct ddb_side *side, const char *table, int64_t segment,
                   int64_t segments, struct error *err)
{
    struct ddb_scan scan = {
        .table = table, .segment = segment, .total_segments = segments, .count = true};
    AUTO(free_charp) char *start = NULL;
    int64_t count = 0;

    do {
        if (count_page(&count, &start, side, &scan, err) < 0)
            return -1;
        if (side->counted)
            side->counted(side->arg, count);
    } while (start);
    *ret = count;
    return 0;
}
