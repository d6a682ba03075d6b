"""A mail server that takes mails, refuses them, or hangs, as a test has it; speaks just enough SMTP."""

from __future__ import annotations

import socketserver
import threading
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import django


class MailServer(socketserver.ThreadingTCPServer):
    """Listens on loopback; ``mood`` is "takes", "refuses" or "hangs", and ``mails`` is what it has taken."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Dialogue)
        self.mood = "takes"
        self.mails: list[EmailMessage] = []
        self.asked = threading.Semaphore(0)
        self.go_on = threading.Event()

    def __enter__(self) -> MailServer:
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.go_on.set()
        self.shutdown()
        self.server_close()

    @property
    def subjects(self) -> list[str]:
        """What the mails are about."""
        return [str(mail["Subject"]).partition("jwt_upstream: ")[2] for mail in list(self.mails)]

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that have Django send to it."""
        port = self.server_address[1]
        if django.VERSION >= (6, 1):
            options = {"host": "127.0.0.1", "port": port}
            return {"MAILERS": {"default": {"BACKEND": SMTP, "OPTIONS": options}}}
        return {"EMAIL_BACKEND": SMTP, "EMAIL_HOST": "127.0.0.1", "EMAIL_PORT": port}


SMTP = "django.core.mail.backends.smtp.EmailBackend"


class _Dialogue(socketserver.StreamRequestHandler):
    server: MailServer

    def handle(self) -> None:
        self.server.asked.release()
        if self.server.mood == "hangs":
            self.server.go_on.wait(60)
            return
        self._say("220 here")
        while line := self.rfile.readline().decode().strip():
            verb = line.partition(" ")[0].upper()
            if verb == "DATA":
                self._take()
            elif verb == "MAIL" and self.server.mood == "refuses":
                self._say("451 try again later")
            else:
                self._say("250 ok")

    def _take(self) -> None:
        self._say("354 go on")
        lines = []
        while (line := self.rfile.readline()) != b".\r\n":
            lines.append(line.removeprefix(b".").replace(b"\r\n", b"\n"))
        message = message_from_bytes(b"".join(lines), _class=EmailMessage, policy=policy.default)
        self.server.mails.append(message)
        self._say("250 taken")

    def _say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())
