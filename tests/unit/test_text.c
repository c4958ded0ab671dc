/* Memory helpers, the growing buffer, nearest words, times, sizes, spans, UTF-8. */
#include "base_test.h"

static void memory(void **state)
{
    unsigned char *p = ta_alloc(100);
    for (int i = 0; i < 100; i++)
        assert_int_equal(p[i], 0);
    memset(p, 7, 100);
    p = ta_resize(p, 50, 4);
    for (int i = 0; i < 100; i++)
        assert_int_equal(p[i], 7);
    ta_freep(&p);
    assert_null(p);
    ta_freep(&p);
    assert_null(ta_array(SIZE_MAX / 2, 3));
    assert_null(ta_resize(NULL, SIZE_MAX / 2, 3));
    void *none = ta_alloc(0);
    assert_non_null(none);
    ta_free(none);
    none = ta_array(0, 8);
    assert_non_null(none);
    ta_free(none);
    ta_free(NULL);

    char *s = ta_strdup("tape");
    assert_string_equal(s, "tape");
    ta_free(s);
    assert_null(ta_strdup(NULL));
    const char unterminated[3] = { 'a', 'b', 'c' };
    s = ta_strndup(unterminated, 3);
    assert_string_equal(s, "abc");
    ta_free(s);
    s = ta_strndup("abc", 100);
    assert_string_equal(s, "abc");
    ta_free(s);
    s = ta_format("%s-%05d", "x", 42);
    assert_string_equal(s, "x-00042");
    ta_free(s);

    ta_error err;
    assert_int_equal(ta_no_memory(&err), TA_ERR_AGAIN);
    assert_int_equal(ta_no_memory(NULL), TA_ERR_AGAIN);
    assert_string_equal(err.text[0], "out of memory");
    assert_true(err.hint[0]);
}

static void nth_allocation_fails(void **state)
{
    ta_alloc_fail_at(0);
    for (uint64_t k = 1; k <= 3; k++) {
        ta_alloc_fail_at(k);
        for (uint64_t i = 1; i <= 5; i++) {
            errno = 0;
            void *p = i % 2 ? ta_alloc(8) : ta_resize(NULL, 8, 1);
            assert_int_equal(p == NULL, i == k);
            assert_int_equal(errno == ENOMEM, i == k);
            ta_free(p);
        }
        assert_int_equal(ta_alloc_fail_at(0), 5);
    }
    /* The old block stays valid. */
    char *p = ta_strdup("kept");
    ta_alloc_fail_at(1);
    assert_null(ta_resize(p, 100, 1));
    ta_alloc_fail_at(0);
    assert_string_equal(p, "kept");
    ta_free(p);
}

static void buffer(void **state)
{
    ta_buf b = { 0 };
    char expected[5000] = "";

    for (int i = 0; i < 500; i++) {
        ta_buf_addf(&b, "%d,", i);
        sprintf(expected + strlen(expected), "%d,", i);
    }
    ta_buf_addn(&b, "xyz", 2);
    ta_buf_add(&b, "");
    strcat(expected, "xy");
    assert_string_equal(b.data, expected);
    assert_int_equal(b.len, strlen(expected));
    char *s = ta_buf_take(&b);
    assert_string_equal(s, expected);
    ta_free(s);
    assert_null(b.data);
    s = ta_buf_take(&b);
    assert_string_equal(s, "");
    ta_free(s);

    ta_buf_add(&b, "head");
    ta_alloc_fail_at(1);
    for (int i = 0; i < 100; i++)
        ta_buf_add(&b, "a long tail ");
    ta_alloc_fail_at(0);
    assert_true(b.failed);
    ta_buf_add(&b, "more");
    assert_true(b.failed);
    assert_null(ta_buf_take(&b));
    assert_false(b.failed);
    ta_buf_free(&b);
}

static void comparisons(void **state)
{
    assert_true(ta_streq(NULL, NULL));
    assert_false(ta_streq("a", NULL));
    assert_false(ta_streq(NULL, "a"));
    assert_true(ta_streq("a", "a"));
    assert_false(ta_streq("a", "A"));
    assert_true(ta_starts("tape.mpg", "tape"));
    assert_true(ta_starts("x", ""));
    assert_false(ta_starts("ta", "tape"));
    assert_true(ta_ends("TAPE.MPG", ".mpg"));
    assert_true(ta_ends("x", ""));
    assert_false(ta_ends("mpg", ".mpg"));
    assert_false(ta_ends("tape.mp4", ".mpg"));
}

static void nearest(void **state)
{
    static const char *const words[] = { "deinterlace", "denoise", "deblock", "deband", "crop", "scale", "fps", NULL };
    static const char *const none[] = { NULL };

    assert_string_equal(ta_nearest("deinterlase", words), "deinterlace");
    assert_string_equal(ta_nearest("denosie", words), "denoise"); /* one transposition */
    assert_string_equal(ta_nearest("DENOISE", words), "denoise");
    assert_string_equal(ta_nearest("debloc", words), "deblock");
    assert_string_equal(ta_nearest("corp", words), "crop");
    assert_string_equal(ta_nearest("sclae", words), "scale");
    assert_string_equal(ta_nearest("deinterlacing", words), "deinterlace"); /* 3 edits of 13 letters */
    assert_null(ta_nearest("volume", words));
    assert_null(ta_nearest("xy", words));
    static const char *const brief[] = { "no", "all", NULL };
    assert_null(ta_nearest("ff", brief)); /* two edits away, but every letter differs */
    assert_string_equal(ta_nearest("nn", brief), "no");
    assert_null(ta_nearest("", words));
    assert_null(ta_nearest("crop", none));
    char big[200];
    memset(big, 'a', sizeof(big));
    big[199] = '\0';
    assert_null(ta_nearest(big, words));
    /* Unrestricted: "ca" to "abc" is 2 edits (swap, insert between), not 3. */
    static const char *const abc[] = { "abc", NULL };
    assert_string_equal(ta_nearest("ca", abc), "abc");
    /* The nearer of two wins wherever it stands. */
    static const char *const two[] = { "yadifx", "yadif", NULL };
    assert_string_equal(ta_nearest("yadiff", two), "yadifx");
    assert_string_equal(ta_nearest("yadi", two), "yadif");
}

static void times(void **state)
{
    static const struct {
        const char *text;
        int64_t us;
    } good[] = {
        { "90", 90000000 },
        { "0", 0 },
        { "1:30", 90000000 },
        { "00:01:30.5", 90500000 },
        { "90s", 90000000 },
        { "1500ms", 1500000 },
        { "2m", 120000000 },
        { "1h", 3600000000 },
        { "1.5h", 5400000000 },
        { "0.000001", 1 },
        { "0.0000005", 1 },
        { "0.0000004", 0 },
        { "0.1234567", 123457 },
        { "1.5ms", 1500 },
        { "100:00:00", 360000000000 },
        { "90:00", 5400000000 },
        { "0:00.040", 40000 },
        { "007", 7000000 },
        { "0.0166833333333333333333", 16683 },
        { "9223372036854.775807", INT64_MAX },
        { "2562047788:00:54.775807", INT64_MAX },
        { "33.3333333", 33333333 },
    };
    static const char *const bad[] = {
        "",
        " ",
        "-1",
        "+1",
        "1 ",
        " 1",
        "x",
        "1x",
        "1:",
        ":30",
        "1:60",
        "1:2:3:4",
        "1:60:00",
        "1.5:30",
        "1:30s",
        "1h30m",
        ".5",
        "5.",
        "1..5",
        "1e3",
        "0x10",
        "nan",
        "inf",
        "1,5",
        "1S",
        "1us",
        "9223372036854.775808",
        "99999999999999999999",
        "18446744073709551616",
        "2562047788:00:54.775808",
        "5124095576030430:00:00",
        "--1",
        "1:-5",
        "1:5.",
        "1.5.5",
        "2562047789:00:00",
        "99999999999999999:00",
    };

    for (size_t i = 0; i < TA_COUNT(good); i++) {
        int64_t us = -1;
        if (!ta_parse_time(good[i].text, &us) || us != good[i].us)
            fail_msg("'%s' gave %lld", good[i].text, (long long)us);
    }
    for (size_t i = 0; i < TA_COUNT(bad); i++) {
        int64_t us = -1;
        if (ta_parse_time(bad[i], &us) || us != -1)
            fail_msg("'%s' gave %lld", bad[i], (long long)us);
    }
    assert_false(ta_parse_time(NULL, NULL));
}

static void prints_times(void **state)
{
    static const struct {
        int64_t us;
        const char *text;
    } rows[] = {
        { 0, "00:00:00.000" },
        { 90500000, "00:01:30.500" },
        { 359999999499, "99:59:59.999" },
        { 359999999500, "100:00:00.000" },
        { -1500000, "-00:00:01.500" },
        { -400, "00:00:00.000" },
        { 499, "00:00:00.000" },
        { 500, "00:00:00.001" },
        { INT64_MAX, "2562047788:00:54.776" },
        { INT64_MIN, "-2562047788:00:54.776" },
    };
    char out[24];

    for (size_t i = 0; i < TA_COUNT(rows); i++)
        assert_string_equal(ta_print_time(rows[i].us, out), rows[i].text);
    for (int64_t us = 0; us < 40000000000; us += 123456000) {
        int64_t back = -1;
        assert_true(ta_parse_time(ta_print_time(us, out), &back));
        assert_int_equal(back, us);
    }
    assert_string_equal(ta_print_utc(1769860800000000, out), "2026-01-31T12:00:00Z");
    assert_string_equal(ta_print_utc(0, out), "1970-01-01T00:00:00Z");
    assert_string_equal(ta_print_utc(-1, out), "1969-12-31T23:59:59Z");
    assert_string_equal(ta_print_utc(951782400000000, out), "2000-02-29T00:00:00Z");
    ta_print_utc(INT64_MAX, out);
    ta_print_utc(INT64_MIN, out);
}

static void sizes(void **state)
{
    static const struct {
        const char *text;
        int64_t bytes;
    } good[] = {
        { "512", 512 },
        { "0", 0 },
        { "64K", 65536 },
        { "64k", 65536 },
        { "1.5G", 1610612736 },
        { "2GiB", 2147483648 },
        { "2gib", 2147483648 },
        { "3MB", 3145728 },
        { "7B", 7 },
        { "1 KiB", 1024 },
        { "1.5 GiB", 1610612736 },
        { "0.5K", 512 },
        { "1T", 1099511627776 },
        { "7E", 8070450532247928832 },
        { "1P", 1125899906842624 },
        { "9223372036854775807", INT64_MAX },
        { "12 B", 12 },
    };
    static const char *const bad[] = {
        "",
        "-1",
        "+1",
        "1.5",
        "1.5B",
        "K",
        "1X",
        "1KiBx",
        "1Ki",
        "1iB",
        "1KK",
        "8E",
        "9223372036854775808",
        " 1",
        "1 ",
        "1  K",
        "1e3",
        "0x10",
        ".5K",
        "1.K",
        "1K ",
        "99999999999999999999",
        "1Kb2",
        "1BB",
    };

    for (size_t i = 0; i < TA_COUNT(good); i++) {
        int64_t n = -1;
        if (!ta_parse_size(good[i].text, &n) || n != good[i].bytes)
            fail_msg("'%s' gave %lld", good[i].text, (long long)n);
    }
    for (size_t i = 0; i < TA_COUNT(bad); i++) {
        int64_t n = -1;
        if (ta_parse_size(bad[i], &n) || n != -1)
            fail_msg("'%s' gave %lld", bad[i], (long long)n);
    }
    assert_false(ta_parse_size(NULL, NULL));
}

static void prints_sizes(void **state)
{
    static const struct {
        int64_t bytes;
        const char *text;
    } rows[] = {
        { 0, "0 B" },
        { 1023, "1023 B" },
        { 1024, "1.0 KiB" },
        { 1536, "1.5 KiB" },
        { 1610612736, "1.5 GiB" },
        { 1048575, "1.0 MiB" },
        { 1048524, "1023.9 KiB" },
        { INT64_MAX, "8.0 EiB" },
        { INT64_MIN, "-8.0 EiB" },
        { -2048, "-2.0 KiB" },
    };
    char out[24];

    for (size_t i = 0; i < TA_COUNT(rows); i++)
        assert_string_equal(ta_print_size(rows[i].bytes, out), rows[i].text);
}

static void spans(void **state)
{
    static const struct {
        double seconds;
        const char *text;
    } rows[] = {
        { 0, "0 s" },           { 3.4, "3 s" },           { 59.4, "59 s" },       { 59.5, "1 min 00 s" },
        { 125, "2 min 05 s" },  { 3599.6, "1 h 00 min" }, { 3840, "1 h 04 min" }, { 3869, "1 h 04 min" },
        { 3870, "1 h 05 min" }, { 86399, "1 d 0 h" },     { 273600, "3 d 4 h" },  { 1e11, "1157407 d 10 h" },
        { -1, "unknown" },      { 1e300, "unknown" },
    };
    char out[32];

    for (size_t i = 0; i < TA_COUNT(rows); i++)
        assert_string_equal(ta_print_span(rows[i].seconds, out), rows[i].text);
    assert_string_equal(ta_print_span(strtod("nan", NULL), out), "unknown");
    assert_string_equal(ta_print_span(strtod("inf", NULL), out), "unknown");
}

/* Every code point by the rules of RFC 3629, and what it forbids. */
static void utf8(void **state)
{
    static const char *const bad[] = { "\x80",
                                       "\xBF",
                                       "\xC0\x80",
                                       "\xC1\xBF",
                                       "\xE0\x9F\xBF",
                                       "\xED\xA0\x80",
                                       "\xF0\x8F\xBF\xBF",
                                       "\xF4\x90\x80\x80",
                                       "\xF5\x80\x80\x80",
                                       "\xFF",
                                       "\xC3",
                                       "\xE2\x82",
                                       "\xF0\x9F\x8E",
                                       "\xC3"
                                       "a",
                                       "\xE2\x82"
                                       "a" };

    for (unsigned c = 1; c < 0x110000; c++) {
        unsigned char s[5] = { 0 };
        size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
        if (n == 1)
            s[0] = (unsigned char)c;
        for (size_t i = n - 1; n > 1 && i > 0; i--)
            s[i] = (unsigned char)(0x80 | ((c >> 6 * (n - 1 - i)) & 0x3F));
        if (n > 1)
            s[0] = (unsigned char)((0xF00 >> n) | (c >> 6 * (n - 1)));
        size_t want = c >= 0xD800 && c < 0xE000 ? 0 : n;
        if (ta_utf8_char((char *)s, n) != want)
            fail_msg("U+%04X", c);
    }
    for (size_t i = 0; i < TA_COUNT(bad); i++)
        assert_int_equal(ta_utf8_char(bad[i], strlen(bad[i])), 0);
    assert_int_equal(ta_utf8_char("a", 0), 0);
    char s[] = "ab\xE2\x82";
    assert_int_equal(ta_utf8_trim(s), 2);
    assert_string_equal(s, "ab");
    char empty[] = "", only[] = "\xC3", stray[] = "\x80\x80";
    assert_int_equal(ta_utf8_trim(empty), 0);
    assert_int_equal(ta_utf8_trim(only), 0);
    assert_int_equal(ta_utf8_trim(stray), 2); /* not a cut: left as it came */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory),       cmocka_unit_test(nth_allocation_fails),
        cmocka_unit_test(buffer),       cmocka_unit_test(comparisons),
        cmocka_unit_test(nearest),      cmocka_unit_test(times),
        cmocka_unit_test(prints_times), cmocka_unit_test(sizes),
        cmocka_unit_test(prints_sizes), cmocka_unit_test(spans),
        cmocka_unit_test(utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
