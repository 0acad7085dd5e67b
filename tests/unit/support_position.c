#include "support_position.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

const struct position_source position_support_source = {
    .log_id = "log", .uuid = {.known = true, .bytes = {7}}, .generation = 9, .begin = 100};

struct position_doc position_support_doc(void)
{
    return (struct position_doc){.found = true,
                                 .offset = 500,
                                 .generation = 8,
                                 .log_id = "log",
                                 .uuid = position_support_source.uuid,
                                 .epoch = 4,
                                 .rewind = POSITION_NONE,
                                 .again = POSITION_NONE,
                                 .begin = POSITION_NONE,
                                 .rows_begin = POSITION_NONE};
}

enum position_start position_support_take(struct position_doc *ret,
                                          const struct position_doc *old,
                                          const struct position_source *from, const char *me)
{
    struct position_change change;
    enum position_start start = position_take(&change, old, from, me);

    if (start == POSITION_WAIT)
        return start;
    assert_int_equal(change.kind, POSITION_CHANGE_TAKE);
    assert_int_equal(change.seen.epoch, old->epoch);
    *ret = change.next;
    return start;
}
