# Enlarging by a model: size, colour and times of the output, the same bytes however it is divided, what is refused.
# The models are made here: each pixel twice, or the mean of a few pixels twice.
import functools
import os
import subprocess
import sys
import unittest

import numpy as np

import harness
import make
import onnx
import measure as m

SIZE = ("160", "120")


@functools.lru_cache(None)
def model(kernel=1):
    path = os.path.join(harness.folder(), f"twice-{kernel}.onnx")
    with open(path, "wb") as file:
        file.write(onnx.twice(kernel))
    return path


@functools.lru_cache(None)
def clip(seconds=1):
    """Moving patches of colour over a still ramp, lossless, BT.601."""
    out = make.path(f"upscale-{seconds}.mkv")
    make.ffmpeg("-f", "lavfi", "-i", f"testsrc2=s=160x120:r=25:d={seconds}", "-vf",
                "scale=out_color_matrix=bt601:out_range=tv,format=yuv420p,setsar=1", "-colorspace", "smpte170m",
                "-color_primaries", "smpte170m", "-color_trc", "smpte170m", "-color_range", "tv", "-c:v", "ffv1",
                "-g", 5, out)
    return out


def planes(path, width, height):
    """All frames as planar 4:2:0 of 8 bits: [frame][byte]."""
    raw = subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-f", "rawvideo", "-pix_fmt", "yuv420p", "-"],
                         stdout=subprocess.PIPE, check=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, width * height * 3 // 2)


def have_engine(name="openvino"):
    said = subprocess.run([harness.PROGRAM, "doctor"], stdout=subprocess.PIPE, text=True)
    return any(line.split()[:2] == ["ok", name] for line in said.stdout.splitlines())


class Upscale(harness.Case):
    def restore(self, name, *flags, source=None, expect=0, kernel=1):
        out = os.path.join(harness.fresh_folder("up"), name)
        run = harness.call("restore", source or clip(), "-o", out, "--engine", "realesrgan", "--upscale-model",
                           model(kernel), "--sharpen", "off", *harness.EXACT, *flags, expect=expect)
        return out if expect == 0 else run

    def test_twice_the_size_in_the_same_colours(self):
        out = self.restore("a.mkv", "--resolution", "2x", "--deinterlace", "off", "--neural-precision",
                           "fp32")
        was, now = planes(clip(), 160, 120), planes(out, 320, 240)
        self.assertEqual(len(was), len(now))
        luma_was = was[:, :160 * 120].reshape(-1, 120, 160).repeat(2, 1).repeat(2, 2).astype(int)
        luma_now = now[:, :320 * 240].reshape(-1, 240, 320).astype(int)
        self.assertLessEqual(np.abs(luma_was - luma_now).max(), 1)
        chroma_was = was[:, 160 * 120:].reshape(-1, 2, 60, 80).mean((2, 3))
        chroma_now = now[:, 320 * 240:].reshape(-1, 2, 120, 160).mean((2, 3))
        self.assertLess(np.abs(chroma_was - chroma_now).max(), 0.5)
        self.assertEqual([f.time for f in m.frames(clip())], [f.time for f in m.frames(out)])

    def test_the_same_bytes_however_it_is_divided(self):
        tiles = ("--resolution", "2x", "--deinterlace", "off", "--tile", "48")
        whole = m.framemd5(self.restore("w.mkv", *tiles, "--segment", "0", kernel=7))
        for flags in ((*tiles, "--segment", "0.3", "--jobs", "2"), (*tiles, "--segment", "0.4", "--jobs", "1")):
            self.assertEqual(whole, m.framemd5(self.restore("s.mkv", *flags, kernel=7)))

    def test_tiles_leave_no_seam(self):
        flags = ("--resolution", "2x", "--deinterlace", "off", "--neural-precision", "fp32")
        whole = planes(self.restore("w.mkv", *flags, kernel=7), 320, 240).astype(int)
        tiled = planes(self.restore("t.mkv", *flags, "--tile", "40", kernel=7), 320, 240).astype(int)
        self.assertLessEqual(np.abs(whole - tiled).max(), 1)  # sums in another order, then rounded
        self.assertLess((whole != tiled).mean(), 1e-4)

    @unittest.skipUnless(have_engine("onnxruntime"), "ONNX Runtime is not installed (scripts/setup neural)")
    def test_the_other_engine_agrees(self):
        flags = ("--resolution", "2x", "--deinterlace", "off")
        one = planes(self.restore("w.mkv", *flags, "--neural-precision", "fp32", kernel=7), 320, 240).astype(int)
        other = self.restore("o.mkv", *flags, "--neural-engine", "onnxruntime", kernel=7)
        self.assertLessEqual(np.abs(one - planes(other, 320, 240)).max(), 1)
        plan = harness.call("restore", clip(), "-o", other + ".mkv", "--engine", "realesrgan", "--upscale-model",
                            model(7), *flags, "--neural-engine", "onnxruntime", "--dry-run").stdout
        self.assertIn("ONNX Runtime", plan)
        self.assertIn("fp32", plan)

    def test_any_size(self):
        for wish, size in (("3x", (480, 360)), ("300x200", (266, 200)), ("720", (960, 720))):
            out = self.restore("b.mkv", "--resolution", wish, "--deinterlace", "off", source=clip())
            probe = m.probe(out)["streams"][0]
            self.assertEqual(size, (probe["width"], probe["height"]))
            self.assertEqual("bt709" if size[1] >= 720 else "smpte170m", probe["color_space"])
            mean = planes(out, *size).mean(0)
            middle = mean[:size[0] * size[1]].reshape(size[1], size[0]).mean()
            self.assertLess(abs(middle - planes(clip(), 160, 120)[:, :160 * 120].mean()), 4 if size[1] >= 720 else 1)

    def test_devices_and_precisions_that_are_not_there(self):
        flags = ("--resolution", "2x", "--deinterlace", "off", "--segment", "0")
        run = self.restore("n.mkv", *flags, "--neural-device", "cuda", "--neural-engine", "openvino", expect=64)
        self.assertIn("--neural-engine onnxruntime", run.stderr)
        if have_engine("onnxruntime"):
            self.assertIn("without CUDA", self.restore("n.mkv", *flags, "--neural-device", "cuda", expect=69).stderr)
            flags += ("--neural-engine", "onnxruntime", "--neural-precision", "bf16")
            run = self.restore("n.mkv", *flags, expect=69)
            self.assertIn("fp32", run.stderr)

    def test_what_is_refused(self):
        def refused(*flags, expect):
            out = os.path.join(harness.fresh_folder("up"), "n.mkv")
            return harness.call("restore", clip(), "-o", out, "--engine", "realesrgan", "--resolution", "2x", *flags,
                                expect=expect).stderr
        broken = os.path.join(harness.folder(), "broken.onnx")
        with open(broken, "wb") as file:
            file.write(b"no model")
        self.assertIn("broken.onnx", refused("--upscale-model", broken, expect=65))
        self.assertIn("nowhere.onnx", refused("--upscale-model", "/nowhere.onnx", expect=66))
        self.assertIn("no-such-model", refused("--upscale-model", "no-such-model", expect=64))
        self.assertIn("models install realesr-animevideov3-x2", refused(expect=69))  # the home of tests is empty


if __name__ == "__main__":
    if not have_engine():
        print("skipped: OpenVINO is not installed (scripts/setup neural)")
        sys.exit(77)
    unittest.main(argv=sys.argv[:1], verbosity=2)
