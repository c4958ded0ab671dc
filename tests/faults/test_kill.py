# Ends in mid-run: signals within a second and without a trace, kill -9 at any moment without a file under the final
# name, two runs of one output at once.
import os
import random
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import harness as h  # noqa: E402

CANCELLED, AGAIN = 130, 75
KILLS = int(os.environ.get("TERMINALAI_TEST_KILLS", "6"))


def clip():
    """Five seconds, so that a run is still going on when it is ended."""
    path = os.path.join(h.folder(), "five.mpg")
    if not os.path.exists(path):
        subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=720x480:r=30000/1001:d=5",
                        "-f", "lavfi", "-i", "sine=f=440:d=5", "-c:v", "mpeg2video", "-b:v", "6M", "-c:a", "mp2", "-f",
                        "vob", path], check=True)
    return path


def wait_for_work(process, folder, more=0.3):
    """Until the temporary output has appeared."""
    until = time.monotonic() + 30 * h.PATIENCE
    while time.monotonic() < until and process.poll() is None:
        if os.path.exists(os.path.join(folder, ".x.mkv.terminalai", "output.mkv")):
            time.sleep(more)
            return
        time.sleep(0.01)


class Ends(h.Case):
    def begin(self, *more):
        folder = h.fresh_folder()
        return folder, h.start("restore", clip(), "-o", os.path.join(folder, "x.mkv"), "--resolution", "1080",
                               "--denoise", "hqdn3d", *more)

    def test_signals_end_within_a_second(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            for wait in (None, 0.3):
                folder, process = self.begin()
                if wait is None:
                    time.sleep(0.15)  # while the tape is still being looked at
                else:
                    wait_for_work(process, folder, wait)
                code, seconds = h.end_within(process, 10, number)
                self.assertEqual(code if wait is not None else code in (CANCELLED, -number),
                                 CANCELLED if wait is not None else True)
                self.assertLess(seconds, 1.0 * h.PATIENCE + 0.3)
                self.assertEqual(os.listdir(folder), [])

    def test_kill_at_any_moment(self):
        before = h.sha256(clip())
        dice = random.Random(7)
        folder = h.fresh_folder()
        output = os.path.join(folder, "x.mkv")
        for _ in range(KILLS):
            process = h.start("restore", clip(), "-o", output, "--resolution", "720", *h.FAST)
            wait_for_work(process, folder, dice.uniform(0, 1.5))
            process.kill()
            process.communicate()
            if process.returncode == 0:
                break  # it was faster: then the output is complete
            self.assertFalse(os.path.exists(output), os.listdir(folder))
        if not os.path.exists(output):
            h.call("restore", clip(), "-o", output, "--resolution", "720", *h.FAST)
        h.call("verify", output)
        self.assertEqual(h.sha256(clip()), before)
        self.assertEqual(sorted(os.listdir(folder)), ["x.mkv", "x.mkv.json"], "what killed runs left is taken over")

    def test_two_runs_of_one_output(self):
        folder, first = self.begin()
        wait_for_work(first, folder)
        second = h.call("restore", clip(), "-o", os.path.join(folder, "x.mkv"), expect=AGAIN)
        self.assertRegex(second.stderr, "another run")
        h.end_within(first, 10)
        self.assertEqual(os.listdir(folder), [])

    def test_interrupted_output_leaves_the_old_one(self):
        folder = h.fresh_folder()
        output = os.path.join(folder, "x.mkv")
        with open(output, "w", encoding="ascii") as file:
            file.write("the old one")
        process = h.start("restore", clip(), "-o", output, "--overwrite", "--resolution", "1080")
        wait_for_work(process, folder)
        h.end_within(process, 10)
        self.assertEqual(open(output, encoding="ascii").read(), "the old one")
        self.assertEqual(os.listdir(folder), ["x.mkv"])


if __name__ == "__main__":
    h.main()
