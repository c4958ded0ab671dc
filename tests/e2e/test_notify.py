# The verb `notify` against servers on loopback: what each service is sent, by its documentation; mail with STARTTLS;
# the configuration's faults; secrets that stay secret.
import hashlib
import hmac
import json
import os
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.dont_write_bytecode = True
import hooks  # noqa: E402
import mail  # noqa: E402
import tls  # noqa: E402
import web  # noqa: E402

PROGRAM = os.environ["TERMINALAI"]


class Notify(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.env = {"PATH": os.environ["PATH"], "HOME": self.folder, "LC_ALL": "C.UTF-8",
                    "XDG_RUNTIME_DIR": self.folder}
        self.env |= {name: value for name, value in os.environ.items() if name.endswith("SAN_OPTIONS")}

    def put(self, name, text):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, 0o600)
        return path

    def configure(self, *channels):
        """Each channel is a text of lines "key: value"."""
        lines = ["notifications:"]
        for channel in channels:
            first, *rest = channel.strip().splitlines()
            lines += [f"  - {first.strip()}"] + [f"    {line.strip()}" for line in rest]
        self.put(".config/terminalai/notifications.yaml", "\n".join(lines) + "\n")

    def notify(self, *words, expect=0, **env):
        done = subprocess.run([PROGRAM, "notify", *words], capture_output=True, text=True, env=self.env | env,
                              check=False, stdin=subprocess.DEVNULL, timeout=60)
        self.assertEqual(expect, done.returncode, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def secrets(self, server):
        for kind in ("discord", "slack"):
            self.put(f".config/terminalai/{kind}.url", server.url(f"/{kind}/s3cret-path") + "\n")

    def all_hooks(self, server):
        self.secrets(server)
        self.configure("type: discord\nurl-file: discord.url", "type: slack\nurl-file: slack.url",
                       f"type: webhook\nurl: {server.url('/hook')}\nsecret-env: HOOK_SECRET",
                       f"type: ntfy\nurl: {server.url('/sub/tapes')}\ntoken-env: NTFY_TOKEN\npriority: 4")
        return {"HOOK_SECRET": "k3y-of-the-hook", "NTFY_TOKEN": "tk_s3cret"}

    # ---- What is sent ----

    def test_each_service(self):
        with hooks.Server() as server:
            said = self.notify("test", **self.all_hooks(server))
            self.assertEqual([[name, "sent"] for name in ("discord", "slack", "webhook", "ntfy")],
                             [line.split() for line in said.splitlines()])
            discord, = server.bodies("/discord/s3cret-path")
            self.assertEqual({"content", "allowed_mentions"}, set(discord))
            self.assertEqual({"parse": []}, discord["allowed_mentions"])
            slack, = server.bodies("/slack/s3cret-path")
            self.assertEqual({"text"}, set(slack))
            ntfy, = server.bodies("/sub/")
            self.assertEqual(("tapes", 4, "TerminalAI: a test"), (ntfy["topic"], ntfy["priority"], ntfy["title"]))
            hook, = server.bodies("/hook")
            self.assertEqual(("test", 3, "3"), (hook["event"], hook["delivery"],
                                               server.seen_at("/hook")["headers"]["X-TerminalAI-Delivery"]))
            for text in (discord["content"], slack["text"], ntfy["message"], hook["text"]):
                self.assertRegex(text, "^This is a test from .+: notifications arrive.$")
            self.assertEqual("Bearer tk_s3cret", server.seen_at("/sub/")["headers"]["Authorization"])
            sent = server.seen_at("/hook")
            want = hmac.new(b"k3y-of-the-hook", sent["body"].encode(), hashlib.sha256).hexdigest()
            self.assertEqual("sha256=" + want, sent["headers"]["X-TerminalAI-Signature"])
            self.assertEqual("application/json", sent["headers"]["Content-Type"])

    def test_some_channels(self):
        with hooks.Server() as server:
            env = self.all_hooks(server)
            self.assertIn("slack", self.notify("test", "slack", **env))
            self.assertEqual(["/slack/s3cret-path"], [entry["path"] for entry in server.seen])
            self.assertIn("did you mean 'slack'", self.notify("test", "slak", expect=64, **env))
            listed = json.loads(self.notify("list", "--json", **env))
            self.assertEqual(["discord", "slack", "webhook", "ntfy"], [one["type"] for one in listed])
            self.assertEqual(["completed", "failed"], listed[0]["events"])

    def test_the_environment_alone(self):
        with hooks.Server() as server:
            env = {"TERMINALAI_NOTIFY_DISCORD_URL": server.url("/discord"),
                   "TERMINALAI_NOTIFY_NTFY_URL": server.url("/tapes"), "TERMINALAI_NOTIFY_NTFY_EVENTS": "failed"}
            self.notify("test", **env)
            self.assertEqual(["/", "/discord"], sorted(entry["path"] for entry in server.seen))
            self.assertRegex(self.notify(**env), r"ntfy +ntfy +failed\n")
            self.assertIn("TERMINALAI_NOTIFY_DISCORD_ULR", self.notify(expect=78, TERMINALAI_NOTIFY_DISCORD_ULR="x"))
            done = subprocess.run([PROGRAM, "settings"], capture_output=True, env=self.env | env, check=False)
            self.assertEqual(0, done.returncode, done.stderr)
            self.assertIn("two channels", self.clash(env))

    def clash(self, env):
        self.put(".config/terminalai/d", "http://127.0.0.1/x")
        self.configure("type: discord\nurl-file: d")
        return self.notify(expect=78, **env)

    def test_failures(self):
        with hooks.Server() as server, web.Server() as closed:
            port = closed.port
        with hooks.Server() as server:
            self.configure(f"type: webhook\nname: gone\nurl: {server.url('/status/404')}",
                           f"type: webhook\nname: down\nurl: http://127.0.0.1:{port}/",
                           f"type: webhook\nname: hangs\nurl: {server.url('/hang')}\ntimeout: 1",
                           f"type: webhook\nname: good\nurl: {server.url('/ok')}", "type: desktop")
            said = self.notify("test", expect=69)
            for want in ("gone +failed: .*404", "down +failed: ", "hangs +failed: .*timed out", "good +sent",
                         "desktop +failed: ", "4 of 5 channels"):
                self.assertRegex(said, want)
            self.assertEqual(1, len(server.bodies("/status/404")))

    # ---- Secrets ----

    def test_secrets_stay_secret(self):
        with hooks.Server() as server:
            env = self.all_hooks(server)
            for kind in ("discord", "slack"):
                self.put(f".config/terminalai/{kind}.url", server.url(f"/status/404/{kind}-s3cret"))
            said = self.notify("test", expect=69, **env) + self.notify("list", "--json", **env)
            self.assertRegex(said, r"discord +failed: .*404.*\*\*\*")
            for secret in ("s3cret", "k3y"):
                self.assertNotIn(secret, said)
        self.put(".config/terminalai/discord.url", "no address s3cret")
        self.assertNotIn("s3cret", self.notify(expect=78, **env))
        self.put(".config/terminalai/discord.url", "http://a/s3cret\nInjected: header")
        self.assertNotIn("s3cret", self.notify(expect=78, **env))

    def test_a_secret_that_all_may_read(self):
        with hooks.Server() as server:
            env = self.all_hooks(server)
            os.chmod(os.path.join(self.folder, ".config/terminalai/slack.url"), 0o644)
            self.assertIn("chmod 600", self.notify(**env))

    def test_wrong_configurations(self):
        for channel, want in (("type: discord\nurl: https://a/b", "must not stand in the configuration"),
                              ("type: discord", "url is needed"),
                              ("type: discrod", "did you mean 'discord'"),
                              ("type: webhook\nurl: ftp://a/b", "http:// or https://"),
                              ("type: webhook\nurl: http://a/b\ntopic: x", "'topic' is nothing"),
                              ("type: webhook\nurl: http://a/b\nserver: x", "server is nothing that webhook has"),
                              ("type: webhook\nurl: http://a/b\nurl: http://a/c", "given twice"),
                              ("type: webhook\nurl: http://a/b\ntext: '{nme}'", "did you mean {name}"),
                              ("type: webhook\nurl: http://a/b\ntitle: 'a {'", "brace"),
                              ("type: webhook\nurl: http://a/b\nevents: [completed, faild]", "did you mean 'failed'"),
                              ("type: webhook\nurl: http://a/b\ntries: many", "a whole number from 1 to 100"),
                              ("type: webhook\nurl-env: NOT_THERE", "no variable NOT_THERE"),
                              ("type: webhook\nurl-file: not-there", "not-there"),
                              ("type: ntfy\nurl: http://a", "address of a topic"),
                              ("type: smtp\nserver: mail\nfrom: a@b\nto: c@d", "smtp://"),
                              ("type: smtp\nserver: smtp://m\nfrom: a\nto: c@d", "an address has"),
                              ("type: smtp\nserver: smtp://m\nfrom: a@b\nto: [c@d, 'E <e@f>']", "an address"),
                              ("type: smtp\nserver: smtp://m\nfrom: a@b\nto: c@d\nuser: x", "go together"),
                              ("type: smtp\nserver: smtp://m\nfrom: a@b\nto: c@d\nuser: x\npassword-env: HOME\n"
                               "tls: off",
                               "for all to read"),
                              ("url: http://a/b", "no type"), ("type: [a, b]", "a single value")):
            self.configure(channel)
            self.assertIn(want, said := self.notify(expect=78))
            self.assertIn("notifications.yaml:", said)
        for text in ("a: b\n", "notifications: x\n", "notifications:\n  - x\n", "notifications: [\n"):
            self.put(".config/terminalai/notifications.yaml", text)
            self.assertIn("notifications.yaml:", self.notify(expect=78))
        self.notify("--notifications", self.folder + "/none.yaml", expect=66)

    def test_no_channel(self):
        self.assertIn("no channel is configured", self.notify())
        self.assertIn("no channel is configured", self.notify("test", expect=78))
        self.put("empty.yaml", "")
        self.assertIn("no channel", self.notify("--notifications", self.folder + "/empty.yaml"))
        self.assertIn("can't 'tst'", self.notify("tst", expect=64))

    # ---- Mail ----

    def mail_channel(self, server, *more):
        self.configure("\n".join(["type: smtp", f"server: {server.address}", "from: tapes@example.org",
                                  "to: [one@example.org, two@example.org]",
                                  f"ca-file: {tls.make(self.folder)[0]}", "timeout: 5", *more]))

    def test_mail(self):
        with mail.Server(self.folder) as server:
            server.users["tapes"] = "pa55 w0rd"
            self.mail_channel(server, "user: tapes", "password-env: MAIL_PASSWORD")
            self.assertIn("sent", self.notify("test", MAIL_PASSWORD="pa55 w0rd"))
            got, = server.mails
            self.assertEqual((True, "tapes", "tapes@example.org", ["one@example.org", "two@example.org"]),
                             (got["secure"], got["user"], got["from"], got["to"]))
            message = got["message"]
            self.assertEqual("TerminalAI: a test", message["Subject"])
            self.assertEqual("tapes@example.org", message["From"])
            self.assertEqual("one@example.org, two@example.org", message["To"])
            self.assertRegex(message["Message-ID"], r"^<[0-9a-f]{32}@example\.org>$")
            self.assertIsNotNone(message["Date"].datetime)
            self.assertRegex(message.get_content(), "^This is a test from .+: notifications arrive.$")
            self.assertEqual([], [defect for part in message.walk() for defect in part.defects])
            self.assertLess(max(map(len, got["raw"].split(b"\r\n"))), 79)
            said = self.notify("test", expect=69, MAIL_PASSWORD="wrong-pa55")
            self.assertRegex(said, "smtp +failed: ")
            self.assertNotIn("wrong-pa55", said)

    def test_mail_never_in_clear(self):
        with mail.Server() as server:
            self.mail_channel(server)
            self.assertIn("offers no STARTTLS", self.notify("test", expect=69))
            self.assertNotIn("MAIL", [line[:4] for line in server.lines])
            self.mail_channel(server, "tls: off")
            self.notify("test")
            self.assertFalse(server.mails[0]["secure"])

    def test_a_certificate_of_somebody_else(self):
        with mail.Server(self.folder) as server, tempfile.TemporaryDirectory() as other:
            self.mail_channel(server)
            path = os.path.join(self.folder, ".config/terminalai/notifications.yaml")
            with open(path, encoding="utf-8") as file:
                text = file.read().replace(tls.make(self.folder)[0], tls.make(other)[0])
            self.put(path, text)
            self.assertIn("certificate", self.notify("test", expect=69))
            self.assertEqual([], server.mails)

    def test_mail_servers_that_refuse(self):
        with mail.Server(self.folder) as server:
            self.mail_channel(server)
            server.answers = {"two": "550"}
            self.assertRegex(self.notify("test", expect=69), "550")
            server.answers = {"two": "451"}
            self.assertRegex(self.notify("test", expect=69), "451")
            server.greeting = "554"
            self.assertRegex(self.notify("test", expect=69), "554")
            server.greeting, server.greeting_after = "220", 30
            self.assertRegex(self.notify("test", expect=69), "timed out|[Tt]imeout")
            self.assertEqual([], server.mails)


if __name__ == "__main__":
    unittest.main(argv=sys.argv, verbosity=2)
