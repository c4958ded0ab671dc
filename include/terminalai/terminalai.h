/* TerminalAI: restoration of old video. Includes the whole public API. */
#ifndef TERMINALAI_TERMINALAI_H
#define TERMINALAI_TERMINALAI_H

#include "terminalai/error.h"
#include "terminalai/job.h"
#include "terminalai/settings.h"
#include "terminalai/version.h"

#endif
