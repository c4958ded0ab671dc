# A job in segments is the job in one piece: as many pictures at the same times, at the stage output equal (80 dB and
# more in every plane of every picture) to a run without segments, sound and captions the same, whatever the input, the
# filters and the container. TERMINALAI_FAULTS=all tries all of them; else the ones that differ most.
import json
import os
import re
import shutil
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness as h  # noqa: E402
import make  # noqa: E402
import measure as m  # noqa: E402
from make import Clip  # noqa: E402

ALL = os.environ.get("TERMINALAI_FAULTS") == "all"
LEAST_DB = 80
PLAIN = ("--resolution", "source")


def flags_of(kind):
    """Flags of ffmpeg for a small source of this kind, and its extension."""
    mpeg2 = ["-c:v", "mpeg2video", "-flags", "+ildct+ilme", "-top", 1, "-bf", 2, "-g", 12, "-b:v", "3M"]
    return {"mpg": [*mpeg2, "-c:a", "mp2", "-f", "dvd"], "ts": [*mpeg2, "-c:a", "mp2", "-f", "mpegts"],
            "vob": [*mpeg2, "-c:a", "ac3", "-f", "dvd"],
            "avi": ["-c:v", "mpeg4", "-flags", "+ildct+ilme", "-b:v", "3M", "-c:a", "pcm_s16le"],
            "mp4": ["-c:v", "libx264", "-preset", "veryfast", "-flags", "+ildct+ilme", "-g", 25, "-crf", 16,
                    "-c:a", "aac"],
            "mkv": ["-c:v", "ffv1", "-g", 10, "-c:a", "pcm_s16le"]}[kind]


@make.once
def tape(kind, seconds=3.5, interlaced=True):
    """Noise over movement, interlaced or not, with sound."""
    out = make.path(f"segments-{seconds}-{int(interlaced)}.{kind}")
    rate = "60000/1001" if interlaced else "30000/1001"
    picture = f"testsrc2=s=320x240:r={rate}:d={seconds},noise=alls=14:allf=t" + \
        (",interlace=scan=tff" if interlaced else "") + ",format=yuv420p,setsar=1"
    ffmpeg = flags_of(kind) if interlaced else ["-c:v", "libx264", "-preset", "veryfast", "-g", 25, "-crf", 16, "-c:a",
                                               "aac"]
    make.ffmpeg("-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", f"sine=440:r=48000:d={seconds}", *ffmpeg, out)
    return out


@make.once
def joined():
    """Two recordings in one file: the times begin anew."""
    out = make.path("joined.vob")
    with open(out, "wb") as file:
        for _ in range(2):
            with open(tape("vob", 2.5), "rb") as part:
                file.write(part.read())
    return out


@make.once
def uneven():
    """Progressive pictures of which some are missing: the rate varies."""
    out = make.path("uneven.mkv")
    make.ffmpeg("-i", tape("mp4", 3.5, False), "-vf", "select='mod(n,7)*mod(n,11)'", "-fps_mode", "vfr", "-c:v",
                "libx264", "-preset", "veryfast", "-crf", 16, "-g", 20, "-c:a", "flac", out)
    return out


@make.once
def other_aspect():
    """The sample aspect changes in the middle."""
    out = make.path("aspects.mpg")
    with open(out, "wb") as file:
        for aspect in ("4:3", "16:9"):
            part = make.path("aspect.mpg")
            make.ffmpeg("-i", tape("mpg", 2.0), "-c:v", "mpeg2video", "-b:v", "3M", "-g", 12, "-aspect", aspect, "-c:a",
                        "copy", "-f", "dvd", part)
            with open(part, "rb") as piece:
                file.write(piece.read())
    return out


def packets(path, kind):
    """(pts, duration) of each packet in the order of presentation, and whether decoding times rise."""
    text = m.run(["ffprobe", "-v", "error", "-select_streams", kind, "-show_entries", "packet=pts,dts,duration", "-of",
                  "json", path])
    found = json.loads(text)["packets"]
    dts = [p["dts"] for p in found if "dts" in p]
    return sorted((p["pts"], p.get("duration")) for p in found), all(a < b for a, b in zip(dts, dts[1:]))


def least_psnr(a, b):
    """The lowest PSNR of any plane in any picture, and the picture's number."""
    log = make.path("psnr.log")
    make.ffmpeg("-i", a, "-i", b, "-lavfi", f"[0:v][1:v]psnr=stats_file={log}:shortest=0", "-f", "null", "-")
    worst, where = float("inf"), -1
    with open(log, encoding="ascii") as file:
        for line in file:
            number = int(re.search(r"n:(\d+)", line)[1])
            for value in re.findall(r"psnr_[yuv]:(\S+)", line):
                if float(value) < worst:
                    worst, where = float(value), number
    return worst, where


class Segments(h.Case):
    def both(self, source, *flags, ext="mkv", segment="1", least=3):
        """The same job in one piece and in segments."""
        one = h.restore(source, *flags, "--segment", "0", ext=ext)
        output = os.path.join(h.fresh_folder(), "restored." + ext)
        many = h.call("restore", source, "-o", output, *flags, "--segment", segment, "--keep-temp")
        many.output = output
        folder = os.path.join(os.path.dirname(output), ".restored." + ext + ".terminalai")
        count = sum(name.endswith(".done") and name.startswith("segment-") for name in os.listdir(folder))
        shutil.rmtree(folder)
        self.assertGreaterEqual(count, least, many.text())
        return one, many

    def assert_times(self, one, many):
        (want, _), (found, rises) = packets(one.output, "v"), packets(many.output, "v")
        self.assertEqual(found, want, many.text())
        self.assertTrue(rises, "decoding times")
        self.assertEqual(one.kinds(), many.kinds())
        for name in ("start_time", "time_base", "r_frame_rate", "avg_frame_rate", "width", "height",
                     "sample_aspect_ratio", "field_order", "color_space"):
            self.assertEqual(one.stream("video").get(name), many.stream("video").get(name), name)

    def assert_sound(self, one, many):
        for index in range(one.kinds().count("audio")):
            hashes = [m.run(["ffmpeg", "-v", "error", "-i", r.output, "-map", f"0:a:{index}", "-f", "md5", "-"])
                      for r in (one, many)]
            self.assertEqual(*hashes, "sound")
            self.assertEqual(packets(one.output, f"a:{index}"), packets(many.output, f"a:{index}"))

    def assert_same(self, source, *flags, **more):
        """All that can be asked of FFV1: times, pictures, sound, what the sidecars tell."""
        one, many = self.both(source, *PLAIN, *flags, *h.EXACT, "--audio-codec", "flac", **more)
        self.assert_times(one, many)
        db, where = least_psnr(one.output, many.output)
        self.assertGreaterEqual(db, LEAST_DB, f"picture {where}\n{many.text()}")
        self.assert_sound(one, many)
        self.assertEqual(one.sidecar["picture"], many.sidecar["picture"])
        self.assertEqual(one.sidecar["output"]["frames"], many.sidecar["output"]["frames"])
        return one, many

    def each(self, cases, quick, **more):
        for name, (source, flags) in cases.items():
            if ALL or name in quick:
                with self.subTest(name):
                    self.assert_same(source(), *flags, **more)

    def test_filters(self):
        self.each({
            "standard": (lambda: tape("mpg"), ("--preset", "vhs_standard")),
            "heavy": (lambda: tape("mpg"), ("--preset", "vhs_heavy")),
            "atadenoise": (lambda: tape("mpg"), ("--denoise", "atadenoise")),
            "yadif": (lambda: tape("mpg"), ("--deinterlace", "yadif")),
            "w3fdif": (lambda: tape("mpg"), ("--deinterlace", "w3fdif")),
            "estdif": (lambda: tape("mpg"), ("--deinterlace", "estdif")),
            "single": (lambda: tape("mpg"), ("--deinterlace", "bwdif", "--field-rate", "single")),
            "flagged": (lambda: tape("mpg"), ("--deinterlace-frames", "flagged")),
            "none": (lambda: tape("mp4", 3.5, False), ()),
            "heavy, progressive": (lambda: tape("mp4", 3.5, False), ("--denoise", "hqdn3d", "--denoise-strength",
                                                                     "8:6:12:9")),
        }, ("heavy", "none"))

    def test_inputs(self):
        self.each({**{kind: (lambda kind=kind: tape(kind), ("--denoise", "hqdn3d")) for kind in
                      ("mpg", "ts", "avi", "mp4", "mkv")},
                   "joined": (joined, ("--denoise", "hqdn3d")), "aspects": (other_aspect, ()),
                   "uneven": (uneven, ("--denoise", "hqdn3d")), "uneven, kept": (uneven, ("--vfr",))},
                  ("ts", "joined", "uneven"))

    def test_cuts(self):
        """Between --start and --end."""
        self.each({"both": (lambda: tape("ts"), ("--start", "0.77", "--end", "3.1", "--denoise", "hqdn3d")),
                   "start": (lambda: tape("mp4"), ("--start", "1.03")), "end": (lambda: tape("mpg"), ("--end", "2.9"))},
                  ("both",), segment="0.6")

    def test_telecine(self):
        """Real 3:2: every picture of the film once, in order, across the joins."""
        clip = Clip(telecine=True, count=90)
        source = make.mpeg_ps(clip)
        one, many = self.assert_same(source, "--ivtc", "on")
        shown = [n for _, n in m.numbers(many.output, h.centre(many.output))]
        self.assertEqual(shown, [n for _, n in m.numbers(one.output, h.centre(one.output))])
        self.assertEqual(m.sequence_faults(shown), [])

    def test_captions(self):
        """Each caption once: none lost and none doubled at a join."""
        clip = Clip(count=75)
        data = make.add_user_data(make.elementary(clip, "-bf", 2), make.caption_user_data)
        source = make.mux(data, "captions-long", clip)
        one, many = self.both(source, *PLAIN, "--encoder-preset", "superfast", segment="0.8")
        found = make.captions(many.output)
        self.assertEqual(found, make.captions(one.output))
        self.assertEqual([p for p in found if p in {make.caption_pair(n) for n in range(75)}],
                         [make.caption_pair(n) for n in range(75)])

    def test_encoders(self):
        """Lossy encoders begin afresh at a join, but times, counts and sound are the same, in MP4 as in Matroska."""
        cases = {"x264": ("libx264", "superfast"), "x265": ("libx265", "ultrafast"), "svt": ("libsvtav1", "12")}
        for name, (encoder, preset) in cases.items():
            for ext in ("mp4", "mkv"):
                if not ALL and (name, ext) not in (("x264", "mp4"), ("x265", "mkv")):
                    continue
                with self.subTest(f"{name} {ext}"):
                    one, many = self.both(tape("mpg"), *PLAIN, "--encoder", encoder, "--encoder-preset", preset,
                                          "--denoise", "hqdn3d", ext=ext)
                    self.assert_times(one, many)
                    self.assert_sound(one, many)
                    self.assert_agree(many)
                    self.assertEqual(len(m.framemd5(many.output)), len(m.framemd5(one.output)))
                    h.call("verify", many.output)

    def test_memory_is_no_input(self):
        """The same bytes whatever fresh memory holds: x264's lookahead once read what nobody had written."""
        found = {h.sha256(h.restore(tape("mpg"), "--resolution", "352x264", "--no-square-pixels", "--encoder-preset",
                                    "medium", "--segment", 0, env={"MALLOC_PERTURB_": str(fill)}).output)
                 for fill in (0, 85, 170)}
        self.assertEqual(len(found), 1)


if __name__ == "__main__":
    h.main()
