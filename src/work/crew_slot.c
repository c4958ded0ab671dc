/* One worker as its crew sees it: from start to greeting, to orders, to its end, whichever way that comes. */
#include "work/crew.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int64_t ms(int64_t n)
{
    return n * 1000;
}

static bool confines(const ta_slot *s)
{
    return s->crew->config.sandbox != TA_CREW_SANDBOX_OFF;
}

typedef struct wishes {
    bool wanted, closing, cancelled, paused;
    ta_order *order;
} wishes;

static wishes look(ta_slot *s)
{
    ta_crew *c = s->crew;
    pthread_mutex_lock(&c->lock);
    wishes w = { .wanted = s->number < c->wanted, .closing = c->closing, .order = s->order };
    w.cancelled = s->order && (s->order->cancelled || c->closing);
    w.paused = s->order && s->order->paused;
    pthread_mutex_unlock(&c->lock);
    return w;
}

static const char *stage_name(const ta_order *o)
{
    return ta_work_stage_name(o->progress.stage);
}

/* ---- Start and end ----------------------------------------------------------------------------------------------- */

static void forget_log(ta_slot *s)
{
    memset(s->lines, 0, sizeof s->lines);
    s->next_line = 0;
    s->partial_len = 0;
}

static void kill_worker(ta_slot *s, const char *why)
{
    snprintf(s->why, sizeof s->why, "%s", why);
    kill(s->process.pid, SIGKILL);
    s->state = TA_SLOT_LEAVING;
    s->leave_by = INT64_MAX;
}

static void start_failed(ta_slot *s, const ta_order *o, const char *why, int64_t now)
{
    s->start_at = now + ms(ta_backoff_ms(s->crew->config.backoff_ms, ++s->bad_starts));
    ta_log(TA_LOG_WARN, "crew", "worker %d did not start: %s", s->number, why);
    if (!o || s->bad_starts < s->crew->config.attempts)
        return;
    char *text = ta_format("no worker could be started in %d tries: %s", s->bad_starts, why);
    ta_crew_end_order(s, TA_ERR_UNAVAILABLE, text ? text : why);
    ta_free(text);
}

static void start(ta_slot *s, const ta_order *o, int64_t now)
{
    ta_error err = { 0 };
    char text[TA_WORK_MESSAGE_MAX];
    forget_log(s);
    s->why[0] = 0;
    s->deaf = false;
    int r = ta_process_start(&s->process, s->crew->program, s->crew->words, &err);
    if (r >= 0)
        r = ta_channel_open(&s->channel, s->process.socket, &err);
    if (r < 0) {
        ta_process_close(&s->process);
        start_failed(s, o, ta_error_string(&err, text, sizeof text), now);
        return;
    }
    atomic_store(&s->pid, (int)s->process.pid);
    s->state = TA_SLOT_STARTING;
    s->greet_by = now + ms(s->crew->config.handshake_ms);
}

void ta_slot_close(ta_slot *s)
{
    atomic_store(&s->pid, 0);
    ta_channel_close(&s->channel);
    ta_process_close(&s->process);
    s->state = TA_SLOT_EMPTY;
}

/* A worker that is needed no more, or that has done the one job that it was confined for. */
static void dismiss(ta_slot *s, int64_t now)
{
    static const int64_t grace_us = 1000000;
    if (confines(s) ||
        ta_channel_send(s->process.socket, json_pack("{s:s}", "type", "quit"), NULL, 0, false, NULL) < 0) {
        kill_worker(s, "");
        return;
    }
    s->state = TA_SLOT_LEAVING;
    s->leave_by = now + grace_us;
}

/* The last lines that the worker wrote, the oldest first. */
static void add_log(const ta_slot *s, ta_buf *b)
{
    const char *before = "; its last words: ";
    for (int i = 0; i < TA_SLOT_LINES; i++) {
        const char *line = s->lines[(s->next_line + i) % TA_SLOT_LINES];
        if (!*line)
            continue;
        ta_buf_add(b, before);
        ta_buf_add(b, line);
        before = " | ";
    }
}

static void describe_death(const ta_slot *s, const ta_order *o, const char *ending, ta_buf *b)
{
    ta_buf_addf(b, "%s while %s, at %.0f %%", s->why[0] ? s->why : ending, stage_name(o), o->progress.fraction * 100);
    if (s->why[0])
        ta_buf_addf(b, " (%s)", ending);
}

/* A worker died with an order: another gets it, which goes on with what is done, unless too many have. */
static void bury(ta_slot *s, ta_order *o, const char *ending, int64_t now)
{
    ta_buf how = { 0 };
    describe_death(s, o, ending, &how);
    if (++o->deaths < s->crew->config.attempts) {
        int wait = ta_backoff_ms(s->crew->config.backoff_ms, o->deaths);
        ta_log(TA_LOG_WARN, "crew", "a worker died with '%s': %s; another goes on in %d ms", o->id,
               how.data ? how.data : ending, wait);
        s->start_at = now + ms(wait);
    } else {
        ta_buf text = { 0 };
        ta_buf_addf(&text, "%d workers died with this job; the last one: %s", o->deaths, how.data ? how.data : ending);
        add_log(s, &text);
        ta_crew_end_order(s, TA_ERR_SOFTWARE, text.data ? text.data : ending);
        ta_buf_free(&text);
    }
    ta_buf_free(&how);
}

void ta_slot_ended(ta_slot *s)
{
    char ending[64];
    int64_t now = ta_now_us();
    if (s->state != TA_SLOT_LEAVING)
        ta_slot_socket(s); /* what it said last counts */
    ta_slot_log(s);
    wishes w = look(s);
    bool idle = s->state == TA_SLOT_READY, dismissed = s->state == TA_SLOT_LEAVING && !s->why[0];
    bool given = w.order && w.order->given;
    ta_process_ending(ta_process_reap(&s->process), ending, sizeof ending);
    ta_slot_close(s);
    s->start_at = idle ? now + ms(s->crew->config.backoff_ms) : now;
    if (w.order)
        w.order->given = false;
    if (w.order && w.cancelled)
        ta_crew_end_order(s, TA_ERR_CANCELLED, "cancelled");
    else if (given)
        bury(s, w.order, ending, now);
    else if (s->greet_by && !dismissed)
        start_failed(s, w.order, s->why[0] ? s->why : ending, now);
}

/* ---- What it says ------------------------------------------------------------------------------------------------ */

static void keep_line(ta_slot *s)
{
    static const struct {
        const char *prefix;
        ta_log_level level;
    } levels[] = { { "error: ", TA_LOG_ERROR },
                   { "warning: ", TA_LOG_WARN },
                   { "info: ", TA_LOG_INFO },
                   { "verbose: ", TA_LOG_VERBOSE },
                   { "debug: ", TA_LOG_DEBUG } };
    s->partial[s->partial_len] = 0;
    s->partial_len = 0;
    if (!s->partial[0])
        return;
    const char *text = s->partial;
    ta_log_level level = TA_LOG_VERBOSE;
    for (size_t i = 0; i < TA_COUNT(levels); i++)
        if (ta_starts(text, levels[i].prefix)) {
            level = levels[i].level;
            text += strlen(levels[i].prefix);
            break;
        }
    ta_log(level, "worker", "%d: %s", s->number, text);
    snprintf(s->lines[s->next_line], TA_SLOT_LINE, "%s", s->partial);
    s->next_line = (s->next_line + 1) % TA_SLOT_LINES;
}

void ta_slot_log(ta_slot *s)
{
    enum { AT_ONCE = 16 };
    char piece[4096];
    for (int k = 0; k < AT_ONCE; k++) {
        ssize_t n = read(s->process.log, piece, sizeof piece);
        if (n == 0) { /* closed, and yet it lives: nothing more to hear */
            close(s->process.log);
            s->process.log = -1;
        }
        if (n <= 0)
            return;
        for (ssize_t i = 0; i < n; i++) {
            if (piece[i] == '\n')
                keep_line(s);
            else if (s->partial_len < TA_SLOT_LINE - 1)
                s->partial[s->partial_len++] = piece[i];
        }
    }
}

static void greet(ta_slot *s, const ta_message *m)
{
    if (m->protocol == TA_WORK_PROTOCOL && !strcmp(m->version, ta_version())) {
        s->state = TA_SLOT_READY;
        s->bad_starts = 0;
        s->greet_by = 0;
        return;
    }
    char why[160];
    snprintf(why, sizeof why, "it is TerminalAI %.40s with protocol %d, not %s with %d", m->version, m->protocol,
             ta_version(), TA_WORK_PROTOCOL);
    kill_worker(s, why);
}

static void show_progress(ta_slot *s, ta_order *o, int64_t now)
{
    static const int64_t least_us = 100000;
    const ta_crew_config *config = &s->crew->config;
    if (!config->on_progress || now - o->shown_at < least_us)
        return;
    o->shown_at = now;
    o->progress.attempt = o->deaths + 1;
    config->on_progress(config->user, o->id, &o->progress);
}

static void take_progress(ta_slot *s, ta_order *o, const ta_message *m)
{
    ta_work_progress *p = &o->progress;
    p->stage = (ta_work_stage)m->stage;
    p->fraction = m->fraction;
    p->fps = m->fps;
    p->eta = m->eta;
    p->frames = (uint64_t)m->frames;
    show_progress(s, o, s->heard_at);
}

static void finished(ta_slot *s, ta_order *o, const ta_message *m)
{
    ta_error err = { 0 };
    char text[TA_WORK_MESSAGE_MAX];
    s->state = TA_SLOT_READY;
    o->given = false;
    int r = m->code == 0 ? ta_order_publish(o, &err) : m->code;
    const char *said = r == 0 ? o->target : m->code == 0 ? ta_error_string(&err, text, sizeof text) : m->text;
    wishes w = look(s);
    if (confines(s) || !w.wanted || w.closing)
        dismiss(s, s->heard_at);
    else if (ta_process_memory(&s->process) > s->crew->config.recycle_memory)
        dismiss(s, s->heard_at);
    ta_crew_end_order(s, r, said);
}

/* The output is refused before any work is done for it. */
static void planned(ta_slot *s, ta_order *o, const ta_message *m)
{
    ta_error err = { 0 };
    char text[TA_WORK_MESSAGE_MAX];
    int r = ta_order_name(o, m->output, &err);
    if (r >= 0)
        return;
    kill_worker(s, "");
    o->given = false;
    ta_crew_end_order(s, r, ta_error_string(&err, text, sizeof text));
}

/* What comes from a stranger is believed only when it fits what goes on. */
static void heed(ta_slot *s, const ta_message *m)
{
    wishes w = look(s);
    if (m->type == TA_MSG_HELLO && s->state == TA_SLOT_STARTING) {
        greet(s, m);
        return;
    }
    bool fits = s->state == TA_SLOT_BUSY && w.order && m->id && !strcmp(m->id, w.order->id);
    if (!fits && m->type == TA_MSG_ALIVE)
        return; /* it may cross with the end of its order */
    if (!fits) {
        kill_worker(s, "it said what it can't know");
        return;
    }
    s->heard_at = ta_now_us();
    if (m->type == TA_MSG_PROGRESS)
        take_progress(s, w.order, m);
    else if (m->type == TA_MSG_PLANNED)
        planned(s, w.order, m);
    else if (m->type == TA_MSG_END)
        finished(s, w.order, m);
    else if (m->type == TA_MSG_ALIVE && m->work != s->work) {
        s->work = m->work;
        s->worked_at = s->heard_at;
    }
}

void ta_slot_socket(ta_slot *s)
{
    enum { AT_ONCE = 64 };
    int r = 1;
    for (int i = 0; i < AT_ONCE && r > 0 && s->state != TA_SLOT_LEAVING && s->state != TA_SLOT_EMPTY; i++) {
        ta_message m;
        r = ta_channel_receive(&s->channel, &m, NULL);
        ta_channel_drop_fds(&s->channel);
        if (r > 0) {
            heed(s, &m);
            ta_message_free(&m);
        }
    }
    if (r == 0 || (r < 0 && r != TA_ERR_AGAIN))
        s->deaf = true; /* it has closed the channel: its end, which comes, tells more */
    if (r < 0 && r != TA_ERR_AGAIN && s->state != TA_SLOT_LEAVING)
        kill_worker(s, "it does not keep to the protocol");
}

/* ---- What is due ------------------------------------------------------------------------------------------------- */

static const char *sandbox_word(const ta_slot *s)
{
    switch (s->crew->config.sandbox) {
    case TA_CREW_SANDBOX_OFF:
        return "off";
    case TA_CREW_SANDBOX_REQUIRED:
        return "required";
    default:
        return "on";
    }
}

static int threads_of(const ta_slot *s, const ta_order *o)
{
    const ta_crew_config *c = &s->crew->config;
    pthread_mutex_lock(&s->crew->lock);
    double share = c->cpu_budget / TA_MAX(s->crew->wanted, 1);
    pthread_mutex_unlock(&s->crew->lock);
    return (int)TA_CLAMP((o->cpus > 0 ? o->cpus : share) + 0.5, 1, 256);
}

static void give(ta_slot *s, ta_order *o, int64_t now)
{
    int fds[3], count;
    json_t *m = ta_order_message(o, sandbox_word(s), threads_of(s, o), fds, &count);
    if (ta_channel_send(s->process.socket, m, fds, count, false, NULL) < 0) {
        kill_worker(s, "it did not take an order");
        return;
    }
    s->state = TA_SLOT_BUSY;
    s->heard_at = s->worked_at = s->weighed_at = now;
    s->work = -1;
    o->given = true;
    o->told_cancel = o->told_pause = false;
    o->progress = (ta_work_progress){ .eta = -1, .paused = o->progress.paused };
    o->shown_at = 0;
    ta_settings_set(o->settings, "restart", "no", TA_FROM_COMMAND_LINE, NULL, NULL); /* the next goes on */
    show_progress(s, o, now);
}

static void tell(ta_slot *s, json_t *m)
{
    if (ta_channel_send(s->process.socket, m, NULL, 0, false, NULL) < 0)
        kill_worker(s, "it does not read what it is told");
}

static void watch_cancel(ta_slot *s, ta_order *o, int64_t now)
{
    if (!o->cancel_at)
        o->cancel_at = now;
    if (s->state != TA_SLOT_BUSY)
        return;
    if (!o->told_cancel) {
        o->told_cancel = true;
        tell(s, json_pack("{s:s, s:s}", "type", "cancel", "id", o->id));
    }
    if (now - o->cancel_at >= ms(s->crew->config.cancel_ms) && s->state == TA_SLOT_BUSY)
        kill_worker(s, "it did not heed a cancel");
}

static void watch_pause(ta_slot *s, ta_order *o, bool paused, int64_t now)
{
    if (paused == o->told_pause)
        return;
    o->told_pause = o->progress.paused = paused;
    s->worked_at = now;
    tell(s, json_pack("{s:s, s:s, s:b}", "type", "pause", "id", o->id, "on", paused));
    o->shown_at = 0;
    show_progress(s, o, now);
}

static void watch_memory(ta_slot *s, ta_order *o, int64_t now)
{
    static const int64_t period_us = 500000;
    const int64_t limit = s->crew->config.kill_memory;
    char why[120], size[24];
    if (now - s->weighed_at < period_us)
        return;
    s->weighed_at = now;
    o->progress.rss = ta_process_memory(&s->process);
    if (!limit || o->progress.rss <= limit)
        return;
    snprintf(why, sizeof why, "it held %s of memory, over its limit", ta_print_size(o->progress.rss, size));
    kill_worker(s, why);
}

static void watch_busy(ta_slot *s, const wishes *w, int64_t now)
{
    const ta_crew_config *c = &s->crew->config;
    char why[120];
    watch_memory(s, w->order, now);
    if (s->state == TA_SLOT_BUSY)
        watch_pause(s, w->order, w->paused, now);
    if (s->state != TA_SLOT_BUSY)
        return;
    if (now - s->heard_at >= ms(c->heartbeat_ms)) {
        snprintf(why, sizeof why, "it did not answer for %.1f s", c->heartbeat_ms / 1e3);
        kill_worker(s, why);
    } else if (!w->paused && now - s->worked_at >= ms(c->stall_ms)) {
        snprintf(why, sizeof why, "it made no progress for %.1f s", c->stall_ms / 1e3);
        kill_worker(s, why);
    }
}

static int64_t next_look(const ta_slot *s, const wishes *w, int64_t now)
{
    static const int64_t memory_us = 500000;
    const ta_crew_config *c = &s->crew->config;
    int64_t at = INT64_MAX;
    if (s->state == TA_SLOT_EMPTY)
        return w->closing || (!w->wanted && !w->order) ? INT64_MAX : s->start_at;
    if (s->state == TA_SLOT_STARTING)
        return s->greet_by;
    if (s->state == TA_SLOT_LEAVING)
        return s->leave_by;
    if (s->state != TA_SLOT_BUSY)
        return INT64_MAX;
    at = TA_MIN(s->heard_at + ms(c->heartbeat_ms), now + memory_us);
    if (!w->paused)
        at = TA_MIN(at, s->worked_at + ms(c->stall_ms));
    return w->cancelled ? TA_MIN(at, w->order->cancel_at + ms(c->cancel_ms)) : at;
}

int64_t ta_slot_step(ta_slot *s, int64_t now)
{
    wishes w = look(s);
    if (w.order && w.order->finished) {
        ta_crew_end_order(s, 0, w.order->target);
        w = look(s);
    }
    if (w.order && w.cancelled && !w.order->given) {
        ta_crew_end_order(s, TA_ERR_CANCELLED, "cancelled"); /* nobody has it */
        w = look(s);
    }
    if (s->state == TA_SLOT_EMPTY && !w.closing && (w.wanted || w.order) && now >= s->start_at)
        start(s, w.order, now);
    if (s->state == TA_SLOT_STARTING && now >= s->greet_by)
        kill_worker(s, "it did not greet in time");
    if (s->state == TA_SLOT_READY && w.order)
        give(s, w.order, now);
    else if ((s->state == TA_SLOT_READY || s->state == TA_SLOT_STARTING) && (!w.wanted || w.closing))
        kill_worker(s, "");
    if (s->state == TA_SLOT_BUSY && w.cancelled)
        watch_cancel(s, w.order, now);
    if (s->state == TA_SLOT_BUSY)
        watch_busy(s, &w, now);
    if (s->state == TA_SLOT_LEAVING && now >= s->leave_by)
        kill_worker(s, "");
    return next_look(s, &w, now);
}
