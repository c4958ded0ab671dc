# Each classical setting does what a hand-written ffmpeg command does: the same framemd5, with FFV1 output.
#
# The commands are written from the settings' descriptions and libavfilter's documentation. Where ours differs by design
# the row says why, and how near the two must be (PSNR of all planes, dB):
#
#   colour_balance, levels  to RGB and back with accurate rounding and full chroma; ffmpeg converts with its default  43
#   lut                     the same, and the table is applied with tetrahedral interpolation in both                 45
#   default chroma place    ours takes untagged 4:2:0 as MPEG-2 does, colour beside the left samples; ffmpeg's scale
#                           centres it unless told otherwise (told so, the two are equal)                             50
#   hd_matrix               SD to HD: the matrix is converted exactly (vf_colorspace) before the scale, ffmpeg's scale
#                           does both at once in 8 bits of RGB                                                        40
#   eq_10_bit               libavfilter's eq has 8 bits only; ours keeps 10                                           44
import os
import re
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "e2e"))
import harness as h  # noqa: E402
import make  # noqa: E402
import measure as m  # noqa: E402
from make import Clip  # noqa: E402

# Nothing but what the row sets: no size, no sharpening; the source's sample aspect.
BARE = ("--preset", "clean", "--resolution", "source", "--sharpen", "off", "--no-square-pixels", *h.EXACT)


@make.once
def source(kind):
    """tff and bff: interlaced; film: progressive; tele: 3:2 pull-down; deep: 10 bit; hd: film with HD's colours.
    FFV1 4:2:0 with all colour tags. A piece of the scene, for speed; with "sd " in front, the whole."""
    whole, kind = kind.startswith("sd "), kind.removeprefix("sd ")
    count = 4 if whole else 6
    clip = {"tff": Clip(count=count), "bff": Clip(576, order="bff", count=count),
            "tele": Clip(count=30, telecine=True)}.get(kind, Clip(order="progressive", count=count - 1))
    fmt = "yuv420p10le" if kind == "deep" else "yuv422p" if kind == "wide_chroma" else "yuv420p"
    hd = ["-color_primaries", "bt709", "-color_trc", "bt709", "-colorspace", "bt709", "-color_range", "tv"]
    piece = "" if whole else f"crop={'352:240' if kind == 'tele' else '240:160'}:200:120,"
    return make.encoded(clip, "mkv", "-vf",
                        f"{piece}scale=interl={int(kind in ('tff', 'bff', 'tele'))},format={fmt},"
                        "noise=alls=6:all_seed=5", *(hd if kind == "hd" else []), "-c:v", "ffv1", "-an",
                        name=kind, colours=kind != "hd")


def by_hand(path, filters, fmt):
    """What ffmpeg makes of it: raw pictures."""
    out = make.path("hand.nut")
    make.ffmpeg("-i", path, "-vf", filters, "-pix_fmt", fmt, "-fps_mode", "passthrough", "-c:v", "rawvideo",
                out)
    return out


def psnr(a, b):
    done = h.subprocess.run(["ffmpeg", "-nostdin", "-hide_banner", "-i", a, "-i", b, "-lavfi",
                             "[0:v]settb=1/1000,setpts=N[a];[1:v]settb=1/1000,setpts=N[b];[a][b]psnr", "-f", "null",
                             "-"],
                            capture_output=True, check=True)
    value = re.search(r"average:(\S+)", done.stderr.decode())[1]
    return float(value)


class Golden(h.Case):
    def check(self, kind, flags, filters, at_least=None):
        path = source(kind)
        run = h.restore(path, *BARE, *flags)
        fmt = run.stream("video")["pix_fmt"]
        self.assertEqual(fmt, m.stream(path, "video")["pix_fmt"])
        ours = m.framemd5(run.output)
        if at_least is None:
            faults = m.framemd5_differences(ours, m.framemd5(path, 0, fmt, filters))
            if faults:
                self.fail(f"{faults[:3]}, PSNR {psnr(run.output, by_hand(path, filters, fmt))} dB\n{filters}\n"
                          f"{run.text()}\n{[s['does'] for s in run.sidecar['stages']]}")
        else:
            hand = by_hand(path, filters, fmt)
            self.assertEqual(len(ours), len(m.framemd5(hand)))
            self.assertGreaterEqual(psnr(run.output, hand), at_least, run.text())
        # A filter that changes nothing proves nothing.
        if filters != "null":
            self.assertNotEqual(ours, m.framemd5(path))

    def rows(self, rows):
        for name, kind, flags, filters, *more in rows:
            with self.subTest(name):
                self.check(kind, flags.split(), filters, *more)

    def test_nothing(self):
        self.check("film", ("--deinterlace", "off"), "null")

    def test_deinterlacers(self):
        rows = []
        for name in ("yadif", "bwdif"):
            for order, parity in (("tff", "tff"), ("bff", "bff")):
                for rate, mode in (("double", "send_field"), ("single", "send_frame")):
                    rows.append((f"{name} {order} {rate}", order, f"--deinterlace {name} --deinterlace-frames all "
                                 f"--field-rate {rate}", f"{name}=mode={mode}:parity={parity}:deint=all"))
        for name, more in (("w3fdif", "filter=complex:"), ("estdif", "")):
            for order in ("tff", "bff"):
                for rate, mode in (("double", "field"), ("single", "frame")):
                    rows.append((f"{name} {order} {rate}", order, f"--deinterlace {name} --deinterlace-frames all "
                                 f"--field-rate {rate}", f"{name}={more}mode={mode}:parity={order}:deint=all"))
        self.rows(rows)

    def test_ivtc(self):
        self.check("tele", ("--ivtc", "on"),
                   "fieldmatch=order=tff:combmatch=full,yadif=parity=tff:deint=interlaced,decimate")
        self.check("tele", ("--ivtc", "on", "--deinterlace", "bwdif"),
                   "fieldmatch=order=tff:combmatch=full,bwdif=mode=send_frame:parity=tff:deint=interlaced,decimate")

    def test_denoisers(self):
        self.rows([(f"hqdn3d {numbers}", "film", f"--denoise hqdn3d --denoise-strength {strength}", f"hqdn3d={numbers}")
                   for strength, numbers in (("4:3:6:4.5", "4:3:6:4.5"), ("2:1:2:3", "2:1:2:3"), ("light", "1:1:2:2"),
                                             ("standard", "4:3:6:4.5"), ("heavy", "8:6:12:9"), ("severe", "10:8:15:12"),
                                             ("3", "3"))])
        self.rows([("hqdn3d 10 bit", "deep", "--denoise hqdn3d --denoise-strength 4:3:6:4.5", "hqdn3d=4:3:6:4.5")])
        self.rows([("atadenoise", "film", "--denoise atadenoise --denoise-strength 0.02:0.04:0.02:0.04:0.02:0.04:9",
                    "atadenoise=0.02:0.04:0.02:0.04:0.02:0.04:9"),
                   ("nlmeans", "film", "--denoise nlmeans --denoise-strength 3:7:5:9:7", "nlmeans=3:7:5:9:7")])

    def test_named_strengths_grow(self):
        """The noise that is left on a still grey picture falls from name to name, for each denoiser."""
        size, count, grey, sigma = 96 * 128, 27, 120, 3
        dice = np.random.default_rng(3)
        noisy = [np.rint(grey + dice.normal(0, sigma, size)).astype(np.uint8).tobytes() for _ in range(count)]
        path, chroma = make.path("noise.mkv"), bytes([128]) * (size // 2)
        make.ffmpeg("-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", "128x96", "-r", 25, "-i", "-", "-c:v", "ffv1",
                    *make.colour_flags(), path, feed=[luma + chroma for luma in noisy])

        def left(*flags):
            run = h.restore(path, *BARE, "--deinterlace", "off", *flags)
            raw = m.run(["ffmpeg", "-v", "error", "-i", run.output, "-vf", "extractplanes=y", "-f", "rawvideo", "-"])
            pictures = np.frombuffer(raw, np.uint8).reshape(count, size)[count // 2 - 2:count // 2 + 3]
            return float(pictures.std())

        self.assertNear(left("--denoise", "off"), sigma, 0.1, "noise of the source")
        for name in ("atadenoise", "nlmeans", "hqdn3d"):
            with self.subTest(name):
                noise = [left("--denoise", name, "--denoise-strength", strength)
                         for strength in ("light", "standard", "strong", "heavy", "severe")]
                self.assertLess(noise[0], sigma * 1.01, noise)
                for more, less in zip(noise, noise[1:]):
                    self.assertLess(less, more * 0.92, noise)
                self.assertLess(noise[-1], sigma / 3, noise)

    def test_cleaning(self):
        self.rows([("deblock weak", "film", "--deblock weak", "deblock=filter=weak:block=8"),
                   ("deblock strong", "film", "--deblock strong", "deblock=filter=strong:block=8"),
                   ("deband", "film", "--deband standard", "deband"),
                   ("dedot", "film", "--dedot", "dedot")])

    def test_colour(self):
        self.rows([("eq", "film", "--contrast 1.1 --brightness 0.05 --saturation 1.05",
                    "eq=contrast=1.1:brightness=0.05:saturation=1.05"),
                   ("saturation", "film", "--saturation 1.15", "eq=saturation=1.15"),
                   ("gamma", "film", "--gamma 1.2", "eq=gamma=1.2"),
                   ("eq_10_bit", "deep", "--contrast 1.1 --brightness 0.05 --saturation 1.05",
                    "format=yuv420p,eq=contrast=1.1:brightness=0.05:saturation=1.05", 44),
                   ("colour_balance", "film", "--colour-balance rs=0.1:bs=-0.1", "colorbalance=rs=0.1:bs=-0.1", 45),
                   ("levels", "film", "--levels 16:235:0:255", "colorlevels=rimin=16/255:gimin=16/255:bimin=16/255:"
                    "rimax=235/255:gimax=235/255:bimax=235/255", 43)])

    def test_lut(self):
        cube = make.path("warm.cube")
        with open(cube, "w", encoding="utf-8") as file:
            file.write("LUT_3D_SIZE 5\n")
            for b in range(5):
                for g in range(5):
                    for r in range(5):
                        file.write(f"{(r / 4) ** 0.9:.6f} {g / 4:.6f} {b / 4 * 0.9:.6f}\n")
        self.check("film", ("--lut", cube), f"lut3d=file={cube}:interp=tetrahedral", 45)
        self.check("film", ("--lut", cube, "--lut-strength", "0"), "null")

    def test_geometry(self):
        self.rows([("crop", "film", "--crop 8:4:16:12", "crop=216:144:8:4"),
                   ("head switching", "film", "--head-switching 8", "crop=240:152:0:0"),
                   ("chroma shift", "film", "--chroma-shift-x 4 --chroma-shift-y -2",
                    "chromashift=cbh=2:crh=2:cbv=-1:crv=-1"),
                   ("chroma shift interlaced", "tff", "--deinterlace off --chroma-shift-x -6",
                    "chromashift=cbh=-3:crh=-3")])

    def test_scale(self):
        left = "in_h_chr_pos=0:in_v_chr_pos=128:out_h_chr_pos=0:out_v_chr_pos=128"
        rows = [(f"{kernel} {size}", "film", f"--resolution {size.replace(':', 'x')} --scaler {kernel}",
                 f"scale={size}:flags={kernel}:{left}")
                for kernel in ("lanczos", "bicubic", "bilinear", "spline", "neighbor")
                for size in (("180:120", "320:200") if kernel == "lanczos" else ("320:120",))]
        rows.append(("default chroma place", "film", "--resolution 320x200", "scale=320:200:flags=lanczos", 50))
        rows.append(("720 lines, HD already", "hd", "--resolution 1080x720", f"scale=1080:720:flags=lanczos:{left}"))
        rows.append(("hd_matrix", "sd film", "--resolution 1440x1080", "scale=1440:1080:flags=lanczos+accurate_rnd+"
                     "full_chroma_int:in_color_matrix=smpte170m:out_color_matrix=bt709", 40))
        self.rows(rows)

    def test_sharpening(self):
        self.rows([("cas 0.4", "film", "--sharpen cas --sharpen-strength 0.4", "cas=strength=0.4"),
                   ("cas 1", "film", "--sharpen cas --sharpen-strength 1", "cas=strength=1"),
                   ("unsharp 0.5", "film", "--sharpen unsharp --sharpen-strength 0.5", "unsharp=5:5:1:5:5:0"),
                   ("10 bit cas", "deep", "--sharpen cas --sharpen-strength 0.4", "cas=strength=0.4")])

    def test_all_in_the_right_order(self):
        self.check("tff", "--deinterlace bwdif --deinterlace-frames all --chroma-shift-x 2 --crop 8:0:8:8 "
                   "--deblock weak --denoise hqdn3d --denoise-strength 4:3:6:4.5 --deband standard --saturation 1.1 "
                   "--resolution 224x120 --scaler bicubic --sharpen cas --sharpen-strength 0.3".split(),
                   "chromashift=cbh=1:crh=1,bwdif=mode=send_field:parity=tff:deint=all,crop=224:152:8:0,"
                   "deblock=filter=weak:block=8,hqdn3d=4:3:6:4.5,deband,eq=saturation=1.1,scale=224:120:flags=bicubic,"
                   "cas=strength=0.3")


class Presets(h.Case):
    """The presets, from the description of each; without the look-up table, and at the source's size, exactly."""
    HAND = {
        "vhs": ("tff", "bwdif=deint=all", "hqdn3d=3:2:3:2", "eq=contrast=1.1:brightness=0.05:saturation=1.05",
                "cas=strength=0.4"),
        "dvd": ("tff", "bwdif=deint=all", "hqdn3d=2:1:2:1", "cas=strength=0.3"),
        "clean": ("film", "cas=strength=0.15"),
        "vhs_standard": ("tff", "bwdif=deint=all", "hqdn3d=4:3:6:4.5", "eq=saturation=1.1", "cas=strength=0.4"),
        "vhs_clean": ("tff", "bwdif=deint=all", "hqdn3d=2:1:2:3", "eq=saturation=1.05", "cas=strength=0.3"),
        "vhs_heavy": ("tff", "bwdif=deint=all", "crop=iw:ih-8:0:0", "hqdn3d=8:6:12:9",
                      "eq=saturation=1.15:brightness=0.02", "cas=strength=0.5"),
        "dvd_interlaced": ("tff", "bwdif=deint=all", "hqdn3d=2:1:2:3", "cas=strength=0.3"),
        "dvd_progressive": ("film", "hqdn3d=1:1:2:2", "cas=strength=0.25"),
        "youtube_old": ("film", "deblock=filter=weak:block=8", "hqdn3d=3:2:4:3", "cas=strength=0.4"),
        "animation": ("film", "hqdn3d=1:1:2:2", "cas=strength=0.2"),
        "broadcast_1080i": ("tff", "bwdif=deint=all", "hqdn3d=1:1:2:2", "cas=strength=0.2"),
        "webcam": ("film", "hqdn3d=4:3:4:3", None),
    }

    def test_exactly(self):
        for name, (kind, *filters) in self.HAND.items():
            with self.subTest(name):
                run = h.restore(source(kind), "--preset", name, "--lut", "none", "--resolution", "source",
                                "--no-square-pixels", *h.EXACT, *(["--sharpen", "off"] if None in filters else []))
                hand = m.framemd5(source(kind), 0, run.stream("video")["pix_fmt"], ",".join(f for f in filters if f))
                self.assertEqual(m.framemd5_differences(m.framemd5(run.output), hand), [],
                                 f"{run.text()}\n{run.sidecar['stages']}")

    def test_as_they_are(self):
        """At their own size and encoder, with the look: within a few dB of the hand-written chain."""
        for name in ("vhs_standard", "vhs", "dvd", "clean"):
            with self.subTest(name):
                kind, *filters = self.HAND[name]
                path = source(f"sd {kind}")
                run = h.restore(path, "--preset", name, "--encoder-preset", "ultrafast")
                video = run.stream("video")
                self.assertEqual((video["codec_name"], video["width"], video["height"]), ("h264", 1440, 1080))
                scale = "crop=704:480:8:0,scale=1440:1080:flags=lanczos:out_color_matrix=bt709"
                hand = by_hand(path, ",".join([*filters[:-1], scale, filters[-1]]), "yuv420p")
                # The look of vhs_standard changes colours on purpose: 25 dB.
                self.assertGreater(psnr(run.output, hand), 25 if name == "vhs_standard" else 30, run.text())
                self.assert_tags(run, "smpte170m", "bt709", "bt709")

    def test_every_preset_runs(self):
        listed = [n[:-5] for n in os.listdir(os.path.join(h.ROOT, "presets")) if n.endswith(".yaml")]
        self.assertGreater(len(listed), 12)
        for name in listed:
            with self.subTest(name):
                if name == "auto":
                    h.restore(source("film"), "--preset", name, expect=69)
                    continue
                quick = () if name in ("archive",) else ("--encoder-preset", "ultrafast", "--resolution", "source")
                self.assertEqual(h.restore(source("tff"), "--preset", name, *quick).code, 0)


class Archive(h.Case):
    def test_pixels_and_flags_stay(self):
        for kind in ("sd tff", "sd bff", "film", "deep", "wide_chroma"):
            with self.subTest(kind):
                path = source(kind)
                run = h.restore(path, "--preset", "archive")
                self.assertEqual(m.framemd5_differences(m.framemd5(run.output), m.framemd5(path)), [])
                ours, theirs = run.stream("video"), m.stream(path, "video")
                for key in ("codec_name", "width", "height", "sample_aspect_ratio", "pix_fmt", "r_frame_rate",
                            "color_range", "color_space", "color_primaries", "color_transfer"):
                    self.assertEqual(ours.get(key), theirs.get(key), key)
                if kind.startswith("sd "):
                    order = kind.removeprefix("sd ")
                    self.assertIn(ours.get("field_order"), {"tff": ("tt", "tb"), "bff": ("bb", "bt")}[order])
                    geo = m.geometry(run.output, 576 if order == "bff" else 480)
                    self.assertEqual(m.field_order(run.output, geo), order)

    def test_odd_size_and_sound(self):
        clip = Clip(order="progressive", count=15)
        path = make.encoded(clip, "mkv", "-vf", "scale=351:239,setsar=7/5", "-pix_fmt", "yuv444p", "-c:v", "ffv1",
                            "-c:a", "copy")
        run = h.restore(path, "--preset", "archive")
        self.assertEqual(m.framemd5_differences(m.framemd5(run.output), m.framemd5(path)), [])
        self.assertEqual(run.stream("video")["sample_aspect_ratio"], "7:5")
        self.assertEqual(run.stream("audio")["codec_name"], "flac")
        self.assertEqual(float(abs(m.sound(run.output).samples - m.sound(path).samples).max()), 0)

    def test_mpeg2_and_dv_tapes(self):
        clip = Clip(count=6)
        dv = make.encoded(Clip(count=6, order="bff"), "dv", "-vf", "scale=interl=1,format=yuv411p", "-c:v", "dvvideo",
                          "-c:a", "pcm_s16le", "-ar", 48000, "-s", "720x480", colours=False)
        for path in (make.mpeg_ps(clip), dv):
            run = h.restore(path, "--preset", "archive")
            self.assertEqual(m.framemd5_differences(m.framemd5(run.output), m.framemd5(path)), [])
            self.assertEqual(run.stream("video")["pix_fmt"], m.stream(path, "video")["pix_fmt"])
            self.assertEqual(m.sar(run.output), m.sar(path))
            self.assertEqual(m.field_order(run.output), m.field_order(path))


if __name__ == "__main__":
    h.main()
