/* common/dynamodb/ddb_read.c - see ddb_read.h. */
#include "common/dynamodb/ddb_read.h"

#include "common/json/json_text.h"

#include <stdio.h>
#include <stdlib.h>

void ddb_read_string(struct json_reader *r, char **at)
{
    struct buf text;
    struct bytes raw;

    if (json_peek(r) == JSON_NULL) {
        json_null(r);
        return;
    }
    if (!json_string(r, &raw))
        return;
    buf_init(&text, raw.len + 1); /* no escape is shorter than what it stands for */
    json_unescape(&text, raw, NULL);
    buf_cstr(&text);
    free(*at);
    *at = text.p;
}

void ddb_read_object(struct json_reader *r, struct bytes *ret)
{
    switch (json_peek(r)) {
    case JSON_NULL:
        json_null(r);
        *ret = (struct bytes){0};
        return;
    case JSON_OBJECT:
        json_skip(r, ret);
        return;
    default:
        json_object_begin(r); /* fails with its own words */
    }
}

int64_t ddb_read_units_milli(struct bytes number)
{
    char text[40];
    double units;

    snprintf(text, sizeof(text), BYTES_FMT, BYTES_ARG(number));
    units = strtod(text, NULL);
    return units > 0 && units < 1e12 ? (int64_t)(units * 1000 + 0.5) : 0;
}

int ddb_read_failed(const struct json_reader *r, struct error *err)
{
    json_reader_error(r, err);
    err->kind = ERR_RETRY;
    return error_prefix(err, "the answer is not as it should be");
}

int ddb_read_lacks(const char *what, struct error *err)
{
    return error_set(err, ERR_RETRY, "the answer is not as it should be: no %s", what);
}
