# Runs of the program in which every call that changes a file is seen, killed or failed (watch.c), of one job that has
# all that a tape has: interlaced pictures with noise, sound, subtitles; the whole preset vhs, B-frames, a dozen
# segments.
import dataclasses
import functools
import json
import os
import re
import signal

from faults import EXPECTED, h, make

LIBRARY = os.environ.get("TERMINALAI_WATCH") or os.path.join(os.path.dirname(h.PROGRAM), "tests", "faults", "watch.so")
# All points and 100 random kills, or the few that are worth a minute of each build.
ALL = os.environ.get("TERMINALAI_FAULTS") == "all"

FLAGS = ("--preset", "vhs", "--resolution", "source", "--encoder-preset", "superfast", "--segment", "0.5",
         "--disk-wait", "0", "--reserve", "0")
SEGMENTS = 12
NAME = "out.mkv"
FOLDER = "." + NAME + ".terminalai"

SUBTITLES = "".join(f"{i + 1}\n00:00:0{i},300 --> 00:00:0{i},900\nLine {i + 1}\n\n" for i in range(5))


@make.once
def tape():
    """5.8 s of an interlaced recording with B-frames, sound longer than one piece of it, and subtitles."""
    out, text = make.path("tape-of-kills.mkv"), make.path("tape-of-kills.srt")
    with open(text, "w", encoding="ascii") as file:
        file.write(SUBTITLES)
    picture = "testsrc2=s=320x240:r=60000/1001:d=5.8,noise=alls=12:allf=t,interlace=scan=tff,setsar=1"
    sound = "sine=440:r=48000:d=5.8[l];anoisesrc=r=48000:d=5.8:a=0.1:seed=3[r];[l][r]amerge"
    make.ffmpeg("-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", sound, "-i", text, "-map", 0, "-map", 1, "-map", 2,
                "-c:v", "mpeg2video", "-flags", "+ildct+ilme", "-top", 1, "-bf", 2, "-g", 12, "-b:v", "3M", "-c:a",
                "pcm_s16le", "-c:s", "srt", out)
    return out


@dataclasses.dataclass
class Call:
    """A call that changed something below the folder of the output."""
    op: str
    kind: str
    path: str

    @property
    def point(self):
        return self.op, self.kind


@dataclasses.dataclass
class Watched:
    code: int
    errors: str
    calls: list

    def text(self):
        last = "\n".join(f"{c.op} {c.path}" for c in self.calls[-5:])
        return f"exit {self.code}\n{self.errors[-2500:]}\nlast calls:\n{last}"


def run(place, *flags, source=None, do=None, at=None, wrap=(), timeout=120):
    """The job into `place` under the eyes of the library. `at` is (op, class, n)."""
    log = os.path.join(h.folder(), "calls.log")
    if os.path.exists(log):
        os.unlink(log)
    env = {"LD_PRELOAD": LIBRARY, "WATCH_DIR": os.path.realpath(place), "WATCH_LOG": log}
    if do:
        env |= {"WATCH_DO": do, "WATCH_AT": " ".join(map(str, at))}
    done = h.call("restore", source or tape(), "-o", os.path.join(place, NAME), *FLAGS, *flags, expect=None, env=env,
                  wrap=wrap, timeout=timeout)
    calls = []
    if os.path.exists(log):
        with open(log, encoding="utf-8") as file:
            calls = [Call(*line.split(" ", 2)) for line in file.read().splitlines()]
    return Watched(done.code, done.stderr, calls)


def killed(run_):
    return run_.code == -signal.SIGKILL


def sidecar(path):
    """What the sidecar says but for when and how fast."""
    with open(path + ".json", encoding="utf-8") as file:
        text = json.load(file)
    return {k: v for k, v in text.items() if k not in ("finished", "time")}


@functools.lru_cache(None)
def whole():
    """An uninterrupted run, once: (SHA-256 of the output, sidecar, calls)."""
    place = h.fresh_folder("whole")
    done = run(place, "--jobs", "1")
    if done.code or not done.calls:
        raise AssertionError(f"{LIBRARY} can't be used\n{done.text()}")
    output = os.path.join(place, NAME)
    return h.sha256(output), sidecar(output), done.calls


def points(ops):
    """(op, class, n) of an uninterrupted run: of each class the first call, one in the middle and the last."""
    count = {}
    for call in whole()[2]:
        count[call.point] = count.get(call.point, 0) + 1
    return [(*point, n) for point, total in count.items() if point[0] in ops
            for n in sorted({1, (total + 1) // 2, total})]


def finished(place):
    """{number: (inode, time of change in ns, size)} of the segments that have their markers."""
    folder, found = os.path.join(place, FOLDER), {}
    for name in os.listdir(folder) if os.path.isdir(folder) else []:
        match = re.fullmatch(r"segment-(\d+)\.done", name)
        packets = match and os.path.join(folder, f"segment-{match[1]}.packets")
        if match and os.path.exists(packets):  # else it is being removed
            stat = os.stat(packets)
            found[int(match[1])] = stat.st_ino, stat.st_mtime_ns, stat.st_size
    return found


class Job(h.Case):
    """What holds after every end of the job, and after going on."""

    def assert_whole(self, place, what):
        """The output is complete, byte by byte, and nothing but it and its sidecar is there."""
        output = os.path.join(place, NAME)
        digest, text, _ = whole()
        self.assertEqual(sorted(os.listdir(place)), [NAME, NAME + ".json"], what)
        self.assertEqual(h.sha256(output), digest, f"other bytes than those of an uninterrupted run: {what}")
        self.assertEqual(sidecar(output), text, what)

    def assert_no_half(self, place, what):
        """The final name is free, or bears the whole file."""
        output = os.path.join(place, NAME)
        if os.path.exists(output):
            self.assertEqual(h.sha256(output), whole()[0], f"half a file bears the final name: {what}")

    def go_on(self, place, *flags, what=""):
        """Runs the same command to its end: the bytes are those of an uninterrupted run, and what was finished before
        was not made again. Returns the run."""
        source, done = h.fingerprint(tape()), finished(place)
        self.assert_no_half(place, what)
        output = os.path.join(place, NAME)
        ended = os.path.exists(output + ".json") and sidecar(output) == whole()[1]
        held = {n: open(os.path.join(place, FOLDER, f"segment-{n:05d}.packets"), "rb") for n in done}
        again = run(place, *flags)
        what = f"{what}\n{again.text()}"
        # Killed while the job folder was removed: the output is there already.
        self.assertIn(again.code, (0, EXPECTED["output_exists"]["code"]) if ended else (0,), what)
        self.assert_whole(place, what)
        self.assertEqual(h.fingerprint(tape()), source, "the source was changed")
        for n, file in held.items():
            now = os.fstat(file.fileno())
            file.close()
            self.assertEqual((now.st_ino, now.st_mtime_ns, now.st_size, now.st_nlink), (*done[n], 0),
                             f"segment {n} was finished, and then touched: {what}")
        touched = [c for c in again.calls if c.op != "unlink" and any(f"/segment-{n:05d}." in c.path for n in done)]
        self.assertEqual(touched, [], what)
        return again
