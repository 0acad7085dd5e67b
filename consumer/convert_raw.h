/* consumer/convert_raw.h - the rules of `raw`: a value stays wrapped in its type, at every
 * level, and numbers stay text.
 *
 * A number's text is the message's, so that a reader sees what DynamoDB sent; a key's is
 * canonical, since filters and the unique index compare it as text. */
#pragma once

#include "consumer/convert_value.h"

/* A whole attribute value {"S":"x"}. */
value_fn convert_raw_value;
/* The value without its wrapper, for a filter on "pk.S". */
value_fn convert_raw_content;
