/* doctor: what fetches from the web. */
#include "cli/doctor.h"

#include "fetch/fetch.h"
#include "net/net.h"

void ta_doctor_web(ta_findings *f)
{
    ta_error err;
    char *path;
    ta_error_clear(&err);
    if (ta_net_library())
        ta_found(f, "web", TA_FOUND_FINE, "libcurl", NULL, "%s", ta_net_library());
    else
        ta_found(f, "web", TA_FOUND_ABSENT, "libcurl", "install the package libcurl4-openssl-dev and build again",
                 "not in this build: no models by address, no notifications");
    if (ta_fetch_downloader(NULL, &path, &err) == 0)
        ta_found(f, "web", TA_FOUND_FINE, "yt-dlp", NULL, "%s", path);
    else
        ta_found(f, "web", TA_FOUND_ABSENT, "yt-dlp", err.hint, "%s", err.text[0]);
    ta_free(path);
}
