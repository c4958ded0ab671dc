"""The queue's figures: queue_bench measures from within, lock_rival.py is the pattern that it replaces."""
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading

import meter

HERE = os.path.dirname(os.path.abspath(__file__))
SECONDS, JOBS = 3, 100000


def _json(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise meter.Failed(f"{os.path.basename(command[0])} {command[1]} failed: {done.stderr.strip()}")
    return json.loads(done.stdout)


def _fresh(folder, name):
    path = os.path.join(folder, "queue-" + name)
    shutil.rmtree(path, ignore_errors=True)
    return path


def _syncs(tool, folder, count):
    """fsync and fdatasync calls a durable add, by strace; None where strace can't be used."""
    if not shutil.which("strace"):
        return None
    log = os.path.join(folder, "syncs")

    def calls(adds):
        done = subprocess.run(["strace", "-f", "-c", "-e", "trace=fsync,fdatasync", "-o", log, tool, "one",
                               _fresh(folder, "syncs-db"), str(adds)], capture_output=True, check=False)
        if done.returncode:
            return None
        with open(log, encoding="utf-8") as file:
            # share, seconds, microseconds a call, calls, perhaps errors, name
            lines = [line.split() for line in file if re.search(r"\bf(data)?sync$", line.rstrip())]
        return sum(int(line[3]) for line in lines)
    few, many = calls(10), calls(10 + count)
    return None if few is None or many is None else (many - few) / count


def _free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def _channel(folder, port):
    path = os.path.join(folder, f"notifications-{port}.yaml")
    with open(path, "w", encoding="ascii") as file:
        file.write(f"notifications:\n  - type: webhook\n    url: http://127.0.0.1:{port}/\n")
    return path


class _Hanging:
    """A server that takes connections and says nothing."""

    def __enter__(self):
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(64)
        self.held = []
        threading.Thread(target=self._take, daemon=True).start()
        return self.listener.getsockname()[1]

    def _take(self):
        while True:
            try:
                self.held.append(self.listener.accept()[0])
            except OSError:
                return

    def __exit__(self, *_):
        self.listener.close()
        for connection in self.held:
            connection.close()


def _throughput(tool, folder, count, rounds):
    """Ends of jobs a second beside a webhook that answers and one that hangs, in turns; the best of each."""
    best = {"answering": 0, "hanging": 0}
    hooks = subprocess.Popen([sys.executable, os.path.join(os.path.dirname(HERE), "lib", "hooks.py")], text=True,
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with hooks, _Hanging() as port:
        answers = int(hooks.stdout.readline())
        for _ in range(rounds):
            for name, where in (("answering", answers), ("hanging", port)):
                config = _channel(folder, where)
                found = _json(tool, "ends", _fresh(folder, "ends"), count, config)
                best[name] = max(best[name], found["ends"] / found["seconds"])
        hooks.stdin.close()
    return best


def measure(program, folder, quick, say):
    tool = os.path.join(os.path.dirname(program), "tests", "bench", "queue_bench")
    if not os.access(tool, os.X_OK):
        raise meter.Failed(f"{tool} is not there; run ninja in the build folder")
    seconds, found = 1 if quick else SECONDS, {}
    found["status"] = _json(tool, "status", _fresh(folder, "status"), seconds)
    found["rival"] = _json(sys.executable, os.path.join(HERE, "lock_rival.py"), seconds)
    for name in ("status", "rival"):
        say(f"  {name}: {found[name]['reads'] / found[name]['cpu']:.0f} reads/s a core, blocked for "
            f"{found[name]['blocked']:.4f} s")
    found["adds"] = _json(tool, "adds", _fresh(folder, "adds"), seconds)
    found["one"] = _json(tool, "one", _fresh(folder, "one"), 200 if quick else 1000)
    found["syncs"] = _syncs(tool, folder, 50)
    say(f"  adds: {found['adds']['adds'] / found['adds']['seconds']:.0f}/s, one by one "
        f"{found['one']['adds'] / found['one']['seconds']:.0f}/s, syncs each: {found['syncs']}")
    found["events"] = _json(tool, "events", _fresh(folder, "events"), seconds)
    port = _free_port()
    found["hooks"] = _json(tool, "hooks", _fresh(folder, "hooks"), _channel(folder, port), port)
    found["throughput"] = _throughput(tool, folder, 300 if quick else 2000, 1 if quick else 3)
    say(f"  events: p99 {found['events']['p99_ms']:.2f} ms; webhook: worst {found['hooks']['worst_ms']:.1f} ms; ends/s "
        f"{found['throughput']['answering']:.0f}, with a server that hangs {found['throughput']['hanging']:.0f}")
    large = _fresh(folder, "large")
    subprocess.run([tool, "make", large, str(JOBS)], check=True)
    found["large"] = _json(tool, "large", large)
    say(f"  {found['large']['jobs']} jobs: start {found['large']['start_s']:.2f} s, worst page "
        f"{found['large']['page_ms']:.2f} ms, {found['large']['rss'] / 1e6:.0f} MB")
    return found
