/* Sound in pieces: what the joins sound like beside a run in one go (the oracle), and that a run that was killed,
 * stopped by a full disk or found its files damaged ends with the same bytes as one that was not. */
#include "base_test.h"
#include "restore/sound_pieces.h"
#include "sound_kit.h"

#include <libavformat/avformat.h>
#include <sys/resource.h>

/* ---- The source: Matroska with PCM tracks that differ ------------------------------------------------------------ */

/* Somebody speaks on a worn tape: bursts of noise and tone, loud and quiet stretches, hiss. */
static void speak(sig *s, uint32_t seed)
{
    double level = 0, burst = 0;
    for (int c = 0; c < s->layout.nb_channels; c++) {
        sig_noise(s, c, -20, seed + (uint32_t)c);
        for (int64_t i = 0; i < s->n; i++) {
            double t = (double)i / s->rate;
            if (i % 64 == 0) {
                level = 0.3 + 0.7 * fabs(sin(t * 0.37 + seed));
                burst = sin(2 * M_PI * 2.3 * t) > -0.3 ? 1 : 0.02;
            }
            s->x[c][i] = level * burst * (s->x[c][i] + 0.15 * sin(2 * M_PI * 440 * t) + 0.1 * sin(2 * M_PI * 3100 * t));
        }
        sig_noise(s, c, -55, seed + 77 + (uint32_t)c);
    }
}

/* Takes out what is near half the rate: the mean of neighbours, four times. */
static void soften(sig *s)
{
    for (int c = 0; c < s->layout.nb_channels; c++)
        for (int round = 0; round < 4; round++)
            for (int64_t i = s->n - 1; i > 0; i--)
                s->x[c][i] = (s->x[c][i] + s->x[c][i - 1]) / 2;
}

typedef struct hole {
    double at, seconds; /* the times jump there; negative: back */
} hole;

static void write_sound(AVFormatContext *ctx, const sig *s, int stream, int64_t from, int count, hole h)
{
    AVPacket *pkt = av_packet_alloc();
    AVFrame *f = sig_frame(s, from, count, AV_SAMPLE_FMT_S16, 0);
    int64_t jump = from >= h.at * s->rate ? llrint(h.seconds * s->rate) : 0;
    int size = count * 2 * s->layout.nb_channels;
    assert_int_equal(av_new_packet(pkt, size), 0);
    memcpy(pkt->data, f->data[0], (size_t)size);
    pkt->stream_index = stream;
    pkt->pts = pkt->dts = av_rescale_q(from + jump, (AVRational){ 1, s->rate }, ctx->streams[stream]->time_base);
    pkt->duration = av_rescale_q(count, (AVRational){ 1, s->rate }, ctx->streams[stream]->time_base);
    assert_true(av_interleaved_write_frame(ctx, pkt) >= 0);
    av_packet_free(&pkt);
    av_frame_free(&f);
}

static void write_source(const char *path, sig *const *tracks, int count, hole h)
{
    AVFormatContext *ctx = NULL;
    assert_true(avformat_alloc_output_context2(&ctx, NULL, "matroska", path) >= 0);
    ctx->flags |= AVFMT_FLAG_BITEXACT;
    for (int i = 0; i < count; i++) {
        AVCodecParameters *p = avformat_new_stream(ctx, NULL)->codecpar;
        p->codec_type = AVMEDIA_TYPE_AUDIO;
        p->codec_id = AV_CODEC_ID_PCM_S16LE;
        p->sample_rate = tracks[i]->rate;
        p->ch_layout = tracks[i]->layout;
        p->format = AV_SAMPLE_FMT_S16;
        p->bits_per_coded_sample = 16;
    }
    assert_true(avio_open(&ctx->pb, path, AVIO_FLAG_WRITE) >= 0);
    assert_true(avformat_write_header(ctx, NULL) >= 0);
    for (int64_t at = 0; at < tracks[0]->n; at += 1536)
        for (int i = 0; i < count; i++)
            if (at < tracks[i]->n)
                write_sound(ctx, tracks[i], i, at, (int)TA_MIN(1536, tracks[i]->n - at), h);
    assert_int_equal(av_write_trailer(ctx), 0);
    avio_closep(&ctx->pb);
    avformat_free_context(ctx);
}

/* A track of speech, and where asked for another behind it. */
static void make_source(const char *path, int rate, const char *layout, int64_t samples, bool soft, bool second, hole h)
{
    sig *tracks[] = { sig_new(rate, layout, samples), second ? sig_new(rate, "mono", samples) : NULL };
    speak(tracks[0], 5);
    if (soft)
        soften(tracks[0]);
    if (second)
        speak(tracks[1], 99);
    write_source(path, tracks, second ? 2 : 1, h);
    sig_free(tracks[0]);
    if (second)
        sig_free(tracks[1]);
}

/* ---- Jobs that are only a side pass ------------------------------------------------------------------------------ */

/* `chain`: a filter graph instead of the planned stages, NULL: as planned. */
static ta_job *plan_job(const char *input, const char *output, const char *settings, const char *chain, double piece)
{
    ta_job *job = NULL;
    ta_error err = { 0 };
    ta_settings *s = kit_settings(settings);
    assert_ok(ta_job_new(&job, s, input, output, &err), &err);
    ta_settings_free(&s);
    assert_ok(ta_job_plan(job, &err), &err);
    assert_ok(ta_job_folder_open(&job->folder, output, NULL, &err), &err);
    job->space.folder = ta_strdup(ta_job_folder_path(job->folder));
    job->durable = piece > 0;
    job->sound_piece_seconds = piece;
    if (chain) {
        ta_chain_free(&job->tracks[0].chain);
        assert_int_equal(ta_chain_add(&job->tracks[0].chain, ta_stage_new(&ta_filter_stage, "test", chain)), 0);
    }
    return job;
}

static int run_side(ta_job *job, ta_error *err)
{
    ta_edge *ready[2];
    job->flow = ta_flow_new(job->cancel);
    for (int i = 0; i < 2; i++)
        ready[i] = ta_flow_packets(job->flow, 1, 0);
    if (!job->durable && !job->copied)
        assert_ok(ta_spool_new(&job->copied, "unused", 1 << 24, err), err);
    int r = ta_side_node(job, ready, 2, err);
    if (r >= 0)
        r = ta_flow_run(job->flow, err);
    ta_job_free_nodes(job);
    return r;
}

static void end_job(ta_job **job, bool keep)
{
    ta_job_folder_close(&(*job)->folder, keep);
    ta_job_free(job);
}

static ta_job *run_job(const char *input, const char *output, const char *settings, const char *chain, double piece)
{
    ta_error err = { 0 };
    ta_job *job = plan_job(input, output, settings, chain, piece);
    assert_ok(run_side(job, &err), &err);
    return job;
}

static sig *read_track(ta_job *job)
{
    ta_error err = { 0 };
    sig *s = sig_empty();
    ta_track *t = &job->tracks[0];
    for (AVFrame *f; s->n < t->samples;) {
        assert_ok(ta_track_read(t, s->n, &f, &err), &err);
        sig_append(s, f);
        av_frame_free(&f);
    }
    return s;
}

/* RMS of the difference, all channels, in dBFS. */
static double difference(const sig *a, const sig *b, int64_t from, int64_t to)
{
    double sum = 0;
    from = TA_MAX(from, 0);
    to = TA_MIN(to, TA_MIN(a->n, b->n));
    for (int c = 0; c < a->layout.nb_channels; c++)
        for (int64_t i = from; i < to; i++)
            sum += (a->x[c][i] - b->x[c][i]) * (a->x[c][i] - b->x[c][i]);
    return kit_db(sqrt(sum / (double)(to - from) / a->layout.nb_channels));
}

/* ---- Joins ---------------------------------------------------------------------------------------------------------
 */

typedef struct join {
    const char *settings, *chain, *layout;
    int rate, rate_out;
    double most; /* dBFS, in the second around a join */
    bool soft;   /* nothing near half the rate */
} join;

/* The worst second around a join, and the worst second anywhere. */
static void compare_joins(void **state, const join *j, double seconds, double piece)
{
    const char *input = in(state, "in.mkv");
    make_source(input, j->rate, j->layout, llrint(seconds * j->rate), j->soft, false, (hole){ 0 });
    ta_job *whole = run_job(input, in(state, "whole.mka"), j->settings, j->chain, 0);
    ta_job *pieces = run_job(input, in(state, "pieces.mka"), j->settings, j->chain, piece);
    sig *a = read_track(whole), *b = read_track(pieces);
    double worst = -240;
    assert_int_equal(a->rate, j->rate_out);
    assert_int_equal(b->rate, j->rate_out);
    assert_int_equal(a->n, b->n);
    for (int64_t k = 1; k * piece < seconds; k++) {
        int64_t at = llrint((double)k * piece * (double)a->n / seconds);
        worst = TA_MAX(worst, difference(a, b, at - a->rate / 2, at + a->rate / 2));
    }
    double all = difference(a, b, 0, a->n);
    print_message("%s %s, %s, %d Hz: joins %.1f dBFS, all %.1f dBFS\n", j->settings, j->chain ? j->chain : "",
                  j->layout, j->rate, worst, all);
    assert_true(worst <= j->most);
    assert_true(all <= j->most);
    sig_free(a);
    sig_free(b);
    end_job(&whole, false);
    end_job(&pieces, false);
}

/* Clean-up chains, drifts, changes of rate, up-mixes. Measured: exact but for rounding, as the windows of all filters
 * fall on the same places and everything is forgotten within the warm-up. A drift of an odd fraction along with a
 * change of rate starts up to 1/100000 of a sample beside, and folds what is within 2 % of half the rate (-60 dBFS of
 * white noise, nothing of a tape) another way. */
static void joins(void **state)
{
    static const join all[] = {
        { "audio-codec=flac", NULL, "stereo", 48000, 48000, -200 },
        { "audio-codec=flac", "aresample=osf=dblp,highpass=f=80,equalizer=f=3000:t=q:w=1:g=2,aresample=osf=flt", "mono",
          48000, 48000, -140 },
        { "audio-codec=flac audio-enhance=voice", NULL, "mono", 32000, 32000, -140 },
        { "audio-codec=flac audio-enhance=report-moderate", NULL, "mono", 44100, 44100, -120 },
        { "audio-codec=flac audio-layout=5.1 upmix=surround audio-enhance=music", NULL, "mono", 32000, 32000, -120 },
        { "audio-codec=opus", NULL, "mono", 44100, 48000, -140 },
        { "audio-codec=flac audio-drift=-57", NULL, "mono", 32000, 32000, -140 },
        { "audio-codec=opus audio-drift=123.4", NULL, "mono", 44100, 48000, -90, true },
        { "audio-codec=flac declip=on declick=on dehum=60", NULL, "mono", 22050, 22050, -140 },
    };
    for (size_t i = 0; i < TA_COUNT(all); i++)
        compare_joins(state, &all[i], 25.3, 12.1);
}

/* A recurrent network never forgets to the bit: what 20 s of warm-up leave is a little gain here and there, under the
 * hiss of any tape. */
static void joins_of_a_denoiser(void **state)
{
    char settings[400];
    const char *weights = kit_shared("models/sh.rnnn");
    if (!weights)
        skip();
    snprintf(settings, sizeof settings, "audio-codec=flac speech-denoise=rnnoise speech-guard=off speech-model=%s",
             weights);
    join j = { settings, NULL, "mono", 44100, 44100, -55 };
    compare_joins(state, &j, 25.3, 12.1);
}

/* The same of a model of the test's store. Measured with 20 s of warm-up on noise, for which its memory is longest. */
static void joins_of_a_model(void **state)
{
    char store[1100];
    snprintf(store, sizeof store, "%s/deps/store", kit_root());
    if (access(store, R_OK))
        skip();
    setenv("XDG_DATA_HOME", store, 1);
    join j = { "audio-codec=flac speech-denoise=deepfilternet speech-guard=off", NULL, "mono", 48000, 48000, -55 };
    compare_joins(state, &j, 25.3, 21.1);
    unsetenv("XDG_DATA_HOME");
}

/* ---- Going on ---------------------------------------------------------------------------------------------------- */

#define RESUMED "audio-codec=flac audio-tracks=0,1=copy audio-enhance=light normalize=yes"
#define LIMITED RESUMED " limiter=yes loudness=-8"

enum { PIECES = 5 };

/* 22.05 kHz, a hole of half a second at 7 s and five pieces of 3 s, the last of them short. */
static void make_resumed(const char *path)
{
    make_source(path, 22050, "stereo", 13 * 22050 + 777, false, true, (hole){ 7, 0.5 });
}

static ta_job *plan_resumed(void **state, const char *output)
{
    return plan_job(in(state, "in.mkv"), in(state, output), RESUMED, NULL, 3);
}

static const char *in_folder(void **state, const char *output, const char *name)
{
    char path[256];
    snprintf(path, sizeof path, ".%s.terminalai/%s", output, name);
    return in(state, path);
}

static const char *marker(void **state, const char *output, int k)
{
    char name[64];
    snprintf(name, sizeof name, "sound-0-%d.done", k);
    return in_folder(state, output, name);
}

static void assert_same_file(const char *a, const char *b)
{
    char x[65], y[65];
    assert_int_equal(ta_sha256_file(a, x, NULL, NULL), 0);
    assert_int_equal(ta_sha256_file(b, y, NULL, NULL), 0);
    assert_string_equal(x, y);
}

static bool same_time(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* The file of a job folder that was never interrupted: "whole". */
static void make_whole(void **state)
{
    make_resumed(in(state, "in.mkv"));
    ta_error err = { 0 };
    ta_job *job = plan_resumed(state, "whole");
    assert_int_equal(ta_sound_load(job, &err), 0);
    assert_ok(run_side(job, &err), &err);
    assert_int_equal(job->tracks[0].gaps, 1);
    int64_t off = job->tracks[0].samples - (13 * 22050 + 777 + 11025);
    assert_true(off >= -23 && off <= 23); /* Matroska's times are whole milliseconds */
    for (int k = 0; k < PIECES; k++)
        assert_true(exists(marker(state, "whole", k)));
    assert_false(exists(marker(state, "whole", PIECES)));
    end_job(&job, true);
}

/* Runs the side pass of `output` and compares all that it leaves with "whole"; the first `kept` pieces must not have
 * been written again. */
static void finish_and_compare(void **state, const char *output, int kept)
{
    struct stat before[PIECES], after;
    ta_error err = { 0 };
    for (int k = 0; k < kept; k++)
        assert_int_equal(stat(marker(state, output, k), &before[k]), 0);
    ta_job *job = plan_resumed(state, output);
    assert_int_equal(ta_sound_load(job, &err), 0);
    assert_ok(run_side(job, &err), &err);
    end_job(&job, true);
    for (int k = 0; k < PIECES; k++) {
        assert_int_equal(stat(marker(state, output, k), &after), 0);
        if (k < kept)
            assert_true(same_time(&before[k], &after));
        assert_same_file(marker(state, "whole", k), marker(state, output, k));
    }
    static const char *const names[] = { "sound-0.pcm", "copied.packets", "sound.json" };
    for (size_t i = 0; i < TA_COUNT(names); i++)
        assert_same_file(in_folder(state, "whole", names[i]), in_folder(state, output, names[i]));
}

typedef struct child {
    const char *input, *output, *last_words; /* killed when the log says this */
    rlim_t most;                             /* bytes of a file; 0: any */
} child;

static void die_at(void *opaque, ta_log_level level, const char *where, const char *text)
{
    (void)level;
    (void)where;
    if (strstr(text, ((child *)opaque)->last_words))
        raise(SIGKILL);
}

/* Runs the side pass in a process of its own; the wait status. */
static int run_child(const child *c)
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        ta_error err = { 0 };
        ta_job *job = plan_job(c->input, c->output, RESUMED, NULL, 3);
        struct rlimit limit = { c->most, c->most };
        signal(SIGXFSZ, SIG_IGN);
        if (c->most)
            setrlimit(RLIMIT_FSIZE, &limit);
        ta_log_setup(TA_LOG_VERBOSE, false);
        if (c->last_words)
            ta_log_set_sink(die_at, (void *)(uintptr_t)c);
        int r = run_side(job, &err);
        _exit(r < 0 ? -r : 0);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void killed(void **state)
{
    make_whole(state);
    for (int k = 0; k < PIECES; k += 2) {
        char words[64], output[16];
        snprintf(words, sizeof words, "piece %d is done", k);
        snprintf(output, sizeof output, "killed%d", k);
        child c = { in(state, "in.mkv"), in(state, output), words, 0 };
        int status = run_child(&c);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        assert_true(exists(marker(state, output, k)));
        assert_false(exists(marker(state, output, k + 1)));
        assert_false(exists(in_folder(state, output, "sound.json")));
        finish_and_compare(state, output, k + 1);
    }
}

/* No room in the middle of the third piece (of 3 s of float stereo): what is there of it is cut off. Then killed. */
static void full_disk(void **state)
{
    enum { PIECE = 3 * 22050 * 8 };
    make_whole(state);
    child c = { in(state, "in.mkv"), in(state, "full"), NULL, PIECE * 5 / 2 };
    int status = run_child(&c);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), -TA_ERR_IO); /* EFBIG; a full disk is TA_ERR_AGAIN */
    assert_true(ta_file_size(in_folder(state, "full", "sound-0.pcm")) > 2 * PIECE);
    assert_true(exists(marker(state, "full", 1)));
    assert_false(exists(marker(state, "full", 2)));
    c.most = 0;
    c.last_words = "piece 3 is done";
    assert_true(WIFSIGNALED(run_child(&c)));
    finish_and_compare(state, "full", 4);
}

/* Where there is no room the job waits, and gives up when it may not. */
static void no_room(void **state)
{
    ta_error err = { 0 };
    make_whole(state);
    ta_job *job = plan_job(in(state, "in.mkv"), in(state, "waits"), RESUMED " reserve=900T disk-wait=1", NULL, 3);
    job->space.reserve = ta_get_int(job->settings, TA_SET_reserve);
    int64_t start = ta_now_us();
    assert_int_equal(run_side(job, &err), TA_ERR_AGAIN);
    assert_true(ta_now_us() - start >= 1000000);
    end_job(&job, true);
    finish_and_compare(state, "waits", 0);
}

/* A cancelled job stops soon, keeps its pieces and can go on. */
static void cancel_at(void *opaque, ta_log_level level, const char *where, const char *text)
{
    (void)level;
    (void)where;
    if (strstr(text, "piece 1 is done"))
        ta_job_cancel(opaque);
}

static void cancelled(void **state)
{
    ta_error err = { 0 };
    make_whole(state);
    ta_job *job = plan_resumed(state, "cancelled");
    ta_log_setup(TA_LOG_VERBOSE, false);
    ta_log_set_sink(cancel_at, job);
    assert_int_equal(run_side(job, &err), TA_ERR_CANCELLED);
    ta_log_set_sink(NULL, NULL);
    ta_log_setup(TA_LOG_ERROR, false);
    end_job(&job, true);
    assert_false(exists(marker(state, "cancelled", 2)));
    finish_and_compare(state, "cancelled", 2);
}

static void damage(const char *path, off_t at)
{
    char byte;
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

static void count_warning(void *opaque, ta_log_level level, const char *where, const char *text)
{
    (void)where;
    (void)text;
    if (level <= TA_LOG_WARN)
        ++*(int *)opaque;
}

/* Counts warnings; NULL: no more. */
static void listen_to_log(int *said)
{
    ta_log_setup(said ? TA_LOG_WARN : TA_LOG_ERROR, false);
    ta_log_set_sink(said ? count_warning : NULL, said);
}

/* Where the first digit behind `name` is in a file. */
static off_t digit_of(const char *path, const char *name)
{
    char *text = NULL;
    size_t size = 0;
    assert_int_equal(ta_read_file(path, 1 << 20, &text, &size, NULL), 0);
    const char *at = strstr(text, name);
    assert_non_null(at);
    at += strcspn(at, "0123456789");
    off_t found = at - text;
    ta_free(text);
    return found;
}

/* Each file of a finished side pass is damaged in turn: that is noticed, said and mended, from where it is needed on.
 */
static void damaged(void **state)
{
    enum { PIECE = 3 * 22050 * 8 };
    static const struct {
        const char *name;
        off_t at; /* -1: emptied; -2: removed; -3: the number `value` */
        int kept; /* pieces that stay */
        const char *value;
    } all[] = { { "sound-0.pcm", PIECE + 5, 1 }, { "sound-0.pcm", 4 * PIECE + 1000, 4 }, { "sound-0.pcm", -1, 0 },
                { "sound-0-2.done", -1, 2 },     { "sound-0-3.done", -3, 3, "bytes" },   { "copied.packets", 1000, 5 },
                { "sound.json", -1, 5 },         { "sound.json", -3, 5, "gain_db" },     { "sound-0-4.done", -2, 4 } };
    ta_error err = { 0 };
    make_whole(state);
    ta_job *job = run_job(in(state, "in.mkv"), in(state, "hurt"), RESUMED, NULL, 3);
    end_job(&job, true);
    for (size_t i = 0; i < TA_COUNT(all); i++) {
        const char *path = in_folder(state, "hurt", all[i].name);
        int said = 0;
        if (all[i].at >= 0)
            damage(path, all[i].at);
        else if (all[i].at == -3)
            damage(path, digit_of(path, all[i].value));
        else if (all[i].at == -1)
            assert_int_equal(truncate(path, 0), 0);
        else
            assert_int_equal(unlink(path), 0);
        if (ta_ends(path, ".done")) /* markers count until all is done */
            assert_int_equal(unlink(in_folder(state, "hurt", "sound.json")), 0);
        listen_to_log(&said);
        finish_and_compare(state, "hurt", all[i].kept);
        listen_to_log(NULL);
        assert_true(said > 0 || all[i].at == -2);
    }
    job = plan_resumed(state, "hurt");
    assert_ok(ta_sound_load(job, &err), &err);
    end_job(&job, true);
}

/* What a finished side pass found is the same when it is loaded. */
static void loaded(void **state)
{
    ta_error err = { 0 };
    make_resumed(in(state, "in.mkv"));
    ta_job *made = run_job(in(state, "in.mkv"), in(state, "made"), LIMITED, NULL, 3);
    ta_track before = made->tracks[0];
    before.pcm = NULL;
    int64_t copied = ta_spool_size(made->copied);
    char sha256[65], hex[65];
    assert_int_equal(ta_sha256_file(in(state, "in.mkv"), hex, NULL, NULL), 0);
    assert_string_equal(made->source_sha256, hex);
    memcpy(sha256, made->source_sha256, sizeof sha256);
    sig *a = read_track(made);
    ta_input_stats stats = made->input_stats;
    end_job(&made, true);

    ta_job *job = plan_job(in(state, "in.mkv"), in(state, "made"), LIMITED, NULL, 3);
    assert_int_equal(ta_sound_load(job, &err), 1);
    const ta_track *t = &job->tracks[0];
    sig *b = read_track(job);
    assert_true(a->n > 0 && a->n == b->n && difference(a, b, 0, a->n) <= -240);
    assert_int_equal(t->start, before.start);
    assert_int_equal(t->gaps, 1);
    assert_int_equal(t->gap_samples, before.gap_samples);
    assert_int_equal(t->overlaps, before.overlaps);
    assert_int_equal(t->decode_errors, before.decode_errors);
    assert_true(memcmp(&t->before, &before.before, sizeof before.before) == 0);
    assert_true(memcmp(&t->after, &before.after, sizeof before.after) == 0);
    assert_true(t->gain.gain_db == before.gain.gain_db && t->gain.makeup_db == before.gain.makeup_db &&
                t->gain.ratio == before.gain.ratio && t->gain.ceiling_db == before.gain.ceiling_db &&
                t->gain.expected == before.gain.expected && t->gain.limited && before.gain.limited &&
                t->gain.peak_limited == before.gain.peak_limited);
    assert_string_equal(t->gain.reason, before.gain.reason);
    assert_string_equal(t->advice, before.advice);
    assert_int_equal(t->fault, before.fault);
    assert_int_equal(t->target.format.sample_rate, before.target.format.sample_rate);
    assert_int_equal(t->target.format.sample_fmt, before.target.format.sample_fmt);
    assert_int_equal(av_channel_layout_compare(&t->target.format.layout, &before.target.format.layout), 0);
    assert_string_equal(job->source_sha256, sha256);
    assert_true(memcmp(&job->input_stats, &stats, sizeof stats) == 0);
    assert_int_equal(ta_spool_size(job->copied), copied);
    AVPacket *pkt = av_packet_alloc();
    int64_t pos = 0, packets = 0;
    while (ta_spool_read_packet(job->copied, &pos, pkt, &err) > 0) {
        packets++;
        av_packet_unref(pkt);
    }
    av_packet_free(&pkt);
    assert_int_equal(packets, (13 * 22050 + 777 + 1535) / 1536);
    end_job(&job, true);

    /* Another chain is another job: nothing is taken over, nothing is mixed. */
    job = plan_job(in(state, "in.mkv"), in(state, "made"), "audio-codec=flac audio-tracks=0,1=copy audio-enhance=music",
                   NULL, 3);
    int said = 0;
    listen_to_log(&said);
    assert_int_equal(ta_sound_load(job, &err), 0);
    assert_ok(run_side(job, &err), &err);
    listen_to_log(NULL);
    assert_int_equal(said, 2);
    sig *c = read_track(job);
    end_job(&job, false);
    job = run_job(in(state, "in.mkv"), in(state, "other"), "audio-codec=flac audio-tracks=0,1=copy audio-enhance=music",
                  NULL, 3);
    sig *d = read_track(job);
    assert_true(c->n == d->n && difference(c, d, 0, c->n) <= -240);
    assert_true(difference(a, c, 0, c->n) > -60);
    end_job(&job, false);
    sig_free(a);
    sig_free(b);
    sig_free(c);
    sig_free(d);
}

/* A kept spool loses nothing and is unlinked by nobody, one that is not kept goes. */
static void spools(void **state)
{
    ta_error err = { 0 };
    ta_spool *s = NULL;
    char hex[65], data[5];
    assert_ok(ta_spool_keep(&s, in(state, "kept"), 0, &err), &err);
    assert_ok(ta_spool_write(s, "abcdefgh", 8, &err), &err);
    assert_ok(ta_spool_sync(s, &err), &err);
    assert_ok(ta_spool_write(s, "lost", 4, &err), &err);
    ta_spool_free(&s);
    assert_int_equal(ta_file_size(in(state, "kept")), 8);
    assert_ok(ta_spool_keep(&s, in(state, "kept"), 3, &err), &err);
    assert_ok(ta_spool_write(s, "xy", 2, &err), &err);
    assert_ok(ta_spool_read(s, 0, data, 5, &err), &err);
    assert_memory_equal(data, "abcxy", 5);
    assert_ok(ta_spool_sha256(s, 0, 3, hex, NULL, &err), &err);
    /* FIPS 180-2, appendix B.1 */
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    ta_spool_free(&s);
    assert_int_equal(ta_spool_keep(&s, in(state, "kept"), 4, &err), TA_ERR_IO);
    assert_ok(ta_spool_new(&s, in(state, "gone"), 1, &err), &err);
    char *much = calloc(1, 1 << 20);
    assert_ok(ta_spool_write(s, much, 1 << 20, &err), &err);
    assert_ok(ta_spool_write(s, much, 1, &err), &err);
    free(much);
    assert_true(exists(in(state, "gone")));
    ta_spool_free(&s);
    assert_false(exists(in(state, "gone")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(spools),           SCRATCH_TEST(joins),     SCRATCH_TEST(joins_of_a_denoiser),
        SCRATCH_TEST(joins_of_a_model), SCRATCH_TEST(killed),    SCRATCH_TEST(full_disk),
        SCRATCH_TEST(no_room),          SCRATCH_TEST(cancelled), SCRATCH_TEST(damaged),
        SCRATCH_TEST(loaded),
    };
    ta_log_setup(TA_LOG_ERROR, false);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
