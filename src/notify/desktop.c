/* The desktop, by the freedesktop.org notification specification over the session's D-Bus. */
#include <dbus/dbus.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "notify/internal.h"

/* libdbus would otherwise try to start a bus by itself. */
static bool has_session(void)
{
    const char *address = getenv("DBUS_SESSION_BUS_ADDRESS"), *runtime = getenv("XDG_RUNTIME_DIR");
    char *socket = runtime ? ta_format("%s/bus", runtime) : NULL;
    bool there = (address && *address) || (socket && access(socket, F_OK) == 0);
    ta_free(socket);
    return there;
}

static bool append(DBusMessageIter *i, const char *title, const char *body)
{
    const char *program = "TerminalAI", *icon = "video-x-generic";
    dbus_uint32_t replaces = 0;
    dbus_int32_t expires = -1;
    DBusMessageIter actions, hints;
    return dbus_message_iter_append_basic(i, DBUS_TYPE_STRING, &program) &&
           dbus_message_iter_append_basic(i, DBUS_TYPE_UINT32, &replaces) &&
           dbus_message_iter_append_basic(i, DBUS_TYPE_STRING, &icon) &&
           dbus_message_iter_append_basic(i, DBUS_TYPE_STRING, &title) &&
           dbus_message_iter_append_basic(i, DBUS_TYPE_STRING, &body) &&
           dbus_message_iter_open_container(i, DBUS_TYPE_ARRAY, "s", &actions) &&
           dbus_message_iter_close_container(i, &actions) &&
           dbus_message_iter_open_container(i, DBUS_TYPE_ARRAY, "{sv}", &hints) &&
           dbus_message_iter_close_container(i, &hints) && dbus_message_iter_append_basic(i, DBUS_TYPE_INT32, &expires);
}

static DBusMessage *make(const char *title, const char *text)
{
    char *body = ta_escape_markup(text); /* the body may be taken as markup */
    DBusMessage *m = dbus_message_new_method_call("org.freedesktop.Notifications", "/org/freedesktop/Notifications",
                                                  "org.freedesktop.Notifications", "Notify");
    DBusMessageIter i;
    bool right = m && body;
    if (right) {
        dbus_message_iter_init_append(m, &i);
        right = append(&i, title, body);
    }
    ta_free(body);
    if (right)
        return m;
    if (m)
        dbus_message_unref(m);
    return NULL;
}

static int call(DBusConnection *bus, const char *title, const char *text, int timeout_seconds, ta_error *err)
{
    DBusError why = DBUS_ERROR_INIT;
    DBusMessage *m = make(title, text);
    if (!m)
        return ta_no_memory(err);
    DBusMessage *answer = dbus_connection_send_with_reply_and_block(bus, m, timeout_seconds * 1000, &why);
    int r = answer ? 0 : ta_fail(err, TA_ERR_AGAIN, "the desktop doesn't show it: %s", why.message ? why.message : "?");
    if (answer)
        dbus_message_unref(answer);
    dbus_message_unref(m);
    dbus_error_free(&why);
    return r;
}

int ta_desktop_show(const char *title, const char *text, int timeout_seconds, ta_error *err)
{
    DBusError why = DBUS_ERROR_INIT;
    if (!has_session()) {
        ta_fail(err, TA_ERR_UNAVAILABLE, "there is no desktop session here (no D-Bus session bus)");
        return ta_hint(err, "run it in a desktop session, or take the channel out of the configuration");
    }
    DBusConnection *bus = dbus_bus_get_private(DBUS_BUS_SESSION, &why);
    if (!bus) {
        ta_fail(err, TA_ERR_AGAIN, "the session's D-Bus can't be reached: %s", why.message ? why.message : "?");
        dbus_error_free(&why);
        return TA_ERR_AGAIN;
    }
    dbus_connection_set_exit_on_disconnect(bus, FALSE);
    int r = call(bus, title, text, timeout_seconds, err);
    dbus_connection_close(bus);
    dbus_connection_unref(bus);
    return r;
}
