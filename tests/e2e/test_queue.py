# The queue from outside: the verb `queue` without an owner, what is on the disk, and what an owner does with it.
import concurrent.futures
import glob
import json
import os
import sqlite3
import stat
import sys
import time

import harness as h
import make
from make import Clip

sys.path[:0] = [os.path.join(h.ROOT, "tests", "lib"), h.HERE]
import hooks  # noqa: E402
import test_fetch  # noqa: E402
import web  # noqa: E402


def wait_for(condition, seconds=30):
    end = time.monotonic() + seconds * h.PATIENCE
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


@make.once
def tape():
    """Half a minute, by repeating a clip."""
    out = make.path("tape.mkv")
    make.ffmpeg("-stream_loop", 14, "-i", make.h264(Clip(count=60), "mkv"), "-c", "copy", out)
    return out


def tapes(count, name="tape"):
    """A folder with so many inputs: copies, as a link would be the same input."""
    place = h.fresh_folder("tapes")
    for i in range(count):
        clip = make.h264(Clip(order="progressive", count=30), "mkv")
        h.shutil.copyfile(clip, os.path.join(place, f"{name}{i + 1}.mkv"))
    return place


class Queue(h.Case):
    def setUp(self):
        self.dir = os.path.join(h.fresh_folder("queue"), "q")
        self.out = h.fresh_folder("out")

    def call(self, *words, **more):
        return h.call("queue", *words, "--queue-dir", self.dir, **more)

    def json(self, *words, **more):
        return json.loads(self.call(*words, "--json", **more).stdout)

    def jobs(self, *words):
        return self.json("list", *words)["jobs"]

    def states(self):
        return {j["id"]: j["state"] for j in self.jobs()}

    def fill(self, count=3, *words):
        return self.json("add", tapes(count, "t"), "-o", self.out, *words)["added"]


class Verbs(Queue):
    def test_add_and_list(self):
        self.assertEqual([1, 2, 3], self.fill(3, "--preset", "vhs_standard", "--crf", "21"))
        jobs = self.jobs()
        self.assertEqual([1, 2, 3], [j["id"] for j in jobs])
        for i, job in enumerate(jobs, 1):
            self.assertEqual("pending", job["state"])
            self.assertTrue(os.path.isabs(job["input"]) and job["input"].endswith(f"t{i}.mkv"), job)
            self.assertTrue(job["output"].startswith(os.path.realpath(self.out) + "/"), job)
            self.assertEqual(("cli", 1, 0, None), (job["source"], job["attempt"], job["percent"], job["ended"]))
        text = self.call("list").stdout
        self.assertRegex(text, r"(?m)^ +1  pending .*t1\.mkv -> ")
        self.assertRegex(text, r"pending: 3\n$")

    def test_settings_are_resolved(self):
        self.fill(1, "--preset", "vhs_standard", "--crf", "21")
        kept = self.json("show", 1)["settings"]
        said = json.loads(h.call("settings", "--json", "--all", "--preset", "vhs_standard", "--crf", "21").stdout)
        self.assertEqual(said, kept)
        self.assertRegex(self.call("show", 1).stdout, r"(?m)^  crf: 21$")

    def test_paths_mean_the_same_elsewhere(self):
        place = tapes(1)
        os.mkdir(os.path.join(place, "scratch"))
        h.call("queue", "add", "tape1.mkv", "-o", "restored.mkv", "--work-dir", "scratch", "--queue-dir", self.dir,
               cwd=place)
        job = self.json("show", 1)
        real = os.path.realpath(place)
        self.assertEqual((real + "/tape1.mkv", real + "/restored.mkv", real + "/scratch"),
                         (job["input"], job["output"], job["settings"]["work-dir"]))

    def test_beside_the_input(self):
        place = tapes(1)
        self.call("add", os.path.join(place, "tape1.mkv"), "--output-template", "{name}-new")
        self.assertEqual(os.path.realpath(place) + "/tape1-new.mkv", self.jobs()[0]["output"])
        run = self.call("add", place, expect=64)
        self.assert_says(run, "is a folder", "hint: .*-o FOLDER")

    def test_duplicates(self):
        place = tapes(2)
        added = self.json("add", place, "-o", self.out)
        again = self.json("add", place, "-o", self.out)
        self.assertEqual(([1, 2], [0, 0]), (added["added"], again["added"]))
        self.assertEqual([1, 2], [d["job"] for d in again["duplicates"]])
        other = os.path.join(tapes(1), "tape1.mkv")
        run = self.call("add", other, "-o", self.jobs()[0]["output"], expect=73)
        self.assert_says(run, "job 1 makes", "hint:")

    def test_refused_inputs(self):
        run = self.call("add", "/nowhere/tape.avi", expect=66)
        self.assert_says(run, "/nowhere")
        self.call("add", os.path.join(tapes(1), "tape1.mkv"), "--crff", "3", expect=64)
        self.call("add", os.path.join(tapes(1), "tape1.mkv"), "--split", "chapters", expect=64)
        self.call("add", expect=64)
        self.assertEqual([], self.jobs())

    def test_dry_run_adds_nothing(self):
        run = self.call("add", os.path.join(tapes(1), "tape1.mkv"), "-o", self.out, "--dry-run")
        self.assertIn(" -> ", run.stdout)
        self.assertEqual([], self.jobs())

    def test_order(self):
        self.fill(4)
        self.call("move", 4, "--top")
        self.call("move", 1, "--after", 2)
        self.call("move", 3, "--priority", 7)
        self.assertEqual([3, 4, 2, 1], [j["id"] for j in self.jobs()])
        self.assertEqual([4, 2], [j["id"] for j in self.jobs("--offset", 1, "--limit", 2)])
        self.call("move", 3, expect=64)
        self.call("move", 99, "--top", expect=66)

    def test_states(self):
        self.fill(4)
        self.call("pause", 1)
        self.call("cancel", 2, 3)
        self.assertEqual({1: "paused", 2: "cancelled", 3: "cancelled", 4: "pending"}, self.states())
        self.assertEqual([2, 3], [j["id"] for j in self.jobs("--state", "cancelled")])
        self.assert_says(self.call("cancel", 2, expect=64), "cancelled already", "hint: .*retry 2")
        self.call("resume", 1)
        self.call("retry", 2)
        self.call("remove", 3)
        self.assertEqual({1: "pending", 2: "pending", 4: "pending"}, self.states())
        self.assertEqual(2, {j["id"]: j for j in self.jobs()}[2]["attempt"])
        self.assert_says(self.call("show", 3, expect=66), "no job 3")
        self.call("pause")
        self.assertTrue(self.json("list")["paused"])
        self.assertIn("(paused)", self.call("list").stdout)
        self.call("resume")
        self.call("cancel", 1)
        self.assertEqual({"removed": 1, "stopping": 0, "kept": 0}, self.json("clear", "--ended"))
        self.assertEqual(3, self.json("stats")["ever"]["cancelled"])
        self.call("clear", "--all")
        self.assertIn("the queue is empty", self.call("list").stdout)

    def test_needs(self):
        self.fill(1)
        place = tapes(1)
        self.call("add", os.path.join(place, "tape1.mkv"), "-o", self.out, "--needs", "1", "--output-template",
                  "second")
        self.assertEqual(1, self.jobs()[1]["waits_for"])
        self.assertIn("waits for job 1", self.call("list").stdout)
        self.assert_says(self.call("remove", 1, expect=64), "job 2 waits for job 1")

    def test_words_and_flags(self):
        for words, says in (
                (["lst"], "did you mean 'list'"), ([], "needs a word"), (["list", "--top"], "takes no --top"),
                (["cancel"], "number of a job"), (["cancel", "one"], "not a number"),
                (["list", "--state", "pendng"], "did you mean 'pending'"), (["list", "x"], "one word too many")):
            with self.subTest(words=words):
                self.assert_says(self.call(*words, expect=64), says)

    def test_words_of_work(self):
        for words, says in (
                (["--workers", "0"], "not a number from 1"), (["--memory", "much"], "not a size"),
                (["--drain", "--watch", "x.yaml"], "does not go with"), (["now"], "one word too many"),
                (["--require-sandbox", "--no-sandbox"], "contradict"), (["--wach", "x"], "did you mean --watch")):
            with self.subTest(words=words):
                self.assert_says(h.call("work", *words, "--queue-dir", self.dir, expect=64), says)
        self.assert_says(h.call("work", "--watch", "/none.yaml", "--queue-dir", self.dir, expect=66), "/none.yaml")
        h.call("work", "--drain", "--no-sandbox", "--memory", "1G", "--queue-dir", self.dir)

    def test_watch_needs_an_owner(self):
        self.assert_says(self.call("watch", expect=69), "no process runs this queue", "terminalai work")

    def test_where_it_is(self):
        state = h.fresh_folder("state")
        h.call("queue", "list", env={"XDG_STATE_HOME": state, "TERMINALAI_QUEUE": ""})
        self.assertTrue(os.path.exists(state + "/terminalai/queue/queue.db"))
        h.call("queue", "list", env={"XDG_STATE_HOME": state, "TERMINALAI_QUEUE": state + "/own"})
        self.assertTrue(os.path.exists(state + "/own/queue.db"))
        h.call("queue", "add", os.path.join(tapes(1), "tape1.mkv"), env={"TERMINALAI_QUEUE": state + "/own"})


class Files(Queue):
    def test_export_and_import(self):
        self.fill(3, "--crf", "19")
        self.call("cancel", 2)
        place = tapes(1)
        self.call("add", os.path.join(place, "tape1.mkv"), "-o", self.out, "--needs", "3", "--output-template",
                  "fourth", "--priority", "4", "--crf", "30")
        path = os.path.join(self.out, "jobs.jsonl")
        self.call("export", path)
        with open(path, encoding="utf-8") as file:
            lines = [json.loads(line) for line in file]
        self.assertEqual([1, 2, 3, 4], [line["job"] for line in lines if "job" in line])
        before, first = self.dir, {j["input"]: j for j in self.jobs()}
        self.dir = os.path.join(h.fresh_folder("queue"), "other")
        self.assertEqual({"added": 4, "skipped": 0}, self.json("import", path))
        for job in self.jobs():
            old = first[job["input"]]
            for key in ("output", "state", "priority", "source", "added", "message"):
                self.assertEqual(old.get(key), job.get(key), key)
            self.assertEqual({**self.json("show", job["id"])["settings"]}["crf"], 30 if job["priority"] else 19)
        self.assertEqual(3, {j["priority"]: j for j in self.jobs()}[4]["waits_for"])
        self.assertEqual({"added": 1, "skipped": 3}, self.json("import", path))  # only what was over comes again
        self.dir = before
        self.assertEqual(4, len(self.jobs()))

    def test_import_of_something_else(self):
        path = os.path.join(self.out, "x.jsonl")
        for text, says in (("{}\n", "no export"), ("hello\n", "line 1 is no JSON"), ("", "empty"),
                           ('{"terminalai": "queue"}\n{"job": 1, "settings": 3}\n', "settings 3 of this job are")):
            with open(path, "w", encoding="ascii") as file:
                file.write(text)
            self.assert_says(self.call("import", path, expect=65), says)
        self.assertEqual([], self.jobs())

    def test_many_verbs_at_once(self):
        """Without an owner each takes the lock for itself: none fails, none is lost."""
        place = tapes(1)
        source = os.path.join(place, "tape1.mkv")

        def add(i):
            return self.call("add", source, "-o", os.path.join(self.out, f"{i}.mkv"))
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(add, range(8)))
        self.assertEqual({f"{i}.mkv" for i in range(8)}, {os.path.basename(j["output"]) for j in self.jobs()})
        self.assertEqual(8, len(self.jobs()))

    def test_store_is_private_sqlite(self):
        self.fill(1)
        db = sqlite3.connect(os.path.join(self.dir, "queue.db"))
        self.assertEqual("wal", db.execute("PRAGMA journal_mode").fetchone()[0])
        self.assertEqual([(1, 0)], db.execute("SELECT id, state FROM jobs").fetchall())
        self.assertEqual("ok", db.execute("PRAGMA integrity_check").fetchone()[0])
        db.close()
        self.assertTrue(stat.S_ISREG(os.stat(os.path.join(self.dir, "lock")).st_mode))
        self.assertEqual(0o700, stat.S_IMODE(os.stat(self.dir).st_mode))

    def test_damage(self):
        for round_ in range(4):
            self.fill(30, "--output-template", f"r{round_}-{{name}}")
        path = os.path.join(self.dir, "queue.db")
        with open(path, "r+b") as file:
            data = file.read()
            at = data.index(b"/t15.mkv") // 4096 * 4096
            file.seek(at)
            file.write(b"\x5a" * 4096)
        run = self.call("list", expect=65)
        self.assert_says(run, "damaged|malformed", "hint: .*queue repair")
        with open(path, "rb") as file:
            self.assertIn(b"\x5a" * 4096, file.read())  # a look doesn't change it
        exported = [json.loads(line) for line in self.call("export").stdout.splitlines()]
        saved = {line["job"] for line in exported if "job" in line}
        self.assertGreater(len(saved), 60)
        run = self.call("repair")
        self.assertRegex(run.stdout, "is kept: .*queue.db.damaged-")
        self.assertEqual(1, len([n for n in glob.glob(path + ".damaged-*") if not n.endswith("-wal")]))
        self.assertEqual(saved, {j["id"] for j in self.jobs("--limit", 1000)})
        self.assertEqual("ok", sqlite3.connect(path).execute("PRAGMA integrity_check").fetchone()[0])


class Work(Queue):
    """`terminalai work` with real workers."""

    QUICK = ("--resolution", "source", "--deinterlace", "off", *h.FAST)

    def owner(self, *flags, **more):
        process = h.start("work", "--queue-dir", self.dir, *flags, **more)
        self.addCleanup(lambda: (process.kill(), process.communicate()))
        self.assertTrue(wait_for(lambda: os.path.exists(os.path.join(self.dir, "queue.sock"))))
        return process

    def state(self, job):
        return self.states().get(job)

    def test_drain(self):
        self.fill(2, *self.QUICK)
        bad = os.path.join(h.fresh_folder("bad"), "noise.avi")
        with open(bad, "wb") as file:
            file.write(os.urandom(50000))
        self.call("add", bad, "-o", self.out, *self.QUICK)
        run = h.call("work", "--drain", "--workers", "2", "--queue-dir", self.dir, expect=65)
        self.assert_says(run, "job 1 is completed", "1 jobs failed", "hint:.*state failed")
        self.assertEqual({1: "completed", 2: "completed", 3: "failed"}, self.states())
        for name in ("t1", "t2"):
            h.call("verify", os.path.join(self.out, name + "-restored.mkv"))
        failed = self.jobs("--state", "failed")[0]
        self.assertEqual(65, failed["code"])
        self.assertIn("noise.avi", failed["message"])
        self.assertEqual([f"t{i}-restored.mkv{e}" for i in (1, 2) for e in ("", ".json")], sorted(os.listdir(self.out)))

    def test_through_the_owner(self):
        """Verbs reach the owner; events come in order; a job at work is paused, resumed and cancelled."""
        process = self.owner()
        events = h.start("queue", "watch", "--json", "--queue-dir", self.dir)
        self.addCleanup(lambda: (events.kill(), events.communicate()))
        place = h.fresh_folder("tapes")
        source = os.path.join(place, "long.mkv")
        h.shutil.copyfile(tape(), source)
        self.json("add", source, "-o", self.out, "--resolution", "1080", "--encoder-preset", "slow")
        self.assertTrue(wait_for(lambda: self.jobs()[0]["percent"] > 0, 60), self.jobs())
        self.call("pause", 1)
        self.assertEqual("paused", self.state(1))
        time.sleep(0.7)
        before = self.jobs()[0]["percent"]
        time.sleep(0.7)
        self.assertEqual(before, self.jobs()[0]["percent"])
        self.call("resume", 1)
        self.assertTrue(wait_for(lambda: self.jobs()[0]["percent"] > before, 60))
        begun = time.monotonic()
        self.call("cancel", 1)
        self.assertTrue(wait_for(lambda: self.state(1) == "cancelled", 5))
        self.assertLess(time.monotonic() - begun, 2.5 * h.PATIENCE)
        self.assertEqual([], [n for n in os.listdir(self.out) if not n.startswith(".")])
        code, _ = h.end_within(process, 5)
        self.assertEqual(0, code)
        lines = [json.loads(line) for line in events.communicate(timeout=20)[0].decode().splitlines()]
        seq = [line["seq"] for line in lines]
        self.assertEqual(sorted(set(seq)), seq)
        states = [line["state"] for line in lines if line.get("event") == "job"]
        self.assertEqual("cancelled", states[-1])
        self.assertIn("encoding", states)
        self.assertIn("paused", states)

    def test_needs_and_notifications(self):
        with hooks.Server() as hook:
            config = os.path.join(h.fresh_folder("config"), "notifications.yaml")
            with open(config, "w", encoding="ascii") as file:
                file.write(f"notifications:\n  - type: webhook\n    url: {hook.url('/ok')}\n"
                           f"  - type: webhook\n    name: broken\n    url: {hook.url('/status/404')}\n")
            second = os.path.join(tapes(1, "second"), "second1.mkv")
            self.fill(1, *self.QUICK)
            self.call("add", second, "-o", self.out, "--needs", 1, *self.QUICK)
            self.call("move", 2, "--top")
            process = self.owner("--notifications", config)
            self.assertTrue(wait_for(lambda: self.states() == {1: "completed", 2: "completed"}, 60), self.jobs())
            self.assertTrue(wait_for(lambda: len(hook.bodies("/ok")) >= 2))
            told = hook.bodies("/ok")
            self.assertEqual([("completed", "1"), ("completed", "2")], [(b["event"], b["id"]) for b in told[:2]])
            dead = self.json("outbox")
            self.assertEqual({"broken"}, {row["channel"] for row in dead["rows"]}, dead)
            self.assertTrue(wait_for(lambda: self.json("outbox")["given_up"] >= 2), dead)
            self.assertIn("404", self.call("outbox").stdout)
            before = len(hook.bodies("/status/404"))
            self.call("resend")
            self.assertTrue(wait_for(lambda: len(hook.bodies("/status/404")) >= before + 2))
            h.end_within(process, 5)

    def stand_in(self, server):
        """A downloader whose one film is on the server."""
        notes = h.fresh_folder("notes")
        program = os.path.join(notes, "yt-dlp")
        with open(program, "w", encoding="utf-8") as file:
            file.write(test_fetch.STAND_IN.format(folder=notes))
        os.chmod(program, 0o755)
        server.files["both.mp4"] = test_fetch.read(test_fetch.clips()[0])
        with open(os.path.join(notes, "plan"), "w", encoding="utf-8") as file:
            json.dump({"info": {"id": "x1", "title": "A film", "ext": "mp4", "format_id": "both.mp4"},
                       "urls": {"both.mp4": server.url("/both.mp4")}}, file)
        return "--downloader", program, "--download-allow", f"127.0.0.1:{server.port}"

    def test_url(self):
        with web.Server() as server:
            flags = self.stand_in(server)
            run = self.call("add", server.url("/page"), *self.QUICK, *flags, expect=64)
            self.assert_says(run, "no folder of its own", "hint: .*-o FOLDER")
            self.json("add", server.url("/page"), "-o", self.out, *self.QUICK, *flags)
            self.json("add", server.url("/page"), "-o", os.path.join(self.out, "named.mkv"), *self.QUICK, *flags)
            self.json("add", server.url("/page"), "-o", os.path.join(self.out, "dead.mkv"), *self.QUICK, *flags[:2])
            run = h.call("work", "--drain", "--queue-dir", self.dir, expect=65)
        self.assertEqual({1: "completed", 2: "completed", 3: "failed"}, self.states(), run.text())
        self.assertTrue(self.jobs()[0]["output"].endswith("/A film [x1]-restored.mkv"))  # found out by the download
        self.assertEqual(77, self.jobs("--state", "failed")[0]["code"])  # a private address that nobody allowed
        names = sorted(n for n in os.listdir(self.out) if n.endswith(".mkv"))
        self.assertEqual(["A film [x1]-restored.mkv", "named.mkv"], names)
        for name in names:
            h.call("verify", os.path.join(self.out, name))
        self.assertEqual(["3"], os.listdir(os.path.join(self.dir, "downloads")))  # kept for another try
        self.call("clear", "--all")
        h.call("work", "--drain", "--queue-dir", self.dir)
        self.assertEqual([], os.listdir(os.path.join(self.dir, "downloads")))

    def test_watch_folder(self):
        """A file that appears is restored; its original is deleted behind a verified output, with a record."""
        place, done = h.fresh_folder("captures"), os.path.join(h.fresh_folder("done"), "d")
        gone = h.fresh_folder("gone")
        config = os.path.join(self.out, "watch.yaml")
        settings = "{ resolution: source, deinterlace: 'off', encoder-preset: ultrafast }"
        with open(config, "w", encoding="utf-8") as file:
            file.write(f"""watch:
  - input: {place}
    output: {self.out}/moved
    stable: 200ms
    rescan: 1s
    when-done: move
    move-to: {done}
    settings: {settings}
  - input: {gone}
    output: {self.out}/deleted
    stable: 200ms
    rescan: 1s
    when-done: delete
    delete-original: yes
    settings: {settings}
""")
        process = self.owner("--watch", config)
        clip = make.h264(Clip(order="progressive", count=30), "mkv")
        digest = h.sha256(clip)
        h.shutil.copyfile(clip, os.path.join(place, "tape.mkv"))
        h.shutil.copyfile(clip, os.path.join(gone, "reel.mkv"))
        moved, deleted = os.path.join(done, "tape.mkv"), os.path.join(gone, "reel.mkv")
        self.assertTrue(wait_for(lambda: os.path.exists(moved) and not os.path.exists(deleted), 90), self.jobs())
        self.assertEqual(digest, h.sha256(moved))
        self.assertEqual([], os.listdir(place))
        h.call("verify", os.path.join(self.out, "moved", "tape-restored.mkv"))
        h.call("verify", os.path.join(self.out, "deleted", "reel-restored.mkv"))
        with open(os.path.join(self.dir, "fixity.jsonl"), encoding="utf-8") as file:
            record = json.loads(file.read())
        self.assertEqual((os.path.realpath(deleted), digest), (record["deleted"], record["sha256"]))
        h.end_within(process, 5)
        process = self.owner("--watch", config)
        time.sleep(1.5)
        self.assertEqual(2, len(self.jobs()))
        h.end_within(process, 5)


if __name__ == "__main__":
    h.main()
