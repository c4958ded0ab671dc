/* Stands for sender.c where libcurl's headers were missing when the program was built. */
#include "notify/notify.h"

int ta_notifier_open(ta_notifier **n, const ta_notify_config *c, const ta_outbox *outbox, int tries, ta_error *err)
{
    *n = NULL;
    ta_fail(err, TA_ERR_UNAVAILABLE, "this program was built without libcurl, so it can't send notifications");
    return ta_hint(err, "install the package libcurl4-openssl-dev and build again");
}

void ta_notifier_wake(ta_notifier *n)
{
}

void ta_notifier_close(ta_notifier **n, int64_t grace_us)
{
}

void ta_notifier_get_stats(const ta_notifier *n, ta_notifier_stats *s)
{
    *s = (ta_notifier_stats){ 0 };
}
