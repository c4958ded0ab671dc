/* Stands for download.c where libcurl's headers were missing when the program was built. */
#include "net/net.h"

int ta_net_download(const ta_download *d, ta_error *err)
{
    ta_fail(err, TA_ERR_UNAVAILABLE, "this program was built without libcurl, so it can't fetch files from the web");
    return ta_hint(err, "install the package libcurl4-openssl-dev and build again");
}

const char *ta_net_library(void)
{
    return NULL;
}
