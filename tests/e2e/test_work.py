# Jobs in worker processes: the same bytes as `restore`, also when workers or their owner are killed in the middle;
# cancel within a second; workers that stall, lie or die.
import functools
import os
import shutil
import signal
import time

import harness as h
from crew import QUICK, SANDBOX, SLOW, Crew, alive, clip, fake, landlock, settings, wait_until


class Work(h.Case):
    def assert_only(self, output, sidecar=True):
        """The output stands alone in its folder: nothing of the job is left."""
        name = os.path.basename(output)
        self.assertEqual(sorted(os.listdir(os.path.dirname(output))), sorted([name] + [name + ".json"] * sidecar))

    def assert_gone_on(self, crew):
        """What was done before was not done again."""
        self.assertRegex("".join(crew.log), "going on: [1-7] of 8 segments are done")

    @functools.lru_cache(None)
    def alone(self, seconds, *flags):
        """What `restore` makes of it: the sha256."""
        return h.sha256(h.restore(clip(seconds), *flags).output)

    def test_two_jobs(self):
        """One behind the other, and at once; with and without the sandbox; output by name, by folder, by template."""
        want = self.alone(2, *QUICK)
        for sandbox in ("off", "required" if landlock() and SANDBOX != "off" else SANDBOX):
            place = h.fresh_folder()
            with Crew("sandbox", sandbox, "workers", 2) as crew:
                crew.give("one", clip(2), os.path.join(place, "one.mkv"), settings(*QUICK))
                crew.give("two", clip(2), os.path.join(place, "two.mkv"), settings(*QUICK))
                ends = [crew.end(name) for name in ("one", "two")]
                for end in ends:
                    self.assertEqual(end["code"], 0, (end, crew.log))
                    self.assertEqual(h.sha256(end["message"]), want)
                crew.give("three", clip(2), place, settings(*QUICK))
                end = crew.end("three")
                self.assertEqual(end["message"], os.path.join(place, "work-2-320x240-restored.mkv"))
                self.assertEqual(h.sha256(end["message"]), want)
                crew.give("four", clip(2), place, settings(*QUICK, "--output-template", "{name}-{height}p"))
                end = crew.end("four")
                self.assertEqual(end["message"], os.path.join(place, "work-2-320x240-240p.mkv"))
                self.assertEqual(h.sha256(end["message"]), want)
                self.assertEqual(crew.tell("give", "five", clip(2), place, settings(*QUICK))["code"], -73)
                crew.give("six", clip(2), place, settings(*QUICK, "--output-template", "{name}-{height}p"))
                self.assertEqual(crew.end("six")["code"], -73)
                stages = [e["stage"] for e in crew.events if e["event"] == "progress" and e["id"] == "three"]
                self.assertEqual(stages[0], "analysing")
                self.assertIn("encoding", stages)
            self.assertEqual(sorted(os.listdir(place)), sorted(
                n + s for n in ("one.mkv", "two.mkv", "work-2-320x240-restored.mkv", "work-2-320x240-240p.mkv")
                for s in ("", ".json")))
            self.assertEqual(crew.process.returncode, 0)
            h.call("verify", os.path.join(place, "one.mkv"))

    def test_names_of_any_bytes(self):
        place = os.fsencode(h.fresh_folder())
        source, output = os.path.join(place, b"t\xe9st 100%.mkv"), os.path.join(place, b"\xff %41.mkv")
        shutil.copy(clip(2), source)
        with Crew("sandbox", "on") as crew:
            crew.process.stdin.reconfigure(errors="surrogateescape")
            crew.give("x", os.fsdecode(source), os.fsdecode(output), settings(*QUICK))
            wait_until(lambda: any(e["event"] == "free" for e in crew.events), 60, crew.log)
        self.assertEqual(h.sha256(output), self.alone(2, *QUICK))

    def test_killed_worker(self):
        """kill -9 in the middle: another goes on with the segments that are done, to the same bytes."""
        output = os.path.join(h.fresh_folder(), "out.mkv")
        with Crew() as crew:
            crew.give("k", clip(8), output, settings(*SLOW))
            crew.working("k", 0.35)
            for pid in crew.pids():
                os.kill(pid, signal.SIGKILL)
            end = crew.end("k")
            self.assertEqual(end["code"], 0, (end, crew.log))
            self.assertTrue([e for e in crew.events if e["event"] == "progress" and e["attempt"] == 2], crew.log)
            self.assert_gone_on(crew)
            self.assertTrue(any("signal 9" in line for line in crew.log), crew.log)
        self.assertEqual(h.sha256(output), self.alone(8, *SLOW))
        self.assert_only(output)

    def test_killed_owner(self):
        """kill -9 of the owner: no worker outlives it, and the same order to another goes on to the same bytes."""
        output = os.path.join(h.fresh_folder(), "out.mkv")
        with Crew() as crew:
            crew.give("k", clip(8), output, settings(*SLOW))
            crew.working("k", 0.35)
            pids = crew.pids()
            self.assertTrue(pids)
            crew.process.kill()
            crew.process.stdin.close()
            wait_until(lambda: not any(map(alive, pids)), 2, "a worker outlived its owner")
        with Crew() as crew:
            crew.give("again", clip(8), output, settings(*SLOW))
            self.assertEqual(crew.end("again")["code"], 0, crew.log)
            self.assert_gone_on(crew)
        self.assertEqual(h.sha256(output), self.alone(8, *SLOW))
        self.assert_only(output)

    def test_cancel(self):
        """Ended within a second, in segments and in one piece; nothing is left that nobody can go on with."""
        for flags in (SLOW, (*SLOW, "--segment", "0")):
            place = h.fresh_folder()
            file = settings(*QUICK)
            with Crew("workers", 1) as crew:
                crew.give("c", clip(8), os.path.join(place, "out.mkv"), settings(*flags))
                crew.working("c", 0.1)
                answer = crew.give("next", clip(2), os.path.join(place, "next.mkv"), file, expect=-75)
                self.assertIn("no worker is free", answer["error"])
                told = crew.tell("cancel", "c")
                end = crew.end("c")
                self.assertEqual(end["code"], -130, end)
                self.assertLess(end["at"] - told["at"], 1.0 * h.PATIENCE)
                self.assertEqual(crew.tell("cancel", "c")["code"], -66)
                crew.give("next", clip(2), os.path.join(place, "next.mkv"), file)
                self.assertEqual(crew.end("next")["code"], 0, crew.log)
            left = {"next.mkv", "next.mkv.json"} | ({".out.mkv.terminalai"} if flags is SLOW else set())
            self.assertEqual(set(os.listdir(place)), left)

    def test_cancel_of_a_deaf_worker(self):
        """A worker that can't answer is killed, in time for the second."""
        place = h.fresh_folder()
        with Crew() as crew:
            crew.give("c", clip(8), os.path.join(place, "out.mkv"), settings(*SLOW, "--segment", "0"))
            crew.working("c", 0.1)
            for pid in crew.pids():
                os.kill(pid, signal.SIGSTOP)
            told = crew.tell("cancel", "c")
            end = crew.end("c")
            self.assertEqual(end["code"], -130, end)
            self.assertLess(end["at"] - told["at"], 1.0 * h.PATIENCE)
        self.assertEqual(os.listdir(place), [])

    def test_stopped_worker(self):
        """A worker that says nothing any more is replaced."""
        output = os.path.join(h.fresh_folder(), "out.mkv")
        with Crew("heartbeat", int(1500 * h.PATIENCE)) as crew:
            crew.give("s", clip(8), output, settings(*SLOW))
            crew.working("s", 0.35)
            for pid in crew.pids():
                os.kill(pid, signal.SIGSTOP)
            end = crew.end("s")
            self.assertEqual(end["code"], 0, (end, crew.log))
            self.assertTrue(any("did not answer" in line for line in crew.log), crew.log)
        self.assertEqual(h.sha256(output), self.alone(8, *SLOW))

    def test_pause(self):
        """Nothing goes on while paused, for longer than a stall may last; the bytes stay the same."""
        output = os.path.join(h.fresh_folder(), "out.mkv")
        with Crew("stall", int(2500 * h.PATIENCE)) as crew:
            crew.give("p", clip(8), output, settings(*SLOW))
            crew.working("p", 0.2)
            crew.tell("pause", "p")
            crew.wait(lambda es: any(e.get("paused") for e in es))
            time.sleep(1)
            begun = [e for e in crew.events if e["event"] == "progress"][-1]["frames"]
            time.sleep(3)
            later = [e for e in crew.events if e["event"] == "progress"][-1]
            self.assertLessEqual(later["frames"] - begun, 1)
            self.assertTrue(later["paused"])
            crew.tell("resume", "p")
            end = crew.end("p")
            self.assertEqual(end["code"], 0, (end, crew.log))
            self.assertEqual({e["attempt"] for e in crew.events if e["event"] == "progress"}, {1}, crew.log)
        self.assertEqual(h.sha256(output), self.alone(8, *SLOW))

    def test_cancel_while_paused(self):
        with Crew() as crew:
            crew.give("p", clip(8), os.path.join(h.fresh_folder(), "out.mkv"), settings(*SLOW))
            crew.working("p", 0.1)
            crew.tell("pause", "p")
            time.sleep(0.3)
            told = crew.tell("cancel", "p")
            end = crew.end("p")
            self.assertEqual(end["code"], -130)
            self.assertLess(end["at"] - told["at"], 1.0 * h.PATIENCE)

    def test_close_in_the_middle(self):
        """Closing ends the workers; the same order goes on later."""
        output = os.path.join(h.fresh_folder(), "out.mkv")
        with Crew() as crew:
            crew.give("k", clip(8), output, settings(*SLOW))
            crew.working("k", 0.35)
            pids, begun = crew.pids(), time.monotonic()
        self.assertLess(time.monotonic() - begun, 2 * h.PATIENCE)
        self.assertFalse([e for e in crew.events if e["event"] == "end"])
        self.assertFalse(any(map(alive, pids)))
        with Crew() as crew:
            crew.give("k", clip(8), output, settings(*SLOW))
            self.assertEqual(crew.end("k")["code"], 0, crew.log)
        self.assertEqual(h.sha256(output), self.alone(8, *SLOW))
        self.assert_only(output)

    def test_resize(self):
        place = h.fresh_folder()
        with Crew("workers", 1) as crew:
            crew.give("a", clip(8), os.path.join(place, "a.mkv"), settings(*SLOW))
            self.assertEqual(crew.tell("free")["free"], 0)
            self.assertEqual(crew.tell("resize", 2)["free"], 1)
            crew.give("b", clip(2), os.path.join(place, "b.mkv"), settings(*QUICK))
            self.assertEqual(crew.end("b")["code"], 0)
            wait_until(lambda: len(crew.pids()) == 2, 10, "no second worker")
            crew.tell("resize", 0)
            wait_until(lambda: len(crew.pids()) == 1, 10, "a free worker stays")
            self.assertEqual(crew.end("a")["code"], 0, crew.log)
            wait_until(lambda: len(crew.pids()) == 0, 10, "a worker stays behind its job")

    def test_warm_workers(self):
        """Without the sandbox a worker does one job behind the other, until it holds too much memory."""
        for recycle, same in ((0, True), (1, False)):
            place = h.fresh_folder()
            with Crew("sandbox", "off", "recycle", recycle) as crew:
                seen = []
                for name in ("a", "b"):
                    crew.give(name, clip(2), os.path.join(place, name + ".mkv"), settings(*QUICK))
                    crew.wait(lambda es, name=name: any(e.get("id") == name and e["event"] == "progress" for e in es))
                    seen.append(crew.pids())
                    self.assertEqual(crew.end(name)["code"], 0, crew.log)
                self.assertEqual(seen[0] == seen[1], same, seen)

    def test_memory(self):
        """A worker over its limit is killed, and three of them are enough."""
        with Crew("kill", 1 << 20, "backoff", 20) as crew:
            crew.give("m", clip(8), os.path.join(h.fresh_folder(), "out.mkv"), settings(*SLOW))
            end = crew.end("m")
            self.assertEqual(end["code"], -70)
            self.assertRegex(end["message"], "3 workers died.* of memory, over its limit")

    def test_refused(self):
        """Orders that can't be taken are refused at once, and nothing is left of them."""
        place = h.fresh_folder()
        there = os.path.join(place, "there.mkv")
        with open(there, "w", encoding="utf-8") as file:
            file.write("mine")
        with Crew() as crew:
            for source, output, flags, code, what in (
                    (os.path.join(place, "none.mkv"), os.path.join(place, "o.mkv"), (), -66, "none.mkv"),
                    (clip(2), there, (), -73, "exists already"),
                    (there, there, ("--overwrite",), -64, "is the input"),
                    (clip(2), os.path.join(place, "no", "o.mkv"), (), -73, "no"),
                    (clip(2), place, ("--split", "1", "--output-template", "{name}-{number}"), -64, "split")):
                answer = crew.give("r", source, output, settings(*QUICK, *flags), expect=code)
                self.assertIn(what, answer["error"])
                self.assertEqual(answer["free"], 1)
            self.assertEqual(os.listdir(place), ["there.mkv"])
            crew.give("bad", there, os.path.join(place, "o.mkv"), settings(*QUICK))
            end = crew.end("bad")
            self.assertEqual(end["code"], -65, end)
            self.assertIn("there.mkv", end["message"])
        self.assertEqual(os.listdir(place), ["there.mkv"])

    def test_budgets(self):
        """CPUs and memory of all orders together; one alone may be over them."""
        place, file = h.fresh_folder(), settings(*SLOW)

        def give(crew, name, cpus, memory):
            answer = crew.tell("give", name, clip(8), os.path.join(place, name + ".mkv"), file, cpus, memory)
            self.assertIn("used up" if answer["code"] else "", answer["error"])
            return answer["code"]

        with Crew("workers", 4, "cpus", 2, "memory", 1000) as crew:
            self.assertEqual([give(crew, "a", 1.5, 100), give(crew, "b", 1, 1), give(crew, "c", 0.5, 901),
                              give(crew, "d", 0.5, 900), give(crew, "e", 0, 1), give(crew, "f", 0, 0)],
                             [0, -75, -75, 0, -75, 0])
            for name in "adf":
                crew.tell("cancel", name)
                crew.end(name)
            self.assertEqual(give(crew, "g", 9, 9000), 0)

    def test_one_output_one_run(self):
        """An output that another run works on is nobody else's."""
        output = os.path.join(h.fresh_folder(), "out.mkv")
        with Crew("workers", 2) as crew:
            crew.give("a", clip(8), output, settings(*SLOW))
            answer = crew.give("b", clip(8), output, settings(*SLOW), expect=-75)
            self.assertIn("another run works on this output", answer["error"])
            crew.tell("cancel", "a")
            crew.end("a")

    def test_work_folder(self):
        place, work = h.fresh_folder(), h.fresh_folder("work")
        with Crew() as crew:
            crew.give("w", clip(2), os.path.join(place, "out.mkv"), settings(*QUICK, "--work-dir", work))
            self.assertEqual(crew.end("w")["code"], 0, crew.log)
        self.assertEqual(h.sha256(os.path.join(place, "out.mkv")), self.alone(2, *QUICK))
        self.assert_only(os.path.join(place, "out.mkv"))
        self.assertEqual(os.listdir(work), [])


class Misbehaviour(h.Case):
    """Workers that are not what they should be."""

    def outcome(self, what, *config, seconds=30):
        place = h.fresh_folder()
        with Crew(*config, *fake(what)) as crew:
            crew.give("f", clip(2), os.path.join(place, "out.mkv"), settings(*QUICK))
            end = crew.end("f", seconds)
        self.assertEqual(os.listdir(place), [], what)
        return end, "".join(crew.log)

    def test_three_deaths(self):
        end, log = self.outcome("dies")
        self.assertEqual(end["code"], -70)
        for part in ("3 workers died", "signal 11", "while encoding, at 42 %", "these are my last words"):
            self.assertIn(part, end["message"])
        self.assertEqual(log.count("another goes on"), 2, log)

    def test_stall(self):
        """Alive, but without progress: not so while the work grows."""
        end, _ = self.outcome("stalls", "stall", 600)
        self.assertEqual(end["code"], -70)
        self.assertIn("made no progress for 0.6 s", end["message"])
        end, _ = self.outcome("works", "stall", 600)
        self.assertEqual((end["code"], end["message"]), (-74, "enough"))

    def test_protocol(self):
        for what in ("garbage", "oversized", "mixes"):
            end, _ = self.outcome(what)
            self.assertEqual(end["code"], -70, what)
            self.assertRegex(end["message"], "does not keep to the protocol|said what it can't know")

    def test_never_started(self):
        for what, say in (("exits", "exit code 3"), ("stranger", "it is TerminalAI 0.0.1"),
                          ("silent", "did not greet")):
            end, _ = self.outcome(what, "handshake", 700)
            self.assertEqual(end["code"], -69, what)
            self.assertIn(say, end["message"])
        with Crew("program", "/nowhere/terminalai", "sandbox", "off", "backoff", 20) as crew:
            crew.give("f", clip(2), os.path.join(h.fresh_folder(), "out.mkv"), settings(*QUICK))
            end = crew.end("f")
            self.assertEqual(end["code"], -69)
            self.assertIn("/nowhere/terminalai", end["message"])

    def test_claims(self):
        """No output, an output elsewhere, a link to a file that is not its own: none is published."""
        self.assertIn("named no output", self.outcome("claims")[0]["message"])
        end, _ = self.outcome("climbs")
        self.assertEqual(end["code"], -65)
        self.assertIn("../evil.mkv", end["message"])
        place = h.fresh_folder()
        with Crew(*fake("links")) as crew:
            crew.give("f", clip(2), os.path.join(place, "out.mkv"), settings(*QUICK))
            self.assertLess(crew.end("f")["code"], 0)
        self.assertFalse(os.path.lexists(os.path.join(place, "out.mkv")))

    def test_flood(self):
        """Whoever says too much is heard as often as anybody."""
        place = h.fresh_folder()
        with Crew(*fake("floods")) as crew:
            crew.give("f", clip(2), os.path.join(place, "out.mkv"), settings(*QUICK))
            end = crew.end("f", 60)
            self.assertEqual(end["code"], -74)
            shown = [e for e in crew.events if e["event"] == "progress"]
            self.assertLess(len(shown), 15 * (end["at"] - shown[0]["at"]) + 3)

    def test_publishing_goes_on(self):
        """The name was taken meanwhile: what was made is kept, and gets its name once that is free."""
        output = os.path.join(h.fresh_folder(), "out.mkv")
        with Crew(*fake("makes")) as crew:
            crew.give("f", clip(2), output, settings(*QUICK))
            wait_until(lambda: os.path.exists(os.path.join(os.path.dirname(output), ".out.mkv.terminalai", "out",
                                                           "out.mkv.json")), 10, "nothing was made")
            time.sleep(0.2)
            with open(output, "w", encoding="utf-8") as file:
                file.write("mine")
            end = crew.end("f")
            self.assertEqual(end["code"], -73, end)
            with open(output, encoding="utf-8") as file:
                self.assertEqual(file.read(), "mine")
            os.remove(output)
            crew.give("f", clip(2), output, settings(*QUICK))
            self.assertEqual(crew.end("f", count=2)["code"], 0)
        with open(output, encoding="utf-8") as file:
            self.assertEqual(file.read(), "an output\n")
        self.assertEqual(sorted(os.listdir(os.path.dirname(output))), ["out.mkv", "out.mkv.json"])


if __name__ == "__main__":
    h.main()
