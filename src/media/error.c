/* libav's error numbers as ours. */
#include "media/media.h"

static ta_status status_of(int averror, ta_status otherwise)
{
    switch (averror) {
    case AVERROR(ENOSPC):
    case AVERROR(EDQUOT):
    case AVERROR(ENOMEM):
        return TA_ERR_AGAIN;
    case AVERROR_EXIT:
        return TA_ERR_CANCELLED;
    case AVERROR(EIO):
        return TA_ERR_IO;
    case AVERROR(EACCES):
    case AVERROR(EPERM):
        return TA_ERR_NOPERM;
    default:
        return otherwise;
    }
}

int ta_fail_av(ta_error *err, int averror, ta_status code, const char *fmt, ...)
{
    char reason[AV_ERROR_MAX_STRING_SIZE] = "", text[TA_ERROR_TEXT];
    av_strerror(averror, reason, sizeof reason);
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    ta_status status = status_of(averror, code);
    ta_fail(err, status, "%s: %s", text, reason);
    if (averror == AVERROR(ENOSPC) || averror == AVERROR(EDQUOT))
        ta_hint(err, "free some space on the disk of the output and start again");
    return status;
}
