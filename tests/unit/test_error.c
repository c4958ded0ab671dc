/* The error chain, hints, cuts at character boundaries, exit codes, version. */
#include "base_test.h"

#include <sysexits.h>

static void fills_and_wraps(void **state)
{
    ta_error err;
    char text[TA_ERROR_TEXT * 5];

    memset(&err, 0xAA, sizeof(err)); /* as it comes from a stack */
    assert_int_equal(ta_fail(&err, TA_ERR_DATA, "bad packet %d", 7), TA_ERR_DATA);
    assert_int_equal(err.depth, 1);
    assert_string_equal(ta_error_string(&err, text, sizeof(text)), "bad packet 7");
    assert_int_equal(ta_wrap(&err, "tape.mpg, stream %d", 1), TA_ERR_DATA);
    assert_int_equal(ta_hint(&err, "try %s", "--force"), TA_ERR_DATA);
    assert_string_equal(ta_error_string(&err, text, sizeof(text)), "tape.mpg, stream 1: bad packet 7 (try --force)");
    assert_int_equal(ta_hint(&err, NULL), TA_ERR_DATA);
    assert_string_equal(err.hint, "try --force");
    ta_hint(&err, "other");
    assert_string_equal(err.hint, "other");
    ta_error copy = err;
    ta_fail(&err, TA_ERR_IO, "new");
    assert_int_equal(err.depth, 1);
    assert_string_equal(err.hint, "");
    assert_string_equal(ta_error_string(&copy, text, sizeof(text)), "tape.mpg, stream 1: bad packet 7 (other)");
    ta_error_clear(&err);
    assert_int_equal(err.code, TA_OK);
    assert_int_equal(err.depth, 0);
    assert_string_equal(ta_error_string(&err, text, sizeof(text)), "success");
}

static void full_chain_keeps_root(void **state)
{
    ta_error err;
    char text[TA_ERROR_TEXT * 5];

    ta_fail(&err, TA_ERR_IO, "root");
    for (int i = 1; i <= 6; i++)
        assert_int_equal(ta_wrap(&err, "c%d", i), TA_ERR_IO);
    assert_int_equal(err.depth, TA_ERROR_DEPTH);
    assert_string_equal(ta_error_string(&err, text, sizeof(text)), "c6: c5: c4: root");
}

static void null_and_misuse(void **state)
{
    ta_error err;

    ta_error_clear(NULL);
    assert_int_equal(ta_fail(NULL, TA_ERR_NOINPUT, "x"), TA_ERR_NOINPUT);
    assert_int_equal(ta_wrap(NULL, "x"), TA_ERR_NOINPUT);
    assert_int_equal(ta_hint(NULL, "x"), TA_ERR_NOINPUT);
    ta_fail(&err, TA_ERR_NOPERM, "x");
    assert_int_equal(ta_hint(NULL, "x"), TA_ERR_NOPERM);
    /* A failure never looks like success. */
    assert_int_equal(ta_fail(&err, TA_OK, "x"), TA_ERR_SOFTWARE);
    assert_int_equal(err.code, TA_ERR_SOFTWARE);
    ta_error_clear(&err);
    assert_int_equal(ta_wrap(&err, "context"), TA_ERR_SOFTWARE);
    assert_int_equal(err.depth, 1);
    assert_string_equal(err.text[0], "context");
}

static void own_text_as_argument(void **state)
{
    ta_error err;

    ta_fail(&err, TA_ERR_IO, "disk");
    ta_fail(&err, TA_ERR_DATA, "then %s", err.text[0]);
    assert_string_equal(err.text[0], "then disk");
    ta_wrap(&err, "<%s>", err.text[0]);
    assert_string_equal(err.text[0], "<then disk>");
    assert_string_equal(err.text[1], "then disk");
    ta_hint(&err, "[%s]", err.text[1]);
    ta_hint(&err, "%s!", err.hint);
    assert_string_equal(err.hint, "[then disk]!");
}

/* Every cut of a text of 1, 2, 3 and 4 byte characters must end at a whole one. */
static void cuts_at_characters(void **state)
{
    static const char *const letters[] = { "a", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x8E\x9E" };

    for (int shift = 0; shift < 4; shift++) {
        for (int k = 0; k < 4; k++) {
            char text[2048];
            ta_error err;
            memset(text, 'x', (size_t)shift);
            text[shift] = '\0';
            while (strlen(text) < 1000)
                strcat(text, letters[k]);
            ta_fail(&err, TA_ERR_IO, "%s", text);
            size_t len = strlen(err.text[0]), unit = strlen(letters[k]);
            assert_true(len <= TA_ERROR_TEXT - 1 && len > TA_ERROR_TEXT - 1 - unit);
            assert_int_equal((len - (size_t)shift) % unit, 0);
            assert_memory_equal(err.text[0], text, len);
            ta_hint(&err, "%s", text);
            assert_string_equal(err.hint, err.text[0]);
        }
    }
}

static void string_fits_any_buffer(void **state)
{
    ta_error err;
    char whole[256], part[256];

    ta_fail(&err, TA_ERR_IO, "caf\xC3\xA9");
    ta_wrap(&err, "\xE2\x82\xAC");
    ta_hint(&err, "h\xC3\xA4");
    ta_error_string(&err, whole, sizeof(whole));
    assert_string_equal(whole, "\xE2\x82\xAC: caf\xC3\xA9 (h\xC3\xA4)");
    for (size_t size = 0; size <= strlen(whole) + 1; size++) {
        memset(part, '#', sizeof(part));
        assert_ptr_equal(ta_error_string(&err, part, size), part);
        assert_int_equal(part[size], '#');
        if (!size)
            continue;
        size_t len = strlen(part);
        assert_true(len < size && len + 3 >= size);
        assert_memory_equal(part, whole, len);
        for (size_t i = 0; i < len; i += ta_utf8_char(part + i, len - i))
            assert_int_not_equal(ta_utf8_char(part + i, len - i), 0);
    }
}

static void exit_codes(void **state)
{
    static const struct {
        int status, code;
    } rows[] = { { TA_OK, EX_OK },
                 { TA_ERR_USAGE, EX_USAGE },
                 { TA_ERR_DATA, EX_DATAERR },
                 { TA_ERR_NOINPUT, EX_NOINPUT },
                 { TA_ERR_UNAVAILABLE, EX_UNAVAILABLE },
                 { TA_ERR_SOFTWARE, EX_SOFTWARE },
                 { TA_ERR_CANTCREATE, EX_CANTCREAT },
                 { TA_ERR_IO, EX_IOERR },
                 { TA_ERR_AGAIN, EX_TEMPFAIL },
                 { TA_ERR_NOPERM, EX_NOPERM },
                 { TA_ERR_CONFIG, EX_CONFIG },
                 { TA_ERR_CANCELLED, 130 },
                 { 1, EX_SOFTWARE },
                 { -1, EX_SOFTWARE },
                 { -1094995529, EX_SOFTWARE },
                 { INT32_MIN, EX_SOFTWARE } };

    for (size_t i = 0; i < TA_COUNT(rows); i++) {
        assert_int_equal(ta_exit_code(rows[i].status), rows[i].code);
        assert_true(strlen(ta_status_name(rows[i].status)) > 3);
        for (size_t j = 0; j < i && rows[i].code != EX_SOFTWARE; j++)
            assert_string_not_equal(ta_status_name(rows[i].status), ta_status_name(rows[j].status));
    }
    assert_string_equal(ta_status_name(TA_ERR_DATA), "bad input");
}

static void version(void **state)
{
    unsigned a, b, c;
    int n = 0;

    assert_int_equal(sscanf(ta_version(), "%u.%u.%u%n", &a, &b, &c, &n), 3);
    if (ta_version()[n]) {
        assert_memory_equal(ta_version() + n, "+g", 2);
        assert_int_equal(strspn(ta_version() + n + 2, "0123456789abcdef"), strlen(ta_version() + n + 2));
        assert_true(strlen(ta_version() + n + 2) >= 7);
    }
    assert_int_equal(ta_abi_version(), TA_ABI_VERSION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fills_and_wraps),    cmocka_unit_test(full_chain_keeps_root),
        cmocka_unit_test(null_and_misuse),    cmocka_unit_test(own_text_as_argument),
        cmocka_unit_test(cuts_at_characters), cmocka_unit_test(string_fits_any_buffer),
        cmocka_unit_test(exit_codes),         cmocka_unit_test(version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
