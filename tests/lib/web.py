# A small web server with bad manners, on loopback, for the tests of downloads: what a path does stands in `Handler`.
# Used as a module, or as a program that prints its port and lives until its input ends.
import hashlib
import http.server
import json
import os
import socket
import socketserver
import sys
import threading
import time

SIZE = 300000


def body(seed="a", size=SIZE):
    """Bytes that look like nothing, the same each time."""
    out, block = bytearray(), seed.encode()
    while len(out) < size:
        block = hashlib.sha256(block).digest()
        out += block
    return bytes(out[:size])


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def end_headers(self):
        self.send_header("Connection", "close")  # else clients try the closed one for their next request
        super().end_headers()

    def do_CONNECT(self):
        self.send_error(405)

    def do_GET(self):
        self.close_connection = True
        path, _, self.query = self.path.partition("?")
        words = path.strip("/").split("/")
        with self.server.lock:
            self.nth = sum(entry["path"] == self.path for entry in self.server.seen)
            self.server.seen.append({"path": self.path, "range": self.headers["Range"],
                                     "if_range": self.headers["If-Range"], "host": self.headers["Host"]})
        if words[0] in self.server.files:
            return self.give(self.server.files[words[0]], etag='"file"')
        getattr(self, "do_" + words[0].replace("-", "_"), self.nothing)(*words[1:])

    do_HEAD = do_GET

    def nothing(self, *_):
        self.answer(404)

    def answer(self, status, headers=(), data=b""):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if not any(name == "Content-Length" for name, _ in headers):
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def give(self, data, etag=None, stop=None, ranges=True, kind="application/octet-stream"):
        """The file, or its rest as asked for; `stop` is the byte of this answer at which the connection is cut."""
        first, asked = 0, self.headers["Range"]
        if asked and ranges and self.headers["If-Range"] in (None, etag):
            first = int(asked.split("=")[1].split("-")[0])
            last = asked.split("-")[1]
            if first >= len(data):
                return self.answer(416, [("Content-Range", f"bytes */{len(data)}")])
            data_end = min(int(last) + 1, len(data)) if last else len(data)
        else:
            data_end, asked = len(data), None
        part = data[first:data_end]
        headers = [("Content-Length", str(len(part))), ("Content-Type", kind)]
        if etag:
            headers.append(("ETag", etag))
        if asked:
            headers.append(("Content-Range", f"bytes {first}-{data_end - 1}/{len(data)}"))
        self.answer(206 if asked else 200, headers, part[:stop])
        if stop is not None and stop < len(part):
            self.cut()

    def cut(self):
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_WR)

    def do_whole(self):
        self.give(body(), '"one"')

    def do_empty(self):
        self.answer(200, [("ETag", '"none"')])

    def do_cut(self, stop):  # each answer is cut there
        self.give(body(), '"one"', int(stop))

    def do_cut_once(self, stop, kind="etag"):  # etag, date, weak, none, norange
        tag = {"etag": '"one"', "weak": 'W/"one"', "norange": '"one"'}.get(kind)
        self.give(body(), tag, int(stop) if self.nth == 0 else None, kind != "norange")

    def do_changes(self, stop):  # another file with each answer
        self.give(body(str(self.nth)), f'"{self.nth}"', int(stop) if self.nth < 2 else None)

    def do_changes_ignoring(self, stop):  # the same by a server that doesn't look at If-Range
        del self.headers["If-Range"]
        self.give(body(str(self.nth)), f'"{self.nth}"', int(stop) if self.nth == 0 else None)

    def do_liar(self, stop):
        if self.nth == 1:
            data = body()
            return self.answer(206, [("Content-Range", f"bytes 0-99/{len(data)}"), ("ETag", '"one"')], data[:100])
        self.give(body(), '"one"', int(stop) if self.nth == 0 else None)

    def do_shrinks(self, stop):  # then it is shorter than what came first: 416
        self.give(body() if self.nth == 0 else body("s", 1000), '"one"', int(stop) if self.nth == 0 else None)

    def do_large(self):
        self.answer(200, [("Content-Length", str(10 << 30))], b"x" * 1000)
        self.cut()

    def do_endless(self):
        self.send_response(200)
        self.end_headers()
        try:
            while True:
                self.wfile.write(b"x" * 65536)
        except OSError:
            pass

    def do_slow(self):
        data = body()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        try:
            for byte in data:
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
                time.sleep(0.1)
        except OSError:
            pass

    def do_hang(self):
        self.server.over.wait(60)

    def do_stall(self, stop):
        data = body()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[:int(stop)])
        self.wfile.flush()
        self.server.over.wait(60)

    def do_status(self, status):
        self.answer(int(status), data=b"<p>no</p>")

    def do_busy(self, status, seconds):
        if self.nth == 0:
            return self.answer(int(status), [("Retry-After", seconds)])
        self.give(body(), '"one"')

    def do_to(self, *_):  # /to/?ADDRESS
        self.answer(302, [("Location", self.query)])

    def do_loop(self):
        self.answer(302, [("Location", "/loop")])

    def do_seen(self):
        with self.server.lock:
            self.answer(200, data=json.dumps(self.server.seen).encode())


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """`with Server() as web:`; web.url("/path"), web.seen, web.files["name.mkv"] = bytes."""
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, handler=Handler, address="127.0.0.1"):
        super().__init__((address, 0), handler)
        self.lock, self.over, self.seen, self.files = threading.Lock(), threading.Event(), [], {}
        self.port, self.address, self.scheme = self.server_address[1], address, "http"
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def url(self, path):
        return f"{self.scheme}://{self.address}:{self.port}{path}"

    def handle_error(self, *_):
        pass

    def __exit__(self, *_):
        self.over.set()
        self.shutdown()
        self.server_close()


if __name__ == "__main__":
    with Server() as web:
        print(web.port, flush=True)
        while os.read(0, 100):
            pass
    sys.exit(0)
