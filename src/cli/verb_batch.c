/* terminalai batch: many inputs, one output each. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/batch_screen.h"

static const char *const own_flags[] = { "output,o=", "pattern=", "recursive,r", "skip-existing", "max-count=",
                                         "parallel=", "suffix=",  "report=",     "json",          NULL };
enum {
    OWN_OUTPUT,
    OWN_PATTERN,
    OWN_RECURSIVE,
    OWN_SKIP,
    OWN_MAX,
    OWN_PARALLEL,
    OWN_SUFFIX,
    OWN_REPORT,
    OWN_JSON,
    OWN_COUNT
};

static int read_number(const char *flag, const char *text, long min, long max, int *out, ta_error *err)
{
    char *end;
    long n = text ? strtol(text, &end, 10) : *out;
    if (text && (end == text || *end || n < min || n > max))
        return ta_fail(err, TA_ERR_USAGE, "%s '%s' is not a number from %ld to %ld", flag, text, min, max);
    *out = (int)n;
    return 0;
}

/* --suffix is a short way to write a template. */
static int set_suffix(ta_settings *s, const char *suffix, ta_error *err)
{
    const char *where = NULL;
    if (!suffix)
        return 0;
    if (ta_settings_origin(s, "output-template", &where) == TA_FROM_COMMAND_LINE) {
        ta_fail(err, TA_ERR_USAGE, "--suffix and --output-template contradict each other");
        return ta_hint(err, "--output-template '{name}%s' says the same", suffix);
    }
    char *template = ta_format("{name}%s", suffix);
    int r = template ? ta_settings_set(s, "output-template", template, TA_FROM_COMMAND_LINE, "--suffix", err)
                     : ta_no_memory(err);
    ta_free(template);
    return r;
}

static int read_options(const char **own, const ta_settings *s, ta_batch_options *o, ta_error *err)
{
    *o = (ta_batch_options){
        .output = own[OWN_OUTPUT],
        .pattern = own[OWN_PATTERN],
        .recursive = own[OWN_RECURSIVE] != NULL,
        .skip_existing = own[OWN_SKIP] != NULL,
        .before_after = ta_get_text(s, TA_SET_preview)[0] != '\0',
        .only_show = ta_get_bool(s, TA_SET_dry_run),
        .parallel = 1,
    };
    if (!o->output || !o->output[0]) {
        ta_fail(err, TA_ERR_USAGE, "batch needs a folder for its outputs");
        return ta_hint(err, "add -o FOLDER; it is made when it is missing");
    }
    if (ta_get_text(s, TA_SET_split)[0]) {
        ta_fail(err, TA_ERR_USAGE, "batch makes one output of each file and does not go with split");
        return ta_hint(err, "`terminalai restore FILE --split ...` cuts one file");
    }
    if (!ta_is_dir(o->output) && ta_file_size(o->output) >= 0)
        return ta_fail(err, TA_ERR_CANTCREATE, "the output folder '%s' is a file", o->output);
    int r = read_number("--max-count", own[OWN_MAX], 1, 1000000, &o->max_count, err);
    return r < 0 ? r : read_number("--parallel", own[OWN_PARALLEL], 1, TA_BATCH_MAX_PARALLEL, &o->parallel, err);
}

static int check_report(const char *path, ta_error *err)
{
    if (!path || ta_batch_may_report_to(path))
        return 0;
    ta_fail(err, TA_ERR_CANTCREATE, "'%s' exists and is not the report of a batch", path);
    return ta_hint(err, "name another file for the report");
}

static int write_report(const ta_batch *b, const char *path, ta_error *err)
{
    char *text = path ? ta_batch_report(b, true) : NULL;
    if (!path)
        return 0;
    int r = text ? ta_write_file(path, text, strlen(text), true, err) : ta_no_memory(err);
    ta_free(text);
    return r;
}

static int add_all(ta_batch *b, int words, char **argv, ta_error *err)
{
    int r = 0;
    for (int i = 0; i < words && r >= 0; i++)
        r = ta_batch_add(b, argv[i], err);
    return r < 0 ? r : ta_batch_plan(b, err);
}

/* What went wrong with the files is told whole; a report that can't be written only where nothing else went wrong. */
static int run_batch(ta_batch *b, const ta_settings *s, bool only_show, const char **own, ta_error *err)
{
    ta_batch_screen screen;
    ta_error later = { 0 };
    ta_batch_screen_open(&screen, b, s, only_show);
    if (own[OWN_JSON] && only_show)
        ta_batch_on_event(b, NULL, NULL);
    int r = ta_batch_run(b, err);
    ta_batch_screen_close(&screen);
    int said = own[OWN_JSON] && only_show ? ta_cli_print(ta_batch_report(b, true), &later)
                                          : ta_batch_screen_sum_up(&screen, b, &later);
    if (said >= 0)
        said = write_report(b, own[OWN_REPORT], &later);
    if (said < 0 && r >= 0 && err)
        *err = later;
    return r < 0 ? r : said;
}

static int batch(ta_settings *s, int words, char **argv, const char **own, ta_error *err)
{
    ta_batch_options o;
    ta_batch *b = NULL;
    int r = set_suffix(s, own[OWN_SUFFIX], err);
    if (r >= 0)
        r = ta_cli_prepare(s, NULL, err);
    if (r >= 0)
        r = read_options(own, s, &o, err);
    if (r >= 0)
        r = check_report(own[OWN_REPORT], err);
    if (r < 0)
        return r;
    ta_cli_catch_signals();
    r = ta_batch_new(&b, s, &o, ta_cli_cancel(), err);
    if (r >= 0)
        r = add_all(b, words, argv, err);
    if (r >= 0)
        r = run_batch(b, s, o.only_show, own, err);
    ta_batch_free(&b);
    return r;
}

static int run(int argc, char **argv, ta_error *err)
{
    const char *own[OWN_COUNT + 1] = { NULL };
    int words = 0;
    ta_settings *s = ta_settings_new();
    int r = s ? ta_settings_load(s, err) : ta_no_memory(err);
    if (r >= 0)
        r = ta_cli_parse(argc, argv, s, own_flags, own, &words, err);
    if (r >= 0 && !words) {
        ta_fail(err, TA_ERR_USAGE, "batch needs a folder or files");
        r = ta_hint(err, "terminalai batch tapes -o restored --preset vhs");
    }
    if (r >= 0)
        r = batch(s, words, argv, own, err);
    ta_settings_free(&s);
    return r;
}

const ta_verb ta_verb_batch = {
    .name = "batch",
    .usage = "batch FOLDER|FILE... -o FOLDER [--recursive] [--pattern GLOB] [--skip-existing] [--SETTING VALUE ...]",
    .summary = "Restore many files into a folder",
    .settings = true,
    .run = run,
    .more = "Its own flags:\n"
            "  -o, --output FOLDER   where the outputs go; made when missing\n"
            "  --pattern GLOB        which files of folders, such as '*.avi,tape*.mpg'; by default all video files\n"
            "                        and VIDEO_TS folders as one title each\n"
            "  -r, --recursive       folders below, too; their structure is kept in the output folder\n"
            "  --skip-existing       a finished output of the same input (by its sidecar) is taken as done\n"
            "  --max-count N         restore at most N files; those skipped don't count\n"
            "  --parallel N          N files at once (default 1)\n"
            "  --suffix TEXT         outputs are called {name}TEXT\n"
            "  --report FILE         write what became of each file as JSON; replaces an earlier report\n"
            "  --json                with --dry-run: the list as JSON\n"
            "Exit code: 0 when all is done or skipped; that of the failures when all have the same; else 65.\n",
};
