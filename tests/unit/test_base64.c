/* tests/unit/test_base64.c - bytes come back, and have one spelling. */
#include "common/base/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "common/base/check.h"

static void base64_comes_back(void **state)
{
    (void)state;
    for (size_t len = 0; len < 100; len++) {
        struct buf text, back;
        struct error err;
        char data[100];

        for (size_t i = 0; i < len; i++)
            data[i] = (char)(i * 151 + len * 37);
        buf_init(&text, 200);
        buf_init(&back, 100);
        base64_encode(&text, (struct bytes){data, len});
        assert_int_equal(text.len, (len + 2) / 3 * 4);
        assert_int_equal(base64_decode(&back, buf_slice(&text), &err), 0);
        assert_true(bytes_equal(buf_slice(&back), (struct bytes){data, len}));
        if (text.len) {
            text.p[text.len / 2] = '*';
            assert_int_equal(base64_decode(&back, buf_slice(&text), &err), -1);
            assert_int_equal(back.len, len);
        }
        buf_release(&text);
        buf_release(&back);
    }
}

static void base64_has_the_letters_of_the_standard(void **state)
{
    static const struct {
        struct bytes data;
        const char *text;
    } cases[] = {{BYTES_LIT(""), ""},
                 {BYTES_LIT("f"), "Zg=="},
                 {BYTES_LIT("fo"), "Zm8="},
                 {BYTES_LIT("foo"), "Zm9v"},
                 {BYTES_LIT("foob"), "Zm9vYg=="},
                 {BYTES_LIT("\xfb\xff\xfe"), "+//+"},
                 {BYTES_LIT("\0\0\0"), "AAAA"},
                 {BYTES_LIT("\x69\xb7\x1d\x79\xf8\x21"), "abcdefgh"}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf out;

        buf_init(&out, 64);
        base64_encode(&out, cases[i].data);
        assert_true(bytes_equal(buf_slice(&out), bytes_of(cases[i].text)));
        buf_release(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64_comes_back),
        cmocka_unit_test(base64_has_the_letters_of_the_standard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
