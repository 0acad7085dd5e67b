/* tests/fuzz/fuzz_json_reader.c - any bytes: the reader agrees with jansson, and what is
 * unescaped and written again is the same string. */
#include "common/json/json_text.h"
#include "tests/fuzz/json_oracle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void strings_come_back(struct bytes any)
{
    struct json_reader r;
    struct buf out, back;
    struct bytes raw;

    buf_init(&out, any.len * 6 + 2);
    buf_init(&back, any.len * 6 + 2);
    json_stringify(&out, any);
    json_reader_init(&r, buf_slice(&out));
    CHECK(!out.overflow && json_string(&r, &raw) && json_end(&r));
    json_unescape(&back, raw, NULL);
    buf_reset(&out);
    json_stringify(&out, buf_slice(&back)); /* the first one may have replaced bytes */
    json_reader_init(&r, buf_slice(&out));
    CHECK(json_string(&r, &raw) && json_raw_is(raw, buf_slice(&back)));
    buf_release(&out);
    buf_release(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes text = {(const char *)data, size};

    json_oracle_compare(text);
    strings_come_back(text);
    return 0;
}
