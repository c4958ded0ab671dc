# The queue's store, killed before and behind every call that changes one of its files, and with every one of them
# failing: a job is there or it isn't, what was there before stays, and the same command can be given again.
import json
import os
import signal
import sqlite3
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from faults import Faults, h, make  # noqa: E402
from watched import ALL, LIBRARY, Call  # noqa: E402
from make import Clip  # noqa: E402

OPS = ("create", "write", "fsync", "truncate", "unlink", "rename")
# Few of each round are worth a try at each build: one in so many.
SPARSE = 1 if ALL else 5


class Points(Faults):
    @classmethod
    def setUpClass(cls):
        """A queue with two jobs, and what one more `queue add` does to its files."""
        super().setUpClass()
        cls.template = os.path.join(h.fresh_folder("template"), "q")
        place = h.fresh_folder("tapes")
        cls.inputs = [os.path.join(place, f"t{i}.mkv") for i in range(3)]
        for path in cls.inputs:
            h.shutil.copyfile(make.h264(Clip(order="progressive", count=30), "mkv"), path)
        for path in cls.inputs[:2]:
            h.call("queue", "add", path, "--queue-dir", cls.template)
        run, calls = cls.add(h.shutil.copytree(cls.template, os.path.join(h.fresh_folder(), "q")))
        if run.code or len(calls) < 10:
            raise unittest.SkipTest(f"{LIBRARY} can't be used: {run.text()}")
        cls.points = []
        seen = {}
        for call in calls:
            seen[call.point] = seen.get(call.point, 0) + 1
            if call.op in OPS:
                cls.points.append((*call.point, seen[call.point]))

    @classmethod
    def add(cls, folder, do=None, at=None):
        """One more job under the eyes of the library: the run, and the calls that it made."""
        log = os.path.join(h.folder(), "queue-calls.log")
        if os.path.exists(log):
            os.unlink(log)
        env = {"LD_PRELOAD": LIBRARY, "WATCH_DIR": os.path.realpath(folder), "WATCH_LOG": log}
        if do:
            env |= {"WATCH_DO": do, "WATCH_AT": " ".join(map(str, at))}
        run = h.call("queue", "add", cls.inputs[2], "--queue-dir", folder, expect=None, env=env)
        calls = []
        if os.path.exists(log):
            with open(log, encoding="utf-8") as file:
                calls = [Call(*line.split(" ", 2)) for line in file.read().splitlines()]
        return run, calls

    def fresh(self):
        return h.shutil.copytree(self.template, os.path.join(h.fresh_folder(), "q"))

    def jobs(self, folder):
        listed = json.loads(h.call("queue", "list", "--json", "--queue-dir", folder).stdout)["jobs"]
        db = sqlite3.connect(os.path.join(folder, "queue.db"))
        self.assertEqual([("ok",)], db.execute("PRAGMA integrity_check").fetchall())
        lost = db.execute("SELECT id FROM jobs WHERE settings NOT IN (SELECT id FROM settings)").fetchall()
        self.assertEqual([], lost)
        db.close()
        return [os.path.basename(job["input"]) for job in listed]

    def assert_goes_on(self, folder, there, what):
        """Two jobs are there, and the third as `there` says (None: perhaps); the same command settles it."""
        names = self.jobs(folder)
        self.assertIn(names, [["t0.mkv", "t1.mkv"]] * (there is not True) +
                      [["t0.mkv", "t1.mkv", "t2.mkv"]] * (there is not False), what)
        h.call("queue", "add", self.inputs[2], "--queue-dir", folder)
        self.assertEqual(["t0.mkv", "t1.mkv", "t2.mkv"], self.jobs(folder), what)

    def chosen(self, shift):
        return [point for i, point in enumerate(self.points) if i % SPARSE == shift % SPARSE]

    def test_there_is_something_to_lose(self):
        kinds = {point[:2] for point in self.points}
        self.assertIn(("write", "queue.db-wal"), kinds)
        self.assertIn(("fsync", "queue.db-wal"), kinds)
        self.assertIn(("write", "queue.db"), kinds)  # the checkpoint at the end

    def test_killed(self):
        for shift, do in enumerate(("kill-before", "kill-after")):
            for point in self.chosen(shift):
                with self.subTest(f"{do} {point}"):
                    folder = self.fresh()
                    run, _ = self.add(folder, do, point)
                    self.assertEqual(-signal.SIGKILL, run.code, run.text())
                    self.assert_goes_on(folder, None, f"{do} {point}")

    def test_failing(self):
        for shift, why in enumerate(("ENOSPC", "EIO")):
            for point in self.chosen(2 + shift):
                # SQLite doesn't keep why a sync or a new file failed, and this disk isn't really full
                codes = (75,) if why == "ENOSPC" and point[0] == "write" else (74, 75, 77)
                with self.subTest(f"{why} {point}"):
                    folder = self.fresh()
                    run, _ = self.add(folder, why, point)
                    what = f"{why} {point}\n{run.text()}"
                    # behind the commit nothing that fails is worth an error: who opens the store next puts it right
                    self.assertIn(run.code, (0, *codes), what)
                    if run.code:
                        self.assertRegex(run.stderr, "error: .*\n.*hint: " if why == "ENOSPC" else "error: ", what)
                    self.assert_goes_on(folder, True if run.code == 0 else None, what)


if __name__ == "__main__":
    h.main()
