#!/usr/bin/env python3
# Measures the program beside its rivals: time, memory, bytes moved, quality, progress.
#
#   scripts/bench.py run [OPTIONS]      measure and print; the results go to out/bench/*.json
#   scripts/bench.py check [OPTIONS]    the same, and exit status 1 when a figure misses its target
#
# Everything is measured on this machine, in one go: ours, ffmpeg's single pass, and again, so that a machine that slows
# down slows both. Times are medians with extremes. The old flow of separate ffmpeg processes takes four times as long
# and HandBrakeCLI is there for information: they run once.
import argparse
import dataclasses
import datetime
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "bench"))

import clips  # noqa: E402
import job_queue  # noqa: E402
import meter  # noqa: E402
import quality  # noqa: E402
import report  # noqa: E402
import rivals  # noqa: E402
import rows  # noqa: E402
import segments  # noqa: E402

QUIET = 0.06       # a run counts as undisturbed while others use less than this share of the processors
SPARE_ROUNDS = 2   # as many rounds more are run when disturbed ones must be replaced
RAW_FRAMES = {"sd": 240, "hd": 120}  # more than libx264's look-ahead holds


def say(text):
    print(text, file=sys.stderr, flush=True)


# ---- Rounds --------------------------------------------------------------------------------------------------------

def one_round(who, patience, said):
    """Each contender once; {who: (cost, cost of each command)}. A contender is a list of commands, or a function that
    gets what was found so far in this round."""
    found = {}
    for name, commands in who.items():
        meter.wait_for_quiet(QUIET, patience)
        found[name] = commands(found) if callable(commands) else meter.measure_all(commands)
        cost = found[name][0]
        note = f", others took {100 * cost.others:.0f} %" if cost.others > QUIET else ""
        say(f"  {said} {name}: {cost.wall:.2f} s, {cost.cpu:.2f} s CPU, {cost.rss / 1e6:.0f} MB, "
            f"{cost.io / 1e6:.0f} MB moved{note}")
    return found


def disturbance(found):
    return max(cost.others for cost, _ in found.values())


def compete(who, name, pairs, patience):
    """Interleaved rounds; the quietest `pairs` of them count. {who: [cost ...], "disturbance": share}."""
    all_rounds = []
    for i in range(pairs + (SPARE_ROUNDS if pairs > 1 else 0)):
        if sum(disturbance(found) <= QUIET for found in all_rounds) >= pairs:
            break
        all_rounds.append(one_round(who, patience, f"{name} round {i + 1},"))
    all_rounds.sort(key=disturbance)
    kept = all_rounds[:pairs]
    return {**{name: [found[name][0] for found in kept] for name in who}, "disturbance": disturbance(kept[-1])}


def add_single(results, name, commands, task, patience):
    """A rival that runs once, and once more when it was disturbed; the costs of its commands are "NAME passes"."""
    tries = []
    while not tries or (disturbance(tries[-1]) > QUIET and patience > 0 and len(tries) < 2):
        tries.append(one_round({name: commands}, patience, f"{task.name},"))
    cost, each = min(tries, key=disturbance)[name]
    results[name], results[name + " passes"] = [cost], each
    results["commands"][name] = commands


def rivalry(program, task, pairs, patience):
    """Ours against ffmpeg's single pass, and beside the old flow and HandBrakeCLI."""
    who = {"ours": rivals.ours(program, task), "ffmpeg": rivals.single_pass(task)}
    results = {**compete(who, task.name, pairs, patience), "commands": who}
    if task.encoder != "ffv1":
        add_single(results, "old", rivals.old_flow(task), task, patience)
    handbrake = rivals.handbrake(task)
    if handbrake:
        add_single(results, "handbrake", handbrake, task, patience)
    return results


# ---- Single measurements -------------------------------------------------------------------------------------------

def measure_quality(task):
    reference = task.file("reference")
    found = {who: quality.psnr(task.file(who), reference) for who in ("ours", "ffmpeg")}
    say(f"  {task.name} PSNR: ours {found['ours']:.3f}, ffmpeg {found['ffmpeg']:.3f} dB")
    return found


def share_of(task, size, frames):
    """Bytes that the task's encoder itself needs for pictures of `size`."""
    task = dataclasses.replace(task, name=task.name + "-share", size=size)
    raw = task.file("raw", "yuv")
    meter.measure(rivals.raw_frames(task, raw, frames))
    with_it, without = (meter.measure(command).rss for command in rivals.encoder_alone(task, raw))
    os.unlink(raw)
    return max(with_it - without, 0)


def encoder_shares(task):
    """The share of the last encoder, and of those of the old flow's intermediate files: of the tape's size (three) and
    of the output's (one), all with preset fast."""
    fast = dataclasses.replace(task, preset="fast")
    frames = RAW_FRAMES[task.name]
    shares = {"last": share_of(task, task.size, frames), "scaled": share_of(fast, task.size, frames),
              "tape": share_of(fast, rivals.TAPE_SIZE, RAW_FRAMES["sd"])}
    say(f"  {task.name} encoder's share: " + ", ".join(f"{name} {n / 1e6:.1f} MB" for name, n in shares.items()))
    return shares


def measure_progress(program, task):
    """Processor time of the thread that watches and prints, by its own clock, beside the whole program's."""
    cost = meter.measure(rivals.ours(program, task, "--progress", "json")[0], threads=True, on_line=lambda *_: None)
    if "progress" not in cost.threads:
        raise meter.Failed("no thread named 'progress' was seen: " + ", ".join(sorted(cost.threads)))
    say(f"  progress: {cost.threads['progress'] * 1000:.1f} ms of {cost.cpu:.1f} s CPU")
    return {"seconds": cost.threads["progress"], "cpu": cost.cpu}


def measure_eta(program, task):
    """What the first line at 10 % or later predicts for the whole job, and what became of it (seconds from start)."""
    first = {}

    def look(seconds, line):
        if first or not line.startswith("{"):
            return
        now = json.loads(line)
        if now["percent"] >= 10 and now["eta_seconds"] >= 0:
            first.update(at=seconds, predicted=seconds + now["eta_seconds"], percent=now["percent"])

    cost = meter.measure(rivals.ours(program, task, "--progress", "json")[0], on_line=look)
    if not first:
        raise meter.Failed("no prediction at 10 % or later was printed")
    say(f"  {task.name}: at {first['percent']:.0f} % the end was predicted for {first['predicted']:.1f} s, "
        f"it came at {cost.wall:.1f} s" + (f", others took {100 * cost.others:.0f} %" if cost.others > QUIET else ""))
    return {**first, "real": cost.wall, "others": cost.others}


def measure_eta_fairly(program, task, patience):
    """Nobody can predict what others will take from the machine: a miss among them is tried once more, and the second
    try counts. The row says so."""
    meter.wait_for_quiet(QUIET, patience)
    eta = measure_eta(program, task)
    if rows.eta_is_met(eta) or eta["others"] <= QUIET:
        return eta
    meter.wait_for_quiet(QUIET, patience)
    return {**measure_eta(program, task), "first try": eta}


# ---- Everything ----------------------------------------------------------------------------------------------------

def measure_task(args, program, task, results):
    say(f"{task.name}: {task.encoder}, {task.pixels}, {os.path.basename(task.clip)}")
    results[task.name] = rivalry(program, task, args.pairs, args.patience)
    if task.name == "ffv1":
        results["ffv1 pictures that differ"] = quality.same_pictures(task.file("ours"), task.file("ffmpeg"))
        return
    meter.measure_all(rivals.lossless(task))
    results["psnr"][task.name] = measure_quality(task)
    results["shares"][task.name] = encoder_shares(task)


def measure_segments(args, program, clip, folder):
    say("segments")
    short = clips.beginning(clip, folder, segments.JOIN_SECONDS)
    long = clips.long(clip, folder, segments.SECONDS)

    def rounds(name, who, most=args.pairs):
        return compete(who, name, min(args.pairs, most), args.patience)

    return segments.measure(program, short, long, folder, rounds, args.quick, say)


def run_all(args, folder):
    program = os.path.abspath(args.program)
    clip = clips.tape(program, folder, args.clip)
    common = {"folder": folder, "preset": args.preset, "threads": args.threads}
    results = {"clip": os.path.basename(clip), "shares": {}, "psnr": {}, "eta": {}}
    sd = rivals.Task("sd", clip, **common)
    if "sd" in args.groups:
        measure_task(args, program, sd, results)
    if "ffv1" in args.groups:
        measure_task(args, program, rivals.Task("ffv1", clip, encoder="ffv1", **common), results)
    if "hd" in args.groups:
        short = clips.beginning(clip, folder, args.hd_seconds)
        measure_task(args, program, rivals.Task("hd", short, size=(1440, 1080), **common), results)
    if "progress" in args.groups:
        say("progress")
        results["progress"] = measure_progress(program, sd)
    if "eta" in args.groups:
        for name, path in clips.mixed(clip, folder).items():
            results["eta"][name] = measure_eta_fairly(program, rivals.Task(name, path, **common), args.patience)
    if "segments" in args.groups:
        results["segments"] = measure_segments(args, program, clip, folder)
    if "queue" in args.groups:
        say("queue")
        meter.wait_for_quiet(QUIET, args.patience)
        results["queue"] = job_queue.measure(program, folder, args.quick, say)
    return results


def first_line(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return "not installed"
    return (done.stdout or done.stderr).strip().splitlines()[0] if (done.stdout or done.stderr).strip() else "unknown"


def machine():
    """Where the figures come from."""
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        model = next((line.split(":")[1].strip() for line in f if line.startswith("model name")), platform.machine())
    with open("/proc/meminfo", encoding="ascii") as f:
        memory = int(f.readline().split()[1]) / 1e6
    return {"processor": f"{model}, {os.cpu_count()} processors", "memory": f"{memory:.0f} GB",
            "kernel": f"{platform.system()} {platform.release()}"}


def versions(program):
    return {"terminalai": first_line(program, "version"), "ffmpeg": first_line("ffmpeg", "-version"),
            "HandBrakeCLI": first_line("HandBrakeCLI", "--version"),
            "libx264": first_line("dpkg-query", "-W", "-f", "${Version}\n", "libx264-164")}


def save(document):
    folder = os.path.join(ROOT, "out", "bench")
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, document["when"].replace(":", "") + ".json")
    with open(path, "w", encoding="utf-8") as f:
        json.dump(document, f, indent=1, default=report.plain)
        f.write("\n")
    return path


def groups(text):
    found = text.split(",")
    unknown = [name for name in found if name not in rows.GROUPS]
    if unknown:
        raise argparse.ArgumentTypeError(f"no group {', '.join(unknown)}; there are {', '.join(rows.GROUPS)}")
    return found


def parse():
    p = argparse.ArgumentParser(description="Measures the program beside its rivals.")
    p.add_argument("what", choices=["run", "check"])
    p.add_argument("--program", default=os.path.join(ROOT, "build", "terminalai"))
    p.add_argument("--clip", help="the tape (../shared/clips/tape_480i.mpg, else one of `terminalai sample`)")
    p.add_argument("--pairs", type=int, default=3, help="rounds that count (3)")
    p.add_argument("--quick", action="store_true", help="one round, and don't wait for a quiet machine")
    p.add_argument("--patience", type=float, default=60, help="longest wait for a quiet machine before a run (60)")
    p.add_argument("--preset", default="medium", help="libx264's preset (medium)")
    p.add_argument("--threads", type=int, default=max(1, (os.cpu_count() or 1) * 3 // 2),
                   help="encoder threads on both sides (x264's own rule: 3 for 2 processors)")
    p.add_argument("--hd-seconds", type=float, default=5, help="seconds of the tape for 1440x1080 (5)")
    names = ", ".join(rows.GROUPS)
    p.add_argument("--only", type=groups, default=list(rows.GROUPS), metavar="GROUP,...", help=f"of {names}")
    p.add_argument("--skip", type=groups, default=[], metavar="GROUP,...", help="leave these out")
    p.add_argument("--write-docs", action="store_true", help="write docs/benchmarks.md from these results")
    p.add_argument("--folder", help="for the files that are made (default: a temporary one, removed at the end)")
    args = p.parse_args()
    if args.quick:
        args.pairs, args.patience = 1, 0
    args.groups = [name for name in args.only if name not in args.skip]
    if args.write_docs and args.groups != list(rows.GROUPS):
        p.error("the page needs all groups: --write-docs goes without --only and --skip")
    if not os.access(args.program, os.X_OK):
        p.error(f"{args.program} is not there; run make first")
    if not shutil.which("ffmpeg"):
        p.error("the ffmpeg program is needed; run scripts/setup bench")
    return args


def main():
    args = parse()
    when = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    with tempfile.TemporaryDirectory(prefix="terminalai-bench-") as temporary:
        folder = args.folder or temporary
        os.makedirs(folder, exist_ok=True)
        try:
            results = run_all(args, folder)
        except (meter.Failed, quality.Unequal, clips.NoClip) as e:
            say(f"scripts/bench.py: {e}")
            return 1
        lines = rows.table(results, args.groups)
        document = {"when": when, "machine": machine(), "versions": versions(args.program), "pairs": args.pairs,
                    "preset": args.preset, "threads": args.threads, "rows": lines, "results": results}
        # Paths as seen from here; the folder around the repository may have the clips.
        hide = {folder: "TMP", ROOT + os.sep: "", os.path.dirname(ROOT) + os.sep: "../"}
        path = save(document)
        print(report.text(document, hide))
        if args.write_docs:
            report.write_page(os.path.join(ROOT, "docs", "benchmarks.md"), document, hide)
    say(f"all figures: {os.path.relpath(path)}")
    missed = [row for row in lines if row.met is False]
    return 1 if args.what == "check" and missed else 0


if __name__ == "__main__":
    sys.exit(main())
