/* tests/fuzz/json_oracle.h - common/json_reader against jansson on any bytes: for the fuzz
 * target and for the unit test's random texts.
 *
 * Both must take and refuse the same texts and see the same values, but for differences that
 * are known and checked to be the reason. jansson refuses \u0000 in names, lone surrogates and
 * numbers out of its range, and overlooks some NUL bytes outside of strings; we refuse
 * nesting past JSON_MAX_DEPTH. */
#pragma once

#include <errno.h>
#include <stdlib.h>

/* Its names that are ours too; none of them is used here. */
#define JSON_OBJECT JANSSON_OBJECT
#define JSON_ARRAY JANSSON_ARRAY
#define JSON_STRING JANSSON_STRING
#define JSON_NULL JANSSON_NULL
#define json_string jansson_string
#define json_null jansson_null
#include <jansson.h>
#undef JSON_OBJECT
#undef JSON_ARRAY
#undef JSON_STRING
#undef JSON_NULL
#undef json_string
#undef json_null

#include "common/base/check.h"
#include "common/json/json_reader.h"
#include "common/json/json_text.h"

struct json_oracle_walk {
    bool nul_in_name;
    bool lone_surrogate;
    bool number_out_of_range;
};

static json_t *json_oracle_value(struct json_reader *r, struct json_oracle_walk *w);

static json_t *json_oracle_null(void)
{
    return json_loadb("null", 4, JSON_DECODE_ANY, NULL);
}

static struct bytes json_oracle_unescaped(struct buf *room, struct bytes raw,
                                          struct json_oracle_walk *w)
{
    buf_init(room, raw.len);
    json_unescape(room, raw, &w->lone_surrogate);
    CHECK(!room->overflow);
    CHECK(json_raw_is(raw, buf_slice(room)));
    return buf_slice(room);
}

static json_t *json_oracle_object(struct json_reader *r, struct json_oracle_walk *w)
{
    json_t *object = json_object();
    struct bytes raw;

    json_object_begin(r);
    while (json_object_next(r, &raw)) {
        struct buf room;
        struct bytes name = json_oracle_unescaped(&room, raw, w);
        json_t *value = json_oracle_value(r, w);

        if (name.len && memchr(name.p, 0, name.len)) {
            w->nul_in_name = true;
            json_decref(value);
        } else {
            CHECK(json_object_setn_new_nocheck(object, name.len ? name.p : "", name.len,
                                               value) == 0);
        }
        buf_release(&room);
    }
    return object;
}

static json_t *json_oracle_array(struct json_reader *r, struct json_oracle_walk *w)
{
    json_t *array = json_array();

    json_array_begin(r);
    while (json_array_next(r))
        json_array_append_new(array, json_oracle_value(r, w));
    return array;
}

static json_t *json_oracle_string(struct json_reader *r, struct json_oracle_walk *w)
{
    struct bytes raw = {0}, text;
    struct buf room;
    json_t *string;

    if (!json_string(r, &raw))
        return json_oracle_null();
    text = json_oracle_unescaped(&room, raw, w);
    string = json_stringn_nocheck(text.len ? text.p : "", text.len);
    buf_release(&room);
    return string;
}

static json_t *json_oracle_number(struct json_reader *r, struct json_oracle_walk *w)
{
    struct json_reader again = *r;
    struct bytes text = {0};
    int64_t n = 0;
    json_t *number;
    bool integer, whole, fits;
    char *copy;

    if (!json_number(r, &text))
        return json_oracle_null();
    integer = json_int64(&again, &n);
    whole = !memchr(text.p, '.', text.len) && !memchr(text.p, 'e', text.len) &&
            !memchr(text.p, 'E', text.len);
    fits = !strstr(again.failed ? again.failed : "", "fit");
    CHECK(integer == (whole && fits));
    if (integer)
        return json_integer(n);
    if (whole) { /* to jansson a fraction or an exponent makes a real */
        w->number_out_of_range = true;
        return json_oracle_null();
    }
    copy = bytes_dup(text);
    errno = 0;
    number = json_real(strtod(copy, NULL)); /* NULL for an infinite one */
    if (!number) {
        w->number_out_of_range = true;
        number = json_oracle_null();
    }
    free(copy);
    return number;
}

/* A tree of jansson's, read with every function of the pull interface. */
static json_t *json_oracle_value(struct json_reader *r, struct json_oracle_walk *w)
{
    bool truth = false;

    switch (json_peek(r)) {
    case JSON_OBJECT:
        return json_oracle_object(r, w);
    case JSON_ARRAY:
        return json_oracle_array(r, w);
    case JSON_STRING:
        return json_oracle_string(r, w);
    case JSON_NUMBER:
        return json_oracle_number(r, w);
    case JSON_BOOL:
        json_bool(r, &truth);
        return json_boolean(truth);
    case JSON_NULL:
        json_null(r);
        break;
    case JSON_FAILED:
        CHECK(json_failed(r));
    }
    return json_oracle_null();
}

static bool json_oracle_skips(struct bytes text)
{
    struct json_reader r;
    struct bytes slice;

    json_reader_init(&r, text);
    if (!json_skip(&r, &slice) || !json_end(&r)) {
        CHECK(json_failed(&r) && r.p >= text.p && r.p <= text.p + text.len);
        CHECK(!json_skip(&r, NULL) && !json_end(&r) && json_peek(&r) == JSON_FAILED);
        return false;
    }
    CHECK(slice.p >= text.p && slice.p + slice.len <= text.p + text.len && slice.len > 0);
    return true;
}

/* Is our refusal one that jansson does not share? */
static bool json_oracle_refusal_is_known(const struct json_reader *r, struct bytes text)
{
    if (strstr(r->failed, "too deeply"))
        return true;
    return r->p < text.p + text.len && *r->p == '\0' && !strstr(r->failed, "in a string");
}

/* Takes and gives what another parser can tell; 1: both took it, 0: neither, 2: a known
 * difference. Anything else is a CHECK. */
static int json_oracle_compare(struct bytes text)
{
    const size_t flags = JSON_DECODE_ANY | JSON_ALLOW_NUL;
    struct json_oracle_walk w = {0};
    struct json_reader r;
    json_error_t error;
    json_t *theirs, *ours;
    bool taken, known;

    json_reader_init(&r, text);
    ours = json_oracle_value(&r, &w);
    taken = json_end(&r);
    CHECK(taken == json_oracle_skips(text));
    theirs = json_loadb(text.len ? text.p : "", text.len, flags, &error);
    known = taken ? w.nul_in_name || w.lone_surrogate || w.number_out_of_range
                  : json_oracle_refusal_is_known(&r, text);
    if (taken == (theirs != NULL)) {
        CHECK(!taken || (!known && json_equal(ours, theirs)));
        known = false;
    } else {
        if (!known)
            fprintf(stderr, "%s, jansson: %s for: %.*s\n", taken ? "taken" : r.failed,
                    theirs ? "taken" : error.text, (int)text.len, text.p);
        CHECK(known);
    }
    json_decref(ours);
    json_decref(theirs);
    return known ? 2 : taken;
}
