# Outputs that can't be written: the source is never the output, nothing is overwritten unasked, a folder that takes
# no files is named; and what verify says of a changed output.
import os
import shutil
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from faults import QUICK, Faults, as_nobody, clip, h, open_place, written  # noqa: E402


class Outputs(Faults):
    def test_output_is_input(self):
        place = h.fresh_folder()
        source = os.path.join(place, "tape.mkv")
        shutil.copy(clip(), source)
        hard, soft, far = (os.path.join(place, name) for name in ("hard.mkv", "soft.mkv", "far.mkv"))
        os.link(source, hard)
        os.symlink("tape.mkv", soft)
        os.symlink(source, far)
        around = os.path.join(place, ".", "..", os.path.basename(place), "tape.mkv")
        for output in (source, hard, soft, far, around):
            for flags in ((), ("--overwrite",)):
                with self.subTest(os.path.basename(output), flags=flags):
                    self.expect("output_is_input", source, *flags, output=output, names=output)
        self.expect("output_is_input", soft, "--overwrite", output=hard, names=hard)
        self.assertEqual(sorted(os.listdir(place)), ["far.mkv", "hard.mkv", "soft.mkv", "tape.mkv"])

    def test_output_exists(self):
        output = os.path.join(h.fresh_folder(), "there.mkv")
        with open(output, "wb") as file:
            file.write(b"precious")
        before = h.fingerprint(output)
        run = h.call("restore", clip(), "-o", output, *QUICK, expect=None)
        self.assert_row("output_exists", run.code, run.stderr, "there.mkv")
        self.assertEqual(h.fingerprint(output), before)
        # A failed overwrite keeps the old file as well.
        h.call("restore", written("empty2.mpg", b""), "-o", output, "--overwrite", expect=65)
        self.assertEqual(h.fingerprint(output), before)
        h.restore(clip(), *QUICK, "--overwrite", output=output)
        self.assertGreater(os.path.getsize(output), 10_000)
        h.call("verify", output)

    def test_folder_missing(self):
        self.expect("output_folder_missing", clip(), output=os.path.join(h.fresh_folder(), "no", "out.mkv"),
                    names="no")

    def test_extension(self):
        self.expect("output_extension", clip(), output=os.path.join(h.fresh_folder(), "out.xyz"), names="out.xyz")

    def test_read_only_folder(self):
        place = open_place()
        source, shut = os.path.join(place, "clip.mkv"), os.path.join(place, "shut")
        shutil.copy(clip(), source)
        os.chmod(source, 0o644)
        os.mkdir(shut)
        os.chmod(shut, 0o555)
        code, errors = as_nobody(place, "restore", source, "-o", os.path.join(shut, "out.mkv"))
        self.assert_row("output_read_only", code, errors, "shut")
        self.assertEqual(os.listdir(shut), [])

    def test_dry_run_writes_nothing(self):
        output = os.path.join(h.fresh_folder(), "x.mkv")
        run = h.call("restore", clip(), "-o", output, "--dry-run", "--resolution", "source")
        self.assertRegex(run.stdout, "(?s)encode.*memory: .*disk: ")
        self.assertEqual(os.listdir(os.path.dirname(output)), [])

    def test_verify_finds_a_flipped_byte(self):
        run = h.restore(clip(), *QUICK)
        h.call("verify", run.output)
        with open(run.output, "r+b") as file:
            file.seek(os.path.getsize(run.output) // 2)
            byte = file.read(1)
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte[0] ^ 1]))
        self.assertRegex(h.call("verify", run.output, expect=65).stdout, "CHANGED")
        os.remove(run.output + ".json")
        h.call("verify", run.output, expect=66)


if __name__ == "__main__":
    h.main()
