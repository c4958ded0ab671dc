# Many files in one run: what is taken and what is not, names, skipping, going on, running at once, codes, report.
import functools
import json
import os
import shutil
import signal
import time
import unittest

import harness
import make
import measure as m

QUICK = ("--encoder-preset", "ultrafast", "--crf", "30", "--deinterlace", "off", "--resolution", "source")

SLOW = ("--encoder-preset", "slow", "--resolution", "720")


@functools.lru_cache(None)
def clip(seconds=1, hue=0, ext="avi"):
    out = make.path(f"tiny-{seconds}-{hue}.{ext}")
    codec = ("-c:v", "mpeg2video", "-c:a", "mp2") if ext in ("mpg", "vob") else ("-c:v", "mpeg4", "-c:a", "mp2")
    make.ffmpeg("-f", "lavfi", "-i", f"testsrc2=s=160x120:r=25:d={seconds},hue=h={hue}", "-f", "lavfi", "-i",
                f"sine=f=440:d={seconds}", *codec, *(("-f", "dvd") if ext == "vob" else ()), out)
    return out


def tree(*names, root=None):
    """A folder with copies of clips (each of other content) under these names; "x:empty" makes an empty file."""
    root = root or harness.fresh_folder("in")
    for i, name in enumerate(names):
        name, _, kind = name.partition(":")
        path = os.path.join(root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if kind == "empty":
            with open(path, "wb"):
                pass
        else:
            ext = "mpg" if name.endswith(("mpg", "vob")) else "avi"
            shutil.copyfile(clip(float(kind or 1), 40 * i, ext), path)
    return root


def listing(root):
    return sorted(os.path.relpath(os.path.join(base, name), root) for base, _, names in os.walk(root) for name in names)


class Batch(harness.Case):
    def batch(self, *words, expect=0, quick=QUICK, **more):
        self.report = os.path.join(harness.fresh_folder("report"), "r.json")
        run = harness.call("batch", *words, *quick, "--report", self.report, expect=expect, **more)
        self.results = {}
        if os.path.exists(self.report):
            with open(self.report, encoding="utf-8") as file:
                self.doc = json.load(file)
            self.assertEqual(self.doc["code"], run.code)
            self.results = {os.path.basename(f["file"]): f for f in self.doc["files"]}
        return run

    def outcome(self, name):
        return self.results[name]["result"], self.results[name]["code"]

    def assert_whole(self, path):
        self.assertEqual(harness.call("verify", path).code, 0)
        self.assertEqual(m.video_span(path)[2], 25)

    def test_good_bad_and_nested(self):
        source = tree("a.avi", "b.mpg:empty", "notes.txt:empty", "sub/deep/c.AVI", "sub/.hidden.avi", "tape10.avi",
                      "tape2.avi")
        before = harness.fingerprint(source)
        out = os.path.join(harness.fresh_folder(), "new", "out")
        run = self.batch(source, "-o", out, "--recursive", expect=65)
        self.assertEqual(list(self.results), ["a.avi", "b.mpg", "c.AVI", "tape2.avi", "tape10.avi"], run.text())
        self.assertEqual(self.outcome("b.mpg"), ("failed", 65))
        self.assertRegex(self.results["b.mpg"]["remark"], "empty")
        self.assertEqual(listing(out), sorted(
            name + ext for name in ("a-restored.mkv", "sub/deep/c-restored.mkv", "tape2-restored.mkv",
                                    "tape10-restored.mkv") for ext in ("", ".json")))
        for name in ("a.avi", "c.AVI", "tape2.avi"):
            self.assertEqual(self.outcome(name), ("done", 0))
            self.assert_whole(self.results[name]["output"])
            self.assertEqual(self.results[name]["bytes_after"], os.path.getsize(self.results[name]["output"]))
            self.assertEqual(self.results[name]["bytes_before"], os.path.getsize(self.results[name]["file"]))
        self.assertEqual(harness.fingerprint(source), before)
        self.assertRegex(run.stdout, r"\[2/5\] b\.mpg: failed \(65\): .*empty")
        self.assertRegex(run.stdout, r"\[1/5\] a\.avi: done, ")
        self.assertRegex(run.stdout, r"(?m)^a\.avi +done +\d+ s .* KiB +[\d.]+ [KM]iB$")
        self.assertRegex(run.stdout, r"(?m)^4 done, 1 failed$")
        self.assertRegex(run.stderr, "1 of 5 files failed; the first: b.mpg: .*empty")

    def test_not_recursive_and_pattern(self):
        source = tree("a.avi", "b.mpg", "tape.dat", "sub/c.avi")
        out = harness.fresh_folder()
        self.batch(source, "-o", out, "--dry-run")
        self.assertEqual(sorted(self.results), ["a.avi", "b.mpg"])
        self.batch(source, "-o", out, "--dry-run", "--pattern", "*.DAT,a.*", "--recursive")
        self.assertEqual(sorted(self.results), ["a.avi", "tape.dat"])
        run = self.batch(source, "-o", out, "--pattern", "*.xyz", expect=66)
        self.assertRegex(run.stderr, r"no video files.*\n.*xyz")
        self.assertEqual(os.listdir(out), [])

    def test_never_twice(self):
        source = tree("a.avi", "b.avi")
        os.link(os.path.join(source, "a.avi"), os.path.join(source, "hard.avi"))
        os.symlink("b.avi", os.path.join(source, "soft.avi"))
        os.symlink(".", os.path.join(source, "circle"))
        a = os.path.join(source, "a.avi")
        run = self.batch(source, a, source + "/", "-o", harness.fresh_folder(), "--recursive", "--dry-run")
        self.assertEqual(sorted(self.results), ["a.avi", "b.avi"], run.text())
        left = {os.path.basename(one["path"]): one["why"] for one in self.doc["left_out"]}
        self.assertRegex(left["hard.avi"], "same file as .*a.avi")
        self.assertRegex(left["soft.avi"], "same file as .*b.avi")

    def test_clash_of_names(self):
        source = tree("tape.avi", "tape.mpg", "x.avi")
        out = os.path.join(harness.fresh_folder(), "out")
        run = self.batch(source, "-o", out, expect=64)
        self.assertRegex(run.stderr, r"tape\.avi' and '.*tape\.mpg' would both become '.*tape-restored\.mkv'")
        self.assertFalse(os.path.exists(out))
        self.assertEqual(self.batch(source, "-o", out, "--output-template", "x", expect=64).code, 64)

    def test_an_output_is_no_input(self):
        source = tree("a.avi", "b.avi")
        self.batch(source, "-o", source)
        self.assertEqual(sorted(n for n in listing(source) if n.endswith("mkv")), ["a-restored.mkv", "b-restored.mkv"])
        self.batch(source, "-o", source, "--skip-existing")
        self.assertEqual(sorted(self.results), ["a.avi", "b.avi"])
        self.assertEqual(sorted(os.path.basename(one["path"]) for one in self.doc["left_out"]),
                         ["a-restored.mkv", "b-restored.mkv"])
        inside = os.path.join(source, "done")  # the folder of outputs is not looked into, sidecars or not
        self.batch(source, "-o", inside, "--recursive", "--no-sidecar", "--max-count", 1)
        self.batch(source, "-o", inside, "--recursive", "--dry-run", "--overwrite")
        self.assertEqual(sorted(self.results), ["a.avi", "b.avi"])

    def test_a_source_is_never_replaced(self):
        source = tree("a.avi", "a.mkv")
        before = harness.fingerprint(source)
        run = self.batch(os.path.join(source, "a.avi"), os.path.join(source, "a.mkv"), "-o", source, "--suffix", "",
                         "--overwrite", expect=64)
        self.assertRegex(run.stderr, "both become|an input itself")
        run = self.batch(source, "-o", source, "--pattern", "*", "--output-template", "a", "--overwrite", expect=64)
        self.assertEqual(harness.fingerprint(source), before)
        os.rename(os.path.join(source, "a.avi"), os.path.join(source, "b.avi"))
        os.rename(os.path.join(source, "a.mkv"), os.path.join(source, "b-x.mkv"))
        run = self.batch(source, "-o", source, "--suffix=-x", "--overwrite", expect=64)
        self.assertRegex(run.stderr, r"output of '.*b\.avi' would be '.*b-x\.mkv', which is an input itself")

    def test_skip_existing(self):
        source, out = tree("a.avi", "b.avi", "c.avi", "d.avi"), harness.fresh_folder()
        self.batch(source, "-o", out)
        made = harness.fingerprint(out)
        run = self.batch(source, "-o", out, expect=73)
        self.assertEqual({self.outcome(name) for name in self.results}, {("failed", 73)}, run.text())
        self.assertEqual(harness.fingerprint(out), made)
        os.utime(os.path.join(source, "a.avi"), (1, 1))  # only the date: told by the content
        shutil.copyfile(clip(1, 200), os.path.join(source, "b.avi"))  # another content
        with open(os.path.join(out, "c-restored.mkv"), "r+b") as file:  # a broken output
            file.truncate(1000)
        os.remove(os.path.join(out, "d-restored.mkv"))
        run = self.batch(source, "-o", out, "--skip-existing", expect=73)
        self.assertEqual([self.outcome(n) for n in ("a.avi", "b.avi", "c.avi", "d.avi")],
                         [("skipped", 0), ("failed", 73), ("failed", 73), ("done", 0)], run.text())
        self.assertRegex(self.results["b.avi"]["remark"], "made from another input")
        self.assertRegex(self.results["c.avi"]["remark"], "not the file that its sidecar tells of")
        run = self.batch(source, "-o", out, "--skip-existing", "--overwrite", "--crf", "31",
                         quick=QUICK[:2] + QUICK[4:])
        self.assertEqual([self.outcome(n)[0] for n in ("a.avi", "b.avi", "c.avi", "d.avi")],
                         ["skipped", "done", "done", "skipped"], run.text())
        self.assertRegex(run.stdout, r"a\.avi: skipped, '.*' is finished, with other settings")
        self.batch(source, "-o", out, "--skip-existing")
        self.assertEqual({one["result"] for one in self.doc["files"]}, {"skipped"})
        for one in self.doc["files"]:
            self.assert_whole(one["output"])

    def test_skip_with_the_height_in_the_name(self):
        source, out = tree("a.avi", "b.avi"), harness.fresh_folder()
        named = ("-o", out, "--output-template", "{name} [{height}]")
        self.batch(source, *named)
        self.assertEqual([n for n in listing(out) if n.endswith("mkv")], ["a [120].mkv", "b [120].mkv"])
        self.batch(source, *named, "--skip-existing")
        self.assertEqual({one["result"] for one in self.doc["files"]}, {"skipped"})
        self.batch(source, *named, expect=73)

    def test_max_count_goes_on(self):
        source, out = tree("a.avi", "b.avi", "c.avi"), harness.fresh_folder()
        for done in range(1, 4):
            self.batch(source, "-o", out, "--max-count", 1, "--skip-existing")
            self.assertEqual(sum(n.endswith(".mkv") for n in os.listdir(out)), done)
            states = [one["result"] for one in self.doc["files"]]
            self.assertEqual(states, ["skipped"] * (done - 1) + ["done"] + ["left"] * (3 - done))

    def spans(self, *flags):
        """(begin, end) of each file by the lines of --progress json."""
        source = tree("a.avi:3", "b.avi:3", "c.avi:3")
        run = self.batch(source, "-o", harness.fresh_folder(), *flags, "--progress", "json")
        spans, lines = {}, [json.loads(line) for line in run.stdout.splitlines()]
        self.assertEqual(lines[-1]["kind"], "batch report")
        for at, event in enumerate(lines[:-1]):
            self.assertEqual(event["of"], 3)
            spans.setdefault(event["file"], [at, None])
            if event["result"] == "done":
                spans[event["file"]][1] = at
        self.assertTrue(all(end is not None for _, end in spans.values()), run.text())
        self.assertTrue(any("percent" in event for event in lines), run.text())
        return sorted(spans.values())

    def test_parallel(self):
        alone = self.spans()
        self.assertTrue(all(a[1] < b[0] for a, b in zip(alone, alone[1:])), alone)
        three = self.spans("--parallel", 3)
        self.assertTrue(max(begin for begin, _ in three) < min(end for _, end in three), three)

    def test_killed_and_run_again(self):
        source, out = tree("a.avi", "b.avi:6", "c.avi"), harness.fresh_folder()
        words = ("batch", source, "-o", out, "--skip-existing", *SLOW)
        process = harness.start(*words)
        deadline = time.monotonic() + 60 * harness.PATIENCE
        while not os.path.exists(os.path.join(out, ".b-restored.mkv.terminalai")) and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.3)
        process.kill()
        process.communicate()
        self.assertIn("a-restored.mkv", os.listdir(out))
        self.assertNotIn("b-restored.mkv", os.listdir(out))
        first = harness.fingerprint(os.path.join(out, "a-restored.mkv"))
        run = harness.call(*words)
        self.assertRegex(run.stdout, "a.avi: skipped")
        self.assertEqual(harness.fingerprint(os.path.join(out, "a-restored.mkv")), first)
        self.assertEqual(listing(out), sorted(n + e for n in ("a-restored.mkv", "b-restored.mkv", "c-restored.mkv")
                                              for e in ("", ".json")))
        self.assertEqual(m.video_span(os.path.join(out, "b-restored.mkv"))[2], 150)

    def test_interrupted(self):
        source, out = tree("a.avi:6", "b.avi:6", "c.avi:6"), harness.fresh_folder()
        report = os.path.join(harness.fresh_folder(), "r.json")
        process = harness.start("batch", source, "-o", out, "--parallel", 2, *SLOW, "--report", report)
        deadline = time.monotonic() + 60 * harness.PATIENCE
        while sum(n.endswith(".terminalai") for n in os.listdir(out)) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.2)
        code, seconds = harness.end_within(process, 2, signal.SIGINT)
        self.assertEqual(code, 130)
        self.assertLess(seconds, 1.0 * harness.PATIENCE + 0.2)
        self.assertEqual(os.listdir(out), [])
        if os.path.exists(report):  # where encoders let go in time
            with open(report, encoding="utf-8") as file:
                self.assertEqual({f["result"] for f in json.load(file)["files"]}, {"stopped", "left"})

    def test_codes(self):
        source = tree("a.avi", "b.avi:empty")
        good, empty = os.path.join(source, "a.avi"), os.path.join(source, "b.avi")
        missing = os.path.join(source, "none.avi")
        run = self.batch(missing, good, "-o", harness.fresh_folder(), expect=66)
        self.assertEqual((self.outcome("none.avi"), self.outcome("a.avi")), (("failed", 66), ("done", 0)), run.text())
        self.batch(empty, missing, good, "-o", harness.fresh_folder(), expect=65)
        self.assertEqual((self.outcome("none.avi"), self.outcome("b.avi")), (("failed", 66), ("failed", 65)))
        self.batch(missing, missing[:-4] + "2.avi", "-o", harness.fresh_folder(), expect=66)

    def test_wrong_words(self):
        source, out = tree("a.avi"), harness.fresh_folder()
        for flags, says in ((("-o", out, "--parallel", 0), "from 1 to 32"), (("-o", out, "--max-count", "x"), "number"),
                            ((), "needs a folder"),
                            (("-o", out, "--suffix", "x", "--output-template", "{name}"), "contradict"),
                            (("-o", out, "--suffix", "{x"), "brace"), (("-o", out, "--recursiv"), "--recursive")):
            run = self.batch(source, *flags, expect=64)
            self.assertRegex(run.stderr, says)
        run = harness.call("batch", "-o", out, expect=64)
        self.assertRegex(run.stderr, "needs a folder or files")
        other = os.path.join(source, "a.avi")
        before = harness.fingerprint(source)
        run = harness.call("batch", source, "-o", out, "--report", other, expect=73)
        self.assertRegex(run.stderr, "not the report of a batch")
        run = harness.call("batch", source, "-o", other, expect=73)
        self.assertEqual(harness.fingerprint(source), before)
        self.assertEqual(os.listdir(out), [])

    def test_dry_run_does_nothing(self):
        source, out = tree("a.avi", "sub/b.avi"), os.path.join(harness.fresh_folder(), "out")
        run = harness.call("batch", source, "-o", out, "--recursive", "--dry-run", "--suffix=-x", *QUICK)
        self.assertRegex(run.stdout, r"\[1/2\] a\.avi -> .*/out/a-x\.mkv\n\[2/2\] sub/b\.avi -> .*/out/sub/b-x\.mkv\n")
        run = harness.call("batch", source, "-o", out, "--recursive", "--dry-run", "--json", *QUICK)
        self.assertEqual([f["result"] for f in json.loads(run.stdout)["files"]], ["waiting", "waiting"])
        self.assertFalse(os.path.exists(out))

    def test_a_disc_is_one_title(self):
        source, out = tree("loose.avi"), harness.fresh_folder()
        disc = os.path.join(source, "Holiday 94.1", "VIDEO_TS")
        os.makedirs(disc)
        with open(clip(1, 0, "vob"), "rb") as file:
            data = file.read()
        half = len(data) // 4096 * 2048
        for name, part in (("VTS_01_1.VOB", data[:half]), ("VTS_01_2.VOB", data[half:]), ("VIDEO_TS.VOB", data[:half])):
            with open(os.path.join(disc, name), "wb") as file:
                file.write(part)
        run = self.batch(source, "-o", out)
        self.assertEqual(listing(out), ["Holiday 94.1-restored.mkv", "Holiday 94.1-restored.mkv.json",
                                        "loose-restored.mkv", "loose-restored.mkv.json"], run.text())
        self.assert_whole(os.path.join(out, "Holiday 94.1-restored.mkv"))
        self.assertEqual(self.results["Holiday 94.1"]["bytes_before"], len(data))
        self.batch(disc, "-o", out, "--skip-existing")
        self.assertEqual(self.outcome("VIDEO_TS"), ("skipped", 0))

    def test_names_that_are_no_text(self):
        source, out = harness.fresh_folder(), harness.fresh_folder()
        name = os.path.join(os.fsencode(source), b"K\xfcche 'x' \"y\".avi")
        shutil.copyfile(clip(), name)
        self.batch(source, "-o", out)
        self.assertEqual([one["result"] for one in self.doc["files"]], ["done"])
        self.assertIn("K�che", self.doc["files"][0]["file"])
        self.batch(source, "-o", out, "--skip-existing")
        self.assertEqual([one["result"] for one in self.doc["files"]], ["skipped"])


if __name__ == "__main__":
    harness.main()
