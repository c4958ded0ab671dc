# Inputs that can't be restored, or not whole, and command lines that can't be meant: each with its exit code
# (exit_codes.yaml), a message that names the file and says what to do, nothing left behind, the source as it was.
import os
import re
import shutil
import stat
import struct
import sys
import zipfile

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from faults import EXPECTED, QUICK, Faults, as_nobody, clip, h, make, open_place, written  # noqa: E402
from make import Clip  # noqa: E402
import measure as m  # noqa: E402


class Table(Faults):
    def test_the_manual_agrees(self):
        """The table of codes and the manual's "Bad input" say the same, and neither has what the other lacks."""
        with open(os.path.join(h.ROOT, "docs", "manual.md"), encoding="utf-8") as file:
            part = file.read().split("\n## Bad input\n")[1].split("\n## ")[0]
        manual = dict(re.findall(r"^\| ([^|]+) \| (\d+|–) \|", part, re.M))
        named = set()
        for name, row in EXPECTED.items():
            self.assertEqual({"code", "what", "says", "do"}, set(row) - {"manual"}, name)
            if "manual" in row:
                found = [(what, code) for what, code in manual.items() if what.startswith(row["manual"])]
                self.assertEqual([code for _, code in found], [str(row["code"])], f"{name}: {row['manual']}")
                named |= {what for what, _ in found}
        self.assertEqual({what for what in manual if not what.startswith("SIGKILL")} - named, set())


class Inputs(Faults):
    def test_missing(self):
        self.expect("input_missing", make.path("gone.mkv"))

    def test_empty(self):
        self.expect("input_empty", written("empty.mpg", b""))

    def test_text(self):
        self.expect("input_text", written("notes.mpg", b"Dear diary, today I did not watch a film.\n" * 50))
        self.expect("input_text", written("random.mkv", bytes((i * 7919 >> 3) & 255 for i in range(40000))))

    def test_noise(self):
        self.expect("input_noise", written("noise.avi", np.random.default_rng(4).bytes(200_000)))

    def test_subtitles_only(self):
        self.expect("input_subtitles", written("only.srt", b"1\n00:00:00,000 --> 00:00:01,000\nHello\n"))

    def test_zip(self):
        with zipfile.ZipFile(make.path("tape.avi"), "w") as out:
            out.writestr("a.txt", "x" * 5000)
        self.expect("input_zip", make.path("tape.avi"))

    def test_picture(self):
        picture = make.path("photo.jpg")
        make.ffmpeg("-f", "lavfi", "-i", "testsrc=size=320x240", "-frames:v", 1, picture)
        self.expect("input_picture", picture)

    def test_folder(self):
        self.expect("input_folder", h.fresh_folder("plain"))

    def test_unreadable(self):
        place = open_place()
        source = os.path.join(place, "secret.mkv")
        shutil.copy(clip(), source)
        os.chmod(source, 0)
        code, errors = as_nobody(place, "restore", source, "-o", os.path.join(place, "out.mkv"))
        os.chmod(source, stat.S_IRUSR)
        self.assert_row("input_unreadable", code, errors, "secret.mkv")
        self.assertEqual(sorted(os.listdir(place)), ["program", "secret.mkv"])

    def test_no_frames(self):
        # The head of a file: streams are announced, no picture is there.
        whole = make.mpeg_ps(Clip(count=30))
        with open(whole, "rb") as file:
            data = file.read()
        none = make.path("noframes.mkv")
        make.ffmpeg("-i", clip(), "-c", "copy", "-an", "-frames:v", 0, none)
        self.expect("no_frames", none)
        at = data.find(b"\0\0\1\0")  # the first picture
        self.expect("no_frames", written("head.mpg", data[:at]))

    def test_no_index(self):
        whole = clip("mp4")
        with open(whole, "rb") as file:
            data = file.read()
        moov = [at for kind, at, _ in make.mp4_boxes(data) if kind == b"moov"][0]
        self.expect("no_index", written("nomoov.mp4", data[:moov]))

    def test_unknown_codec(self):
        source = make.encoded(Clip(order="progressive", count=30), "avi", "-c:v", "huffyuv", "-an")
        with open(source, "rb") as file:
            data = bytearray(file.read())
        while (at := data.find(b"HFYU")) >= 0:
            data[at:at + 4] = b"ZQXJ"
        self.expect("unknown_codec", written("codec.avi", data))

    def test_truncated_is_restored_as_far_as_it_goes(self):
        for ext, source in (("mpg", make.mpeg_ps(Clip(count=60))), ("mkv", make.h264(Clip(count=60), "mkv"))):
            with self.subTest(ext):
                with open(source, "rb") as file:
                    data = file.read()
                cut = written("cut." + ext, data[:len(data) * 6 // 10])
                shown = [n for _, n, _ in m.field_numbers(cut) if n is not None]
                run = h.restore(cut, *QUICK)
                found = [n for _, n in m.numbers(run.output, h.centre(run.output))]
                self.assertEqual(found[:len(shown) * 2 - 6], list(range(len(shown) * 2 - 6)), run.text())
                self.assertLessEqual(abs(len(found) - 2 * len(shown)), 4)
                self.assert_sync(run)

    def test_damaged_bytes(self):
        """Noise in the middle of a tape: it is restored, said, and the time stays."""
        source = make.mpeg_ps(Clip(count=60))
        with open(source, "rb") as file:
            data = bytearray(file.read())
        for i in range(6):
            at = len(data) * (3 + i) // 12
            data[at:at + 900] = bytes((j * 73 + i) & 255 for j in range(900))
        damaged = written("damaged.mpg", data)
        run = h.restore(damaged, *QUICK)
        begin, end, _ = m.video_span(run.output)
        self.assertNear(end - begin, 2.0, 0.15, run.text())
        found = [n for _, n in m.numbers(run.output, h.centre(run.output)) if n is not None]
        self.assertEqual(found, sorted(found))
        self.assertGreater(len(found), 60)

    def test_header_of_a_huge_picture(self):
        """A few bytes that claim a giant picture must not take the machine's memory."""
        png = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sIIBBBBB", 13, b"IHDR", 60000, 60000, 8, 2, 0, 0, 0) + b"\0" * 4
        self.failure(written("giant.png", png), *QUICK, code=65)


class Words(Faults):
    """Command lines that can't be meant."""

    def test_start_behind_the_end(self):
        self.expect("start_behind_end", clip(), "--start", "1:00:00")

    def test_two_inputs(self):
        self.assertRegex(h.call("restore", clip(), clip(), expect=64).stderr, "one input")

    def test_command_lines(self):
        for words in ((), ("restore",), ("restore", "a", "b"), ("restor", "a"), ("restore", "a", "--crff", "3"),
                      ("restore", "a", "--crf", "99"), ("restore", "a", "--deinterlace", "bwdiff")):
            with self.subTest(" ".join(words)):
                run = h.call(*words, expect=None)
                if words:
                    self.assertEqual(run.code, 64, run.text())
                    self.assertTrue(run.stderr.strip())
        self.assertIn("--crf", h.call("restore", "a", "--crff", "3", expect=64).stderr)
        self.assertIn("bwdif", h.call("restore", "a", "--deinterlace", "bwdiff", expect=64).stderr)

    def test_what_is_not_in_this_build(self):
        for flags in (("--deinterlace", "qtgmc"), ("--engine", "realesrgan"), ("--face-restore", "gfpgan"),
                      ("--audio-enhance", "deepfilternet"), ("--speech-denoise", "rnnoise")):
            with self.subTest(flags[1]):
                told = flags[1] + "|models install"  # the engine, or its model
                run = self.failure(clip(), *flags, code=69, says=[told])
                self.assertIn("hint:", run.stderr)

if __name__ == "__main__":
    h.main()
