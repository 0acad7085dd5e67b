/* tests/fuzz/fuzz_ddb_item.c - any bytes as an item, a number, a key schema and base64: what
 * is canonical stays as it is when it is made canonical again. */
#include "common/base/base64.h"
#include "common/base/check.h"
#include "common/item/ddb_item.h"
#include "common/item/ddb_number.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_keys(struct bytes text, char hash_type, char range_type)
{
    struct key_schema schema = {.hash = {(char *)"p", 1, hash_type},
                                .range = {range_type ? (char *)"s" : NULL, 1, range_type}};
    struct ddb_item item, again;
    struct json_reader r;
    struct error err;
    struct buf once, twice;

    json_reader_init(&r, text);
    if (ddb_item_read(&item, &r, &schema, &err) < 0)
        return;
    buf_init(&once, text.len * 6 + 4096);
    buf_init(&twice, text.len * 6 + 4096);
    if (ddb_item_keys(NULL, &once, &item, &schema, &err) == 0) {
        json_reader_init(&r, buf_slice(&once));
        CHECK(!once.overflow && ddb_item_read(&again, &r, &schema, &err) == 0 && json_end(&r));
        CHECK(ddb_item_keys(NULL, &twice, &again, &schema, &err) == 0);
        CHECK(bytes_equal(buf_slice(&once), buf_slice(&twice)));
    } else {
        CHECK(err.kind == ERR_DATA && once.len == 0);
    }
    buf_release(&once);
    buf_release(&twice);
}

static void try_number(struct bytes text)
{
    struct buf once, twice;
    struct error err;

    buf_init(&once, 4096);
    buf_init(&twice, 4096);
    if (ddb_number_canonical(&once, text, &err) == 0) {
        CHECK(!once.overflow && once.len <= 1 + 2 + 129 + 38);
        CHECK(ddb_number_canonical(&twice, buf_slice(&once), &err) == 0);
        CHECK(bytes_equal(buf_slice(&once), buf_slice(&twice)));
    }
    buf_release(&once);
    buf_release(&twice);
}

static void try_base64(struct bytes text)
{
    struct buf data, again;
    struct error err;
    int checked = base64_decode(NULL, text, &err);

    buf_init(&data, text.len + 1);
    buf_init(&again, text.len + 1);
    CHECK(base64_decode(&data, text, &err) == checked);
    if (checked == 0) {
        base64_encode(&again, buf_slice(&data));
        CHECK(bytes_equal(buf_slice(&again), text));
    }
    buf_release(&data);
    buf_release(&again);
}

static void try_key_schema(struct bytes text)
{
    struct key_schema schema, again;
    struct error err;
    struct buf out;

    if (key_schema_read(&schema, text, &err) < 0)
        return;
    buf_init(&out, text.len * 6 + 256);
    key_schema_write(&out, &schema);
    CHECK(!out.overflow && key_schema_read(&again, buf_slice(&out), &err) == 0);
    CHECK(key_schema_equal(&schema, &again));
    key_schema_release(&schema);
    key_schema_release(&again);
    buf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes text = {(const char *)data, size};

    try_keys(text, 'S', 0);
    try_keys(text, 'N', 'B');
    try_keys(text, 'B', 'S');
    try_number(text);
    try_base64(text);
    try_key_schema(text);
    return 0;
}
