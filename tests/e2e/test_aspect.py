# Shapes. SD of 720 with the sample aspects of 4:3 or 16:9 fills the centre 704; --sd-width 720 turns that off; every
# other sample aspect is taken literally. A circle in the picture tells. And odd sizes, rotation, cropping.
from fractions import Fraction

import harness as h
import make
import measure as m
from test_matrix import PLAIN


class Shape(h.Case):
    def restored(self, clip, sar, *flags, ext="mkv"):
        source = make.encoded(clip, ext, "-vf", f"setsar={sar}", "-c:v", "ffv1", "-c:a", "copy", name="sar")
        self.assertEqual(m.sar(source), sar)
        return h.restore(source, *PLAIN, *h.FAST, *flags)

    def assert_shape(self, clip, sar, used, *flags):
        """The circle comes out as if samples had the aspect `used`."""
        run = self.restored(clip, sar, *flags)
        geo = m.geometry(run.output, clip.lines)
        want = float(used / m.TRUE_SAR[clip.lines, clip.wide])
        self.assertNear(m.file_roundness(run.output, geo, wide=clip.wide), want, 0.006, f"roundness\n{run.text()}")
        self.assertEqual(m.sar(run.output), 1)
        return run

    def test_centre_704(self):
        for lines, wide, sar in ((480, False, Fraction(8, 9)), (480, True, Fraction(32, 27)),
                                 (576, False, Fraction(16, 15)), (576, True, Fraction(64, 45))):
            with self.subTest(lines=lines, wide=wide):
                clip = make.Clip(lines, wide, "progressive", 12)
                self.assert_shape(clip, sar, m.TRUE_SAR[lines, wide])

    def test_all_720(self):
        for lines, wide, sar in ((480, False, Fraction(8, 9)), (576, True, Fraction(64, 45))):
            with self.subTest(lines=lines):
                clip = make.Clip(lines, wide, "progressive", 12)
                run = self.assert_shape(clip, sar, sar, "--sd-width", "720")
                want = lines * Fraction(16 if wide else 4, 9 if wide else 3)
                self.assertNear(run.stream("video")["width"], float(want), 1, "width")

    def test_any_other_is_literal(self):
        for lines, wide, sar in ((480, False, Fraction(10, 11)), (480, False, Fraction(1)),
                                 (480, False, Fraction(4, 3)),
                                 (480, True, Fraction(40, 33)), (576, False, Fraction(59, 54)),
                                 (576, True, Fraction(16, 11)), (576, False, Fraction(12, 11))):
            with self.subTest(lines=lines, sar=str(sar)):
                clip = make.Clip(lines, wide, "progressive", 6)
                self.assert_shape(clip, sar, sar)

    def test_source_aspect_kept_on_demand(self):
        clip = make.Clip(480, False, "progressive", 6)
        run = self.restored(clip, Fraction(8, 9), "--no-square-pixels")
        self.assertEqual(m.sar(run.output), Fraction(8, 9))
        self.assertEqual((run.stream("video")["width"], run.stream("video")["height"]), (720, 480))
        self.assert_agree(run)

    def test_in_every_container(self):
        for ext in ("mkv", "mp4", "mov", "webm"):
            with self.subTest(ext=ext):
                clip = make.Clip(576, True, "progressive", 6)
                codec = ("--encoder", "libsvtav1", "--encoder-preset", "12", "--audio-codec", "opus") if ext == "webm" \
                    else h.FAST
                run = h.restore(make.master(clip), *PLAIN, *codec, ext=ext)
                self.assert_round(run, m.geometry(run.output, 576), True, 0.01)
                run = h.restore(make.master(clip), *PLAIN, *codec, "--no-square-pixels", ext=ext)
                self.assertEqual(m.sar(run.output), Fraction(64, 45))
                self.assert_agree(run)

    def test_1080(self):
        for lines, wide, size in ((480, False, (1440, 1080)), (480, True, (1920, 1080)), (576, True, (1920, 1080))):
            with self.subTest(lines=lines, wide=wide):
                clip = make.Clip(lines, wide, "progressive", 6)
                run = self.restored(clip, clip.sar(), "--resolution", "1080")
                video = run.stream("video")
                geo = m.geometry(run.output, lines)
                self.assert_round(run, geo, wide)
                self.assertLessEqual(video["width"], 1920)
                self.assertEqual(video["width"] % 2 + video["height"] % 2, 0)
                self.assertEqual(max(video["height"] / size[1], video["width"] / 1920), 1, video)
                self.assert_agree(run)

    def test_explicit_and_factor(self):
        clip = make.Clip(480, False, "progressive", 6)
        box = self.restored(clip, clip.sar(), "--resolution", "800x600").stream("video")
        self.assertTrue(box["width"] == 800 or box["height"] == 600, box)
        self.assertTrue(box["width"] <= 800 and box["height"] <= 600, box)
        exact = self.restored(clip, clip.sar(), "--resolution", "800x600", "--no-square-pixels")
        self.assertEqual((exact.stream("video")["width"], exact.stream("video")["height"]), (800, 600))
        self.assert_round(exact, m.geometry(exact.output), within=0.03)  # SAR 8:9 kept, so the centre 704 shows
        double = self.restored(clip, clip.sar(), "--resolution", "2x")
        self.assertEqual(double.stream("video")["height"], 960)
        self.assert_round(double, m.geometry(double.output))

    def test_crop_keeps_shape(self):
        clip = make.Clip(480, False, "progressive", 6)
        run = self.restored(clip, clip.sar(), "--crop", "8:0:8:0")
        self.assertEqual((run.stream("video")["width"], run.stream("video")["height"]), (640, 480))
        self.assert_round(run, m.geometry(run.output, 480, (8, 0, 704, 480)))
        run = self.restored(clip, clip.sar(), "--head-switching", "8", "--crop", "8:4:8:0")
        self.assertEqual(run.stream("video")["height"], 468)
        self.assert_round(run, m.geometry(run.output, 480, (8, 4, 704, 468)))

    def test_crop_auto(self):
        clip = make.Clip(480, False, "progressive", 20)
        source = make.encoded(clip, "mkv", "-vf", "crop=672:400:24:40,pad=720:480:24:40:black,setsar=8/9", "-c:v",
                              "ffv1",
                              "-c:a", "copy", name="borders")
        run = h.restore(source, *PLAIN, *h.FAST, "--crop", "auto")
        video = run.stream("video")
        self.assertNear(video["height"], 400, 4, run.text())
        self.assertNear(video["width"], 672 * 10 / 11, 6, run.text())


class Sizes(h.Case):
    """Odd sizes and rotation: pictures of any size, counted and in order."""

    def small(self, size, *flags, ext="mkv", codec=("-c:v", "ffv1"), meta=()):
        clip = make.Clip(480, False, "progressive", 20)
        return clip, make.encoded(clip, ext, "-vf", f"scale={size},setsar=1", *codec, "-c:a", "aac", *meta,
                                  name="odd")

    def test_odd_sizes(self):
        for size in ("719:479", "355:241", "641:480", "640:359"):
            for flags in (h.FAST, h.EXACT):
                with self.subTest(size=size, encoder=flags[1]):
                    clip, source = self.small(size)
                    run = h.restore(source, *PLAIN, *flags)
                    video, (w, hgt) = run.stream("video"), map(int, size.split(":"))
                    self.assertNear(video["width"], w, 1, "width")
                    self.assertNear(video["height"], hgt, 1, "height")
                    self.assert_numbers(run, range(20), m.geometry(run.output))
                    self.assert_agree(run)

    def test_tiny(self):
        source = make.path("tiny.mkv")
        make.ffmpeg("-f", "lavfi", "-i", "testsrc=size=16x16:rate=25:duration=0.4", "-pix_fmt", "yuv420p", "-c:v",
                    "ffv1",
                    source)
        run = h.restore(source, *PLAIN, *h.FAST)
        self.assertEqual((run.stream("video")["width"], m.video_span(run.output)[2]), (16, 10))

    def test_rotation(self):
        clip = make.Clip(480, False, "progressive", 20)
        flat = make.encoded(clip, "mp4", "-vf", "scale=640:480,setsar=1,format=yuv420p", "-c:v", "libx264", "-preset",
                            "ultrafast", "-crf", 12, "-c:a", "aac", name="flat")
        for degrees, back, size in ((90, "transpose=cclock", (480, 640)), (180, "hflip,vflip", (640, 480)),
                                    (270, "transpose=clock", (480, 640))):
            with self.subTest(degrees=degrees):
                source = make.path(f"turned{degrees}.mp4")
                make.ffmpeg("-i", flat, "-c", "copy", "-metadata:s:v", f"rotate={360 - degrees}", source)
                shown = [s for s in m.stream(source, "video").get("side_data_list", []) if "rotation" in s]
                self.assertTrue(shown, "the source has no rotation")
                # What a player shows: ffmpeg itself turns by the matrix.
                turned = m.run(["ffmpeg", "-v", "error", "-i", source, "-frames:v", "1", "-f", "rawvideo", "-pix_fmt",
                                "gray", "-"])
                run = h.restore(source, *PLAIN, *h.EXACT)
                video = run.stream("video")
                self.assertEqual((video["width"], video["height"]), size, run.text())
                self.assertFalse([s for s in video.get("side_data_list", []) if s.get("rotation")], "turned twice")
                ours = m.run(["ffmpeg", "-v", "error", "-noautorotate", "-i", run.output, "-frames:v", "1", "-f",
                              "rawvideo", "-pix_fmt", "gray", "-"])
                self.assertEqual(len(ours), len(turned))
                self.assertLess(sum(abs(a - b) for a, b in zip(ours[::997], turned[::997])) / (len(ours) // 997), 3)
                self.assertEqual([n for _, n in m.numbers(run.output, m.Geometry(640, 480), back)], list(range(20)))


if __name__ == "__main__":
    h.main()
