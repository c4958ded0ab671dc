/* terminalai sample: makes a tape-like clip and its clean original, to try and to measure with. */
#include "cli/cli.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "sample/sample.h"

enum { OUTPUT, TRUTH, PAL, WIDE, BFF, PROGRESSIVE, SECONDS, CLEAN, NOISE, SEED, OVERWRITE, FLAGS };

static const char *const flags[] = { "output,o=", "truth=", "pal",    "wide",  "bff",       "progressive",
                                     "seconds=",  "clean",  "noise=", "seed=", "overwrite", NULL };

static int parse_numbers(const char *const *value, ta_sample_options *o, ta_error *err)
{
    int64_t us;
    char *end = NULL;
    if (value[SECONDS]) {
        if (!ta_parse_time(value[SECONDS], &us))
            return ta_fail(err, TA_ERR_USAGE, "--seconds: '%s' is not a time such as 10 or 1:30", value[SECONDS]);
        o->seconds = (double)us / 1e6;
    }
    if (value[NOISE]) {
        o->noise = strtod(value[NOISE], &end);
        if (end == value[NOISE] || *end || !isfinite(o->noise))
            return ta_fail(err, TA_ERR_USAGE, "--noise: '%s' is not a number", value[NOISE]);
    }
    if (value[SEED]) {
        errno = 0;
        o->seed = strtoull(value[SEED], &end, 10);
        if (end == value[SEED] || *end || *value[SEED] == '-' || errno)
            return ta_fail(err, TA_ERR_USAGE, "--seed: '%s' is not a whole number from 0", value[SEED]);
    }
    return 0;
}

static int parse(const char *const *value, ta_sample_options *o, ta_error *err)
{
    if (value[BFF] && value[PROGRESSIVE])
        return ta_fail(err, TA_ERR_USAGE, "--bff and --progressive contradict each other");
    if (value[CLEAN] && value[NOISE])
        return ta_fail(err, TA_ERR_USAGE, "--clean and --noise contradict each other");
    ta_sample_defaults(o);
    o->pal = value[PAL];
    o->wide = value[WIDE];
    o->clean = value[CLEAN];
    o->order = value[PROGRESSIVE] ? TA_FIELDS_PROGRESSIVE : value[BFF] ? TA_FIELDS_BFF : TA_FIELDS_TFF;
    return parse_numbers(value, o, err);
}

/* A folder takes sample.mpg and sample.truth.mkv; a file takes itself, and the truth only when asked. */
static int choose_paths(const char *const *value, char **path, char **truth, ta_error *err)
{
    const char *out = value[OUTPUT] ? value[OUTPUT] : ".";
    bool folder = ta_is_dir(out) || ta_ends(out, "/") || !*ta_path_ext(out);
    int ret = folder ? ta_mkdirs(out, err) : 0;
    if (ret < 0)
        return ret;
    *path = folder ? ta_path_join(out, "sample.mpg") : ta_strdup(out);
    if (value[TRUTH])
        *truth = ta_strdup(value[TRUTH]);
    else if (folder)
        *truth = ta_path_join(out, "sample.truth.mkv");
    return *path && (*truth || (!folder && !value[TRUTH])) ? 0 : ta_no_memory(err);
}

static int make(const ta_sample_options *o, const char *const *value, ta_error *err)
{
    char *path = NULL, *truth = NULL;
    int ret = choose_paths(value, &path, &truth, err);
    if (ret >= 0) {
        ta_cli_catch_signals();
        ret = ta_sample_write(o, path, truth, value[OVERWRITE], ta_cli_cancel(), err);
    }
    if (ret >= 0)
        printf("%s\n", path);
    if (ret >= 0 && truth)
        printf("%s\n", truth);
    ta_free(path);
    ta_free(truth);
    return ret;
}

static int run(int argc, char **argv, ta_error *err)
{
    const char *value[FLAGS] = { NULL };
    ta_sample_options o;
    int words = 0, ret;
    if (ta_cli_wants_help(argc, argv, &ta_verb_sample))
        return 0;
    if ((ret = ta_cli_parse(argc, argv, NULL, flags, value, &words, err)) < 0)
        return ret;
    if (words) {
        ta_fail(err, TA_ERR_USAGE, "sample takes no input, but got '%s'", argv[0]);
        return ta_hint(err, "name the file to make with -o");
    }
    if ((ret = parse(value, &o, err)) < 0)
        return ret;
    return make(&o, value, err);
}

const ta_verb ta_verb_sample = {
    .name = "sample",
    .usage = "sample [-o FOLDER|FILE.mpg|FILE.mkv] [--truth FILE.mkv] [--pal] [--wide] [--bff|--progressive]\n"
             "                  [--seconds TIME] [--clean] [--noise STEPS] [--seed N] [--overwrite]",
    .summary = "Make a worn-tape clip, and its clean original, to try and to measure with",
    .run = run,
};
