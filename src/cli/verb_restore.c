/* terminalai restore: one input to one output. */
#include <stdio.h>

#include "cli/cli.h"
#include "net/net.h"
#include "restore/restore.h"

/* ---- Progress ---------------------------------------------------------------------------------------------------- */

typedef struct screen {
    bool json, drawn;
    char line[400];
} screen;

static void wipe(void *opaque)
{
    screen *s = opaque;
    if (s->drawn)
        fputs("\r\033[K", stderr);
}

static void redraw(void *opaque)
{
    screen *s = opaque;
    if (s->drawn)
        fputs(s->line, stderr);
}

static void show_line(screen *s, const ta_progress *p)
{
    char eta[32] = "?";
    if (p->eta_seconds >= 0)
        ta_print_span(p->eta_seconds, eta);
    snprintf(s->line, sizeof s->line, "\r\033[K%s %5.1f %%  %.1f fps  %.2fx  left %s  [%.200s]", p->stage,
             p->fraction * 100, p->fps, p->speed, eta, p->stages);
    s->drawn = true;
    fputs(s->line, stderr);
    fflush(stderr);
}

static void show_json(const ta_progress *p)
{
    printf("{\"stage\":\"%s\",\"percent\":%.2f,\"fps\":%.2f,\"speed\":%.3f,\"eta_seconds\":%.1f,\"frames_in\":%lld,"
           "\"frames_out\":%lld,\"stages\":\"%s\"}\n",
           p->stage, p->fraction * 100, p->fps, p->speed, p->eta_seconds, (long long)p->frames_in,
           (long long)p->frames_out, p->stages);
    fflush(stdout);
}

static void on_progress(void *opaque, const ta_progress *p)
{
    screen *s = opaque;
    if (s->json)
        show_json(p);
    else
        show_line(s, p);
}

static void watch(ta_job *job, const ta_settings *s, screen *out)
{
    ta_cli_progress kind = ta_cli_progress_of(s);
    out->json = kind == TA_CLI_PROGRESS_JSON;
    if (kind == TA_CLI_PROGRESS_NONE)
        return;
    ta_job_on_progress(job, on_progress, out);
    if (!out->json)
        ta_log_set_line_hooks(wipe, redraw, out);
}

/* ---- The command ------------------------------------------------------------------------------------------------- */

static const char *const own_flags[] = { "output,o=", "before-after=", "json", NULL };
enum { OWN_OUTPUT, OWN_BEFORE_AFTER, OWN_JSON, OWN_COUNT };

static int dry_run(ta_job *job, bool json, ta_error *err)
{
    double seconds;
    int64_t bytes;
    int r = ta_job_estimate(job, 1, &seconds, &bytes, err);
    char *text = r >= 0 ? ta_job_describe(job, json) : NULL;
    if (r >= 0 && !text)
        return ta_no_memory(err);
    if (text)
        printf("%s%s", text, json ? "\n" : "");
    ta_settings_free_text(text);
    return r;
}

static int run_job(ta_job *job, const ta_settings *s, const char *png, ta_error *err)
{
    screen out = { 0 };
    watch(job, s, &out);
    int r = ta_job_run(job, err);
    if (out.drawn) {
        ta_log_set_line_hooks(NULL, NULL, NULL);
        fputc('\n', stderr);
    }
    if (r >= 0 && png)
        r = ta_job_before_after(job, -1, png, err);
    if (r >= 0 && !out.json)
        printf("%s\n", ta_job_output(job));
    return r;
}

static int restore_split(ta_settings *s, const char *input, const char **own, ta_error *err);

static int restore_file(ta_settings *s, const char *input, const char **own, ta_error *err)
{
    ta_job *job;
    char *png = NULL;
    int r = ta_cli_prepare(s, input, err);
    if (r >= 0 && ta_get_text(s, TA_SET_split)[0])
        return restore_split(s, input, own, err);
    if (r >= 0)
        r = ta_job_new(&job, s, input, own[OWN_OUTPUT], err);
    if (r < 0)
        return r;
    r = ta_job_link(job, ta_cli_cancel(), err);
    if (r < 0) {
        ta_job_free(&job);
        return r;
    }
    if (ta_get_bool(s, TA_SET_dry_run)) {
        r = dry_run(job, own[OWN_JSON] != NULL, err);
    } else {
        r = ta_job_plan(job, err);
        if (r >= 0 && own[OWN_BEFORE_AFTER])
            png = ta_strdup(own[OWN_BEFORE_AFTER]);
        else if (r >= 0 && ta_get_text(s, TA_SET_preview)[0])
            png = ta_format("%s.png", ta_job_output(job));
        if (r >= 0)
            r = run_job(job, s, png, err);
    }
    ta_free(png);
    ta_job_free(&job);
    return r;
}

/* What is wrong with the settings is told before anything is fetched. */
static int check_settings(const ta_settings *s, ta_error *err)
{
    ta_settings *copy = ta_settings_copy(s);
    char *warnings = NULL;
    int r = copy ? ta_settings_resolve(copy, &warnings, err) : ta_no_memory(err);
    ta_settings_free_text(warnings);
    ta_settings_free(&copy);
    return r;
}

/* An address is fetched first; the file stays, so that the same command goes on with it. */
static int restore_one(ta_settings *s, const char *input, const char **own, ta_error *err)
{
    char *fetched;
    ta_cli_catch_signals();
    if (!ta_is_url(input))
        return restore_file(s, input, own, err);
    if (ta_get_bool(s, TA_SET_dry_run)) {
        ta_fail(err, TA_ERR_USAGE, "a dry run fetches nothing, and without the file there is nothing to plan");
        return ta_hint(err, "leave out --dry-run, or fetch the file first and give its path");
    }
    int r = check_settings(s, err);
    if (r < 0)
        return r;
    ta_cli_set_up_log(s);
    r = ta_cli_download(s, input, own[OWN_OUTPUT], &fetched, err);
    if (r >= 0)
        r = restore_file(s, fetched, own, err);
    ta_free(fetched);
    return r;
}

/* ---- A split ----------------------------------------------------------------------------------------------------- */

static int list_parts(const ta_split *split, bool json, ta_error *err)
{
    char from[24], to[24], length[32];
    if (json)
        return ta_cli_print(ta_split_json(split), err);
    for (int i = 0; i < ta_split_count(split); i++) {
        const ta_part *p = ta_split_part(split, i);
        char *path = ta_split_output(split, i);
        if (!path)
            return ta_no_memory(err);
        ta_print_span((double)ta_split_length(split, i) / 1e6, length);
        printf("%4d  %s - %s  %10s  %s\n", p->number, ta_print_time(TA_MAX(p->start_us, 0), from),
               p->end_us >= 0 ? ta_print_time(p->end_us, to) : "end         ", length, path);
        ta_free(path);
    }
    return 0;
}

/* No part is begun while another would fail because of what stands in its place. */
static int check_parts(const ta_split *split, bool *finished, ta_error *err)
{
    int r = 0;
    for (int i = 0; i < ta_split_count(split) && r >= 0; i++) {
        r = ta_split_finished(split, i, err);
        finished[i] = r > 0;
    }
    return r;
}

static int restore_part(ta_split *split, int i, const ta_settings *s, ta_error *err)
{
    char from[24];
    ta_job *job;
    ta_log(TA_LOG_INFO, "split", "part %d of %d, from %s", i + 1, ta_split_count(split),
           ta_print_time(TA_MAX(ta_split_part(split, i)->start_us, 0), from));
    int r = ta_split_job(split, i, &job, err);
    if (r < 0)
        return r;
    r = ta_job_plan(job, err);
    if (r >= 0)
        r = run_job(job, s, NULL, err);
    if (r >= 0)
        ta_split_ran(split, job);
    else
        ta_wrap(err, "part %d of %d", i + 1, ta_split_count(split));
    ta_job_free(&job);
    return r;
}

static int restore_parts(ta_split *split, const ta_settings *s, ta_error *err)
{
    bool *finished = ta_array((size_t)ta_split_count(split), sizeof *finished);
    int r = finished ? check_parts(split, finished, err) : ta_no_memory(err);
    for (int i = 0; i < ta_split_count(split) && r >= 0; i++) {
        if (finished[i])
            ta_log(TA_LOG_INFO, "split", "part %d is finished already", i + 1);
        else
            r = restore_part(split, i, s, err);
    }
    ta_free(finished);
    return r;
}

static int restore_split(ta_settings *s, const char *input, const char **own, ta_error *err)
{
    ta_split *split;
    if (own[OWN_BEFORE_AFTER])
        return ta_fail(err, TA_ERR_USAGE, "--before-after shows one output and does not go with --split");
    int r = ta_split_plan(&split, s, input, own[OWN_OUTPUT], ta_cli_cancel(), err);
    if (r < 0)
        return r;
    r = ta_get_bool(s, TA_SET_dry_run) ? list_parts(split, own[OWN_JSON] != NULL, err) : restore_parts(split, s, err);
    ta_split_free(&split);
    return r;
}

static int run(int argc, char **argv, ta_error *err)
{
    const char *own[OWN_COUNT] = { NULL };
    int words = 0;
    if (ta_cli_wants_help(argc, argv, &ta_verb_restore))
        return 0;
    ta_settings *s = ta_settings_new();
    int r = s ? ta_settings_load(s, err) : ta_no_memory(err);
    if (r >= 0)
        r = ta_cli_parse(argc, argv, s, own_flags, own, &words, err);
    if (r >= 0 && words != 1) {
        r = words
                ? ta_fail(err, TA_ERR_USAGE, "restore takes one input, not %d: '%s' and '%s'", words, argv[0], argv[1])
                : ta_fail(err, TA_ERR_USAGE, "restore needs an input");
        ta_hint(err,
                "terminalai restore tape.mpg -o tape.mkv --preset vhs (switches are --name, --no-name, --name=no)");
    }
    if (r >= 0)
        r = restore_one(s, argv[0], own, err);
    ta_settings_free(&s);
    return r;
}

const ta_verb ta_verb_restore = {
    .name = "restore",
    .usage = "restore INPUT|URL [-o OUTPUT] [--preset NAME] [--before-after FILE.png] [--SETTING VALUE ...]",
    .summary = "Restore a file (a VIDEO_TS folder, the film of a web page) in one pass",
    .settings = true,
    .run = run,
};
