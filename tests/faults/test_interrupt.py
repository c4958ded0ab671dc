# Jobs that are ended, killed, or run out of disk: within a second nothing is left, nothing half-made bears the final
# name, and the same command afterwards succeeds.
import os
import random
import resource
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))
import harness as h  # noqa: E402
import make  # noqa: E402
import measure as m  # noqa: E402
import numpy as np  # noqa: E402
from make import Clip  # noqa: E402
from test_bad_input import EXPECTED  # noqa: E402

# Slow enough to be caught at work.
WORK = ("--preset", "vhs_standard", "--resolution", "source", "--denoise", "nlmeans", "--denoise-strength", "severe",
        *h.FAST)
QUICK = ("--resolution", "source", "--sharpen", "off", *h.FAST)
SEED = int(os.environ.get("TERMINALAI_FAULT_SEED", "0")) or random.SystemRandom().randrange(1 << 30)


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


class Signals(h.Case):
    def ended(self, number, after):
        place = h.fresh_folder()
        output = os.path.join(place, "out.mkv")
        before = h.fingerprint(tape())
        process = h.start("restore", tape(), "-o", output, *WORK)
        if after == "working":
            self.assertTrue(wait_for(lambda: os.listdir(place)), "the job never began")
            time.sleep(0.5)
        else:
            time.sleep(after)
        self.assertIsNone(process.poll(), "ended too early to be interrupted")
        code, seconds = h.end_within(process, 1, number)
        self.assertEqual(code, EXPECTED["interrupted"]["code"], f"after {after}")
        self.assertLess(seconds, 1.0 * h.PATIENCE + 0.25, f"time to end, after {after}")
        self.assertEqual(os.listdir(place), [], "left behind")
        self.assertEqual(h.fingerprint(tape()), before)

    def test_interrupt(self):
        for after in (0.25, "working", 1.7):
            with self.subTest(after=after):
                self.ended(signal.SIGINT, after)

    def test_terminate(self):
        for after in (0.3, "working"):
            with self.subTest(after=after):
                self.ended(signal.SIGTERM, after)

    def test_other_encoders(self):
        for flags in (("--encoder", "libx265"), ("--encoder", "libsvtav1", "--encoder-preset", "4"),
                      ("--encoder", "ffv1", "--resolution", "2160")):
            with self.subTest(flags[1]):
                place = h.fresh_folder()
                process = h.start("restore", tape(), "-o", os.path.join(place, "out.mkv"), *flags)
                self.assertTrue(wait_for(lambda: os.listdir(place)))
                time.sleep(1.5)
                code, seconds = h.end_within(process, 1, signal.SIGTERM)
                self.assertEqual(code, 130)
                self.assertLess(seconds, 1.0 * h.PATIENCE + 0.25)
                self.assertEqual(os.listdir(place), [])

    def test_killed_at_any_moment(self):
        chance = random.Random(SEED)
        place = h.fresh_folder()
        output = os.path.join(place, "out.mkv")
        source = make.h264(Clip(count=60), "mkv")
        for _ in range(8):
            process = h.start("restore", source, "-o", output, *QUICK)
            time.sleep(chance.uniform(0.02, 1.2))
            process.kill()
            process.communicate()
            if process.returncode == 0:
                os.unlink(output)
                os.unlink(output + ".json")
                continue
            if os.path.exists(output):
                # Killed between publishing and the sidecar: then the output is whole.
                self.assertEqual(m.video_span(output)[2], 120, f"half a file has the final name (seed {SEED})")
                os.unlink(output)
        run = h.restore(source, *QUICK, output=output)
        self.assertEqual([n for _, n in m.numbers(run.output, h.centre(run.output))], list(range(120)))
        self.assertEqual(sorted(os.listdir(place)), ["out.mkv", "out.mkv.json"], f"seed {SEED}")

    def test_killed_while_working_leaves_no_output(self):
        place = h.fresh_folder()
        output = os.path.join(place, "out.mkv")
        process = h.start("restore", tape(), "-o", output, *WORK)
        self.assertTrue(wait_for(lambda: os.listdir(place)))
        time.sleep(0.7)
        process.kill()
        process.communicate()
        self.assertFalse(os.path.exists(output))
        source = make.h264(Clip(count=60), "mkv")
        h.restore(source, *QUICK, output=output, left=os.listdir(place) + ["out.mkv", "out.mkv.json"])
        self.assertEqual(sorted(os.listdir(place)), ["out.mkv", "out.mkv.json"])


class Two(h.Case):
    def test_one_output(self):
        place = h.fresh_folder()
        output = os.path.join(place, "out.mkv")
        first = h.start("restore", tape(), "-o", output, *WORK)
        self.assertTrue(wait_for(lambda: os.listdir(place)))
        time.sleep(0.3)
        second = h.call("restore", make.h264(Clip(count=60), "mkv"), "-o", output, *QUICK,
                        expect=EXPECTED["locked"]["code"])
        self.assertRegex(second.stderr, f"(?i){EXPECTED['locked']['says'][0]}")
        self.assertIn("out.mkv", second.stderr)
        self.assertIsNone(first.poll(), "the second run ended the first")
        self.assertEqual(h.end_within(first, 1)[0], 130)
        self.assertEqual(os.listdir(place), [])

    def test_both_at_once(self):
        place = h.fresh_folder()
        output = os.path.join(place, "out.mkv")
        source = make.h264(Clip(count=60), "mkv")
        runs = [h.start("restore", source, "-o", output, *QUICK) for _ in range(3)]
        codes = []
        for run in runs:
            run.communicate(timeout=120 * h.PATIENCE)
            codes.append(run.returncode)
        self.assertIn(0, codes)
        self.assertLessEqual(set(codes), {0, 73, 75})
        self.assertEqual(codes.count(0), 1)
        self.assertEqual(m.video_span(output)[2], 120)
        self.assertEqual(sorted(os.listdir(place)), ["out.mkv", "out.mkv.json"])


class Disk(h.Case):
    """A disk that is too small. A file system of its own where that is allowed, else a limit on the size of files."""

    def setUp(self):
        self.place, self.mounted = h.fresh_folder("disk"), False

    def tearDown(self):
        if self.mounted:
            subprocess.run(["umount", self.place], check=False)

    def mount(self, size):
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", self.place], check=False,
                              capture_output=True)
        self.mounted = done.returncode == 0
        return self.mounted

    def limited(self, limit, *words):
        """The program under a limit on the size of files."""
        def limits():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        done = subprocess.run([h.PROGRAM, *map(str, words)], capture_output=True, check=False, preexec_fn=limits,
                              env=h.environment(), stdin=subprocess.DEVNULL)
        return done.returncode, done.stderr.decode()

    def assert_clean(self, allowed=()):
        self.assertLessEqual(set(os.listdir(self.place)), set(allowed), "left behind on the full disk")

    def test_full_before_the_start(self):
        if not self.mount("3m"):
            self.test_file_too_large()
            return
        run = h.call("restore", tape(), "-o", os.path.join(self.place, "out.mkv"), *QUICK,
                     expect=EXPECTED["disk_full"]["code"])
        self.assertRegex(run.stderr, EXPECTED["disk_full"]["says"][0])
        self.assertIn("hint:", run.stderr)
        self.assertLess(run.seconds, 20 * h.PATIENCE)
        self.assert_clean()

    def test_full_while_writing(self):
        if not self.mount("400m"):
            self.test_file_too_large()
            return
        output = os.path.join(self.place, "out.mkv")
        process = h.start("restore", tape(), "-o", output, "--resolution", "1080", *h.EXACT, "--reserve", "0")
        self.assertTrue(wait_for(lambda: os.listdir(self.place) or process.poll() is not None))
        time.sleep(0.5)
        with open(os.path.join(self.place, "filler"), "wb") as filler:
            try:
                while True:
                    filler.write(b"\0" * (1 << 20))
                    filler.flush()
            except OSError:
                pass
        try:
            _, errors = process.communicate(timeout=120 * h.PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        self.assertEqual(process.returncode, EXPECTED["disk_full"]["code"], errors.decode()[-1500:])
        self.assertRegex(errors.decode(), EXPECTED["disk_full"]["says"][0])
        self.assert_clean(["filler"])

    def test_full_work_dir(self):
        if not self.mount("1m"):
            self.test_file_too_large()
            return
        target = h.fresh_folder()
        sound = make.write_wav(make.path("long.wav"), np.tile(Clip().sound(), (120, 1)))
        run = h.call("restore", sound, "-o", os.path.join(target, "out.mka"), "--work-dir", self.place,
                     "--reserve", "0", expect=EXPECTED["disk_full"]["code"])
        self.assertRegex(run.stderr, EXPECTED["disk_full"]["says"][0])
        self.assertEqual(os.listdir(target), [])
        self.assert_clean()

    def test_file_too_large(self):
        target = h.fresh_folder()
        code, errors = self.limited(300000, "restore", tape(), "-o", os.path.join(target, "out.mkv"), *QUICK)
        self.assertIn(code, (74, 75), errors)
        self.assertTrue(errors.strip())
        self.assertEqual(os.listdir(target), [])


if __name__ == "__main__":
    print(f"seed {SEED}", flush=True)
    h.main()
