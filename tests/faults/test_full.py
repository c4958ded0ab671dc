# A disk that is full at any write, or broken: one error that says so, no half file under a final name, and with room
# the same command goes on to the same bytes.
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from faults import EXPECTED, h, wait_for  # noqa: E402
from watched import ALL, FLAGS, FOLDER, NAME, Job, finished, killed, points, run, sidecar, tape, whole  # noqa: E402

# A rename, a new file or a cut may need a block, too.
OPS = ("create", "write", "fsync", "rename", "mkdir", "truncate", "link")
FEW = ("mkdir .out.mkv.terminalai 1", "write .out.mkv.terminalai/.index.tmp 1",
       "fsync .out.mkv.terminalai/.plan.json.tmp.json 1", "fsync .out.mkv.terminalai/segment-#.part 12",
       "write .out.mkv.terminalai/.segment-#.done.tmp.done 6", "fsync .out.mkv.terminalai/sound-#.pcm 2",
       "write .out.mkv.terminalai/output.mkv 1", "fsync .out.mkv.terminalai/output.mkv 1",
       "write .out.mkv.json.part 1")
FULL = EXPECTED["disk_full"]


class Full(Job):
    def fails_at(self, point, why, code):
        """The run in which the n-th call of a class and all behind it fail, and the one that follows it."""
        place = h.fresh_folder("full")
        what = f"{why} at {' '.join(map(str, point))}"
        ended = run(place, "--jobs", "1", do=why, at=point)
        what += f"\n{ended.text()}"
        self.assertFalse(killed(ended), what)
        self.assertIn(ended.code, code, what)
        errors = [line for line in ended.errors.splitlines() if " error: " in line]
        self.assertEqual(len(errors), 1, what)
        self.assertRegex(ended.errors, "hint: " if why == "ENOSPC" else "error: ")
        if why == "ENOSPC":
            self.assertRegex(errors[0], "(?i)space|full")
        self.assert_no_half(place, what)
        left = set(os.listdir(place)) - {FOLDER, NAME, NAME + ".json"}
        self.assertEqual(left, set(), what)
        folder = os.path.join(place, FOLDER)
        parts = [n for n in os.listdir(folder) if ".part" in n or ".tmp" in n] if os.path.isdir(folder) else []
        self.assertEqual(parts, [], f"half files left in the job folder: {what}")
        self.go_on(place, "--jobs", "1", what=what)

    def test_full_at_each_call(self):
        hit = 0
        for point in points(OPS):
            name = " ".join(map(str, point))
            if ALL or name in FEW:
                with self.subTest(name):
                    hit += 1
                    self.fails_at(point, "ENOSPC", (FULL["code"],))
        self.assertGreaterEqual(hit, 75 if ALL else len(FEW))

    def test_broken_at_each_call(self):
        """A disk that can't write: the input/output error, not "try again"."""
        names = [p for p in points(OPS) if p[0] in ("write", "fsync")]
        for point in names if ALL else names[::12]:
            with self.subTest(" ".join(map(str, point))):
                self.fails_at(point, "EIO", (74,))


class Small(Job):
    """A small file system of its own, where that may be mounted."""

    def setUp(self):
        self.place = h.fresh_folder("small")
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=60m", "none", self.place], check=False,
                              capture_output=True)
        self.mounted = done.returncode == 0
        if not self.mounted:
            self.skipTest("no file system may be mounted")

    def tearDown(self):
        if self.mounted:
            subprocess.run(["umount", self.place], check=False)

    def fill(self, leave):
        """A file that takes all room but these bytes."""
        stat = os.statvfs(self.place)
        filler = os.path.join(self.place, "filler")
        with open(filler, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, stat.f_bavail * stat.f_frsize - leave)
        return filler

    def test_full_and_then_room(self):
        """With one more step of room each time the job gets further, and keeps what it has."""
        output, done = os.path.join(self.place, NAME), 0
        for leave in (200_000, 700_000, 1_500_000):
            filler = self.fill(leave - sum(os.stat(os.path.join(base, n)).st_blocks * 512 for base, _, names in
                                           os.walk(self.place) for n in names))
            ended = h.call("restore", tape(), "-o", output, *FLAGS, "--jobs", "1", expect=None)
            self.assertEqual(ended.code, FULL["code"], ended.text())
            self.assertRegex(ended.stderr, "(?i)space|full")
            self.assertFalse(os.path.exists(output))
            self.assertGreaterEqual(len(finished(self.place)), done)
            done = len(finished(self.place))
            os.unlink(filler)
        self.assertGreater(done, 0)
        self.go_on(self.place, "--jobs", "1", what="room after a full disk")

    def test_pause(self):
        """With --disk-wait the job waits for room, says so, and goes on by itself."""
        output = os.path.join(self.place, NAME)
        process = h.start("restore", tape(), "-o", output, *FLAGS, "--jobs", "1", "--reserve", "5M", "--disk-wait",
                          "300")
        self.assertTrue(wait_for(lambda: finished(self.place)))
        filler = self.fill(1 << 20)
        said = process.stderr.readline()
        while said and b"paused" not in said:
            said = process.stderr.readline()
        self.assertIn(b"paused", said)
        count = len(finished(self.place))
        self.assertFalse(wait_for(lambda: len(finished(self.place)) > count + 1 or process.poll() is not None, 2))
        os.unlink(filler)
        _, errors = process.communicate(timeout=120 * h.PATIENCE)
        self.assertEqual(process.returncode, 0, errors)
        self.assertIn(b"room again", errors)
        self.assertEqual(h.sha256(output), whole()[0])
        self.assertEqual(sidecar(output)["settings"], whole()[1]["settings"])


if __name__ == "__main__":
    h.main()
