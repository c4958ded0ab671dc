# Workers that misbehave: fake_worker.py VERSION WHAT. Speaks the crew's protocol on descriptor 3.
import json
import os
import signal
import socket
import sys
import time

version, what = sys.argv[1:3]
channel = socket.socket(fileno=3)


def say(**message):
    channel.send(json.dumps(message).encode() + b"\n")


def alive_for(order, seconds, grows=False):
    begun, count = time.monotonic(), 0
    while time.monotonic() < begun + seconds:
        count += grows
        say(type="alive", id=order["id"], work=count)
        time.sleep(0.05)


if what == "exits":
    print("warning: fake: no library", file=sys.stderr, flush=True)
    sys.exit(3)
if what == "silent":
    time.sleep(60)
say(type="hello", protocol=1, version=version if what != "stranger" else "0.0.1", pid=os.getpid())
line, fds, _, _ = socket.recv_fds(channel, 1 << 20, 16)
if not line:
    sys.exit(0)
order = json.loads(line)
if what == "dies":
    print("error: fake: these are my last words", file=sys.stderr, flush=True)
    say(type="progress", id=order["id"], stage=3, fraction=0.42, fps=1, eta=-1, frames=1)
    os.kill(os.getpid(), signal.SIGSEGV)
elif what == "stalls":
    alive_for(order, 30)
elif what == "works":
    alive_for(order, 2, grows=True)
    say(type="end", id=order["id"], code=-74, text="enough")
elif what == "garbage":
    channel.send(b"{\"type\":\"progress\"")
elif what == "oversized":
    channel.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    channel.send(b" " * (140 << 10))
elif what == "mixes":
    say(type="progress", id="another", stage=3, fraction=0.5, fps=1, eta=-1, frames=1)
elif what == "claims":
    say(type="end", id=order["id"], code=0, text="")
elif what == "climbs":
    say(type="planned", id=order["id"], output="../evil.mkv")
elif what == "floods":
    for _ in range(200000):
        say(type="progress", id=order["id"], stage=3, fraction=0.5, fps=1, eta=-1, frames=1)
    say(type="end", id=order["id"], code=-74, text="enough")
elif what in ("makes", "links"):
    out = order["output"]
    if what == "links":
        os.symlink("/etc/passwd", out)
    else:
        with open(out, "w", encoding="utf-8") as file:
            file.write("an output\n")
        with open(out + ".json", "w", encoding="utf-8") as file:
            file.write("{}\n")
    say(type="planned", id=order["id"], output=os.path.basename(out))
    time.sleep(0.5)
    say(type="end", id=order["id"], code=0, text="")
time.sleep(60)
