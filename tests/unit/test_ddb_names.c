/* tests/unit/test_ddb_names.c - the names of all tables come in pages. */
#include "common/dynamodb/ddb_names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "support_vector.h"

static void the_list_of_tables_comes_in_pages(void **state)
{
    AUTO(ddb_names_release) struct ddb_names n = {0};
    AUTO(buf_release) struct buf file;
    struct error err;

    (void)state;
    assert_int_equal(ddb_names_read_page(&n,
                                         BYTES_LIT("{\"LastEvaluatedTableName\":\"b\","
                                                   "\"TableNames\":[\"a\",\"b\"]}"),
                                         &err),
                     0);
    assert_string_equal(n.last, "b");
    assert_int_equal(
        ddb_names_read_page(&n, vector_read(&file, "ddb/local_list_tables.json"), &err), 0);
    assert_null(n.last);
    assert_int_equal(n.count, 3);
    assert_string_equal(n.names[0], "a");
    assert_string_equal(n.names[2], "orders");
    assert_int_equal(ddb_names_read_page(&n, BYTES_LIT("{\"Tables\":[]}"), &err), -1);
    assert_int_equal(err.kind, ERR_RETRY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_list_of_tables_comes_in_pages),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
