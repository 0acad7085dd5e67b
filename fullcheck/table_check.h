/* fullcheck/table_check.h - one table: outline, keys of the target, all items, extra documents.
 *
 * The main thread goes from one to the next; threads take pages of scan segments and keys that
 * are to be looked at again, those first, until the main thread has no more of them. */
#pragma once

#include "fullcheck/check.h"

/* Never fails: what could not be told is in the result. workers: options.threads of them, the
 * first one is the main thread's too. ret->table is set by the caller. */
void table_check_run(struct table_result *ret, struct check *c, struct worker *workers);
