/* common/messages/table_signal.c - keys are copied as they stand in the message: they may hold
 * names and strings (NUL, half a surrogate pair) that C strings can't. */
#include "common/messages/table_signal.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/json/json_fields.h"

/* ---- what fields hold ---- */

static const char *const type_names[] = {"snapshot", "repair", "pause",
                                         "resume",   "forget", "report"};

const char *table_signal_type_name(enum table_signal_type type)
{
    return type_names[type];
}

static const struct json_kind type_kind = {.names = type_names,
                                           .name_count = ARRAY_LEN(type_names)};

/* Whether what belongs to one type of request is written depends on the type: the functions of
 * these kinds get the whole request. */

static int read_generation(struct json_reader *r, void *at, struct error *err)
{
    return json_fields_count.read(r, &((struct table_signal *)at)->generation, err);
}

static void write_generation(struct buf *out, const void *at)
{
    buf_printf(out, "%" PRId64, ((const struct table_signal *)at)->generation);
}

static bool has_no_generation(const void *at)
{
    return ((const struct table_signal *)at)->type != TABLE_SIGNAL_SNAPSHOT;
}

static const struct json_kind generation_kind = {
    .read = read_generation, .write = write_generation, .is_left_out = has_no_generation};

static int read_keys(struct json_reader *r, void *at, struct error *err)
{
    struct table_signal *signal = at;
    struct bytes key;

    signal->keys = xcalloc(TABLE_SIGNAL_KEYS_AT_MOST, sizeof(*signal->keys));
    json_array_begin(r);
    while (json_array_next(r)) {
        if (signal->key_count == TABLE_SIGNAL_KEYS_AT_MOST)
            return error_set(err, ERR_DATA, "more than %d keys", TABLE_SIGNAL_KEYS_AT_MOST);
        if (json_peek(r) != JSON_OBJECT || !json_skip(r, &key))
            return error_set(err, ERR_DATA, "a key that is no object");
        signal->keys[signal->key_count++] = bytes_dup(key);
    }
    return signal->key_count > 0 ? 0 : error_set(err, ERR_DATA, "no keys");
}

static void write_keys(struct buf *out, const void *at)
{
    const struct table_signal *signal = at;

    for (size_t i = 0; i < signal->key_count; i++) {
        buf_char(out, i ? ',' : '[');
        buf_bytes(out, bytes_of(signal->keys[i]));
    }
    buf_char(out, ']');
}

static bool has_no_keys(const void *at)
{
    return ((const struct table_signal *)at)->type != TABLE_SIGNAL_REPAIR;
}

static void release_keys(void *at)
{
    struct table_signal *signal = at;

    for (size_t i = 0; i < signal->key_count; i++)
        free(signal->keys[i]);
    free(signal->keys);
}

static const struct json_kind keys_kind = {.read = read_keys,
                                           .write = write_keys,
                                           .is_left_out = has_no_keys,
                                           .release = release_keys};

/* ---- the request ---- */

enum {
    ID,
    TYPE,
    TABLE,
    SENDER,
    TS_MS,
    REASON,
    GENERATION,
    KEYS,
};
static const struct json_field list[] = {
    [ID] = JSON_FIELD("id", struct table_signal, id, &json_fields_text),
    [TYPE] = JSON_FIELD("type", struct table_signal, type, &type_kind),
    [TABLE] = JSON_FIELD("table", struct table_signal, table, &json_fields_text),
    [SENDER] = JSON_FIELD("sender", struct table_signal, sender, &json_fields_text),
    [TS_MS] = JSON_FIELD("ts_ms", struct table_signal, ts_ms, &json_fields_count),
    [REASON] = JSON_FIELD("reason", struct table_signal, reason, &json_fields_text_or_none),
    [GENERATION] = {BYTES_LIT("generation"), &generation_kind},
    [KEYS] = {BYTES_LIT("keys"), &keys_kind},
};
static const struct json_fields fields = JSON_FIELDS("the request", struct table_signal, list);

void table_signal_release(struct table_signal *signal)
{
    json_fields_release(signal, &fields);
}

void table_signal_encode(struct buf *out, const struct table_signal *signal)
{
    json_fields_encode(out, signal, &fields);
}

static int check(const struct table_signal *signal, uint64_t seen, struct error *err)
{
    if (!*signal->id || !*signal->table || !*signal->sender)
        return error_set(err, ERR_DATA, "an empty id, table or sender");
    for (int i = GENERATION; i <= KEYS; i++)
        if (seen & UINT64_C(1) << i && list[i].kind->is_left_out(signal))
            return error_set(err, ERR_DATA, "a \"%s\" in a request to %s", list[i].name.p,
                             type_names[signal->type]);
    return 0;
}

static int read_request(struct table_signal *signal, struct bytes message, struct error *err)
{
    struct json_reader r;
    uint64_t seen;

    json_reader_init(&r, message);
    if (json_fields_read(signal, &seen, &fields, &r, err) < 0)
        return -1;
    return json_end(&r) ? check(signal, seen, err) : json_reader_error(&r, err);
}

int table_signal_decode(struct table_signal *ret, struct bytes message, struct error *err)
{
    AUTO(table_signal_release) struct table_signal signal = {0};

    if (message.len > TABLE_SIGNAL_BYTES_AT_MOST)
        return error_set(err, ERR_DATA, "signal: longer than %zu bytes",
                         TABLE_SIGNAL_BYTES_AT_MOST);
    if (read_request(&signal, message, err) < 0)
        return error_prefix(err, "signal");
    *ret = signal;
    signal = (struct table_signal){0};
    return 0;
}
