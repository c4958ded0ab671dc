"""What a command costs: time, processor time, memory, bytes read and written.

Each command runs as the only child of a small wrapper process (this file, run as a program): when the wrapper has
waited for it, the kernel has added the command's whole tree, as far as it was waited for, to the wrapper's own
counters.

    bytes     /proc/self/io of the wrapper (rchar, wchar: what read and write calls moved, from the cache or the disk)
    memory    ru_maxrss of wait4: the largest resident set; where the tree had more than one process at a time, the sum
              of their high-water marks (VmHWM, sampled four times a second) if that is more
    others    what the rest of the machine used meanwhile, from /proc/stat: how far the timing can be trusted

The wrapper can also kill the command after some time, as a power cut would: what it had cost by then is the result."""
import dataclasses
import glob
import json
import os
import signal
import subprocess
import sys
import threading
import time

TICK = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
SAMPLE_SECONDS = 0.25


class Failed(Exception):
    """A command ended with an error: the command and the end of what it said."""


@dataclasses.dataclass
class Cost:
    """Seconds, bytes. `others` is the share of all processors that went to somebody else."""
    wall: float = 0.0
    cpu: float = 0.0
    rss: int = 0
    read: int = 0
    written: int = 0
    others: float = 0.0
    ended: float = 0.0  # by the clock of the file system's times
    threads: dict = dataclasses.field(default_factory=dict)  # processor seconds by name of the thread, when asked for

    @property
    def io(self):
        return self.read + self.written

    def then(self, other):
        """This cost and another one after it."""
        both = self.wall + other.wall
        others = (self.others * self.wall + other.others * other.wall) / both if both else 0.0
        names = {**self.threads, **other.threads}
        threads = {name: self.threads.get(name, 0.0) + other.threads.get(name, 0.0) for name in names}
        return Cost(both, self.cpu + other.cpu, max(self.rss, other.rss), self.read + other.read,
                    self.written + other.written, others, other.ended, threads)


# ---- The machine ---------------------------------------------------------------------------------------------------

def busy_seconds():
    """Processor seconds used by everybody since the machine started, and stolen from it."""
    with open("/proc/stat", encoding="ascii") as f:
        fields = [int(x) for x in f.readline().split()[1:9]]
    user, nice, system, _idle, _wait, irq, softirq, steal = fields
    return (user + nice + system + irq + softirq + steal) / TICK


def others_now(seconds=1.0):
    """The share of all processors that is in use while we only wait."""
    before, start = busy_seconds(), time.monotonic()
    time.sleep(seconds)
    return (busy_seconds() - before) / ((time.monotonic() - start) * (os.cpu_count() or 1))


def wait_for_quiet(limit, patience):
    """Waits until others use less than `limit` of the machine, `patience` seconds at most; what they use then."""
    end = time.monotonic() + patience
    share = others_now()
    while share > limit and time.monotonic() < end:
        time.sleep(2)
        share = others_now(2.0)
    return share


# ---- A tree of processes -------------------------------------------------------------------------------------------

def _text(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read()
    except OSError:
        return ""


def descendants(pid):
    found = []
    for path in glob.glob(f"/proc/{pid}/task/*/children"):
        for child in map(int, _text(path).split()):
            found += [child] + descendants(child)
    return found


def _high_water(pid):
    for line in _text(f"/proc/{pid}/status").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def _thread_seconds(pid, seen):
    """Processor seconds of each thread (its own clock, in nanoseconds, of /proc/PID/task/TID/schedstat)."""
    for task in glob.glob(f"/proc/{pid}/task/*"):
        spent = _text(task + "/schedstat").split()
        if spent:
            seen[os.path.basename(task)] = (_text(task + "/comm").strip(), int(spent[0]) / 1e9)


class _Sampler(threading.Thread):
    """Looks at the tree under a process until told to stop."""

    def __init__(self, pid, threads):
        super().__init__(daemon=True)
        self.pid, self.threads, self.done = pid, threads, threading.Event()
        self.sum_rss, self.seen = 0, {}

    def run(self):
        while not self.done.wait(SAMPLE_SECONDS):
            tree = descendants(self.pid)
            if len(tree) > 1:
                self.sum_rss = max(self.sum_rss, sum(map(_high_water, tree)))
            if self.threads:
                for pid in tree:
                    _thread_seconds(pid, self.seen)

    def by_name(self):
        total = {}
        for name, seconds in self.seen.values():
            total[name] = total.get(name, 0.0) + seconds
        return total


# ---- Measuring -----------------------------------------------------------------------------------------------------

def measure(command, cwd=None, threads=False, on_line=None, kill_after=0):
    """The cost of a command that must succeed. `on_line(seconds, text)` gets each line of its standard output. With
    `kill_after` seconds, the command must not have ended by then, and is killed."""
    command = [str(word) for word in command]
    report_in, report_out = os.pipe()
    wrapper = [sys.executable, "-E", "-S", os.path.abspath(__file__), str(report_out), str(kill_after),
               *command]
    before, start = busy_seconds(), time.monotonic()
    process = subprocess.Popen(wrapper, cwd=cwd, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                               stdout=subprocess.PIPE if on_line else subprocess.DEVNULL, pass_fds=[report_out])
    os.close(report_out)
    sampler = _Sampler(process.pid, threads)
    sampler.start()
    errors = []
    reader = threading.Thread(target=lambda: errors.extend(process.stderr), daemon=True)
    reader.start()
    for line in process.stdout if on_line else ():
        on_line(time.monotonic() - start, line)
    status = process.wait()
    sampler.done.set()
    sampler.join()
    reader.join()
    process.stderr.close()
    with os.fdopen(report_in, encoding="ascii") as f:
        report = f.read()
    if status != 0 or not report:
        raise Failed(f"{' '.join(command)}\nexit {status}\n{''.join(errors)[-2000:]}")
    cost = Cost(**json.loads(report), threads=sampler.by_name())
    cost.rss = max(cost.rss, sampler.sum_rss)
    whole = (time.monotonic() - start) * (os.cpu_count() or 1)
    cost.others = max(0.0, (busy_seconds() - before - cost.cpu) / whole)
    return cost


def measure_all(commands, **more):
    """The cost of commands one after the other, and of each."""
    each = [measure(command, **more) for command in commands]
    total = Cost()
    for cost in each:
        total = total.then(cost)
    return total, each


# ---- The wrapper ---------------------------------------------------------------------------------------------------

def _own_io():
    with open("/proc/self/io", encoding="ascii") as f:
        text = f.read()
    values = dict(line.split(": ") for line in text.splitlines())
    return int(values["rchar"]), int(values["wchar"]), len(text)


def _wrap(report, kill_after, command):
    read, written, own = _own_io()
    start = time.monotonic()
    pid = os.posix_spawnp(command[0], command, os.environ)
    if kill_after > 0:
        signal.signal(signal.SIGALRM, lambda *_: os.kill(pid, signal.SIGKILL))
        signal.setitimer(signal.ITIMER_REAL, kill_after)
    _, status, usage = os.wait4(pid, 0)
    ended = time.time()
    signal.setitimer(signal.ITIMER_REAL, 0)
    wall = time.monotonic() - start
    read_after, written_after, _ = _own_io()
    wanted = -signal.SIGKILL if kill_after > 0 else 0
    if os.waitstatus_to_exitcode(status) == 0 and wanted:
        print(f"it had ended before it was to be killed after {kill_after:.1f} s", file=sys.stderr)
    if os.waitstatus_to_exitcode(status) == wanted:
        os.write(report, json.dumps({"wall": wall, "cpu": usage.ru_utime + usage.ru_stime,
                                     "rss": usage.ru_maxrss * 1024, "read": read_after - read - own,
                                     "written": written_after - written, "ended": ended}).encode("ascii"))
    return int(os.waitstatus_to_exitcode(status) != wanted)


if __name__ == "__main__":
    os.set_inheritable(int(sys.argv[1]), False)
    sys.exit(_wrap(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]))
