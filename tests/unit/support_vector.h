/* tests/unit/support_vector.h - files of tests/vectors as bytes. */
#pragma once

#include "common/base/bytes.h"

/* name: "ddb/scan.json". The caller releases *out. Fails the test when it can't be read. */
struct bytes vector_read(struct buf *out, const char *name);
/* An example message: name without folder and ending. The file's line end is left off. */
void vector_read_message(struct buf *out, const char *name);
