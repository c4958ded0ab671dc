# Bad input and bad places: each with its exit code (exit_codes.yaml), a message that names the file and says what to
# do, nothing left behind, the source as it was.
import os
import shutil
import stat
import struct
import sys
import zipfile

import yaml

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))
import harness as h  # noqa: E402
import make  # noqa: E402
import measure as m  # noqa: E402
from make import Clip  # noqa: E402

with open(os.path.join(HERE, "exit_codes.yaml"), encoding="utf-8") as table:
    EXPECTED = yaml.safe_load(table)

FLAGS = ("--resolution", "source", "--sharpen", "off", *h.FAST)


def nobody():
    """What goes in front of a command so that permissions count; root passes by them."""
    return ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []


class Faults(h.Case):
    def expect(self, name, source, *flags, output=None, names=None, **more):
        row = EXPECTED[name]
        run = self.failure(source, *FLAGS, *flags, code=row["code"], output=output, **more)
        for word in row["says"]:
            self.assertRegex(run.stderr, f"(?i){word}", run.text())
        self.assertIn(os.path.basename(names or source), run.stderr, run.text())
        self.assertIn("hint:", run.stderr, run.text())
        return run

    def file(self, name, data):
        with open(make.path(name), "wb") as out:
            out.write(data)
        return make.path(name)

    def clip(self, ext="mkv"):
        return make.h264(Clip(order="progressive", count=30), ext)


class Inputs(Faults):
    def test_missing(self):
        self.expect("input_missing", make.path("gone.mkv"))

    def test_empty(self):
        self.expect("input_empty", self.file("empty.mpg", b""))

    def test_text(self):
        self.expect("input_text", self.file("notes.mpg", b"Dear diary, today I did not watch a film.\n" * 50))
        self.expect("input_text", self.file("random.mkv", bytes((i * 7919 >> 3) & 255 for i in range(40000))))

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
        place, source = self.open_place(), None
        source = os.path.join(place, "secret.mkv")
        shutil.copy(self.clip(), source)
        os.chmod(source, 0)
        program = self.program_for_all(place)
        done = h.subprocess.run([*nobody(), program, "restore", source, "-o", os.path.join(place, "out.mkv")],
                                capture_output=True, check=False, env=h.environment(), stdin=h.subprocess.DEVNULL)
        os.chmod(source, stat.S_IRUSR)
        row, errors = EXPECTED["input_unreadable"], done.stderr.decode()
        self.assertEqual(done.returncode, row["code"], errors)
        self.assertIn("secret.mkv", errors)
        self.assertRegex(errors, row["says"][0])
        self.assertIn("hint:", errors)

    def open_place(self):
        os.chmod(h.folder(), 0o755)
        place = h.fresh_folder("open")
        os.chmod(place, 0o777)
        return place

    def program_for_all(self, place):
        """The program where anyone may run it."""
        program = os.path.join(place, "program")
        shutil.copy(h.PROGRAM, program)
        os.chmod(program, 0o755)
        return program

    def test_read_only_folder(self):
        place = self.open_place()
        source = os.path.join(place, "clip.mkv")
        shutil.copy(self.clip(), source)
        os.chmod(source, 0o644)
        shut = os.path.join(place, "shut")
        os.mkdir(shut, 0o555)
        os.chmod(shut, 0o555)
        program = self.program_for_all(place)
        done = h.subprocess.run([*nobody(), program, "restore", source, "-o", os.path.join(shut, "out.mkv")],
                                capture_output=True, check=False, env=h.environment(), stdin=h.subprocess.DEVNULL)
        row, errors = EXPECTED["output_read_only"], done.stderr.decode()
        self.assertEqual(done.returncode, row["code"], errors)
        self.assertIn("shut", errors)
        self.assertRegex(errors, row["says"][0])
        self.assertEqual(os.listdir(shut), [])

    def test_no_frames(self):
        # The head of a file: streams are announced, no picture is there.
        whole = make.mpeg_ps(Clip(count=30))
        with open(whole, "rb") as file:
            data = file.read()
        none = make.path("noframes.mkv")
        make.ffmpeg("-i", self.clip(), "-c", "copy", "-an", "-frames:v", 0, none)
        self.expect("no_frames", none)
        at = data.find(b"\0\0\1\0")  # the first picture
        self.expect("no_frames", self.file("head.mpg", data[:at]))

    def test_no_index(self):
        whole = self.clip("mp4")
        with open(whole, "rb") as file:
            data = file.read()
        moov = [at for kind, at, _ in make.mp4_boxes(data) if kind == b"moov"][0]
        self.expect("no_index", self.file("nomoov.mp4", data[:moov]))

    def test_unknown_codec(self):
        source = make.encoded(Clip(order="progressive", count=30), "avi", "-c:v", "huffyuv", "-an")
        with open(source, "rb") as file:
            data = bytearray(file.read())
        while (at := data.find(b"HFYU")) >= 0:
            data[at:at + 4] = b"ZQXJ"
        self.expect("unknown_codec", self.file("codec.avi", data))

    def test_truncated_is_restored_as_far_as_it_goes(self):
        for ext, source in (("mpg", make.mpeg_ps(Clip(count=60))), ("mkv", make.h264(Clip(count=60), "mkv"))):
            with self.subTest(ext):
                with open(source, "rb") as file:
                    data = file.read()
                cut = self.file("cut." + ext, data[:len(data) * 6 // 10])
                shown = [n for _, n, _ in m.field_numbers(cut) if n is not None]
                run = h.restore(cut, *FLAGS)
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
        damaged = self.file("damaged.mpg", data)
        run = h.restore(damaged, *FLAGS)
        begin, end, _ = m.video_span(run.output)
        self.assertNear(end - begin, 2.0, 0.15, run.text())
        found = [n for _, n in m.numbers(run.output, h.centre(run.output)) if n is not None]
        self.assertEqual(found, sorted(found))
        self.assertGreater(len(found), 60)

    def test_header_of_a_huge_picture(self):
        """A few bytes that claim a giant picture must not take the machine's memory."""
        png = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sIIBBBBB", 13, b"IHDR", 60000, 60000, 8, 2, 0, 0, 0) + b"\0" * 4
        self.failure(self.file("giant.png", png), *FLAGS, code=65)


class Outputs(Faults):
    def test_output_is_input(self):
        place = h.fresh_folder()
        source = os.path.join(place, "tape.mkv")
        shutil.copy(self.clip(), source)
        hard, soft = os.path.join(place, "hard.mkv"), os.path.join(place, "soft.mkv")
        os.link(source, hard)
        os.symlink("tape.mkv", soft)
        for output in (source, hard, soft, os.path.join(place, ".", "..", os.path.basename(place), "tape.mkv")):
            for flags in ((), ("--overwrite",)):
                with self.subTest(os.path.basename(output), flags=flags):
                    self.expect("output_is_input", source, *flags, output=output, names=output)
                    self.expect("output_is_input", soft, *flags, output=hard, names=hard)

    def test_output_exists(self):
        output = os.path.join(h.fresh_folder(), "there.mkv")
        with open(output, "wb") as file:
            file.write(b"precious")
        row = EXPECTED["output_exists"]
        run = h.call("restore", self.clip(), "-o", output, *FLAGS, expect=row["code"])
        self.assertRegex(run.stderr, "there.mkv.*exists")
        self.assertIn("--overwrite", run.stderr)
        with open(output, "rb") as file:
            self.assertEqual(file.read(), b"precious")
        # A failed overwrite keeps the old file as well.
        h.call("restore", self.file("empty2.mpg", b""), "-o", output, "--overwrite", expect=65)
        with open(output, "rb") as file:
            self.assertEqual(file.read(), b"precious")
        run = h.restore(self.clip(), *FLAGS, "--overwrite", output=output)
        self.assertGreater(os.path.getsize(output), 1000)

    def test_folder_missing(self):
        self.expect("output_folder_missing", self.clip(), output=os.path.join(h.fresh_folder(), "no", "out.mkv"),
                    names="no")

    def test_extension(self):
        self.expect("output_extension", self.clip(), output=os.path.join(h.fresh_folder(), "out.xyz"), names="out.xyz")

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
                      ("--audio-enhance", "deepfilternet")):
            with self.subTest(flags[1]):
                run = self.failure(self.clip(), *flags, code=69, says=[flags[1]])
                self.assertIn("hint:", run.stderr)


if __name__ == "__main__":
    h.main()
