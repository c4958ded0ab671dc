/* What the verbs metrics and compare share. */
#ifndef TA_CLI_METRICS_H
#define TA_CLI_METRICS_H

#include "compare/compare.h"

/* Reads --start, --end and --align; each may be NULL. */
int ta_cli_pair_options(const char *start, const char *end, const char *align, ta_pair_options *o, ta_error *err);
/* Measures, with a line of progress on a terminal; logs the notes. */
int ta_cli_metrics(ta_metrics *m, const char *a, const char *b, const ta_pair_options *o, ta_error *err);

#endif
