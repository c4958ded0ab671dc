# The queue under faults: killed at any instant nothing is lost and nothing is done twice; a full disk and a folder that
# can't be written are errors that say what to do.
import glob
import json
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from faults import Faults, as_nobody, h, make, open_place, wait_for  # noqa: E402
from make import Clip  # noqa: E402

ALL = os.environ.get("TERMINALAI_FAULTS") == "all"
KILLS, WORK_KILLS = (200, 60) if ALL else (6, 3)
SETTINGS = ("--resolution", "source", "--deinterlace", "off", "--segment", "0.5", *h.FAST)


class Socket:
    """A connection to the owner: requests and replies as JSON lines."""

    def __init__(self, folder):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(30 * h.PATIENCE)
        try:
            self.socket.connect(os.path.join(folder, "queue.sock"))
        except OSError:
            self.socket.close()
            raise
        self.file = self.socket.makefile("rw", encoding="utf-8")

    def ask(self, **request):
        self.file.write(json.dumps(request) + "\n")
        self.file.flush()
        line = self.file.readline()
        if not line:
            raise ConnectionError("the owner is gone")
        return json.loads(line)

    def close(self):
        try:
            self.file.close()
        except OSError:
            pass
        self.socket.close()


def owner(folder, *flags):
    """`terminalai work`, once it can be spoken to; in a process group of its own."""
    log = open(os.path.join(h.folder(), "owner.log"), "ab")
    process = subprocess.Popen([h.PROGRAM, "work", "--queue-dir", folder, *flags], stdin=subprocess.DEVNULL, stdout=log,
                               stderr=log, env=h.environment(), start_new_session=True)
    log.close()
    path = os.path.join(folder, "queue.sock")

    def answers():
        if process.poll() is not None:
            raise AssertionError(f"the owner ended with {process.returncode}")
        try:
            connection = Socket(folder)
        except OSError:
            return False
        connection.close()
        return True
    assert wait_for(answers, 30), path
    return process


def kill_all(process):
    """Owner and workers, at once and without a word."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


class Kills(Faults):
    def setUp(self):
        self.dir = os.path.join(h.fresh_folder("queue"), "q")
        self.pick = random.Random(11)

    def rows(self, what):
        db = sqlite3.connect(os.path.join(self.dir, "queue.db"))
        try:
            self.assertEqual([("ok",)], db.execute("PRAGMA integrity_check").fetchall())
            return db.execute(what).fetchall()
        finally:
            db.close()

    def test_what_was_promised_is_there(self):
        """The owner is killed while jobs are added, cancelled and moved; what it has acknowledged holds."""
        h.call("queue", "pause", "--queue-dir", self.dir)
        added, cancelled, number = {}, set(), 0
        for round_ in range(KILLS):
            process = owner(self.dir)
            connection = Socket(self.dir)
            end = time.monotonic() + self.pick.uniform(0.001, 0.25)
            try:
                while time.monotonic() < end:
                    number += 1
                    job = {"input": f"/in/{number}", "output": f"/out/{number}"}
                    reply = connection.ask(do="add", settings=[{}], jobs=[job])
                    added[reply["added"][0]] = number
                    if number % 3 == 0:
                        connection.ask(do="cancel", ids=reply["added"])
                        cancelled.add(reply["added"][0])
                # in the middle of whatever the last request is doing
                number += 1
                connection.file.write(json.dumps({"do": "add", "settings": [{}], "jobs": [
                    {"input": f"/in/{number}", "output": f"/out/{number}"}]}) + "\n")
                connection.file.flush()
                time.sleep(self.pick.uniform(0, 0.003))
            finally:
                kill_all(process)
                connection.close()
            found = dict(self.rows("SELECT id, state FROM jobs"))
            self.assertLessEqual(set(added), set(found), f"round {round_}: a job that was acknowledged is lost")
            self.assertLessEqual(len(found), len(added) + round_ + 1, "a job is there twice")
            for job in cancelled:
                self.assertEqual(10, found[job], f"round {round_}: job {job} isn't cancelled any more")
        self.assertEqual([], self.rows("SELECT output FROM jobs GROUP BY output HAVING count(*) > 1"))
        self.assertGreater(len(added), KILLS)

    def test_work_goes_on(self):
        """Owner and workers are killed at random; in the end each job is completed once, and its output is whole."""
        place, out = h.fresh_folder("tapes"), h.fresh_folder("out")
        number = 0

        def add():
            nonlocal number
            path = os.path.join(place, f"t{number}.mkv")
            h.shutil.copyfile(make.h264(Clip(order="progressive", count=60), "mkv"), path)
            h.call("queue", "add", path, "-o", out, *SETTINGS, "--queue-dir", self.dir)
            number += 1
        for _ in range(3):
            add()
        for _ in range(WORK_KILLS):
            process = owner(self.dir, "--workers", "2")
            time.sleep(self.pick.uniform(0, 1.2) * h.PATIENCE)
            kill_all(process)
            add()  # there is always something to do
            for name in glob.glob(out + "/*.mkv"):
                if os.path.exists(name + ".json"):
                    h.call("verify", name)
        h.call("work", "--drain", "--queue-dir", self.dir, timeout=240)
        self.assertEqual([(8,)] * number, self.rows("SELECT state FROM jobs"))  # completed
        self.assertEqual([(number,)], self.rows("SELECT value FROM facts WHERE name='completed'"))
        wanted = {f"t{i}-restored.mkv{e}" for i in range(number) for e in ("", ".json")}
        self.assertEqual(wanted, set(os.listdir(out)))
        for i in range(number):
            h.call("verify", os.path.join(out, f"t{i}-restored.mkv"))


class Disk(Faults):
    def setUp(self):
        self.place, self.mounted = h.fresh_folder("disk"), False

    def tearDown(self):
        if self.mounted:
            subprocess.run(["umount", self.place], check=False)

    def test_full_disk(self):
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", self.place], check=False,
                              capture_output=True)
        self.mounted = done.returncode == 0
        if not self.mounted:
            self.skipTest("no mount here")
        source = make.h264(Clip(order="progressive", count=30), "mkv")
        count = 0
        while count < 2000:
            run = h.call("queue", "add", source, "-o", f"/tmp/{'x' * 200}{count}.mkv", "--queue-dir", self.place,
                         "--crf", str(count % 40), expect=None)
            if run.code:
                break
            count += 1
            if count == 3:
                with open(os.path.join(self.place, "filler"), "wb") as filler:
                    filler.write(b"\0" * (os.statvfs(self.place).f_bavail * 4096 - 40960))
        self.assert_row("disk_full", run.code, run.stderr, self.place)
        os.unlink(os.path.join(self.place, "filler"))
        jobs = json.loads(h.call("queue", "list", "--json", "--limit", "1000", "--queue-dir", self.place).stdout)
        self.assertEqual(count, len(jobs["jobs"]))
        h.call("queue", "add", source, "-o", "/tmp/last.mkv", "--queue-dir", self.place)

    def test_read_only_folder(self):
        place = open_place()
        folder = os.path.join(place, "locked")
        os.mkdir(folder, 0o755)
        code, errors = as_nobody(place, "queue", "list", "--queue-dir", folder)
        self.assertIn(code, (73, 77), errors)
        self.assertIn(folder, errors)
        self.assertIn("hint:", errors)

    def test_second_owner(self):
        folder = os.path.join(self.place, "q")
        process = owner(folder)
        try:
            run = h.call("work", "--queue-dir", folder, expect=75)
            self.assert_says(run, "another process has the queue", "hint:")
        finally:
            code, seconds = h.end_within(process, 5)
        self.assertEqual(0, code)
        self.assertLess(seconds, 4 * h.PATIENCE)
        self.assertEqual([], glob.glob(folder + "/*-wal"))  # closed in order: all is in the one file


if __name__ == "__main__":
    h.main()
