# A job in segments, killed at every call that changes a file, and at random: the same command goes on and gives the
# same bytes, the sidecar and nothing else, and no finished segment is made twice. And what is renamed is on the disk
# before.
import os
import random
import re
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from faults import h  # noqa: E402
from watched import ALL, FLAGS, FOLDER, NAME, SEGMENTS, Job, finished, killed, points, run, tape, whole  # noqa: E402
import measure as m  # noqa: E402

SEED = int(os.environ.get("TERMINALAI_FAULT_SEED", "0")) or random.SystemRandom().randrange(1 << 30)
KILLS = int(os.environ.get("TERMINALAI_TEST_KILLS", "8"))
OPS = ("create", "write", "fsync", "rename", "unlink", "mkdir", "truncate", "link")
# Worth a try at each build: the states between which a job may be caught.
FEW = ("fsync .out.mkv.terminalai/.index.tmp 1", "rename .out.mkv.terminalai/plan.json 1",
       "write .out.mkv.terminalai/segment-#.part 1", "rename .out.mkv.terminalai/segment-#.packets 6",
       "rename .out.mkv.terminalai/segment-#.done 12", "rename .out.mkv.terminalai/sound-#-#.done 1",
       "write .out.mkv.terminalai/output.mkv 6", "rename out.mkv 1", "rename out.mkv.json 1",
       "unlink .out.mkv.terminalai/lock 1")


class Kills(Job):
    def test_the_job_is_what_it_should_be(self):
        """The kills below mean something only if there is much to lose."""
        place = h.fresh_folder()
        output = os.path.join(place, NAME)
        h.call("restore", tape(), "-o", output, *FLAGS, "--jobs", "1", "--keep-temp")
        self.assertEqual(len(finished(place)), SEGMENTS)
        self.assertEqual(sum(n.startswith("sound-1-") for n in os.listdir(os.path.join(place, FOLDER))), 2)
        self.assertEqual(h.sha256(output), whole()[0], "without the library that watches")
        kinds = [s["codec_type"] for s in m.probe(output)["streams"]]
        self.assertEqual(sorted(kinds), ["audio", "subtitle", "video"])
        types = m.run(["ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", "frame=pict_type", "-of",
                       "csv=p=0", output]).decode().split()
        self.assertGreater(sum(t.startswith("B") for t in types), len(types) // 4, "B-frames")

    def test_all_calls_are_seen(self):
        """The system's own account has no change that the library missed."""
        calls = traced(h.fresh_folder())
        seen = {(c.op, kind_of(c.path)) for c in whole()[2]}
        for op, path in {(c.op, kind_of(c.path)) for c in calls}:
            self.assertIn((op, path), seen)

    def test_each_call(self):
        hit = 0
        for point in points(OPS):
            for do in ("kill-before", "kill-after"):
                name = " ".join(map(str, point))
                if not ALL and not (name in FEW and do == "kill-after"):
                    continue
                with self.subTest(f"{do} {name}"):
                    place = h.fresh_folder("kill")
                    ended = run(place, "--jobs", "1", do=do, at=point)
                    self.assertTrue(killed(ended), f"{do} {name} was not hit\n{ended.text()}")
                    hit += 1
                    self.go_on(place, "--jobs", "1", what=f"{do} {name}")
        self.assertGreaterEqual(hit, 190 if ALL else len(FEW))

    def test_killed_again_and_again(self):
        """Every second write is the last one of its run: the job ends all the same."""
        place, runs = h.fresh_folder("again"), 0
        while True:
            ended = run(place, "--jobs", "1", do="kill-after", at=("rename", FOLDER + "/segment-#.done", 2))
            if not killed(ended):
                break
            runs += 1
            self.assertEqual(len(finished(place)), 2 * runs)
        self.assertEqual(ended.code, 0, ended.text())
        self.assertEqual(runs, SEGMENTS // 2)
        self.assert_whole(place, "killed behind every second segment")

    def test_at_random(self):
        chance, kills = random.Random(SEED), KILLS if ALL else min(KILLS, 4)
        begun = time.monotonic()
        run(h.fresh_folder())
        length = time.monotonic() - begun
        deaths = 0
        for i in range(kills):
            place = h.fresh_folder("random")
            what = f"seed {SEED}, kill {i}"
            for _ in range(chance.randint(1, 2)):
                process = h.start("restore", tape(), "-o", os.path.join(place, NAME), *FLAGS, "--jobs",
                                  chance.randint(1, 3))
                time.sleep(length * chance.random())
                process.kill()
                process.communicate()
                deaths += process.returncode < 0
                if process.returncode == 0:
                    break
            if process.returncode:
                self.go_on(place, "--jobs", str(chance.randint(1, 3)), what=what)
            self.assert_whole(place, what)
        self.assertGreaterEqual(deaths, kills // 2)


# ---- On the disk, in order ----------------------------------------------------------------------------------------

LINE = re.compile(r"(\d+) +(\w+)\((.*)")
RESUMED = re.compile(r"(\d+) +<\.\.\. (\w+) resumed>(.*)")
OPS_OF = {"pwrite64": "write", "fdatasync": "fsync", "renameat": "rename", "renameat2": "rename", "unlinkat": "unlink",
          "rmdir": "unlink", "mkdirat": "mkdir", "ftruncate": "truncate"}


class Traced:
    """A call as strace tells of it: what, on which file, by which thread; its places in the row of all beginnings and
    ends."""

    def __init__(self, op, path, thread, begun):
        self.op, self.path, self.thread, self.begun, self.ended, self.source = op, path, thread, begun, None, None


def kind_of(path):
    """The class of a path, as watch.c has it."""
    path = re.sub(r"(/segment-\d+|^\.[^/]*)\.[^/.]*\.part$", r"\1.part", path)
    return re.sub(r"\d+", "#", re.sub(r"\.tmp-.{6}", ".tmp", path))


def parse(line, place):
    """(op, path, former name) of a call below the folder, or None."""
    op, words = line
    names = re.findall(r'"((?:[^"\\]|\\.)*)"', words)
    if op in ("open", "openat", "creat"):
        if "O_CREAT" not in words:
            return None
        op, path, source = "create", names[0], None
    elif op.startswith("rename") or op == "link":
        path, source = names[1], names[0]
    elif op in ("unlink", "rmdir", "mkdir"):
        path, source = names[0], None
    elif op in ("unlinkat", "mkdirat"):
        at = re.match(r"\d+<([^>]*)>", words)
        path, source = os.path.join(at[1] if at else "", names[0]), None
    else:
        at = re.match(r"\d+<([^>]*)>", words)
        if not at:
            return None
        path, source = at[1].removesuffix(" (deleted)").removesuffix("(deleted)"), None
    if path != place and not path.startswith(place + "/"):
        return None
    return OPS_OF.get(op, op), os.path.relpath(path, place), source and os.path.relpath(source, place)


def traced(place):
    """The calls of an uninterrupted run, by strace, in order. Failed ones are left out."""
    place, log = os.path.realpath(place), os.path.join(h.folder(), "strace.log")
    h.call("restore", tape(), "-o", os.path.join(place, NAME), *FLAGS, "--jobs", "2", wrap=(
        "strace", "-f", "-yy", "-s", "0", "--seccomp-bpf", "-o", log, "-e",
        "trace=open,openat,creat,write,pwrite64,writev,pwritev,pwritev2,fsync,fdatasync,rename,renameat,renameat2,link,"
        "linkat,unlink,unlinkat,rmdir,mkdir,mkdirat,truncate,ftruncate,fallocate,copy_file_range,sendfile"))
    calls, open_calls = [], {}
    with open(log, encoding="utf-8", errors="replace") as file:
        for i, line in enumerate(file):
            resumed, first = RESUMED.match(line), LINE.match(line)
            call, rest = None, line
            if resumed:
                call, rest = open_calls.pop(resumed[1], None), resumed[3]
            elif first:
                found = parse((first[2], first[3]), place)
                if found:
                    call = Traced(found[0], found[1], first[1], i)
                    call.source = found[2]
                    calls.append(call)
                if "<unfinished ...>" in line:
                    open_calls[first[1]] = call
                    continue
            if call:
                call.ended = i
                if re.search(r"= -1 E", rest):
                    calls.remove(call)
    return calls


class Order(Job):
    def setUp(self):
        self.calls = traced(h.fresh_folder("order"))

    def last_before(self, at, op, path):
        found = [c for c in self.calls if c.op == op and c.path == path and c.ended is not None and c.ended < at]
        return found[-1] if found else None

    def first_after(self, at, op, path):
        return next((c for c in self.calls if c.op == op and c.path == path and c.begun > at), None)

    def renames(self, pattern):
        return [c for c in self.calls if c.op == "rename" and re.fullmatch(pattern, c.path)]

    def durable(self, call):
        """Where the new name of a rename is on the disk: the end of the first fsync of its folder behind it."""
        folder = self.first_after(call.ended, "fsync", os.path.dirname(call.path) or ".")
        self.assertIsNotNone(folder, f"{call.path}: its folder is never synced")
        return folder.ended

    def test_each_rename(self):
        """fsync(file) behind its last write, rename, fsync(folder) by the same thread before it does anything else."""
        renames = self.renames(".*")
        self.assertGreaterEqual(len(renames), 2 * SEGMENTS + 8)
        for call in renames:
            with self.subTest(call.path):
                written, synced = self.last_before(call.begun, "write", call.source), \
                    self.last_before(call.begun, "fsync", call.source)
                self.assertIsNotNone(written, "never written")
                self.assertIsNotNone(synced, "renamed without fsync")
                self.assertLess(written.ended, synced.begun, "written behind its fsync")
                after = next(c for c in self.calls if c.begun > call.begun and c.thread == call.thread)
                self.assertEqual((after.op, after.path), ("fsync", os.path.dirname(call.path) or "."))

    def test_nothing_is_promised_too_early(self):
        job = re.escape(FOLDER) + "/"
        for call in self.renames(job + r"segment-\d+\.done"):
            packets = self.renames(re.escape(call.path.replace(".done", ".packets")))
            self.assertEqual(len(packets), 1)
            self.assertLess(self.durable(packets[0]), call.begun, f"{call.path} before its packets")
        pcm = self.calls and [c for c in self.calls if c.op == "write" and c.path.endswith("sound-1.pcm")]
        for call in self.renames(job + r"sound-\d-\d+\.done"):
            written = [c for c in pcm if c.ended < call.begun][-1]
            synced = self.last_before(call.begun, "fsync", FOLDER + "/sound-1.pcm")
            self.assertLess(written.ended, synced.begun, call.path)
        [index], [plan], [sound], [published] = (self.renames(job + n) for n in (
            "index", r"plan\.json", r"sound\.json", r"published\.json"))
        [output], [text] = self.renames(re.escape(NAME)), self.renames(re.escape(NAME) + r"\.json")
        self.assertLess(self.durable(index), plan.begun)
        self.assertIsNotNone(self.last_before(sound.begun, "fsync", FOLDER + "/copied.packets"))
        self.assertLess(self.durable(published), output.begun)
        self.assertLess(self.durable(output), text.begun)
        first = min(c.begun for c in self.calls if c.op == "unlink")
        self.assertLess(self.durable(text), first, "segments are removed before the end is on the disk")

    def test_the_job_folder_itself(self):
        """A folder whose name is not on the disk is lost with all that was synced in it."""
        made = next(c for c in self.calls if c.op == "mkdir")
        synced = self.first_after(made.begun, "fsync", ".")
        self.assertIsNotNone(synced)
        self.assertLess(synced.ended, self.renames(re.escape(FOLDER) + "/index")[0].begun)


if __name__ == "__main__":
    print(f"seed {SEED}", flush=True)
    h.main()
