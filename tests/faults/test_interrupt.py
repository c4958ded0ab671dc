# Jobs that are ended or killed, and two that want the same output: within a second nothing is left, nothing half-made
# bears the final name, and the same command afterwards succeeds.
import os
import random
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from faults import EXPECTED, QUICK, WORK, Faults, h, tape, two_seconds, wait_for  # noqa: E402
import measure as m  # noqa: E402

SEED = int(os.environ.get("TERMINALAI_FAULT_SEED", "0")) or random.SystemRandom().randrange(1 << 30)
KILLS = int(os.environ.get("TERMINALAI_TEST_KILLS", "8"))


class Signals(h.Case):
    def test_before_the_job(self):
        """While the program is starting the signal may end it as it ends any program; nothing is left then, too."""
        for number in (signal.SIGINT, signal.SIGTERM):
            place = h.fresh_folder()
            process = h.start("restore", tape(), "-o", os.path.join(place, "out.mkv"), *WORK)
            time.sleep(0.03)
            code, seconds = h.end_within(process, 1, number)
            self.assertIn(code, (EXPECTED["interrupted"]["code"], -number))
            self.assertLess(seconds, 1.0 * h.PATIENCE + 0.25)
            self.assertEqual(os.listdir(place), [])

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
                self.assertEqual(code, EXPECTED["interrupted"]["code"])
                self.assertLess(seconds, 1.0 * h.PATIENCE + 0.25)
                self.assertEqual(os.listdir(place), [])

    def test_an_old_output_stays(self):
        place = h.fresh_folder()
        output = os.path.join(place, "out.mkv")
        with open(output, "w", encoding="ascii") as file:
            file.write("the old one")
        before = h.fingerprint(output)
        process = h.start("restore", tape(), "-o", output, "--overwrite", *WORK)
        self.assertTrue(wait_for(lambda: len(os.listdir(place)) > 1))
        time.sleep(0.3)
        self.assertEqual(h.end_within(process, 1)[0], EXPECTED["interrupted"]["code"])
        self.assertEqual(h.fingerprint(output), before)
        self.assertEqual(os.listdir(place), ["out.mkv"])


class Kills(h.Case):
    def test_at_any_moment(self):
        """Killed between the first instruction and the last: the final name never bears half a file."""
        chance, source = random.Random(SEED), two_seconds()
        before, whole = h.fingerprint(source), h.restore(source, *QUICK).seconds
        place = h.fresh_folder()
        output = os.path.join(place, "out.mkv")
        for i in range(KILLS):
            process = h.start("restore", source, "-o", output, *QUICK)
            time.sleep(whole * (i + chance.random()) / KILLS)
            process.kill()
            process.communicate()
            if process.returncode == 0:
                h.call("verify", output)
                os.unlink(output + ".json")
            if os.path.exists(output):
                # It was faster, or killed between publishing and the sidecar: then the output is whole.
                self.assertEqual(m.video_span(output)[2], 120, f"half a file has the final name (seed {SEED})")
                os.unlink(output)
        run = h.restore(source, *QUICK, output=output)
        h.call("verify", output)
        self.assertEqual([n for _, n in m.numbers(run.output, h.centre(run.output))], list(range(120)))
        self.assertEqual(sorted(os.listdir(place)), ["out.mkv", "out.mkv.json"], f"not taken over (seed {SEED})")
        self.assertEqual(h.fingerprint(source), before)

    def test_while_working(self):
        place = h.fresh_folder()
        output = os.path.join(place, "out.mkv")
        process = h.start("restore", tape(), "-o", output, *WORK)
        self.assertTrue(wait_for(lambda: os.listdir(place)))
        time.sleep(0.7)
        process.kill()
        process.communicate()
        self.assertFalse(os.path.exists(output))
        h.restore(two_seconds(), *QUICK, output=output, left=os.listdir(place) + ["out.mkv", "out.mkv.json"])
        self.assertEqual(sorted(os.listdir(place)), ["out.mkv", "out.mkv.json"])


class Two(Faults):
    def test_one_output(self):
        place = h.fresh_folder()
        output = os.path.join(place, "out.mkv")
        first = h.start("restore", tape(), "-o", output, *WORK)
        self.assertTrue(wait_for(lambda: os.listdir(place)))
        time.sleep(0.3)
        second = h.call("restore", two_seconds(), "-o", output, *QUICK, expect=None)
        self.assert_row("locked", second.code, second.stderr, "out.mkv")
        self.assertIsNone(first.poll(), "the second run ended the first")
        self.assertEqual(h.end_within(first, 1)[0], EXPECTED["interrupted"]["code"])
        self.assertEqual(os.listdir(place), [])

    def test_both_at_once(self):
        place = h.fresh_folder()
        output = os.path.join(place, "out.mkv")
        source = two_seconds()
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


if __name__ == "__main__":
    print(f"seed {SEED}", flush=True)
    h.main()
