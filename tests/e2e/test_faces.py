# Restoring faces with models made here: the detector says where faces are, the restorer does what can be measured.
import cmath
import functools
import os
import subprocess
import sys
import unittest

import numpy as np

import harness
import make
import measure as m
import onnx

W, H = 320, 240
ALIKE = ("--deinterlace", "off", "--resolution", "source", "--sharpen", "off", *harness.EXACT)
# A face in the middle: its square is 100 pixels a side (a box of 0.6 of that, 0.0625 below the square's centre).
CENTRE, SIDE = (160.0, 120.0), 100.0
# Eyes, nose and corners of the mouth of FFHQ's faces in 512 pixels, as GFPGAN and CodeFormer are fed.
FFHQ = [(192.98138, 239.94708), (318.90277, 240.1936), (256.63416, 314.01935), (201.26117, 371.41043),
        (313.08905, 371.15118)]


def box(centre=CENTRE, side=SIDE, width=W, height=H):
    x, y, half = centre[0], centre[1] + 0.0625 * side, 0.3 * side
    return ((x - half) / width, (y - half) / height, (x + half) / width, (y + half) / height)


def points(centre=CENTRE, side=SIDE, degrees=0.0):
    """FFHQ's five points in a square that lies so in the picture."""
    turn = cmath.rect(side / 512, np.radians(degrees))
    return [complex(*centre) + turn * complex(x + 0.5 - 256, y + 0.5 - 256) for x, y in FFHQ]


def model(name, data):
    path = os.path.join(harness.folder(), name + ".onnx")
    with open(path, "wb") as file:
        file.write(data)
    return path


@functools.lru_cache(None)
def detector():
    return model("detector", onnx.detector([(0.95, *box())]))


@functools.lru_cache(None)
def inverter():
    return model("inverter", onnx.inverter())


@functools.lru_cache(None)
def clip(source="gradients=s=320x240:c0=0x804020:c1=0x2060a0:x0=20:y0=10:x1=300:y1=230:nb_colors=2:speed=0.00001:"
         "r=25:d=0.4", fmt="yuv420p"):
    """Soft colours, lossless, BT.601."""
    out = make.path(f"faces-{abs(hash((source, fmt)))}.mkv")
    make.ffmpeg("-f", "lavfi", "-i", source, "-vf",
                f"scale=out_color_matrix=bt601:out_range=tv:flags=accurate_rnd,format={fmt},setsar=1", "-colorspace",
                "smpte170m", "-color_primaries", "smpte170m", "-color_trc", "smpte170m", "-color_range", "tv", "-c:v",
                "ffv1", "-g", 1, out)
    return out


def planes(path, width=W, height=H, fmt="yuv420p"):
    """All frames as Y, U, V of 8 bits in 4:2:0."""
    raw = subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-f", "rawvideo", "-pix_fmt", fmt, "-"],
                         stdout=subprocess.PIPE, check=True).stdout
    all_of = np.frombuffer(raw, np.uint8).reshape(-1, width * height * 3 // 2).astype(int)
    n, chroma = width * height, width * height // 4
    return (all_of[:, :n].reshape(-1, height, width), all_of[:, n:n + chroma].reshape(-1, height // 2, width // 2),
            all_of[:, n + chroma:].reshape(-1, height // 2, width // 2))


def have_engine(name="openvino"):
    said = subprocess.run([harness.PROGRAM, "doctor"], stdout=subprocess.PIPE, text=True)
    return any(line.split()[:2] == ["ok", name] for line in said.stdout.splitlines())


def shared(name):
    for up in ("..", "../..", "../../.."):
        path = os.path.join(harness.ROOT, up, "shared", name)
        if os.path.exists(path):
            return path
    return None


class Faces(harness.Case):
    def restore(self, *flags, source=None, expect=0, find=None, make_new=None, kind="gfpgan"):
        out = os.path.join(harness.fresh_folder("faces"), "out.mkv")
        run = harness.call("restore", source or clip(), "-o", out, "--face-restore", kind, "--face-detector",
                           find or detector(), "--face-model", make_new or inverter(), "--neural-precision", "fp32",
                           *ALIKE, *flags, expect=expect)
        return out if expect == 0 else run

    def plain(self, source=None):
        out = os.path.join(harness.fresh_folder("faces"), "plain.mkv")
        harness.call("restore", source or clip(), "-o", out, *ALIKE)
        return out

    def test_strength_0_half_and_1(self):
        plain = self.plain()
        self.assertEqual(m.framemd5(plain), m.framemd5(self.restore("--face-strength", "0")))
        was = planes(plain)
        for strength in (0.5, 1):
            now = planes(self.restore("--face-strength", str(strength)))
            self.assertEqual(len(was[0]), len(now[0]))
            # Where the weight is 1: over an eighth of the side inside of the square.
            for plane, (a, b) in enumerate(zip(was, now)):
                scale = 2 if plane else 1
                inner = slice(84 // scale, 156 // scale), slice(124 // scale, 196 // scale)
                turned = (256 if plane else 251) - a[:, inner[0], inner[1]]
                want = a[:, inner[0], inner[1]] * (1 - strength) + turned * strength
                self.assertLessEqual(np.abs(b[:, inner[0], inner[1]] - want).max(), 1.51)
                # What is beside the square keeps its very code.
                outside = np.ones(a.shape[1:], bool)
                outside[70 // scale:170 // scale, 110 // scale:210 // scale] = False
                self.assertEqual(0, np.abs(a - b)[:, outside].max())
                self.assertGreater(np.abs(a - b).max(), 5)

    def test_colours_of_other_formats(self):
        for fmt in ("yuv422p10le", "yuv444p", "gbrp", "gray"):
            source = clip(fmt=fmt)
            was, now = (planes(path)[0] for path in (self.plain(source), self.restore("--face-strength", "1",
                                                                                       source=source)))
            self.assertLessEqual(np.abs(now[:, 84:156, 124:196] - (251 - was[:, 84:156, 124:196])).max(), 2, fmt)
            now[:, 70:170, 110:210] = was[:, 70:170, 110:210]
            self.assertEqual(0, np.abs(was - now).max(), fmt)

    def test_two_faces(self):
        """Side by side, the second one partly beside the picture."""
        find = model("two", onnx.detector([(0.9, *box((90.0, 100.0), 80.0)), (0.8, *box((300.0, 150.0), 90.0))]))
        was, now = planes(self.plain())[0], planes(self.restore("--face-strength", "1", find=find))[0]
        for rows, columns in ((slice(72, 128), slice(62, 118)), (slice(118, 182), slice(268, 320))):
            self.assertLessEqual(np.abs(now[:, rows, columns] - (251 - was[:, rows, columns])).max(), 2)
        self.assertEqual(0, np.abs(was - now)[:, :, 135:250].max())

    def dots(self, path, around, reach=7):
        """Where the light's centre of gravity is near each of the points, in the first frame."""
        luma = planes(path)[0][0].astype(float) - 16
        found = []
        for p in around:
            x, y = int(p.real), int(p.imag)
            part = np.clip(luma[y - reach:y + reach + 1, x - reach:x + reach + 1], 0, None)
            ys, xs = np.mgrid[y - reach:y + reach + 1, x - reach:x + reach + 1]
            found.append(complex((part * (xs + 0.5)).sum(), (part * (ys + 0.5)).sum()) / part.sum())
        return found

    @staticmethod
    @functools.lru_cache(None)
    def dotted():
        """A restorer that makes light dots on black where FFHQ's faces have their five points."""
        y, x = np.mgrid[:512, :512]
        light = sum(np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * 8.0 ** 2)) for px, py in FFHQ)
        picture = np.broadcast_to(np.clip(light, 0, 1) * 2 - 1, (3, 512, 512))
        return model("dotted", onnx.marker(picture.astype(np.float32).ravel().tolist()))

    def check_dots(self, find, want):
        found = self.dots(self.restore("--face-strength", "1", find=find, make_new=self.dotted()), want)
        for a, b in zip(found, want):
            self.assertLess(abs(a - b), 0.5)

    def test_place_by_a_box(self):
        for centre, side in ((CENTRE, 150.0), ((141.3, 109.8), 170.5)):
            find = model("box", onnx.detector([(0.9, *box(centre, side))]))
            self.check_dots(find, points(centre, side))

    def test_place_by_five_points(self):
        for centre, side, degrees in ((CENTRE, 150.0, 0), ((150.4, 118.7), 140.0, 20), ((165.2, 121.1), 160.0, -35)):
            five = points(centre, side, degrees)
            flat = [v for p in five for v in (p.real / W, p.imag / H)]
            find = model("points", onnx.detector([(0.9, *box(centre, side))], [flat]))
            self.check_dots(find, five)

    def test_pixels_that_are_not_square(self):
        """Sample aspect 2:1 on half the width: the same shape on the screen."""
        source = make.path("faces-narrow.mkv")
        make.ffmpeg("-i", clip(), "-vf", "scale=160:240,setsar=2/1", "-c:v", "ffv1", "-g", 1, source)
        # Shown it is 320 wide, so the detector sees all of its 320x240.
        out = self.restore("--face-strength", "1", "--no-square-pixels", source=source, make_new=self.dotted(),
                           find=model("narrow", onnx.detector([(0.9, *box(CENTRE, 150.0))])))
        raw = subprocess.run(["ffmpeg", "-v", "error", "-i", out, "-frames:v", "1", "-f", "rawvideo", "-pix_fmt",
                              "gray", "-"], stdout=subprocess.PIPE, check=True).stdout
        luma = np.frombuffer(raw, np.uint8).reshape(240, 160).astype(float) - 16
        for p in points(CENTRE, 150.0):
            x, y = int(p.real / 2), int(p.imag)
            part = np.clip(luma[y - 7:y + 8, x - 4:x + 5], 0, None)
            ys, xs = np.mgrid[y - 7:y + 8, x - 4:x + 5]
            self.assertLess(abs((part * (xs + 0.5)).sum() / part.sum() - p.real / 2), 0.5)
            self.assertLess(abs((part * (ys + 0.5)).sum() / part.sum() - p.imag), 0.5)

    def test_the_same_bytes_however_it_is_divided(self):
        """The face's place follows the clip's brightness, which goes up and down."""
        source = clip("color=gray:s=320x240:r=25:d=2,geq=lum='60+40*sin(N/5)+random(0)*40+X/4':cb='96+Y/8':cr='128'")
        find = model("moving", onnx.detector([(0.9, *box())], moved=(0.6, 0.3, 0.6, 0.3)))
        whole = m.framemd5(self.restore("--segment", "0", source=source, find=find))
        self.assertNotEqual(whole, m.framemd5(self.plain(source)))
        for flags in (("--segment", "0.5", "--jobs", "2"), ("--segment", "0.7", "--jobs", "1")):
            self.assertEqual(whole, m.framemd5(self.restore(*flags, source=source, find=find)))

    def test_places_are_steady(self):
        """A detector that trembles by 4 pixels from frame to frame: the square's place trembles by much less."""
        source = clip("color=gray:s=320x240:r=25:d=1.6,geq=lum='100+20*(mod(N,2)*2-1)':cb=128:cr=128")
        first = planes(source)[0].mean((1, 2))
        numbers = ((first - 16) / 219 * 255 - 127) / 128
        shift = 4 / (numbers.max() - numbers.min())
        find = model("trembling", onnx.detector([(0.9, *box(CENTRE, 150.0))],
                                                moved=(shift / W, 0, shift / W, 0)))
        out = self.restore("--face-strength", "1", source=source, find=find, make_new=self.dotted())
        luma = planes(out)[0][5:-5].astype(float)
        eye = points(CENTRE, 150.0)[0] + complex(shift * numbers.mean(), 0)
        x, y = int(eye.real), int(eye.imag)
        part = np.clip(luma[:, y - 7:y + 8, x - 9:x + 10] - 30, 0, None)
        places = (part * np.arange(x - 9, x + 10)).sum((1, 2)) / part.sum((1, 2))
        self.assertLess(places.max() - places.min(), 1.0)

    def test_codeformers_dial(self):
        grey = model("dial", onnx.dial())
        for fidelity in (0.2, 0.8):
            out = self.restore("--face-strength", "1", "--face-fidelity", str(fidelity), kind="codeformer",
                               make_new=grey)
            self.assertLessEqual(abs(planes(out)[0][:, 110:130, 150:170].mean() - (16 + 219 * fidelity)), 0.51)

    def test_larger_for_faces(self):
        out = self.restore("--face-upscale", "2", "--face-strength", "1")
        probe = m.probe(out)["streams"][0]
        self.assertEqual((640, 480), (probe["width"], probe["height"]))
        was, now = planes(self.plain())[0], planes(out, 640, 480)[0]
        small = now.reshape(-1, 240, 2, 320, 2).mean((2, 4))
        self.assertLessEqual(np.abs(small[:, 84:156, 124:196] - (251 - was[:, 84:156, 124:196])).max(), 2)
        self.assertLessEqual(np.abs(small - was)[:, :60].max(), 2)
        out = self.restore("--face-upscale", "4", "--resolution", "1x", "--face-strength", "1")
        self.assertEqual(320, m.probe(out)["streams"][0]["width"])
        run = self.restore("--face-upscale", "2", "--engine", "realesrgan", expect=64)
        self.assertIn("--face-upscale 1", run.stderr)

    @unittest.skipUnless(have_engine("onnxruntime"), "ONNX Runtime is not installed (scripts/setup neural)")
    def test_the_other_engine(self):
        one, other = (planes(self.restore("--neural-engine", name))[0] for name in ("openvino", "onnxruntime"))
        self.assertLessEqual(np.abs(one - other).max(), 1)

    def test_long_jobs_ask(self):
        """Ten pictures whose times span months: with a face in each picture of them it would take over a day."""
        source = make.path("faces-long.mkv")
        make.ffmpeg("-f", "lavfi", "-i", "testsrc2=s=64x48:r=25:d=0.4", "-vf", "setpts=N+gt(N\\,4)*N*25000000",
                    "-fps_mode", "passthrough", "-c:v", "ffv1", "-g", 1, source)
        run = self.restore(source=source, expect=64)
        self.assertIn("s a face", run.stderr)
        self.assertIn("--yes", run.stderr)

    def test_what_is_refused(self):
        def refused(*flags, expect):
            out = os.path.join(harness.fresh_folder("faces"), "n.mkv")
            return harness.call("restore", clip(), "-o", out, "--deinterlace", "off", *flags, expect=expect).stderr
        self.assertIn("models import gfpgan.onnx --name gfpgan", refused("--face-restore", "gfpgan", expect=69))
        self.assertIn("models import codeformer.onnx", refused("--face-restore", "codeformer", expect=69))
        some = ("--face-restore", "gfpgan", "--face-model", inverter())
        self.assertIn("models import version-RFB-320.onnx", refused(*some, expect=69))
        self.assertIn("nowhere.onnx", refused(*some, "--face-detector", "/nowhere.onnx", expect=66))
        self.assertIn("isn't made for faces", refused(*some, "--face-detector", "deepfilternet3", expect=64))
        self.assertIn("face-detector wants", refused(*some, "--face-detector", inverter(), expect=65))
        blind = model("blind", onnx.blind_detector())
        self.assertIn("face-detector wants", refused(*some, "--face-detector", blind, expect=65))
        self.assertIn("CodeFormer", refused("--face-restore", "codeformer", "--face-model", inverter(),
                                            "--face-detector", detector(), expect=65))

    @unittest.skipUnless(shared("models/version-RFB-320.onnx"), "needs ../shared/models/version-RFB-320.onnx")
    def test_a_real_face(self):
        """The astronaut's eyes in face.jpg were marked by hand: at (89, 76) and (130, 79), the mouth at (108, 119)."""
        source = make.path("faces-real.mkv")
        make.ffmpeg("-loop", 1, "-t", "0.4", "-i", os.path.join(harness.HERE, "face.jpg"), "-vf",
                    "scale=out_color_matrix=bt601:out_range=tv,format=yuv420p,setsar=1", "-r", 25, "-colorspace",
                    "smpte170m", "-color_range", "tv", "-c:v", "ffv1", "-g", 1, source)
        out = self.restore("--face-strength", "1", source=source, find=shared("models/version-RFB-320.onnx"))
        was, now = (planes(path, 288, 216)[0][0] for path in (self.plain(source), out))
        changed = np.argwhere(np.abs(was - now) > 3)
        top, left = changed.min(0)
        bottom, right = changed.max(0)
        for x, y in ((89, 76), (130, 79), (108, 119)):
            self.assertLessEqual(abs(now[y, x] - (251 - was[y, x])), 6)
        self.assertTrue(120 < right - left < 190, (left, top, right, bottom))
        self.assertLess(abs((left + right) / 2 - 109), 14)
        self.assertEqual(0, np.abs(was - now)[:, 230:].max())


if __name__ == "__main__":
    if not have_engine():
        print("skipped: OpenVINO is not installed (scripts/setup neural)")
        sys.exit(77)
    unittest.main(argv=sys.argv[:1], verbosity=2)
