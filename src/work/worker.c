/* The worker's side. The main thread takes orders and runs them, one behind the other; a second thread, started with
 * the first order and behind the confinement, listens to the crew, says that the worker is alive, and sees to it that a
 * cancel is over in time. Whatever is told on the way is read from atomics: nothing is locked on the frame path.
 *
 * Lock order: worker.lock is a leaf. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "restore/restore.h"
#include "work/order.h"

/* What can't be interrupted (an encoder's flush, an inference) has this long; then the process ends with the cancel. */
enum { HEARTBEAT_MS = 500, PATIENCE_MS = 550 };

typedef struct worker {
    ta_channel channel; /* read by the main thread until the first order, by the listener then */
    bool confined;
    /* -- for whoever tells */
    _Atomic uint64_t changes;
    atomic_bool counting; /* frames are counted in what goes on now */
    bool upscales;        /* set before the job runs */
    uint64_t last_sum;    /* the progress thread's */
    double shown;
    /* -- lock */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    ta_message next; /* the order that waits */
    bool has_next, quit;
    char id[TA_WORK_ID_MAX + 1]; /* of the order that runs, or "" */
    ta_cancel *token;            /* of it */
    int64_t end_at;              /* when the process must be gone, 0 */
    pthread_t listener;          /* once `listens`, the main thread's */
    bool listens;
    bool ending; /* the listener has taken over the end of the order */
} worker;

/* ---- Telling ----------------------------------------------------------------------------------------------------- */

static int say(const worker *w, json_t *message, bool wait, ta_error *err)
{
    return ta_channel_send(w->channel.fd, message, NULL, 0, wait, err);
}

static void say_end(const worker *w, const char *id, int code, const char *text)
{
    char *clean = ta_utf8_clean(text);
    say(w, json_pack("{s:s, s:s, s:i, s:s}", "type", "end", "id", id, "code", code, "text", clean ? clean : ""), true,
        NULL);
    ta_free(clean);
}

static ta_work_stage stage_of(const worker *w, const char *stage)
{
    if (!strcmp(stage, "restoring"))
        return w->upscales ? TA_WORK_UPSCALING : TA_WORK_ENCODING;
    return !strcmp(stage, "indexing") ? TA_WORK_PREPROCESSING : TA_WORK_FINISHING;
}

/* JSON has no infinity. */
static double finite_or(double value, double otherwise)
{
    return isfinite(value) ? value : otherwise;
}

static void on_progress(void *opaque, const ta_progress *p)
{
    worker *w = opaque;
    ta_work_stage stage = stage_of(w, p->stage ? p->stage : "restoring");
    double fraction = TA_CLAMP(finite_or(p->fraction, 0), w->shown, 1);
    uint64_t sum =
        (uint64_t)p->frames_in + (uint64_t)p->frames_out + (uint64_t)(fraction * 1e6) + ((uint64_t)stage << 60);
    if (sum != w->last_sum)
        atomic_fetch_add(&w->changes, 1);
    w->last_sum = sum;
    w->shown = fraction;
    atomic_store(&w->counting, stage == TA_WORK_ENCODING || stage == TA_WORK_UPSCALING);
    say(w,
        json_pack("{s:s, s:s, s:i, s:f, s:f, s:f, s:I}", "type", "progress", "id", w->id, "stage", (int)stage,
                  "fraction", fraction, "fps", TA_MAX(finite_or(p->fps, 0), 0), "eta",
                  TA_MAX(finite_or(p->eta_seconds, -1), -1), "frames", (json_int_t)TA_MAX(p->frames_out, 0)),
        false, NULL);
}

/* Grows as long as something goes on. Where no frames are counted (planning, checking), CPU time counts, in whole
 * seconds: what this thread itself uses adds up to none for a day. */
static json_int_t work_done(const worker *w)
{
    static const int64_t second = 1000000;
    json_int_t n = (json_int_t)atomic_load(&w->changes);
    return n + (atomic_load(&w->counting) ? 0 : (json_int_t)(ta_process_cpu_us() / second));
}

/* ---- The listener ------------------------------------------------------------------------------------------------ */

static void cancel_order(worker *w, const char *id)
{
    pthread_mutex_lock(&w->lock);
    if (w->token && (!id || !strcmp(w->id, id))) {
        ta_cancel_set(w->token);
        if (!w->end_at)
            w->end_at = ta_now_us() + PATIENCE_MS * 1000;
    }
    pthread_mutex_unlock(&w->lock);
}

static void pause_order(worker *w, const char *id, bool on)
{
    pthread_mutex_lock(&w->lock);
    if (w->token && !strcmp(w->id, id))
        ta_cancel_hold(w->token, on);
    pthread_mutex_unlock(&w->lock);
}

static void quit(worker *w)
{
    pthread_mutex_lock(&w->lock);
    w->quit = true;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
}

/* The crew is gone: nobody waits for the end of what runs. */
static void orphaned(worker *w)
{
    quit(w);
    cancel_order(w, NULL);
}

/* From here on it can be cancelled and paused. The lock is held, or there is one thread only. */
static void begin(worker *w, const ta_message *order)
{
    snprintf(w->id, sizeof w->id, "%s", order->id);
    w->token = ta_cancel_new(NULL);
    w->end_at = 0;
}

static void take_order(worker *w, ta_message *m)
{
    pthread_mutex_lock(&w->lock);
    if (!w->has_next && !w->id[0]) {
        begin(w, m);
        w->next = *m;
        w->has_next = true;
        *m = (ta_message){ 0 };
        pthread_cond_signal(&w->wake);
    }
    pthread_mutex_unlock(&w->lock);
}

static void heed(worker *w, ta_message *m)
{
    switch (m->type) {
    case TA_MSG_ORDER:
        take_order(w, m);
        break;
    case TA_MSG_CANCEL:
        cancel_order(w, m->id);
        break;
    case TA_MSG_PAUSE:
        pause_order(w, m->id, m->on);
        break;
    case TA_MSG_QUIT:
        quit(w);
        break;
    default:
        break;
    }
    ta_message_free(m);
}

/* A cancel that what runs did not follow in time: temporary files go, the process with them. */
static void end_when_late(worker *w)
{
    pthread_mutex_lock(&w->lock);
    bool late = w->end_at && ta_now_us() >= w->end_at && w->id[0];
    w->ending = late;
    pthread_mutex_unlock(&w->lock);
    if (!late)
        return;
    ta_publish_unlink_all();
    ta_job_folder_unlink_all();
    say_end(w, w->id, TA_ERR_CANCELLED, "cancelled");
    _exit(ta_exit_code(TA_ERR_CANCELLED));
}

static int next_wait_ms(worker *w, int64_t beat_at)
{
    pthread_mutex_lock(&w->lock);
    int64_t at = w->end_at ? TA_MIN(w->end_at, beat_at) : beat_at;
    pthread_mutex_unlock(&w->lock);
    return (int)TA_CLAMP((at - ta_now_us()) / 1000 + 1, 0, HEARTBEAT_MS);
}

static void say_alive(worker *w)
{
    char id[sizeof w->id];
    pthread_mutex_lock(&w->lock);
    memcpy(id, w->id, sizeof id);
    pthread_mutex_unlock(&w->lock);
    if (id[0])
        say(w, json_pack("{s:s, s:s, s:I}", "type", "alive", "id", id, "work", work_done(w)), false, NULL);
}

/* Takes one message. False when the crew is gone. */
static bool hear(worker *w)
{
    ta_message m;
    if (ta_channel_receive(&w->channel, &m, NULL) <= 0)
        return false;
    ta_channel_drop_fds(&w->channel);
    heed(w, &m);
    return true;
}

/* Told to leave, and nothing runs. */
static bool may_leave(worker *w)
{
    pthread_mutex_lock(&w->lock);
    bool may = w->quit && !w->id[0];
    pthread_mutex_unlock(&w->lock);
    return may;
}

static void *listen_to_crew(void *arg)
{
    worker *w = arg;
    int64_t beat_at = ta_now_us();
    pthread_setname_np(pthread_self(), "listener");
    for (bool there = true; there;) {
        struct pollfd p = { .fd = w->channel.fd, .events = POLLIN };
        if (poll(&p, 1, next_wait_ms(w, beat_at)) > 0)
            there = hear(w);
        if (there && may_leave(w))
            return NULL;
        end_when_late(w);
        if (ta_now_us() >= beat_at) {
            say_alive(w);
            beat_at = ta_now_us() + HEARTBEAT_MS * 1000;
        }
    }
    orphaned(w);
    ta_sleep_us(PATIENCE_MS * 1000);
    ta_publish_unlink_all();
    ta_job_folder_unlink_all();
    _exit(ta_exit_code(TA_ERR_CANCELLED));
}

static int start_listener(worker *w, ta_error *err)
{
    int why = pthread_create(&w->listener, NULL, listen_to_crew, w);
    w->listens = !why;
    return why ? ta_fail_errno(err, why, false, "start a thread for", "the channel") : 0;
}

/* ---- An order ---------------------------------------------------------------------------------------------------- */

/* Where temporary tables go, as /tmp is everybody's. A confined worker has this one order, and no other thread yet. */
static int set_scratch(const ta_message *order)
{
    char *folder = ta_path_from_wire(order->folder), *tmp = folder ? ta_path_join(folder, "tmp") : NULL;
    int r = tmp && setenv("TMPDIR", tmp, 1) == 0 ? 0 : TA_ERR_AGAIN;
    ta_free(folder);
    ta_free(tmp);
    return r;
}

static int read_places(const ta_message *order, ta_places *read)
{
    ta_places_readable(read);
    for (size_t i = 0; i < json_array_size(order->reads); i++) {
        const char *text = json_string_value(json_array_get(order->reads, i));
        char *path = text ? ta_path_from_wire(text) : NULL;
        ta_places_add(read, path);
        ta_free(path);
    }
    return read->failed ? TA_ERR_AGAIN : 0;
}

/* The descriptors that came with the order: the input, the folder to write in, perhaps a work folder. */
static int confine(worker *w, const ta_message *order, ta_error *err)
{
    ta_places read = { 0 }, devices = { 0 };
    ta_confinement done;
    if (!strcmp(order->sandbox, "off"))
        return 0;
    if (w->channel.fd_count < 2)
        return ta_fail(err, TA_ERR_SOFTWARE, "an order came without its descriptors");
    if (set_scratch(order) < 0)
        return ta_no_memory(err);
    ta_places_devices(&devices);
    int r = read_places(order, &read) < 0 || devices.failed ? ta_no_memory(err) : 0;
    if (r >= 0) {
        ta_confine_plan plan = {
            .read_fds = w->channel.fds,
            .read_count = 1,
            .write_fds = w->channel.fds + 1,
            .write_count = w->channel.fd_count - 1,
            .read_paths = (const char *const *)read.list,
            .devices = (const char *const *)devices.list,
            .required = !strcmp(order->sandbox, "required"),
        };
        r = ta_confine(&plan, &done, err);
        w->confined = r >= 0;
    }
    ta_places_free(&read);
    ta_places_free(&devices);
    return r;
}

static int settings_of(const ta_message *order, ta_settings **out, ta_error *err)
{
    char *text = json_dumps(order->settings, JSON_COMPACT);
    ta_settings *s = ta_settings_new();
    int r = s && text ? ta_settings_from_json(s, text, TA_FROM_COMMAND_LINE, err) : ta_no_memory(err);
    if (r >= 0)
        r = ta_settings_resolve(s, NULL, err);
    if (r >= 0 && order->threads > 0 && !ta_get_int(s, TA_SET_threads)) {
        char number[16];
        snprintf(number, sizeof number, "%d", TA_MIN(order->threads, 256));
        r = ta_settings_set(s, "threads", number, TA_FROM_COMMAND_LINE, "the crew", err);
    }
    free(text);
    if (r < 0)
        ta_settings_free(&s);
    *out = s;
    return r;
}

static void set_up_log(const ta_settings *s)
{
    ta_log_level level = TA_LOG_INFO;
    ta_log_parse_level(ta_get_text(s, TA_SET_log_level), &level);
    ta_log_setup(level, false);
}

/* The plan is made: what the output is called, and whether a model sets the pace. */
static int say_planned(worker *w, ta_job *job, ta_error *err)
{
    char *plan = ta_job_describe(job, 1), *name = ta_path_to_wire(ta_path_base(ta_job_output(job)));
    json_t *doc = plan ? json_loads(plan, 0, NULL) : NULL, *stage;
    size_t i;
    json_array_foreach(json_object_get(doc, "stages"), i, stage)
    {
        const char *what = json_string_value(json_object_get(stage, "name"));
        w->upscales = w->upscales || (what && !strcmp(what, "upscale"));
    }
    json_decref(doc);
    ta_settings_free_text(plan);
    int r = name ? say(w, json_pack("{s:s, s:s, s:s}", "type", "planned", "id", w->id, "output", name), true, err)
                 : ta_no_memory(err);
    ta_free(name);
    return r;
}

static int run_job(worker *w, const ta_settings *s, const char *input, const char *output, ta_error *err)
{
    ta_job *job;
    int r = ta_job_new(&job, s, input, output, err);
    if (r < 0)
        return r;
    ta_job_on_progress(job, on_progress, w);
    r = ta_job_link(job, w->token, err);
    if (r >= 0)
        r = ta_job_plan(job, err);
    if (r >= 0)
        r = say_planned(w, job, err);
    if (r >= 0)
        r = ta_job_run(job, err);
    ta_job_free(&job);
    return r;
}

static int run_order(worker *w, const ta_message *order, ta_error *err)
{
    ta_settings *s;
    char *input = ta_path_from_wire(order->input), *output = ta_path_from_wire(order->output);
    int r = settings_of(order, &s, err);
    if (r >= 0 && (!input || !output))
        r = ta_no_memory(err);
    if (r >= 0) {
        set_up_log(s);
        r = run_job(w, s, input, output, err);
    }
    ta_settings_free(&s);
    ta_free(input);
    ta_free(output);
    return r;
}

/* The listener may be about to end the process: then this is the last that is done. */
static void finish(worker *w, int code, const ta_error *why)
{
    char text[TA_WORK_MESSAGE_MAX], id[sizeof w->id];
    pthread_mutex_lock(&w->lock);
    memcpy(id, w->id, sizeof id);
    bool ending = w->ending;
    if (!ending) {
        w->id[0] = 0;
        w->end_at = 0;
        ta_cancel_free(&w->token);
    }
    pthread_mutex_unlock(&w->lock);
    while (ending)
        pause();
    say_end(w, id, TA_MIN(code, 0), code < 0 ? ta_error_string(why, text, sizeof text) : "");
}

static void serve_order(worker *w, ta_message *order)
{
    ta_error err = { 0 };
    atomic_store(&w->counting, false);
    w->upscales = false;
    w->last_sum = UINT64_MAX;
    w->shown = 0;
    int r = w->token ? run_order(w, order, &err) : ta_no_memory(&err);
    finish(w, r, &err);
    ta_message_free(order);
}

/* ---- The process ------------------------------------------------------------------------------------------------- */

/* The first order is waited for alone, as confinement must come before any thread. */
static int first_order(worker *w, ta_message *order, ta_error *err)
{
    int r = ta_channel_receive(&w->channel, order, err);
    if (r <= 0 || order->type == TA_MSG_QUIT || order->type == TA_MSG_CANCEL)
        return TA_MIN(r, 0);
    if (order->type != TA_MSG_ORDER)
        return ta_fail(err, TA_ERR_SOFTWARE, "the first message is no order");
    r = confine(w, order, err);
    ta_channel_drop_fds(&w->channel);
    begin(w, order);
    if (r >= 0)
        r = start_listener(w, err);
    if (r < 0) {
        char text[TA_WORK_MESSAGE_MAX];
        say_end(w, order->id, r, ta_error_string(err, text, sizeof text));
    }
    return r < 0 ? r : 1;
}

static bool wait_for_order(worker *w, ta_message *order)
{
    pthread_mutex_lock(&w->lock);
    while (!w->has_next && !w->quit)
        pthread_cond_wait(&w->wake, &w->lock);
    bool has = w->has_next && !w->quit;
    if (has) {
        *order = w->next;
        w->next = (ta_message){ 0 };
        w->has_next = false;
    }
    pthread_mutex_unlock(&w->lock);
    return has;
}

static int serve(worker *w, ta_error *err)
{
    ta_message order = { 0 };
    int r = say(w,
                json_pack("{s:s, s:i, s:s, s:i}", "type", "hello", "protocol", (int)TA_WORK_PROTOCOL, "version",
                          ta_version(), "pid", (int)getpid()),
                true, err);
    if (r >= 0)
        r = first_order(w, &order, err);
    if (r <= 0) {
        ta_message_free(&order);
        return r;
    }
    do {
        serve_order(w, &order);
    } while (wait_for_order(w, &order));
    return 0;
}

/* Descriptor 3 must be what a crew makes of it: nobody types this verb by hand. */
static int check_channel(ta_error *err)
{
    int type = 0;
    socklen_t size = sizeof type;
    if (getsockopt(TA_CHANNEL_FD, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET)
        return fcntl(TA_CHANNEL_FD, F_SETFD, FD_CLOEXEC) < 0
                   ? ta_fail_errno(err, errno, false, "can't use", "the channel")
                   : 0;
    ta_fail(err, TA_ERR_USAGE, "a worker is started by terminalai itself");
    return ta_hint(err, "use `terminalai restore` or `terminalai work`");
}

int ta_worker_main(int argc, char **argv, ta_error *err)
{
    worker w = { .lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER };
    (void)argv;
    if (argc > 0)
        return ta_fail(err, TA_ERR_USAGE, "worker takes no words");
    int r = check_channel(err);
    if (r < 0)
        return r;
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* an owner that is killed leaves no worker behind that holds its jobs' locks */
    signal(SIGPIPE, SIG_IGN);
    r = ta_channel_open(&w.channel, TA_CHANNEL_FD, err);
    if (r >= 0)
        r = serve(&w, err);
    if (w.listens)
        pthread_join(w.listener, NULL); /* it has left as well, or the whole process with it */
    ta_message_free(&w.next);
    ta_cancel_free(&w.token);
    ta_channel_close(&w.channel);
    return r;
}
