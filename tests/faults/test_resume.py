# A job in segments that was interrupted, and what may have happened since: damage is found, said and made again;
# another source or other settings are refused and named; several at once do no harm, in one process or in many.
import functools
import json
import os
import re
import shutil
import signal
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from faults import EXPECTED, Faults, h, make, wait_for  # noqa: E402
from watched import ALL, FLAGS, FOLDER, NAME, SEGMENTS, finished, sidecar, tape  # noqa: E402

HALF = SEGMENTS // 2


@functools.lru_cache(None)
def reference(*flags):
    """(SHA-256, sidecar) of an uninterrupted run with these flags besides."""
    output = os.path.join(h.fresh_folder("whole"), NAME)
    h.call("restore", tape(), "-o", output, *FLAGS, *flags)
    return h.sha256(output), sidecar(output)


@functools.lru_cache(None)
def half_done():
    """A folder with the job folder of a run that was killed when half of it and all its sound was done."""
    place = h.fresh_folder("half")
    process = h.start("restore", tape(), "-o", os.path.join(place, NAME), *FLAGS, "--jobs", "1")
    folder = os.path.join(place, FOLDER)
    if not wait_for(lambda: len(finished(place)) >= HALF and os.path.exists(os.path.join(folder, "sound.json"))):
        raise AssertionError("the job never got half done")
    process.kill()
    process.communicate()
    if os.path.exists(os.path.join(place, NAME)):
        raise AssertionError("the job was too fast to be caught")
    return place


def flip(path, at=0.5):
    """Changes one bit."""
    with open(path, "r+b") as file:
        file.seek(int(os.path.getsize(path) * at))
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))


def change_digit(path, after):
    """Changes the digit behind these words of a text: what is still JSON, and wrong."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    match = re.search(after + r'\D*?(\d)', text)
    wrong = str((int(match[1]) + 1) % 10)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text[:match.start(1)] + wrong + text[match.end(1):])


def cut(path):
    os.truncate(path, os.path.getsize(path) // 2)


class Interrupted(Faults):
    def setUp(self):
        self.place = h.fresh_folder("copy")
        os.rmdir(self.place)
        shutil.copytree(half_done(), self.place, copy_function=shutil.copy2)
        self.output, self.folder = os.path.join(self.place, NAME), os.path.join(self.place, FOLDER)
        for name in os.listdir(self.folder):
            if name.endswith(".part"):
                os.unlink(self.file(name))

    def file(self, name):
        return os.path.join(self.folder, name)

    def run_on(self, *flags, source=None, expect=0):
        return h.call("restore", source or tape(), "-o", self.output, *FLAGS, *flags, expect=expect)

    def assert_whole(self, run, *flags):
        digest, text = reference(*flags)
        self.assertEqual(sorted(os.listdir(self.place)), [NAME, NAME + ".json"], run.text())
        self.assertEqual(h.sha256(self.output), digest, run.text())
        self.assertEqual(sidecar(self.output), text, run.text())

    def test_nothing_happened(self):
        run = self.run_on()
        self.assert_says(run, rf"going on: ({HALF}|{HALF + 1}|{HALF + 2}) of {SEGMENTS} segments are done",
                         "sound is done already")
        self.assertNotIn("damaged", run.stderr)
        self.assert_whole(run)

    def damaged(self, name, harm, *says):
        """Harm to a file is told and made good, and no other segment is made again."""
        with self.subTest(f"{harm.__name__} {name}"):
            self.tearDown()
            self.setUp()
            others = finished(self.place)
            harm(self.file(name))
            run = self.run_on("--keep-temp")
            self.assert_says(run, "(?i)damaged", *says)
            self.assertEqual(h.sha256(self.output), reference()[0], run.text())
            self.assertEqual(sidecar(self.output), reference()[1], run.text())
            after = finished(self.place)
            hurt = re.match(r"segment-(\d+)", name)
            again = [n for n in others if after[n] != others[n]]
            self.assertEqual(again, [int(hurt[1])] if hurt else [], f"segments made again\n{run.text()}")

    def test_damaged_segments(self):
        self.damaged("segment-00002.packets", flip, "segment 2 ")
        self.damaged("segment-00000.done", cut, "segment 0 ")
        if ALL:
            self.damaged("segment-00002.packets", cut, "segment 2 ")
            self.damaged("segment-00002.packets", os.unlink, "segment 2 ")
            self.damaged("segment-00000.done", flip, "segment 0 ")

    def test_lying_markers(self):
        """A marker that is still a marker, and says something else than was written."""
        every = ('"extradata"', '"result.frames_out"', '"packets"', '"sar"', '"result.last_us"')
        for after in every if ALL else every[:1]:
            def lie(path, after=after):
                change_digit(path, after)
            lie.__name__ = "lie " + after
            self.damaged("segment-00000.done", lie, "segment 0 ")

    def test_damaged_sound(self):
        for harm in (flip, cut):
            for name in ("sound-1.pcm", "sound.json", "copied.packets") if ALL or harm == flip else ():
                self.damaged(name, harm)
        for harm in (flip, cut) if ALL else (flip,):
            self.damaged_sound_piece(harm)

    def damaged_sound_piece(self, harm):
        with self.subTest(f"{harm.__name__} sound-1-0.done"):
            self.tearDown()
            self.setUp()
            os.unlink(self.file("sound.json"))
            harm(self.file("sound-1-0.done"))
            run = self.run_on()
            self.assert_says(run, "(?i)damaged")
            self.assert_whole(run)

    def test_damaged_index(self):
        for harm in (flip, cut) if ALL else (flip,):
            self.damaged("index", harm, "index")

    def test_damaged_plan(self):
        def lie(path):
            change_digit(path, '"frames"')

        for harm in (cut, os.unlink, lie):
            with self.subTest(harm.__name__):
                self.tearDown()
                self.setUp()
                harm(self.file("plan.json"))
                run = self.run_on(expect=None)
                if harm == os.unlink:  # as a run leaves it that is killed while it plans
                    self.assertEqual(run.code, 0, run.text())
                else:
                    self.assertIn(run.code, (65, 73), run.text())
                    self.assert_says(run, "plan.json|holds another job", "--restart")
                    run = self.run_on("--restart")
                self.assert_whole(run)

    # ---- Another job ----------------------------------------------------------------------------------------------

    def refused(self, *flags, source=None, says):
        before = h.fingerprint(self.folder)
        run = self.run_on(*flags, source=source, expect=73)
        self.assert_says(run, "error: .*" + says, "hint: .*--restart")
        self.assertFalse(os.path.exists(self.output))
        now = [f for f in h.fingerprint(self.folder) if not f[0].endswith("lock")]
        self.assertEqual(now, [f for f in before if not f[0].endswith("lock")], "a refused run changed the job folder")

    def test_other_settings(self):
        self.refused("--crf", "25", says="crf was 18.*is 25")
        self.refused("--segment", "0.7", says="segment was 0.5.*is 0.7")
        self.refused("--segment", "0", says="one in segments")
        self.refused("--denoise-strength", "8:6:12:9", says="denoise-strength was")
        self.refused("--encoder-preset", "veryfast", says="encoder-preset was")
        self.assert_whole(self.run_on())

    def test_restart(self):
        run = self.run_on("--crf", "25", "--restart")
        self.assert_whole(run, "--crf", "25")
        self.assertNotEqual(reference("--crf", "25")[0], reference()[0])

    def test_another_source(self):
        longer, touched = make.path("longer.mkv"), make.path("touched.mkv")
        shutil.copy2(tape(), longer)
        with open(longer, "ab") as file:
            file.write(b"x")
        self.refused(source=longer, says="source has changed")
        shutil.copy2(tape(), touched)
        os.utime(touched)
        self.refused(source=touched, says="source has changed")
        self.assert_whole(self.run_on())

    def test_moved_source(self):
        """The same tape under another name goes on; the sidecar tells of the new one."""
        moved = make.path("moved.mkv")
        shutil.copy2(tape(), moved)
        run = self.run_on(source=moved)
        self.assert_says(run, "going on")
        self.assertEqual(h.sha256(self.output), reference()[0])
        self.assertEqual(sidecar(self.output)["source"]["path"], moved)

    # ---- Signals ---------------------------------------------------------------------------------------------------

    def test_signals(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(number):
                done = finished(self.place)
                process = h.start("restore", tape(), "-o", self.output, *FLAGS, "--jobs", "2")
                self.assertTrue(wait_for(lambda: any(n.endswith(".part") for n in os.listdir(self.folder))))
                code, seconds = h.end_within(process, 1, number)
                self.assertEqual(code, EXPECTED["interrupted"]["code"])
                self.assertLess(seconds, 1.0 * h.PATIENCE + 0.25)
                now = finished(self.place)
                self.assertEqual({n: now[n] for n in done}, done)
                self.assertEqual([n for n in os.listdir(self.folder) if ".part" in n or ".tmp" in n], [])
        self.assert_whole(self.run_on())

    # ---- Two -------------------------------------------------------------------------------------------------------

    def test_two_at_once(self):
        first = h.start("restore", tape(), "-o", self.output, *FLAGS, "--jobs", "1")
        self.assertTrue(wait_for(lambda: any(n.endswith(".part") for n in os.listdir(self.folder))))
        second = self.run_on(expect=None)
        self.assert_row("locked", second.code, second.stderr, NAME)
        second = self.run_on("--restart", expect=None)
        self.assert_row("locked", second.code, second.stderr, NAME)
        first.communicate()
        self.assertEqual(first.returncode, 0)
        self.assertEqual(h.sha256(self.output), reference()[0])


class Parallel(h.Case):
    def watch(self, *flags):
        """The most segments that were seen under way at once."""
        place, most = h.fresh_folder("jobs"), 0
        process = h.start("restore", tape(), "-o", os.path.join(place, NAME), *FLAGS, *flags)
        folder = os.path.join(place, FOLDER)
        while process.poll() is None:
            try:
                names = [n for n in os.listdir(folder) if n.endswith(".part")]
            except FileNotFoundError:
                names = []
            most = max(most, len({n.split(".")[0] for n in names}))
            time.sleep(0.002)
        self.assertEqual(process.returncode, 0, process.communicate()[1])
        process.communicate()
        self.assertEqual(h.sha256(os.path.join(place, NAME)), reference("--jobs", "1")[0], flags)
        self.assertEqual(sidecar(os.path.join(place, NAME)), reference("--jobs", "1")[1])
        return most

    def test_jobs(self):
        """One more may be seen: the next begins while the last one's encoder empties."""
        for jobs in (1, 2, 3):
            self.assertIn(self.watch("--jobs", str(jobs)), (jobs, jobs + 1))
        self.assertGreaterEqual(self.watch("--jobs", "auto"), 1)

    def test_memory_limit(self):
        """Where nothing fits beside the first, there is nothing beside it."""
        self.assertEqual(self.watch("--jobs", "3", "--memory-limit", "1M"), 1)


class Verbs(Faults):
    """The same job by plan, run-segment and finish."""

    @classmethod
    def setUpClass(cls):
        cls.planned = os.path.join(h.fresh_folder("plan"), "job")
        h.call("plan", tape(), "-o", cls.planned, "--to", os.path.join(h.fresh_folder("elsewhere"), NAME), *FLAGS[:8])

    def setUp(self):
        """A job folder of its own for each test, with an output beside it."""
        self.place = h.fresh_folder("verbs")
        self.job, self.output = os.path.join(self.place, "job"), os.path.join(self.place, NAME)
        shutil.copytree(self.planned, self.job, copy_function=shutil.copy2)
        self.set_output(self.output)

    def set_output(self, path):
        self.output = path
        with open(os.path.join(self.job, "plan.json"), encoding="utf-8") as file:
            plan = json.load(file)
        plan["output"] = path
        with open(os.path.join(self.job, "plan.json"), "w", encoding="utf-8") as file:
            json.dump(plan, file)

    def status(self):
        return json.loads(h.call("status", self.job, "--json").stdout)

    def made(self, number):
        return h.os.stat(os.path.join(self.job, f"segment-{number:05d}.packets"))

    def run_all(self, numbers):
        """Each in a process of its own, three at a time."""
        todo, running = list(numbers), []
        while todo or running:
            while todo and len(running) < 3:
                running.append(h.start("run-segment", self.job, todo.pop(0)))
            process = running.pop(0)
            _, errors = process.communicate(timeout=120 * h.PATIENCE)
            self.assertEqual(process.returncode, 0, errors)

    def test_one_by_one(self):
        self.assertEqual((self.status()["segments"], self.status()["done"]), (SEGMENTS, 0))
        self.run_all([5, 0, 0, SEGMENTS])
        status = self.status()
        self.assertEqual(status["missing"], [n for n in range(SEGMENTS) if n not in (0, 5)])
        self.assertTrue(status["sound"])
        run = h.call("finish", self.job, expect=75)
        self.assertRegex(run.stderr, f"{SEGMENTS - 2} of {SEGMENTS} segments")
        self.assertFalse(os.path.exists(self.output))
        before = self.made(5)
        h.call("run-segment", self.job, "5")
        self.assertEqual((before.st_ino, before.st_mtime_ns), (self.made(5).st_ino, self.made(5).st_mtime_ns))
        self.run_all(n for n in range(SEGMENTS) if n not in (0, 5))
        h.call("finish", self.job)
        self.assertEqual(h.sha256(self.output), reference("--jobs", "1")[0], "not what restore makes")
        self.assertEqual(sidecar(self.output), reference("--jobs", "1")[1])
        h.call("finish", self.job)
        self.assertTrue(self.status()["finished"])
        self.assertEqual(h.sha256(self.output), reference("--jobs", "1")[0])
        h.call("run-segment", self.job, "3")
        self.assertNotIn("segment-00003.packets", os.listdir(self.job))

    def test_numbers(self):
        for i, name in enumerate(("TAI_INDEX", "SLURM_ARRAY_TASK_ID", "JOB_COMPLETION_INDEX", "CUE_IFRAME",
                                  "AWS_BATCH_JOB_ARRAY_INDEX")):
            h.call("run-segment", self.job, env={name: str(i)})
            self.assertNotIn(i, self.status()["missing"])
        h.call("run-segment", self.job, expect=64)
        h.call("run-segment", self.job, "x", expect=64)
        h.call("run-segment", self.job, str(SEGMENTS + 1), expect=64)
        h.call("run-segment", self.job, "0", "--crf", "3", expect=64)

    def test_the_same_by_two(self):
        runs = [h.start("run-segment", self.job, "4") for _ in range(3)]
        for process in runs:
            _, errors = process.communicate(timeout=120 * h.PATIENCE)
            self.assertEqual(process.returncode, 0, errors)
        self.assertEqual([n for n in os.listdir(self.job) if ".part" in n or ".tmp" in n], [])
        self.assertEqual(self.status()["done"], 1)

    def test_killed(self):
        process = h.start("run-segment", self.job, "4")
        self.assertTrue(wait_for(lambda: any(n.endswith(".part") for n in os.listdir(self.job))))
        process.kill()
        process.communicate()
        self.assertEqual(self.status()["done"], 0)
        h.call("run-segment", self.job, "4")
        self.assertEqual(self.status()["done"], 1)

    def test_damaged(self):
        self.run_all(range(SEGMENTS + 1))
        flip(os.path.join(self.job, "segment-00007.packets"))
        run = h.call("finish", self.job, expect=75)
        self.assertRegex(run.stderr, "segment 7 is damaged")
        self.assertEqual(self.status()["missing"], [7])
        h.call("run-segment", self.job, "7")
        flip(os.path.join(self.job, "sound-1.pcm"))
        run = h.call("finish", self.job)
        self.assertRegex(run.stderr, "damaged")
        self.assertEqual(h.sha256(self.output), reference("--jobs", "1")[0])

    def test_output_on_another_disk(self):
        """Nothing can be renamed from one file system to another."""
        place = next((p for p in ("/dev/shm", "/run") if os.access(p, os.W_OK) and
                      os.stat(p).st_dev != os.stat(self.place).st_dev), None)
        place = tempfile.mkdtemp(prefix="terminalai-test-", dir=place or self.place)
        self.addCleanup(shutil.rmtree, place)
        self.set_output(os.path.join(place, NAME))
        self.run_all(range(SEGMENTS + 1))
        h.call("finish", self.job)
        self.assertEqual(sorted(os.listdir(place)), [NAME, NAME + ".json"])
        self.assertEqual(h.sha256(self.output), reference("--jobs", "1")[0])

    def test_finish_killed(self):
        """Killed while it joins: nothing half-made bears the final name, and the next one takes over what is there."""
        self.run_all(range(SEGMENTS + 1))
        process = h.start("finish", self.job)
        self.assertTrue(wait_for(lambda: any(n.endswith(".part") for n in os.listdir(self.place))))
        process.kill()
        process.communicate()
        h.call("finish", self.job)
        self.assertEqual(sorted(os.listdir(self.place)), ["job", NAME, NAME + ".json"])
        self.assertEqual(h.sha256(self.output), reference("--jobs", "1")[0])

    def test_another_source(self):
        moved = make.path("taken-away.mkv")
        shutil.copy2(tape(), moved)
        job = os.path.join(self.place, "other")
        h.call("plan", moved, "-o", job, "--to", self.output, *FLAGS[:8])
        h.call("run-segment", job, "0")
        with open(moved, "ab") as file:
            file.write(b"x")
        for words in (("run-segment", job, "1"), ("finish", job)):
            run = h.call(*words, expect=None)
            self.assertIn(run.code, (65, 73), run.text())
            self.assertRegex(run.stderr, "source has changed")
        os.unlink(moved)
        self.assertIn(h.call("run-segment", job, "1", expect=None).code, (65, 66))

    def test_restart_is_no_way_to_lose_the_others_work(self):
        h.call("run-segment", self.job, "2")
        before = self.made(2)
        h.call("run-segment", self.job, "3", "--restart", expect=None)
        self.assertEqual((before.st_ino, before.st_mtime_ns), (self.made(2).st_ino, self.made(2).st_mtime_ns))


if __name__ == "__main__":
    h.main()
