/* terminalai metrics: how near is a file to a reference? */
#include <stdio.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/metrics.h"

enum { JSON, START, END, ALIGN, FLAGS };
static const char *const flags[] = { "json", "start=", "end=", "align=", NULL };

int ta_cli_pair_options(const char *start, const char *end, const char *align, ta_pair_options *o, ta_error *err)
{
    *o = (ta_pair_options){ .end_us = INT64_MAX };
    if (start && !ta_parse_time(start, &o->start_us))
        return ta_fail(err, TA_ERR_USAGE, "--start: '%s' is not a time such as 90 or 1:30", start);
    if (end && !ta_parse_time(end, &o->end_us))
        return ta_fail(err, TA_ERR_USAGE, "--end: '%s' is not a time such as 90 or 1:30", end);
    if (o->end_us <= o->start_us)
        return ta_fail(err, TA_ERR_USAGE, "--end %s is not behind --start %s", end, start ? start : "0");
    if (align && !ta_streq(align, "auto") && !ta_streq(align, "none"))
        return ta_fail(err, TA_ERR_USAGE, "--align '%s' is neither auto nor none", align);
    o->align = ta_streq(align, "none") ? TA_ALIGN_NONE : TA_ALIGN_AUTO;
    return 0;
}

static void show_pairs(void *opaque, int64_t us, uint64_t pairs)
{
    int64_t *next = opaque, now = ta_now_us();
    char time[32];
    if (now < *next)
        return;
    *next = now + 500000;
    fprintf(stderr, "\r\033[Kmeasuring  %s  %llu frames", ta_print_time(TA_MAX(us, 0), time),
            (unsigned long long)pairs);
    fflush(stderr);
}

int ta_cli_metrics(ta_metrics *m, const char *a, const char *b, const ta_pair_options *o, ta_error *err)
{
    int64_t next = 0;
    bool terminal = isatty(STDERR_FILENO);
    int r = ta_metrics_run(m, a, b, o, terminal ? show_pairs : NULL, &next, ta_cli_cancel(), err);
    if (terminal)
        fputs("\r\033[K", stderr);
    for (char *p = m->notes.data, *end; r >= 0 && p && (end = strchr(p, '\n')); p = end + 1)
        ta_log(TA_LOG_INFO, "metrics", "%.*s", (int)(end - p), p);
    return r;
}

static int run(int argc, char **argv, ta_error *err)
{
    const char *value[FLAGS] = { NULL };
    ta_pair_options o;
    ta_metrics m = { 0 };
    int words = 0;
    int r = ta_cli_parse(argc, argv, NULL, flags, value, &words, err);
    if (r >= 0)
        r = ta_cli_expect_words(argv, words, 2, 2, words ? "the file to test" : "a reference and a file to test", err);
    if (r >= 0)
        r = ta_cli_pair_options(value[START], value[END], value[ALIGN], &o, err);
    if (r < 0)
        return r;
    ta_log_setup(TA_LOG_INFO, false);
    ta_cli_catch_signals();
    r = ta_cli_metrics(&m, argv[0], argv[1], &o, err);
    if (r >= 0)
        r = ta_cli_print(value[JSON] ? ta_metrics_json(&m, argv[0], argv[1]) : ta_metrics_text(&m), err);
    if (r >= 0 && value[JSON])
        putchar('\n');
    ta_metrics_clear(&m);
    return r;
}

const ta_verb ta_verb_metrics = {
    .name = "metrics",
    .usage = "metrics REFERENCE TESTED [--json] [--start TIME] [--end TIME] [--align auto|none]",
    .summary = "Measure a file against a reference: PSNR, SSIM, flicker",
    .run = run,
    .more =
        "  Frames are paired by time, counted from each file's first picture (--align none: by the files' own times).\n"
        "  The tested file is brought to the reference's size (bicubic), pixel format, matrix and range.\n"
        "  --json             the same as JSON; infinity is \"inf\"\n"
        "  --start, --end     measure only this piece\n",
};
