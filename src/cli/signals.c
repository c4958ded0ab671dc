/* SIGINT and SIGTERM: the first cancels, the second unlinks temporary files and ends at once. The one piece of
 * process-wide state of this folder, as signals are. */
#include "cli/cli.h"

#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

static _Atomic(ta_cancel *) token;
static atomic_int signals;

static void on_signal(int number)
{
    ta_cancel *c = atomic_load(&token);
    if (atomic_fetch_add(&signals, 1) == 0 && c) {
        ta_cancel_set(c);
        return;
    }
    ta_publish_unlink_all();
    _exit(ta_exit_code(TA_ERR_CANCELLED));
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

void ta_cli_catch_signals(void)
{
    ta_cli_cancel();
    struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    /* a reader that goes away (`| head`) is a write error, not a silent death with temporary files left behind */
    signal(SIGPIPE, SIG_IGN);
}
