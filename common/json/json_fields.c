#include "common/json/json_fields.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/json/json_text.h"

/* ---- kinds ---- */

static int read_text(struct json_reader *r, void *at, struct error *err)
{
    struct bytes raw;
    size_t len;
    char *text;

    if (!json_string(r, &raw))
        return -1;
    text = json_unescape_dup(raw, &len);
    if (strlen(text) < len) {
        free(text);
        return error_set(err, ERR_DATA, "a text with a NUL");
    }
    free(*(char **)at);
    *(char **)at = text;
    return 0;
}

static void write_text(struct buf *out, const void *at)
{
    json_stringify(out, bytes_of(*(char *const *)at));
}

static void copy_text(void *ret, const void *at)
{
    const char *text = *(char *const *)at;

    *(char **)ret = text ? xstrdup(text) : NULL;
}

static void release_text(void *at)
{
    free(*(char **)at);
}

const struct json_kind json_fields_text = {
    .read = read_text, .write = write_text, .copy = copy_text, .release = release_text};

static int read_text_or_null(struct json_reader *r, void *at, struct error *err)
{
    if (json_peek(r) == JSON_NULL)
        return json_null(r) ? 0 : -1;
    return read_text(r, at, err);
}

static void write_text_or_null(struct buf *out, const void *at)
{
    if (*(char *const *)at)
        write_text(out, at);
    else
        buf_lit(out, "null");
}

const struct json_kind json_fields_text_or_null = {.read = read_text_or_null,
                                                   .write = write_text_or_null,
                                                   .copy = copy_text,
                                                   .release = release_text};

static bool is_null(const void *at)
{
    return !*(char *const *)at;
}

const struct json_kind json_fields_text_or_none = {.read = read_text,
                                                   .write = write_text,
                                                   .is_left_out = is_null,
                                                   .copy = copy_text,
                                                   .release = release_text};

static int read_int64(struct json_reader *r, void *at, struct error *err)
{
    (void)err;
    return json_int64(r, at) ? 0 : -1;
}

static void write_int64(struct buf *out, const void *at)
{
    buf_printf(out, "%" PRId64, *(const int64_t *)at);
}

const struct json_kind json_fields_int64 = {.read = read_int64, .write = write_int64};

static int read_count(struct json_reader *r, void *at, struct error *err)
{
    if (!json_int64(r, at))
        return -1;
    return *(int64_t *)at < 0 ? error_set(err, ERR_DATA, "a negative number") : 0;
}

const struct json_kind json_fields_count = {.read = read_count, .write = write_int64};

static bool is_zero(const void *at)
{
    return *(const int64_t *)at == 0;
}

const struct json_kind json_fields_count_or_none = {
    .read = read_count, .write = write_int64, .is_left_out = is_zero};

static int read_int32(struct json_reader *r, void *at, struct error *err)
{
    int64_t n;

    if (read_count(r, &n, err) < 0)
        return -1;
    if (n > INT32_MAX)
        return error_set(err, ERR_DATA, "a number past %d", INT32_MAX);
    *(int32_t *)at = (int32_t)n;
    return 0;
}

static void write_int32(struct buf *out, const void *at)
{
    buf_printf(out, "%" PRId32, *(const int32_t *)at);
}

const struct json_kind json_fields_int32 = {.read = read_int32, .write = write_int32};

static int read_bool(struct json_reader *r, void *at, struct error *err)
{
    (void)err;
    return json_bool(r, at) ? 0 : -1;
}

static void write_bool(struct buf *out, const void *at)
{
    buf_bytes(out, *(const bool *)at ? BYTES_LIT("true") : BYTES_LIT("false"));
}

const struct json_kind json_fields_bool = {.read = read_bool, .write = write_bool};

static bool is_false(const void *at)
{
    return !*(const bool *)at;
}

const struct json_kind json_fields_mark = {
    .read = read_bool, .write = write_bool, .is_left_out = is_false};

static int read_raw(struct json_reader *r, void *at, struct error *err)
{
    (void)err;
    return json_string(r, at) ? 0 : -1;
}

const struct json_kind json_fields_raw = {.read = read_raw};

static int read_value(struct json_reader *r, void *at, struct error *err)
{
    (void)err;
    return json_skip(r, at) ? 0 : -1;
}

const struct json_kind json_fields_value = {.read = read_value};

int json_fields_read_object(struct json_reader *r, void *at, struct error *err)
{
    (void)err;
    if (json_peek(r) == JSON_OBJECT)
        return json_skip(r, at) ? 0 : -1;
    *(struct bytes *)at = (struct bytes){0};
    if (json_peek(r) == JSON_NULL)
        return json_null(r) ? 0 : -1;
    return json_object_begin(r) ? 0 : -1; /* fails, and says so */
}

const struct json_kind json_fields_object = {.read = json_fields_read_object};

/* ---- reading ---- */

/* The place of the field, `count` for none. The search begins behind the last one found, where
 * a text that we wrote has its next member. */
static unsigned field_of(const struct json_fields *fields, unsigned from, struct bytes name)
{
    for (unsigned i = 0; i < fields->count; i++, from++) {
        if (from == fields->count)
            from = 0;
        if (json_raw_is(name, fields->list[from].name))
            return from;
    }
    return fields->count;
}

static int read_name(unsigned *ret, const struct json_kind *kind, struct json_reader *r,
                     struct error *err)
{
    struct bytes raw;

    if (!json_string(r, &raw))
        return -1;
    for (unsigned i = 0; i < kind->name_count; i++) {
        if (json_raw_is(raw, bytes_of(kind->names[i]))) {
            *ret = i;
            return 0;
        }
    }
    return error_set(err, ERR_DATA, "an unknown name");
}

static int read_field(void *record, const struct json_fields *fields,
                      const struct json_field *f, struct json_reader *r, struct error *err)
{
    void *at = (char *)record + f->at;

    if ((f->kind->names ? read_name(at, f->kind, r, err) : f->kind->read(r, at, err)) == 0)
        return 0;
    if (json_failed(r))
        return json_reader_error(r, err);
    return error_prefix(err, "\"%s\" of %s", f->name.p, fields->what);
}

int json_fields_need(uint64_t needed, uint64_t seen, const struct json_fields *fields,
                     struct error *err)
{
    for (unsigned i = 0; i < fields->count; i++)
        if (needed & ~seen & UINT64_C(1) << i)
            return error_set(err, ERR_DATA, "%s has no \"%s\"", fields->what,
                             fields->list[i].name.p);
    return 0;
}

/* By what was read: of some fields the others tell whether they may be left out. */
static int need_all(const void *record, uint64_t seen, const struct json_fields *fields,
                    struct error *err)
{
    for (unsigned i = 0; i < fields->count; i++) {
        const struct json_field *f = &fields->list[i];

        if (seen & UINT64_C(1) << i || f->optional ||
            (f->kind->is_left_out && f->kind->is_left_out((const char *)record + f->at)))
            continue;
        return json_fields_need(UINT64_C(1) << i, seen, fields, err);
    }
    return 0;
}

int json_fields_read(void *record, uint64_t *ret_seen, const struct json_fields *fields,
                     struct json_reader *r, struct error *err)
{
    uint64_t seen = 0;
    struct bytes name;
    unsigned i = 0;

    json_object_begin(r);
    while (json_object_next(r, &name)) {
        i = field_of(fields, i, name);
        if (i == fields->count)
            json_skip(r, NULL);
        else if (seen & UINT64_C(1) << i)
            return error_set(err, ERR_DATA, "%s has \"%s\" twice", fields->what,
                             fields->list[i].name.p);
        else if (read_field(record, fields, &fields->list[i], r, err) < 0)
            return -1;
        else
            seen |= UINT64_C(1) << i++;
    }
    if (json_failed(r))
        return json_reader_error(r, err);
    if (ret_seen)
        *ret_seen = seen;
    return need_all(record, seen, fields, err);
}

int json_fields_decode(void *record, const struct json_fields *fields, struct bytes json,
                       struct error *err)
{
    void *read = xcalloc(1, fields->size);
    struct json_reader r;
    int result;

    json_reader_init(&r, json);
    result = json_fields_read(read, NULL, fields, &r, err);
    if (result == 0 && !json_end(&r))
        result = json_reader_error(&r, err);
    if (result == 0)
        memcpy(record, read, fields->size);
    else
        json_fields_release(read, fields);
    free(read);
    return result;
}

/* ---- writing, copying, releasing ---- */

void json_fields_encode(struct buf *out, const void *record, const struct json_fields *fields)
{
    for (unsigned i = 0; i < fields->count; i++) {
        const struct json_field *f = &fields->list[i];
        const void *at = (const char *)record + f->at;

        if (f->kind->is_left_out && f->kind->is_left_out(at))
            continue;
        buf_printf(out, "%c\"%s\":", i ? ',' : '{', f->name.p);
        if (f->kind->names)
            json_stringify(out, bytes_of(f->kind->names[*(const unsigned *)at]));
        else
            f->kind->write(out, at);
    }
    buf_char(out, '}');
}

void json_fields_copy(void *ret, const void *record, const struct json_fields *fields)
{
    memcpy(ret, record, fields->size);
    for (unsigned i = 0; i < fields->count; i++) {
        const struct json_field *f = &fields->list[i];

        if (f->kind->copy)
            f->kind->copy((char *)ret + f->at, (const char *)record + f->at);
    }
}

void json_fields_release(void *record, const struct json_fields *fields)
{
    for (unsigned i = 0; i < fields->count; i++) {
        const struct json_field *f = &fields->list[i];

        if (f->kind->release)
            f->kind->release((char *)record + f->at);
    }
    memset(record, 0, fields->size);
}
