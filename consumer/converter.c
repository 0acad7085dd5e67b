#include "consumer/converter.h"

#include <stdio.h>
#include <string.h>

#include "common/base/check.h"

void converter_init(struct converter *ret, const struct config *config,
                    const struct key_schema *schema)
{
    const char *type = config_string(config, "convert.type");
    bool key = strcmp(config_string(config, "target.id"), "key") == 0;
    bool to_double = strcmp(type, "mchange") == 0 ||
                     strcmp(config_string(config, "convert.number"), "double") == 0;

    *ret = (struct converter){
        .type = strcmp(type, "raw") == 0 ? CONVERT_RAW : CONVERT_CHANGE,
        .number = to_double ? CONVERT_DOUBLE : CONVERT_EXACT,
        .identity = key || !converter_can_index(schema) ? IDENTITY_KEY : IDENTITY_OBJECTID,
        .id_prefix = config_string(config, "convert._id"),
        .schema = schema,
    };
}

void converter_form(char ret[CONVERTER_FORM_MAX], const struct converter *converter)
{
    bool raw = converter->type == CONVERT_RAW;

    snprintf(ret, CONVERTER_FORM_MAX, "%s%s %s %s", raw ? "raw" : "change",
             raw || converter->number == CONVERT_EXACT ? "" : "/double",
             converter->identity == IDENTITY_KEY ? "key" : "objectid", converter->id_prefix);
}

static bool can_index(const struct key_attribute *attribute)
{
    return attribute->name_len > 0 && attribute->name[0] != '$' &&
           !memchr(attribute->name, '.', attribute->name_len) &&
           !memchr(attribute->name, 0, attribute->name_len);
}

bool converter_can_index(const struct key_schema *schema)
{
    return can_index(&schema->hash) && (!schema->range.name || can_index(&schema->range));
}

/* Under the name where the attribute's value is stored. */
static void append_key(bson_t *ret, const struct converter *converter,
                       const struct key_attribute *attribute)
{
    const char *prefix = strcmp(attribute->name, "_id") == 0 ? converter->id_prefix : "";
    const char wrapper[] = {'.', attribute->type, '\0'};
    AUTO(free_charp)
    char *name = xasprintf("%s%s%s", prefix, attribute->name,
                           converter->type == CONVERT_RAW ? wrapper : "");

    BSON_APPEND_INT32(ret, name, 1);
}

void converter_key_pattern(bson_t *ret, const struct converter *converter)
{
    CHECK(converter_can_index(converter->schema));
    bson_init(ret);
    append_key(ret, converter, &converter->schema->hash);
    if (converter->schema->range.name)
        append_key(ret, converter, &converter->schema->range);
}
