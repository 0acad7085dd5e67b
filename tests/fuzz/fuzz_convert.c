/* tests/fuzz/fuzz_convert.c - whatever a message holds, the result is BSON that libbson finds
 * valid, or nothing.
 *
 * Input: a byte of flags, the keys up to a line's end, the rest is `after`. */
#include <bson/bson.h>
#include <stdint.h>

#include "common/base/check.h"
#include "common/item/ddb_number.h"
#include "consumer/convert.h"
#include "consumer/number.h"

#define CEILING (1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char before[] = "before";

static void check_result(struct buf *out, int result, const struct error *err)
{
    size_t start = sizeof(before) - 1;
    bson_t document;

    CHECK(memcmp(out->p, before, start) == 0 && out->ceiling == CEILING && !out->overflow);
    if (result < 0) {
        CHECK(out->len == start && (err->kind == ERR_DATA || err->kind == ERR_RETRY));
        return;
    }
    CHECK(bson_init_static(&document, (const uint8_t *)out->p + start, out->len - start));
    CHECK(bson_validate(&document, BSON_VALIDATE_UTF8 | BSON_VALIDATE_UTF8_ALLOW_NULL, NULL));
    out->len = start;
}

/* The two readers of numbers agree about what is one. */
static void check_number(struct bytes text)
{
    AUTO(buf_release) struct buf canonical;
    struct error err;
    struct number n;
    double d;
    bool valid;

    buf_init(&canonical, CEILING);
    valid = ddb_number_canonical(&canonical, text, &err) == 0;
    CHECK(number_valid(text) == valid && number_exact(&n, text) == valid);
    CHECK(number_double(&d, text) == valid);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct key_schema schema = {.hash = {(char *)"pk", 2, 'S'}};
    struct bytes keys = {(const char *)data + 1, 0}, after;
    struct converter c = {.id_prefix = "pre", .schema = &schema};
    AUTO(buf_release) struct buf out = {0};
    struct error err;

    if (!size)
        return 0;
    check_number((struct bytes){(const char *)data, size});
    c.type = data[0] & 1 ? CONVERT_CHANGE : CONVERT_RAW;
    c.identity = data[0] & 2 ? IDENTITY_KEY : IDENTITY_OBJECTID;
    c.number = data[0] & 4 ? CONVERT_DOUBLE : CONVERT_EXACT;
    if (data[0] & 8)
        schema.range = (struct key_attribute){(char *)"_id", 3, data[0] & 16 ? 'N' : 'B'};
    while (keys.len < size - 1 && keys.p[keys.len] != '\n')
        keys.len++;
    after = (struct bytes){keys.p + keys.len, size - 1 - keys.len};
    buf_init(&out, CEILING);
    buf_lit(&out, before);
    check_result(&out, convert_document(&out, &c, keys, after, &err), &err);
    check_result(&out, convert_filter(&out, &c, keys, &err), &err);
    return 0;
}
