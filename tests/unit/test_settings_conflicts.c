/* Contradictions between settings: each is refused with what to do, its neighbour that makes sense is not; values
 * without effect are remarked on. */
#include "settings_test.h"

/* Sets "name=value name=value" from the command line. */
static ta_settings *settings_of(const char *words)
{
    ta_settings *s = ta_settings_new();
    char *copy = strdup(words), *rest = NULL;
    for (char *w = strtok_r(copy, " ", &rest); w; w = strtok_r(NULL, " ", &rest)) {
        char *value = strchr(w, '=');
        *value++ = 0;
        set(s, w, value, TA_FROM_COMMAND_LINE);
    }
    free(copy);
    return s;
}

static void refused(const char *words, const char *says)
{
    ta_error err = { 0 };
    ta_settings *s = settings_of(words);
    int r = ta_settings_resolve(s, NULL, &err);
    if (r != TA_ERR_USAGE)
        print_error("not refused: %s\n", words);
    assert_int_equal(r, TA_ERR_USAGE);
    assert_true(*err.hint);
    assert_says(&err, says);
    ta_settings_free(&s);
}

/* Accepted, with these words among the warnings, or without any (NULL). */
static void accepted(const char *words, const char *warning)
{
    ta_error err = { 0 };
    char *warnings = NULL;
    ta_settings *s = settings_of(words);
    if (ta_settings_resolve(s, &warnings, &err) < 0 || (!warning && warnings))
        print_error("%s: %s %s\n", words, err.code ? said(&err) : "", warnings ? warnings : "");
    assert_int_equal(err.code, 0);
    if (warning) {
        assert_non_null(warnings);
        assert_non_null(strstr(warnings, warning));
    } else {
        assert_null(warnings);
    }
    ta_settings_free_text(warnings);
    ta_settings_free(&s);
}

static void test_sound(void **state)
{
    refused("audio-layout=7.1 audio-codec=ac3", "audio-layout 5.1");
    refused("audio-layout=7.1 audio-codec=eac3", "7.1");
    refused("audio-layout=7.1 audio-codec=dts", "flac");
    accepted("audio-layout=5.1 audio-codec=ac3", NULL);
    accepted("audio-layout=7.1 audio-codec=aac", NULL);
    refused("limiter=yes", "--normalize");
    accepted("limiter=yes normalize=yes", NULL);
    refused("audio-codec=copy audio-enhance=voice", "audio-enhance voice");
    refused("audio-codec=copy normalize=yes", "normalize yes");
    refused("audio-codec=copy audio-layout=mono", "audio-layout mono");
    refused("audio-codec=copy audio-drift=20", "audio-drift 20");
    refused("audio-codec=copy channel-fix=left", "channel-fix left");
    accepted("audio-codec=copy audio-shift=-40", NULL);
    accepted("audio-codec=flac audio-bitrate=320k", "audio-bitrate has no effect");
    accepted("upmix=simple", "audio-layout is 5.1 or 7.1");
    accepted("loudness=-23", "normalize is yes");
}

/* A preset's sound work gives way to copy, and that is said. */
static void test_copy_over_preset(void **state)
{
    char *warnings = NULL;
    put_file(in(state, "p.yaml"), "settings:\n  audio-enhance: voice\n  normalize: yes\n");
    ta_settings *s = ta_settings_new();
    set(s, "preset", in(state, "p.yaml"), TA_FROM_COMMAND_LINE);
    set(s, "audio-codec", "copy", TA_FROM_COMMAND_LINE);
    assert_int_equal(ta_settings_resolve(s, &warnings, NULL), 0);
    assert_value(s, "audio-enhance", "none");
    assert_value(s, "normalize", "no");
    assert_non_null(strstr(warnings, "audio-enhance voice"));
    assert_non_null(strstr(warnings, "p.yaml:2"));
    ta_settings_free_text(warnings);
    ta_settings_free(&s);
}

static void test_times(void **state)
{
    refused("start=10 end=10", "behind");
    refused("start=10 end=9", "behind");
    refused("end=0", "behind");
    accepted("start=10 end=10.001", NULL);
    refused("preview=10s@1:00 start=5", "--preview");
    refused("preview=10s@1:00 end=5", "--preview");
    accepted("preview=10s@1:00", NULL);
}

static void test_containers(void **state)
{
    refused("container=webm audio-codec=opus", "libsvtav1");
    refused("container=webm encoder=libsvtav1", "opus");
    accepted("container=webm encoder=libsvtav1 audio-codec=opus", NULL);
    refused("container=mp4 encoder=ffv1", "mkv");
    accepted("container=mov encoder=ffv1", NULL);
    refused("container=mp4 audio-codec=pcm", "mkv");
    accepted("container=mov audio-codec=pcm", NULL);
    refused("container=mov audio-codec=flac", "pcm");
    refused("container=mov audio-codec=opus", "mp4");
    refused("container=mov encoder=libsvtav1", "mp4");
    accepted("container=mkv encoder=ffv1 audio-codec=dts", NULL);
    accepted("preset=archive container=mov audio-codec=pcm", NULL);
}

static void test_picture(void **state)
{
    refused("ivtc=on vfr=yes", "no-vfr");
    accepted("ivtc=on deinterlace=off", NULL);
    accepted("vfr=yes field-rate=single", NULL);
    accepted("vfr=yes deinterlace=off", "vfr has no effect");
    refused("denoise=hqdn3d denoise-strength=1:2:3:4:5", "up to 4");
    refused("denoise=atadenoise denoise-strength=0.4", "0 to 0.3");
    refused("denoise=atadenoise denoise-strength=0.1:0.2:0.1:0.2:0.1:0.2:8", "odd");
    accepted("denoise=atadenoise denoise-strength=0.1:0.2:0.1:0.2:0.1:0.2:9", NULL);
    refused("denoise=nlmeans denoise-strength=0.5", "1 to 30");
    accepted("denoise=nlmeans denoise-strength=3:7:5:9:7", NULL);
    accepted("denoise-strength=strong", "denoise is not off");
    accepted("lut-strength=0.5", "lut is given");
    accepted("lut=none lut-strength=0.5", "lut is given");
    accepted("lut=vhs_restore lut-strength=0.5", NULL);
}

static void test_encoders(void **state)
{
    refused("encoder=ffv1 crf=20", "lossless");
    accepted("encoder=ffv1", NULL);
    refused("encoder=libx264 crf=52", "0 to 51");
    accepted("encoder=libsvtav1 crf=52", NULL);
    refused("hdr=hdr10 bit-depth=8", "--bit-depth 10");
    refused("hdr=hlg encoder=h264_nvenc", "hevc");
    refused("bit-depth=10 encoder=h264_vaapi", "10 bits");
    accepted("bit-depth=10 encoder=libx264", NULL);
    accepted("hdr=hdr10 encoder=libx265", NULL);
    accepted("hdr-peak=600", "hdr is hdr10");
    refused("encoder-preset=mediun", "did you mean 'medium'?");
    refused("encoder=libsvtav1 encoder-preset=slow", "0, 1, 2");
    accepted("encoder=libsvtav1 encoder-preset=6", NULL);
    refused("encoder=hevc_nvenc encoder-preset=p8", "did you mean 'p");
    refused("encoder=ffv1 encoder-preset=slow", "no presets");
    refused("encoder=h264_vaapi encoder-preset=slow", "no presets");
    accepted("encoder-preset=slow quality=fast", "quality has no effect");
}

/* A crf kept in a file for all jobs does not stand in the way of a lossless one. */
static void test_files_are_for_all_jobs(void **state)
{
    char *warnings = NULL;
    ta_settings *s = ta_settings_new();
    set(s, "crf", "20", TA_FROM_USER_FILE);
    set(s, "loudness", "-23", TA_FROM_USER_FILE);
    set(s, "preset", "archive", TA_FROM_COMMAND_LINE);
    assert_int_equal(ta_settings_resolve(s, &warnings, NULL), 0);
    assert_null(warnings);
    ta_settings_free(&s);
}

/* A resolved job, as JSON, resolves again to the same values without a complaint, for every preset: nobody chose its
 * values one by one, so those without effect are no mistake. */
static void test_documents(void **state)
{
    ta_preset_info *list;
    size_t count;
    assert_int_equal(ta_presets_list(&list, &count, NULL), 0);
    for (size_t i = 0; i < count; i++) {
        if (list[i].refused)
            continue;
        char *warnings = NULL;
        ta_settings *s = ta_settings_new(), *again = ta_settings_new();
        set(s, "preset", list[i].name, TA_FROM_COMMAND_LINE);
        assert_int_equal(ta_settings_resolve(s, NULL, NULL), 0);
        char *json = ta_settings_json(s, true);
        assert_int_equal(ta_settings_from_json(again, json, TA_FROM_COMMAND_LINE, NULL), 0);
        assert_int_equal(ta_settings_resolve(again, &warnings, NULL), 0);
        char *twice = ta_settings_json(again, true);
        assert_string_equal(json, twice);
        assert_true(!warnings || !strstr(warnings, "no effect"));
        ta_settings_free_text(warnings);
        ta_free(json);
        ta_free(twice);
        ta_settings_free(&s);
        ta_settings_free(&again);
    }
    ta_presets_free(&list, count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SETTINGS_TEST(test_sound),     SETTINGS_TEST(test_copy_over_preset),
        SETTINGS_TEST(test_times),     SETTINGS_TEST(test_containers),
        SETTINGS_TEST(test_picture),   SETTINGS_TEST(test_encoders),
        SETTINGS_TEST(test_documents), SETTINGS_TEST(test_files_are_for_all_jobs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
