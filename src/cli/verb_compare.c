/* terminalai compare: pictures, a video or a report that show how two files differ, or what presets do. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/metrics.h"

enum { MODE, AT, OUTPUT, PRESETS, START, END, ALIGN, METRICS, OVERWRITE, FLAGS };
static const char *const flags[] = { "mode=", "at=",    "output,o=",  "presets=",  "start=",
                                     "end=",  "align=", "no-metrics", "overwrite", NULL };
enum { HARDEST = 3, MOST_PRESETS = 31 };

typedef struct order {
    const char *value[FLAGS];
    const char *a, *b; /* with --presets: the input, and NULL */
    char *output;
    int64_t at[TA_COMPARE_MOMENTS];
    int count;
    unsigned modes;
    ta_pair_options pairs;
    char *names; /* --presets, cut at its commas */
    const char *preset[MOST_PRESETS];
    int n_presets;
} order;

/* ---- Moments --------------------------------------------------------------------------------------------------- */

/* Where the times of --at begin on the file's own time line: its first picture, as frames are paired; for presets its
 * start, as --start counts. And how long it is. */
static int zero_of(const order *o, int64_t *zero, int64_t *length, ta_error *err)
{
    ta_frames *f = NULL;
    AVFrame *frame = av_frame_alloc();
    int r = frame ? ta_frames_open(&f, o->a, 1, ta_cli_cancel(), err) : ta_no_memory(err);
    if (r >= 0) {
        *zero = ta_input_start_us(ta_frames_input(f));
        *length = ta_input_duration_us(ta_frames_input(f));
    }
    if (r >= 0 && o->b && (r = ta_frames_next(f, frame, err)) > 0)
        *zero = o->pairs.align == TA_ALIGN_AUTO ? ta_frames_us(f, frame) : 0;
    if (r == 0 && o->b)
        r = ta_fail(err, TA_ERR_DATA, "'%s': not one picture could be decoded", o->a);
    ta_frames_close(&f);
    av_frame_free(&frame);
    return r;
}

static int too_many(ta_error *err)
{
    return ta_fail(err, TA_ERR_USAGE, "--at takes %d moments at most", TA_COMPARE_MOMENTS);
}

static int add_hardest(order *o, const char *word, int64_t zero, ta_error *err)
{
    ta_hard_moment found[TA_COMPARE_MOMENTS];
    char *end = NULL;
    long wanted = word[0] ? strtol(word + 1, &end, 10) : HARDEST;
    int count;
    if (word[0] && (*end || end == word + 1 || wanted < 1))
        return ta_fail(err, TA_ERR_USAGE, "--at hardest%s: write hardest or hardest:3", word);
    if (o->count + wanted > TA_COMPARE_MOMENTS)
        return too_many(err);
    int r = ta_hardest(o->a, (int)wanted, ta_cli_cancel(), found, &count, err);
    for (int i = 0; r >= 0 && i < count; i++)
        o->at[o->count++] = TA_MAX(found[i].us - zero, 0);
    return r;
}

static int add_moment(order *o, const char *word, int64_t zero, ta_error *err)
{
    if (ta_starts(word, "hardest") && (!word[7] || word[7] == ':'))
        return add_hardest(o, word + 7, zero, err);
    if (o->count >= TA_COMPARE_MOMENTS)
        return too_many(err);
    if (!ta_parse_time(word, &o->at[o->count])) {
        ta_fail(err, TA_ERR_USAGE, "--at: '%s' is not a time", word);
        return ta_hint(err, "such as 90, 1:30, or hardest:3, separated by commas");
    }
    o->count++;
    return 0;
}

static int by_time(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int read_moments(order *o, ta_error *err)
{
    int64_t zero = 0, length = 0;
    char *rest = NULL, *list = ta_strdup(o->value[AT] ? o->value[AT] : "");
    int r = list ? zero_of(o, &zero, &length, err) : ta_no_memory(err);
    for (char *word = r >= 0 ? strtok_r(list, ",", &rest) : NULL; word && r >= 0; word = strtok_r(NULL, ",", &rest))
        r = add_moment(o, word, zero, err);
    if (r >= 0 && !o->count)
        o->at[o->count++] = TA_MAX(length, 0) / 2 + (o->b && o->pairs.align == TA_ALIGN_NONE ? zero : 0);
    qsort(o->at, (size_t)o->count, sizeof *o->at, by_time);
    ta_free(list);
    return r;
}

/* ---- The other words ------------------------------------------------------------------------------------------- */

static int read_mode(order *o, ta_error *err)
{
    static const char *const words[] = { "all", "split", "side-by-side", "heatmap", NULL };
    static const unsigned modes[] = { TA_COMPARE_ALL, TA_COMPARE_SPLIT, TA_COMPARE_SIDES, TA_COMPARE_HEAT };
    const char *word = o->value[MODE] ? o->value[MODE] : "all";
    for (int i = 0; words[i]; i++)
        if (ta_streq(words[i], word)) {
            o->modes = modes[i];
            return 0;
        }
    ta_fail(err, TA_ERR_USAGE, "--mode '%s' is none of split, side-by-side, heatmap, all", word);
    const char *near = ta_nearest(word, words);
    return near ? ta_hint(err, "did you mean '%s'?", near) : TA_ERR_USAGE;
}

static int read_presets(order *o, ta_error *err)
{
    char *rest = NULL;
    o->names = ta_strdup(o->value[PRESETS]);
    if (!o->names)
        return ta_no_memory(err);
    for (char *word = strtok_r(o->names, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
        if (o->n_presets >= MOST_PRESETS)
            return ta_fail(err, TA_ERR_USAGE, "--presets takes %d presets at most", MOST_PRESETS);
        o->preset[o->n_presets++] = word;
    }
    return o->n_presets ? 0 : ta_fail(err, TA_ERR_USAGE, "--presets names no preset");
}

/* Beside the tested file, unless said otherwise. */
static int choose_output(order *o, ta_error *err)
{
    const char *of = o->b ? o->b : o->a;
    if (o->value[OUTPUT]) {
        o->output = ta_strdup(o->value[OUTPUT]);
    } else {
        char *dir = ta_path_dir(of), *stem = ta_path_stem(of), *name = stem ? ta_format("%s-compare.png", stem) : NULL;
        o->output = dir && name ? ta_path_join(dir, name) : NULL;
        ta_free(dir);
        ta_free(stem);
        ta_free(name);
    }
    if (!o->output)
        return ta_no_memory(err);
    bool video = ta_ends(o->output, ".mkv") || ta_ends(o->output, ".mp4");
    if (!ta_ends(o->output, ".png") && !ta_ends(o->output, ".html") && (!video || !o->b)) {
        ta_fail(err, TA_ERR_USAGE, "'%s' is no name for a %s", o->output, o->b ? "comparison" : "grid of presets");
        return ta_hint(err, o->b ? "give a name that ends in .png, .mkv, .mp4 or .html" : "give .png or .html");
    }
    if (ta_same_file(o->output, o->a) || (o->b && ta_same_file(o->output, o->b)))
        return ta_fail(err, TA_ERR_USAGE, "the output '%s' is an input", o->output);
    if (access(o->output, F_OK) == 0 && !o->value[OVERWRITE]) {
        ta_fail(err, TA_ERR_CANTCREATE, "'%s' exists already", o->output);
        return ta_hint(err, "name another output, or allow it to be replaced with --overwrite");
    }
    return 0;
}

static int check_video_words(const order *o, ta_error *err)
{
    bool video = ta_ends(o->output, ".mkv") || ta_ends(o->output, ".mp4");
    if (video && o->value[AT]) {
        ta_fail(err, TA_ERR_USAGE, "--at is for pictures; a video shows all frames");
        return ta_hint(err, "choose its piece with --start and --end");
    }
    if (!o->b && (o->value[MODE] || o->value[START] || o->value[END] || o->value[ALIGN]))
        return ta_fail(err, TA_ERR_USAGE, "--mode, --start, --end and --align don't go with --presets");
    return 0;
}

/* ---- Doing it -------------------------------------------------------------------------------------------------- */

static int compare_presets(const order *o, ta_error *err)
{
    ta_preset_grid g = { .input = o->a,
                         .presets = o->preset,
                         .n_presets = o->n_presets,
                         .at = o->at,
                         .count = o->count,
                         .output = o->output,
                         .overwrite = o->value[OVERWRITE] };
    return ta_compare_presets(&g, ta_cli_cancel(), err);
}

static int compare_html(const order *o, const ta_comparison *c, ta_error *err)
{
    ta_metrics m = { 0 };
    int r = o->value[METRICS] ? 0 : ta_cli_metrics(&m, o->a, o->b, &o->pairs, err);
    if (r >= 0)
        r = ta_compare_html(c, o->value[METRICS] ? NULL : &m, ta_cli_cancel(), err);
    ta_metrics_clear(&m);
    return r;
}

static int compare_files(const order *o, ta_error *err)
{
    ta_comparison c = { .a = o->a,
                        .b = o->b,
                        .modes = o->modes,
                        .at = o->at,
                        .count = o->count,
                        .pairs = o->pairs,
                        .output = o->output,
                        .overwrite = o->value[OVERWRITE] };
    if (ta_ends(o->output, ".html"))
        return compare_html(o, &c, err);
    return ta_ends(o->output, ".png") ? ta_compare_png(&c, ta_cli_cancel(), err)
                                      : ta_compare_video(&c, ta_cli_cancel(), err);
}

static int carry_out(order *o, ta_error *err)
{
    int r = read_mode(o, err);
    if (r >= 0)
        r = ta_cli_pair_options(o->value[START], o->value[END], o->value[ALIGN], &o->pairs, err);
    if (r >= 0 && !o->b)
        r = read_presets(o, err);
    if (r >= 0)
        r = choose_output(o, err);
    if (r >= 0)
        r = check_video_words(o, err);
    if (r < 0)
        return r;
    /* what restore says of a file it would say once a preset */
    ta_log_setup(o->b ? TA_LOG_INFO : TA_LOG_WARN, false);
    ta_cli_catch_signals();
    r = read_moments(o, err);
    if (r >= 0)
        r = o->b ? compare_files(o, err) : compare_presets(o, err);
    if (r >= 0)
        printf("%s\n", o->output);
    return r;
}

static int run(int argc, char **argv, ta_error *err)
{
    order o = { 0 };
    int words = 0;
    int r = ta_cli_parse(argc, argv, NULL, flags, o.value, &words, err);
    int wanted = o.value[PRESETS] ? 1 : 2;
    if (r >= 0)
        r = ta_cli_expect_words(argv, words, wanted, wanted,
                                wanted == 1 ? "an input"
                                : words     ? "a second file"
                                            : "two files",
                                err);
    if (r < 0)
        return r;
    o.a = argv[0];
    o.b = wanted == 2 ? argv[1] : NULL;
    r = carry_out(&o, err);
    ta_free(o.output);
    ta_free(o.names);
    return r;
}

const ta_verb ta_verb_compare = {
    .name = "compare",
    .usage = "compare A B [--mode split|side-by-side|heatmap|all] [--at TIME,...] [-o FILE.png|.html|.mkv|.mp4]\n"
             "       terminalai compare --presets NAME,... INPUT [--at TIME,...] [-o FILE.png|.html]",
    .summary = "Show how two files differ, or what presets do: pictures, a report, a video",
    .run = run,
    .more =
        "  A is the reference (the source), B what is compared with it (its restoration).\n"
        "  --mode             split: the left half of A, the right of B; side-by-side; heatmap: the difference of "
        "luma\n"
        "  --at               moments, as 10,1:30 or hardest[:N]: those with the most motion and noise (the middle)\n"
        "  --output, -o       .png: labelled pictures; .html: a report in one file; .mkv, .mp4: a video\n"
        "  --start, --end     the piece of a video, and what a report's figures are measured on\n"
        "  --align auto|none  time from each file's first picture, or the files' own times\n"
        "  --no-metrics       a report without figures\n"
        "  --presets          the presets' real chains, run on a short piece before each moment, beside the source\n"
        "  --overwrite        replace an existing file\n",
};
