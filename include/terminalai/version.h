/* Version of the library and of its ABI. */
#ifndef TERMINALAI_VERSION_H
#define TERMINALAI_VERSION_H

#ifdef __cplusplus
extern "C" {
#endif

#define TA_ABI_VERSION 1

/* "0.1.0", with "+g<commit>" behind it when built from a checkout. Static storage, thread safe. */
const char *ta_version(void);

/* TA_ABI_VERSION of the library that is running. Thread safe. */
int ta_abi_version(void);

#ifdef __cplusplus
}
#endif
#endif
