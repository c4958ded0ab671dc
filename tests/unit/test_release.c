/* Giving memory back: the pages of libraries leave the process (by the kernel's own count) and come back intact. */
#include "base_test.h"

#include "media/media.h"

static int written_here = 1;

/* A line of /proc/self/status, in kB. */
static long status_kb(const char *name)
{
    char line[256];
    long kb = -1;
    FILE *f = fopen("/proc/self/status", "re");
    assert_non_null(f);
    while (kb < 0 && fgets(line, sizeof line, f))
        if (strncmp(line, name, strlen(name)) == 0)
            kb = strtol(line + strlen(name), NULL, 10);
    fclose(f);
    return kb;
}

/* Every encoder's description is read: tables of libavcodec, relocated at start. */
static unsigned sum_of_names(void)
{
    unsigned sum = 0;
    void *at = NULL;
    for (const AVCodec *c = av_codec_iterate(&at); c; c = av_codec_iterate(&at))
        for (const char *s = c->name; *s; s++)
            sum = sum * 31 + (unsigned char)*s;
    return sum;
}

static void library_pages_leave_and_come_back(void **state)
{
    char hex[2][65];
    unsigned names = sum_of_names();
    assert_int_equal(ta_sha256_file("/proc/self/exe", hex[0], NULL, NULL), 0);
    written_here = 42;
    long before = status_kb("RssFile:");
    ta_release_memory();
    long after = status_kb("RssFile:");
    assert_true(before > 0 && after > 0);
    assert_true(after < before * 3 / 4);
    assert_int_equal(written_here, 42);
    assert_int_equal(sum_of_names(), names);
    assert_int_equal(ta_sha256_file("/proc/self/exe", hex[1], NULL, NULL), 0);
    assert_string_equal(hex[0], hex[1]);
}

static void *read_on(void *stop)
{
    unsigned names = sum_of_names();
    while (!atomic_load((atomic_bool *)stop))
        if (sum_of_names() != names)
            return stop;
    return NULL;
}

static void other_threads_go_on(void **state)
{
    atomic_bool stop = false;
    pthread_t t[3];
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&t[i], NULL, read_on, &stop), 0);
    for (int i = 0; i < 50; i++)
        ta_release_memory();
    atomic_store(&stop, true);
    for (int i = 0; i < 3; i++) {
        void *wrong;
        pthread_join(t[i], &wrong);
        assert_null(wrong);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(library_pages_leave_and_come_back),
        cmocka_unit_test(other_threads_go_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
