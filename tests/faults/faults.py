# What the fault tests share: the table of exit codes, how a failure must look, sources that take their time.
import os
import shutil
import sys
import time

import yaml

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))
import harness as h  # noqa: E402
import make  # noqa: E402
from make import Clip  # noqa: E402

with open(os.path.join(HERE, "exit_codes.yaml"), encoding="utf-8") as table:
    EXPECTED = yaml.safe_load(table)

QUICK = ("--resolution", "source", "--sharpen", "off", *h.FAST)
# Slow enough to be caught at work.
WORK = ("--preset", "vhs_standard", "--resolution", "source", "--denoise", "nlmeans", "--denoise-strength", "severe",
        *h.FAST)


def clip(ext="mkv"):
    """A second of moving picture with sound."""
    return make.h264(Clip(order="progressive", count=30), ext)


def two_seconds():
    return make.h264(Clip(count=60), "mkv")


@make.once
def tape():
    """Half a minute, by repeating a clip."""
    out = make.path("tape.mkv")
    make.ffmpeg("-stream_loop", 14, "-i", make.h264(Clip(count=60), "mkv", audio=("-c:a", "flac")), "-c", "copy", out)
    return out


def wait_for(condition, seconds=30):
    end = time.monotonic() + seconds * h.PATIENCE
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return False


def written(name, data):
    """A file with these bytes."""
    with open(make.path(name), "wb") as out:
        out.write(data)
    return make.path(name)


def nobody():
    """What goes in front of a command so that permissions count; root passes by them."""
    return ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []


def open_place():
    """A folder in which anyone may write, with the program in it where anyone may run it."""
    os.chmod(h.folder(), 0o755)
    place = h.fresh_folder("open")
    os.chmod(place, 0o777)
    program = os.path.join(place, "program")
    shutil.copy(h.PROGRAM, program)
    os.chmod(program, 0o755)
    return place


def as_nobody(place, *words):
    """(exit code, messages) of the program of an open place, run by somebody without rights."""
    done = h.subprocess.run([*nobody(), os.path.join(place, "program"), *words], capture_output=True, check=False,
                            env=h.environment(), stdin=h.subprocess.DEVNULL)
    return done.returncode, done.stderr.decode()


class Faults(h.Case):
    """Failures as the table has them: code, words, the file's name, a hint."""

    def assert_row(self, name, code, errors, named):
        row = EXPECTED[name]
        self.assertEqual(code, row["code"], errors)
        for word in row["says"]:
            self.assertRegex(errors, f"(?i){word}")
        self.assertIn(named, errors)
        self.assertIn("hint:", errors)

    def expect(self, name, source, *flags, output=None, names=None, **more):
        run = self.failure(source, *QUICK, *flags, code=EXPECTED[name]["code"], output=output, **more)
        self.assert_row(name, run.code, run.stderr, os.path.basename(names or source))
        return run
