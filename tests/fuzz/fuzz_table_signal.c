/* tests/fuzz/fuzz_table_signal.c - any bytes as a request: refused, or read so that what is
 * written again reads the same, keys byte for byte. */
#include "common/base/check.h"
#include "common/messages/table_signal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same(const struct table_signal *a, const struct table_signal *b)
{
    for (size_t i = 0; i < a->key_count && i < b->key_count; i++)
        if (!same_text(a->keys[i], b->keys[i]))
            return false;
    return a->key_count == b->key_count && a->type == b->type && a->ts_ms == b->ts_ms &&
           a->generation == b->generation && same_text(a->id, b->id) &&
           same_text(a->table, b->table) && same_text(a->sender, b->sender) &&
           same_text(a->reason, b->reason);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(table_signal_release) struct table_signal s = {0}, again = {0};
    AUTO(buf_release) struct buf out = {.ceiling = 2 * TABLE_SIGNAL_BYTES_AT_MOST};
    struct error err = {0};

    if (table_signal_decode(&s, (struct bytes){(const char *)data, size}, &err) < 0) {
        CHECK(err.kind == ERR_DATA && err.message[0] && !s.id);
        return 0;
    }
    CHECK(s.key_count <= TABLE_SIGNAL_KEYS_AT_MOST &&
          (s.key_count > 0) == (s.type == TABLE_SIGNAL_REPAIR));
    table_signal_encode(&out, &s);
    if (out.len <= TABLE_SIGNAL_BYTES_AT_MOST)
        CHECK(table_signal_decode(&again, buf_slice(&out), &err) == 0 && same(&s, &again));
    return 0;
}
