/* common/dynamodb/ddb_sequence.h - sequence numbers: decimal digits, longer than any integer.
 * Pure. */
#pragma once

#include <stdbool.h>

#include "common/base/bytes.h"

/* Digits alone, and not more than a sequence number has. */
bool ddb_sequence_is_legal(struct bytes text);
/* By their value: <0, 0, >0. */
int ddb_sequence_compare(struct bytes a, struct bytes b);
