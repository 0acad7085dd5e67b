/* fullcheck/table_passes.h - goes through one table: outline, keys of the target, all items,
 * extra documents.
 *
 * The main thread goes from one pass to the next; threads take pages of scan segments and keys
 * that are to be rechecked, those first, until the main thread has no more of them. */
#pragma once

#include "fullcheck/table_check.h"

/* Never fails: what could not be decided is in the result. workers: options.threads of them,
 * and behind them the main thread's own. ret->table is set by the caller. */
void table_passes_run(struct table_result *ret, struct check *check, struct worker *workers);
