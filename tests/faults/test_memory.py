# Out of memory: each allocation of the program fails once, by its number. The job ends with 75 and says why, or does
# without; no output gets its name, and the same command then gives the bytes of a run that lacked nothing.
import functools
import os
import random
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from faults import EXPECTED, Faults, h, make  # noqa: E402
from watched import ALL, NAME  # noqa: E402

QUICK = 24
MOST = 1 << 24
# Four segments, denoised, with sound: small, as there are many runs.
FLAGS = ("--segment", "0.5", "--jobs", "1", "--preset", "vhs", "--resolution", "96x72", *h.FAST)


@functools.lru_cache(None)
def source():
    out = make.path("small-tape.mkv")
    picture = "testsrc2=s=96x72:r=60000/1001:d=2,interlace=scan=tff,setsar=1"
    make.ffmpeg("-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", "sine=440:r=48000:d=2", "-c:v", "mpeg2video",
                "-flags", "+ildct+ilme", "-top", 1, "-c:a", "mp2", out)
    return out


@functools.lru_cache(None)
def reference():
    output = os.path.join(h.fresh_folder("whole"), NAME)
    h.call("restore", source(), "-o", output, *FLAGS)
    return h.sha256(output)


class Memory(Faults):
    def fails(self, number):
        """Did it matter that allocation `number` failed? Either way the end is as it should be."""
        place = h.fresh_folder("memory")
        output = os.path.join(place, NAME)
        run = h.call("restore", source(), "-o", output, *FLAGS, env={"TERMINALAI_FAIL_ALLOC": str(number)}, expect=None)
        if run.code == 0:
            self.assertEqual(h.sha256(output), reference(), f"allocation {number}\n{run.text()}")
            return False
        self.assertEqual(run.code, EXPECTED["memory"]["code"], f"allocation {number}\n{run.text()}")
        self.assertRegex(run.stderr, "(?i)" + EXPECTED["memory"]["says"][0], f"allocation {number}")
        if NAME in os.listdir(place):
            self.assertIn("is complete, but its ", run.stderr, f"allocation {number}")
            self.assertEqual(h.sha256(output), reference(), f"allocation {number}\n{run.text()}")
        again = h.call("restore", source(), "-o", output, *FLAGS)
        self.assertEqual(h.sha256(output), reference(), f"allocation {number}\n{run.text()}\n{again.text()}")
        self.assertEqual(sorted(os.listdir(place)), [NAME, NAME + ".json"], f"allocation {number}\n{again.text()}")
        return True

    def test_each_once(self):
        last = 1
        while last < MOST and (self.fails(last) or last < 512):
            last *= 2
        self.assertGreater(last, 512, "a job makes more allocations than that")
        self.assertLess(last, MOST, "it never came to an end")
        numbers = range(1, last) if ALL else random.Random(1).sample(range(1, last), QUICK)
        failed = sum(self.fails(n) for n in numbers)
        self.assertGreater(failed, len(numbers) // 4, "hardly any mattered")


if __name__ == "__main__":
    h.main()
