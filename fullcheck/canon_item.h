/* fullcheck/canon_item.h - an item's canonical form, from DynamoDB JSON. Of one thread. */
#pragma once

#include "common/base/error.h"
#include "fullcheck/canon.h"

/* A map of the item's attributes, under the names they are stored under. ERR_RETRY when it is
 * no item (the answer is not what the service promises). */
int canon_item(struct canon **ret, struct canon_arena *a, struct bytes json,
               const struct canon_form *form, struct error *err);
