# The meters against material that ffmpeg makes, with known numbers, delays, shapes and faults.
import os
import tempfile
import unittest
from fractions import Fraction

import numpy as np

import measure

WHITE, BLACK = 218, 24


def ffmpeg(*arguments):
    measure.run(["ffmpeg", "-nostdin", "-v", "error", "-y", *map(str, arguments)])


def blocks(offset=0, lines=480):
    """drawbox filters that paint the number of frame n + offset, as the sample does."""
    unit = lines / measure.MARK_LINES
    chain = []
    for i in range(measure.CODE_BITS + 2):
        bit = measure.CODE_BITS - i
        gray = f"mod(floor((n+{offset})/{2 ** bit})+floor((n+{offset})/{2 ** (bit + 1)}),2)"
        lit = "1" if i == 0 else "0" if i > measure.CODE_BITS else gray
        x = measure.CODE_X + i * measure.CODE_BLOCK
        for (top, low), when in ((measure.CODE_UPPER, lit), (measure.CODE_LOWER, f"not({lit})")):
            chain.append(f"drawbox=x={x}:y={int(top * unit)}:w={measure.CODE_BLOCK}:h={int((low - top) * unit)}"
                         f":c=white:t=fill:enable='{when}'")
    return ",".join(chain)


class WithFolder(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="ta-measure-")
        self.addCleanup(self.folder.cleanup)

    def path(self, name):
        return os.path.join(self.folder.name, name)


class Numbers(WithFolder):
    def make(self, name, rate="60000/1001", filters="null", offset=0, frames=40, more=()):
        source = f"color=c=black:s=720x480:r={rate}"
        ffmpeg("-f", "lavfi", "-i", source, "-vf", f"{blocks(offset)},{filters}", "-frames:v", frames,
               "-pix_fmt", "yuv420p", "-c:v", "ffv1", *more, self.path(name))
        return self.path(name)

    def test_read_in_order(self):
        path = self.make("plain.mkv", offset=1000)
        found = measure.numbers(path)
        self.assertEqual([n for _, n in found], list(range(1000, 1040)))
        for i, (time, _) in enumerate(found):
            self.assertAlmostEqual(float(time), i * 1001 / 60000, delta=0.0006)  # Matroska rounds to ms
        self.assertEqual(measure.sequence_faults([n for _, n in found], 1000), [])

    def test_any_size_and_crop(self):
        path = self.make("small.mkv", filters="crop=704:464:8:8,scale=1408:1056")
        geo = measure.Geometry(1408, 1056, 480, (8, 8, 704, 464))
        self.assertEqual([n for _, n in measure.numbers(path, geo)], list(range(40)))

    def test_survives_compression_and_noise(self):
        path = self.make("hard.mp4", filters="noise=alls=30:allf=t,gblur=2", more=("-c:v", "libx264", "-crf", "38"))
        self.assertEqual([n for _, n in measure.numbers(path)], list(range(40)))

    def test_blend_is_unreadable(self):
        path = self.make("blend.mkv", filters="tblend=all_mode=average")
        self.assertTrue(all(n is None for _, n in measure.numbers(path)[1:]))

    def test_fields(self):
        for mode, order, pairs in (("interleave_top", "tff", lambda k: (2 * k, 2 * k + 1)),
                                   ("interleave_bottom", "bff", lambda k: (2 * k + 1, 2 * k))):
            path = self.make(order + ".mkv", filters=f"tinterlace={mode}", frames=20)
            self.assertEqual([f[1:] for f in measure.field_numbers(path)], [pairs(k) for k in range(20)])
            self.assertEqual(measure.field_order(path), order)
        self.assertEqual(measure.field_order(self.make("p.mkv")), "progressive")

    def test_faults_are_named(self):
        self.assertEqual(measure.sequence_faults([4, 6, 8], 4, 2), [])
        for found, word in (([0, 1, 1, 2], "repeated"), ([0, 2, 3], "skipped"), ([5, 6, 4], "went back"),
                            ([0, None, 2], "unreadable")):
            faults = measure.sequence_faults(found, found[0])
            self.assertEqual(len(faults), 1, faults)
            self.assertIn(word, faults[0])
        self.assertEqual(len(measure.sequence_faults([1, 2], 0)), 1)

    def test_frame_count_of_a_broken_decode(self):
        with self.assertRaises(measure.MeasureError):
            list(measure.frames(self.path("missing.mkv")))


class Combing(WithFolder):
    def test_weave_stands_out(self):
        source = "testsrc2=s=720x480:r=60"
        for name, filters in (("clean.mkv", "null"), ("woven.mkv", "tinterlace=interleave_top")):
            ffmpeg("-f", "lavfi", "-i", source, "-vf", filters, "-frames:v", 8, "-c:v", "ffv1", self.path(name))
        clean = [measure.combing(f.luma) for f in measure.frames(self.path("clean.mkv"))]
        woven = [measure.combing(f.luma) for f in measure.frames(self.path("woven.mkv"))]
        self.assertGreater(min(woven), 1.15 * max(clean))


class FlashAndBeep(WithFolder):
    def make(self, name, late, codec=("-c:v", "ffv1", "-c:a", "pcm_s16le"), offset=0, seconds=4, noise=0.0):
        x0, y0, x1, y1 = measure.FLASH
        video = (f"color=c=black:s=720x480:r=25,drawbox=x={x0}:y={y0}:w={x1 - x0}:h={y1 - y0}:c=white:t=fill:"
                 "enable='eq(mod(n,25),12)'")
        since = f"mod(t-{0.48 + late},1)"
        beep = f"if(gte(t,{0.48 + late})*lt({since},0.1),0.25*sin(2*PI*1000*{since}),0)"
        audio = f"aevalsrc='{beep}+0.05*sin(2*PI*440*t)+{noise}*(random(0)-0.5)':s=48000:d={seconds}"
        ffmpeg("-f", "lavfi", "-i", video, "-f", "lavfi", "-i", audio, "-t", seconds, "-pix_fmt", "yuv420p", *codec,
               "-output_ts_offset", offset, self.path(name))
        return self.path(name)

    def test_known_delays(self):
        for late in (0, 0.0123, -0.04):
            offsets = measure.av_offsets(self.make("a.mkv", late))
            self.assertEqual(len(offsets), 4)
            for offset in offsets:
                self.assertAlmostEqual(offset, late * 1000, delta=0.6)

    def test_noise_and_codecs(self):
        for name, codec in (("a.mp4", ("-c:v", "libx264", "-c:a", "aac")),
                            ("b.mkv", ("-c:v", "libx264", "-c:a", "ac3")),
                            ("a.mpg", ("-c:v", "mpeg2video", "-c:a", "mp2"))):
            for offset in measure.av_offsets(self.make(name, 0.005, codec, noise=0.1)):
                self.assertAlmostEqual(offset, 5, delta=1.2, msg=name)

    def test_times_stay_on_the_file_time_line(self):
        path = self.make("late.mkv", 0, offset=7)
        self.assertAlmostEqual(measure.flash_times(path)[0], 7.48, delta=0.001)
        self.assertAlmostEqual(measure.beep_times(path)[0], 7.48, delta=0.001)
        start, end, count = measure.video_span(path)
        self.assertEqual(count, 100)
        self.assertAlmostEqual(start, 7, delta=0.001)
        self.assertAlmostEqual(end, 11, delta=0.002)
        start, end, count = measure.sound_span(path)
        self.assertEqual(count, 4 * 48000)
        self.assertAlmostEqual(end - start, 4, delta=0.002)

    def test_nothing_to_measure(self):
        ffmpeg("-f", "lavfi", "-i", "color=c=gray:s=720x480:r=25:d=2", "-f", "lavfi", "-i", "sine=300:d=2",
               "-c:v", "ffv1", self.path("none.mkv"))
        with self.assertRaisesRegex(measure.MeasureError, "no flash"):
            measure.flash_times(self.path("none.mkv"))
        with self.assertRaisesRegex(measure.MeasureError, "no beep"):
            measure.beep_times(self.path("none.mkv"))


class Circle(WithFolder):
    def make(self, name, aspect, stretch=1.0, filters="null"):
        """A white disc in a dark ring, `stretch` times too wide, for a pixel aspect."""
        distance = (f"hypot((X+0.5-{measure.CIRCLE_X})*{aspect}/{stretch},Y+0.5-{measure.CIRCLE_Y})"
                    f"-{measure.CIRCLE_RADIUS}")
        luma = f"if(gt({distance},{measure.CIRCLE_RING}),120,30+190*clip(0.5-({distance}),0,1))"
        ffmpeg("-f", "lavfi", "-i", "color=s=720x480:r=5:d=0.6", "-vf",
               f"format=yuv420p,geq=lum='{luma}':cb=128:cr=128,setsar={aspect},{filters}", "-c:v", "ffv1",
               self.path(name))
        return self.path(name)

    def test_round_and_not(self):
        for stretch in (1.0, 1.01, 0.98):
            path = self.make("c.mkv", "10/11", stretch)
            self.assertAlmostEqual(measure.file_roundness(path), stretch, delta=0.001)

    def test_wide_scaled_and_noisy(self):
        path = self.make("w.mkv", "40/33", 1.0, "crop=704:480,scale=853:480,setsar=1,noise=alls=12:allf=t")
        geo = measure.Geometry(853, 480, 480, (8, 0, 704, 480))
        self.assertEqual(measure.sar(path), 1)
        self.assertAlmostEqual(measure.file_roundness(path, geo, wide=True), 853 / (704 * 40 / 33), delta=0.002)

    def test_another_aspect_may_be_given(self):
        path = self.make("s.mkv", "10/11")
        self.assertAlmostEqual(measure.file_roundness(path, shown_sar=Fraction(8, 9)), 88 / 90, delta=0.001)

    def test_no_circle(self):
        with self.assertRaisesRegex(measure.MeasureError, "circle"):
            measure.circle(np.full((480, 720), 100, np.float32), measure.Geometry())


class AgainstTruth(WithFolder):
    def test_psnr_is_ffmpegs(self):
        ffmpeg("-f", "lavfi", "-i", "testsrc2=s=720x480:r=25", "-vf",
               "drawbox=y=15:h=50:c=black:t=fill," + blocks(), "-frames:v", 10, "-pix_fmt", "yuv420p",
               "-c:v", "ffv1", self.path("truth.mkv"))
        ffmpeg("-i", self.path("truth.mkv"), "-c:v", "libx264", "-crf", 32, self.path("worse.mkv"))
        log = self.path("psnr.log")
        ffmpeg("-i", self.path("worse.mkv"), "-i", self.path("truth.mkv"), "-lavfi",
               f"[0]crop=688:456:16:8[a];[1]crop=688:456:16:8[b];[a][b]psnr=f={log}", "-f", "null", "-")
        with open(log, encoding="ascii") as file:
            want = [float(line.split("psnr_y:")[1].split()[0]) for line in file]
        found = measure.psnr_by_number(self.path("worse.mkv"), self.path("truth.mkv"), area=(16, 8, 704, 464))
        self.assertEqual(sorted(found), list(range(10)))
        for n, db in found.items():
            self.assertAlmostEqual(db, want[n], delta=0.02)
        same = measure.psnr_by_number(self.path("truth.mkv"), self.path("truth.mkv"))
        self.assertEqual(set(same.values()), {float("inf")})

    def test_framemd5(self):
        for name, codec in (("a.mkv", "ffv1"), ("b.nut", "rawvideo")):
            ffmpeg("-f", "lavfi", "-i", "testsrc2=s=320x240:r=25", "-frames:v", 5, "-pix_fmt", "yuv420p", "-c:v", codec,
                   self.path(name))
        a, b = measure.framemd5(self.path("a.mkv")), measure.framemd5(self.path("b.nut"))
        self.assertEqual((len(a), len(set(a))), (5, 5))
        self.assertEqual(measure.framemd5_differences(a, b), [])
        self.assertEqual(len(measure.framemd5_differences(a, b[:4])), 1)
        self.assertEqual(len(measure.framemd5_differences(a, b[:4] + ["0"])), 1)
        self.assertTrue(measure.framemd5_differences([], []))
        self.assertNotEqual(a, measure.framemd5(self.path("a.mkv"), filters="negate"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
