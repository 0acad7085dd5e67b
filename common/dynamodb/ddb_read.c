#include "common/dynamodb/ddb_read.h"

#include <stdio.h>
#include <stdlib.h>

int ddb_read_is_wrong(struct error *err)
{
    err->kind = ERR_RETRY;
    return error_prefix(err, "the answer is not as it should be");
}

int ddb_read_failed(const struct json_reader *r, struct error *err)
{
    json_reader_error(r, err);
    return ddb_read_is_wrong(err);
}

int ddb_read_lacks(const char *what, struct error *err)
{
    return error_set(err, ERR_RETRY, "the answer is not as it should be: no %s", what);
}

int ddb_read_answer(void *record, const struct json_fields *fields, struct bytes answer,
                    struct error *err)
{
    struct json_reader r;

    json_reader_init(&r, answer);
    if (json_fields_read(record, NULL, fields, &r, err) < 0)
        return ddb_read_is_wrong(err);
    return json_end(&r) ? 0 : ddb_read_failed(&r, err);
}

int ddb_read_nested(void *record, const struct json_fields *fields, struct json_reader *r,
                    struct error *err)
{
    if (json_peek(r) == JSON_OBJECT)
        return json_fields_read(record, NULL, fields, r, err);
    return json_skip(r, NULL) ? 0 : -1;
}

static int read_units(struct json_reader *r, void *at, struct error *err)
{
    struct bytes number;
    char text[40];
    double units;

    (void)err;
    if (json_peek(r) != JSON_NUMBER)
        return json_skip(r, NULL) ? 0 : -1;
    if (!json_number(r, &number))
        return -1;
    snprintf(text, sizeof(text), BYTES_FMT, BYTES_ARG(number));
    units = strtod(text, NULL);
    *(int64_t *)at = units > 0 && units < 1e12 ? (int64_t)(units * 1000 + 0.5) : 0;
    return 0;
}

const struct json_kind ddb_read_units = {.read = read_units};

void ddb_read_default(char **text)
{
    if (!*text)
        *text = xstrdup("");
}

int ddb_read_each_item(struct json_reader *r, const struct key_schema *schema,
                       int (*each)(void *arg, const struct ddb_item *item, struct error *err),
                       void *arg, struct error *err)
{
    struct ddb_item item;
    int count = 0;

    json_array_begin(r);
    for (; json_array_next(r); count++) {
        if (ddb_item_read(&item, r, schema, err) < 0)
            return ddb_read_is_wrong(err);
        if (each(arg, &item, err) < 0)
            return -1;
    }
    return count; /* or the reader failed, which stays */
}
