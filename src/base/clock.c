/* Clocks. */
#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

static int64_t read_clock(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t ta_now_us(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

int64_t ta_wall_us(void)
{
    return read_clock(CLOCK_REALTIME);
}

int64_t ta_thread_cpu_us(void)
{
    return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

int64_t ta_process_cpu_us(void)
{
    return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

void ta_sleep_us(int64_t us)
{
    struct timespec t;

    if (us <= 0)
        return;
    clock_gettime(CLOCK_MONOTONIC, &t);
    int64_t ns = t.tv_nsec + us % 1000000 * 1000;
    t.tv_sec += us / 1000000 + ns / 1000000000;
    t.tv_nsec = ns % 1000000000;
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
        ;
}

char *ta_print_utc(int64_t wall_us, char *out)
{
    char text[80]; /* for what the compiler thinks possible; 23 characters are the most */
    struct tm tm = { 0 };
    time_t s = wall_us / 1000000 - (wall_us % 1000000 < 0);

    gmtime_r(&s, &tm);
    snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02dZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
             tm.tm_hour, tm.tm_min, tm.tm_sec);
    snprintf(out, 24, "%.23s", text);
    return out;
}
