/* SIGINT and SIGTERM: the first cancels; the second, or a job that has not ended within its time, unlinks temporary
 * files and ends at once. The one piece of process-wide state of this folder, as signals are. */
#include "cli/cli.h"

#include <signal.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

static _Atomic(ta_cancel *) token;
static atomic_int signals;
/* What can't be interrupted (an encoder's flush, an inference) must not hold up the end for a second. */
static const struct itimerspec patience = { .it_value = { .tv_nsec = 700 * 1000 * 1000 } };
static timer_t deadline;
static atomic_bool has_deadline;

static void end_now(int number)
{
    ta_publish_unlink_all();
    ta_job_folder_unlink_all();
    _exit(ta_exit_code(TA_ERR_CANCELLED));
}

static void on_signal(int number)
{
    ta_cancel *c = atomic_load(&token);
    if (atomic_fetch_add(&signals, 1) > 0 || !c)
        end_now(number);
    if (atomic_load(&has_deadline))
        timer_settime(deadline, 0, &patience, NULL);
    ta_cancel_set(c);
}

ta_cancel *ta_cli_cancel(void)
{
    ta_cancel *made = atomic_load(&token), *none = NULL;
    if (!made && (made = ta_cancel_new(NULL)) && !atomic_compare_exchange_strong(&token, &none, made)) {
        ta_cancel_free(&made); /* another thread was first */
        made = none;
    }
    return made;
}

static void catch (bool with_deadline)
{
    ta_cli_cancel();
    struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    action.sa_handler = end_now;
    sigaction(SIGALRM, &action, NULL);
    struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM };
    if (with_deadline && !atomic_load(&has_deadline) && timer_create(CLOCK_MONOTONIC, &event, &deadline) == 0)
        atomic_store(&has_deadline, true);
    /* a reader that goes away (`| head`) is a write error, not a silent death with temporary files left behind */
    signal(SIGPIPE, SIG_IGN);
}

void ta_cli_catch_signals(void)
{
    catch (true);
}

void ta_cli_catch_signals_calmly(void)
{
    catch (false);
}
