"""What is measured on: the tape, its beginning, and clips whose parts are of very different difficulty."""
import os
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TAPE = os.path.join(os.path.dirname(ROOT), "shared", "clips", "tape_480i.mpg")
FFMPEG = ["ffmpeg", "-nostdin", "-y", "-v", "error"]
MPEG2 = ["-c:v", "mpeg2video", "-b:v", "7M", "-maxrate", "9M", "-bufsize", "1835k", "-flags", "+ildct+ilme", "-top",
         "1", "-aspect", "4:3", "-c:a", "mp2", "-b:a", "224k", "-f", "dvd"]
# Seconds of a still picture and of the moving, noisy tape, in turn.
MIXES = {"mixed": [1, 2, 2, 1, 1, 3, 3, 1, 1, 2, 2, 1], "still first": [3, 6, 3, 6], "moving first": [0, 6, 3, 6, 3]}


class NoClip(Exception):
    """A clip can't be made."""


def _run(command):
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise NoClip(f"{' '.join(command)}\n{done.stderr[-2000:]}")


def tape(program, folder, wanted=None):
    """The real tape where it is; else 20 seconds of our own sample."""
    if wanted or os.path.exists(TAPE):
        return os.path.abspath(wanted or TAPE)
    path = os.path.join(folder, "sample.mpg")
    _run([program, "sample", "-o", path, "--seconds", "20", "--overwrite"])
    return path


def beginning(clip, folder, seconds):
    """The first seconds of a clip, its packets as they are."""
    path = os.path.join(folder, "beginning.mpg")
    _run([*FFMPEG, "-i", clip, "-t", str(seconds), "-map", "0:v:0", "-map", "0:a:0", "-c", "copy", "-f", "dvd", path])
    return path


def long(clip, folder, seconds):
    """The tape over and over, its packets as they are: one continuous file."""
    path = os.path.join(folder, "long.mpg")
    _run([*FFMPEG, "-stream_loop", "-1", "-i", clip, "-map", "0:v:0", "-map", "0:a:0", "-c", "copy", "-t",
          str(seconds), "-f", "dvd", path])
    return path


def _graph(parts):
    """A filter graph that joins still and moving parts of the tape, each moving one from where the last one ended."""
    chains, at = [], 0.0
    parts = [(i, seconds) for i, seconds in enumerate(parts) if seconds]
    for i, seconds in parts:
        frames = round(seconds * 30000 / 1001)
        if i % 2 == 0:
            take = f"trim=start={at}:duration=0.03,loop=loop={frames - 1}:size=1:start=0"
        else:
            take = f"trim=start={at}:duration={seconds}"
            at += seconds
        chains.append(f"[v{i}]{take},setpts=N*1001/30000/TB,fps=30000/1001,setsar=8/9[p{i}]")
    split = f"[0:v]setpts=PTS-STARTPTS,split={len(parts)}" + "".join(f"[v{i}]" for i, _ in parts)
    joined = "".join(f"[p{i}]" for i, _ in parts) + f"concat=n={len(parts)}:v=1:a=0[v]"
    return ";".join([split, *chains, joined])


def mixed(clip, folder):
    """{name: clip} of mixed content."""
    made = {}
    for name, parts in MIXES.items():
        path = os.path.join(folder, name.replace(" ", "-") + ".mpg")
        _run([*FFMPEG, "-i", clip, "-filter_complex", _graph(parts), "-map", "[v]", "-map", "0:a:0", "-t",
              str(sum(parts)), *MPEG2, path])
        made[name] = path
    return made
