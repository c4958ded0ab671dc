/* Version of the program: the project's version from Meson, the commit from git. */
#include "terminalai/version.h"

#include "base/commit.h"

const char *ta_version(void)
{
    return sizeof(TA_COMMIT) > 1 ? TA_VERSION "+g" TA_COMMIT : TA_VERSION;
}

int ta_abi_version(void)
{
    return TA_ABI_VERSION;
}
