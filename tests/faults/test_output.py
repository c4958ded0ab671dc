# Outputs that can't be written: the source is never the output, nothing is overwritten unasked, a full disk and a
# folder that takes no files end with their codes and leave nothing.
import ctypes
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness as h  # noqa: E402
from test_input import clip  # noqa: E402

USAGE, CANTCREATE, AGAIN, DATA, NOINPUT = 64, 73, 75, 65, 66
QUICK = ("--resolution", "source", *h.FAST)


def inside_new_mounts(script):
    """Runs a shell script in a mount namespace of its own; None where that is not allowed."""
    libc = ctypes.CDLL(None, use_errno=True)
    probe = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False)
    if libc is None or probe.returncode:
        return None
    return subprocess.run(["unshare", "--mount", "sh", "-ec", script], capture_output=True, check=False, text=True,
                          env=h.environment(), timeout=120)


class BadOutput(h.Case):
    def test_output_is_the_input(self):
        place = h.fresh_folder()
        source = os.path.join(place, "tape.mkv")
        subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-i", clip(), "-c", "copy", source], check=True)
        hard, soft = os.path.join(place, "hard.mkv"), os.path.join(place, "soft.mkv")
        os.link(source, hard)
        os.symlink(source, soft)
        before = h.sha256(source)
        for output in (source, hard, soft):
            for more in ((), ("--overwrite",)):
                run = h.call("restore", source, "-o", output, *more, expect=USAGE)
                self.assertRegex(run.stderr, "is the input")
                self.assertEqual(h.sha256(source), before)
        self.assertEqual(sorted(os.listdir(place)), ["hard.mkv", "soft.mkv", "tape.mkv"])

    def test_existing_output(self):
        output = os.path.join(h.fresh_folder(), "there.mkv")
        with open(output, "w", encoding="ascii") as file:
            file.write("mine")
        run = h.call("restore", clip(), "-o", output, expect=CANTCREATE)
        self.assertRegex(run.stderr, "there.mkv")
        self.assertRegex(run.stderr, "--overwrite")
        self.assertEqual(open(output, encoding="ascii").read(), "mine")
        h.call("restore", clip(), "-o", output, "--overwrite", *QUICK)
        self.assertGreater(os.path.getsize(output), 10_000)

    def test_missing_folder(self):
        output = os.path.join(h.folder(), "not", "there", "x.mkv")
        run = h.call("restore", clip(), "-o", output, expect=CANTCREATE)
        self.assertRegex(run.stderr, "hint: create it")

    def test_unknown_extension(self):
        run = h.call("restore", clip(), "-o", os.path.join(h.folder(), "x.xyz"), expect=USAGE)
        self.assertRegex(run.stderr, r"\.mkv")

    def test_full_disk(self):
        """1 MB of room: an error that says so, and nothing left; with room the same command succeeds."""
        source = clip()
        done = inside_new_mounts(f"""
            mkdir -p {h.folder()}/small && mount -t tmpfs -o size=1m none {h.folder()}/small
            set +e
            {h.PROGRAM} restore {source} -o {h.folder()}/small/x.mkv --resolution 1080 --encoder ffv1 --reserve 0
            echo "code $?"; ls -A {h.folder()}/small
            mount -o remount,size=800m {h.folder()}/small
            {h.PROGRAM} restore {source} -o {h.folder()}/small/x.mkv --resolution source --encoder ffv1 --reserve 0
            echo "code $?"; ls -A {h.folder()}/small""")
        if done is None:
            self.skipTest("mounting is not permitted here")
        lines = done.stdout.split()
        self.assertEqual(lines[:2], ["code", str(AGAIN)], done.stdout + done.stderr)
        self.assertEqual(lines[2:4], [f"{h.folder()}/small/x.mkv", "code"], done.stdout + done.stderr)
        self.assertEqual(lines[4:], ["0", "x.mkv", "x.mkv.json"], done.stdout + done.stderr)
        self.assertRegex(done.stderr, "(?i)space")

    def test_reserve_is_checked_before_the_start(self):
        output = os.path.join(h.fresh_folder(), "x.mkv")
        run = h.call("restore", clip(), "-o", output, "--reserve", "900000G", expect=AGAIN)
        self.assertRegex(run.stderr, "too little space")
        self.assertEqual(os.listdir(os.path.dirname(output)), [])

    def test_read_only_folder(self):
        done = inside_new_mounts(f"""
            mkdir -p {h.folder()}/fixed && mount -t tmpfs -o ro none {h.folder()}/fixed
            set +e; {h.PROGRAM} restore {clip()} -o {h.folder()}/fixed/x.mkv; echo "code $?" """)
        if done is None:
            self.skipTest("mounting is not permitted here")
        self.assertEqual(done.stdout.split(), ["code", str(CANTCREATE)], done.stderr)
        self.assertRegex(done.stderr, "fixed")

    def test_dry_run_writes_nothing(self):
        output = os.path.join(h.fresh_folder(), "x.mkv")
        run = h.call("restore", clip(), "-o", output, "--dry-run", "--resolution", "source")
        self.assertRegex(run.stdout, "(?s)encode.*memory: .*disk: ")
        self.assertEqual(os.listdir(os.path.dirname(output)), [])

    def test_verify_finds_a_flipped_byte(self):
        run = h.restore(clip(), *QUICK)
        h.call("verify", run.output)
        with open(run.output, "r+b") as file:
            file.seek(os.path.getsize(run.output) // 2)
            byte = file.read(1)
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte[0] ^ 1]))
        self.assertRegex(h.call("verify", run.output, expect=DATA).stdout + "", "CHANGED")
        os.remove(run.output + ".json")
        h.call("verify", run.output, expect=NOINPUT)


if __name__ == "__main__":
    h.main()
