/* common/run/bottom_line.h - a line that stays at the bottom of the terminal that standard
 * error is, below all that is written there.
 *
 * Whoever else writes to the terminal lifts it before and lowers it after. Any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base/bytes.h"

/* Standard error is a terminal that can take a line away again. */
bool bottom_line_is_possible(void);
/* Of the terminal, in columns. */
size_t bottom_line_width(void);

/* In the place of the one before. Text: printable, shorter than the width. Nothing while
 * another program has the terminal. */
void bottom_line_draw(struct bytes text);
void bottom_line_remove(void);
/* Removes it; this line stays in its place. */
void bottom_line_leave(struct bytes text);

/* Between these two the terminal is the caller's, who is at the begin of a line. */
void bottom_line_lift(void);
void bottom_line_lower(void);
