#include "common/item/ddb_item.h"

#include <string.h>

#include "common/base/base64.h"
#include "common/item/ddb_number.h"
#include "common/json/json_text.h"

/* ---- items ---- */

static int read_members(struct ddb_item *item, struct json_reader *r,
                        const struct key_schema *schema, struct error *err)
{
    struct bytes hash = key_attribute_name(&schema->hash),
                 range = key_attribute_name(&schema->range), name, value;

    while (json_object_next_skip(r, &name, &value)) {
        struct bytes *slot = json_raw_is(name, hash)               ? &item->hash
                             : range.p && json_raw_is(name, range) ? &item->range
                                                                   : NULL;

        if (!slot)
            continue;
        if (slot->p)
            return error_set(err, ERR_DATA, "an item with its key attribute twice");
        *slot = value;
    }
    return json_failed(r) ? json_reader_error(r, err) : 0;
}

int ddb_item_read(struct ddb_item *ret, struct json_reader *r, const struct key_schema *schema,
                  struct error *err)
{
    struct ddb_item item = {0};

    if (json_peek(r) != JSON_OBJECT)
        return error_set(err, ERR_DATA, "an item that is no object");
    item.json.p = r->p;
    if (!json_object_begin(r))
        return json_reader_error(r, err);
    if (read_members(&item, r, schema, err) < 0)
        return -1;
    item.json.len = (size_t)(r->p - item.json.p);
    *ret = item;
    return 0;
}

/* ---- canonical keys ---- */

/* Appends the canonical text of an unescaped value. */
static int content_canonical(struct buf *out, char type, struct bytes text, struct error *err)
{
    int result;

    if (type == 'S') {
        json_stringify(out, text);
        return 0;
    }
    if (type == 'B' && base64_decode(NULL, text, err) < 0) /* what it takes is canonical */
        return -1;
    buf_char(out, '"');
    result = type == 'N' ? ddb_number_canonical(out, text, err) : (buf_bytes(out, text), 0);
    buf_char(out, '"');
    return result;
}

/* The string in {"S":"..."}, raw. */
static int typed_string(struct bytes *ret, struct bytes value, char type, struct error *err)
{
    struct bytes name, raw;
    struct json_reader r;

    json_reader_init(&r, value);
    if (!json_object_begin(&r) || !json_object_next(&r, &name) ||
        !json_raw_is(name, (struct bytes){&type, 1}))
        return json_failed(&r) ? json_reader_error(&r, err)
                               : error_set(err, ERR_DATA, "no value of type %c", type);
    if (!json_string(&r, &raw))
        return json_reader_error(&r, err);
    if (json_object_next(&r, &name))
        return error_set(err, ERR_DATA, "a value of two types");
    if (!json_end(&r))
        return json_reader_error(&r, err);
    *ret = raw;
    return 0;
}

/* The common case: {"S":"..."} without spaces and escapes, which the item's reader has checked.
 */
static bool is_plain(struct bytes value, char type)
{
    const char opening[] = {'{', '"', type, '"', ':', '"'};
    size_t inner;

    if (value.len < 8 || memcmp(value.p, opening, 6) != 0 ||
        memcmp(value.p + value.len - 2, "\"}", 2) != 0)
        return false;
    inner = value.len - 8;
    return !memchr(value.p + 6, '"', inner) && !memchr(value.p + 6, '\\', inner);
}

static int unescaped_canonical(struct buf *out, char type, struct bytes raw, struct error *err)
{
    struct buf text;
    int result;

    buf_init(&text, raw.len);
    json_unescape(&text, raw, NULL);
    result = content_canonical(out, type, buf_slice(&text), err);
    buf_release(&text);
    return result;
}

static int value_canonical(struct buf *out, struct bytes value, char type, struct error *err)
{
    bool plain = is_plain(value, type);
    struct bytes raw;
    int result;

    if (plain && type == 'S') {
        buf_bytes(out, value);
        return 0;
    }
    if (plain)
        raw = (struct bytes){value.p + 6, value.len - 8};
    else if (typed_string(&raw, value, type, err) < 0)
        return -1;
    buf_append(out, (const char[]){'{', '"', type, '"', ':'}, 5);
    if (plain || !memchr(raw.p, '\\', raw.len))
        result = content_canonical(out, type, raw, err);
    else
        result = unescaped_canonical(out, type, raw, err);
    buf_char(out, '}');
    return result;
}

/* "pk":{"S":"u1"} */
static int member_canonical(struct buf *out, const struct key_attribute *a, struct bytes value,
                            struct error *err)
{
    if (!value.p)
        return error_set(err, ERR_DATA, "no key attribute \"%s\"", a->name);
    json_stringify(out, key_attribute_name(a));
    buf_char(out, ':');
    if (value_canonical(out, value, a->type, err) < 0)
        return error_prefix(err, "key attribute \"%s\"", a->name);
    return 0;
}

static int keys_canonical(struct buf *message_key, struct buf *keys,
                          const struct ddb_item *item, const struct key_schema *schema,
                          struct error *err)
{
    struct buf *first = message_key ? message_key : keys;
    size_t from = first->len;

    buf_char(first, '{');
    if (member_canonical(first, &schema->hash, item->hash, err) < 0)
        return -1;
    if (message_key && keys)
        buf_append(keys, first->p + from, first->len - from);
    if (keys && schema->range.name) {
        buf_char(keys, ',');
        if (member_canonical(keys, &schema->range, item->range, err) < 0)
            return -1;
    }
    if (message_key)
        buf_char(message_key, '}');
    if (keys)
        buf_char(keys, '}');
    return 0;
}

int ddb_item_keys(struct buf *message_key, struct buf *keys, const struct ddb_item *item,
                  const struct key_schema *schema, struct error *err)
{
    size_t key_len = message_key ? message_key->len : 0, keys_len = keys ? keys->len : 0;

    if (!message_key && !keys)
        return 0;
    if (keys_canonical(message_key, keys, item, schema, err) == 0)
        return 0;
    if (message_key)
        message_key->len = key_len;
    if (keys)
        keys->len = keys_len;
    return -1;
}
