# Measuring and comparing: metrics against libavfilter's psnr and ssim (the ffmpeg program), comparison pictures against
# what ffmpeg decodes, reports by their own content, hardest scenes in a clip that has one.
import json
import os
import re
import subprocess
import unittest

import harness as h
import measure as m
import numpy as np


def path(name):
    return os.path.join(h.folder(), name)


_made = {}


def make(name, *words):
    """Makes a file once with ffmpeg; the words end before the output's name."""
    if name not in _made:
        subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-y", *map(str, words), path(name)], check=True)
        _made[name] = path(name)
    return _made[name]


def source(name="a.mkv", size="320x240", rate=25, seconds=2, fmt="yuv420p", more=""):
    return make(name, "-f", "lavfi", "-i", f"testsrc2=s={size}:r={rate}:d={seconds}{more}", "-vf", f"format={fmt}",
                "-c:v", "ffv1")


def filtered(of, name, filters, *flags):
    return make(name, "-i", of, "-vf", filters, "-c:v", "ffv1", *flags)


def noisy(of, name="noisy.mkv", strength=20, fmt="yuv420p"):
    return filtered(of, name, f"noise=alls={strength}:allf=t,format={fmt}")


def oracle(a, b, before=""):
    """ffmpeg's own psnr and ssim: ({plane: dB}, {plane: value}), planes in lower case with "all"."""
    found = []
    for name in ("psnr", "ssim"):
        graph = f"[0:v]{before or 'null'}[b];[b][1:v]{name}"
        done = subprocess.run(["ffmpeg", "-nostdin", "-nostats", "-i", b, "-i", a, "-lavfi", graph, "-f", "null", "-"],
                              capture_output=True, text=True, check=True)
        line = [x for x in done.stderr.splitlines() if f"{name.upper()} " in x][-1]
        values = re.findall(r"\b([a-zA-Z]+):([\d.]+|inf)", line)
        found.append({key.lower().replace("average", "all"): float(value) for key, value in values})
    return found


def metrics(a, b, *flags, **more):
    return json.loads(h.call("metrics", a, b, "--json", *flags, **more).stdout)


class Metrics(h.Case):
    def agrees(self, a, b, before="", planes="yuv"):
        got, (psnr, ssim) = metrics(a, b), oracle(a, b, before)
        for plane in planes:
            self.assertNear(got["psnr"][plane], psnr[plane], 0.01, plane)
            self.assertNear(got["ssim"][plane], ssim[plane], 0.0005, plane)
        self.assertNear(got["psnr"]["average"], psnr["all"], 0.01)
        self.assertNear(got["ssim"]["all"], ssim["all"], 0.0005)
        self.assertNear(got["psnr"]["worst"], psnr["min"], 0.01)
        return got

    def test_agrees_with_libavfilter(self):
        got = self.agrees(source(), noisy(source()))
        self.assertEqual((50, 0, 0, 0), tuple(got["frames"][k] for k in
                                             ("pairs", "equal", "unpaired_reference", "unpaired_tested")))
        self.assertLess(got["psnr"]["average"], 40)
        self.assertEqual([], got["notes"])

    def test_odd_sizes_422_ten_bits(self):
        a = source("ten.mkv", "326x246", fmt="yuv422p10le")
        got = self.agrees(a, noisy(a, "ten-noisy.mkv", fmt="yuv422p10le"))
        self.assertEqual(10, got["bits"])

    def test_grey_and_rgb(self):
        grey = source("grey.mkv", fmt="gray")
        self.agrees(grey, noisy(grey, "grey-noisy.mkv", fmt="gray"), planes="y")
        rgb = source("rgb.mkv", fmt="gbrp")
        self.agrees(rgb, noisy(rgb, "rgb-noisy.mkv", fmt="gbrp"), planes="rgb")

    def test_compressed(self):
        b = make("small.mp4", "-i", source(), "-c:v", "libx264", "-preset", "veryfast", "-crf", 35)
        got = self.agrees(source(), b)
        self.assertEqual(50, got["frames"]["pairs"])

    def test_equal_files(self):
        got = metrics(source(), source())
        self.assertEqual("inf", got["psnr"]["average"])
        self.assertEqual("inf", got["psnr"]["worst"])
        self.assertEqual(1, got["ssim"]["all"])
        self.assertEqual(0, got["flicker"]["difference"])
        self.assertEqual(50, got["frames"]["equal"])
        self.assertRegex(h.call("metrics", source(), source()).stdout, r"(?m)^PSNR +y +inf .* all +inf")

    def test_flicker_is_as_defined(self):
        a, b = source(), noisy(source())
        luma = [[f.luma.astype(np.float64) for f in m.frames(x)] for x in (a, b)]
        change = [[np.abs(y - x).mean() for x, y in zip(one, one[1:])] for one in luma]
        got = metrics(a, b)["flicker"]
        self.assertNear(got["reference"], np.mean(change[0]), 1e-4)
        self.assertNear(got["tested"], np.mean(change[1]), 1e-4)
        self.assertNear(got["difference"], np.mean(change[1]) - np.mean(change[0]), 1e-4)
        worst = np.argmax(np.subtract(change[1], change[0]))
        self.assertNear(got["worst"], change[1][worst] - change[0][worst], 1e-4)
        self.assertNear(got["worst_time"], (worst + 1) / 25, 0.002)
        self.assertLess(metrics(b, a)["flicker"]["difference"], 0)

    def test_worst_frame_has_its_time(self):
        b = filtered(source(), "box.mkv", "drawbox=x=40:y=40:w=100:h=100:c=white:t=fill:enable='eq(n,17)'")
        got = metrics(source(), b)
        self.assertEqual(49, got["frames"]["equal"])
        self.assertNear(got["psnr"]["worst_time"], 17 / 25, 0.002)
        self.assertNear(got["ssim"]["worst_time"], 17 / 25, 0.002)

    def test_time_pairs_frames(self):
        late = make("late.mkv", "-itsoffset", 3.5, "-i", noisy(source()), "-c", "copy")
        self.assertEqual(50, metrics(source(), late)["frames"]["pairs"])
        there = metrics(source(), noisy(source()))["psnr"]["average"]
        self.assertNear(metrics(source(), late)["psnr"]["average"], there, 1e-6)
        h.call("metrics", source(), late, "--align", "none", expect=65)
        got = metrics(source(), late, "--start", "1", "--end", "1.4")
        self.assertEqual(10, got["frames"]["pairs"])
        self.assertNear(got["frames"]["first_time"], 1, 0.002)

    def test_missing_frames_are_counted(self):
        """Frames 10 to 14 are gone in one file: the others still meet their partners."""
        holes = filtered(source(), "holes.mkv", "select='not(between(n,10,14))'", "-fps_mode", "passthrough")
        for got, key in ((metrics(source(), holes), "unpaired_reference"),
                         (metrics(holes, source()), "unpaired_tested")):
            self.assertEqual("inf", got["psnr"]["average"])
            self.assertEqual((45, 5), (got["frames"]["pairs"], got["frames"][key]))

    def test_rates(self):
        double = filtered(source(), "double.mkv", "fps=50")
        got = metrics(source(), double)
        self.assertEqual("inf", got["psnr"]["average"])
        self.assertEqual((50, 0), (got["frames"]["pairs"], got["frames"]["unpaired_reference"]))
        self.assertEqual(50, got["frames"]["unpaired_tested"])

    def test_sizes(self):
        big = filtered(source(), "big.mkv", "scale=480:360:flags=bilinear")
        got = self.agrees(source(), big, "scale=320:240:flags=bicubic+accurate_rnd+full_chroma_int")
        self.assertRegex(" ".join(got["notes"]), "480x360 to 320x240.*bicubic")

    def test_depth_matrix_and_range_are_converted(self):
        plain = source("444.mkv", fmt="yuv444p")
        tagged = filtered(plain, "601.mkv", "null", "-colorspace", "smpte170m", "-color_range", "tv")
        scale = "scale=in_color_matrix=bt601:out_color_matrix=bt709:out_range=pc:flags=accurate_rnd+full_chroma_int"
        other = filtered(tagged, "709.mkv", scale + ",format=yuv444p10le", "-colorspace", "bt709", "-color_range", "pc")
        run = h.call("metrics", tagged, other, "--json")
        got = json.loads(run.stdout)
        # libswscale goes by way of RGB in 8 bits, so not all comes back
        self.assertGreater(got["psnr"]["average"], 40, run.text())
        self.assertLess(oracle(tagged, other, "format=yuv444p")[0]["all"], 32, "the files differ little")
        self.assert_says(run, "yuv444p10le to yuv444p", "bt709 to smpte170m", "full to limited")

    def test_untagged_files_are_not_converted(self):
        """Sizes alone would let 322x240 and 720p guess different matrices."""
        hd = filtered(source(), "hd.mkv", "scale=1280:960:flags=neighbor")
        notes = " ".join(metrics(source(), hd)["notes"])
        self.assertNotIn("matrix", notes)

    def test_centre_704_of_720(self):
        wide = make("wide.mkv", "-f", "lavfi", "-i", "testsrc2=s=720x480:r=30000/1001:d=0.3", "-vf",
                    "format=yuv420p,setsar=8/9", "-c:v", "ffv1")
        square = filtered(wide, "square.mkv", "crop=704:480:8:0,scale=640:480:flags=bicubic,setsar=1")
        got = metrics(wide, square)
        self.assertRegex(" ".join(got["notes"]), "without 8 columns")
        self.assertEqual((704, 480), (got["width"], got["height"]))
        self.assertGreater(got["ssim"]["all"], 0.93)

    def test_errors(self):
        sound = make("sound.wav", "-f", "lavfi", "-i", "sine=d=1")
        text = path("text.mkv")
        with open(text, "w", encoding="utf-8") as file:
            file.write("no film\n" * 100)
        for words, code, says in (
                ((source(), path("none.mkv")), 66, "none.mkv"), ((path("none.mkv"), source()), 66, "none.mkv"),
                ((source(), sound), 65, "has no picture"), ((source(), text), 65, "text.mkv"),
                ((source(),), 64, "file to test"), ((source(), source(), "--align", "best"), 64, "auto nor none"),
                ((source(), source(), "--start", "2", "--end", "1"), 64, "not behind"),
                ((source(), source(), "--start", "90"), 65, "no frame")):
            run = h.call("metrics", *words, expect=code)
            self.assertIn(says, run.stderr, run.text())

    def test_interrupted_within_a_second(self):
        long = source("long.mkv", "640x480", seconds=30)
        process = h.start("metrics", long, long)
        try:
            process.wait(0.5)
        except subprocess.TimeoutExpired:
            pass
        code, seconds = h.end_within(process, 1)
        self.assertEqual(130, code)
        self.assertLess(seconds, 1 * h.PATIENCE)


def busy(name="busy.mkv", seconds=12, busy_at=(7, 9)):
    """A still picture, and a stretch in which it moves and is noisy."""
    a, b = busy_at
    moving = f"crop=320:240:x='if(between(t,{a},{b}),160+150*sin(n*0.7),160)':y=120"
    return make(name, "-f", "lavfi", "-i", f"testsrc2=s=640x480:r=25:d={seconds}", "-vf",
                f"trim=end_frame=1,loop=-1:1,setpts=N/25/TB,{moving},noise=alls=30:allf=t:enable='between(t,{a},{b})',"
                "format=yuv420p", "-t", seconds, "-c:v", "libx264", "-preset", "ultrafast", "-crf", 16)


class Preview(h.Case):
    def run_it(self, source_, *flags):
        output = os.path.join(h.fresh_folder(), "out.mkv")
        return h.restore(source_, *h.FAST, "--resolution", "source", *flags, output=output,
                         left=["out.mkv", "out.mkv.json", "out.mkv.png"])

    def test_length_and_picture(self):
        run = self.run_it(source(seconds=4, name="four.mkv"), "--preview", "2s@1")
        self.assert_duration(run, 2)
        self.assertEqual(50, len(list(m.frames(run.output))))
        both = m.stream(run.output + ".png", "video")
        height = run.stream("video")["height"]
        self.assertEqual(height, both["height"])
        self.assertNear(both["width"], 2 * 320 * height / 240 + 8, 2)

    def test_begins_where_asked(self):
        a = source(seconds=4, name="four.mkv")
        run = self.run_it(a, "--preview", "1s@2", "--deinterlace", "off")
        got = [f.luma for f in m.frames(run.output)]
        want = [f.luma for f in m.frames(a) if 2 <= f.time < 3]
        self.assertEqual(len(want), len(got))
        self.assertGreater(min(m.psnr(x, y) for x, y in zip(want, got)), 40)

    def test_at_the_hardest_moment(self):
        run = self.run_it(busy(), "--preview", "1s@hardest")
        self.assert_duration(run, 1)
        # how much it moves tells that the piece was cut from the busy stretch
        luma = [f.luma for f in m.frames(run.output)]
        self.assertGreater(np.mean([np.abs(y - x).mean() for x, y in zip(luma, luma[1:])]), 10)
        late = self.run_it(busy("busy-early.ts", busy_at=(2, 4)), "--preview", "1s@hardest")
        luma = [f.luma for f in m.frames(late.output)]
        self.assertGreater(np.mean([np.abs(y - x).mean() for x, y in zip(luma, luma[1:])]), 10)

    def test_wrong_words(self):
        h.restore(source(), "--preview", "1s@easiest", expect=64)


if __name__ == "__main__":
    h.main()
