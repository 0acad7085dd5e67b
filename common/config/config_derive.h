/* common/config/config_derive.h - defaults that follow from other values, then what must hold
 * between values. */
#pragma once

#include "common/config/config.h"

/* Once, behind all sources of values. ERR_FATAL 78. */
int config_derive(struct config *c, struct error *err);
/* After a file of NimoShake, before any other: what is left empty there is its default, where
 * empty means something else here. */
void config_derive_from_nimoshake(struct config *c);
