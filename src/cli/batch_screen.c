/* A batch on the screen: one line a finished file on stdout, one line of progress on stderr, a table at the end. */
#include "cli/batch_screen.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* ---- The progress line ------------------------------------------------------------------------------------------- */

/* Cuts to what fits on a line, at a character. */
static void fit(char *text, size_t size)
{
    struct winsize w;
    size_t columns = ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 20 ? w.ws_col - 1u : 110;
    size_t at = 0;
    for (; text[at] && columns > 0; columns--) {
        size_t n = ta_utf8_char(text + at, size - at);
        at += n ? n : 1;
    }
    text[at] = '\0';
}

/* Time for what is left, at the pace of the files so far. */
static double time_left(const ta_batch_screen *s, double done, double all)
{
    double elapsed = (double)(ta_now_us() - s->begun) / 1e6;
    return done >= 0.05 ? elapsed * (all - done) / done : -1;
}

static void compose(const ta_batch_screen *s, const ta_batch *b, char *line, size_t size)
{
    size_t no_work = ta_batch_count_in(b, TA_BATCH_SKIPPED) + ta_batch_count_in(b, TA_BATCH_FAILED);
    size_t ended = 0, used = 0;
    double done = 0;
    char running[400] = "", left[32];
    for (size_t i = 0; i < ta_batch_count(b); i++) {
        const ta_batch_item *item = ta_batch_item_at(b, i);
        ended += item->state > TA_BATCH_RUNNING;
        done += item->state == TA_BATCH_DONE;
        if (item->state != TA_BATCH_RUNNING)
            continue;
        done += item->progress.fraction;
        if (used < sizeof running - 80)
            used += (size_t)snprintf(running + used, sizeof running - used, "  %.40s %.0f %%", item->name,
                                     item->progress.fraction * 100);
    }
    ta_print_span(time_left(s, done, (double)(ta_batch_count(b) - no_work)), left);
    snprintf(line, size, "%zu of %zu files%s  left %s", ended, ta_batch_count(b), running, left);
    fit(line, size);
}

static void wipe(void *opaque)
{
    ta_batch_screen *s = opaque;
    pthread_mutex_lock(&s->lock);
    if (s->drawn)
        fputs("\r\033[K", stderr);
    pthread_mutex_unlock(&s->lock);
}

static void redraw(void *opaque)
{
    ta_batch_screen *s = opaque;
    pthread_mutex_lock(&s->lock);
    if (s->drawn)
        fprintf(stderr, "\r\033[K%s", s->line);
    pthread_mutex_unlock(&s->lock);
}

/* ---- What happens ------------------------------------------------------------------------------------------------ */

static void print_end(const ta_batch_item *item, size_t number, size_t of)
{
    char span[32], before[24], after[24];
    printf("[%zu/%zu] %s", number, of, item->name);
    switch (item->state) {
    case TA_BATCH_DONE:
        printf(": done, %s, %s -> %s, %s\n", ta_print_span(item->seconds, span),
               ta_print_size(item->bytes_before, before), ta_print_size(item->bytes_after, after), item->output);
        break;
    case TA_BATCH_FAILED:
        printf(": failed (%d): %s\n", ta_exit_code(item->status), item->remark ? item->remark : "out of memory");
        break;
    case TA_BATCH_WAITING:
        printf(" -> %s\n", item->output ? item->output : item->folder);
        break;
    case TA_BATCH_LEFT:
        printf(": left, over the maximum count\n");
        break;
    default:
        printf(": %s%s%s\n", ta_batch_state_name(item->state), item->remark ? ", " : "",
               item->remark ? item->remark : "");
    }
    fflush(stdout);
}

static void show_json(const ta_batch *b, size_t i)
{
    char *text = ta_batch_event_json(b, i);
    if (text)
        fputs(text, stdout);
    fflush(stdout);
    ta_free(text);
}

static void on_event(void *opaque, const ta_batch *b, size_t i)
{
    ta_batch_screen *s = opaque;
    const ta_batch_item *item = ta_batch_item_at(b, i);
    if (s->kind == TA_CLI_PROGRESS_JSON) {
        show_json(b, i);
        return;
    }
    if (item->state == TA_BATCH_RUNNING && !item->progress.stage)
        ta_log(TA_LOG_INFO, "batch", "[%zu/%zu] %s", i + 1, ta_batch_count(b), item->name);
    if (item->state != TA_BATCH_RUNNING) {
        wipe(s);
        print_end(item, i + 1, ta_batch_count(b));
    }
    if (s->kind != TA_CLI_PROGRESS_LINE || s->only_show)
        return;
    pthread_mutex_lock(&s->lock);
    compose(s, b, s->line, sizeof s->line);
    s->drawn = true;
    pthread_mutex_unlock(&s->lock);
    redraw(s);
}

void ta_batch_screen_open(ta_batch_screen *s, ta_batch *b, const ta_settings *settings, bool only_show)
{
    *s = (ta_batch_screen){ .kind = ta_cli_progress_of(settings), .only_show = only_show, .begun = ta_now_us() };
    pthread_mutex_init(&s->lock, NULL);
    ta_batch_on_event(b, on_event, s);
    if (s->kind == TA_CLI_PROGRESS_LINE)
        ta_log_set_line_hooks(wipe, redraw, s);
}

void ta_batch_screen_close(ta_batch_screen *s)
{
    ta_log_set_line_hooks(NULL, NULL, NULL);
    wipe(s);
    pthread_mutex_destroy(&s->lock);
}

/* ---- The table --------------------------------------------------------------------------------------------------- */

enum { WIDEST_NAME = 60 };

/* Characters, not bytes; one column each. */
static int width_of(const char *text)
{
    int n = 0;
    for (size_t at = 0, size = strlen(text), len; at < size; at += len ? len : 1, n++)
        len = ta_utf8_char(text + at, size - at);
    return n;
}

/* The end of a long name tells files apart better than its beginning. */
static void print_name(const char *name, int width)
{
    int over = width_of(name) - width;
    const char *mark = over > 0 ? "…" : "";
    for (over += over > 0; over > 0; over--)
        name += TA_MAX(ta_utf8_char(name, strlen(name)), 1u);
    printf("%s%s%*s", mark, name, TA_MAX(width - width_of(name) - width_of(mark), 0), "");
}

static void print_row(const ta_batch_item *item, int width)
{
    char span[32] = "", before[24] = "", after[24] = "";
    if (item->seconds > 0)
        ta_print_span(item->seconds, span);
    if (item->bytes_before >= 0)
        ta_print_size(item->bytes_before, before);
    if (item->bytes_after >= 0)
        ta_print_size(item->bytes_after, after);
    print_name(item->name, width);
    printf("  %-8s %12s %11s %11s", ta_batch_state_name(item->state), span, before, after);
    if (item->status)
        printf("  %d %s", ta_exit_code(item->status), ta_status_name(item->status));
    printf("\n");
}

static void print_table(const ta_batch *b)
{
    int width = 4;
    for (size_t i = 0; i < ta_batch_count(b); i++)
        width = TA_MAX(width, TA_MIN(width_of(ta_batch_item_at(b, i)->name), WIDEST_NAME));
    printf("\n%-*s  %-8s %12s %11s %11s  %s\n", width, "file", "result", "time", "before", "after", "code");
    for (size_t i = 0; i < ta_batch_count(b); i++)
        print_row(ta_batch_item_at(b, i), width);
}

int ta_batch_screen_sum_up(const ta_batch_screen *s, const ta_batch *b, ta_error *err)
{
    static const ta_batch_state states[] = { TA_BATCH_WAITING, TA_BATCH_DONE,    TA_BATCH_SKIPPED,
                                             TA_BATCH_FAILED,  TA_BATCH_STOPPED, TA_BATCH_LEFT };
    if (s->kind == TA_CLI_PROGRESS_JSON)
        return ta_cli_print(ta_batch_report(b, false), err);
    if (!s->only_show)
        print_table(b);
    const char *between = "\n";
    for (size_t i = 0; i < TA_COUNT(states); i++) {
        size_t n = ta_batch_count_in(b, states[i]);
        if (n)
            printf("%s%zu %s", between, n, states[i] == TA_BATCH_WAITING ? "to do" : ta_batch_state_name(states[i]));
        between = n ? ", " : between;
    }
    printf("\n");
    return fflush(stdout) == 0 ? 0 : ta_fail(err, TA_ERR_IO, "standard output can't be written");
}
