/* The desktop's notification, caught by a service that this test puts on a session bus of its own. */
#include <dbus/dbus.h>

#include "notify/internal.h"

#include "base_test.h"
#include <sys/prctl.h>

typedef struct service {
    DBusConnection *bus;
    char title[200], text[200], program[64];
    bool silent;
    atomic_int calls;
    atomic_int stop;
} service;

static pid_t daemon_pid;

static int start_bus(void **state)
{
    char *words[] = { (char *)"dbus-daemon", (char *)"--session", (char *)"--nofork", (char *)"--print-address=1",
                      NULL };
    int ends[2];
    char address[300];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    daemon_pid = fork();
    if (!daemon_pid) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        dup2(ends[1], 1);
        execvp(words[0], words);
        _exit(127);
    }
    close(ends[1]);
    FILE *f = fdopen(ends[0], "r");
    assert_non_null(fgets(address, sizeof address, f));
    address[strcspn(address, "\n")] = '\0';
    setenv("DBUS_SESSION_BUS_ADDRESS", address, 1);
    *state = f;
    return 0;
}

static int stop_bus(void **state)
{
    int status;
    kill(daemon_pid, SIGTERM);
    waitpid(daemon_pid, &status, 0);
    fclose(*state);
    return 0;
}

static void answer(service *s, DBusMessage *m)
{
    const char *program, *icon, *title, *text;
    dbus_uint32_t replaces, id = 5;
    assert_true(dbus_message_get_args(m, NULL, DBUS_TYPE_STRING, &program, DBUS_TYPE_UINT32, &replaces,
                                      DBUS_TYPE_STRING, &icon, DBUS_TYPE_STRING, &title, DBUS_TYPE_STRING, &text,
                                      DBUS_TYPE_INVALID));
    assert_string_equal(dbus_message_get_signature(m), "susssasa{sv}i");
    snprintf(s->title, sizeof s->title, "%s", title);
    snprintf(s->text, sizeof s->text, "%s", text);
    snprintf(s->program, sizeof s->program, "%s", program);
    if (s->silent)
        return;
    DBusMessage *reply = dbus_message_new_method_return(m);
    dbus_message_append_args(reply, DBUS_TYPE_UINT32, &id, DBUS_TYPE_INVALID);
    dbus_connection_send(s->bus, reply, NULL);
    dbus_connection_flush(s->bus);
    dbus_message_unref(reply);
}

static void *serve(void *opaque)
{
    service *s = opaque;
    while (!atomic_load(&s->stop)) {
        dbus_connection_read_write(s->bus, 20);
        for (DBusMessage *m; (m = dbus_connection_pop_message(s->bus)); dbus_message_unref(m))
            if (dbus_message_is_method_call(m, "org.freedesktop.Notifications", "Notify")) {
                answer(s, m);
                atomic_fetch_add(&s->calls, 1);
            }
    }
    return NULL;
}

static pthread_t offer(service *s)
{
    s->bus = dbus_bus_get_private(DBUS_BUS_SESSION, NULL);
    assert_non_null(s->bus);
    dbus_connection_set_exit_on_disconnect(s->bus, FALSE);
    assert_int_equal(dbus_bus_request_name(s->bus, "org.freedesktop.Notifications", 0, NULL),
                     DBUS_REQUEST_NAME_REPLY_PRIMARY_OWNER);
    return start(serve, s);
}

static void withdraw(service *s, pthread_t thread)
{
    atomic_store(&s->stop, 1);
    pthread_join(thread, NULL);
    dbus_connection_close(s->bus);
    dbus_connection_unref(s->bus);
}

static void it_is_shown(void **state)
{
    service s = { 0 };
    pthread_t thread = offer(&s);
    assert_int_equal(ta_desktop_show("Käse.mpg: done", "a <b> & c", 5, NULL), 0);
    withdraw(&s, thread);
    assert_int_equal(s.calls, 1);
    assert_string_equal(s.title, "Käse.mpg: done");
    assert_string_equal(s.text, "a &lt;b&gt; &amp; c");
    assert_string_equal(s.program, "TerminalAI");
}

static void a_desktop_that_hangs(void **state)
{
    service s = { .silent = true };
    pthread_t thread = offer(&s);
    int64_t begun = ta_now_us();
    assert_int_equal(ta_desktop_show("a", "b", 1, NULL), TA_ERR_AGAIN);
    assert_true(ta_now_us() - begun < 3000000);
    withdraw(&s, thread);
}

static void no_desktop(void **state)
{
    ta_error err;
    assert_int_equal(ta_desktop_show("a", "b", 1, &err), TA_ERR_AGAIN); /* a bus, and nobody who shows anything */
    char *address = strdup(getenv("DBUS_SESSION_BUS_ADDRESS"));
    setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent", 1);
    assert_int_equal(ta_desktop_show("a", "b", 1, &err), TA_ERR_AGAIN);
    unsetenv("DBUS_SESSION_BUS_ADDRESS");
    setenv("XDG_RUNTIME_DIR", "/nonexistent", 1);
    assert_int_equal(ta_desktop_show("a", "b", 1, &err), TA_ERR_UNAVAILABLE);
    setenv("DBUS_SESSION_BUS_ADDRESS", address, 1);
    free(address);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(it_is_shown), cmocka_unit_test(a_desktop_that_hangs),
                                        cmocka_unit_test(no_desktop) };
    return cmocka_run_group_tests(tests, start_bus, stop_bus);
}
