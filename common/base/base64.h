/* common/base/base64.h - base64 of RFC 4648, with padding. Pure. */
#pragma once

#include "common/base/bytes.h"
#include "common/base/error.h"

void base64_encode(struct buf *out, struct bytes data);
/* Strict: no white space, no missing padding, unused bits zero, so that bytes have one
 * spelling. out NULL: only checked. ERR_DATA; on failure nothing was appended. */
int base64_decode(struct buf *out, struct bytes text, struct error *err);
