/* consumer/bson_read.h - members of small documents that the target holds or answers. Pure.
 */
#pragma once

#include <bson/bson.h>

#include "consumer/position.h"

int64_t bson_read_int64(const bson_t *doc, const char *name, int64_t otherwise);
/* Into POSITION_TEXT_MAX bytes; "" when absent or no string. */
void bson_read_text(char *ret, const bson_t *doc, const char *name);
/* By a dotted path; not known when absent or no 16 bytes. */
void bson_read_uuid(struct uuid *ret, const bson_t *doc, const char *path);
/* A document by a dotted path as a static bson_t; false: absent. */
bool bson_read_document(bson_t *ret, const bson_t *doc, const char *path);
void append_uuid(bson_t *doc, const char *name, const struct uuid *uuid); /* or null */
