/* common/item/ddb_number.h - DynamoDB's numbers in one spelling.
 *
 * As BigDecimal.stripTrailingZeros().toPlainString() writes them; digit by digit, so no double
 * ever touches them. Pure. */
#pragma once

#include "common/base/bytes.h"
#include "common/base/error.h"

/* Appends the canonical spelling; ERR_DATA for text that is no number (or over 38 digits, or
 * past 1E-130 .. 9.99E+125). The fast path sees that it is canonical already. */
int ddb_number_canonical(struct buf *out, struct bytes text, struct error *err);
