# The sample keeps its word: test_sample.py PROGRAM. Numbers, order, times, shape, damage and repeatability, measured in
# what ffmpeg decodes, for every standard that the verb offers.
import dataclasses
import functools
import hashlib
import os
import subprocess
import sys
import tempfile
import unittest
from fractions import Fraction

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import measure  # noqa: E402

PROGRAM = None
SECONDS = Fraction(16, 10)  # two flashes


@dataclasses.dataclass
class Kind:
    """A standard that the verb offers, and what must come of it."""
    flags: tuple
    lines: int
    rate: Fraction
    order: str
    aspect: Fraction
    wide: bool
    clip: str = None
    truth: str = None

    @property
    def geo(self):
        return measure.Geometry(720, self.lines, self.lines)

    @property
    def step(self):
        return 1 if self.order == "progressive" else 2


KINDS = [
    Kind((), 480, Fraction(30000, 1001), "tff", Fraction(8, 9), False),
    Kind(("--wide", "--bff"), 480, Fraction(30000, 1001), "bff", Fraction(32, 27), True),
    Kind(("--pal",), 576, Fraction(25), "tff", Fraction(16, 15), False),
    Kind(("--pal", "--wide", "--progressive"), 576, Fraction(25), "progressive", Fraction(64, 45), True),
]


def each_kind(test):
    """Runs a test for every kind, its clip and truth made once for all tests."""
    @functools.wraps(test)
    def run(self):
        for i, kind in enumerate(KINDS):
            with self.subTest(flags=" ".join(kind.flags)):
                kind.clip, kind.truth = self.made(kind.flags, f"kind{i}.mpg", str(float(SECONDS)))
                test(self, kind)
    return run


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


class Sample(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory(prefix="ta-sample-")
        cls.addClassCleanup(cls.temporary.cleanup)

    def path(self, name):
        return os.path.join(self.temporary.name, name)

    def sample(self, *arguments, status=0):
        done = subprocess.run([PROGRAM, "sample", *arguments], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, status, done.stderr)
        return done

    def made(self, flags, name, seconds):
        """A clip and its truth; an existing one is taken."""
        clip, truth = self.path(name), self.path(name + ".truth.mkv")
        if not os.path.exists(clip):
            self.sample("-o", clip, "--truth", truth, "--seconds", seconds, *flags)
        return clip, truth

    @each_kind
    def test_facts_as_ffprobe_sees_them(self, kind):
        video, audio = measure.stream(kind.clip, "video"), measure.stream(kind.clip, "audio")
        self.assertEqual((video["codec_name"], video["width"], video["height"], video["pix_fmt"]),
                         ("mpeg2video", 720, kind.lines, "yuv420p"))
        self.assertEqual(video["field_order"], {"tff": "tt", "bff": "bb"}.get(kind.order, kind.order))
        self.assertEqual(measure.sar(kind.clip), kind.aspect)
        self.assertEqual(Fraction(video["r_frame_rate"]), kind.rate)
        self.assertEqual((audio["codec_name"], audio["sample_rate"], audio["channels"]), ("mp2", "48000", 2))
        video = measure.stream(kind.truth, "video")
        self.assertEqual((video["codec_name"], video["field_order"]), ("ffv1", "progressive"))
        self.assertEqual(measure.sar(kind.truth), kind.aspect)
        self.assertAlmostEqual(float(Fraction(video["avg_frame_rate"])), float(kind.rate * kind.step), delta=0.01)

    @each_kind
    def test_numbers_and_order(self, kind):
        frames = round(SECONDS * kind.rate)
        fields = measure.field_numbers(kind.clip, kind.geo)
        self.assertEqual(measure.field_order(kind.clip, kind.geo), kind.order)
        first = [f[2] if kind.order == "bff" else f[1] for f in fields]
        second = [f[1] if kind.order == "bff" else f[2] for f in fields]
        self.assertEqual(measure.sequence_faults(first, 0, kind.step), [])
        self.assertEqual(measure.sequence_faults(second, kind.step - 1, kind.step), [])
        self.assertEqual(len(first), frames)
        for i, (time, _, _) in enumerate(fields):
            self.assertAlmostEqual(float(time - fields[0][0]), float(i / kind.rate), delta=0.00002)
        found = [n for _, n in measure.numbers(kind.truth, kind.geo)]
        self.assertEqual(found, list(range(frames * kind.step)))

    @each_kind
    def test_flash_and_beep_together(self, kind):
        for path in (kind.clip, kind.truth):
            offsets = measure.av_offsets(path, kind.geo)
            self.assertEqual(len(offsets), 2)
            for offset in offsets:
                self.assertLess(abs(offset), 2)
        period = round(kind.rate)
        for i, flash in enumerate(measure.flash_times(kind.truth, kind.geo)):
            self.assertAlmostEqual(flash, float((period // 2 + i * period) / kind.rate), delta=0.001)

    @each_kind
    def test_sound_and_picture_start_and_end_together(self, kind):
        for path in (kind.clip, kind.truth):
            (v0, v1, _), (a0, a1, _) = measure.video_span(path), measure.sound_span(path)
            self.assertAlmostEqual(a0, v0, delta=0.011)  # MP2's delay of 481 samples stands before
            self.assertAlmostEqual(a1, v1, delta=0.025)  # its last frame is filled up
            self.assertAlmostEqual(v1 - v0, float(round(SECONDS * kind.rate) / kind.rate), delta=0.002)

    @each_kind
    def test_circle_is_round_in_the_centre_704(self, kind):
        true = measure.TRUE_SAR[kind.lines, kind.wide]
        self.assertAlmostEqual(measure.file_roundness(kind.truth, kind.geo, true, kind.wide), 1, delta=0.001)
        self.assertAlmostEqual(measure.file_roundness(kind.clip, kind.geo, true, kind.wide), 1, delta=0.005)
        self.assertAlmostEqual(measure.file_roundness(kind.clip, kind.geo, kind.aspect, kind.wide),
                               float(kind.aspect / true), delta=0.005)

    def test_fields_are_the_moments_of_the_truth(self):
        clip, truth = self.made(("--clean",), "clean.mkv", "0.5")
        moments = [f.luma for f in measure.frames(truth)]
        for f in measure.frames(clip):
            for parity in (0, 1):
                self.assertTrue(np.array_equal(f.luma[parity::2], moments[2 * f.index + parity][parity::2]))
        still = [np.array_equal(a, b) for a, b in zip(moments, moments[1:])]
        self.assertFalse(any(still), "every field has its own moment")
        self.assertGreater(min(measure.combing(f.luma) for f in measure.frames(clip)),
                           1.3 * max(map(measure.combing, moments)))

    def test_damage(self):
        clip, truth = self.made(("--noise", "6"), "worn.mkv", "1")
        # plain dark plate beside the number: luma noise of 6, chroma noise more than luma noise after its blur
        dark = [f for f in measure.frames(clip, chroma=True)]
        plate = np.stack([f.luma[104:123, 596:598] for f in dark])
        self.assertAlmostEqual(float(np.median(np.std(plate, axis=0))), 6, delta=1.5)
        crawl = np.stack([f.v[100:109, 310:330] for f in dark])
        self.assertGreater(float(np.std(crawl)), 2)
        # the last lines are torn away from the truth much further than the rest
        pairs = measure.psnr_by_number(clip, truth, area=(16, 440, 704, 470), number_of=lambda f: 2 * f.index)
        torn = measure.psnr_by_number(clip, truth, area=(16, 475, 704, 480), number_of=lambda f: 2 * f.index)
        self.assertGreater(np.mean(list(pairs.values())), np.mean(list(torn.values())) + 2)
        # fine detail is lost: the multiburst's 4 MHz bars
        clean = next(measure.frames(truth)).luma[300:330, 662:686]
        worn = dark[0].luma[300:330, 662:686]
        self.assertLess(np.std(worn.mean(0)), np.std(clean.mean(0)) / 4)

    def test_hum_and_hiss(self):
        for flags, hertz in (((), 60), (("--pal",), 50)):
            clip, truth = self.made(flags, f"kind{2 if flags else 0}.mpg", str(float(SECONDS)))
            spectrum = []
            for path in (clip, truth):
                mono = measure.sound(path).samples[:48000 * 3 // 2].mean(axis=1)
                spectrum.append(np.abs(np.fft.rfft(mono * np.hanning(len(mono)))) / len(mono))
            at = round(hertz * 1.5)
            self.assertGreater(spectrum[0][at], 10 * spectrum[1][at])
            hiss = slice(round(3000 * 1.5), round(6000 * 1.5))
            self.assertGreater(np.median(spectrum[0][hiss]), 3 * np.median(spectrum[1][hiss]))

    def test_same_options_same_bytes(self):
        for name in ("a.mpg", "a.mkv"):
            paths = [self.path(f"{i}{name}") for i in range(2)]
            for i, path in enumerate(paths):
                self.sample("-o", path, "--truth", path + ".truth.mkv", "--seconds", "0.4", "--seed", "7")
            self.assertEqual(sha256(paths[0]), sha256(paths[1]))
            self.assertEqual(sha256(paths[0] + ".truth.mkv"), sha256(paths[1] + ".truth.mkv"))
        self.sample("-o", self.path("seed8.mkv"), "--seconds", "0.4", "--seed", "8")
        self.assertNotEqual(measure.framemd5(self.path("0a.mkv")), measure.framemd5(self.path("seed8.mkv")))

    def test_a_folder_gets_both(self):
        folder = self.path("new/folder")
        done = self.sample("-o", folder, "--seconds", "0.2")
        self.assertEqual(sorted(os.listdir(folder)), ["sample.mpg", "sample.truth.mkv"])
        self.assertEqual(done.stdout.split(), [folder + "/sample.mpg", folder + "/sample.truth.mkv"])

    def test_refusals(self):
        path = self.path("there.mpg")
        self.sample("-o", path, "--seconds", "0.2")
        before = sha256(path)
        self.assertIn("there.mpg", self.sample("-o", path, "--seconds", "0.2", status=73).stderr)
        self.assertEqual(sha256(path), before)
        self.sample("-o", path, "--seconds", "0.3", "--overwrite")
        self.assertNotEqual(sha256(path), before)
        for wrong in (("-o", self.path("x.avi")), ("--bff", "--progressive"), ("--seconds", "soon"), ("--noise", "x"),
                      ("--seconds", "0"), ("--noise", "-1"), ("--noise", "nan"), ("--seed", "-1"), ("--seed", "1x"),
                      ("--clean", "--noise", "3"), ("input.mpg",), ("--nosie", "3"),
                      ("-o", self.path("t.mpg"), "--truth", self.path("t.mp4"))):
            with self.subTest(wrong=wrong):
                self.sample(*(wrong if "-o" in wrong else ("-o", self.path("x.mpg"), *wrong)), status=64)
        self.assertFalse([name for name in os.listdir(self.temporary.name) if name.startswith((".", "x", "t."))])


if __name__ == "__main__":
    PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)
