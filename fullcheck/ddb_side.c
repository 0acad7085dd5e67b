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

static int reserve(struct ddb_side *s, size_t bytes, struct error *err)
{
    int64_t wait;

    while (!throttle_reserve(s->throttle, THROTTLE_SCAN, bytes))
        if (stop_wait_ms(NO_BUDGET_MS))
            return stopped(err);
    while ((wait = throttle_scan_wait_ms(s->throttle, clock_mono_ms())) > 0)
        if (stop_wait_ms(wait)) {
            throttle_return(s->throttle, THROTTLE_SCAN, bytes);
            return stopped(err);
        }
    return 0;
}

void ddb_side_release(struct ddb_side_answer *a)
{
    if (a->side)
        throttle_return(a->side->throttle, THROTTLE_SCAN, a->held);
    a->side = NULL;
    a->held = 0;
    http_answer_release(&a->http);
}

/* ---- a request, and reading its answer ---- */

struct request {
    int (*ask)(struct http_answer *ret, struct ddb_client *c, const void *what,
               struct error *err);
    /* ERR_RETRY: no such answer; what was read of it is forgotten by the next call. */
    int (*read)(void *into, struct bytes answer, struct error *err);
    const char *operation;
    const void *what;
    void *into;
    size_t *count; /* of what is asked for at once: halved when an answer does not come through,
                      which may be too large; NULL: it is not ours to say */
};

static int one_try(struct ddb_side *s, struct ddb_side_answer *a, const struct request *r,
                   struct error *err)
{
    size_t expected = s->expected ? s->expected : FIRST_ANSWER_BYTES;

    *a = (struct ddb_side_answer){0};
    if (reserve(s, expected, err) < 0)
        return -1;
    if (r->ask(&a->http, s->client, r->what, err) < 0) {
        throttle_return(s->throttle, THROTTLE_SCAN, expected);
        return -1;
    }
    a->side = s;
    a->held = a->http.body.cap;
    throttle_settle(s->throttle, THROTTLE_SCAN, expected, a->held);
    s->expected = MAX(MAX(a->held, s->expected / 2), SMALLEST_BYTES);
    if (r->read(r->into, buf_slice(&a->http.body), err) == 0)
        return 0;
    ddb_client_broken(s->client, r->operation, err);
    ddb_side_release(a);
    return -1;
}

static int request(struct ddb_side *s, struct ddb_side_answer *a, const struct request *r,
                   struct error *err)
{
    struct retry retry;

    retry_init(&retry, s->retry_limit_ms);
    while (one_try(s, a, r, err) < 0) {
        if (!retry_again(&retry, ddb_client_error(s->client) == DDB_THROTTLED, err))
            return error_prefix(err, "DynamoDB");
        if (r->count && ddb_client_error(s->client) == DDB_BROKEN)
            *r->count = MAX(*r->count / 2, 1);
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
    struct page_reading *r = arg;
    struct ddb_side_page *p = r->page;

    (void)err;
    if (p->count == r->room) {
        r->room = r->room ? r->room * 2 : 1024;
        p->items = xrealloc(p->items, r->room * sizeof(*p->items));
    }
    p->items[p->count++] = item->json;
    return 0;
}

static int ask_page(struct http_answer *ret, struct ddb_client *c, const void *what,
                    struct error *err)
{
    return ddb_scan_page(ret, c, what, err);
}

static int read_page(void *into, struct bytes answer, struct error *err)
{
    struct page_reading *r = into;

    r->page->count = 0;
    return ddb_scan_items(answer, r->schema, each_item, r, &r->page->last, err);
}

int ddb_side_page(struct ddb_side_page *ret, struct ddb_side *s, const struct ddb_scan *scan,
                  const struct key_schema *schema, struct error *err)
{
    struct page_reading reading = {.page = ret, .schema = schema};
    const struct request r = {ask_page, read_page, "Scan", scan, &reading, NULL};

    *ret = (struct ddb_side_page){0};
    if (request(s, &ret->answer, &r, err) == 0)
        return 0;
    free(TAKE(ret->items));
    return -1;
}

void ddb_side_page_release(struct ddb_side_page *p)
{
    free(TAKE(p->items));
    ddb_side_release(&p->answer);
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

static int ask_items(struct http_answer *ret, struct ddb_client *c, const void *what,
                     struct error *err)
{
    const struct items_asked *asked = what;

    return ddb_items_get(ret, c, asked->table, asked->keys, asked->count, err);
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
    struct items_reading *r = into;
    const struct ddb_items_calls calls = {found, unprocessed, r->items};

    r->items->count = r->items->unprocessed_count = 0;
    return ddb_items_read(answer, r->schema, &calls, err);
}

size_t ddb_side_keys(const struct ddb_side *s)
{
    return s->keys ? s->keys : FIRST_KEYS;
}

static void learn_keys(struct ddb_side *s, size_t asked, size_t answer_bytes)
{
    if (answer_bytes > LARGE_BYTES)
        s->keys = MAX(asked / 2, 1);
    else if (answer_bytes < LARGE_BYTES / 4)
        s->keys = MIN(MAX(ddb_side_keys(s), 2 * asked), DDB_ITEMS_AT_MOST);
}

int ddb_side_items(struct ddb_side_items *ret, struct ddb_side *s, const char *table,
                   const struct key_schema *schema, const struct bytes *keys, size_t count,
                   struct error *err)
{
    struct items_asked asked = {table, keys, count};
    struct items_reading reading = {ret, schema};
    const struct request r = {ask_items, read_items, "BatchGetItem",
                              &asked,    &reading,   &asked.count};

    if (request(s, &ret->answer, &r, err) < 0)
        return -1;
    ret->asked = asked.count;
    learn_keys(s, asked.count, ret->answer.http.body.len);
    return 0;
}

/* ---- counting ---- */

struct count_reading {
    int64_t count;
    struct bytes last;
};

static int read_count(void *into, struct bytes answer, struct error *err)
{
    struct count_reading *r = into;

    return ddb_scan_count(answer, &r->count, &r->last, err);
}

/* Adds a page; *start is where the next one starts, NULL after the last. */
static int count_page(int64_t *count, char **start, struct ddb_side *s, struct ddb_scan *scan,
                      struct error *err)
{
    AUTO(ddb_side_release) struct ddb_side_answer answer = {0};
    struct count_reading reading = {0};
    const struct request r = {ask_page, read_count, "Scan", scan, &reading, NULL};

    scan->start_key = bytes_of(*start);
    if (request(s, &answer, &r, err) < 0)
        return -1;
    free_charp(start);
    *start = reading.last.len ? bytes_dup(reading.last) : NULL;
    *count += reading.count;
    return 0;
}

int ddb_side_count(int64_t *ret, struct ddb_side *s, const char *table, int64_t segment,
                   int64_t segments, struct error *err)
{
    struct ddb_scan scan = {
        .table = table, .segment = segment, .total_segments = segments, .count = true};
    AUTO(free_charp) char *start = NULL;
    int64_t count = 0;

    do {
        if (count_page(&count, &start, s, &scan, err) < 0)
            return -1;
    } while (start);
    *ret = count;
    return 0;
}
