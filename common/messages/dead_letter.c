#include "common/messages/dead_letter.h"

#include <inttypes.h>

#include "common/base/base64.h"
#include "common/json/json_text.h"

static void put_value(struct buf *out, struct bytes value)
{
    if (!value.len) {
        buf_lit(out, "null");
        return;
    }
    buf_char(out, '"');
    base64_encode(out, value);
    buf_char(out, '"');
}

static void put_ascii(struct buf *out, struct bytes text)
{
    AUTO(buf_release) struct buf ascii = {.ceiling = text.len};

    for (size_t i = 0; i < text.len; i++)
        buf_char(&ascii, (unsigned char)text.p[i] < 0x7f ? text.p[i] : '?');
    json_stringify(out, buf_slice(&ascii));
}

void dead_letter_header(struct buf *out, struct bytes name, struct bytes value)
{
    buf_char(out, out->len ? ',' : '{');
    put_ascii(out, name);
    buf_char(out, ':');
    put_ascii(out, value);
}

static void put_text(struct buf *out, const char *before, struct bytes text)
{
    buf_bytes(out, bytes_of(before));
    json_stringify(out, text);
}

void dead_letter_encode(struct buf *out, const struct dead_letter *d)
{
    put_text(out, "{\"stage\":", d->stage);
    put_text(out, ",\"table\":", d->table);
    put_text(out, ",\"reason\":", d->reason);
    put_text(out, ",\"topic\":", d->topic);
    buf_printf(out, ",\"partition\":%" PRId32 ",\"offset\":", d->partition);
    if (d->offset < 0)
        buf_lit(out, "null");
    else
        buf_printf(out, "%" PRId64, d->offset);
    buf_printf(out, ",\"generation\":%" PRId64 ",\"keys\":", d->generation);
    buf_bytes(out, d->keys.len ? d->keys : BYTES_LIT("null"));
    buf_lit(out, ",\"headers\":");
    buf_bytes(out, d->headers.len ? d->headers : BYTES_LIT("{}"));
    buf_lit(out, ",\"value\":");
    put_value(out, d->value);
    buf_printf(out, ",\"ts_ms\":%" PRId64 ",\"old_document_stays\":%s}", d->ts_ms,
               d->old_document_stays ? "true" : "false");
}
