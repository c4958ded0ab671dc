/* Downloads of the command line: where to, and how far. */
#include <stdio.h>
#include <unistd.h>

#include "cli/cli.h"
#include "fetch/fetch.h"
#include "net/net.h"

typedef struct screen {
    ta_cli_progress kind;
    bool drawn;
} screen;

static void show_line(screen *s, const ta_fetch_progress *p)
{
    char done[24], total[24];
    fprintf(stderr, "\r\033[K%s  %s%s%s", p->stage, ta_print_size(p->done, done), p->total > 0 ? " of " : "",
            p->total > 0 ? ta_print_size(p->total, total) : "");
    s->drawn = true;
    fflush(stderr);
}

static void show(void *opaque, const ta_fetch_progress *p)
{
    screen *s = opaque;
    if (s->kind == TA_CLI_PROGRESS_LINE)
        show_line(s, p);
    if (s->kind != TA_CLI_PROGRESS_JSON)
        return;
    printf("{\"stage\":\"%s\",\"bytes\":%lld,\"total_bytes\":%lld}\n", p->stage, (long long)p->done,
           (long long)p->total);
    fflush(stdout);
}

/* The folder that an output would be in. */
static char *folder_of(const char *output)
{
    if (!output)
        return ta_strdup(".");
    return ta_is_dir(output) ? ta_strdup(output) : ta_path_dir(output);
}

int ta_cli_download(const ta_settings *s, const char *url, const char *output, char **path, ta_error *err)
{
    const char *wanted = ta_get_text(s, TA_SET_download_dir);
    screen out = { .kind = ta_cli_progress_of(s) };
    char *folder = *wanted ? ta_strdup(wanted) : folder_of(output), *shown = ta_url_shown(url);
    ta_fetch f = { .url = url, .folder = folder, .cancel = ta_cli_cancel(), .progress = show, .opaque = &out };
    *path = NULL;
    if (!folder || !shown) {
        ta_free(folder);
        ta_free(shown);
        return ta_no_memory(err);
    }
    ta_fetch_from_settings(&f, s);
    ta_log(TA_LOG_INFO, "download", "%s", shown);
    int r = ta_fetch_run(&f, path, err);
    if (out.drawn)
        fputs("\r\033[K", stderr);
    if (r == 0)
        ta_log(TA_LOG_INFO, "download", "it is '%s'", *path);
    ta_free(folder);
    ta_free(shown);
    return r;
}
