#include "consumer/database_source.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/exit_code.h"
#include "common/json/json_reader.h"
#include "common/json/json_text.h"
#include "common/mongo/bson_read.h"

static void read_text(char *ret, size_t size, struct json_reader *r)
{
    AUTO(free_charp) char *text = NULL;
    struct bytes raw;

    if (!json_string(r, &raw))
        return;
    text = json_unescape_dup(raw, NULL);
    snprintf(ret, size, "%s", text);
}

static void read_member(struct database_source *ret, struct json_reader *r, struct bytes name)
{
    if (json_peek(r) != JSON_STRING)
        json_skip(r, NULL);
    else if (json_raw_is(name, BYTES_LIT("account")))
        read_text(ret->account, sizeof(ret->account), r);
    else if (json_raw_is(name, BYTES_LIT("region")))
        read_text(ret->region, sizeof(ret->region), r);
    else if (json_raw_is(name, BYTES_LIT("endpoint")))
        read_text(ret->endpoint, sizeof(ret->endpoint), r);
    else
        json_skip(r, NULL);
}

static bool names_something(const struct database_source *source)
{
    return source->account[0] || source->region[0] || source->endpoint[0];
}

int database_source_decode(struct database_source *ret, struct bytes json, struct error *err)
{
    struct database_source source = {0};
    struct json_reader r;
    struct bytes name;

    json_reader_init(&r, json);
    if (json_object_begin(&r))
        while (json_object_next(&r, &name))
            read_member(&source, &r, name);
    if (!json_end(&r))
        return json_reader_error(&r, err);
    source.known = names_something(&source);
    *ret = source;
    return 0;
}

struct source_record {
    struct database_source source;
    struct error err;
    int result;
};

static void take_record(void *arg, struct bytes rest, struct bytes value, int32_t partition)
{
    struct source_record *record = arg;

    (void)partition;
    if (rest.len == 0)
        record->result = database_source_decode(&record->source, value, &record->err);
}

int database_source_read(struct database_source *ret, struct ledger_cache *cache,
                         struct error *err)
{
    struct source_record record = {.result = 0};

    ledger_cache_each(cache, "source", take_record, &record);
    if (record.result < 0)
        return error_fatal(err, EXIT_CONFIGURATION, "the ledger's record \"source\": %s",
                           record.err.message);
    *ret = record.source;
    return 0;
}

void database_source_from_bson(struct database_source *ret, const bson_t *doc)
{
    bson_read_text(ret->account, sizeof(ret->account), doc, "source.account");
    bson_read_text(ret->region, sizeof(ret->region), doc, "source.region");
    bson_read_text(ret->endpoint, sizeof(ret->endpoint), doc, "source.endpoint");
    ret->known = names_something(ret);
}

bson_t *database_source_to_bson(const struct database_source *source)
{
    bson_t *doc = bson_new();

    if (source->account[0])
        BSON_APPEND_UTF8(doc, "account", source->account);
    if (source->region[0])
        BSON_APPEND_UTF8(doc, "region", source->region);
    if (source->endpoint[0])
        BSON_APPEND_UTF8(doc, "endpoint", source->endpoint);
    return doc;
}

char *database_source_text(const struct database_source *source)
{
    if (!source->known)
        return xstrdup("");
    if (source->endpoint[0])
        return xasprintf(" with source endpoint %s", source->endpoint);
    return xasprintf(" with source account %s, region %s", source->account, source->region);
}
