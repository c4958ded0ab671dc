# A small mail server on loopback for tests: SMTP (RFC 5321) with STARTTLS (RFC 3207) and AUTH PLAIN or LOGIN.
import base64
import email
import email.policy
import socketserver
import threading
import time

import tls


class Session(socketserver.StreamRequestHandler):
    def say(self, *lines):
        for i, line in enumerate(lines):
            code, text = line.split(" ", 1)
            self.wfile.write(f"{code}{' ' if i == len(lines) - 1 else '-'}{text}\r\n".encode())
        self.wfile.flush()

    def hear(self):
        line = self.rfile.readline(4096).decode(errors="replace")
        if not line:
            raise ConnectionError
        return line.rstrip("\r\n")

    def handle(self):
        self.secure, self.user, self.sender, self.to = False, None, None, []
        try:
            time.sleep(self.server.greeting_after)
            self.say(f"{self.server.greeting} test server")
            while self.command(self.hear()):
                pass
        except (ConnectionError, OSError, ValueError):
            pass
        finally:
            self.request.close()

    def command(self, line):
        verb = line[:4].upper()
        self.server.lines.append(line)
        if verb in ("EHLO", "HELO"):
            features = ["250 test"]
            if self.server.context and not self.secure:
                features.append("250 STARTTLS")
            if self.secure or not self.server.context:
                features.append("250 AUTH PLAIN LOGIN")
            self.say(*features)
        elif line.upper() == "STARTTLS" and self.server.context:
            self.say("220 go on")
            self.request = self.server.context.wrap_socket(self.request, server_side=True)
            self.rfile, self.wfile = self.request.makefile("rb"), self.request.makefile("wb")
            self.secure = True
        elif verb == "AUTH":
            self.authenticate(line)
        elif verb == "MAIL":
            self.sender = line[10:].split(">")[0].lstrip("<")
            self.say("250 ok")
        elif verb == "RCPT":
            name = line[8:].split(">")[0].lstrip("<")
            code = self.server.answers.get(name.split("@")[0], "250")
            if code == "250":
                self.to.append(name)
            self.say(f"{code} {name}")
        elif verb == "DATA":
            self.take()
        else:
            self.say("221 bye" if verb == "QUIT" else "250 ok" if verb in ("RSET", "NOOP") else "500 what?")
            return verb != "QUIT"
        return True

    def authenticate(self, line):
        words = line.split()
        if words[1].upper() == "PLAIN":
            if len(words) < 3:
                self.say("334 ")
                words.append(self.hear())
            _, user, password = base64.b64decode(words[2]).decode().split("\0")
        else:
            self.say("334 VXNlcm5hbWU6")
            user = base64.b64decode(self.hear()).decode()
            self.say("334 UGFzc3dvcmQ6")
            password = base64.b64decode(self.hear()).decode()
        self.user = user if self.server.users.get(user) == password else None
        self.say("235 welcome" if self.user else f"535 not {password}")

    def take(self):
        self.say("354 go on")
        lines = []
        while (line := self.rfile.readline(10000)) != b".\r\n":
            if not line:
                raise ConnectionError
            lines.append(line[1:] if line.startswith(b".") else line)
        message = email.message_from_bytes(b"".join(lines), policy=email.policy.default)
        self.server.mails.append({"from": self.sender, "to": self.to, "secure": self.secure, "user": self.user,
                                  "message": message, "raw": b"".join(lines)})
        self.say("250 taken")


class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """`with Server(folder) as mail:` with STARTTLS by a certificate made in `folder`; without, in clear."""
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def __init__(self, folder=None):
        super().__init__(("127.0.0.1", 0), Session)
        self.context = tls.context(folder) if folder else None
        self.greeting, self.greeting_after, self.answers, self.users = "220", 0, {}, {}
        self.mails, self.lines = [], []
        self.address = f"smtp://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def handle_error(self, *_):
        pass

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()
