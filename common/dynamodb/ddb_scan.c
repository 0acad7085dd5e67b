/* common/dynamodb/ddb_scan.c - a page asked for, and read in one pass. */
#include "common/dynamodb/ddb_scan.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/dynamodb/ddb_read.h"
#include "common/json/json_text.h"

int ddb_scan_page(struct http_answer *ret, struct ddb_client *client,
                  const struct ddb_scan *scan, struct error *err)
{
    AUTO(buf_release) struct buf body = {.ceiling = DDB_CLIENT_REQUEST_AT_MOST};

    buf_lit(&body, "{\"TableName\":");
    json_stringify(&body, bytes_of(scan->table));
    buf_printf(&body,
               ",\"ConsistentRead\":true,\"ReturnConsumedCapacity\":\"%s\",\"Segment\":%" PRId64
               ",\"TotalSegments\":%" PRId64,
               scan->consumed ? "TOTAL" : "NONE", scan->segment, scan->total_segments);
    if (scan->limit > 0)
        buf_printf(&body, ",\"Limit\":%" PRId64, scan->limit);
    if (scan->count)
        buf_lit(&body, ",\"Select\":\"COUNT\"");
    if (scan->start_key.len) {
        buf_lit(&body, ",\"ExclusiveStartKey\":");
        buf_bytes(&body, scan->start_key);
    }
    buf_char(&body, '}');
    return ddb_client_call(client, DDB_TABLES, "Scan", buf_slice(&body), ret, err);
}

/* {"TableName":"t","CapacityUnits":128.5} */
static int read_consumed(int64_t *ret_milli, struct json_reader *r, struct error *err)
{
    static const struct json_field list[] = {
        {BYTES_LIT("CapacityUnits"), &ddb_read_units, .optional = true}};
    static const struct json_fields fields = JSON_FIELDS("ConsumedCapacity", int64_t, list);

    if (ddb_read_nested(ret_milli, &fields, r, err) == 0)
        return 0;
    return json_failed(r) ? ddb_read_failed(r, err) : ddb_read_is_wrong(err);
}

int ddb_scan_read(struct bytes answer, const struct key_schema *schema,
                  int (*each)(void *arg, const struct ddb_item *item, struct error *err),
                  void *arg, struct ddb_scan_end *ret, struct error *err)
{
    struct ddb_scan_end end = {.consumed_milli = -1};
    struct bytes member;
    struct json_reader r;
    bool any = false;

    json_reader_init(&r, answer);
    json_object_begin(&r);
    while (json_object_next(&r, &member)) {
        if (json_raw_is(member, BYTES_LIT("Items"))) {
            if (any)
                return ddb_read_lacks("single Items", err);
            if (ddb_read_each_item(&r, schema, each, arg, err) < 0)
                return -1;
            any = true;
        } else if (json_raw_is(member, BYTES_LIT("LastEvaluatedKey"))) {
            json_fields_read_object(&r, &end.last, err);
        } else if (json_raw_is(member, BYTES_LIT("ConsumedCapacity"))) {
            if (read_consumed(&end.consumed_milli, &r, err) < 0)
                return -1;
        } else {
            json_skip(&r, NULL);
        }
    }
    if (!json_end(&r))
        return ddb_read_failed(&r, err);
    if (!any) /* taken for an empty page it would end the segment */
        return ddb_read_lacks("Items", err);
    *ret = end;
    return 0;
}

int ddb_scan_items(struct bytes answer, const struct key_schema *schema,
                   int (*each)(void *arg, const struct ddb_item *item, struct error *err),
                   void *arg, struct bytes *ret_last, struct error *err)
{
    struct ddb_scan_end end;

    if (ddb_scan_read(answer, schema, each, arg, &end, err) < 0)
        return -1;
    *ret_last = end.last;
    return 0;
}

struct count {
    int64_t items;
    struct bytes last;
};

int ddb_scan_count(struct bytes answer, int64_t *ret_count, struct bytes *ret_last,
                   struct error *err)
{
    static const struct json_field list[] = {
        JSON_FIELD("Count", struct count, items, &json_fields_count),
        JSON_OPTIONAL("LastEvaluatedKey", struct count, last, &json_fields_object),
    };
    static const struct json_fields fields = JSON_FIELDS("Scan", struct count, list);
    struct count count = {0};

    if (ddb_read_answer(&count, &fields, answer, err) < 0)
        return -1;
    *ret_count = count.items;
    *ret_last = count.last;
    return 0;
}
