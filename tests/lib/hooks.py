# A web server that takes messages: each POST is kept, and what is answered is in the path. Used as a module, or as a
# program that prints its port and lives until its input ends.
import json
import os
import time

import web


class Handler(web.Handler):
    def do_POST(self):
        self.close_connection = True
        data = self.rfile.read(int(self.headers["Content-Length"] or 0))
        with self.server.lock:
            nth = sum(entry["path"] == self.path for entry in self.server.seen)
            self.server.seen.append({"path": self.path, "headers": dict(self.headers), "body": data.decode(),
                                     "at": time.time(), "nth": nth})
        words = self.path.strip("/").split("/")
        getattr(self, "post_" + words[0], self.ok)(nth, *words[1:])

    def ok(self, *_):
        self.answer(200, data=b"ok")

    def post_hang(self, *_):
        self.server.over.wait(60)

    def post_status(self, _nth, status, *_):
        self.answer(int(status), data=f"no: {self.path}".encode())

    def post_busy(self, nth, status, seconds, times):
        if nth < int(times):
            return self.answer(int(status), [("Retry-After", seconds)], b"busy")
        return self.ok()

    def post_elsewhere(self, *_):
        self.answer(302, [("Location", "/ok")])

    def post_endless(self, *_):
        self.do_endless()


class Server(web.Server):
    def __init__(self):
        super().__init__(Handler)

    def seen_at(self, path):
        """The last request for a path."""
        with self.lock:
            return [entry for entry in self.seen if entry["path"] == path][-1]

    def bodies(self, path):
        with self.lock:
            return [json.loads(entry["body"]) for entry in self.seen if entry["path"] == path]


if __name__ == "__main__":
    with Server() as hooks:
        print(hooks.port, flush=True)
        while os.read(0, 100):
            pass
