/* tests/unit/support_position.h - what the tests of consumer/position.h share. */
#pragma once

#include "consumer/position.h"

/* A log and a collection that positions are about. */
extern const struct position_source position_support_source;

/* A position of that log and collection. */
struct position_doc position_support_doc(void);
/* What `me` makes of a document by taking it over; untouched when it waits. */
enum position_start position_support_take(struct position_doc *ret,
                                          const struct position_doc *old,
                                          const struct position_source *from, const char *me);
