# Measuring and comparing: metrics against libavfilter's psnr and ssim (the ffmpeg program), comparison pictures against
# what ffmpeg decodes, reports by their own content, hardest scenes in a clip that has one.
import base64
import html.parser
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
        folder = h.fresh_folder()
        run = h.call("batch", source(), "-o", folder, "--preview", "1s@hardest", expect=64)
        self.assertIn("takes one input", run.stderr)
        self.assertEqual([], os.listdir(folder))


def picture(name):
    """A picture file as an array of rows x columns x (red, green, blue)."""
    video = m.stream(name, "video")
    raw = m.run(["ffmpeg", "-nostdin", "-v", "error", "-i", name, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"])
    return np.frombuffer(raw, np.uint8).reshape(video["height"], video["width"], 3).astype(int)


def frame_rgb(name, number):
    """A frame of a video, converted to RGB by ffmpeg."""
    video = m.stream(name, "video")
    matrix = "bt709" if video.get("color_space") == "bt709" else "bt601"
    scale = f"scale=in_color_matrix={matrix}:flags=lanczos+accurate_rnd+full_chroma_int+full_chroma_inp,format=rgb24"
    raw = m.run(["ffmpeg", "-nostdin", "-v", "error", "-i", name, "-vf", f"select='eq(n,{number})',{scale}",
                 "-frames:v", "1", "-f", "rawvideo", "-"])
    return np.frombuffer(raw, np.uint8).reshape(video["height"], video["width"], 3).astype(int)


def boxed():
    return filtered(source(), "painted.mkv", "drawbox=x=60:y=40:w=80:h=80:c=white:t=fill")


def out(name):
    return os.path.join(h.fresh_folder(), name)


BAR, GAP = 14, 4  # at 240 lines


class Pictures(h.Case):
    def compared(self, *words, name="out.png", **more):
        output = out(name)
        run = h.call("compare", *words, "-o", output, **more)
        if run.code == 0:
            self.assertEqual([name], os.listdir(os.path.dirname(output)), run.text())
            self.assertEqual(output + "\n", run.stdout)
        else:
            self.assertEqual([], os.listdir(os.path.dirname(output)), run.text())
        return output

    def assert_same(self, got, want, what):
        """Colour conversions of two programs differ by a step here and there."""
        self.assertEqual(want.shape, got.shape, what)
        self.assertLessEqual(np.abs(got - want).max(), 2, what)

    def test_split(self):
        b = noisy(source())
        got = picture(self.compared(source(), b, "--mode", "split", "--at", "1"))
        self.assertEqual((240 + BAR, 320, 3), got.shape)
        body = got[BAR:]
        self.assert_same(body[:, :159], frame_rgb(source(), 25)[:, :159], "the left half is A's")
        self.assert_same(body[:, 161:], frame_rgb(b, 25)[:, 161:], "the right half is B's")
        self.assertTrue((body[:, 159:161] == 255).all(), "a white line between them")
        self.assertGreater((got[:BAR] > 200).sum(), 100, "letters on the bar")
        self.assertGreater((got[:BAR] < 20).mean(), 0.6, "the bar is dark")

    def test_side_by_side(self):
        b = noisy(source())
        got = picture(self.compared(source(), b, "--mode", "side-by-side", "--at", "0.5"))
        self.assertEqual((240 + BAR, 640 + GAP, 3), got.shape)
        self.assert_same(got[BAR:, :320], frame_rgb(source(), 12), "A")
        self.assert_same(got[BAR:, 320 + GAP:], frame_rgb(b, 12), "B")

    def test_heat_map(self):
        got = picture(self.compared(source(), boxed(), "--mode", "heatmap", "--at", "1"))[BAR:]
        dark = np.array([0x44, 0x01, 0x54])  # viridis begins so
        inside, outside = got[44:116, 64:136], got.copy()
        outside[36:124, 56:144] = dark
        self.assertLess(np.abs(outside - dark).max(), 8, "dark where the files are equal")
        luma = [f.luma for f in list(m.frames(source()))[25:26] + list(m.frames(boxed()))[25:26]]
        steps = np.abs(luma[0] - luma[1])[44:116, 64:136]
        # the more they differ the brighter: green of viridis rises all the way
        bright, faint = steps > steps.mean(), steps < steps.mean()
        self.assertGreater(inside[..., 1][bright].mean(), inside[..., 1][faint].mean() + 30)
        self.assertGreater(inside[..., 1].mean(), 60)

    def test_all_and_several_moments(self):
        got = picture(self.compared(source(), boxed(), "--at", "0.2,1.4"))
        self.assertEqual((4 * (240 + BAR) + 3 * GAP, 640 + GAP, 3), got.shape)
        block = 2 * (240 + BAR + GAP)
        self.assert_same(got[block + BAR:block + BAR + 240, :320], frame_rgb(source(), 35), "A at the second moment")
        self.assert_same(got[BAR:BAR + 240, 320 + GAP:], frame_rgb(boxed(), 5), "B at the first")

    def test_taller_file_gives_the_size(self):
        big = filtered(source(), "double-size.mkv", "scale=640:480:flags=lanczos")
        got = picture(self.compared(source(), big, "--mode", "split", "--at", "1"))
        self.assertEqual((480 + 2 * BAR, 640, 3), got.shape)
        self.assert_same(got[2 * BAR:, 324:], frame_rgb(big, 25)[:, 324:], "B's own pixels")

    def test_video(self):
        for name, rate in (("out.mkv", 25), ("out.mp4", 25)):
            output = self.compared(source(), noisy(source()), "--mode", "side-by-side", "--end", "1", name=name)
            times = [float(f.time) for f in m.frames(output)]
            self.assertEqual(25, len(times))
            for n, time in enumerate(times):
                self.assertNear(time, n / rate, 0.0011)
            self.assertEqual((644, 254), tuple(m.stream(output, "video")[k] for k in ("width", "height")))
            luma = list(m.frames(output))[10].luma
            self.assertGreater(m.psnr(luma[BAR:, :320], list(m.frames(source()))[10].luma), 33)

    def test_errors(self):
        a, b = source(), noisy(source())
        existing = out("there.png")
        with open(existing, "w", encoding="utf-8") as file:
            file.write("mine")
        self.assertIn("exists already", h.call("compare", a, b, "-o", existing, expect=73).stderr)
        with open(existing, encoding="utf-8") as file:
            self.assertEqual("mine", file.read())
        h.call("compare", a, b, "-o", existing, "--overwrite")
        self.assertEqual(644, m.stream(existing, "video")["width"])
        for words, code, says in (
                ((a, b, "--mode", "splt"), 64, "did you mean 'split'"), ((a, b, "--at", "noon"), 64, "not a time"),
                ((a, b, "--at", "hardest:x"), 64, "hardest:3"), ((a, b, "--at", "99"), 64, "not both files"),
                ((a,), 64, "second file"), ((a, path("none.mkv")), 66, "none.mkv"),
                ((a, "--presets", "vhss"), 64, "vhs"), ((a, "--presets", "vhs", "--mode", "split"), 64, "--mode")):
            output = out("x.png")
            run = h.call("compare", *words, "-o", output, expect=code)
            self.assertIn(says, run.stderr, run.text())
            self.assertEqual([], os.listdir(os.path.dirname(output)))
        h.call("compare", a, b, "-o", out("x.gif"), expect=64)
        h.call("compare", a, b, "-o", a, "--overwrite", expect=64)
        h.call("compare", a, b, "-o", out("x.mkv"), "--at", "1", expect=64)
        many = ",".join(["1"] * 60)
        self.assertIn(".html", h.call("compare", a, b, "-o", out("x.png"), "--at", many, expect=64).stderr)

    def test_interrupted(self):
        long, output = source("long.mkv", "640x480", seconds=30), out("out.mkv")
        process = h.start("compare", long, long, "-o", output)
        try:
            process.wait(1)
        except subprocess.TimeoutExpired:
            pass
        code, seconds = h.end_within(process, 1)
        self.assertEqual(130, code)
        self.assertLess(seconds, 1.2 * h.PATIENCE)
        self.assertEqual([], os.listdir(os.path.dirname(output)))


class Page(html.parser.HTMLParser):
    """What a report consists of; its tags must close as they opened."""

    def __init__(self, name):
        super().__init__()
        self.images, self.tags, self.open, self.text, self.links = [], [], [], [], []
        with open(name, encoding="utf-8") as file:
            self.source = file.read()
        self.feed(self.source)
        self.close()

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append(tag)
        if tag not in ("meta", "img", "input", "br"):
            self.open.append(tag)
        if tag == "img":
            self.images.append(attrs)
        self.links += [attrs[k] for k in ("src", "href", "srcset", "action", "data") if k in attrs]

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            raise AssertionError(f"</{tag}> closes nothing")

    def handle_data(self, data):
        self.text.append(data)

    def picture(self, index):
        head, data = self.images[index]["src"].split(",", 1)
        assert head == "data:image/png;base64", head
        name = out("embedded.png")
        with open(name, "wb") as file:
            file.write(base64.b64decode(data, validate=True))
        return picture(name)


class Reports(h.Case):
    compared, assert_same = Pictures.compared, Pictures.assert_same

    def page(self, *words, **more):
        page = Page(self.compared(*words, name="out.html", **more))
        self.assertEqual([], page.open)
        self.assertNotRegex(page.source, r"(?i)https?:|<script|<link|@import|url\(|\son\w+=")
        self.assertTrue(all(link.startswith("data:image/png;base64,") for link in page.links))
        self.assertTrue(page.images and all(len(i.get("alt", "")) > 5 for i in page.images))
        self.assertIn("prefers-color-scheme:dark", page.source)
        self.assertIn('name="viewport"', page.source)
        return page

    def test_report(self):
        b = noisy(source())
        page = self.page(source(), b, "--at", "0.4,1.2")
        self.assertEqual(2 * 5, len(page.images))  # the cut's two, A, B, difference
        self.assertEqual(2 * 21, page.tags.count("input"))
        self.assert_same(page.picture(0), frame_rgb(source(), 10), "A under the cut")
        self.assert_same(page.picture(1), frame_rgb(b, 10), "B under the cut")
        self.assert_same(page.picture(8), frame_rgb(b, 30), "B at the second moment")
        found = metrics(source(), b)
        self.assertIn(f"{found['psnr']['average']:.3f}", page.text)
        self.assertIn(f"{found['ssim']['all']:.5f}", page.text)
        self.assertIn(f"{found['flicker']['difference']:.4f}", page.text)

    def test_modes_and_names(self):
        """Names with characters that HTML gives a meaning."""
        odd = make("a<b>&\"c\".mkv", "-i", source(), "-c", "copy")
        page = self.page(odd, boxed(), "--mode", "heatmap", "--no-metrics")
        self.assertEqual(1, len(page.images))
        self.assertIn("a<b>&\"c\".mkv", " ".join(page.text))
        self.assertNotIn("table", page.tags)

    def test_preset_grid(self):
        sharp = path("sharp.yaml")
        with open(sharp, "w", encoding="utf-8") as file:
            file.write("name: sharp\ntitle: Sharp\nsettings:\n  sharpen: cas\n  denoise: hqdn3d\n  resolution: 2x\n")
        page = self.page("--presets", f"archive,{sharp}", source(), "--at", "1")
        self.assertEqual(3, len(page.images))
        self.assertEqual(3, page.tags.count("figure"))
        for name in ("source", "archive", "sharp.yaml"):
            self.assertRegex(" ".join(page.text), rf"\b{name}\b")
        self.assert_same(page.picture(0), frame_rgb(source(), 25), "the source")
        # the pictures are those that restoring the whole file gives at that time
        whole = h.restore(source(), *h.EXACT, "--preset", sharp)
        got, want = page.picture(2), frame_rgb(whole.output, 25)
        self.assertEqual(want.shape, got.shape)
        self.assertGreater(m.psnr(got, want), 35)
        self.assertLess(m.psnr(got, frame_rgb(whole.output, 26)), m.psnr(got, want) - 3)

    def test_preset_grid_png(self):
        got = picture(self.compared("--presets", "archive", source(), "--at", "0.6,1"))
        self.assertEqual((2 * (240 + BAR + GAP) - GAP, 640 + GAP, 3), got.shape)
        self.assert_same(got[BAR:BAR + 240, :320], frame_rgb(source(), 15), "the source")
        self.assertGreater(m.psnr(got[BAR:BAR + 240, 324:], frame_rgb(source(), 15)), 40)


class Hardest(h.Case):
    def moments(self, of, word="hardest:2"):
        page = out("page.html")
        h.call("compare", of, of, "--at", word, "--no-metrics", "--mode", "heatmap", "-o", page)
        found = re.findall(r"<h2>At (\d+):(\d+):([\d.]+)", Page(page).source)
        return [int(a) * 3600 + int(b) * 60 + float(c) for a, b, c in found]

    def test_finds_the_busy_stretch(self):
        for name, stretch in (("busy.mkv", (7, 9)), ("busy-early.ts", (2, 4))):
            found = self.moments(busy(name, busy_at=stretch), "hardest:1")[0]
            self.assertTrue(stretch[0] - 0.1 <= found <= stretch[1] + 0.3, found)

    def test_in_a_long_file(self):
        """Longer than what is decoded on the way: found by seeking."""
        long = busy("busy-long.mkv", 420, (300, 306))
        self.assertTrue(299.8 <= self.moments(long, "hardest:1")[0] <= 306.3)

    def test_apart(self):
        found = self.moments(busy(), "hardest:4")
        self.assertEqual(4, len(found))
        self.assertEqual(sorted(found), found)
        self.assertGreaterEqual(min(b - a for a, b in zip(found, found[1:])), 1.99)

    def test_a_cut_is_no_motion(self):
        """Two still pictures with a cut at 3 s, then little motion at 6 s: that is harder."""
        filters = ("format=yuv420p,trim=end_frame=1,loop=-1:1,setpts=N/25/TB,negate=enable='gte(t,3)',"
                   "crop=300:220:x='if(gte(t,6),10+8*sin(n),10)':y=10")
        clip = make("cut.mkv", "-f", "lavfi", "-i", "testsrc2=s=320x240:r=25:d=8", "-vf", filters, "-t", 8, "-c:v",
                    "ffv1")
        self.assertGreaterEqual(self.moments(clip, "hardest:1")[0], 5.9)


if __name__ == "__main__":
    h.main()
