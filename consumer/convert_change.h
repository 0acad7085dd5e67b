/* consumer/convert_change.h - the rules of `change`: a value becomes the BSON value that means
 * the same.
 *
 * A number is exact by the narrowest type (number.h), or a double where that is wanted and the
 * number is no key. */
#pragma once

#include "consumer/convert_value.h"

/* A whole attribute value {"S":"x"}. */
value_fn convert_change_value;
