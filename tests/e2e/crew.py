# A crew without a queue, driven by lines on its stdin, and the clips and settings for its orders.
import ctypes
import functools
import json
import os
import subprocess
import sys
import threading
import time

import harness as h
import make

DRIVER = os.environ.get("CREW_DRIVER") or os.path.join(h.ROOT, "build", "tests", "e2e", "crew_driver")
# ThreadSanitizer has a thread of its own from the start, and such a process can't be confined.
SANDBOX = os.environ.get("CREW_SANDBOX", "on")
FAKE = os.path.join(h.HERE, "fake_worker.py")
# Slow enough to be caught in the middle, in several segments.
SLOW = ("--resolution", "source", "--segment", "1", "--denoise", "nlmeans", "--encoder-preset", "veryfast",
        "--encoder-threads", "2", "--jobs", "1")
QUICK = ("--resolution", "source", "--encoder-preset", "ultrafast", "--segment", "0")


@functools.lru_cache(None)
def clip(seconds, size="320x240"):
    out = make.path(f"work-{seconds}-{size}.mkv")
    make.ffmpeg("-f", "lavfi", "-i", f"testsrc2=s={size}:r=25:d={seconds}", "-f", "lavfi", "-i",
                f"sine=f=440:r=48000:d={seconds}", "-c:v", "ffv1", "-g", 5, "-c:a", "pcm_s16le", out)
    return out


@functools.lru_cache(None)
def version():
    return h.call("--version").stdout.split()[-1]


@functools.lru_cache(None)
def landlock():
    """True where the kernel can confine files well enough: landlock_create_ruleset(2) for its version."""
    return ctypes.CDLL(None).syscall(444, None, 0, 1) >= 2


def settings(*flags):
    """A file with the settings that these flags give, as a queue keeps them."""
    path = os.path.join(h.fresh_folder("settings"), "settings.json")
    with open(path, "w", encoding="utf-8") as file:
        file.write(h.call("settings", "--json", "--all", *flags).stdout)
    return path


class Crew:
    """The driver, and the events that came from it."""

    def __init__(self, *config):
        self.process = subprocess.Popen([DRIVER, "program", h.PROGRAM, "sandbox", SANDBOX, *map(str, config)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True, env=h.environment())
        self.events, self.news, self.log = [], threading.Condition(), []
        self.readers = [threading.Thread(target=self._read), threading.Thread(target=self._read_log)]
        for reader in self.readers:
            reader.start()

    def _read(self):
        for line in self.process.stdout:
            with self.news:
                self.events.append(json.loads(line))
                self.news.notify_all()
        with self.news:
            self.events.append({"event": "eof"})
            self.news.notify_all()

    def _read_log(self):
        for line in self.process.stderr:
            self.log.append(line)

    def tell(self, *words):
        """Sends a command; its answer."""
        with self.news:
            have = sum(e["event"] == "answer" for e in self.events)
        self.process.stdin.write("\t".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        return self.wait(lambda es: (a := [e for e in es if e["event"] == "answer"])[have:] and a[have], 20)

    def wait(self, find, seconds=120):
        """The first true value of find(events)."""
        until = time.monotonic() + seconds * h.PATIENCE
        with self.news:
            while not (found := find(self.events)):
                left = until - time.monotonic()
                if left <= 0 or (self.events and self.events[-1]["event"] == "eof"):
                    raise AssertionError(f"nothing in {seconds} s\n{self.events[-20:]}\n{''.join(self.log[-40:])}")
                self.news.wait(left)
        return found

    def give(self, name, source, output, file, expect=0):
        answer = self.tell("give", name, source, output, file)
        if answer["code"] != expect:
            raise AssertionError(f"{answer}\n{''.join(self.log[-20:])}")
        return answer

    def end(self, name, seconds=120, count=1):
        return self.wait(lambda es: (e := [e for e in es if e["event"] == "end" and e["id"] == name])[count - 1:]
                         and e[count - 1], seconds)

    def working(self, name, fraction=0.2, attempt=1):
        """Waits until the job is in the middle of its frames."""
        return self.wait(lambda es: next((e for e in es if e["event"] == "progress" and e["id"] == name and
                                          e["attempt"] == attempt and e["stage"] == "encoding" and
                                          e["fraction"] > fraction), None))

    def pids(self):
        self.tell("pids")
        return [e for e in self.events if e["event"] == "pids"][-1]["pids"]

    def close(self):
        if self.process.poll() is None:
            self.process.stdin.close()
        try:
            self.process.wait(30 * h.PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        finally:
            for reader in self.readers:
                reader.join(10)
            self.process.stdout.close()
            self.process.stderr.close()
        said = "".join(self.log)
        if self.process.returncode not in (0, -9) or "Sanitizer" in said:
            raise AssertionError(f"the crew ended with {self.process.returncode}\n{said[-12000:]}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def fake(what):
    return ("program", sys.executable, "sandbox", "off", "backoff", "20", "words", "python3", FAKE, version(), what)


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def wait_until(what, seconds, why):
    until = time.monotonic() + seconds * h.PATIENCE
    while not what():
        if time.monotonic() > until:
            raise AssertionError(why)
        time.sleep(0.01)
