/* The files of a segment: what is written is read again; a byte that changes in a marker or in packets is found,
 * whichever it is; and each allocation that fails is told, loses nothing that was finished and leaves no file behind.
 */
#include "base_test.h"
#include "restore/packet_file.h"
#include "restore/segments.h"

#include <jansson.h>

enum { PACKETS = 20 };

static void fill_packet(AVPacket *pkt, int i)
{
    assert_int_equal(av_new_packet(pkt, 100 + 37 * i), 0);
    for (int k = 0; k < pkt->size; k++)
        pkt->data[k] = (uint8_t)(k * 7 + i);
    pkt->pts = i * 1001 + 3;
    pkt->dts = (i - 2) * 1001;
    pkt->duration = 1001;
    pkt->flags = i % 8 ? 0 : AV_PKT_FLAG_KEY;
    if (i % 3 == 0) {
        uint8_t *side = av_packet_new_side_data(pkt, AV_PKT_DATA_NEW_EXTRADATA, 9);
        assert_non_null(side);
        memset(side, i, 9);
    }
}

static int write_packets(const char *path, ta_segment_done *d, ta_error *err)
{
    ta_packet_file *f = NULL;
    AVPacket *pkt = av_packet_alloc();
    int r = ta_packet_file_create(&f, path, err);
    for (int i = 0; i < PACKETS && r >= 0; i++) {
        fill_packet(pkt, i);
        r = ta_packet_file_write(f, pkt, err);
        av_packet_unref(pkt);
    }
    if (r >= 0)
        r = ta_packet_file_finish(&f, d->sha256, &d->bytes, err);
    ta_packet_file_close(&f);
    av_packet_free(&pkt);
    d->packets = PACKETS;
    return r;
}

static int read_packets(const char *path, ta_error *err)
{
    ta_packet_file *f = NULL;
    AVPacket *pkt = av_packet_alloc(), *want = av_packet_alloc();
    int r = ta_packet_file_open(&f, path, err), i = 0;
    while (r >= 0 && (r = ta_packet_file_read(f, pkt, err)) > 0) {
        fill_packet(want, i++);
        assert_int_equal(pkt->pts, want->pts);
        assert_int_equal(pkt->dts, want->dts);
        assert_int_equal(pkt->duration, want->duration);
        assert_int_equal(pkt->flags, want->flags);
        assert_int_equal(pkt->size, want->size);
        assert_memory_equal(pkt->data, want->data, (size_t)pkt->size);
        assert_int_equal(pkt->side_data_elems, want->side_data_elems);
        if (want->side_data_elems)
            assert_memory_equal(pkt->side_data[0].data, want->side_data[0].data, want->side_data[0].size);
        av_packet_unref(pkt);
        av_packet_unref(want);
    }
    if (r == 0)
        assert_int_equal(i, PACKETS);
    ta_packet_file_close(&f);
    av_packet_free(&pkt);
    av_packet_free(&want);
    return r;
}

/* ---- A job with a folder and nothing else ------------------------------------------------------------------------ */

static ta_job *new_job(void **state)
{
    ta_job *job = ta_alloc(sizeof *job);
    assert_non_null(job);
    assert_int_equal(ta_mkdirs(in(state, "job"), NULL), 0);
    assert_int_equal(ta_job_folder_join(&job->folder, in(state, "job"), true, NULL), 0);
    memset(job->plan_hash, 'a', 64);
    return job;
}

static void free_job(ta_job **job)
{
    ta_job_folder_close(&(*job)->folder, true);
    ta_freep(job);
}

static void set_stream(ta_segment_done *d)
{
    AVCodecParameters *p = d->stream.par = avcodec_parameters_alloc();
    assert_non_null(p);
    p->codec_type = AVMEDIA_TYPE_VIDEO;
    p->codec_id = AV_CODEC_ID_H264;
    p->width = 720;
    p->height = 480;
    p->format = AV_PIX_FMT_YUV420P10;
    p->profile = 110;
    p->sample_aspect_ratio = (AVRational){ 10, 11 };
    p->extradata_size = 40;
    p->extradata = av_mallocz(40 + AV_INPUT_BUFFER_PADDING_SIZE);
    for (int i = 0; i < 40; i++)
        p->extradata[i] = (uint8_t)(i * 13);
    d->stream.time_base = (AVRational){ 1, 90000 };
    d->stream.frame_rate = (AVRational){ 60000, 1001 };
}

static int make_segment(ta_job *job, ta_error *err)
{
    ta_segment_done d = { .result = { .frames_in = 11, .frames_out = 22, .first_us = -5, .last_us = 99 } };
    char *path = ta_segment_path(job, 3);
    set_stream(&d);
    snprintf(d.result.timecode, sizeof d.result.timecode, "01:02:03;04");
    int r = path ? write_packets(path, &d, err) : ta_no_memory(err);
    if (r >= 0)
        r = ta_segment_mark(job, 3, &d, err);
    ta_segment_done_free(&d);
    ta_free(path);
    return r;
}

static void expect_done(const ta_segment_done *d)
{
    assert_int_equal(d->result.frames_in, 11);
    assert_int_equal(d->result.frames_out, 22);
    assert_int_equal(d->result.first_us, -5);
    assert_int_equal(d->result.last_us, 99);
    assert_string_equal(d->result.timecode, "01:02:03;04");
    assert_int_equal(d->packets, PACKETS);
    assert_int_equal(d->stream.par->width, 720);
    assert_int_equal(d->stream.par->profile, 110);
    assert_int_equal(d->stream.par->sample_aspect_ratio.den, 11);
    assert_int_equal(d->stream.par->extradata_size, 40);
    assert_int_equal(d->stream.par->extradata[39], (uint8_t)(39 * 13));
    assert_int_equal(d->stream.time_base.den, 90000);
}

/* ---- Tests ---------------------------------------------------------------------------------------------------------
 */

static void written_is_read(void **state)
{
    ta_job *job = new_job(state);
    ta_segment_done d;
    assert_int_equal(ta_segment_is_done(job, 3, &d), 0);
    assert_int_equal(make_segment(job, NULL), 0);
    assert_int_equal(read_packets(in(state, "job/segment-00003.packets"), NULL), 0);
    assert_int_equal(ta_segment_check(job, 3, NULL, &d, NULL), 1);
    expect_done(&d);
    ta_segment_done_free(&d);
    assert_int_equal(ta_segment_is_done(job, 2, &d), 0);
    job->plan_hash[0] = 'b';
    assert_int_equal(ta_segment_is_done(job, 3, &d), 0);
    free_job(&job);
}

/* Each byte of a file gets another value: the segment is as it was (white space of the marker) or not done. */
static void check_each_byte(void **state, const char *name, size_t step)
{
    char *data;
    size_t size;
    ta_job *job = new_job(state);
    assert_int_equal(make_segment(job, NULL), 0);
    assert_int_equal(ta_read_file(in(state, name), 1 << 20, &data, &size, NULL), 0);
    int found = 0, tried = 0;
    for (size_t i = 0; i < size; i += step, tried++) {
        ta_segment_done d;
        assert_int_equal(make_segment(job, NULL), 0);
        data[i] ^= 1;
        assert_int_equal(ta_write_file(in(state, name), data, size, true, NULL), 0);
        data[i] ^= 1;
        int r = ta_segment_check(job, 3, NULL, &d, NULL);
        found += r == 0;
        if (r)
            expect_done(&d);
        ta_segment_done_free(&d);
    }
    assert_true(found > tried * 3 / 4);
    ta_free(data);
    free_job(&job);
}

static void a_changed_byte_is_found(void **state)
{
    ta_log_setup(TA_LOG_ERROR, false);
    check_each_byte(state, "job/segment-00003.done", 3);
    check_each_byte(state, "job/segment-00003.packets", 397);
}

static int write_sealed(const char *path, ta_error *err)
{
    return ta_sealed_write(path, json_pack("{s:i}", "a", 1), err);
}

static void failing_allocations(void **state)
{
    ta_error err = { 0 };
    ta_segment_done d;
    ta_job *job = new_job(state);
    ta_alloc_fail_at(0);
    assert_int_equal(make_segment(job, NULL), 0);
    uint64_t n = ta_alloc_fail_at(0);
    assert_true(n > 10);
    for (uint64_t k = 1; k <= n; k++) {
        ta_error_clear(&err);
        ta_alloc_fail_at(k);
        int r = make_segment(job, &err);
        ta_alloc_fail_at(0);
        assert_true(r == TA_ERR_AGAIN || r == 0);
        assert_int_equal(err.code, r);
        assert_true(entries(in(state, "job")) <= 3); /* lock, packets, marker */
        assert_int_equal(make_segment(job, NULL), 0);
        /* While it is looked at: not done or done, never thrown away. */
        ta_alloc_fail_at(k);
        r = ta_segment_check(job, 3, NULL, &d, &err);
        ta_alloc_fail_at(0);
        assert_true(r == TA_ERR_AGAIN || r == 0 || r == 1);
        ta_segment_done_free(&d);
        assert_int_equal(ta_segment_check(job, 3, NULL, &d, NULL), 1);
        expect_done(&d);
        ta_segment_done_free(&d);
        ta_alloc_fail_at(k);
        r = read_packets(in(state, "job/segment-00003.packets"), &err);
        ta_alloc_fail_at(0);
        assert_true(r == TA_ERR_AGAIN || r == 0);
        ta_alloc_fail_at(k);
        r = write_sealed(in(state, "job/sealed"), &err);
        ta_alloc_fail_at(0);
        assert_true(r == TA_ERR_AGAIN || r == 0);
        unlink(in(state, "job/sealed"));
    }
    free_job(&job);
}

/* A plan as a document: named the same whatever its place, and read back. */
static void plans(void **state)
{
    char a[65], b[65];
    ta_error err = { 0 };
    ta_job *job = new_job(state);
    json_t *plan =
        json_pack("{s:{s:s, s:i}, s:s, s:[i,i]}", "source", "path", "/a", "bytes", 5, "output", "/x", "segments", 1, 2);
    assert_int_equal(ta_plan_hash(plan, a, NULL), 0);
    json_object_set_new(json_object_get(plan, "source"), "path", json_string("/elsewhere"));
    json_object_set_new(plan, "output", json_string("/y"));
    assert_int_equal(ta_plan_hash(plan, b, NULL), 0);
    assert_string_equal(a, b);
    assert_false(ta_plan_is_there(job->folder));
    assert_int_equal(ta_plan_write_back(job->folder, plan, NULL), 0);
    assert_true(ta_plan_is_there(job->folder));
    for (uint64_t k = 1; k <= 40; k++) {
        json_t *again = NULL;
        ta_error_clear(&err);
        ta_alloc_fail_at(k);
        int w = ta_plan_write_back(job->folder, plan, &err);
        ta_alloc_fail_at(k);
        int r = ta_plan_read(job->folder, &again, &err);
        ta_alloc_fail_at(k);
        int h = ta_plan_hash(plan, b, &err);
        ta_alloc_fail_at(0);
        assert_true((w == 0 || w == TA_ERR_AGAIN) && (r == 0 || r == TA_ERR_AGAIN) && (h == 0 || h == TA_ERR_AGAIN));
        assert_true(r ? !again : json_equal(plan, again));
        json_decref(again);
    }
    json_object_set_new(plan, "segments", json_integer(7));
    assert_int_equal(ta_plan_hash(plan, b, NULL), 0);
    assert_string_not_equal(a, b);
    json_decref(plan);
    free_job(&job);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(written_is_read),
        SCRATCH_TEST(a_changed_byte_is_found),
        SCRATCH_TEST(failing_allocations),
        SCRATCH_TEST(plans),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
