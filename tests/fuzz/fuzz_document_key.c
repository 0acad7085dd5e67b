/* tests/fuzz/fuzz_document_key.c - whatever stands in a target, a key that is found converts
 * forth to a document of that key; and it never crashes.
 *
 * Input: a byte of flags, a byte for schema and names, the rest is a document. */
#include <bson/bson.h>
#include <stdint.h>

#include "common/base/check.h"
#include "consumer/convert.h"
#include "consumer/document_key.h"

#define CEILING (1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char before[] = "before";

static void start(struct buf *buf)
{
    buf_init(buf, CEILING);
    buf_lit(buf, before);
}

static struct bytes behind(const struct buf *buf)
{
    size_t from = sizeof(before) - 1;

    CHECK(memcmp(buf->p, before, from) == 0 && !buf->overflow);
    return (struct bytes){buf->p + from, buf->len - from};
}

/* The document that the keys become has the same keys. */
static void check_forth(const struct converter *converter, struct bytes keys,
                        struct bytes message_key)
{
    AUTO(buf_release) struct buf out;
    AUTO(buf_release) struct buf again;
    AUTO(buf_release) struct buf message_again;
    struct error err;
    bson_t doc;

    buf_init(&out, CEILING);
    start(&again);
    start(&message_again);
    CHECK(convert_filter(&out, converter, keys, &err) == 0);
    out.len = 0;
    CHECK(convert_document(&out, converter, keys, BYTES_LIT("{}"), &err) == 0);
    CHECK(bson_init_static(&doc, (const uint8_t *)out.p, out.len));
    CHECK(document_key_read(&again, &message_again, converter, &doc) == DOCUMENT_KEY_FOUND);
    CHECK(bytes_equal(behind(&again), keys));
    CHECK(bytes_equal(behind(&message_again), message_key));
}

static void check_document(const struct converter *converter, const bson_t *doc)
{
    AUTO(buf_release) struct buf keys;
    AUTO(buf_release) struct buf message_key;

    start(&keys);
    start(&message_key);
    if (document_key_read(&keys, &message_key, converter, doc) == DOCUMENT_KEY_FOUND)
        check_forth(converter, behind(&keys), behind(&message_key));
    else
        CHECK(behind(&keys).len == 0 && behind(&message_key).len == 0);
}

static struct key_attribute attribute(const char *name, char type)
{
    return (struct key_attribute){(char *)name, strlen(name), type};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"pk", "_id", "$p", "a.b", "", "pre_id", "\xed\xa0\x80"};
    static const char types[] = "SNB";
    struct key_schema schema = {0};
    struct converter c = {.id_prefix = "pre", .schema = &schema};
    bson_t doc;

    if (size < 2 || size > CEILING / 8 || !bson_init_static(&doc, data + 2, size - 2))
        return 0;
    schema.hash = attribute(names[data[1] % ARRAY_LEN(names)], types[data[0] / 8 % 3]);
    if (data[0] & 4)
        schema.range = attribute(data[1] & 128 ? "_id" : "sk", types[data[1] / 7 % 3]);
    if (schema.range.name && strcmp(schema.range.name, schema.hash.name) == 0)
        return 0;
    c.type = data[0] & 1 ? CONVERT_CHANGE : CONVERT_RAW;
    c.identity =
        data[0] & 2 || !converter_can_index(&schema) ? IDENTITY_KEY : IDENTITY_OBJECTID;
    check_document(&c, &doc);
    return 0;
}
