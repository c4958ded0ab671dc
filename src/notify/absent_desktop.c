/* Stands for desktop.c where libdbus's headers were missing when the program was built. */
#include "notify/internal.h"

int ta_desktop_show(const char *title, const char *text, int timeout_seconds, ta_error *err)
{
    ta_fail(err, TA_ERR_UNAVAILABLE, "this program was built without libdbus, so it can't reach the desktop");
    return ta_hint(err, "install the package libdbus-1-dev and build again");
}
