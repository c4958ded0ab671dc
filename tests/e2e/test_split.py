# One capture, many clips: each frame in one part only, sound with its picture, cuts found where they were made.
import functools
import json
import os
import re
import unittest

import harness
import make
import measure as m

PLAIN = ("--deinterlace", "off", "--resolution", "source", *harness.FAST, "--audio-codec", "flac")
CLIP = make.Clip(order="progressive", count=90)


@functools.lru_cache(None)
def joined(name, *parts, rate=25, flags=()):
    """Pieces one after another: (lavfi picture, lavfi sound, seconds) each, 320 x 240; sound 48 kHz PCM."""
    out = make.path(name + ".mkv")
    inputs, graph = [], ""
    for i, (picture, sound, seconds) in enumerate(parts):
        inputs += ["-f", "lavfi", "-t", seconds, "-i", f"{picture},format=yuv420p,setsar=1",
                   "-f", "lavfi", "-t", seconds, "-i", f"{sound},aformat=s16:48000:mono"]
        graph += f"[{2 * i}:v][{2 * i + 1}:a]"
    make.ffmpeg(*inputs, "-filter_complex", f"{graph}concat=n={len(parts)}:v=1:a=1", "-r", rate, "-c:v", "libx264",
                "-preset", "ultrafast", "-crf", 18, "-bf", 2, "-c:a", "pcm_s16le", *flags, out)
    return out


def picture(kind, **more):
    return f"{kind}=s=320x240:r=25" + "".join(f":{k}={v}" for k, v in more.items())


TONE, QUIET = "sine=f=440:r=48000", "anullsrc=r=48000,volume=0"
HISS = "anoisesrc=a=0.003:r=48000"
BLACK = picture("color", c="black") + ",noise=alls=6:allf=t"


class Split(harness.Case):
    def split(self, source, where, *flags, expect=0, folder=None, **more):
        self.folder = folder or harness.fresh_folder("parts")
        before = harness.fingerprint(source)
        run = harness.call("restore", source, "-o", self.folder, "--split", where, *PLAIN, *flags, expect=expect,
                           **more)
        self.assertEqual(harness.fingerprint(source), before)
        names = sorted(os.listdir(self.folder)) if os.path.isdir(self.folder) else []
        self.parts = [os.path.join(self.folder, n) for n in names if not n.endswith(".json")]
        self.assertEqual([n for n in names if n.startswith(".")], [], "left behind")
        return run

    def counts(self):
        return [m.video_span(part)[2] for part in self.parts]

    def assert_once(self, want, geo=None):
        """The numbers of all parts, one after another."""
        found = [n for part in self.parts for _, n in m.numbers(part, geo or harness.centre(part))]
        self.assertEqual(found, list(want))

    def assert_sound(self, source, within):
        """No sound is lost or doubled, and each part's is as long as its picture."""
        lengths = [m.sound_span(part)[2] / 48000 for part in self.parts]
        self.assertNear(sum(lengths), m.sound_span(source)[2] / 48000, 1e-4 * len(self.parts), "all sound")
        for part, length in zip(self.parts[:-1], lengths):
            begin, end, _ = m.video_span(part)
            self.assertNear(length, end - begin, within, part)
            self.assertNear(begin, m.sound_span(part)[0], within, part)

    def test_times_once_and_in_sync(self):
        for source, flags in ((make.master(CLIP), ()), (make.h264(CLIP, "mp4", "-bf", 3, "-flags", "+cgop"), ()),
                              (make.mpeg_ps(CLIP), ())):
            run = self.split(source, "1,2.02", *flags)
            self.assertEqual(self.counts(), [30, 31, 29], run.text())
            self.assert_once(range(90))
            self.assert_sound(source, 1 / 29)
            for part in self.parts:
                for offset in m.av_offsets(part, harness.centre(part)):
                    self.assertNear(offset, 0, 10, f"{part}: sound against picture, ms")
            names = [os.path.basename(part) for part in self.parts]
            stem = os.path.splitext(os.path.basename(source))[0]
            self.assertEqual(names, [f"{stem}-{i:02}.mkv" for i in (1, 2, 3)])
            self.assertEqual(run.stdout.split(), self.parts)
            hashes = set()
            for part in self.parts:
                with open(part + ".json", encoding="utf-8") as file:
                    hashes.add(json.load(file)["source"]["sha256"])
            self.assertEqual(hashes, {harness.sha256(source)})

    def test_fields_like_the_whole(self):
        """Deinterlaced to double rate, the parts hold what an uncut run shows, picture by picture."""
        clip = make.Clip(count=90)
        source = make.mpeg_ps(clip)
        flags = ("--resolution", "source", *harness.EXACT, "--audio-codec", "flac")
        whole = harness.restore(source, *flags).output
        self.folder = harness.fresh_folder("parts")
        harness.call("restore", source, "-o", self.folder, "--split", "0.9,2", *flags)
        parts = [os.path.join(self.folder, n) for n in sorted(os.listdir(self.folder)) if n.endswith(".mkv")]
        self.assertEqual(len(parts), 3)
        self.assertEqual([md5 for part in parts for md5 in m.framemd5(part)], m.framemd5(whole))

    def test_range(self):
        self.split(make.master(CLIP), "0.5,1,2.02,2.9", "--start", "0.8", "--end", "2.5")
        self.assertEqual(self.counts(), [6, 31, 14])
        self.assert_once(range(24, 75))

    def test_chapters(self):
        text = make.path("chapters.txt")
        with open(text, "w", encoding="utf-8") as file:
            file.write(";FFMETADATA1\ntitle=Holidays\n" + "".join(
                f"[CHAPTER]\nTIMEBASE=1/1000\nSTART={a}\nEND={b}\ntitle={t}\n"
                for a, b, t in ((0, 1010, "Sea"), (1010, 2500, "Hills"), (2500, 3003, "Home"))))
        source = make.path("chapters.mkv")
        make.ffmpeg("-i", make.master(CLIP), "-i", text, "-map", 0, "-map_metadata", 1, "-map_chapters", 1, "-c",
                    "copy", source)
        run = self.split(source, "chapters")
        self.assertEqual(self.counts(), [31, 44, 15], run.text())
        self.assert_once(range(90))
        for part, title in zip(self.parts, ("Sea", "Hills", "Home")):
            shown = json.loads(m.run(["ffprobe", "-v", "error", "-show_chapters", "-show_format", "-of", "json", part]))
            self.assertEqual([c["tags"]["title"] for c in shown["chapters"]], [title])
            self.assertEqual(float(shown["chapters"][0]["start_time"]), 0)
            self.assertEqual(shown["format"]["tags"]["title"], "Holidays")

    def test_scenes_and_a_flash(self):
        flash = picture("testsrc2") + ",eq=brightness='if(between(n,20,20),0.8,0)':eval=frame"
        source = joined("scenes", (flash, TONE, 1.6), (picture("smptehdbars"), TONE, 1.2),
                        (picture("mandelbrot"), TONE, 1.4))
        self.split(source, "scenes")
        self.assertEqual(self.counts(), [40, 30, 35])
        source = joined("weak", (picture("color", c="0x606060"), TONE, 1), (picture("color", c="0x7a7a7a"), TONE, 1.4))
        self.split(source, "scenes")
        self.assertEqual(self.counts(), [25, 35])
        self.split(source, "scenes:0.6")
        self.assertEqual(self.counts(), [60])

    def black_source(self):
        return joined("black", (picture("testsrc2"), TONE, 2), (BLACK, HISS, 1), (picture("testsrc"), TONE, 1.6),
                      (BLACK, TONE, 1), (picture("testsrc2"), QUIET, 1), (BLACK, QUIET, 0.2),
                      (picture("testsrc"), TONE, 1))

    def test_black_and_silence(self):
        source = self.black_source()
        run = self.split(source, "black")
        self.assertEqual([c // 2 for c in self.counts()], [62 // 2, 133 // 2], run.text())
        self.assertEqual(sum(self.counts()), 195)
        run = self.split(source, "black:drop")
        self.assertEqual(sum(self.counts()), 170, run.text())
        self.assertNear(self.counts()[0], 50, 1)
        run = self.split(source, "black:0.16:drop")
        self.assertEqual(len(self.parts), 3, run.text())
        run = self.split(source, "black:1.5")
        self.assertEqual(self.counts(), [195])
        self.assert_says(run, "no cut was found")

    def test_blue_screen(self):
        blue = picture("color", c="0x1010c8") + ",drawbox=x=20:y=20:w=60:h=16:color=white:t=fill,noise=alls=6:allf=t"
        sky = picture("gradients", c0="0x5080ff", c1="0xd0e0ff", n=2)
        source = joined("blue", (blue, QUIET, 1.2), (picture("testsrc2"), TONE, 2), (blue, HISS, 1.6), (sky, TONE, 1.4),
                        (blue, QUIET, 2))
        run = self.split(source, "blue")
        self.assertEqual(self.counts(), [50, 35], run.text())
        only = joined("onlyblue", (blue, QUIET, 2))
        run = self.split(only, "blue", expect=65)
        self.assertRegex(run.stderr, "nothing is left")

    def test_names_and_what_stands_there(self):
        source = make.master(CLIP)
        place = harness.fresh_folder()
        run = harness.call("restore", source, "-o", os.path.join(place, "x.mkv"), "--split", "1", *PLAIN, expect=64)
        self.assertRegex(run.stderr, r"one name for all parts.*\n.*\{number\}")
        run = harness.call("restore", source, "-o", place, "--split", "1", "--output-template", "a", expect=64)
        self.assertRegex(run.stderr, "one name for all")
        self.assertEqual(os.listdir(place), [])
        run = harness.call("restore", source, "-o", os.path.join(place, "clip {number} of {name}.mov"), "--split",
                           "1,2", "--deinterlace", "off", "--resolution", "source", *harness.FAST)
        stem = os.path.splitext(os.path.basename(source))[0]
        movs = [n for n in sorted(os.listdir(place)) if n.endswith(".mov")]
        self.assertEqual(movs, [f"clip {i:02} of {stem}.mov" for i in (1, 2, 3)])
        self.split(source, "1,2", folder=os.path.join(place, "new"))
        os.remove(self.parts[1])
        kept = harness.fingerprint(self.parts[0]), harness.fingerprint(self.parts[2])
        run = self.split(source, "1,2", folder=self.folder)  # goes on where it was
        self.assertEqual((harness.fingerprint(self.parts[0]), harness.fingerprint(self.parts[2])), kept)
        self.assert_once(range(90))
        self.assert_says(run, "part 1 is finished already", "part 2 of 3")
        run = self.split(source, "1,2.5", folder=self.folder, expect=73)
        self.assertRegex(run.stderr, "part 1: '.*-01.mkv' is finished, with other settings")

    def test_dry_run(self):
        place = os.path.join(harness.fresh_folder(), "none")
        run = self.split(make.master(CLIP), "1,2.5", "--dry-run", folder=place)
        self.assertEqual(len(run.stdout.splitlines()), 3)
        self.assertRegex(run.stdout, r"(?m)^ +2 +00:00:01\.001 - 00:00:02\.50[23] +\d s +.*-02\.mkv$")
        run = self.split(make.master(CLIP), "1,2.5", "--dry-run", "--json", folder=place)
        parts = json.loads(run.stdout)["parts"]
        self.assertEqual([p["number"] for p in parts], [1, 2, 3])
        self.assertEqual(parts[0]["end"], parts[1]["start"])
        self.assertFalse(os.path.exists(place))

    def test_wrong(self):
        source = make.master(CLIP)
        for where, flags, says in (("9", (), "behind the end"), ("nowhere", (), "neither times"), ("1:xx", (), "time"),
                                   ("scenes:7", (), "0.01 to 1"), ("scene", (), "did you mean 'scenes'"),
                                   ("1", ("--preview", "1s@1"), "preview"), ("black:soon", (), "number"),
                                   ("1", ("--before-after", "x.png"), "before-after")):
            run = self.split(source, where, *flags, expect=64)
            self.assertRegex(run.stderr, says)
            self.assertEqual(os.listdir(self.folder), [])
        run = harness.call("batch", source, "-o", harness.fresh_folder(), "--split", "1", expect=64)
        self.assertRegex(run.stderr, "does not go with split")
        run = harness.call("plan", source, "-o", os.path.join(harness.fresh_folder(), "job"), "--split", "1", expect=64)
        self.assertRegex(run.stderr, "only one can be made")
        run = harness.call("restore", source, "--output-template", "{name}{number}", "--dry-run", expect=64)
        self.assertRegex(run.stderr, "parts of a split")

    def test_too_many(self):
        source = make.path("many.mkv")
        make.ffmpeg("-f", "lavfi", "-i", "color=gray:s=64x48:r=50:d=81,eq=brightness='if(mod(n,4)-2,0,-1)':eval=frame",
                    "-c:v", "ffv1", "-pix_fmt", "yuv420p", source)
        run = self.split(source, "black:0.01", "--dry-run", expect=64)
        self.assertRegex(run.stderr, "0.04 to 3600")
        run = self.split(source, "black:0.04", "--dry-run")
        self.assertEqual(len(run.stdout.splitlines()), 1)
        make.ffmpeg("-f", "lavfi", "-i", "color=gray:s=64x48:r=25:d=161,eq=brightness='if(mod(n,4)-2,0,-1)':eval=frame",
                    "-c:v", "ffv1", "-pix_fmt", "yuv420p", source)
        run = self.split(source, "black:0.04", "--dry-run", expect=64)
        self.assertRegex(run.stderr, "more than 1000 parts")
        run = self.split(source, "black:0.04", "--dry-run", "--end", "159")
        self.assertEqual(len(run.stdout.splitlines()), 994)


if __name__ == "__main__":
    harness.main()
