# Sound: codecs in their containers, layouts, which tracks, shift and drift, loudness, channel faults; files without
# picture and without sound. Measured in the decoded sound, loudness by ffmpeg's ebur128.
import re

import harness as h
import make
import measure as m
import numpy as np
from make import Clip
from test_matrix import PLAIN

TONES = (300, 400, 500, 600, 700, 800)  # FL FR FC LFE BL BR


def tones(path, index=0):
    """The steady tone between 200 and 900 Hz of each channel (0: none)."""
    s, found = m.sound(path, index), []
    hz = np.fft.rfftfreq(len(s.samples), 1 / s.rate)
    inside = (hz > 200) & (hz < 900)
    for channel in range(s.samples.shape[1]):
        part = abs(np.fft.rfft(s.samples[:, channel] * np.hanning(len(s.samples)))) / len(s.samples)
        best = part[inside].argmax()
        found.append(round(hz[inside][best] / 10) * 10 if part[inside][best] > 1e-3 else 0)
    return found


def loudness(path):
    """(integrated LUFS, true peak dBTP) by ffmpeg."""
    done = h.subprocess.run(["ffmpeg", "-nostdin", "-hide_banner", "-i", path, "-map", "0:a:0", "-af",
                             "ebur128=peak=true",
                             "-f", "null", "-"], capture_output=True, check=True)
    text = done.stderr.decode()[done.stderr.decode().rfind("Summary:"):]
    return float(re.search(r"I:\s+(-?[\d.]+|-inf) LUFS", text)[1]), float(re.search(r"Peak:\s+(-?[\d.]+|-inf) dB",
                                                                                    text)[1])


@make.once
def surround():
    clip = Clip(order="progressive", count=45, channels=6, tones=TONES)
    return clip, make.h264(clip, "mkv", audio=("-c:a", "flac"))


@make.once
def loud(level, seconds=6, peak=None):
    """Noise like speech, at a level; one click at `peak`."""
    rng = np.random.default_rng(3)
    n = 48000 * seconds
    wave = rng.normal(0, 1, n).astype(np.float32)
    wave = np.convolve(wave, np.ones(8) / 8, "same") * (0.6 + 0.4 * np.sin(np.arange(n) / 9000))
    wave *= level / np.sqrt(np.mean(wave ** 2))
    if peak:
        wave[n // 2:n // 2 + 24] = peak * np.sin(np.arange(24) / 24 * np.pi)
    return make.write_wav(make.path(f"loud{level}-{peak}.wav"), np.stack([wave, wave], 1))


class Codecs(h.Case):
    TABLE = (("mkv", ("aac", "ac3", "eac3", "dts", "flac", "pcm", "opus", "copy")),
             ("mp4", ("aac", "ac3", "eac3", "dts", "flac", "opus", "copy")),
             ("mov", ("aac", "ac3", "eac3", "pcm", "copy")),
             ("webm", ("opus",)))
    NAMES = {"pcm": ("pcm_s16le", "pcm_s24le")}

    def test_stereo_in_each_container(self):
        clip = Clip(order="progressive", count=45, tones=(300, 400))
        source = make.h264(clip, "mp4")
        for ext, codecs in self.TABLE:
            for codec in codecs:
                with self.subTest(ext=ext, codec=codec):
                    video = ("--encoder", "libsvtav1", "--encoder-preset", "12") if ext == "webm" else h.FAST
                    run = h.restore(source, *PLAIN, *video, "--audio-codec", codec, ext=ext)
                    track = run.stream("audio")
                    wanted = self.NAMES.get(codec, ("aac" if codec == "copy" else codec,))
                    self.assertIn(track["codec_name"], wanted, run.text())
                    self.assertEqual((track["channels"], track["sample_rate"]), (2, "48000"))
                    self.assertEqual(tones(run.output), [300, 400])
                    self.assert_sync(run, at_least=2)
                    begin, end, _ = m.sound_span(run.output)
                    self.assertNear(end - max(begin, 0), 1.5, 0.05, "duration of the sound")

    def test_surround_keeps_its_channels(self):
        _, source = surround()
        self.assertEqual(tones(source), list(TONES))
        for codec, ext in (("aac", "mp4"), ("ac3", "mkv"), ("eac3", "mkv"), ("dts", "mkv"), ("flac", "mkv"),
                           ("pcm", "mov"), ("opus", "webm")):
            with self.subTest(codec):
                video = ("--encoder", "libsvtav1", "--encoder-preset", "12") if ext == "webm" else h.FAST
                run = h.restore(source, *PLAIN, *video, "--audio-codec", codec, ext=ext)
                self.assertEqual(run.stream("audio")["channels"], 6)
                self.assertEqual(run.stream("audio")["channel_layout"].split("(")[0], "5.1")
                want = list(TONES)
                if codec in ("ac3", "eac3", "dts", "aac", "opus"):
                    want[3] = None  # encoders may cut the bass channel at 120 Hz, and its tone of 600 Hz with it
                for ours, theirs in zip(tones(run.output), want):
                    self.assertIn(ours, (0, 600) if theirs is None else (theirs,), run.text())
                self.assert_sync(run, channel=0)

    def test_bit_rate(self):
        clip = Clip(order="progressive", count=45, tones=(300, 400))
        run = h.restore(make.h264(clip), *PLAIN, *h.FAST, "--audio-codec", "ac3", "--audio-bitrate", "384k")
        self.assertEqual(run.stream("audio")["bit_rate"], "384000")

    def test_codec_that_container_cannot_hold(self):
        clip = Clip(order="progressive", count=45, tones=(300, 400))
        self.failure(make.h264(clip), *PLAIN, "--audio-codec", "aac", "--encoder", "libsvtav1",
                     output=make.path("no.webm"), code=64, says=["webm", "aac", "audio-codec"])

    def test_seven_channels_need_a_fitting_codec(self):
        clip = Clip(order="progressive", count=45, tones=(300, 400))
        for codec in ("ac3", "eac3", "dts"):
            self.failure(make.h264(clip), *PLAIN, "--audio-codec", codec, "--audio-layout", "7.1", "--upmix", "simple",
                         code=64, says=["7.1", codec])

    def test_lossless_is_lossless(self):
        clip = Clip(order="progressive", count=45, tones=(300, 400))
        source = make.master(clip)
        for codec in ("flac", "pcm"):
            run = h.restore(source, *PLAIN, *h.FAST, "--audio-codec", codec)
            ours, theirs = m.sound(run.output).samples, m.sound(source).samples
            self.assertEqual(ours.shape, theirs.shape)
            self.assertEqual(float(abs(ours - theirs).max()), 0.0)

    def test_copy_keeps_packets(self):
        clip = Clip(count=45, tones=(300, 400))
        source = make.mpeg_ps(clip)
        run = h.restore(source, *PLAIN, *h.FAST, "--audio-codec", "copy")

        def hashes(path):
            return [line.split(",")[-1] for line in m.run(["ffmpeg", "-v", "error", "-i", path, "-map", "0:a", "-c",
                    "copy", "-f", "framemd5", "-"]).decode().splitlines() if line[0] != "#"]
        self.assertEqual(hashes(run.output), hashes(source))
        self.assert_sync(run)


class Layouts(h.Case):
    def test_down_mix(self):
        _, source = surround()
        run = h.restore(source, *PLAIN, *h.FAST, "--audio-layout", "stereo", "--audio-codec", "flac")
        s = m.sound(run.output)
        self.assertEqual(s.samples.shape[1], 2)
        wave = np.hanning(len(s.samples)) / len(s.samples)

        def level(channel, tone):
            turn = np.exp(-2j * np.pi * tone / s.rate * np.arange(len(wave)))
            return abs(np.sum(s.samples[:, channel] * wave * turn))
        self.assertGreater(level(0, 300), 20 * level(0, 400))   # left only on the left
        self.assertGreater(level(1, 400), 20 * level(1, 300))
        self.assertNear(level(0, 500) / level(0, 300), 0.707, 0.03, "the centre's share")
        self.assertNear(level(0, 500) / level(1, 500), 1, 0.02, "the centre on both sides")

    def test_mono(self):
        clip = Clip(order="progressive", count=45, tones=(300, 400))
        run = h.restore(make.h264(clip), *PLAIN, *h.FAST, "--audio-layout", "mono")
        self.assertEqual(run.stream("audio")["channels"], 1)
        self.assert_sync(run)

    def test_up_mix(self):
        clip = Clip(order="progressive", count=45, tones=(300, 400))
        for upmix in ("simple", "surround", "prologic"):
            for layout, channels in (("5.1", 6), ("7.1", 8)):
                with self.subTest(upmix=upmix, layout=layout):
                    run = h.restore(make.h264(clip), *PLAIN, *h.FAST, "--audio-layout", layout, "--upmix", upmix,
                                    "--audio-codec", "flac")
                    self.assertEqual(run.stream("audio")["channels"], channels)
                    self.assert_sync(run, channel=0)


class Tracks(h.Case):
    def two(self):
        clip = Clip(order="progressive", count=45, tones=(300, 300))
        other = make.write_wav(make.path("second.wav"), Clip(order="progressive", count=45, tones=(500, 500)).sound())
        out = make.path("two.mkv")
        make.ffmpeg("-i", make.h264(clip, "mkv"), "-i", other, "-map", "0", "-map", "1", "-c", "copy", "-c:a:1", "ac3",
                    out)
        return out

    def test_choice(self):
        for text, want in (("all", [300, 500]), ("0", [300]), ("1", [500]), ("1,0", None), ("none", [])):
            with self.subTest(text):
                run = h.restore(self.two(), *PLAIN, *h.FAST, "--audio-tracks", text)
                count = run.kinds().count("audio")
                found = [tones(run.output, i)[0] for i in range(count)]
                self.assertEqual(sorted(found), sorted(want) if want is not None else [300, 500], run.text())

    def test_codec_for_one(self):
        run = h.restore(self.two(), *PLAIN, *h.FAST, "--audio-tracks", "0=flac,1=copy")
        self.assertEqual([run.stream("audio", i)["codec_name"] for i in (0, 1)], ["flac", "ac3"])

    def test_track_that_is_not_there(self):
        self.failure(self.two(), *PLAIN, "--audio-tracks", "4", code=64, says=["4", "track"])


class Timing(h.Case):
    def test_shift(self):
        clip = Clip(order="progressive", count=75)
        for ms in (120, -120):
            for ext in ("mkv", "mp4"):
                with self.subTest(ms=ms, ext=ext):
                    run = h.restore(make.h264(clip), *PLAIN, *h.FAST, "--audio-shift", ms, ext=ext)
                    self.assert_sync(run, 3, expect=ms, at_least=2)
                    self.assert_numbers(run, range(75))

    def test_drift(self):
        clip = Clip(order="progressive", count=120)
        source = make.h264(clip, "mkv", audio=("-c:a", "flac"))
        was = m.beep_times(source)
        for ppm in (15000, -15000):
            with self.subTest(ppm=ppm):
                run = h.restore(source, *PLAIN, *h.FAST, "--audio-codec", "flac", "--audio-drift", ppm)
                now = m.beep_times(run.output)
                self.assertEqual(len(now), len(was))
                for ours, theirs in zip(now, was):
                    self.assertNear(ours, theirs * (1 + ppm * 1e-6), 0.0015, "a beep")

    def test_enhancing_keeps_time(self):
        clip = Clip(order="progressive", count=75)
        source = make.h264(clip, "mkv", audio=("-c:a", "flac"))
        for chain in ("light", "moderate", "aggressive", "voice", "music", "report-light", "report-moderate"):
            with self.subTest(chain):
                run = h.restore(source, *PLAIN, *h.FAST, "--audio-enhance", chain, "--audio-codec", "flac")
                self.assert_sync(run, 10, at_least=2)
                self.assertNear(m.sound_span(run.output)[2], m.sound_span(source)[2], 2, "samples")

    def test_hum_is_found_and_goes(self):
        """A 1 kHz tone with hum of 50 Hz and its third harmonic: told in the sidecar, gone from the file, by numpy."""
        source = make.path("hum.flac")
        h.subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i",
                          "aevalsrc=.1*sin(2*PI*1000*t)+.03*sin(2*PI*50*t)+.01*sin(2*PI*150*t)"
                          "+.001*(2*random(0)-1):s=44100:d=13", source], check=True)
        run = h.restore(source, "--dehum", "auto", "--audio-codec", "flac", ext="mka")
        self.assertIn("hum of 50.00 Hz", str(run.sidecar["warnings"]))

        def level(path, hz):
            s = m.sound(path)
            part = s.samples[4 * s.rate:8 * s.rate, 0]
            wave = np.exp(-2j * np.pi * hz * np.arange(len(part)) / s.rate)
            return 20 * np.log10(abs(np.dot(part, wave)) / len(part))
        for hz in (50, 150):
            self.assertLess(level(run.output, hz), level(source, hz) - 20, hz)
        self.assertNear(level(run.output, 1000), level(source, 1000), 0.2, "1 kHz")
        self.assertNear(m.sound_span(run.output)[2], m.sound_span(source)[2], 0, "samples")


class Loudness(h.Case):
    def check(self, source, *flags, want=None, peak=-1.5, codec="flac"):
        run = h.restore(source, "--audio-codec", codec, "--normalize", *flags, ext="mka" if codec == "flac" else "mkv")
        level, top = loudness(run.output)
        self.assertLessEqual(top, peak + 0.15, run.text())
        track = run.sidecar["tracks"][0]
        self.assertNear(track["loudness_before"]["integrated_lufs"], loudness(source)[0], 0.15, "measured before")
        if want is not None:
            self.assertNear(level, want, 0.5, run.text())
        return run, level, top, track

    def test_reaches_the_target(self):
        for level in (0.01, 0.1):
            self.check(loud(level), want=-14)
        self.check(loud(0.1), "--loudness", "-23", want=-23)

    def test_peak_limits_and_says_so(self):
        run, level, top, track = self.check(loud(0.02, peak=0.9))
        self.assertLess(level, -15)
        self.assertNear(top, -1.5, 0.2, "the peak at its limit")
        self.assertIn("peak", track["gain_reason"])
        self.assert_says(run, "peak")

    def test_limiter_reaches_it_all_the_same(self):
        self.check(loud(0.05, peak=0.9), "--limiter", want=-14)

    def test_lossy_codec(self):
        self.check(loud(0.1), want=-14, peak=-0.7, codec="aac")

    def test_silence_stays_silent(self):
        silent = make.write_wav(make.path("silent.wav"), np.zeros((96000, 2), np.float32))
        run = h.restore(silent, "--normalize", "--audio-codec", "flac")
        self.assertEqual(float(abs(m.sound(run.output).samples).max()), 0)


class Faults(h.Case):
    def sided(self, left, right):
        clip = Clip(order="progressive", count=75, tones=(300, 400))
        out = make.path(f"sided{left}{right}.mkv")
        make.ffmpeg("-i", make.h264(clip, "mkv", audio=("-c:a", "flac")), "-c:v", "copy", "-af",
                    f"pan=stereo|c0={left}*c0|c1={right}*c0", "-c:a", "flac", out)
        return out

    def test_one_sided_is_found_and_mended(self):
        source = self.sided(1, 0)
        self.assert_says(h.restore(source, *PLAIN, *h.FAST), "channel-fix")
        run = h.restore(source, *PLAIN, *h.FAST, "--channel-fix", "left", "--audio-codec", "flac")
        self.assertEqual(tones(run.output), [300, 300])

    def test_out_of_phase_is_found_and_mended(self):
        source = self.sided(1, -1)
        self.assert_says(h.restore(source, *PLAIN, *h.FAST), "channel-fix")
        run = h.restore(source, *PLAIN, *h.FAST, "--channel-fix", "invert", "--audio-codec", "flac")
        s = m.sound(run.output).samples
        self.assertLess(float(abs(s[:, 0] - s[:, 1]).max()), 1e-4)


class Alone(h.Case):
    def test_sound_without_picture(self):
        clip = Clip(order="progressive", count=45, tones=(300, 400))
        source = make.write_wav(make.path("alone.wav"), clip.sound())
        for ext, codec in (("mka", "flac"), ("m4a", "aac"), ("mkv", "opus")):
            with self.subTest(ext):
                run = h.restore(source, "--audio-codec", codec, ext=ext)
                self.assertEqual(run.kinds(), ["audio"])
                self.assertEqual(tones(run.output), [300, 400])
                for ours, theirs in zip(m.beep_times(run.output), m.beep_times(source)):
                    self.assertNear(ours, theirs, 0.003, "a beep")

    def test_picture_without_sound(self):
        clip = Clip(count=30)
        source = make.encoded(clip, "mkv", "-an", "-c:v", "ffv1")
        run = h.restore(source, *PLAIN, *h.FAST)
        self.assertEqual(run.kinds(), ["video"])
        self.assert_numbers(run, range(60))


if __name__ == "__main__":
    h.main()
