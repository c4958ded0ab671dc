/* libav's log as a source of ours. Private to base. */
#ifndef TA_BASE_LOG_AV_H
#define TA_BASE_LOG_AV_H

/* Makes libav log through ta_log. Thread safe, may be repeated. */
void ta_log_route_libav(void);

#endif
