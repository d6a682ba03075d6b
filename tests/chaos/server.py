"""The upstreams, in one process: ``python -m tests.chaos.server FOLDER SEED``; prints its address."""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import Any
from urllib.parse import parse_qs

from tests.chaos.cast import BY_ALIAS, PASSWORD
from tests.chaos.logs import Log, digest, fingerprint, now
from tests.chaos.tokens import Answer, Tokens

#: Longer than the package's total deadline of 10 s, and than its calls' timeout here.
HANG_SECONDS = 11.0
HANGING_CALL_SECONDS = 6.0


class Trouble:
    """What is wrong with an upstream at the moment: a mode, until when, and for which share of the requests."""

    def __init__(self, mode: str = "", until: float = 0.0, share: float = 1.0) -> None:
        self.mode, self.until, self.share = mode, until, share


class Upstreams:
    """All upstreams: their tokens, and the trouble that the nemesis has told of."""

    def __init__(self, log: Log, seed: int) -> None:
        self.log, self.tokens = log, {alias: Tokens(site) for alias, site in BY_ALIAS.items()}
        self.troubles: dict[str, Trouble] = {}
        self._random = Random(seed)

    def trouble(self, alias: str, where: str) -> str:
        """Return the trouble that meets a request: "500", "hang", "cut" or "slow", for tokens "… after" too."""
        trouble = self.troubles.get(alias)
        if trouble is None or now() > trouble.until or self._random.random() > trouble.share:
            return ""
        kind, _, mode = trouble.mode.partition(" ")
        return mode if kind == where else ""

    def control(self, told: dict[str, Any]) -> Any:
        """Do what the nemesis, or a person, wants."""
        self.log.write("control", told=told)
        tokens = self.tokens.get(told.get("alias", ""))
        if told["do"] == "trouble":
            self.troubles[told["alias"]] = Trouble(told["mode"], now() + told["seconds"], told["share"])
        elif told["do"] == "expire" and tokens:
            tokens.expire()
        elif told["do"] in {"lock", "unlock"} and tokens:
            tokens.set_locked(told["user"], told["do"] == "lock")
        return {"locked": [f"{alias}/{user}" for alias, each in self.tokens.items() for user in each.locked]}


class Handler(BaseHTTPRequestHandler):
    """One connection of a worker."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    upstreams: Upstreams

    def handle(self) -> None:
        """Serve, until the other side is gone."""
        with suppress(OSError):
            super().handle()

    def _respond(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        received, body = now(), self.rfile.read(length)
        if len(body) < length:  # whoever sent it was killed meanwhile
            self.close_connection = True
            return
        _, alias, path = self.path.partition("?")[0].split("/", 2)
        if alias == "control":
            self._send(Answer(200, self.upstreams.control(json.loads(body))))
        elif path in {"login", "refresh", "token"}:
            self._answer_token_request(alias, path, body, received)
        else:
            self._answer_call(alias, body, received)

    do_GET = do_POST = _respond

    def _answer_token_request(self, alias: str, path: str, body: bytes, received: float) -> None:
        trouble = self.upstreams.trouble(alias, "token")
        time.sleep(self.upstreams._random.uniform(0.02, 0.3))
        if trouble == "slow":
            time.sleep(self.upstreams._random.uniform(1, 4))
        log, told = self.upstreams.log, {"upstream": alias, "received": received, "trouble": trouble}
        if trouble in {"500", "hang", "cut"}:
            log.write("token request", outcome="none", spent=self._spent(path, body), **told)
            self._fail(trouble)
            return
        answer = self._token_answer(self.upstreams.tokens[alias], path, body)
        log.write("token request", spent=self._spent(path, body), **answer.told, **told)
        if trouble.endswith(" after"):
            self._fail(trouble.removesuffix(" after"))
        else:
            self._send(answer)

    def _token_answer(self, tokens: Tokens, path: str, body: bytes) -> Answer:
        if path == "token":
            return tokens.log_in("machine")
        told = json.loads(body)
        if path == "refresh":
            return tokens.refresh(told["refresh"])
        return tokens.log_in(told["username"] if told["password"] == PASSWORD else "")

    def _spent(self, path: str, body: bytes) -> str:
        if path == "token":
            return str(parse_qs(body.decode())["grant_type"][0])
        return fingerprint(json.loads(body).get("refresh", ""))

    def _answer_call(self, alias: str, body: bytes, received: float) -> None:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        number, account = self.headers.get("X-Chaos-Call", ""), self.headers.get("X-Chaos-Account", "")
        trouble, answer = self.upstreams.trouble(alias, "call"), self.upstreams.tokens[alias].call(token)
        told = {"call": number, "account": account, "digest": digest(body), "token": fingerprint(token)}
        if answer.status == 200:
            answer.body |= told
        try:
            if trouble == "slow":
                time.sleep(self.upstreams._random.uniform(0.5, 2))
            if trouble in {"500", "hang", "cut"}:
                answer.status = 500 if trouble == "500" else 0
                self._fail(trouble, HANGING_CALL_SECONDS)
            else:
                self._send(answer)
        finally:
            self.upstreams.log.write(
                "call", upstream=alias, user=answer.told["user"], status=answer.status, received=received, **told
            )

    def _fail(self, how: str, seconds: float = HANG_SECONDS) -> None:
        if how == "500":
            self._send(Answer(500, {"error": "internal error"}))
            return
        self.close_connection = True
        if how == "hang":
            time.sleep(seconds)

    def _send(self, answer: Answer) -> None:
        content = json.dumps(answer.body).encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing here."""


class _Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True


def main(folder: str, seed: int) -> None:
    """Serve until the process is told to end."""
    log = Log(folder, "upstreams")
    Handler.upstreams = Upstreams(log, seed)
    log.write("process", role="upstreams", is_calm=False)
    server = _Server(("127.0.0.1", 0), Handler)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    print(f"http://127.0.0.1:{server.server_port}/", flush=True)
    server.serve_forever(0.1)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
