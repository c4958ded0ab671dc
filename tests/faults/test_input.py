# More inputs that can't be restored, and wrong words: each gives one clear error with the documented exit code, names
# the file, says what to do, and leaves nothing behind. test_bad_input.py goes through the manual's table.
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import harness as h  # noqa: E402

DATA, USAGE = 65, 64


def make(name, *words):
    path = os.path.join(h.folder(), name)
    if not os.path.exists(path):
        subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-y", *words, path], check=True)
    return path


def clip():
    """A second of moving picture with sound."""
    return make("clip.mpg", "-f", "lavfi", "-i", "testsrc2=s=720x480:r=30000/1001:d=1", "-f", "lavfi", "-i",
                "sine=f=440:d=1", "-c:v", "mpeg2video", "-b:v", "6M", "-c:a", "mp2", "-f", "vob")


def write(name, data):
    path = os.path.join(h.folder(), name)
    with open(path, "wb") as file:
        file.write(data)
    return path


class BadInput(h.Case):
    def test_noise(self):
        self.failure(write("noise.avi", os.urandom(200_000)), code=DATA, says=["noise.avi", "hint"])

    def test_subtitles_only(self):
        path = write("only.srt", b"1\n00:00:00,000 --> 00:00:01,000\nHello\n")
        self.failure(path, code=DATA, says=["only.srt", "neither a video nor an audio"])

    def test_start_behind_the_end(self):
        self.failure(clip(), "--start", "1:00:00", code=USAGE, says=["clip.mpg", "hint"])

    def test_two_inputs(self):
        run = h.call("restore", clip(), clip(), expect=USAGE)
        self.assertRegex(run.stderr, "one input")


if __name__ == "__main__":
    h.main()
