"""What segments cost, and what they save: pictures behind joins, overhead, a kill, bytes written, two at once.

Overheads are measured with one segment at a time (`--jobs 1`): with more, a job in segments would use processors that
one in a single piece leaves idle, and look faster than it is. Frames are at single rate, so that a segment has half as
many of them, and what it costs besides weighs twice."""
import dataclasses
import filecmp
import glob
import json
import math
import os
import shutil

import meter
import quality

SECONDS, LENGTH = 95, 30  # of the long clip, of its segments
JOIN_SECONDS = 6          # with segments of one second
KILL_AT = 0.6             # of the uninterrupted run
TWO_SECONDS, TWO_LENGTH = 6, 1.5

ALL_SET = ["--preset", "clean", "--crop", "none", "--sd-width", "720"]
# What is remembered from picture to picture. The ones to try first, in a quick run alone, come first.
JOINS = {
    "hqdn3d standard": [*ALL_SET, "--deinterlace", "bwdif", "--denoise", "hqdn3d", "--denoise-strength", "standard"],
    "vhs_heavy": ["--preset", "vhs_heavy"],
    "atadenoise": [*ALL_SET, "--deinterlace", "bwdif", "--denoise", "atadenoise"],
    "bwdif": [*ALL_SET, "--deinterlace", "bwdif"],
    "yadif": [*ALL_SET, "--deinterlace", "yadif"],
}
QUICK_JOINS = 2
CHAINS = {
    "x264": [*ALL_SET, "--deinterlace", "bwdif", "--field-rate", "single", "--denoise", "hqdn3d", "--denoise-strength",
             "3:2:3:2", "--contrast", "1.1", "--resolution", "640x480", "--encoder", "libx264", "--crf", "18"],
    # The look-up table is most of the work; a small lossless output is the least.
    "filters": ["--preset", "vhs_standard", "--field-rate", "single", "--resolution", "160x120", "--encoder", "ffv1"],
    # One job keeps about one processor busy, and nearly all of that in one filter.
    "two": [*ALL_SET, "--deinterlace", "bwdif", "--field-rate", "single", "--denoise", "nlmeans", "--denoise-strength",
            "light", "--resolution", "160x120", "--encoder", "ffv1", "--encoder-threads", "1", "--threads", "1",
            "--end", str(TWO_SECONDS)],
}


@dataclasses.dataclass(frozen=True)
class Job:
    """One thing to do, in any number of segments."""
    program: str
    clip: str
    folder: str
    name: str
    words: tuple

    def file(self, who):
        return os.path.join(self.folder, f"segments-{self.name}-{who}.mkv")

    def command(self, who, length, jobs="1", *more):
        return [self.program, "restore", self.clip, "-o", self.file(who), *self.words, "--segment", str(length),
                "--jobs", jobs, "--progress", "none", "--log-level", "error", *more]

    def job_folder(self, who):
        return os.path.join(self.folder, "." + os.path.basename(self.file(who)) + ".terminalai")

    def remove(self, who):
        """The output, its sidecar and what is left of the job."""
        for path in (self.file(who), self.file(who) + ".json"):
            if os.path.exists(path):
                os.unlink(path)
        shutil.rmtree(self.job_folder(who), ignore_errors=True)

    def runner(self, who, length, jobs="1"):
        """For bench.py's rounds: a function that does the job anew and answers with what it cost."""
        def run(_found):
            self.remove(who)
            return meter.measure_all([self.command(who, length, jobs)], threads=True)
        return run


# ---- What a job folder tells ---------------------------------------------------------------------------------------

def _markers(folder):
    """{path: time} of the segments that are done."""
    return {path: os.stat(path).st_mtime for path in sorted(glob.glob(os.path.join(folder, "segment-*.done")))}


def _document(path):
    with open(path, encoding="utf-8") as f:
        return json.load(f)


def _planned(folder):
    return len(_document(os.path.join(folder, "plan.json"))["segments"])


def _spool_bytes(folder):
    return sum(os.path.getsize(path) for path in glob.glob(os.path.join(folder, "sound-*.pcm")))


# ---- Pictures ------------------------------------------------------------------------------------------------------

def _finite(db):
    """For JSON, which has no infinity: None where pictures are equal."""
    return None if math.isinf(db) else db


def _join(program, clip, folder, name, words):
    words = [*words, "--resolution", "source", "--encoder", "ffv1", "--audio-tracks", "none"]
    job = Job(program, clip, folder, "join-" + name.replace(" ", "-"), tuple(words))
    commands = [job.command("cut", 1, "auto", "--keep-temp"), job.command("whole", 0)]
    meter.measure_all(commands)
    numbers = [_document(path)["result.frames_out"] for path in _markers(job.job_folder("cut"))]
    firsts = [sum(numbers[:i]) for i in range(1, len(numbers))]
    worst = quality.worst_planes(job.file("cut"), job.file("whole"))
    if len(firsts) < 3 or sum(numbers) != len(worst):
        raise meter.Failed(f"{name}: {len(firsts)} joins, {sum(numbers)} pictures in segments, {len(worst)} in all")
    found = {"joins": len(firsts), "first": _finite(min(worst[i] for i in firsts)), "any": _finite(min(worst)),
             "commands": commands}
    for who in ("cut", "whole"):
        job.remove(who)
    return found


def joins(program, clip, folder, quick, say):
    found = {}
    for name, words in list(JOINS.items())[:QUICK_JOINS if quick else None]:
        found[name] = now = _join(program, clip, folder, name, words)
        db = ["equal" if now[key] is None else f"{now[key]:.1f} dB" for key in ("first", "any")]
        say(f"  {name}: first pictures behind {now['joins']} joins {db[0]}, all pictures {db[1]}")
    return found


# ---- A kill --------------------------------------------------------------------------------------------------------

def _check_resumed(job, before, reference):
    """What was done before the kill is untouched, and the output is that of a run that was not killed."""
    after = _markers(job.job_folder("killed"))
    again = [os.path.basename(path) for path, when in before.items() if after.get(path) != when]
    if again:
        raise meter.Failed("finished segments were done again after the kill: " + ", ".join(again))
    if not filecmp.cmp(job.file("killed"), reference, shallow=False):
        raise meter.Failed("the output of the killed and resumed run differs from that of an uninterrupted one")


def killer(job, notes):
    """For bench.py's rounds: killed at KILL_AT of this round's uninterrupted run, then resumed. What is thrown away is
    the time from the last finished segment to the kill. `notes` gets {"thrown", "done", "redone", "spool"} of each."""
    def run(found):
        job.remove("killed")
        folder = job.job_folder("killed")
        first = meter.measure(job.command("killed", LENGTH), threads=True,
                              kill_after=KILL_AT * found["segments"][0].wall)
        if os.path.exists(job.file("killed")):
            raise meter.Failed("the killed run left an output under its final name")
        before = _markers(folder)
        begun = max([*before.values(), os.stat(os.path.join(folder, "plan.json")).st_mtime])
        second = meter.measure(job.command("killed", LENGTH, "1", "--keep-temp"), threads=True)
        _check_resumed(job, before, job.file("segments"))
        total = _planned(folder)
        notes.append({"thrown": first.ended - begun, "killed": first.wall, "resumed": second.wall, "done": len(before),
                      "redone": total - len(before), "segments": total, "spool": _spool_bytes(folder)})
        return first.then(second), [first, second]
    return run


# ---- Everything ----------------------------------------------------------------------------------------------------

def measure(program, short, long, folder, rounds, quick, say):
    """`rounds(name, who, most)` runs contenders against each other. {"joins", "x264", "filters", "two", "commands"}."""
    results = {"joins": joins(program, short, folder, quick, say)}
    notes = []
    x264 = Job(program, long, folder, "x264", (*CHAINS["x264"], "--encoder-preset", "medium"))
    results["x264"] = rounds("x264 in segments", {
        "segments": x264.runner("segments", LENGTH), "whole": x264.runner("whole", 0), "killed": killer(x264, notes)})
    results["x264"].update(kills=notes, size={who: os.path.getsize(x264.file(who)) for who in ("segments", "whole")})
    filters = Job(program, long, folder, "filters", tuple(CHAINS["filters"]))
    results["filters"] = rounds("filters in segments", {
        "segments": filters.runner("segments", LENGTH), "whole": filters.runner("whole", 0)}, 2)
    two = Job(program, long, folder, "two", tuple(CHAINS["two"]))
    results["two"] = rounds("two at once", {"one": two.runner("one", TWO_LENGTH, "1"),
                                            "two": two.runner("two", TWO_LENGTH, "2")}, 2)
    results["commands"] = {job.name: [job.command("segments", LENGTH), job.command("whole", 0)]
                           for job in (x264, filters)}
    results["commands"]["two at once"] = [two.command("one", TWO_LENGTH, "1"), two.command("two", TWO_LENGTH, "2")]
    results["commands"].update((f"joins, {name}", found.pop("commands")) for name, found in results["joins"].items())
    return results
