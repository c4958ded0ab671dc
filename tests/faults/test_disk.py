# Disks that are too small or can't be written: the code of exit_codes.yaml, a hint, and nothing left.
import os
import resource
import signal
import subprocess
import sys
import time

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from faults import QUICK, Faults, clip, h, make, tape, wait_for  # noqa: E402
from make import Clip  # noqa: E402


class Disk(Faults):
    """A disk that is too small. A file system of its own where that is allowed, else a limit on the size of files."""

    def setUp(self):
        self.place, self.mounted = h.fresh_folder("disk"), False

    def tearDown(self):
        if self.mounted:
            subprocess.run(["umount", self.place], check=False)

    def mount(self, size):
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", self.place], check=False,
                              capture_output=True)
        self.mounted = done.returncode == 0
        return self.mounted

    def limited(self, limit, *words):
        """The program under a limit on the size of files."""
        def limits():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        done = subprocess.run([h.PROGRAM, *map(str, words)], capture_output=True, check=False, preexec_fn=limits,
                              env=h.environment(), stdin=subprocess.DEVNULL)
        return done.returncode, done.stderr.decode()

    def assert_clean(self, allowed=()):
        self.assertLessEqual(set(os.listdir(self.place)), set(allowed), "left behind on the full disk")

    def test_full_before_the_start(self):
        if not self.mount("3m"):
            self.test_file_too_large()
            return
        run = h.call("restore", tape(), "-o", os.path.join(self.place, "out.mkv"), *QUICK,
                     expect=None)
        self.assert_row("disk_full", run.code, run.stderr, "out.mkv")
        self.assertLess(run.seconds, 20 * h.PATIENCE)
        self.assert_clean()

    def test_full_while_writing(self):
        if not self.mount("400m"):
            self.test_file_too_large()
            return
        output = os.path.join(self.place, "out.mkv")
        process = h.start("restore", tape(), "-o", output, "--resolution", "1080", *h.EXACT, "--reserve", "0")
        self.assertTrue(wait_for(lambda: os.listdir(self.place) or process.poll() is not None))
        time.sleep(0.5)
        with open(os.path.join(self.place, "filler"), "wb") as filler:
            try:
                while True:
                    filler.write(b"\0" * (1 << 20))
                    filler.flush()
            except OSError:
                pass
        try:
            _, errors = process.communicate(timeout=120 * h.PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        self.assert_row("disk_full", process.returncode, errors.decode(), "out.mkv")
        self.assert_clean(["filler"])

    def test_full_work_dir(self):
        if not self.mount("1m"):
            self.test_file_too_large()
            return
        target = h.fresh_folder()
        sound = make.write_wav(make.path("long.wav"), np.tile(Clip().sound(), (120, 1)))
        run = h.call("restore", sound, "-o", os.path.join(target, "out.mka"), "--work-dir", self.place,
                     "--reserve", "0", expect=None)
        self.assert_row("disk_full", run.code, run.stderr, self.place)
        self.assertEqual(os.listdir(target), [])
        self.assert_clean()

    def test_file_too_large(self):
        target = h.fresh_folder()
        code, errors = self.limited(300000, "restore", tape(), "-o", os.path.join(target, "out.mkv"), *QUICK)
        self.assertIn(code, (74, 75), errors)
        self.assertTrue(errors.strip())
        self.assertEqual(os.listdir(target), [])

    def test_room_is_made(self):
        """1 MB of room: an error that says so, and nothing left; with room the same command succeeds."""
        if not self.mount("1m"):
            self.test_file_too_large()
            return
        output = os.path.join(self.place, "out.mkv")
        command = ("restore", clip(), "-o", output, "--resolution", "source", *h.EXACT, "--reserve", "0")
        run = h.call(*command, expect=None)
        self.assert_row("disk_full", run.code, run.stderr, "out.mkv")
        self.assert_clean()
        self.mount("400m,remount")
        h.call(*command)
        self.assert_clean(["out.mkv", "out.mkv.json"])
        h.call("verify", output)

    def test_reserve_is_checked_before_the_start(self):
        run = self.expect("disk_full", clip(), "--reserve", "900000G", names="restored.mkv")
        self.assertRegex(run.stderr, "too little space")

    def test_read_only_disk(self):
        if not self.mount("1m,ro"):
            self.test_file_too_large()
            return
        self.expect("output_read_only", clip(), output=os.path.join(self.place, "out.mkv"), names=self.place)

if __name__ == "__main__":
    h.main()
